//! Ways back that are offered: when, and which; and none that the runbook has not.

use crate::core::back::{few_unsealed, go, ways};
use crate::core::windows::{MINUTE, timed};
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status, WINDOW, apply};
use holdpoint::world::*;
use serde_json::json;

/// What is observed is judged at once, also where no guard watches.
#[test]
fn a_way_back_is_offered_without_guards_too() {
    let text = ways();
    let (guard, phase) = (text.find("[[guard]]").unwrap(), text.find("[[phase]]").unwrap());
    let mut run = Run::new(&format!("{}{}", &text[..guard], &text[phase..]), Mode::Write);
    run.reach_first_step();
    run.observe(few_unsealed(run.now));
    assert!(run.state.offers.contains_key("aside"));
}

/// What runs may be what changes the world so: nothing is offered before it has ended.
#[test]
fn no_way_back_is_offered_while_an_effect_runs() {
    let mut run = Run::new(&ways(), Mode::Write);
    let (_, effect) = run.reach_running();
    run.observe(few_unsealed(run.now));
    assert!(run.state.offers.is_empty());
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    run.observe(few_unsealed(run.now));
    assert!(run.state.offers.contains_key("aside"));
}

/// One that is walked is neither offered nor withdrawn meanwhile; another one is offered.
#[test]
fn only_ways_that_are_not_walked_are_offered() {
    let mut run = Run::new(&ways(), Mode::Write);
    run.reach_first_step();
    run.observe(few_unsealed(run.now));
    let mut other = Run::new(&ways(), Mode::Write);
    other.reach_first_step();
    run.ask(&driver(), go("aside")).unwrap();
    let told = run.entries.len();
    run.observe(well(run.now));
    run.observe(few_unsealed(run.now));
    let offer = |e: &Entry| matches!(e.event, Event::Offered { .. } | Event::Withdrawn { .. });
    assert!(!run.entries[told..].iter().any(offer));
    other.ask(&driver(), go("home")).unwrap();
    other.observe(few_unsealed(other.now));
    assert!(other.state.offers.contains_key("aside"));
}

/// A journal that speaks of a way back that its runbook has not is not folded.
#[test]
fn a_way_back_that_is_not_there_is_not_folded() {
    let run = Run::new(&ways(), Mode::Write);
    let events = |section: &str| {
        let (section, reason) = (section.to_owned(), "late".to_owned());
        let judged =
            Judged { verdict: Verdict::Pass, why: String::new(), values: vec![], at: run.now };
        [
            Event::Offered { section: section.clone(), judged },
            Event::Withdrawn { section: section.clone() },
            Event::BackBegan { section: section.clone(), reason },
            Event::BackDone { section, ends: false, left: None },
        ]
    };
    let folded = |event| {
        let mut state = run.state.clone();
        let entry = Entry { seq: state.seq + 1, at: run.now, actor: driver(), event };
        apply(&mut state, &entry).map(drop).map_err(|e| e.to_string())
    };
    for (there, not) in events("aside").into_iter().zip(events("nowhere")) {
        folded(there).unwrap();
        let why = folded(not).unwrap_err();
        assert!(why.contains("way back nowhere"), "{why}");
    }
}

/// A way that ends the run, and what it says of itself.
fn way(id: &str, head: &str) -> String {
    format!(
        "[[backout]]\nid = \"{id}\"\ntitle = \"Back\"\n{head}[[backout.step]]\nid = \"hand\"\n\
         title = \"By hand\"\n[backout.step.manual]\ninstruction = \"x\"\n"
    )
}

/// Minutes after which two voters and the reserve have no time any more.
const LATE: i64 = 201 * MINUTE;

fn ended(run: &mut Run, effect: EffectId, outcome: Outcome) {
    run.system(Intent::EffectEnded { effect, outcome, result: json!({}) });
}

/// At the first step, which failed and may have done something.
fn failed(text: &str) -> (Run, StepAddr) {
    let mut run = Run::new(text, Mode::Write);
    let (step, effect) = run.reach_running();
    ended(&mut run, effect, Outcome::Failed("no".into()));
    (run, step)
}

fn offered(run: &mut Run) -> Vec<String> {
    run.system(Intent::Tick);
    run.state.offers.keys().cloned().collect()
}

/// The step in hand, reviewed and released although it is late.
fn released(run: &mut Run, step: &StepAddr) -> EffectId {
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    let late = run.overriding(step, WINDOW, "go on");
    run.ask(&driver(), late).unwrap();
    let digest = run.state.steps[step].proposal.as_ref().unwrap().1.clone();
    let typed = run.state.confirm_text(step);
    run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    run.state.running.clone().expect("an effect").0
}

/// Who goes back already is offered no other way because of the window.
#[test]
fn a_short_window_offers_nothing_while_going_back() {
    let text = timed() + &way("home", "") + &way("other", "");
    let (mut run, _) = failed(&text);
    run.ask(&driver(), go("home")).unwrap();
    run.pass(LATE);
    assert!(offered(&mut run).is_empty());
    run.ask(&driver(), Intent::LeaveBack { reason: "no".into() }).unwrap();
    assert_eq!(offered(&mut run), ["home", "other"]);
}

/// A way for what it says itself, and one that returns, are not what a short window asks for; nor is one
/// that its own condition offers taken away where the window has time.
#[test]
fn a_short_window_offers_ways_that_end_the_run_and_name_no_condition() {
    let on_its_own = way("on-its-own", "when = 'raft.unsealed < raft.quorum'\n");
    let returns = way("returns", "then = \"return\"\n");
    let (mut run, _) = failed(&(timed() + &way("home", "") + &on_its_own + &returns));
    run.observe(few_unsealed(run.now));
    assert_eq!(offered(&mut run), ["on-its-own"]);
    run.observe(well(run.now));
    assert!(offered(&mut run).is_empty());
    run.pass(LATE);
    run.observe(well(run.now));
    assert_eq!(offered(&mut run), ["home"]);
}

/// All of it is undone or nothing is: `undo` is offered until something is done that cannot be. What
/// runs is waited for: nothing changes before it has ended.
#[test]
fn undo_is_offered_where_all_that_was_done_can_be_undone() {
    for (last, wanted) in
        [("none = \"it is gone\"", &[][..]), ("manual = \"put it back\"", &["undo"])]
    {
        let down = format!(
            "[[phase.step]]\nid = \"down\"\ntitle = \"Down\"\n\
             do.vault.step_down = {{ node = \"vault-2\" }}\nundo.{last}\n"
        );
        let check = "[[phase.step]]\nid = \"check\"";
        let text = timed()
            .replace("undo.none = \"they are gone\"", "undo.manual = \"put them back\"")
            .replacen(check, &format!("{down}{check}"), 1);
        let mut run = Run::new(&text, Mode::Write);
        let (_, effect) = run.reach_running();
        ended(&mut run, effect, Outcome::Ok);
        for _ in 0..4 {
            let gone = live(Source::Claims, run.now, Update::Claims(Rows::all(vec![])));
            run.look(vec![gone]);
            run.pass(1000);
        }
        let step = run.state.current().unwrap();
        assert_eq!(step.step, "down");
        run.pass(LATE);
        run.look(well(run.now));
        assert_eq!(offered(&mut run), ["undo"]);
        let effect = released(&mut run, &step);
        assert_eq!(offered(&mut run), ["undo"], "{last}");
        ended(&mut run, effect, Outcome::Failed("no".into()));
        assert_eq!(offered(&mut run), wanted, "{last}");
    }
}

/// The window bounds releases, not soaks: while one is watched nobody is late. One that waits for its
/// gate is not watched yet.
#[test]
fn nobody_is_late_while_a_soak_is_watched() {
    let gate = "[[phase.step.gate]]\nid = \"more\"\nthat = 'raft.unsealed > 3'\nsays = \"more\"\n";
    for (gate, status, wanted) in
        [("", Status::Running, &[][..]), (gate, Status::Blocked, &["home"])]
    {
        let of = ("raft.voters.map(v, v.name)", "[\"vault-0\"]");
        let text = timed().replace(of.0, of.1) + gate + &way("home", "");
        let mut run = Run::new(&text, Mode::Write);
        let (_, effect) = run.reach_running();
        ended(&mut run, effect, Outcome::Ok);
        for _ in 0..20 {
            let mut changes = well(run.now);
            changes[1] = live(Source::Claims, run.now, Update::Claims(Rows::all(vec![])));
            run.observe(changes.clone());
            run.look(changes);
            run.pass(1000);
        }
        assert_eq!(run.status("watch/soak"), status);
        run.pass(5 * 60 * MINUTE);
        assert_eq!(offered(&mut run), wanted, "{status}");
    }
}

/// A window that is too small for what is left is short as soon as it opens, and not before.
#[test]
fn a_window_is_not_short_before_it_opens() {
    let (mut run, _) = failed(&(timed() + &way("home", "")));
    let start = run.now + Span::secs(1800);
    let window = Slot { start, end: start + Span::secs(600) };
    run.ask(&driver(), Intent::SetWindow { window, reason: "agreed".into() }).unwrap();
    run.pass(30 * MINUTE - 1);
    assert!(offered(&mut run).is_empty());
    run.pass(1);
    assert_eq!(offered(&mut run), ["home"]);
}
