//! What begins without being asked, and what never does.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Status, planned_anew};

/// One step that needs nobody, of each kind.
fn alone(does: &str, mode: Mode) -> Run {
    let text = format!(
        r#"
format = 1
id = "x"
title = "X"
owner = "tests"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "first"
title = "First"
hold = "none"
{does}
"#
    );
    let mut run = Run::new(&text, mode);
    run.observe(well(run.now));
    for _ in 0..2 {
        run.look(well(run.now));
    }
    run
}

const ACTION: &str = r#"do.vault.step_down = { node = "vault-2" }"#;
const CHECK: &str = "verify.that = 'raft.leader_answers'";
const MANUAL: &str = r#"manual.instruction = "Do it.""#;

/// Only a writing run starts an action by itself, and only with its plan; what a person
/// has to do begins with a person; what only looks begins in every run.
#[test]
fn what_begins_by_itself() {
    let plan = || Some(Ok(proposal("vault-2", "uid")));
    let failed = || Some(Err("forbidden".to_owned()));
    for (does, mode, proposal, opens, released) in [
        (ACTION, Mode::Write, plan(), Some(Status::Confirming), Status::Released),
        (ACTION, Mode::Write, failed(), Some(Status::Confirming), Status::Confirming),
        (ACTION, Mode::ReadOnly, plan(), None, Status::Confirming),
        (MANUAL, Mode::Write, None, None, Status::Confirming),
        (CHECK, Mode::Write, None, Some(Status::Verifying), Status::Released),
        (CHECK, Mode::ReadOnly, None, Some(Status::Verifying), Status::Released),
    ] {
        let mut run = alone(does, mode);
        let step = run.state.current().unwrap();
        assert_eq!(run.state.steps[&step].status, Status::Ready);
        let status = |run: &Run| run.state.steps[&step].status;
        let mut looked = run.fork();
        looked.look(well(run.now));
        assert_eq!(status(&looked), opens.unwrap_or(Status::Ready), "{does} {mode:?}");
        // The same where a person opened its review, and not while the line is held.
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        let mut held = run.fork();
        held.effects.clone_from(&run.effects);
        held.ask(&driver(), Intent::HoldLine { reason: "wait".into() }).unwrap();
        held.prepared_or_not(well(run.now), proposal.clone());
        assert_eq!(status(&held), Status::Confirming, "{does} {mode:?}, held");
        run.prepared_or_not(well(run.now), proposal);
        assert_eq!(status(&run), released, "{does} {mode:?}, reviewed");
    }
}

/// A step that goes by itself and cannot be resolved stays in its review and says why.
#[test]
fn what_cannot_be_filled_in_is_not_released_by_itself() {
    let text = r#"
format = 1
id = "x"
title = "X"
owner = "tests"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "first"
title = "First"
hold = "release"
do.vault.step_down = { node = "vault-2" }
capture.old = 'before'
[[phase.step]]
id = "second"
title = "Second"
hold = "none"
do.vault.step_down = { node = "{{ evidence.old[0].name }}" }
"#;
    let mut run = Run::new(text, Mode::Write);
    let first = run.reach_first_step();
    run.ask(&driver(), Intent::Skip { step: first, reason: "nobody captures".into() }).unwrap();
    for _ in 0..3 {
        let now = run.now;
        run.look(well(now));
    }
    let step = run.state.current().unwrap();
    let Effect::Prepare { step: asked, ticket, purpose, call, .. } = run.effects.pop().unwrap()
    else {
        panic!("{:?}", run.effects)
    };
    assert_eq!((&asked, &call), (&step, &None), "evidence that nobody captured");
    let changes = well(run.now);
    run.system(Intent::Prepared { step: asked, ticket, purpose, changes, proposal: None });
    let s = &run.state.steps[&step];
    assert_eq!(s.status, Status::Confirming);
    let why = s.proposal_error.clone().unwrap();
    assert!(why.contains("cannot be filled in"), "{why}");
    assert!(run.entries.iter().all(|e| !matches!(e.event, Event::Released { .. })));
}

/// Its person was shown that it failed, and so is shown what it would do before it is done.
#[test]
fn a_step_whose_plan_comes_late_is_not_released_by_itself() {
    let mut run = alone(ACTION, Mode::Write);
    run.look(well(run.now));
    run.prepared(well(run.now), Err("no answer".into()));
    let again = planned_anew(&run.state).unwrap();
    run.effects.push(again);
    run.prepared(well(run.now), Ok(proposal("vault-2", "uid")));
    let step = run.state.current().unwrap();
    let s = &run.state.steps[&step];
    assert_eq!((s.status, s.proposal_error.as_ref()), (Status::Confirming, None));
    assert!(run.state.releasable(&step).is_ok());
}
