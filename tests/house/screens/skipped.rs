//! What was skipped does not look done, also where its steps are folded away.

use super::*;
use holdpoint::run::Status;

#[test]
fn what_was_skipped_does_not_look_done() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let mut drawn = Vec::new();
    for _ in 0..60 {
        run.pass(2000);
        run.look(well(run.now));
        let Some(step) = run.state.current().filter(|_| run.state.ended.is_none()) else {
            continue;
        };
        let claims = step.step == "claims" && run.status(&step.to_string()) == Status::Ready;
        if claims && step.item.as_deref() != Some("vault-2") {
            run.ask(&driver(), Intent::Skip { step, reason: "it is on the new disk".into() })
                .unwrap();
        } else if claims {
            let frame = shown(run.fork(), Overlay::None, &[]);
            drawn.push(screen(&frame, (120, 40)));
            run.ask(&driver(), Intent::Skip { step, reason: "so is this".into() }).unwrap();
        }
    }
    assert_eq!(run.state.ended, Some(true));
    let open = drawn.first().unwrap();
    assert!(open.contains("↷ vault-0") && open.contains("↷ vault-1"), "{open}");
    assert!(open.contains("▶ 1 One at a time") && !open.contains("skipped ·"), "{open}");
    let over = screen(&shown(run, Overlay::None, &[]), (120, 40));
    assert!(over.contains("↷ 1 One at a time") && over.contains("3 skipped · 3 of 3"), "{over}");
    assert!(over.contains("5 Over") && !over.contains("5 Done"), "{over}");
}
