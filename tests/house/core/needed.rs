//! What a step is there for may be so before anybody releases it: it is asked again before its effect.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status};
use holdpoint::world::*;

/// The claims are deleted where they are on the old class.
fn where_old() -> String {
    let when =
        "when = 'claims.exists(c, c.name == \"data-\" + voter && c.class == \"nfs-proxmox\")'\n";
    RUNBOOK.replacen("risk = \"destructive\"\n", &format!("risk = \"destructive\"\n{when}"), 1)
}

/// Somebody else was there: the claim of that voter is a new one, of the new class.
fn moved(at: Time) -> Vec<Change> {
    let mut changes = well(at);
    let claims = ["vault-0", "vault-1", "vault-2"].map(|v| match v {
        "vault-0" => claim("data-vault-0", "proxmox-lvm-encrypted", "new"),
        v => claim(&format!("data-{v}"), "nfs-proxmox", &format!("uid-{v}")),
    });
    changes[1] = live(Source::Claims, at, Update::Claims(Rows::all(claims.into())));
    changes
}

fn why(run: &Run, step: &StepAddr) -> Option<String> {
    let gates = &run.state.steps[step].gates;
    let gate = gates.iter().find(|g| g.gate == "needed").expect("its gate");
    (gate.judged.verdict == Verdict::Fail).then(|| gate.judged.why.clone())
}

/// It is not offered, and asked again it is left out: nothing is done to what took its place.
#[test]
fn what_was_done_by_somebody_else_is_not_done_once_more() {
    let mut run = Run::new(&where_old(), Mode::Write);
    let step = run.reach_first_step();
    assert_eq!((run.status(&step.to_string()), why(&run, &step)), (Status::Ready, None));
    let now = run.now;
    run.look(moved(now));
    assert_eq!(run.status(&step.to_string()), Status::Blocked);
    assert!(why(&run, &step).is_some_and(|why| why.starts_with("not any more: ")));
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(moved(now), Ok(proposal("vault-0", "new")));
    let digest = run.state.steps[&step].proposal.as_ref().unwrap().1.clone();
    let release = Intent::Release { step: step.clone(), digest, typed: "vault-0".into() };
    let refused = run.ask(&driver(), release).unwrap_err();
    assert!(refused.contains("it is still needed: fail (not any more: "), "{refused}");
    assert!(refused.ends_with("(r, or retry)") && !refused.contains("override"), "{refused}");
    run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Retry { step: step.clone() }).unwrap();
    run.look(moved(now));
    assert_eq!(run.status(&step.to_string()), Status::NotNeeded);
}

/// Between release and effect, too.
#[test]
fn what_is_done_while_it_was_released_is_not_done_once_more() {
    let mut run = Run::new(&where_old(), Mode::Write);
    let (step, digest) = run.reach_review();
    let typed = "vault-0".to_owned();
    run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
    let now = run.now;
    run.prepared(moved(now), Ok(proposal("vault-0", "uid-vault-0")));
    assert!(run.state.running.is_none());
    let changed = &run.state.steps[&step].changed;
    assert!(changed.iter().any(|why| why.contains("it is still needed: fail")), "{changed:?}");
}

/// Whether it is so is known from fresh data only.
#[test]
fn whether_it_is_needed_is_not_guessed_before_an_effect() {
    let mut run = Run::new(&where_old(), Mode::Write);
    let (step, digest) = run.reach_review();
    run.pass(60_000);
    let typed = "vault-0".to_owned();
    run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
    let (now, mut changes) = (run.now, well(run.now));
    changes[1] = Change { as_of: Some(now - Span::secs(60)), ..changes[1].clone() };
    run.prepared(changes, Ok(proposal("vault-0", "uid-vault-0")));
    assert!(run.state.running.is_none());
    let changed = &run.state.steps[&step].changed;
    assert!(changed.iter().any(|why| why.contains("needed: inconclusive")), "{changed:?}");
}
