//! What is watched all the while: guards, and how long what is left will take.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Look, Status, wants};
use holdpoint::world::*;
use serde_json::json;

#[test]
fn a_guard_is_debounced_and_then_holds_the_release() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    let mut bad = raft("vault-2");
    bad.leader_answers = false;
    for (ms, breached) in [(0, false), (4000, false), (2000, true)] {
        run.pass(ms);
        let now = run.now;
        run.observe(vec![live(Source::Raft, now, Update::Raft(bad.clone().into()))]);
        assert_eq!(run.state.breached().count() == 1, breached, "after {ms}");
    }
    let now = run.now;
    run.look(vec![live(Source::Raft, now, Update::Raft(bad.into()))]);
    run.ask(&driver(), Intent::FreeLine).unwrap();
    let why =
        run.ask(&driver(), Intent::Release { step, digest, typed: "vault-0".into() }).unwrap_err();
    assert!(why.contains("the leader answers"), "{why}");
    let now = run.now;
    run.observe(well(now));
    assert_eq!(run.state.breached().count(), 0);
}

/// Before its source was heard for the first time nothing is amiss; one that never answers is.
#[test]
fn a_guard_waits_until_its_source_was_heard() {
    let text = RUNBOOK.replace("for = \"5s\"", "for = \"0s\"");
    assert_ne!(text, RUNBOOK);
    let mut run = Run::new(&text, Mode::Write);
    for _ in 0..10 {
        run.pass(1_000);
        run.system(Intent::Tick);
    }
    assert!(run.state.guards.is_empty() && run.state.line_held.is_none());
    let silent = Change {
        source: Source::Raft,
        status: holdpoint::world::Status::Unreachable { why: "no answer".into() },
        as_of: None,
        reach: None,
        update: Update::Nothing,
    };
    for _ in 0..2 {
        run.observe(vec![silent.clone()]);
        run.pass(1_000);
    }
    assert_eq!(run.state.breached().count(), 1);
}

/// The line is held in Holdpoint's name, stays so when the guard holds again, and is freed by a
/// person: also while the guard is breached, which is a gate all the same.
#[test]
fn a_breach_holds_the_line_until_a_person_frees_it() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    let mut bad = raft("vault-2");
    bad.leader_answers = false;
    let silent = |at| vec![live(Source::Raft, at, Update::Raft(bad.clone().into()))];
    for _ in 0..2 {
        run.observe(silent(run.now));
        run.pass(2_500);
    }
    assert_eq!(run.state.line_held, None, "not breached yet");
    run.observe(silent(run.now));
    let by_guard = Some(("guard quorum breached".to_owned(), Actor::System));
    assert_eq!((run.state.breached().count(), &run.state.line_held), (1, &by_guard));
    let holds = |run: &Run| {
        run.entries.iter().filter(|e| matches!(e.event, Event::LineHeld { .. })).count()
    };
    run.pass(5_000);
    run.observe(silent(run.now));
    assert_eq!(holds(&run), 1, "one breach, one hold");
    let release = Intent::Release { step: step.clone(), digest, typed: "vault-0".into() };
    let why = run.ask(&driver(), release.clone()).unwrap_err();
    assert!(why.contains("holdpoint holds the line: guard quorum breached"), "{why}");
    // It holds again: whoever looks decides when to go on.
    let mut again = run.fork();
    again.observe(well(again.now));
    assert_eq!((again.state.breached().count(), &again.state.line_held), (0, &by_guard));
    assert!(again.ask(&driver(), release.clone()).unwrap_err().contains("holds the line"));
    again.system(Intent::FreeLine);
    assert_eq!(again.state.line_held, by_guard, "never by itself");
    again.ask(&driver(), Intent::FreeLine).unwrap();
    again.look(well(again.now));
    again.ask(&driver(), release.clone()).unwrap();
    // Freed while it is breached: not held again, and the gate stands until it is overridden.
    run.look(silent(run.now));
    run.ask(&driver(), Intent::FreeLine).unwrap();
    run.pass(20_000);
    run.observe(silent(run.now));
    run.look(silent(run.now));
    assert_eq!((run.state.breached().count(), &run.state.line_held), (1, &None));
    assert!(run.ask(&driver(), release.clone()).unwrap_err().contains("the leader answers"));
    let asked = run.overriding(&step, "guard:quorum", "seen by hand");
    run.ask(&driver(), asked).unwrap();
    run.ask(&driver(), release).unwrap();
    run.prepared(silent(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    assert!(run.state.running.is_some());
}

/// Who holds it already goes on holding it; and what breaches anew holds it anew.
#[test]
fn a_breach_leaves_a_held_line_to_its_holder() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let mut bad = raft("vault-2");
    bad.leader_answers = false;
    let breach = |run: &mut Run| {
        for _ in 0..3 {
            run.pass(5_000);
            run.observe(vec![live(Source::Raft, run.now, Update::Raft(bad.clone().into()))]);
        }
        assert_eq!(run.state.breached().count(), 1);
    };
    run.ask(&driver(), Intent::HoldLine { reason: "a call".into() }).unwrap();
    breach(&mut run);
    assert_eq!(run.state.line_held, Some(("a call".to_owned(), driver())));
    run.observe(well(run.now));
    run.ask(&driver(), Intent::FreeLine).unwrap();
    breach(&mut run);
    assert_eq!(run.state.line_held.clone().map(|(_, by)| by), Some(Actor::System));
}

/// What runs goes on to its end, unless its step says that a breach ends it; on the way back a
/// guard is what one goes back for.
#[test]
fn a_breach_ends_what_runs_only_where_its_step_says_so() {
    let stops = RUNBOOK.replacen("risk = \"destructive\"", "on_breach = \"stop\"", 1).replacen(
        "do.kube.delete_claims = { of_pod = \"{{ voter }}\" }",
        "do.kube.wait = { pod = \"{{ voter }}\", until = \"ready\", within = \"10m\" }",
        1,
    );
    let finishes = stops.replacen("on_breach = \"stop\"", "on_breach = \"finish\"", 1);
    for (text, ends) in [(&stops, true), (&finishes, false)] {
        let mut run = Run::new(text, Mode::Write);
        let (step, digest) = run.reach_review();
        run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed: "vault-0".into() })
            .unwrap();
        let now = run.now;
        run.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
        let (effect, _) = run.state.running.clone().unwrap();
        let mut bad = raft("vault-2");
        bad.leader_answers = false;
        // Long after the breach it is not told twice.
        for _ in 0..4 {
            run.pass(5_000);
            run.observe(vec![live(Source::Raft, run.now, Update::Raft(bad.clone().into()))]);
        }
        assert!(run.state.line_held.is_some());
        let why = "guard quorum breached".to_owned();
        let told: Vec<_> = run.entries.iter().map(|e| &e.event).collect();
        let told: Vec<_> =
            told.into_iter().filter(|e| matches!(e, Event::Stopping { .. })).cloned().collect();
        let wanted = Event::Stopping { step, effect, why: why.clone() };
        assert_eq!(told, if ends { vec![wanted] } else { vec![] });
        let stop = Effect::Stop { effect, why };
        assert_eq!(run.effects.iter().filter(|e| **e == stop).count(), usize::from(ends));
        assert!(run.state.running.is_some(), "only its own result ends it");
    }
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
        let mut change = live(Source::Raft, run.now, Update::Raft(bad.clone().into()));
        if i % 2 == 1 {
            change.status = holdpoint::world::Status::Unreachable { why: "no path".into() };
        }
        run.observe(vec![change]);
    }
    assert_eq!(run.state.breached().count(), 1);
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
    let left = |run: &Run| run.state.remaining(run.now);
    assert_eq!(left(&run), Span::secs(4200), "one item while none is known");
    run.observe(well(run.now));
    assert_eq!(left(&run), Span::secs(3600 + 3 * 600), "as many as there would be now");
    for (voter, more) in [("vault-0", 2), ("vault-1", 1), ("vault-2", 0)] {
        let step = run.reach_first_step();
        assert_eq!(step.to_string(), format!("one[{voter}]/claims"));
        assert_eq!(left(&run), Span::secs(3600 + (more + 1) * 600));
        run.ask(&driver(), Intent::Skip { step, reason: "not now".into() }).unwrap();
        assert_eq!(left(&run), Span::secs(3600 + more * 600));
        for _ in 0..5 {
            let now = run.now;
            if run.status(&format!("one[{voter}]/check")) == Status::Done {
                break;
            }
            run.look(well(now));
        }
    }
    run.reach_first_step();
    assert_eq!((run.status("watch/soak"), left(&run)), (Status::Running, Span::secs(3600)));
    for observed in [10, 20] {
        run.pass(10_000);
        let now = run.now;
        run.look(well(now));
        assert_eq!(left(&run), Span::secs(3600 - observed));
    }
}

/// All of it is in the journal; the screen has the end of it, in order.
#[test]
fn of_long_output_the_last_lines_are_kept() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = run.reach_running();
    for (more, first, last) in [(3, 0, 2), (497, 0, 499), (2, 2, 501)] {
        for text in (last + 1 - more)..=last {
            let text = text.to_string();
            run.system(Intent::Output { effect, stream: Stream::Out, text });
        }
        let kept: Vec<usize> = run.state.output.iter().map(|l| l.text.parse().unwrap()).collect();
        assert_eq!(kept, (first..=last).collect::<Vec<_>>());
    }
}

/// Nobody reads more of a line on a screen; it ends between two letters.
#[test]
fn of_a_long_line_the_beginning_is_kept() {
    let kept = |text: String| {
        let mut run = Run::new(RUNBOOK, Mode::Write);
        let (_, effect) = run.reach_running();
        run.system(Intent::Output { effect, stream: Stream::Out, text });
        run.state.output.back().unwrap().text.clone()
    };
    assert_eq!(kept("a".repeat(4096)), "a".repeat(4096));
    assert_eq!(kept("a".repeat(4097)), format!("{}…", "a".repeat(4096)));
    assert_eq!(kept(format!("a{}", "é".repeat(3000))), format!("a{}…", "é".repeat(2047)));
}

/// What takes long is looked at less often, and as often as it settles once it passes.
#[test]
fn a_verify_that_does_not_pass_is_looked_at_less_and_less_often() {
    let mut run = Run::new(&RUNBOOK.replace("within = \"10s\"", "within = \"10m\""), Mode::Write);
    let (_, effect) = run.reach_running();
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    let every = |run: &Run| wants(&run.state).unwrap().every;
    let first = every(&run);
    assert!(first <= Span::secs(2), "{first}");
    let mut last = first;
    for _ in 0..6 {
        for _ in 0..4 {
            run.pass(5_000);
            run.look(well(run.now));
        }
        let now = every(&run);
        assert!(now >= last && now <= Span::secs(5), "{last} {now}");
        last = now;
    }
    assert_eq!(last, Span::secs(5));
    run.look(vec![live(Source::Claims, run.now, Update::Claims(Rows::all(vec![])))]);
    if let Some(want) = wants(&run.state).filter(|w| matches!(w.look, Look::Verify(_))) {
        assert_eq!(want.every, first, "it settles");
    }
}
