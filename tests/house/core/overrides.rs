//! How far an override reaches: one failure of one gate, in one review.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status};
use holdpoint::world::*;

/// One voter is not healthy: the gate fails. With the picture gone stale it is inconclusive.
fn unwell(at: Time) -> Vec<Change> {
    let mut bad = raft("vault-2");
    bad.voters[0].healthy = false;
    vec![live(Source::Raft, at, Update::Raft(bad.into()))]
}

fn gate(run: &Run, step: &StepAddr) -> Verdict {
    let gates = &run.state.steps[step].gates;
    gates.iter().find(|g| g.gate == "healthy").unwrap().judged.verdict
}

/// A review whose gates could not be read; each is overridden.
fn overridden() -> (Run, StepAddr) {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.pass(600_000);
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(vec![], Ok(proposal("vault-0", "uid-vault-0")));
    assert_eq!(gate(&run, &step), Verdict::Inconclusive);
    let s = &run.state.steps[&step];
    assert!(s.gates.iter().all(|g| s.lacks(g) && s.overridden(g).is_none()));
    let lacking: Vec<_> = s.gates.iter().map(|g| g.gate.clone()).collect();
    for gate in lacking {
        let asked = run.overriding(&step, &gate, "seen by hand");
        run.ask(&driver(), asked).unwrap();
    }
    let s = &run.state.steps[&step];
    assert!(s.gates.iter().all(|g| !s.lacks(g) && s.overridden(g) == Some("seen by hand")));
    assert!(run.state.releasable(&step).is_ok());
    (run, step)
}

#[test]
fn an_override_does_not_cover_another_verdict() {
    let (mut run, step) = overridden();
    let now = run.now;
    run.look(unwell(now));
    assert_eq!(gate(&run, &step), Verdict::Fail);
    let why = run.state.releasable(&step).unwrap_err().0;
    assert!(why.contains("every voter is healthy"), "{why}");
    assert_eq!(run.state.steps[&step].status, Status::Confirming);
}

#[test]
fn an_override_ends_with_its_review() {
    let (mut run, step) = overridden();
    run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Blocked, "nothing is overridden any more");
    for later in [0, 3_600_000] {
        run.pass(later);
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        let now = run.now;
        let picture = if later == 0 { vec![] } else { unwell(now) };
        run.prepared(picture, Ok(proposal("vault-0", "uid-vault-0")));
        assert!(run.state.releasable(&step).is_err(), "{:?} is covered", gate(&run, &step));
        run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    }
}

/// A review that was just opened still shows what an earlier look saw: nothing of that is
/// overridden in it.
#[test]
fn what_an_earlier_look_saw_is_not_overridden() {
    let (mut run, step) = overridden();
    run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let early = run.overriding(&step, "healthy", "seen by hand");
    let why = run.ask(&driver(), early.clone()).unwrap_err();
    assert!(why.contains("still being read"), "{why}");
    run.prepared(vec![], Ok(proposal("vault-0", "uid-vault-0")));
    run.ask(&driver(), early).unwrap();
}

/// What was overridden as unknown and turns out to fail is not done: also not once released.
#[test]
fn a_release_under_an_override_is_void_when_the_gate_fails() {
    let (mut run, step) = overridden();
    let digest = run.state.steps[&step].proposal.as_ref().unwrap().1.clone();
    let typed = "vault-0".into();
    run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
    let now = run.now;
    run.prepared(unwell(now), Ok(proposal("vault-0", "uid-vault-0")));
    assert!(run.state.running.is_none());
    let s = &run.state.steps[&step];
    assert!(s.changed[0].contains("every voter is healthy"), "{:?}", s.changed);
    assert!(s.overrides.is_empty());
}

/// Its reason took a while to write, and the gate says something else by then: what was read is
/// not what would be overridden. Ages that move on meanwhile are no other thing.
#[test]
fn an_override_is_of_what_was_read_when_its_reason_was_begun() {
    let picture = |at: Time, ill: usize| {
        let mut bad = raft("vault-2");
        bad.voters[ill].healthy = false;
        vec![live(Source::Raft, at, Update::Raft(bad.into()))]
    };
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(picture(run.now, 0), Ok(proposal("vault-0", "uid-vault-0")));
    let begun = run.overriding(&step, "healthy", "it is being unsealed");
    run.pass(30_000);
    run.look(picture(run.now, 1));
    let why = run.ask(&driver(), begun.clone()).unwrap_err();
    assert!(why.starts_with("the gate says something else now: every voter is healthy"), "{why}");
    assert!(why.contains("vault-1") && why.ends_with("read it again"), "{why}");
    assert!(run.state.steps[&step].overrides.is_empty());
    // The same failure again is the one that was read.
    run.pass(5_000);
    run.look(picture(run.now, 0));
    run.ask(&driver(), begun.clone()).unwrap();
    // And one that only got older is.
    let (mut old, step) = overridden();
    old.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    old.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    old.prepared(vec![], Ok(proposal("vault-0", "uid-vault-0")));
    let begun = old.overriding(&step, "healthy", "seen by hand");
    old.pass(61_000);
    let before = old.state.steps[&step].gates[0].judged.why.clone();
    old.look(vec![]);
    assert_ne!(old.state.steps[&step].gates[0].judged.why, before);
    old.ask(&driver(), begun).unwrap();
}

/// It was given for one voter: neither another one nor one more of them, nor the same voter in
/// another way, is what was looked at.
#[test]
fn an_override_does_not_cover_another_object_or_reason() {
    let picture = |at: Time, ill: &[(usize, VoterVerdict)]| {
        let mut bad = raft("vault-2");
        for (i, verdict) in ill {
            bad.voters[*i].healthy = false;
            bad.voters[*i].verdict = *verdict;
        }
        vec![live(Source::Raft, at, Update::Raft(bad.into()))]
    };
    let sealed = VoterVerdict::Sealed;
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(picture(run.now, &[(0, sealed)]), Ok(proposal("vault-0", "uid-vault-0")));
    let asked = run.overriding(&step, "healthy", "it is being unsealed");
    run.ask(&driver(), asked).unwrap();
    for (ill, covered) in [
        (&[(0, sealed)][..], true),
        (&[(1, sealed)], false),
        (&[(0, sealed), (1, sealed)], false),
        (&[(0, VoterVerdict::Hung)], false),
        (&[(0, sealed)], true),
    ] {
        run.pass(5_000);
        let now = run.now;
        run.look(picture(now, ill));
        let said = run.state.releasable(&step);
        assert_eq!(said.is_ok(), covered, "{ill:?}: {said:?}");
        assert_eq!(run.state.steps[&step].status, Status::Confirming);
    }
}

/// How old a picture is changes with every look; that it is too old does not.
#[test]
fn an_override_outlasts_an_age() {
    let (mut run, step) = overridden();
    for _ in 0..3 {
        run.pass(61_000);
        let before = run.state.steps[&step].gates[0].judged.why.clone();
        run.look(vec![]);
        assert_ne!(run.state.steps[&step].gates[0].judged.why, before);
        assert!(run.state.releasable(&step).is_ok());
    }
}
