//! A plan that could not be made, while its review stays open.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Purpose, Status, planned_anew};
use holdpoint::ui::{Asked, KeyCode, Model, Overlay, Review, key};
use holdpoint::world::{Source, Update};

/// A review whose plan failed, with gates that pass.
fn failed() -> (Run, StepAddr) {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared(well(now), Err("no identity".into()));
    (run, step)
}

/// The plan that is made anew is answered.
fn anew(run: &mut Run, proposal: Result<Proposal, String>) -> Vec<Event> {
    let again = planned_anew(&run.state).unwrap();
    run.effects.push(again);
    run.prepared(well(run.now), proposal)
}

#[test]
fn a_plan_that_failed_is_made_anew_once_all_else_is_ready() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    assert_eq!(planned_anew(&run.state), None, "no review is open");
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    assert_eq!(planned_anew(&run.state), None, "the first one is on its way");
    let mut bad = raft("vault-2");
    bad.voters[0].healthy = false;
    let bad = vec![live(Source::Raft, run.now, Update::Raft(bad.into()))];
    run.prepared(bad, Err("no identity".into()));
    assert_eq!(planned_anew(&run.state), None, "a gate does not pass");
    run.look(well(run.now));
    let Some(Effect::Prepare { step: of, ticket, purpose, call, .. }) = planned_anew(&run.state)
    else {
        panic!()
    };
    assert_eq!((&of, purpose, ticket), (&step, Purpose::Review, run.state.steps[&step].ticket));
    assert!(call.is_some());
    let release = |digest: &str| Intent::Release {
        step: step.clone(),
        digest: digest.into(),
        typed: "vault-0".into(),
    };
    let why = run.ask(&driver(), release("")).unwrap_err();
    assert!(why.starts_with("no identity; it is looked at again every few seconds"), "{why}");
    // The same once more is no news.
    assert_eq!(anew(&mut run, Err("no identity".into())), []);
    let told = anew(&mut run, Err("forbidden".into()));
    assert!(
        told.iter().any(|e| matches!(e, Event::ProposalFailed { why, .. } if why == "forbidden"))
    );
    anew(&mut run, Ok(proposal("vault-0", "uid-vault-0")));
    assert_eq!(planned_anew(&run.state), None, "one was shown");
    let digest = run.state.steps[&step].proposal.as_ref().unwrap().1.clone();
    run.ask(&driver(), release(&digest)).unwrap();
    assert_eq!(run.status("one[vault-0]/claims"), Status::Released);
    assert_eq!(planned_anew(&run.state), None, "it is released");
}

/// A key that was meant for a review without a plan does not fall on the plan that comes late.
#[test]
fn a_review_is_armed_anew_when_its_plan_comes_late() {
    let (mut run, step) = failed();
    let mut model = Model {
        overlay: Overlay::Review(Review::new(step, &run.state, run.now)),
        ..Model::default()
    };
    let typed = |model: &mut Model, run: &Run| {
        model.follow(&run.state, run.now);
        assert_eq!(key(model, &run.state, KeyCode::Char('v'), run.now), Asked::Nothing);
        let Overlay::Review(open) = &model.overlay else { panic!("{model:?}") };
        open.typed.clone()
    };
    run.pass(600);
    assert_eq!(typed(&mut model, &run), "v");
    anew(&mut run, Ok(proposal("vault-0", "uid-vault-0")));
    assert_eq!(typed(&mut model, &run), "", "what was typed is void, and nothing is taken yet");
    run.pass(600);
    assert_eq!(typed(&mut model, &run), "v");
}

/// What would begin by itself does not once its plan could not be made: neither with the late plan
/// nor when its review is left, nor in a process that takes the run up.
#[test]
fn a_late_plan_of_what_begins_by_itself_waits_for_a_person() {
    let waits = "do.kube.wait = { pod = \"{{ voter }}\", until = \"ready\", within = \"1m\" }";
    let text = RUNBOOK.replacen("risk = \"destructive\"", "hold = \"none\"", 1).replacen(
        "do.kube.delete_claims = { of_pod = \"{{ voter }}\" }",
        waits,
        1,
    );
    let text = text.lines().filter(|l| !l.starts_with("confirm =")).collect::<Vec<_>>().join("\n");
    let mut run = Run::new(&text, Mode::Write);
    let step = run.reach_first_step();
    run.look(well(run.now));
    assert_eq!(run.state.steps[&step].status, Status::Confirming, "it begins by itself");
    let mut well_planned = run.fork();
    well_planned.effects.clone_from(&run.effects);
    well_planned.prepared(well(run.now), Ok(proposal("vault-0", "uid")));
    assert_eq!(well_planned.state.steps[&step].status, Status::Released);
    run.prepared(well(run.now), Err("no identity".into()));
    let waits = |run: &mut Run, status: Status| {
        for _ in 0..3 {
            run.pass(3_000);
            run.look(well(run.now));
        }
        assert_eq!(run.state.steps[&step].status, status);
    };
    let mut left = run.fork();
    left.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    waits(&mut left, Status::Ready);
    anew(&mut run, Ok(proposal("vault-0", "uid")));
    waits(&mut run, Status::Confirming);
    let mut left = run.fork();
    left.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    waits(&mut left, Status::Ready);
    let again = holdpoint::session::fold(&left.entries).unwrap();
    assert!(again.steps[&step].unplanned);
    // A person begins it.
    left.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    left.prepared(well(left.now), Ok(proposal("vault-0", "uid")));
    assert_eq!(left.state.steps[&step].status, Status::Confirming);
    let digest = left.state.steps[&step].proposal.clone().unwrap().1;
    let typed = left.state.confirm_text(&step);
    left.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
    assert_eq!(left.state.steps[&step].status, Status::Released);
}
