//! The change window: a gate of every step that acts, and of nothing else.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status, WINDOW};
use holdpoint::world::{Rows, Source, Update};

pub const MINUTE: i64 = 60_000;

/// Four hours, of which 45 minutes are kept; each voter takes twenty minutes, and the last one
/// is soaked.
pub fn timed() -> String {
    let window = "owner = \"tests\"\n[window]\nlength = \"4h\"\nbackout_reserve = \"45m\"\n";
    let small = RUNBOOK.replacen("owner = \"tests\"\n", window, 1).replacen(
        "confirm = ",
        "estimate = \"20m\"\nconfirm = ",
        1,
    );
    format!(
        "{small}[[phase]]\nid = \"watch\"\ntitle = \"Watch\"\n[[phase.step]]\nid = \"soak\"\n\
         title = \"Soak\"\nsoak.for = \"24h\"\n"
    )
}

/// At the first step, in a window that starts so many minutes from then.
fn begun(starts: i64) -> (Run, StepAddr) {
    let mut run = Run::new(&timed(), Mode::Write);
    let start = Time(run.now.0 + starts * MINUTE);
    let end = start + Span::secs(4 * 3600);
    let window = Slot { start, end };
    if end > run.now {
        run.ask(&driver(), Intent::SetWindow { window, reason: "agreed".into() }).unwrap();
    }
    let step = run.reach_first_step();
    (run, step)
}

/// The gate after so many minutes, and its reason.
fn after(run: &mut Run, step: &StepAddr, minutes: i64) -> (Verdict, String) {
    run.pass(minutes * MINUTE);
    let now = run.now;
    run.look(well(now));
    let gates = &run.state.steps[step].gates;
    let gate = gates.iter().find(|g| g.gate == WINDOW).expect("a window");
    (gate.judged.verdict, gate.judged.why.clone())
}

#[test]
fn going_forward_needs_time_in_the_window() {
    let (mut run, step) = begun(-1);
    assert_eq!(after(&mut run, &step, 0), (Verdict::Pass, String::new()));
    // Three voters of twenty minutes each come before the soak.
    assert_eq!(after(&mut run, &step, 178).0, Verdict::Pass);
    let (verdict, why) = after(&mut run, &step, 2);
    assert_eq!(verdict, Verdict::Fail);
    assert!(why.contains("59m00 left") && why.contains("take 1h or more"), "{why}");
    let (verdict, why) = after(&mut run, &step, 15);
    assert_eq!(verdict, Verdict::Fail);
    assert!(why.contains("44m00 left, 45m are kept for going back"), "{why}");
    assert_eq!(run.state.steps[&step].status, Status::Blocked);
    // With a reason it may go on, until the window itself is over.
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
    let seen = run.state.steps[&step].mark(WINDOW).unwrap();
    let gate = Intent::Override {
        step: step.clone(),
        gate: WINDOW.into(),
        seen,
        reason: "the last voter".into(),
    };
    run.ask(&driver(), gate).unwrap();
    assert!(run.state.releasable(&step).is_ok());
    after(&mut run, &step, 1);
    assert!(run.state.releasable(&step).is_ok(), "a minute less is the same failure");
    let (verdict, why) = after(&mut run, &step, 44);
    assert_eq!(verdict, Verdict::Fail);
    assert!(why.contains("it ended 1m00 ago"), "{why}");
    assert!(run.state.releasable(&step).is_err(), "that was not what was overridden");
    // The next one is a person's word.
    let next = Slot { start: run.now, end: run.now + Span::secs(4 * 3600) };
    run.ask(&driver(), Intent::SetWindow { window: next, reason: "the next night".into() })
        .unwrap();
    assert_eq!(after(&mut run, &step, 0).0, Verdict::Pass);
    let over = Slot { start: Time(0), end: Time(1) };
    let why =
        run.ask(&driver(), Intent::SetWindow { window: over, reason: "x".into() }).unwrap_err();
    assert!(why.contains("over already"), "{why}");
}

/// Nothing starts early, not even with a reason; another window can be set.
#[test]
fn nothing_starts_before_the_window_opens() {
    let (mut run, step) = begun(30);
    let (verdict, why) = after(&mut run, &step, 10);
    assert_eq!(verdict, Verdict::Fail);
    assert!(why.contains("it opens in 20m00"), "{why}");
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
    let early = Intent::Override {
        step: step.clone(),
        gate: WINDOW.into(),
        seen: run.state.steps[&step].mark(WINDOW).unwrap(),
        reason: "I am here".into(),
    };
    let why = run.ask(&driver(), early).unwrap_err();
    assert!(why.contains("nothing starts early"), "{why}");
    assert_eq!(after(&mut run, &step, 20).0, Verdict::Pass);
}

/// What is just enough is enough, and at its very start it has begun.
#[test]
fn its_edges_belong_to_it() {
    let (mut run, step) = begun(0);
    assert_eq!(after(&mut run, &step, 180), (Verdict::Pass, String::new()));
    let (_, why) = after(&mut run, &step, 15);
    assert!(why.contains("45m00 left, the steps up to the next soak"), "{why}");
    let (mut run, step) = begun(30);
    let start = run.now + Span::secs(1800);
    let window = Slot { start, end: start + Span::secs(600) };
    run.ask(&driver(), Intent::SetWindow { window, reason: "agreed".into() }).unwrap();
    assert!(after(&mut run, &step, 30).1.contains("10m00 left"));
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    let known = run.overriding(&step, WINDOW, "agreed");
    run.ask(&driver(), known).unwrap();
}

/// It bounds releases: checks and soaks go on outside of it, and so does the way back.
#[test]
fn checks_soaks_and_the_way_back_are_not_bound() {
    let text = timed().replace("[[phase]]\nid = \"watch\"", "[[backout]]\nid = \"home\"\ntitle = \"Home\"\n[[backout.step]]\nid = \"hand\"\ntitle = \"By hand\"\n[backout.step.manual]\ninstruction = \"x\"\n[[phase]]\nid = \"watch\"");
    let mut run = Run::new(&text, Mode::Write);
    let window = Slot { start: run.now, end: run.now + Span::secs(3600) };
    run.ask(&driver(), Intent::SetWindow { window, reason: "agreed".into() }).unwrap();
    let step = run.reach_first_step();
    assert_eq!(after(&mut run, &step, 120).0, Verdict::Fail);
    run.ask(&driver(), Intent::Skip { step, reason: "another night".into() }).unwrap();
    for _ in 0..4 {
        let now = run.now;
        run.look(well(now));
        run.pass(1000);
    }
    assert_eq!(run.status("one[vault-0]/check"), Status::Done);
    let back = Intent::GoBack { section: "home".into(), reason: "late".into() };
    run.ask(&driver(), back).unwrap();
    for _ in 0..3 {
        let now = run.now;
        run.look(well(now));
    }
    let hand = run.state.current().unwrap();
    assert_eq!((hand.phase.as_str(), run.status("home/hand")), ("home", Status::Ready));
    assert!(!run.state.steps[&hand].gates.iter().any(|g| g.gate == WINDOW));
}

/// What can be taken back is offered once the window has no time for what is left, whichever of both
/// is short; and no more once there is another window.
#[test]
fn a_window_that_is_short_offers_the_ways_back_that_fit() {
    let way = "[[backout]]\nid = \"home\"\ntitle = \"Home\"\n[backout.each.voter]\n\
        of = 'raft.voters.filter(v, v.name == \"NAME\").map(v, v.name)'\n[[backout.step]]\n\
        id = \"hand\"\ntitle = \"By hand\"\n[backout.step.manual]\ninstruction = \"x\"\n";
    let none = "undo.none = \"they are gone\"";
    let manual = "undo.manual = \"put them back\"";
    for (name, undo, minutes, wanted) in [
        ("vault-0", none, 0, &[][..]),
        // Two voters of twenty minutes are left, and then the reserve.
        ("vault-0", none, 201, &["home"]),
        ("vault-0", none, 196, &["home"]),
        ("vault-0", manual, 201, &["home", "undo"]),
        ("nobody", none, 201, &[]),
    ] {
        let text = format!("{}{}", timed().replace(none, undo), way.replace("NAME", name));
        let mut run = Run::new(&text, Mode::Write);
        let offered = |run: &mut Run| -> Vec<String> {
            run.system(Intent::Tick);
            run.state.offers.keys().cloned().collect()
        };
        let (step, digest) = run.reach_review();
        run.pass(1000);
        run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
        let mut later = run.fork();
        later.pass((minutes - 1).max(0) * MINUTE);
        assert!(offered(&mut later).is_empty(), "nothing was done yet that could be taken back");
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
        let typed = "vault-0".into();
        run.ask(&driver(), Intent::Release { step, digest, typed }).unwrap();
        run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
        let (effect, _) = run.state.running.clone().unwrap();
        run.pass(minutes * MINUTE);
        assert!(offered(&mut run).is_empty(), "what runs is waited for");
        let (outcome, result) = (Outcome::Failed("no".into()), serde_json::json!({}));
        run.system(Intent::EffectEnded { effect, outcome, result });
        assert_eq!(offered(&mut run), wanted, "{name} {undo} {minutes}");
        if wanted.is_empty() {
            continue;
        }
        let judged = &run.state.offers[wanted[0]];
        assert!(judged.why.contains("go back"), "{judged:?}");
        let told = run.entries.len();
        assert_eq!((offered(&mut run).len(), run.entries.len()), (wanted.len(), told), "told once");
        let next = Slot { start: run.now, end: run.now + Span::secs(4 * 3600) };
        run.ask(&driver(), Intent::SetWindow { window: next, reason: "agreed".into() }).unwrap();
        assert!(offered(&mut run).is_empty());
    }
}

/// What opens or closes earlier or later than was agreed has its reason, as an override has: in the
/// journal, and where the gate is read.
#[test]
fn a_window_that_takes_the_place_of_another_has_its_reason() {
    let (mut run, step) = begun(30);
    let now = Slot { start: run.now, end: run.now + Span::secs(9 * 3600) };
    let set = |reason: &str| Intent::SetWindow { window: now, reason: reason.into() };
    for none in ["", "  "] {
        let why = run.ask(&driver(), set(none)).unwrap_err();
        assert!(why.contains("say why another one takes its place"), "{why}");
    }
    assert!(after(&mut run, &step, 0).1.contains("it opens in 30m00"));
    run.ask(&driver(), set("agreed with storage")).unwrap();
    assert_eq!(after(&mut run, &step, 0), (Verdict::Pass, String::new()));
    let wanted = Event::WindowSet { window: now, reason: "agreed with storage".into() };
    assert!(run.entries.iter().any(|e| e.event == wanted && e.actor == driver()));
    let gate = run.state.steps[&step].gates.iter().find(|g| g.gate == WINDOW).unwrap();
    let said = gate.judged.values.iter().find(|v| v.name == "window.set").unwrap();
    assert_eq!(said.value, "by ana: agreed with storage");
    // The first one needs none.
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.ask(&driver(), set("")).unwrap();
    assert_eq!((run.state.window, &run.state.window_why), (Some(now), &None));
    // Entries of before have none.
    let old = r#"{"type":"window-set","window":{"start":"2026-04-25T22:00:00.000Z","end":"2026-04-26T02:00:00.000Z"}}"#;
    assert!(
        matches!(serde_json::from_str(old).unwrap(), Event::WindowSet { reason, .. } if reason.is_empty())
    );
}

/// In the cockpit it is asked for behind the window; where there is none yet it is not.
#[test]
fn the_cockpit_asks_for_the_reason() {
    use holdpoint::ui::{Asked, KeyCode, Model, Overlay, Writing, key};
    let (run, _) = begun(30);
    let type_in = |model: &mut Model, run: &Run, text: &str| {
        let press = |c| if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        text.chars().map(|c| key(model, &run.state, press(c), run.now)).last().unwrap()
    };
    let mut model = Model::default();
    assert_eq!(type_in(&mut model, &run, "Wnow/9h\n"), Asked::Nothing);
    let window = Slot { start: run.now, end: run.now + Span::secs(9 * 3600) };
    let asks = Overlay::Write { what: Writing::WindowWhy(window), text: String::new() };
    assert_eq!(model.overlay, asks);
    let asked = type_in(&mut model, &run, "agreed\n");
    let set =
        |reason: &str| Asked::Intent(Box::new(Intent::SetWindow { window, reason: reason.into() }));
    assert_eq!(asked, set("agreed"));
    let run = Run::new(RUNBOOK, Mode::Write);
    assert_eq!(type_in(&mut Model::default(), &run, "Wnow/9h\n"), {
        let window = Slot { start: run.now, end: run.now + Span::secs(9 * 3600) };
        Asked::Intent(Box::new(Intent::SetWindow { window, reason: String::new() }))
    });
}

/// A reason that was given for a window that had not begun, while another was set for a moment.
#[test]
fn no_override_lets_anything_begin_before_the_window_opens() {
    let (mut run, step) = begun(30);
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    let opens = |minutes: i64| {
        let start = Time(run.now.0 + minutes * MINUTE);
        let window = Slot { start, end: start + Span::secs(4 * 3600) };
        Intent::SetWindow { window, reason: "agreed".into() }
    };
    let (now, later) = (opens(0), opens(10));
    run.ask(&driver(), now).unwrap();
    // What stands there is still what was read before.
    let known = run.overriding(&step, WINDOW, "agreed");
    run.ask(&driver(), known).unwrap();
    run.ask(&driver(), later).unwrap();
    assert!(after(&mut run, &step, 1).1.contains("it opens in 9m00"));
    let why = run.state.releasable(&step).unwrap_err().to_string();
    assert!(why.contains("it opens in 9m00"), "{why}");
}

/// What runs when the window closes runs to its end, and is verified; only what comes next waits.
#[test]
fn what_runs_as_the_window_closes_runs_to_its_end() {
    let (mut run, _) = begun(0);
    let (step, effect) = run.reach_running();
    let before = run.entries.len();
    for _ in 0..10 {
        run.pass(30 * MINUTE);
        run.observe(well(run.now));
        run.system(Intent::Tick);
    }
    assert!(run.state.window.is_some_and(|w| w.end < run.now), "it is closed");
    assert_eq!(run.state.running, Some((effect, step.clone())));
    let stops = |e: &Entry| matches!(e.event, Event::Stopping { .. } | Event::LineHeld { .. });
    assert!(!run.entries[before..].iter().any(stops));
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: serde_json::json!({}) });
    for _ in 0..3 {
        run.look(vec![live(Source::Claims, run.now, Update::Claims(Rows::all(vec![])))]);
        run.pass(1_000);
    }
    assert_eq!(run.state.steps[&step].status, Status::Done);
    // What comes next waits for another window.
    for _ in 0..30 {
        run.look(well(run.now));
        run.pass(1_000);
    }
    let next = run.state.current().unwrap();
    assert_eq!(next.to_string(), "one[vault-1]/claims");
    let gates = &run.state.steps[&next].gates;
    let late = gates.iter().find(|g| g.gate == WINDOW).unwrap();
    assert_eq!(late.judged.verdict, Verdict::Fail);
}
