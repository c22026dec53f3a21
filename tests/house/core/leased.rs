//! The core with a lease, under news of it in any order.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Purpose, Status};
use proptest::prelude::*;

const LASTS: Span = Span::secs(30);

fn news(run: &Run, which: u8) -> Lease {
    let lease = "kube-system/holdpoint".to_owned();
    let holder = "other-run bob@elsewhere".to_owned();
    let asked = run.now;
    match which {
        0 | 1 => Lease::Taken { lease, asked, lasts: LASTS, from: None },
        2 | 3 => Lease::Renewed { lease, asked, lasts: LASTS },
        4 => Lease::Held { lease, holder, since: None, expired: false },
        5 => Lease::Held { lease, holder, since: None, expired: true },
        6 => Lease::Lost { why: "x".into(), holder: Some(holder) },
        7 => Lease::Lost { why: "x".into(), holder: None },
        8 => Lease::Unread { why: "no answer".into() },
        _ => Lease::Released,
    }
}

/// The next thing that leads towards an effect.
fn onwards(run: &mut Run) {
    let Some(step) = run.state.current() else { return };
    let s = run.state.steps[&step].clone();
    let purpose = match s.status {
        Status::Confirming if s.proposal.is_none() || s.gates_at.is_none() => Purpose::Review,
        Status::Released => Purpose::Execute,
        Status::Ready | Status::Blocked => {
            let _ = run.ask(&driver(), Intent::Review { step });
            return;
        }
        Status::Confirming => {
            let (digest, typed) = (s.proposal.clone().unwrap().1, run.state.confirm_text(&step));
            let _ = run.ask(&driver(), Intent::Release { step, digest, typed });
            return;
        }
        Status::Running => {
            let effect = run.state.running.clone().unwrap().0;
            let outcome = Outcome::Failed("no".into());
            run.system(Intent::EffectEnded { effect, outcome, result: serde_json::json!({}) });
            return;
        }
        Status::Failed => {
            let _ = run.ask(&driver(), Intent::Retry { step });
            return;
        }
        _ => return,
    };
    let voter = step.item.clone().unwrap();
    let proposal = Some(Ok(Box::new(proposal(&voter, "uid"))));
    let changes = well(run.now);
    run.system(Intent::Prepared { step, ticket: s.ticket, purpose, changes, proposal });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No effect of a step with a `kube.` action starts but on a lease that was renewed no longer
    /// ago than it lasts, whatever was heard of it before.
    #[test]
    fn no_effect_starts_without_the_lease(
        script in prop::collection::vec((0_u8..24, 0_i64..12_000), 1..120)
    ) {
        let text = RUNBOOK.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
        let mut run = Run::new(&text, Mode::Write);
        run.reach_first_step();
        for (what, ms) in script {
            match what {
                0..=9 => {
                    let news = news(&run, what);
                    run.system(Intent::Leased { news });
                }
                10 => drop(run.system(Intent::Continued)),
                11 => drop(run.ask(&driver(), Intent::TakeLease { reason: "x".into() })),
                12 => drop(run.ask(&driver(), Intent::TakeLease { reason: String::new() })),
                _ => onwards(&mut run),
            }
            run.pass(if what < 20 { ms / 40 } else { ms });
        }
        let mut lease: Option<&Lease> = None;
        for e in &run.entries {
            match &e.event {
                Event::Lease { news } => lease = Some(news),
                Event::Continued | Event::Resumed { .. } => lease = None,
                Event::EffectStarted { .. } => {
                    let Some(Lease::Taken { asked, .. } | Lease::Renewed { asked, .. }) = lease
                    else { panic!("started on {lease:?}") };
                    prop_assert!(e.at.since(*asked) <= LASTS);
                }
                // Nobody is robbed of what he renews without a word.
                Event::LeaseClaimed { reason, .. } if reason.is_empty() => {
                    let left = matches!(lease, Some(Lease::Held { expired: true, .. }));
                    prop_assert!(left, "taken from {:?}", lease);
                }
                _ => {}
            }
        }
        let again = holdpoint::session::fold(&run.entries).unwrap();
        prop_assert_eq!(again.lease, run.state.lease);
    }
}

/// The same script without chance gets somewhere, so that the property is about something.
#[test]
fn with_the_lease_it_starts() {
    let text = RUNBOOK.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
    let mut run = Run::new(&text, Mode::Write);
    run.reach_first_step();
    (0..6).for_each(|_| onwards(&mut run));
    assert!(run.state.running.is_none());
    let refused = run.entries.iter().find_map(|e| match &e.event {
        Event::Refused { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(refused.unwrap().contains("has not been asked for yet"));
    let taken = news(&run, 0);
    run.system(Intent::Leased { news: taken });
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::CloseReview { step }).unwrap();
    while run.state.running.is_none() {
        onwards(&mut run);
    }
}

/// The keeper is told to take it over from exactly the one who was seen to hold it.
#[test]
fn a_takeover_names_whose_it_is() {
    let text = RUNBOOK.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
    let mut run = Run::new(&text, Mode::Write);
    run.reach_first_step();
    let news = news(&run, 5);
    run.system(Intent::Leased { news });
    run.ask(&driver(), Intent::TakeLease { reason: String::new() }).unwrap();
    let from = "other-run bob@elsewhere";
    let taken = |e: &&Effect| matches!(e, Effect::TakeLease { from: f } if f == from);
    assert_eq!(run.effects.iter().filter(taken).count(), 1);
}

/// What is taken over, and what is not: with a word where its holder may come back.
#[test]
fn who_may_be_robbed_of_the_lease() {
    let wants = RUNBOOK.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
    let take = |text: &str, known: Option<Lease>, reason: &str| {
        let mut run = Run::new(text, Mode::Write);
        run.reach_first_step();
        known.into_iter().for_each(|news| drop(run.system(Intent::Leased { news })));
        run.ask(&driver(), Intent::TakeLease { reason: reason.into() })
    };
    let run = Run::new(&wants, Mode::Write);
    let known = |which| Some(news(&run, which));
    for (which, reason, why) in [
        (0, "x", "holds the lease already"),
        (2, "x", "holds the lease already"),
        (4, "", "say why it is taken over"),
        (6, "", "say why it is taken over"),
        (7, "x", "it is taken by itself"),
        (8, "x", "it is taken by itself"),
        (5, " ", "a reason is needed"),
    ] {
        let refused = take(&wants, known(which), reason).unwrap_err();
        assert!(refused.contains(why), "{which}: {refused}");
    }
    assert!(take(&wants, None, "x").unwrap_err().contains("still being asked for"));
    assert!(take(RUNBOOK, None, "x").unwrap_err().contains("needs no lease"));
    for (which, reason) in [(4, "he is asleep"), (5, ""), (6, "he is asleep")] {
        let claimed = take(&wants, known(which), reason).unwrap();
        let from = "other-run bob@elsewhere".to_owned();
        assert_eq!(claimed, [Event::LeaseClaimed { from, reason: reason.into() }]);
    }
}

/// What is known already is no news, but for a renewal, which the gate goes by.
#[test]
fn only_news_of_the_lease_is_told() {
    let wants = RUNBOOK.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
    let mut run = Run::new(&wants, Mode::Write);
    run.reach_first_step();
    let mut told = |which: u8| {
        let news = news(&run, which);
        run.pass(1000);
        run.system(Intent::Leased { news }).len()
    };
    for (which, count) in [(0, 1), (2, 1), (2, 1), (6, 1), (6, 0), (4, 0), (5, 1), (5, 0), (4, 1)] {
        assert_eq!(told(which), count, "{which}");
    }
    // Another one than it was lost to.
    let mut run = Run::new(&wants, Mode::Write);
    run.reach_first_step();
    let lost = news(&run, 6);
    run.system(Intent::Leased { news: lost });
    let Lease::Held { lease, since, expired, .. } = news(&run, 4) else { panic!() };
    let news = Lease::Held { lease, holder: "third".into(), since, expired };
    assert_eq!(run.system(Intent::Leased { news }).len(), 1);
}

/// What was heard before the process was stopped, or before another took the run up, counts no
/// more: somebody else may have had the lease since.
#[test]
fn nothing_is_known_of_the_lease_after_a_while_that_nobody_saw() {
    let wants = RUNBOOK.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
    let mut run = Run::new(&wants, Mode::Write);
    run.reach_first_step();
    let taken = news(&run, 0);
    run.system(Intent::Leased { news: taken.clone() });
    assert_eq!(run.state.lease, Some(taken));
    let mut again = run.fork();
    run.system(Intent::Continued);
    again
        .ask(&driver(), Intent::Resume { recovered: None, lost: false, version: "0".into() })
        .unwrap();
    assert_eq!([run.state.lease, again.state.lease], [None, None]);
}
