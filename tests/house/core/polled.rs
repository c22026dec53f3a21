//! Go or no-go before a step: a gate by name, as fresh as the runbook wants it.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, POLL, Purpose, Status, wants};
use serde_json::json;

/// The small runbook, whose first step asks two before it; a go counts for half an hour.
pub fn polled() -> String {
    let poll = "poll.of = [\"storage\", \"app\"]\npoll.lasts = \"30m\"\nconfirm = ";
    RUNBOOK.replacen("confirm = ", poll, 1)
}

fn says(run: &mut Run, step: &StepAddr, text: &str) -> Result<Vec<Event>, String> {
    let (who, go, reason) = holdpoint::run::said(text).unwrap();
    run.ask(&driver(), Intent::Poll { step: step.clone(), who, go, reason })
}

fn gate(run: &Run, step: &StepAddr) -> (Verdict, String) {
    let gates = &run.state.steps[step].gates;
    let gate = gates.iter().find(|g| g.gate == POLL).expect("a poll");
    (gate.judged.verdict, gate.judged.why.clone())
}

fn look_well(run: &mut Run) {
    run.look(well(run.now));
}

fn release(run: &mut Run, step: &StepAddr) -> Result<Vec<Event>, String> {
    let digest = run.state.steps[step].proposal.as_ref().unwrap().1.clone();
    let typed = "vault-0".into();
    run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed })
}

#[test]
fn everybody_who_is_asked_says_go() {
    let mut run = Run::new(&polled(), Mode::Write);
    let step = run.reach_first_step();
    look_well(&mut run);
    assert_eq!(run.state.steps[&step].status, Status::Blocked);
    let both = "storage has not said go; app has not said go";
    assert_eq!(gate(&run, &step), (Verdict::Inconclusive, both.into()));
    for (text, why) in [
        ("bob go", "bob is not asked here; asked are storage, app"),
        ("storage no-go", "a reason is needed"),
    ] {
        assert!(says(&mut run, &step, text).unwrap_err().contains(why), "{text}");
    }
    let asked = wants(&run.state).unwrap().ticket;
    says(&mut run, &step, "storage go the pool is at 40 percent").unwrap();
    assert_ne!(wants(&run.state).unwrap().ticket, asked, "its gates are read again at once");
    look_well(&mut run);
    assert_eq!(gate(&run, &step), (Verdict::Inconclusive, "app has not said go".into()));
    // Whoever says no is named, and why; taken back it is go.
    says(&mut run, &step, "app no-go the batch still runs").unwrap();
    look_well(&mut run);
    assert_eq!(gate(&run, &step), (Verdict::Fail, "app says no-go: the batch still runs".into()));
    says(&mut run, &step, "app go").unwrap();
    look_well(&mut run);
    assert_eq!(gate(&run, &step), (Verdict::Pass, String::new()));
    assert_eq!(run.state.steps[&step].status, Status::Ready);
    let heard: Vec<_> = run
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Polled { who, go, .. } => Some((e.actor.to_string(), who.as_str(), *go)),
            _ => None,
        })
        .collect();
    let by = |who, go| ("ana".to_owned(), who, go);
    assert_eq!(heard, [by("storage", true), by("app", false), by("app", true)]);
    let again = holdpoint::session::fold(&run.entries).unwrap();
    assert_eq!(again.steps[&step].polled, run.state.steps[&step].polled);
}

/// A release rests on what was said last, up to the last look before the effect.
#[test]
fn a_no_go_holds_up_to_the_effect() {
    let mut run = Run::new(&polled(), Mode::Write);
    let step = run.reach_first_step();
    for text in ["storage go", "app go"] {
        says(&mut run, &step, text).unwrap();
    }
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    let mut late = run.fork();
    // In the review: nothing is released on gates that were judged before it was said.
    says(&mut run, &step, "app no-go wait").unwrap();
    assert!(release(&mut run, &step).unwrap_err().contains("still being read"));
    look_well(&mut run);
    assert!(release(&mut run, &step).unwrap_err().contains("app says no-go: wait"));
    // It is overridden as any gate is.
    let known = run.overriding(&step, POLL, "app cannot be reached, agreed with ana");
    run.ask(&driver(), known).unwrap();
    release(&mut run, &step).unwrap();
    // Behind the release and before the effect.
    release(&mut late, &step).unwrap();
    says(&mut late, &step, "app no-go wait").unwrap();
    late.prepared(well(late.now), Ok(proposal("vault-0", "uid-vault-0")));
    let s = &late.state.steps[&step];
    assert!(late.state.running.is_none() && s.changed[0].contains("app says no-go"), "{s:?}");
    // Nothing of it is asked of what runs.
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    assert_eq!(run.state.steps[&step].status, Status::Running);
    let late = says(&mut run, &step, "app go").unwrap_err();
    assert!(late.contains("is running cannot be decided on; wait for its result"), "{late}");
    let (effect, _) = run.state.running.clone().unwrap();
    let outcome = Outcome::Failed("no".into());
    run.system(Intent::EffectEnded { effect, outcome, result: json!({}) });
    // Another attempt is asked for anew.
    run.ask(&driver(), Intent::Retry { step: step.clone() }).unwrap();
    look_well(&mut run);
    assert!(gate(&run, &step).1.starts_with("storage has not said go"));
}

/// A go counts as long as the runbook says, and for the objects that it was said of.
#[test]
fn a_go_does_not_count_for_ever() {
    let mut run = Run::new(&polled(), Mode::Write);
    let step = run.reach_first_step();
    says(&mut run, &step, "storage go").unwrap();
    run.pass(20 * 60_000);
    says(&mut run, &step, "app go").unwrap();
    look_well(&mut run);
    assert_eq!(gate(&run, &step).0, Verdict::Pass);
    run.pass(11 * 60_000);
    look_well(&mut run);
    let why = "storage said go 31m00 ago, which counts for 30m".to_owned();
    assert_eq!(gate(&run, &step), (Verdict::Inconclusive, why));
    says(&mut run, &step, "storage go").unwrap();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    release(&mut run, &step).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "another-uid")));
    assert!(run.state.steps[&step].polled.is_empty(), "they said it of another claim");
}

/// It is taken back by who said it, not by time, nor by another claim.
#[test]
fn a_no_go_does_not_grow_old() {
    let mut run = Run::new(&polled(), Mode::Write);
    let step = run.reach_first_step();
    says(&mut run, &step, "storage go").unwrap();
    says(&mut run, &step, "app no-go the batch still runs").unwrap();
    run.pass(31 * 60_000);
    look_well(&mut run);
    let poll = run.state.step(&step).unwrap().poll.clone().unwrap();
    let wanted = |run: &Run| -> Vec<String> {
        let asked = holdpoint::run::wanted(&poll, &run.state.steps[&step], run.now);
        asked.into_iter().map(str::to_owned).collect()
    };
    assert_eq!(wanted(&run), ["storage"]);
    assert_eq!(gate(&run, &step), (Verdict::Fail, "app says no-go: the batch still runs".into()));
    says(&mut run, &step, "storage go").unwrap();
    let known = run.overriding(&step, POLL, "agreed with ana");
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    run.ask(&driver(), known).unwrap();
    release(&mut run, &step).unwrap();
    run.prepared(well(run.now), Ok(proposal("vault-0", "another-uid")));
    assert_eq!(wanted(&run), ["storage"], "a no-go stands for another claim as well");
}

/// An answer to a question of before is none; a plan on its way is not lost by what is said.
#[test]
fn what_is_said_in_a_review_does_not_lose_its_plan() {
    let mut run = Run::new(&polled(), Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let ticket = run.state.steps[&step].ticket;
    says(&mut run, &step, "storage go").unwrap();
    let proposal = Some(Ok(Box::new(proposal("vault-0", "uid-vault-0"))));
    let (purpose, changes) = (Purpose::Review, well(run.now));
    run.system(Intent::Prepared { step: step.clone(), ticket, purpose, changes, proposal });
    assert!(run.state.steps[&step].proposal.is_some());
    let none = Run::new(RUNBOOK, Mode::Write).reach_first_step();
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    assert!(says(&mut run, &none, "storage go").unwrap_err().contains("nobody is asked"));
}
