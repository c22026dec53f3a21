//! Ways back that are offered: when, and which; and none that the runbook has not.

use crate::core::back::{few_unsealed, go, ways};
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, apply};
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
