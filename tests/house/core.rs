//! The run core: what was released is what runs, nothing passes on stale data, and no
//! order of answers makes it do anything twice.

mod alone;
mod anew;
mod arbitrary;
pub mod back;
mod clocks;
pub mod evidence;
mod held;
mod leased;
mod left;
mod needed;
mod offers;
mod overrides;
pub mod polled;
mod probes;
mod redlined;
mod refusals;
mod scheduled;
mod shipped;
mod slept;
mod soaks;
pub mod turns;
mod watched;
mod windows;

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Status, apply};
use holdpoint::world::*;
use serde_json::json;

#[test]
fn a_step_goes_its_way_and_the_leader_is_last() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    assert_eq!(step.to_string(), "one[vault-0]/claims");
    assert!(run.effects.iter().any(|e| matches!(e, Effect::Execute { .. })));
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    assert_eq!(run.status("one[vault-0]/claims"), Status::Verifying);
    assert!(run.state.evidence.contains_key("old"));
    let gone = |at| vec![live(Source::Claims, at, Update::Claims(Rows::all(vec![])))];
    for _ in 0..3 {
        let now = run.now;
        run.look(gone(now));
        run.pass(1000);
    }
    assert_eq!(run.status("one[vault-0]/claims"), Status::Done);
    // The leadership moves to the voter that would be next: it is the last one then.
    for _ in 0..8 {
        let now = run.now;
        let moved = vec![live(Source::Raft, now, Update::Raft(raft("vault-1").into()))];
        run.look(moved);
    }
    let order: Vec<_> = run.state.phases[0]
        .items
        .iter()
        .filter(|i| i.began.is_some())
        .map(|i| i.name.as_str())
        .collect();
    assert_eq!(order, ["vault-0", "vault-2"]);
}

#[test]
fn a_replaced_object_goes_back_to_the_operator_as_a_diff() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_changed();
    assert!(run.state.running.is_none());
    let s = &run.state.steps[&step];
    assert_eq!((s.status, &s.proposal), (Status::Ready, &None));
    assert!(s.other_objects);
    let diff = s.changed.join("\n");
    assert!(diff.contains("uid-vault-0 → another-uid"), "{diff}");
    // The old release is worth nothing, not even in a fresh review.
    let again = |digest: &str| Intent::Release {
        step: step.clone(),
        digest: digest.into(),
        typed: "vault-0".into(),
    };
    assert!(run.ask(&driver(), again(&digest)).is_err());
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    assert!(run.ask(&driver(), again(&digest)).is_err());
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "another-uid")));
    assert!(run.ask(&driver(), again(&digest)).is_err());
    let fresh = run.state.steps[&step].proposal.as_ref().unwrap().1.clone();
    run.ask(&driver(), again(&fresh)).unwrap();
}

/// Between release and effect its plan is made anew: where that cannot be, nothing is done.
#[test]
fn what_cannot_be_resolved_again_is_not_done() {
    for (proposal, said) in [
        (None, "could not be resolved again"),
        (Some(Err("forbidden: delete claims".to_owned())), "forbidden: delete claims"),
    ] {
        let mut run = Run::new(RUNBOOK, Mode::Write);
        let (step, digest) = run.reach_review();
        let typed = "vault-0".into();
        run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
        run.prepared_or_not(well(run.now), proposal);
        let s = &run.state.steps[&step];
        assert_eq!((s.status, &s.proposal, s.changed.len()), (Status::Ready, &None, 1));
        assert!(s.changed[0].contains(said), "{:?}", s.changed);
        assert!(run.effects.is_empty() && run.state.running.is_none());
    }
}

#[test]
fn what_does_not_pass_is_not_released() {
    type Spoil = fn(&mut Raft);
    let hung: Spoil = |r| {
        r.voters[2].verdict = VoterVerdict::Hung;
        r.voters[2].healthy = false;
        r.leader_answers = false;
    };
    let sealed: Spoil = |r| r.voters[0].healthy = false;
    for (spoil, named) in [(hung, "vault-2 (hung)"), (sealed, "vault-0")] {
        let mut run = Run::new(RUNBOOK, Mode::Write);
        let step = run.reach_first_step();
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        let mut bad = raft("vault-2");
        spoil(&mut bad);
        let now = run.now;
        run.prepared(
            vec![live(Source::Raft, now, Update::Raft(bad.into()))],
            Ok(proposal("vault-0", "uid-vault-0")),
        );
        let digest = run.state.steps[&step].proposal.as_ref().unwrap().1.clone();
        let why = run
            .ask(
                &driver(),
                Intent::Release {
                    step: step.clone(),
                    digest: digest.clone(),
                    typed: "vault-0".into(),
                },
            )
            .unwrap_err();
        assert!(why.contains(named), "{why}");
        // An override needs a reason, and is an event of its own.
        let gates: Vec<_> = run.state.steps[&step]
            .gates
            .iter()
            .filter(|g| g.judged.verdict != Verdict::Pass)
            .map(|g| g.gate.clone())
            .collect();
        for gate in gates {
            let bare = run.overriding(&step, &gate, " ");
            assert!(run.ask(&driver(), bare).is_err());
            let known = run.overriding(&step, &gate, "known");
            run.ask(&driver(), known).unwrap();
        }
        run.ask(&driver(), Intent::Release { step, digest, typed: "vault-0".into() }).unwrap();
    }
}

/// Outside a review too: a step whose gate does not pass is told as blocked, until it does.
#[test]
fn a_step_is_blocked_as_long_as_its_gates_do_not_pass() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    let mut bad = raft("vault-2");
    bad.voters[0].healthy = false;
    let unwell = |at| vec![live(Source::Raft, at, Update::Raft(bad.clone().into()))];
    let now = run.now;
    let review = |run: &mut Run, changes| {
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        run.prepared(changes, Ok(proposal("vault-0", "uid-vault-0")));
        assert_eq!(run.state.steps[&step].status, Status::Confirming);
        run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
        run.state.steps[&step].status
    };
    run.look(unwell(now));
    assert_eq!(run.state.steps[&step].status, Status::Blocked);
    assert_eq!(review(&mut run, unwell(now)), Status::Blocked);
    run.look(well(now));
    assert_eq!(run.state.steps[&step].status, Status::Ready);
    assert_eq!(review(&mut run, well(now)), Status::Ready);
    assert_eq!(review(&mut run, unwell(now)), Status::Blocked);
}

#[test]
fn stale_or_missing_data_is_inconclusive_before_anything_is_evaluated() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.pass(60_000);
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    // No fresh reading came: the old observation is a minute old.
    run.prepared(vec![], Ok(proposal("vault-0", "uid-vault-0")));
    let gates = &run.state.steps[&step].gates;
    assert!(gates.iter().all(|g| g.judged.verdict == Verdict::Inconclusive), "{gates:?}");
    assert!(gates[0].judged.why.contains("stale since 1m00"), "{}", gates[0].judged.why);
    let forbidden = Change {
        source: Source::Raft,
        status: holdpoint::world::Status::Forbidden { right: "list x".into() },
        as_of: None,
        reach: None,
        update: Update::Nothing,
    };
    run.look(vec![forbidden]);
    assert!(run.state.steps[&step].gates[0].judged.why.contains("forbidden: list x"));
}

#[test]
fn a_release_needs_the_name_the_digest_the_mode_and_a_free_line() {
    let release = |step: &StepAddr, digest: &str, typed: &str| Intent::Release {
        step: step.clone(),
        digest: digest.into(),
        typed: typed.into(),
    };
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    assert!(
        run.ask(&driver(), release(&step, &digest, "vault-1"))
            .unwrap_err()
            .contains("type vault-0")
    );
    assert!(
        run.ask(&driver(), release(&step, "0000", "vault-0")).unwrap_err().contains("plan changed")
    );
    run.ask(&driver(), Intent::HoldLine { reason: "wait".into() }).unwrap();
    assert!(
        run.ask(&driver(), release(&step, &digest, "vault-0"))
            .unwrap_err()
            .contains("holds the line")
    );
    run.ask(&driver(), Intent::FreeLine).unwrap();
    let viewer = Actor::Person { name: "eve".into(), role: Role::Viewer };
    assert!(run.ask(&viewer, release(&step, &digest, "vault-0")).is_err());
    run.ask(&driver(), release(&step, &digest, "vault-0")).unwrap();
    let mut run = Run::new(RUNBOOK, Mode::ReadOnly);
    let (step, digest) = run.reach_review();
    assert!(
        run.ask(&driver(), release(&step, &digest, "vault-0")).unwrap_err().contains("read-only")
    );
    // It can still be shown, done elsewhere and verified.
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
    let ticket = run.state.steps[&step].ticket;
    let probed = |verdict| Intent::Probed {
        step: step.clone(),
        ticket,
        verdict,
        why: "looked".into(),
        result: json!({}),
        changes: vec![],
    };
    let mut not_yet = run.fork();
    not_yet.system(probed(Probed::NotDone));
    assert_eq!(not_yet.state.steps[&step].status, Status::Ready);
    run.system(probed(Probed::Done));
    assert_eq!(run.state.steps[&step].status, Status::Verifying);
    assert_eq!(run.state.steps[&step].way, Way::Elsewhere);
}

#[test]
fn no_answer_is_in_doubt_and_only_its_probe_lets_it_be_accepted() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    // What runs is not ended by words, nor left out.
    let soak = Intent::EndSoak { step: step.clone(), reason: "long enough".into() };
    let why = run.ask(&driver(), soak).unwrap_err();
    assert!(why.contains("wait for its result"), "{why}");
    run.system(Intent::EffectEnded {
        effect,
        outcome: Outcome::Unknown("no answer".into()),
        result: json!(null),
    });
    assert_eq!(run.state.steps[&step].status, Status::InDoubt);
    assert!(run.ask(&driver(), Intent::Accept { step: step.clone() }).is_err());
    let ticket = run.state.steps[&step].ticket;
    let probed = |verdict, why: &str| Intent::Probed {
        step: step.clone(),
        ticket,
        verdict,
        why: why.into(),
        result: json!(null),
        changes: vec![],
    };
    // What is still under way is neither done nor begun again.
    run.system(probed(Probed::Running, "pid 7"));
    for intent in [Intent::Accept { step: step.clone() }, Intent::Retry { step: step.clone() }] {
        assert!(run.ask(&driver(), intent).unwrap_err().contains("pid 7"));
    }
    run.system(probed(Probed::Partly, "half"));
    assert!(
        run.ask(&driver(), Intent::Accept { step: step.clone() }).unwrap_err().contains("half")
    );
    // Nor does giving up make it anything else.
    let mut given_up = run.fork();
    given_up.ask(&driver(), Intent::Abort { reason: "enough".into() }).unwrap();
    assert_eq!(given_up.state.steps[&step].status, Status::InDoubt);
    run.ask(&driver(), Intent::Retry { step: step.clone() }).unwrap();
    assert_eq!((run.state.steps[&step].status, run.state.steps[&step].attempt), (Status::Ready, 2));
    assert!(run.state.steps[&step].overrides.is_empty());
}

#[test]
fn a_gap_or_an_illegal_move_is_an_error_and_changes_nothing() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    let before = format!("{:?}", run.state.steps);
    let seq = run.state.seq;
    let at = || step.clone();
    for (seq, event) in [
        (seq + 2, Event::LineFreed),
        (seq, Event::LineFreed),
        (seq + 1, Event::EffectStarted { step: at(), effect: EffectId(1), digest: "x".into() }),
        (
            seq + 1,
            Event::Verified { step: StepAddr { step: "nope".into(), ..at() }, way: Way::Ran },
        ),
        (seq + 1, Event::PhaseDone { phase: "nope".into() }),
        // What belongs to a review, a verify, a probe or a soak, outside of one.
        (seq + 1, Event::VerifyJudged { step: at(), judged: Judged::inconclusive("x", run.now) }),
        (seq + 1, Event::Probed { step: at(), verdict: Probed::Done, why: "x".into() }),
        (seq + 1, Event::SoakCounted { step: at(), observed_ms: 1 }),
        (seq + 1, Event::SoakBroken { step: at(), why: "x".into() }),
        (seq + 1, Event::SoakUnseen { step: at(), why: "x".into() }),
        (seq + 1, Event::Overridden { step: at(), gate: "healthy".into(), reason: "x".into() }),
        (seq + 1, Event::ProposalFailed { step: at(), why: "x".into() }),
        (
            seq + 1,
            Event::Proposed {
                step: at(),
                digest: "x".into(),
                proposal: Box::new(proposal("vault-0", "uid-vault-0")),
            },
        ),
    ] {
        let entry = Entry { seq, at: run.now, actor: Actor::System, event };
        assert!(apply(&mut run.state, &entry).is_err());
    }
    assert_eq!(format!("{:?}", run.state.steps), before);
}

/// What is folded of a segment that was left says where its run goes on.
#[test]
fn what_was_left_says_where_it_goes_on() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let event = Event::Moved { to: "/runs/there".into() };
    let entry = Entry { seq: run.state.seq + 1, at: run.now, actor: Actor::System, event };
    apply(&mut run.state, &entry).unwrap();
    assert_eq!(run.state.moved.as_deref(), Some("/runs/there"));
}

/// The answer was lost and the world says that it was done: it is proven by what it took away,
/// as if the answer had come.
#[test]
fn what_is_accepted_has_its_proofs() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    let outcome = Outcome::Unknown("no answer".into());
    run.system(Intent::EffectEnded { effect, outcome, result: json!(null) });
    assert_eq!(run.state.evidence.get("old"), None);
    let ticket = run.state.steps[&step].ticket;
    let (verdict, why) = (Probed::Done, "they are gone".to_owned());
    let result = json!(null);
    run.system(Intent::Probed {
        step: step.clone(),
        ticket,
        verdict,
        why,
        result,
        changes: vec![],
    });
    run.ask(&driver(), Intent::Accept { step }).unwrap();
    assert_eq!(run.state.evidence["old"][0]["uid"], "uid-vault-0");
}
