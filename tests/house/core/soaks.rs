//! Soaks: only what is observed counts, what breaks begins anew, and what nobody sees stands.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Look, Status};
use holdpoint::world::*;

const SOAK: &str = r#"
format = 1
id = "soak"
title = "Soak"
owner = "tests"
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

/// An answer to another question than the one that stands is worth nothing.
#[test]
fn a_soak_counts_only_while_it_runs_and_ends_with_the_run() {
    let mut run = Run::new(SOAK, Mode::Write);
    run.observe(well(run.now));
    let step: StepAddr = "watch/soak".parse().unwrap();
    for _ in 0..2 {
        run.look(well(run.now));
    }
    let answers = |run: &mut Run| {
        let ticket = run.state.steps[&step].ticket;
        [Look::Soak(step.clone()), Look::Verify(step.clone()), Look::Gates(step.clone())].map(
            |look| {
                let changes = well(run.now);
                run.system(Intent::Looked { look, ticket, changes })
            },
        )
    };
    run.ask(&driver(), Intent::HoldLine { reason: "wait".into() }).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Ready);
    let [soak, verify, _] = answers(&mut run);
    assert_eq!((soak, verify), (vec![], vec![]));
    run.ask(&driver(), Intent::FreeLine).unwrap();
    run.look(well(run.now));
    assert_eq!(run.state.steps[&step].status, Status::Running);
    run.pass(1000);
    let [soak, verify, gates] = answers(&mut run);
    assert_eq!((soak.len(), verify, gates), (1, vec![], vec![]));
    // Nothing was done that could be in doubt.
    run.ask(&driver(), Intent::Abort { reason: "enough".into() }).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Aborted);
}

/// A soak that a person lets begin is watched as long as any other, also under an override.
#[test]
fn a_soak_that_is_released_is_a_soak() {
    let held = SOAK.replacen("title = \"Watched\"", "title = \"Watched\"\nhold = \"release\"", 1);
    let gate = "[[phase.step.gate]]\nid = \"four\"\nthat = 'raft.unsealed > 3'\nsays = \"four\"\n";
    let gated = held.replacen("[phase.step.soak]", &format!("{gate}[phase.step.soak]"), 1);
    for text in [held, gated.clone()] {
        let mut run = Run::new(&text, Mode::ReadOnly);
        run.observe(well(run.now));
        for _ in 0..3 {
            run.look(well(run.now));
        }
        let step = run.state.current().unwrap();
        let waits = if text == gated { Status::Blocked } else { Status::Ready };
        assert_eq!(run.state.steps[&step].status, waits);
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        run.prepared_or_not(well(run.now), None);
        if text == gated {
            let known = run.overriding(&step, "four", "there are three");
            run.ask(&driver(), known).unwrap();
        }
        let (digest, typed) = (String::new(), String::new());
        run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
        run.prepared_or_not(well(run.now), None);
        let s = &run.state.steps[&step];
        let began = (Status::Running, Some(run.now), 0);
        assert_eq!((s.status, s.soak.last, s.soak.observed_ms), began);
    }
}

/// Every breach is told and stops the clock, also one for the reason of the last; while it
/// lasts, only a new reason is news.
#[test]
fn a_soak_that_breaks_again_for_the_same_reason_starts_again() {
    let mut run = Run::new(SOAK, Mode::Write);
    run.observe(well(run.now));
    for _ in 0..3 {
        run.look(well(run.now));
    }
    let mut silent = raft("vault-2");
    silent.leader_answers = false;
    let bad = |at| vec![live(Source::Raft, at, Update::Raft(silent.clone().into()))];
    let lost = |at| -> Vec<Change> {
        let why = "no path".into();
        let status = holdpoint::world::Status::Unreachable { why };
        bad(at).into_iter().map(|c| Change { status: status.clone(), ..c }).collect()
    };
    let clock = |run: &Run| run.state.steps.values().map(|s| s.soak.observed_ms).sum::<u64>();
    for _ in 0..2 {
        run.pass(5_000);
        run.look(well(run.now));
        assert_eq!(clock(&run), 5_000);
        let told = [bad(run.now), bad(run.now), lost(run.now), bad(run.now)]
            .map(|changes| run.look(changes).len());
        assert_eq!(told, [1, 0, 0, 0], "broken stays broken while nobody sees it");
        run.look(well(run.now));
        assert_eq!(clock(&run), 0);
    }
}

/// What nobody sees counts nothing and breaks nothing; what is seen to be broken then does.
#[test]
fn a_soak_that_is_not_seen_stands() {
    let mut run = Run::new(SOAK, Mode::Write);
    run.observe(well(run.now));
    for _ in 0..3 {
        run.look(well(run.now));
    }
    let lost = |at, why: &str| -> Vec<Change> {
        let status = holdpoint::world::Status::Unreachable { why: why.into() };
        well(at).into_iter().map(|c| Change { status: status.clone(), ..c }).collect()
    };
    let clock = |run: &Run| run.state.steps.values().map(|s| s.soak.observed_ms).sum::<u64>();
    let unseen = |run: &Run| run.state.steps.values().any(|s| s.soak.unseen.is_some());
    run.pass(5_000);
    run.look(well(run.now));
    for round in 0..2 {
        run.pass(2_000);
        let whys = ["no path, seen 3s ago", "no path, seen 5s ago", "no route"];
        let told = whys.map(|why| run.look(lost(run.now, why)).len());
        assert_eq!(told, [1, 0, 1], "{round}: once, and when it is for another reason");
        assert!(unseen(&run));
        run.pass(600_000);
        run.look(well(run.now));
        assert_eq!((clock(&run), unseen(&run)), (5_000, false), "{round}");
        let again = holdpoint::session::fold(&run.entries).unwrap();
        assert_eq!(format!("{:?}", again.steps), format!("{:?}", run.state.steps));
    }
    run.pass(1_000);
    run.look(well(run.now));
    assert_eq!(clock(&run), 6_000);
    let mut silent = raft("vault-2");
    silent.leader_answers = false;
    // Broken for the same reason as before, it is broken again.
    for round in 0..2 {
        run.look(lost(run.now, "no path"));
        let bad = live(Source::Raft, run.now, Update::Raft(silent.clone().into()));
        assert_eq!(run.look(vec![bad]).len(), 1, "{round}");
        assert!(!unseen(&run));
        run.look(well(run.now));
        assert_eq!(clock(&run), 0, "{round}: it begins anew");
        run.pass(3_000);
        run.look(well(run.now));
        assert_eq!(clock(&run), 3_000, "{round}");
    }
}

/// What runs is not ended as a soak is: its result is waited for.
#[test]
fn an_effect_is_not_ended_as_a_soak() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    let end = Intent::EndSoak { step: step.clone(), reason: "long enough".into() };
    let why = run.ask(&driver(), end).unwrap_err();
    assert!(why.contains("an effect is running, not a soak"), "{why}");
    assert_eq!(run.state.running, Some((effect, step)));
}
