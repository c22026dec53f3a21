//! The run core: what was released is what runs, nothing passes on stale data, and no
//! order of answers makes it do anything twice.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Look, Purpose, Status, apply};
use holdpoint::world::*;
use proptest::prelude::*;
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
        let moved = vec![live(Source::Raft, now, Update::Raft(Box::new(raft("vault-1"))))];
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
            vec![live(Source::Raft, now, Update::Raft(Box::new(bad)))],
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
            assert!(
                run.ask(
                    &driver(),
                    Intent::Override { step: step.clone(), gate: gate.clone(), reason: " ".into() }
                )
                .is_err()
            );
            run.ask(
                &driver(),
                Intent::Override { step: step.clone(), gate, reason: "known".into() },
            )
            .unwrap();
        }
        run.ask(&driver(), Intent::Release { step, digest, typed: "vault-0".into() }).unwrap();
    }
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
    };
    let mut not_yet = Run {
        state: run.state.clone(),
        entries: run.entries.clone(),
        now: run.now,
        effects: vec![],
    };
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
    run.system(Intent::EffectEnded {
        effect,
        outcome: Outcome::Unknown("no answer".into()),
        result: json!(null),
    });
    assert_eq!(run.state.steps[&step].status, Status::InDoubt);
    assert!(run.ask(&driver(), Intent::Accept { step: step.clone() }).is_err());
    let ticket = run.state.steps[&step].ticket;
    run.system(Intent::Probed {
        step: step.clone(),
        ticket,
        verdict: Probed::Partly,
        why: "half".into(),
        result: json!(null),
    });
    assert!(
        run.ask(&driver(), Intent::Accept { step: step.clone() }).unwrap_err().contains("half")
    );
    run.ask(&driver(), Intent::Retry { step: step.clone() }).unwrap();
    assert_eq!((run.state.steps[&step].status, run.state.steps[&step].attempt), (Status::Ready, 2));
    assert!(run.state.steps[&step].overrides.is_empty());
}

#[test]
fn a_guard_is_debounced_and_then_holds_the_release() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    let mut bad = raft("vault-2");
    bad.leader_answers = false;
    for (ms, breached) in [(0, false), (4000, false), (2000, true)] {
        run.pass(ms);
        let now = run.now;
        run.observe(vec![live(Source::Raft, now, Update::Raft(Box::new(bad.clone())))]);
        assert_eq!(run.state.breached().count() == 1, breached, "after {ms}");
    }
    let now = run.now;
    run.look(vec![live(Source::Raft, now, Update::Raft(Box::new(bad)))]);
    let why =
        run.ask(&driver(), Intent::Release { step, digest, typed: "vault-0".into() }).unwrap_err();
    assert!(why.contains("the leader answers"), "{why}");
    let now = run.now;
    run.observe(well(now));
    assert_eq!(run.state.breached().count(), 0);
}

/// Whether it is false or not known from look to look: it does not hold, and time runs.
#[test]
fn a_guard_that_wavers_between_false_and_not_known_breaches() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let mut bad = raft("vault-2");
    bad.leader_answers = false;
    for i in 0..8 {
        run.pass(1_000);
        let mut change = live(Source::Raft, run.now, Update::Raft(Box::new(bad.clone())));
        if i % 2 == 1 {
            change.status = holdpoint::world::Status::Unreachable { why: "no path".into() };
        }
        run.observe(vec![change]);
    }
    assert_eq!(run.state.breached().count(), 1);
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

fn arbitrary_intent() -> impl Strategy<Value = (u8, u8, u8)> {
    (0_u8..24, 0_u8..4, 0_u8..4)
}

/// What a person, a server or chance may do next; `stale` answers carry old tickets.
fn intent(run: &Run, (what, which, how): (u8, u8, u8)) -> (Actor, Intent) {
    let steps: Vec<StepAddr> = run.state.steps.keys().cloned().collect();
    let step = run
        .state
        .current()
        .filter(|_| which > 0)
        .or_else(|| steps.get(usize::from(how)).cloned())
        .unwrap_or(StepAddr {
            phase: "one".into(),
            item: Some("vault-0".into()),
            step: "claims".into(),
        });
    let s = run.state.steps.get(&step);
    let ticket = s.map_or(0, |s| s.ticket).saturating_sub(u64::from(how == 3));
    let digest = s.and_then(|s| s.proposal.as_ref()).map(|(_, d)| d.clone()).unwrap_or_default();
    let typed = run.state.confirm_text(&step);
    let world = if how == 2 { vec![] } else { well(run.now) };
    let voter = step.item.clone().unwrap_or_default();
    let plan = |uid: &str| Some(Ok(Box::new(proposal(&voter, uid))));
    let effect = run.state.running.as_ref().map_or(EffectId(1), |(e, _)| *e);
    let purpose = if s.is_some_and(|s| s.status == Status::Released) {
        Purpose::Execute
    } else {
        Purpose::Review
    };
    let outcome =
        [Outcome::Ok, Outcome::Failed("no".into()), Outcome::Unknown("?".into()), Outcome::Ok]
            [usize::from(how)]
        .clone();
    let verdict =
        [Probed::Done, Probed::Partly, Probed::NotDone, Probed::Unknown][usize::from(how)];
    let gone = vec![
        live(Source::Raft, run.now, Update::Raft(Box::new(raft("vault-2")))),
        live(Source::Claims, run.now, Update::Claims(Rows::all(vec![]))),
    ];
    match what {
        0 => (driver(), Intent::Review { step }),
        1 => (driver(), Intent::CloseReview { step }),
        2 | 3 => (driver(), Intent::Release { step, digest, typed }),
        4 => {
            (driver(), Intent::Override { step, gate: "healthy".into(), reason: "because".into() })
        }
        5 => (driver(), Intent::Show { step }),
        6 => (driver(), Intent::Claim { step }),
        7 => (driver(), Intent::Unclaim { step }),
        8 if how == 0 => (driver(), Intent::Skip { step, reason: "no need".into() }),
        9 => (driver(), Intent::Retry { step }),
        10 => (driver(), Intent::Accept { step }),
        11 if how == 0 => (driver(), Intent::HoldLine { reason: "wait".into() }),
        12 => (driver(), Intent::FreeLine),
        13 => (Actor::System, Intent::EffectEnded { effect, outcome, result: json!({}) }),
        14 => (
            Actor::System,
            Intent::Probed { step, ticket, verdict, why: "x".into(), result: json!({}) },
        ),
        15 | 16 => (
            Actor::System,
            Intent::Prepared {
                step,
                ticket,
                purpose,
                changes: world,
                proposal: plan(if how == 1 { "other" } else { "uid" }),
            },
        ),
        17 => (Actor::System, Intent::Looked { look: Look::Verify(step), ticket, changes: gone }),
        18 | 19 => {
            (Actor::System, Intent::Looked { look: Look::Gates(step), ticket, changes: world })
        }
        20 => (Actor::System, Intent::Tick),
        21 => (driver(), Intent::Choose { step, branch: "x".into() }),
        _ => {
            let look = holdpoint::run::wants(&run.state);
            match look {
                Some(w) => (
                    Actor::System,
                    Intent::Looked { look: w.look, ticket: w.ticket, changes: world },
                ),
                None => (Actor::System, Intent::Tick),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is asked, answered late, twice or not at all: no panic, no illegal move,
    /// no effect without its release, no two effects at once, no step done unverified;
    /// and folding the entries again gives the same state.
    #[test]
    fn nothing_happens_that_was_not_released(script in prop::collection::vec((arbitrary_intent(), 0_i64..4000), 1..120)) {
        let mut run = Run::new(RUNBOOK, Mode::Write);
        run.reach_first_step();
        for (pick, ms) in script {
            run.pass(ms);
            let (actor, intent) = intent(&run, pick);
            let _ = run.ask(&actor, intent);
        }
        let mut released: std::collections::BTreeMap<StepAddr, String> = Default::default();
        let mut running: Option<EffectId> = None;
        let mut verifying: std::collections::BTreeSet<StepAddr> = Default::default();
        let mut last_effect = 0;
        for e in &run.entries {
            match &e.event {
                Event::Released { step, digest } => {
                    // A check begins by itself; an action only when a person says so.
                    prop_assert!(e.actor.asked() || step.step == "check", "released by {:?}", e.actor);
                    released.insert(step.clone(), digest.clone());
                }
                Event::Changed { step, .. } => drop(released.remove(step)),
                Event::EffectStarted { step, effect, digest } => {
                    let bound = released.remove(step);
                    prop_assert_eq!(bound.as_ref(), Some(digest));
                    prop_assert!(running.is_none());
                    prop_assert!(effect.0 > last_effect);
                    last_effect = effect.0;
                    running = Some(*effect);
                }
                Event::EffectEnded { effect, step, .. } => {
                    prop_assert_eq!(running.take(), Some(*effect));
                    verifying.insert(step.clone());
                }
                Event::Checking { step } => drop(verifying.insert(step.clone())),
                Event::Verified { step, .. } => prop_assert!(verifying.contains(step)),
                _ => {}
            }
        }
        let executes = run.effects.iter().filter(|e| matches!(e, Effect::Execute { .. })).count();
        let starts = run.entries.iter().filter(|e| matches!(e.event, Event::EffectStarted { .. })).count();
        prop_assert_eq!(executes, starts);
        let again = holdpoint::session::fold(&run.entries).unwrap();
        prop_assert_eq!(format!("{:?}", again.steps), format!("{:?}", run.state.steps));
        prop_assert_eq!(again.world, run.state.world);
    }
}

/// Estimates of steps that are not over; items once they are known, soaks less what was
/// observed.
#[test]
fn what_remains_is_estimates_and_soaks_of_steps_that_are_not_over() {
    let runbook = RUNBOOK.replacen("risk =", "estimate = \"10m\"\nrisk =", 1)
        + r#"
[[phase]]
id = "watch"
title = "Watch"
[[phase.step]]
id = "soak"
title = "Watched"
[phase.step.soak]
for = "1h"
[[phase.step.soak.watch]]
that = 'raft.leader_answers'
says = "the leader answers"
"#;
    let mut run = Run::new(&runbook, Mode::Write);
    assert_eq!(run.state.remaining(run.now), Span::secs(4200), "one item while none is known");
    let step = run.reach_first_step();
    assert_eq!(run.state.remaining(run.now), Span::secs(3600 + 3 * 600));
    run.ask(&driver(), Intent::Skip { step, reason: "not now".into() }).unwrap();
    assert_eq!(run.state.remaining(run.now), Span::secs(3600 + 2 * 600));
}

#[test]
fn a_gap_or_an_illegal_move_is_an_error_and_changes_nothing() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    let before = format!("{:?}", run.state.steps);
    let seq = run.state.seq;
    for (seq, event) in [
        (seq + 2, Event::LineFreed),
        (seq, Event::LineFreed),
        (
            seq + 1,
            Event::EffectStarted { step: step.clone(), effect: EffectId(1), digest: "x".into() },
        ),
        (
            seq + 1,
            Event::Verified { step: StepAddr { step: "nope".into(), ..step }, way: Way::Ran },
        ),
        (seq + 1, Event::PhaseDone { phase: "nope".into() }),
    ] {
        let entry = Entry { seq, at: run.now, actor: Actor::System, event };
        assert!(apply(&mut run.state, &entry).is_err());
    }
    assert_eq!(format!("{:?}", run.state.steps), before);
}
