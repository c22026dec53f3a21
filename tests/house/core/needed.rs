//! What a step is there for may be so before anybody releases it: it is asked again before its effect.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status, wants};
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
    assert!(!changed.iter().any(|why| why.contains("not any more")), "{changed:?}");
}

/// What is not well and done already.
fn unwell_and_moved(at: Time) -> Vec<Change> {
    let mut bad = raft("vault-2");
    bad.voters[0].healthy = false;
    let mut changes = moved(at);
    changes[0] = live(Source::Raft, at, Update::Raft(bad.into()));
    changes
}

/// Done already is what is known not to be needed: not what is needed, what is not known, or what
/// another gate holds.
#[test]
fn only_what_is_known_not_to_be_needed_is_done_already() {
    let mut run = Run::new(&where_old(), Mode::Write);
    let step = run.reach_first_step();
    let done = |run: &Run| run.state.steps[&step].is_done_already();
    assert!(!done(&run));
    let unwell = unwell_and_moved(run.now).remove(0);
    run.look(vec![unwell]);
    assert_eq!((run.state.steps[&step].status, done(&run)), (Status::Blocked, false));
    run.pass(60_000);
    run.look(vec![]);
    let gates = &run.state.steps[&step].gates;
    let gate = gates.iter().find(|g| g.gate == "needed").unwrap();
    assert_eq!((gate.judged.verdict, done(&run)), (Verdict::Inconclusive, false));
    run.look(moved(run.now));
    assert!(done(&run));
}

/// A review points to asking again where that is what it lacks: not where another gate comes first, and
/// not where an override lets it go on.
#[test]
fn what_a_review_lacks_says_what_helps() {
    let refusal = |changes: &dyn Fn(Time) -> Vec<Change>, overrides: &[&str]| {
        let mut run = Run::new(&where_old(), Mode::Write);
        let step = run.reach_first_step();
        run.pass(60_000);
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        run.prepared(changes(run.now), Ok(proposal("vault-0", "uid-vault-0")));
        for gate in overrides {
            let known = run.overriding(&step, gate, "known");
            run.ask(&driver(), known).unwrap();
        }
        run.state.releasable(&step).unwrap_err().to_string()
    };
    let why = refusal(&unwell_and_moved, &[]);
    assert!(why.starts_with("every voter is healthy") && why.contains("override it"), "{why}");
    let why = refusal(&unwell_and_moved, &["healthy"]);
    assert!(why.starts_with("it is still needed") && why.contains("ask again"), "{why}");
    let why = refusal(&unwell_and_moved, &["needed"]);
    assert!(why.starts_with("every voter is healthy") && why.contains("override it"), "{why}");
    // Claims that nobody read again.
    let stale = |at: Time| vec![well(at).remove(0)];
    let why = refusal(&stale, &[]);
    assert!(why.starts_with("it is still needed: inconclusive"), "{why}");
    assert!(why.contains("override it"), "{why}");
}

/// What waits may not be needed any more: it is asked before its gates say so. In its review it is not.
#[test]
fn what_waits_is_asked_again_whether_it_is_needed() {
    let mut run = Run::new(&where_old(), Mode::Write);
    let (step, _) = run.reach_review();
    let again = || Intent::Retry { step: step.clone() };
    let why = run.ask(&driver(), again()).unwrap_err();
    assert!(why.contains("leave its review first"), "{why}");
    run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Ready);
    run.ask(&driver(), again()).unwrap();
    assert_eq!(
        (run.state.steps[&step].status, run.state.steps[&step].attempt),
        (Status::Pending, 2)
    );
    run.look(moved(run.now));
    assert_eq!(run.state.steps[&step].status, Status::NotNeeded);
    // That is all that may be asked of it.
    let skip = Intent::Skip { step: step.clone(), reason: "seen".into() };
    assert!(run.ask(&driver(), skip).is_err());
    assert_eq!(run.state.steps[&step].status, Status::NotNeeded);
    run.ask(&driver(), again()).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Pending);
}

/// What destroyed something is done, whether or not it has a `when`: it is not asked again.
#[test]
fn what_destroyed_something_is_not_asked_again() {
    let mut run = Run::new(&where_old(), Mode::Write);
    let (step, effect) = run.reach_running();
    let result = serde_json::json!({});
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result });
    for _ in 0..3 {
        run.look(vec![live(Source::Claims, run.now, Update::Claims(Rows::all(vec![])))]);
        run.pass(1000);
    }
    assert_eq!(run.state.steps[&step].status, Status::Done);
    assert!(!run.state.asked_again(&step, run.now));
    assert!(run.ask(&driver(), Intent::Retry { step: step.clone() }).is_err());
    assert_eq!(run.state.steps[&step].status, Status::Done);
}

/// What only looks does no harm: nobody reads for it once more whether it is needed.
#[test]
fn what_only_looks_is_not_held_by_whether_it_is_needed() {
    let check = "title = \"{{ voter }} is well\"\n";
    let text = RUNBOOK.replacen(
        check,
        &format!("{check}hold = \"release\"\nwhen = 'size(pods) > 0'\n"),
        1,
    );
    let mut run = Run::new(&text, Mode::Write);
    let first = run.reach_first_step();
    run.ask(&driver(), Intent::Skip { step: first, reason: "seen".into() }).unwrap();
    let step = run.reach_first_step();
    assert_eq!((step.step.as_str(), run.state.steps[&step].status), ("check", Status::Ready));
    assert!(!run.state.steps[&step].gates.iter().any(|g| g.gate == "needed"));
    assert!(!wants(&run.state).unwrap().reading.contains(&Source::Pods));
}
