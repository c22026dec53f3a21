//! What is left when a way back is: nothing that was done on it, and a line that was held before.

use crate::core::back::{few_unsealed, go, ways};
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status};
use serde_json::json;

const ASIDE: &str = "aside[vault-0]/by-hand";

fn forward() -> Intent {
    Intent::LeaveBack { reason: "it came back".into() }
}

/// On the way back to its first step, which does something.
fn aside(text: &str) -> Run {
    let mut run = Run::new(text, Mode::Write);
    run.reach_first_step();
    run.ask(&driver(), go("aside")).unwrap();
    for _ in 0..3 {
        run.look(well(run.now));
    }
    run
}

/// With a step that Holdpoint runs itself.
fn acts() -> String {
    let by_hand = "[backout.step.manual]\ninstruction = \"Put its disk back.\"\n";
    assert!(ways().contains(by_hand));
    let waits = "do.kube.wait = { pod = \"{{ voter }}\", until = \"ready\", within = \"10m\" }\n";
    ways().replace(by_hand, waits)
}

/// Its step in hand, released and running.
fn running(run: &mut Run) -> EffectId {
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "uid")));
    let digest = run.state.steps[&step].proposal.clone().unwrap().1;
    let typed = run.state.confirm_text(&step);
    run.ask(&driver(), Intent::Release { step, digest, typed }).unwrap();
    run.prepared(well(now), Ok(proposal("vault-0", "uid")));
    run.state.running.clone().expect("it runs").0
}

/// Skipping what failed, or what nobody knows about, does not make it undone; nor does a review
/// of another attempt.
#[test]
fn a_way_back_on_which_something_was_done_is_not_left() {
    for (outcome, then) in [
        (Outcome::Failed("half".into()), Status::Skipped),
        (Outcome::Failed("half".into()), Status::Confirming),
        (Outcome::Unknown("cut".into()), Status::Skipped),
    ] {
        let mut run = aside(&acts());
        let step = run.state.current().unwrap();
        assert_eq!(step.to_string(), ASIDE);
        let effect = running(&mut run);
        let unknown = matches!(outcome, Outcome::Unknown(_));
        run.system(Intent::EffectEnded { effect, outcome, result: json!({}) });
        if unknown {
            let (ticket, changes) = (run.state.steps[&step].ticket, well(run.now));
            let (verdict, why, result) = (Probed::Unknown, "not to be seen".into(), json!(null));
            let step = step.clone();
            run.system(Intent::Probed { step, ticket, verdict, why, result, changes });
        }
        if then == Status::Skipped {
            let skip = Intent::Skip { step: step.clone(), reason: "half".into() };
            run.ask(&driver(), skip).unwrap();
        } else {
            run.ask(&driver(), Intent::Retry { step: step.clone() }).unwrap();
            run.look(well(run.now));
            run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        }
        assert_eq!(run.status(ASIDE), then);
        let why = run.ask(&driver(), forward()).unwrap_err();
        assert!(why.contains("something was done on this way"), "{why}");
        assert!(run.state.going_back());
    }
    // What was shown may have been done elsewhere.
    let mut run = aside(&ways());
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared_or_not(well(now), None);
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Unclaim { step: step.clone() }).unwrap();
    run.look(well(run.now));
    let why = run.ask(&driver(), forward()).unwrap_err();
    assert!(why.contains("something was done on this way"), "{why}");
    // Skipped before anything was done it is no reason to stay.
    let mut run = aside(&acts());
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::Skip { step, reason: "not this one".into() }).unwrap();
    run.ask(&driver(), forward()).unwrap();
    assert!(!run.state.going_back());
}

/// A breach has held the line, and somebody goes back for it.
fn back_from_a_breach() -> Run {
    let mut run = Run::new(&acts(), Mode::Write);
    run.reach_first_step();
    for _ in 0..5 {
        run.pass(3_000);
        run.observe(few_unsealed(run.now));
    }
    assert_eq!(run.state.line_held, by_guard());
    run.ask(&driver(), go("aside")).unwrap();
    assert_eq!(run.state.line_held, None, "the way back is not held");
    run
}

fn by_guard() -> Option<(String, Actor)> {
    Some(("guard quorum breached".to_owned(), Actor::System))
}

/// Who leaves the way back has not freed the line, whether the guard holds again or not.
#[test]
fn a_way_back_that_is_left_leaves_the_line_held() {
    for well_again in [false, true] {
        let mut run = back_from_a_breach();
        if well_again {
            run.observe(well(run.now));
            assert_eq!(run.state.breached().count(), 0);
        }
        run.ask(&driver(), forward()).unwrap();
        assert_eq!(run.state.line_held, by_guard(), "{well_again}");
        run.ask(&driver(), Intent::FreeLine).unwrap();
        assert_eq!(run.state.line_held, None);
    }
}

/// So does one that was walked to its end: somebody has to say that the run goes on.
#[test]
fn a_way_back_that_returns_leaves_the_line_held() {
    let mut run = back_from_a_breach();
    for _ in 0..12 {
        run.look(well(run.now));
        if let Some(step) = run.state.current().filter(|s| s.phase == "aside") {
            // May be none that waits.
            let _ = run.ask(&driver(), Intent::Skip { step, reason: "by hand".into() });
        }
        run.pass(500);
    }
    assert!(!run.state.going_back(), "it returned");
    assert_eq!(run.state.line_held, by_guard());
    let again = holdpoint::session::fold(&run.entries).unwrap();
    assert_eq!(again.line_held, by_guard());
}

/// Somebody else may hold the line on the way back: it is held for both then.
#[test]
fn a_line_that_is_held_on_the_way_back_stays_so_for_both() {
    let mut run = back_from_a_breach();
    run.ask(&driver(), Intent::HoldLine { reason: "a call".into() }).unwrap();
    run.ask(&driver(), forward()).unwrap();
    let both = "a call; guard quorum breached".to_owned();
    assert_eq!(run.state.line_held, Some((both, driver())));
}

/// What was found out on it is something as well: it is walked to its end.
#[test]
fn a_way_back_with_a_step_that_is_done_is_not_left() {
    let by_hand = "[[backout.step]]\nid = \"by-hand\"";
    let check = "[[backout.step]]\nid = \"look\"\ntitle = \"Look\"\n\
                 [backout.step.verify]\nthat = 'raft.leader_answers'\n";
    let mut run = aside(&ways().replacen(by_hand, &format!("{check}{by_hand}"), 1));
    for _ in 0..8 {
        run.look(well(run.now));
        run.pass(1_000);
    }
    assert_eq!(run.status("aside[vault-0]/look"), Status::Done);
    let why = run.ask(&driver(), forward()).unwrap_err();
    assert!(why.contains("aside[vault-0]/look is done"), "{why}");
}
