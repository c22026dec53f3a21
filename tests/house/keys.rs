//! Keys of the cockpit, without a terminal.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::Intent;
use holdpoint::ui::{Asked, KeyCode, Model, Overlay, Pane, Review, Writing, key, keys};
use holdpoint::world::*;
use serde_json::json;

/// What keys do to a review while its step moves on under it.
#[test]
fn a_review_follows_its_step_and_is_armed_anew_at_every_turn() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, _) = run.reach_review();
    let mut model = Model::default();
    let press = |model: &mut Model, run: &Run, code| key(model, &run.state, code, run.now);
    press(&mut model, &run, KeyCode::Enter);
    assert_eq!(press(&mut model, &run, KeyCode::Enter), Asked::Nothing, "not armed yet");
    run.pass(600);
    for c in "vault-0".chars() {
        press(&mut model, &run, KeyCode::Char(c));
    }
    let Asked::Intent(release) = press(&mut model, &run, KeyCode::Enter) else { panic!() };
    assert!(matches!(&*release, Intent::Release { typed, .. } if typed == "vault-0"));
    run.ask(&driver(), *release).unwrap();
    model.follow(&run.state, run.now);
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "another-uid")));
    model.follow(&run.state, run.now);
    let Overlay::Review(void) = &model.overlay else { panic!("{model:?}") };
    assert_eq!(void.typed, "", "what was typed is void");
    assert_eq!(press(&mut model, &run, KeyCode::Enter), Asked::Nothing, "armed anew");
    run.pass(600);
    let asked = press(&mut model, &run, KeyCode::Enter);
    assert_eq!(asked, Asked::Intent(Box::new(Intent::Review { step: step.clone() })));
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Skip { step, reason: "no".into() }).unwrap();
    model.follow(&run.state, run.now);
    assert_eq!(model.overlay, Overlay::None);
}

/// Back from the commands, or from an override's reason, a review is as new: what was struck
/// for what lay on top of it does not release.
#[test]
fn a_review_that_is_come_back_to_is_armed_anew() {
    let mut run = Run::new(&RUNBOOK.replace("confirm = \"{{ voter }}\"\n", ""), Mode::Write);
    let (step, _) = run.reach_review();
    let write = |what| Overlay::Write { what, text: "seen".into() };
    for (from, keys) in [
        (Overlay::Command { step: step.clone(), scroll: 0 }, [KeyCode::Esc, KeyCode::Enter]),
        (
            write(Writing::Override(step.clone(), "healthy".into(), String::new())),
            [KeyCode::Enter, KeyCode::Enter],
        ),
    ] {
        let mut model = Model { overlay: from.clone(), ..Model::default() };
        key(&mut model, &run.state, keys[0], run.now);
        assert!(matches!(model.overlay, Overlay::Review(_)), "{from:?}: {model:?}");
        run.pass(499);
        let asked = key(&mut model, &run.state, keys[1], run.now);
        assert_eq!(asked, Asked::Nothing, "{from:?}");
        run.pass(1);
        let asked = key(&mut model, &run.state, KeyCode::Enter, run.now);
        let Asked::Intent(asked) = asked else { panic!("{from:?}: {asked:?}") };
        assert!(matches!(*asked, Intent::Release { .. }), "{from:?}: {asked:?}");
    }
}

/// Every key there is, with its name in the table.
fn every_key() -> Vec<(KeyCode, String)> {
    let mut all: Vec<_> =
        (33..127_u8).map(char::from).map(|c| (KeyCode::Char(c), c.into())).collect();
    all.extend((1..=12).map(|n| (KeyCode::F(n), format!("F{n}"))));
    let named = [
        (KeyCode::Enter, "Enter"),
        (KeyCode::Esc, "Esc"),
        (KeyCode::Tab, "Tab"),
        (KeyCode::BackTab, "S-Tab"),
        (KeyCode::PageDown, "PgDn"),
        (KeyCode::PageUp, "PgUp"),
        (KeyCode::Insert, "Insert"),
        (KeyCode::Delete, "Delete"),
        (KeyCode::Left, "Left"),
        (KeyCode::Right, "Right"),
    ];
    all.extend(named.map(|(code, name)| (code, name.to_owned())));
    all
}

/// Runs at many turns of a step's life.
fn runs() -> Vec<(&'static str, Run)> {
    let new = |mode| Run::new(RUNBOOK, mode);
    let mut first = new(Mode::Write);
    first.reach_first_step();
    let mut reviewed = new(Mode::Write);
    reviewed.reach_review();
    let mut read_only = new(Mode::ReadOnly);
    let (step, _) = read_only.reach_review();
    let mut shown = new(Mode::ReadOnly);
    shown.reach_review();
    shown.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    let mut changed = new(Mode::Write);
    changed.reach_changed();
    let mut running = new(Mode::Write);
    let (_, effect) = running.reach_running();
    let ended = |outcome| {
        let mut run = new(Mode::Write);
        run.reach_running();
        run.system(Intent::EffectEnded { effect, outcome, result: json!({}) });
        run
    };
    let failed = ended(Outcome::Failed("no".into()));
    let doubt = ended(Outcome::Unknown("no answer".into()));
    let verifying = ended(Outcome::Ok);
    let mut held = new(Mode::Write);
    held.reach_review();
    held.ask(&driver(), Intent::HoldLine { reason: "wait".into() }).unwrap();
    let mut aborted = new(Mode::Write);
    aborted.reach_first_step();
    aborted.ask(&driver(), Intent::Abort { reason: "no".into() }).unwrap();
    vec![
        ("new", new(Mode::Write)),
        ("first", first),
        ("reviewed", reviewed),
        ("read-only", read_only),
        ("shown", shown),
        ("changed", changed),
        ("running", running),
        ("failed", failed),
        ("in doubt", doubt),
        ("verifying", verifying),
        ("held", held),
        ("aborted", aborted),
    ]
}

fn models(run: &Run) -> Vec<Model> {
    let over = |overlay| Model { overlay, ..Model::default() };
    let mut all: Vec<Model> =
        Pane::ALL.into_iter().map(|focus| Model { focus, ..Model::default() }).collect();
    let mut narrowed = Model { focus: Pane::Pods, zoomed: true, ..Model::default() };
    narrowed.view_mut().filter = "vault".into();
    all.push(narrowed);
    let mut help = Model::default();
    key(&mut help, &run.state, KeyCode::Char('?'), run.now);
    all.push(help);
    if let Some(step) = run.state.current() {
        all.push(over(Overlay::Review(Review::new(step.clone(), &run.state, Time(0)))));
        all.push(over(Overlay::Command { step: step.clone(), scroll: 0 }));
        all.push(over(Overlay::Write { what: Writing::Hold, text: "x".into() }));
    }
    all.push(over(Overlay::Filter));
    if let Some(held) = run.state.line_held.clone() {
        all.push(over(Overlay::Free { held }));
    }
    all
}

/// The footer and the help print this table: a key works exactly if it stands there.
#[test]
fn the_keys_that_are_listed_are_the_keys_that_work() {
    // These work only where there is somewhere to go; a pane's own key is where one is.
    let may_rest = "j k g G n N PgDn PgUp 0 1 2 4 5 Esc Enter Tab S-Tab o v /";
    let mut tried = 0;
    for (name, run) in runs() {
        for model in models(&run) {
            let listed: Vec<&str> =
                keys(&model, &run.state).iter().flat_map(|k| k.keys.split(' ')).collect();
            let mut twice = listed.clone();
            twice.sort_unstable();
            twice.dedup();
            assert_eq!(twice.len(), listed.len(), "a key is listed twice: {listed:?}");
            for (code, key_name) in every_key() {
                let mut after = model.clone();
                let asked = key(&mut after, &run.state, code, run.now);
                let works = asked != Asked::Nothing || after != model;
                let typed = matches!(code, KeyCode::Char(_)) && is_typed(&model, &run);
                let lists = listed.contains(&key_name.as_str());
                let what =
                    format!("{key_name} in {name} with {:?} on {:?}", model.overlay, model.focus);
                assert!(!works || lists || typed, "works and is not listed: {what}");
                assert!(
                    works || !lists || may_rest.split(' ').any(|k| k == key_name),
                    "listed and does nothing: {what}"
                );
                // What is asked is not refused for want of a right turn.
                if let Asked::Intent(intent) = asked {
                    let refused =
                        holdpoint::run::decide(&run.state, &driver(), &intent, run.now).err();
                    let why = refused.map(|r| r.0).unwrap_or_default();
                    assert!(!why.contains("cannot be"), "{what}: {why}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 30, "intents were tried: {tried}");
}

fn is_typed(model: &Model, run: &Run) -> bool {
    match &model.overlay {
        Overlay::Write { .. } | Overlay::Filter => true,
        Overlay::Review(open) => !run.state.confirm_text(&open.step).is_empty(),
        _ => false,
    }
}

fn press(model: &mut Model, run: &Run, text: &str) -> Asked {
    let mut asked = Asked::Nothing;
    for c in text.chars() {
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        asked = key(model, &run.state, code, run.now);
    }
    asked
}

#[test]
fn rows_are_narrowed_ordered_and_described_as_they_are_shown() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let mut crashing = pod("vault-1");
    (crashing.ready, crashing.restarts, crashing.status) = (0, 7, "CrashLoopBackOff".into());
    let now = run.now;
    let rows = Rows { upsert: vec![crashing.into()], remove: vec![], whole: false };
    run.observe(vec![live(Source::Pods, now, Update::Pods(rows))]);
    let described = |model: &mut Model, keys: &str| match press(model, &run, keys) {
        Asked::Describe(entry) => entry.name,
        other => panic!("{other:?}"),
    };
    let mut model = Model::default();
    assert_eq!(described(&mut model, "4d"), "vault-0");
    assert_eq!(described(&mut model, "jjjjd"), "vault-2");
    assert_eq!(described(&mut model, "kd"), "vault-1", "the cursor had stopped at the end");
    assert_eq!(described(&mut model, "God"), "vault-2", "not ready first, the last one");
    assert_eq!(described(&mut model, "gd"), "vault-1");
    assert_eq!(described(&mut model, "ood/CRASH\nd"), "vault-1");
    assert_eq!(described(&mut model, "jnNd"), "vault-1", "the only row");
    key(&mut model, &run.state, KeyCode::Esc, run.now);
    assert_eq!(model.view(Pane::Pods).filter, "");
}

#[test]
fn text_is_searched_and_the_steps_commands_are_copied() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_review();
    let mut model = Model::default();
    let lines = (0..90).map(|i| format!("line {i}")).collect();
    model.read("Log".into(), lines);
    let at = |model: &Model| match &model.overlay {
        Overlay::Text { text, .. } => text.scroll,
        other => panic!("{other:?}"),
    };
    for (keys, wanted) in
        [("/Line 7\n", 7), ("n", 70), ("nn", 72), ("N", 71), ("NNN", 79), ("G", 89), ("g", 0)]
    {
        press(&mut model, &run, keys);
        assert_eq!(at(&model), wanted, "after {keys}");
    }
    assert_eq!(press(&mut model, &run, "q"), Asked::Nothing);
    let Asked::Copy(text) = press(&mut model, &run, "y") else { panic!() };
    assert!(text.contains("kubectl --context example delete"), "{text}");
}

/// Letting go is asked back: one key too many frees nothing, nor does an answer to what is no
/// longer so.
#[test]
fn a_held_line_is_not_freed_by_one_key() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    run.system(Intent::Tick);
    let mut model = Model::default();
    run.ask(&driver(), Intent::HoldLine { reason: "wait".into() }).unwrap();
    assert_eq!(press(&mut model, &run, "h"), Asked::Nothing);
    assert!(matches!(model.overlay, Overlay::Free { .. }), "{model:?}");
    assert_eq!(press(&mut model, &run, "h"), Asked::Nothing, "struck twice");
    key(&mut model, &run.state, KeyCode::Esc, run.now);
    assert_eq!(model.overlay, Overlay::None);
    press(&mut model, &run, "h");
    // Held anew for another reason: what was asked was about the one before.
    run.ask(&driver(), Intent::HoldLine { reason: "quorum".into() }).unwrap();
    model.follow(&run.state, run.now);
    assert_eq!(model.overlay, Overlay::None);
    assert_eq!(press(&mut model, &run, "h\n"), Asked::Intent(Box::new(Intent::FreeLine)));
    run.ask(&driver(), Intent::FreeLine).unwrap();
    // Holding stays one key, and a reason.
    press(&mut model, &run, "h");
    assert!(matches!(model.overlay, Overlay::Write { what: Writing::Hold, .. }), "{model:?}");
}

/// The way around a gate is its override: `m` is not offered before that, and the command is.
#[test]
fn what_its_gates_hold_back_is_shown_and_not_handed_over() {
    let mut run = Run::new(RUNBOOK, Mode::ReadOnly);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let mut bad = raft("vault-2");
    bad.voters[0].healthy = false;
    let now = run.now;
    let bad = vec![live(Source::Raft, now, Update::Raft(bad.into()))];
    run.prepared(bad, Ok(proposal("vault-0", "uid-vault-0")));
    let overlay = Overlay::Command { step: step.clone(), scroll: 0 };
    let mut model = Model { overlay, ..Model::default() };
    assert_eq!(press(&mut model, &run, "m"), Asked::Nothing);
    assert!(matches!(press(&mut model, &run, "y"), Asked::Copy(_)));
    let asked = run.overriding(&step, "healthy", "it is being unsealed");
    run.ask(&driver(), asked).unwrap();
    let shown = Intent::Show { step };
    assert_eq!(press(&mut model, &run, "m"), Asked::Intent(Box::new(shown)));
}

/// An override carries the failure that stood there when its reason was begun.
#[test]
fn an_override_is_of_what_stood_there_when_it_was_asked_for() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let picture = |at, ill: usize| {
        let mut bad = raft("vault-2");
        bad.voters[ill].healthy = false;
        vec![live(Source::Raft, at, Update::Raft(bad.into()))]
    };
    run.prepared(picture(run.now, 0), Ok(proposal("vault-0", "uid-vault-0")));
    let overlay = Overlay::Review(Review::new(step.clone(), &run.state, Time(0)));
    let mut model = Model { overlay, ..Model::default() };
    key(&mut model, &run.state, KeyCode::Tab, run.now);
    let wanted = run.overriding(&step, "healthy", "seen");
    run.pass(5_000);
    run.look(picture(run.now, 1));
    let Asked::Intent(asked) = press(&mut model, &run, "seen\n") else { panic!("{model:?}") };
    assert_eq!(*asked, wanted);
    assert!(run.ask(&driver(), *asked).unwrap_err().contains("read it again"));
}

/// A step that was not needed, and is needed now that the leadership has moved.
#[test]
fn what_was_not_needed_is_asked_again_from_its_row() {
    let mut run = Run::new(crate::core::turns::TURNS, Mode::Write);
    run.reach_first_step();
    assert_eq!(run.state.current().map(|a| a.to_string()).as_deref(), Some("a/look"));
    let lists = |model: &Model| {
        let all = keys(model, &run.state);
        all.iter().filter(|k| k.keys == "r").map(|k| k.short).collect::<Vec<_>>()
    };
    let mut model = Model::default();
    assert!(lists(&model).is_empty(), "the step in hand has not failed");
    press(&mut model, &run, "0gj");
    assert_eq!(lists(&model), ["ask again"]);
    let Asked::Intent(asked) = press(&mut model, &run, "r") else { panic!("{model:?}") };
    assert_eq!(*asked, Intent::Retry { step: "a/maybe".parse().unwrap() });
    // Elsewhere the key is about the step in hand.
    for other in ["0gjjj", "0g", "4"] {
        press(&mut model, &run, other);
        assert!(lists(&model).is_empty(), "{other}");
    }
    run.ask(&driver(), *asked).unwrap();
    assert_eq!(run.state.current().map(|a| a.to_string()).as_deref(), Some("a/maybe"));
}

/// Who says go is typed by name; what cannot be read stays to be mended.
#[test]
fn who_says_go_is_typed_by_name() {
    let mut run = Run::new(&crate::core::polled::polled(), Mode::Write);
    let step = run.reach_first_step();
    let mut model = Model::default();
    assert!(keys(&model, &run.state).iter().any(|k| k.keys == "p"));
    assert_eq!(press(&mut model, &run, "papp says yes\n"), Asked::Nothing);
    let mends = Overlay::Write { what: Writing::Poll(step.clone()), text: "app says yes".into() };
    assert_eq!(model.overlay, mends);
    assert!(model.message.take().unwrap().0.contains("NAME go, or NAME no-go REASON"));
    model.overlay = Overlay::None;
    let Asked::Intent(asked) = press(&mut model, &run, "papp no-go not yet\n") else { panic!() };
    let (who, reason) = ("app".into(), "not yet".into());
    assert_eq!(*asked, Intent::Poll { step, who, go: false, reason });
    // Where nobody is asked there is no such key.
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    assert!(!keys(&Model::default(), &run.state).iter().any(|k| k.keys == "p"));
}

/// What has no key of its own is typed, also where nothing can be recorded.
#[test]
fn behind_a_colon_commands_are_typed() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let typed = |text: &str, show_only| {
        let mut model = Model { show_only, ..Model::default() };
        key(&mut model, &run.state, KeyCode::Char(':'), run.now);
        for c in text.chars() {
            assert_eq!(key(&mut model, &run.state, KeyCode::Char(c), run.now), Asked::Nothing);
        }
        let asked = key(&mut model, &run.state, KeyCode::Enter, run.now);
        assert_eq!(model.overlay, Overlay::None);
        (asked, model.message.map(|(said, _)| said).unwrap_or_default())
    };
    let take = |reason: &str| Asked::Intent(Box::new(Intent::TakeLease { reason: reason.into() }));
    assert_eq!(typed("take-lease", false).0, take(""));
    assert_eq!(typed("take-lease ana asked", false).0, take("ana asked"));
    for show_only in [false, true] {
        let moves = typed("journal move /var/tmp/a b ", show_only).0;
        assert_eq!(moves, Asked::MoveJournal("/var/tmp/a b".into()));
    }
    for wrong in ["journal", "journal move", "abort", ""] {
        let (asked, said) = typed(wrong, false);
        assert_eq!(asked, Asked::Nothing, "{wrong}");
        assert!(said.contains("journal move DIR"), "{wrong}: {said}");
    }
}
