//! A clock that is set, a machine that sleeps: what is counted is what was looked at, and a clock that
//! went back is said.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Look, Status};
use holdpoint::world::*;
use serde_json::json;

const HOUR: i64 = 3_600_000;

fn gone(run: &Run) -> Vec<Change> {
    vec![
        live(Source::Raft, run.now, Update::Raft(raft("vault-2").into())),
        live(Source::Claims, run.now, Update::Claims(Rows::all(vec![]))),
    ]
}

fn silent(run: &Run) -> Vec<Change> {
    let mut bad = raft("vault-2");
    bad.leader_answers = false;
    vec![live(Source::Raft, run.now, Update::Raft(bad.into()))]
}

/// To a verify, with what it takes to settle and how long it has.
fn verifying(settle: &str, within: &str) -> (Run, StepAddr) {
    let text = RUNBOOK.replacen("2 in 2s", settle, 1).replacen("\"10s\"", within, 1);
    let mut run = Run::new(&text, Mode::Write);
    let (step, effect) = run.reach_running();
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    (run, step)
}

/// Three passes over ninety seconds are that, also where the machine slept in between.
#[test]
fn a_verify_settles_on_what_was_looked_at() {
    let (mut run, step) = verifying("3 in 90s", "\"10m\"");
    let passes = |run: &mut Run, ms| {
        run.pass(ms);
        run.look(gone(run));
        run.state.steps[&step].settling.clone()
    };
    passes(&mut run, 0);
    // Asleep, or the clock was set forward.
    assert_eq!(passes(&mut run, 120_000).passing, Span::secs(15));
    let settling = passes(&mut run, 2_000);
    assert_eq!((settling.passes, settling.passing), (3, Span::secs(17)));
    assert_eq!(run.state.steps[&step].status, Status::Verifying);
    for _ in 0..36 {
        assert_eq!(run.state.steps[&step].status, Status::Verifying);
        passes(&mut run, 2_000);
    }
    assert_eq!(run.state.steps[&step].status, Status::Verifying, "89 s");
    passes(&mut run, 1_000);
    assert_eq!(run.state.steps[&step].status, Status::Done);
}

/// Nor does that time count against it.
#[test]
fn a_verify_fails_on_what_was_looked_at() {
    let (mut run, step) = verifying("2 in 2s", "\"60s\"");
    run.look(well(run.now));
    for _ in 0..4 {
        run.pass(HOUR);
        run.look(well(run.now));
        assert_eq!(run.state.steps[&step].status, Status::Verifying);
    }
    run.pass(1000);
    run.look(well(run.now));
    assert_eq!(run.state.steps[&step].status, Status::Failed);
}

/// A guard that failed for a moment is not breached by a clock that was set forward; by being looked at
/// for so long it is.
#[test]
fn a_guard_is_breached_by_what_was_looked_at() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let fails = |run: &mut Run, ms| {
        run.pass(ms);
        run.observe(silent(run));
        run.state.breached().count() == 1
    };
    assert!(!fails(&mut run, 0) && !fails(&mut run, 2_000) && !fails(&mut run, HOUR));
    assert!(!fails(&mut run, 120_000), "slept once more");
    // What was seen of it before that is not lost, where it was written down.
    assert!(!fails(&mut run, 1_000) && !fails(&mut run, 1_000) && !fails(&mut run, 2_000));
    assert!(fails(&mut run, 1_000));
}

/// One that takes longer is counted on through all the looks.
#[test]
fn a_long_debounce_is_counted_look_by_look() {
    let text = RUNBOOK.replacen("for = \"5s\"", "for = \"60s\"", 1);
    let mut run = Run::new(&text, Mode::Write);
    run.reach_first_step();
    let before = run.entries.len();
    for second in 0..60 {
        run.observe(silent(&run));
        assert_eq!(run.state.breached().count(), 0, "after {second} s");
        run.pass(1_000);
    }
    run.observe(silent(&run));
    assert_eq!(run.state.breached().count(), 1);
    let told = |e: &&Entry| matches!(e.event, Event::GuardJudged { .. });
    assert_eq!(run.entries[before..].iter().filter(told).count(), 12, "one in five seconds");
}

/// A soak counts as before.
#[test]
fn a_clock_that_is_set_forward_soaks_nothing() {
    let text = RUNBOOK.replacen(
        "[[phase]]",
        "[[phase]]\nid = \"watch\"\ntitle = \"Watch\"\n[[phase.step]]\nid = \"soak\"\ntitle = \"Soak\"\n\
         soak.for = \"1h\"\nsoak.watch = [{ that = 'raft.leader_answers', says = \"the leader answers\" }]\n[[phase]]",
        1,
    );
    let mut run = Run::new(&text, Mode::Write);
    let step = run.reach_first_step();
    assert_eq!(run.state.steps[&step].status, Status::Running);
    let soaked = |run: &mut Run, ms| {
        run.pass(ms);
        run.look(well(run.now));
        run.state.steps[&step].soak.observed_ms
    };
    let before = soaked(&mut run, 0);
    assert_eq!(soaked(&mut run, 3 * HOUR), before + 15_000);
    assert_eq!(soaked(&mut run, -2 * HOUR), before + 15_000);
    assert_eq!(soaked(&mut run, 1_000), before + 16_000, "it goes on by the clock as it is");
}

/// It is said, holds the line in Holdpoint's name, and all that was timed begins anew by the clock as
/// it is now; a person who has looked lets the line go.
#[test]
fn a_clock_that_was_set_back_holds_the_line() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    run.effects.clear();
    let before = run.state.at;
    run.pass(-HOUR);
    let release = Intent::Release { step: step.clone(), digest, typed: "vault-0".into() };
    let refused = run.ask(&driver(), release.clone()).unwrap_err();
    assert!(refused.contains("holdpoint holds the line: the clock was set back 1h00"), "{refused}");
    let at =
        run.entries.iter().position(|e| matches!(e.event, Event::ClockSetBack { .. })).unwrap();
    assert_eq!(run.entries[at].event, Event::ClockSetBack { before });
    assert_eq!((run.entries[at].at, &run.entries[at].actor), (run.now, &Actor::System));
    let times: Vec<_> = run.entries.iter().map(|e| e.at).collect();
    let back = (1..times.len()).filter(|i| times[*i] < times[*i - 1]).collect::<Vec<_>>();
    assert_eq!(back, [at], "nowhere else");
    assert!(run.effects.contains(&Effect::AskLease));
    assert!(run.state.guards.values().all(|g| g.since == run.now));
    // What the panes have is from before: nobody knows how old it is.
    let standing = run.state.world.standing(Source::Raft);
    assert!(!standing.fresh(run.now));
    assert_eq!(standing.words(run.now), "heard before the clock was set back");
    // Once, however often it is looked.
    run.observe(well(run.now));
    run.system(Intent::ClockSetBack);
    let said = |run: &Run| {
        run.entries.iter().filter(|e| matches!(e.event, Event::ClockSetBack { .. })).count()
    };
    assert_eq!(said(&run), 1);
    assert!(run.ask(&driver(), release.clone()).unwrap_err().contains("holds the line"));
    run.ask(&driver(), Intent::FreeLine).unwrap();
    assert!(run.ask(&driver(), release.clone()).unwrap_err().contains("still being read"));
    run.look(well(run.now));
    run.ask(&driver(), release).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    assert_eq!(run.state.steps[&step].status, Status::Running);
    let again = holdpoint::session::fold(&run.entries).unwrap();
    assert_eq!(format!("{:?}", again.steps), format!("{:?}", run.state.steps));
    assert_eq!((again.at, again.line_held), (run.state.at, None));
}

/// A little behind is no other time: entries wait for it.
#[test]
fn a_clock_that_is_a_little_behind_is_waited_for() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let at = run.state.at;
    for ms in [-3, -4_000, 200] {
        run.pass(ms);
        run.observe(well(run.now));
        assert_eq!(run.state.at, at);
    }
    assert!(run.state.line_held.is_none());
    run.pass(10_000);
    run.observe(well(run.now));
    assert_eq!(run.state.at, run.now);
    assert!(run.entries.windows(2).all(|e| e[0].at <= e[1].at));
}

/// Whoever holds the line already goes on holding it; and a go, an hour before it was said, is none.
#[test]
fn what_was_said_at_a_time_to_come_is_asked_for_anew() {
    let mut run = Run::new(&crate::core::polled::polled(), Mode::Write);
    let step = run.reach_first_step();
    for who in ["storage", "app"] {
        let poll =
            Intent::Poll { step: step.clone(), who: who.into(), go: true, reason: String::new() };
        run.ask(&driver(), poll).unwrap();
    }
    run.ask(&driver(), Intent::HoldLine { reason: "a call".into() }).unwrap();
    run.pass(-HOUR);
    run.look(well(run.now));
    assert_eq!(run.state.line_held, Some(("a call".to_owned(), driver())));
    run.look(well(run.now));
    let gates = &run.state.steps[&step].gates;
    let poll = gates.iter().find(|g| g.gate == holdpoint::run::POLL).unwrap();
    assert_eq!(poll.judged.verdict, Verdict::Inconclusive);
    assert!(poll.judged.why.contains("the clock was set back since"), "{}", poll.judged.why);
}

/// A verify that passed for an hour to come has not passed yet; nor does a guard fail since then.
#[test]
fn what_was_counted_begins_anew_by_a_clock_that_was_set_back() {
    let (mut run, step) = verifying("3 in 20s", "\"60s\"");
    for _ in 0..2 {
        run.look(gone(&run));
        run.pass(9_500);
    }
    run.observe(silent(&run));
    run.pass(-HOUR);
    run.observe(silent(&run));
    assert_eq!(run.state.steps[&step].settling, Default::default());
    assert_eq!(run.state.breached().count(), 0);
    assert!(matches!(holdpoint::run::wants(&run.state).unwrap().look, Look::Verify(_)));
    run.look(gone(&run));
    assert_eq!(run.state.steps[&step].settling.passes, 1);
    run.pass(4_000);
    run.observe(silent(&run));
    assert_eq!(run.state.breached().count(), 0);
    run.pass(1_000);
    run.observe(silent(&run));
    assert_eq!(run.state.breached().count(), 1);
}
