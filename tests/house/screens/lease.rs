//! The cluster's lease in the title.

use super::{screen, shown};
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::Intent;
use holdpoint::ui::Overlay;

/// Whose the lease is stands in the title as long as it is not this run's.
#[test]
fn the_title_says_whose_the_lease_is() {
    let lasts = Span::secs(30);
    let (lease, holder) = ("kube-system/holdpoint".to_owned(), "other-run bob@far".to_owned());
    let held = |expired| Lease::Held {
        lease: lease.clone(),
        holder: holder.clone(),
        since: None,
        expired,
    };
    let taken =
        Lease::Taken { lease: lease.clone(), asked: Time(0), lasts, from: Some(holder.clone()) };
    for (news, says) in [
        (taken, ""),
        (held(false), "✗ LEASE held by other-run bob@far"),
        (held(true), "✗ LEASE left by other-run bob@far: take it over with :take-lease"),
        (Lease::Lost { why: "late".into(), holder: None }, "✗ LEASE LOST: late"),
        (
            Lease::Lost { why: "x".into(), holder: Some(holder.clone()) },
            "✗ LEASE LOST to other-run",
        ),
        (Lease::Unread { why: "forbidden: x".into() }, "✗ LEASE not known: forbidden: x"),
    ] {
        let text = RUNBOOK.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
        let mut run = Run::new(&text, Mode::Write);
        run.reach_first_step();
        run.system(Intent::Leased { news });
        let screen = screen(&shown(run, Overlay::None, &[]), (200, 50));
        assert_eq!(screen.contains("LEASE"), !says.is_empty(), "{says}");
        assert!(screen.contains(says), "{says}\n{screen}");
    }
}
