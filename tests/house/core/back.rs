//! Ways back: begun by a person, walked like any phase, and what they leave behind.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Status};
use holdpoint::world::*;
use serde_json::json;

/// The small runbook with ways back: one returns, one ends.
pub fn ways() -> String {
    let undo = "undo.do.kube.delete_pod = { name = \"of-{{ voter }}\" }";
    let small = RUNBOOK.replace("undo.none = \"they are gone\"", undo);
    format!(
        r#"{small}
[[backout]]
id = "aside"
title = "One voter back"
when = 'raft.unsealed < raft.quorum'
then = "return"
[backout.each.voter]
of = 'raft.voters.filter(v, v.name != raft.leader).map(v, v.name)'
[[backout.step]]
id = "by-hand"
title = "Put {{{{ voter }}}} back"
[backout.step.manual]
instruction = "Put its disk back."
[[backout]]
id = "home"
title = "All of it back"
[[backout.step]]
id = "check"
title = "All is well"
[backout.step.verify]
that = 'raft.leader_answers'
"#
    )
}

pub fn go(section: &str) -> Intent {
    Intent::GoBack { section: section.into(), reason: "it is late".into() }
}

fn look_well(run: &mut Run) {
    let now = run.now;
    run.look(well(now));
}

pub fn few_unsealed(at: Time) -> Vec<Change> {
    let mut bad = raft("vault-2");
    bad.unsealed = 1;
    vec![live(Source::Raft, at, Update::Raft(bad.into()))]
}

/// The first step, done.
fn one_done() -> Run {
    let mut run = Run::new(&ways(), Mode::Write);
    let (_, effect) = run.reach_running();
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    for _ in 0..3 {
        let now = run.now;
        run.look(vec![live(Source::Claims, now, Update::Claims(Rows::all(vec![])))]);
        run.pass(1000);
    }
    assert_eq!(run.status("one[vault-0]/claims"), Status::Done);
    run
}

#[test]
fn what_was_done_is_undone_by_a_release_of_its_own_and_the_run_ends() {
    let mut run = one_done();
    run.ask(&driver(), go("undo")).unwrap();
    look_well(&mut run);
    look_well(&mut run);
    let step = run.state.current().unwrap();
    assert_eq!(step.to_string(), "undo[one[vault-0]/claims]/undo");
    assert_eq!(run.state.title(&step), "Undo: Delete the claims of vault-0");
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let call = run.effects.iter().rev().find_map(|e| match e {
        Effect::Prepare { call, .. } => call.clone(),
        _ => None,
    });
    let call = call.expect("its own action, about its step's item");
    assert_eq!(call.verb, "kube.delete_pod");
    assert!(format!("{:?}", call.args).contains("of-vault-0"), "{call:?}");
    let now = run.now;
    run.prepared(well(now), Ok(proposal("of-vault-0", "uid")));
    let digest = run.state.steps[&step].proposal.as_ref().unwrap().1.clone();
    let release = |typed: &str| Intent::Release {
        step: step.clone(),
        digest: digest.clone(),
        typed: typed.into(),
    };
    let why = run.ask(&driver(), release("")).unwrap_err();
    assert!(why.contains("type data-of-vault-0"), "{why}");
    run.ask(&driver(), release("data-of-vault-0")).unwrap();
    run.prepared(well(now), Ok(proposal("of-vault-0", "uid")));
    let (effect, _) = run.state.running.clone().expect("it runs");
    assert_eq!(run.status("one[vault-0]/claims"), Status::Done, "not before it ended well");
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    assert_eq!(run.status("one[vault-0]/claims"), Status::Undone);
    for _ in 0..4 {
        look_well(&mut run);
    }
    assert_eq!(run.state.ended, Some(false));
    assert!(run.state.aborted.as_deref().is_some_and(|why| why.contains("it is late")));
    assert_eq!(run.status("one[vault-0]/check"), Status::Aborted);
}

/// What cannot be undone says so, and somebody has to have read it; it stays done.
#[test]
fn what_cannot_be_undone_is_read_and_stays_done() {
    let text = ways().replace(
        "undo.do.kube.delete_pod = { name = \"of-{{ voter }}\" }",
        "undo.none = \"gone is gone\"",
    );
    let mut run = Run::new(&text, Mode::Write);
    let (_, effect) = run.reach_running();
    run.system(Intent::EffectEnded {
        effect,
        outcome: Outcome::Failed("no".into()),
        result: json!({}),
    });
    run.ask(&driver(), go("undo")).unwrap();
    look_well(&mut run);
    look_well(&mut run);
    let step = run.state.current().unwrap();
    assert_eq!(run.state.title(&step), "Cannot be undone: Delete the claims of vault-0");
    look_well(&mut run);
    assert_eq!(run.state.steps[&step].status, Status::Ready, "it waits for a person");
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared_or_not(well(now), None);
    let release =
        Intent::Release { step: step.clone(), digest: String::new(), typed: String::new() };
    run.ask(&driver(), release).unwrap();
    run.prepared_or_not(well(now), None);
    assert_eq!(run.state.steps[&step].status, Status::Done);
    assert_eq!(run.status("one[vault-0]/claims"), Status::Failed);
}

#[test]
fn a_way_back_waits_for_what_runs_and_for_who_holds_the_line() {
    let refused = |run: &mut Run, intent: Intent| run.ask(&driver(), intent).unwrap_err();
    let mut run = Run::new(&ways(), Mode::Write);
    run.reach_first_step();
    assert!(refused(&mut run, go("away")).contains("there is aside, home, undo"));
    assert!(refused(&mut run, go("undo")).contains("nothing was done"));
    let no_reason = Intent::GoBack { section: "home".into(), reason: " ".into() };
    assert!(refused(&mut run, no_reason).contains("a reason is needed"));
    run.ask(&driver(), Intent::HoldLine { reason: "wait".into() }).unwrap();
    assert!(refused(&mut run, go("home")).contains("free it first"));
    run.ask(&driver(), Intent::FreeLine).unwrap();
    let (_, digest) = run.reach_review();
    let step = run.state.current().unwrap();
    let typed = "vault-0".into();
    run.ask(&driver(), Intent::Release { step, digest, typed }).unwrap();
    assert!(refused(&mut run, go("home")).contains("about to run"));
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
    assert!(refused(&mut run, go("home")).contains("is running"));
}

/// A guard that is breached holds the line and is a gate of every step, but not of the way back
/// from it; what was in hand waits, hears nothing, and is asked anew afterwards.
#[test]
fn a_way_back_from_a_breach_returns_to_where_the_run_stood() {
    let mut run = Run::new(&ways(), Mode::Write);
    let (forward, _) = run.reach_review();
    let ticket = run.state.steps[&forward].ticket;
    for _ in 0..5 {
        run.pass(3000);
        let now = run.now;
        run.observe(few_unsealed(now));
    }
    assert!(run.state.line_held.is_some() && run.state.breached().next().is_some());
    assert!(run.state.offers.contains_key("aside"));
    run.ask(&driver(), go("aside")).unwrap();
    assert!(run.state.line_held.is_none() && run.state.going_back());
    assert_eq!(run.state.steps[&forward].status, Status::Ready, "its review was left");
    // An answer that comes late is to no question any more.
    let now = run.now;
    let late = Intent::Prepared {
        step: forward.clone(),
        ticket,
        purpose: holdpoint::run::Purpose::Review,
        changes: well(now),
        proposal: None,
    };
    assert!(run.system(late).is_empty());
    for voter in ["vault-0", "vault-1"] {
        for _ in 0..4 {
            let now = run.now;
            run.look(few_unsealed(now));
        }
        let step = run.state.current().unwrap();
        assert_eq!(step.to_string(), format!("aside[{voter}]/by-hand"));
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        let now = run.now;
        run.prepared_or_not(few_unsealed(now), None);
        assert!(run.state.steps[&step].gates.is_empty(), "no guard stands in its way");
        run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
        run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
        let now = run.now;
        run.look(few_unsealed(now));
        assert_eq!(run.state.steps[&step].status, Status::Done);
        let other = Intent::Review { step: forward.clone() };
        let why = run.ask(&driver(), other).unwrap_err();
        assert!(why.contains("turn"), "{why}");
    }
    for _ in 0..6 {
        look_well(&mut run);
    }
    assert!(!run.state.going_back());
    assert_eq!((run.state.current(), run.state.ended), (Some(forward.clone()), None));
    let now = run.now;
    run.observe(well(now));
    assert!(run.state.offers.is_empty(), "what it was offered for is over");
    // The same way, walked once more, begins anew.
    run.ask(&driver(), go("aside")).unwrap();
    assert!(!run.state.steps.keys().any(|a| a.phase == "aside"));
}

#[test]
fn a_way_back_that_ends_the_run_leaves_it_undone() {
    let mut run = Run::new(&ways(), Mode::Write);
    run.reach_first_step();
    run.ask(&driver(), go("home")).unwrap();
    for _ in 0..8 {
        look_well(&mut run);
        run.pass(1000);
    }
    assert_eq!((run.status("home/check"), run.state.ended), (Status::Done, Some(false)));
    assert_eq!(run.status("one[vault-0]/claims"), Status::Aborted);
}

/// One may think better of it, but only as long as nothing was done.
#[test]
fn a_way_back_is_left_only_while_nothing_was_done_on_it() {
    let forward = || Intent::LeaveBack { reason: "it came back".into() };
    let mut run = Run::new(&ways(), Mode::Write);
    let first = run.reach_first_step();
    assert!(run.ask(&driver(), forward()).unwrap_err().contains("no way back"));
    run.ask(&driver(), go("aside")).unwrap();
    for _ in 0..3 {
        look_well(&mut run);
    }
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.ask(&driver(), forward()).unwrap();
    assert_eq!((run.state.current(), run.state.going_back()), (Some(first.clone()), false));
    run.ask(&driver(), go("aside")).unwrap();
    for _ in 0..3 {
        look_well(&mut run);
    }
    assert_eq!(
        run.state.current().map(|s| s.phase),
        Some("aside".into()),
        "its first step is open"
    );
    run.ask(&driver(), forward()).unwrap();
    assert_eq!((run.state.current(), run.state.going_back()), (Some(first), false));
    run.ask(&driver(), go("aside")).unwrap();
    for _ in 0..3 {
        look_well(&mut run);
    }
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared_or_not(well(now), None);
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    assert!(run.ask(&driver(), forward()).unwrap_err().contains("something was done"));
}

/// Nothing to go back with is said, with what can be done instead.
#[test]
fn a_way_back_for_nobody_says_so() {
    let mut run =
        Run::new(&ways().replace("v.name != raft.leader", "v.name == \"nobody\""), Mode::Write);
    run.reach_first_step();
    run.ask(&driver(), go("aside")).unwrap();
    look_well(&mut run);
    let phase = run.state.phases.last().unwrap();
    assert!(phase.blocked.as_ref().is_some_and(|why| why.contains("go forward again")));
}

/// What is in doubt on a way back stays so, also below another one: it is not begun anew over it.
#[test]
fn a_way_back_below_another_is_not_begun_anew() {
    let mut run = Run::new(&ways(), Mode::Write);
    run.reach_first_step();
    run.ask(&driver(), go("aside")).unwrap();
    for _ in 0..3 {
        look_well(&mut run);
    }
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared_or_not(well(now), None);
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    run.ask(&driver(), go("home")).unwrap();
    let why = run.ask(&driver(), go("aside")).unwrap_err();
    assert!(why.contains("is being walked already"), "{why}");
    assert_eq!(run.state.steps[&step].status, Status::Shown);
}

/// Its probe looks, and cannot tell.
fn nobody_knows(run: &mut Run, step: &StepAddr) {
    let ticket = run.state.steps[step].ticket;
    let (verdict, why, result) = (Probed::Unknown, "no answer".to_owned(), json!(null));
    run.system(Intent::Probed {
        step: step.clone(),
        ticket,
        verdict,
        why,
        result,
        changes: vec![],
    });
}

/// Whichever attempt did it, and whatever was said of it since: what may have been done is undone.
#[test]
fn what_an_earlier_attempt_may_have_done_is_undone_too() {
    for skipped in [false, true] {
        let mut run = Run::new(&ways(), Mode::Write);
        let (step, effect) = run.reach_running();
        let outcome = match skipped {
            true => Outcome::Unknown("no answer".into()),
            false => Outcome::Failed("half of it".into()),
        };
        run.system(Intent::EffectEnded { effect, outcome, result: json!({}) });
        if skipped {
            nobody_knows(&mut run, &step);
        }
        let after = match skipped {
            true => Intent::Skip { step: step.clone(), reason: "leave it".into() },
            false => Intent::Retry { step: step.clone() },
        };
        run.ask(&driver(), after).unwrap();
        assert_eq!(run.state.undoable(), [step], "skipped: {skipped}");
    }
    let mut fresh = Run::new(&ways(), Mode::Write);
    let (step, _) = fresh.reach_review();
    assert!(fresh.state.undoable().is_empty(), "what was only looked at did nothing");
    fresh.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    assert_eq!(fresh.state.undoable(), [step], "what was handed over may be done by now");
    let mut first = Run::new(&ways(), Mode::Write);
    first.reach_first_step();
    assert!(first.state.undoable().is_empty(), "nor what was only opened");
}

/// What was done on a way back is undone like what was done before it.
#[test]
fn what_a_way_back_did_is_undone_first() {
    let manual = "instruction = \"Put its disk back.\"\n";
    let text = ways()
        .replace(manual, &format!("{manual}[backout.step.undo]\nmanual = \"Take it out.\"\n"));
    let mut run = Run::new(&text, Mode::Write);
    let (first, effect) = run.reach_running();
    run.system(Intent::EffectEnded {
        effect,
        outcome: Outcome::Failed("no".into()),
        result: json!({}),
    });
    run.ask(&driver(), go("aside")).unwrap();
    for _ in 0..3 {
        look_well(&mut run);
    }
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.prepared_or_not(well(now), None);
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
    look_well(&mut run);
    assert_eq!(run.state.undoable(), [step, first]);
}

/// What is left is what is left of the way, and what was in hand before hears nothing meanwhile.
#[test]
fn on_a_way_back_only_that_way_counts() {
    let title = "title = \"All is well\"";
    let text = ways().replacen(title, &format!("{title}\nestimate = \"5m\""), 1);
    let mut run = Run::new(&text, Mode::Write);
    let (step, effect) = run.reach_running();
    let outcome = Outcome::Unknown("no answer".into());
    run.system(Intent::EffectEnded { effect, outcome, result: json!(null) });
    // Before its probe has answered it may still run: nobody goes past it, and nothing is closed.
    let reason = || "leave it".to_owned();
    for past in [
        go("home"),
        Intent::Skip { step: step.clone(), reason: reason() },
        Intent::Retry { step: step.clone() },
        Intent::Abort { reason: reason() },
    ] {
        let why = run.ask(&driver(), past).unwrap_err().to_string();
        assert!(why.contains("may still run"), "{why}");
    }
    nobody_knows(&mut run, &step);
    let ticket = run.state.steps[&step].ticket;
    assert_eq!(run.state.remaining(run.now), Span(0));
    run.ask(&driver(), go("home")).unwrap();
    assert_eq!(run.state.remaining(run.now), Span::secs(300));
    let (verdict, why, result) = (Probed::Done, "gone".to_owned(), json!(null));
    let changes = vec![];
    let late = Intent::Probed { step: step.clone(), ticket, verdict, why, result, changes };
    assert!(run.system(late).is_empty());
    let probed = run.state.steps[&step].probed.as_ref().map(|p| p.0);
    assert_eq!(probed, Some(Probed::Unknown));
}
