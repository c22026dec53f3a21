//! What is turned down, and that it says what would help.

use crate::core::back::{go, ways};
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status, apply, decide};
use holdpoint::ui::{Model, keys};
use holdpoint::world::{Source, Update};
use serde_json::json;

/// Wherever a step is, a request that has no place there says which, why and what to do.
#[test]
fn a_refusal_says_what_was_asked_and_what_would_help() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.observe(well(run.now));
    for _ in 0..2 {
        run.look(well(run.now));
    }
    let step = run.state.current().unwrap();
    let all = || {
        let (gate, reason, seen) = ("healthy".to_owned(), "seen".to_owned(), String::new());
        let (digest, typed) = (String::new(), String::new());
        let (step, branch) = (step.clone(), "x".into());
        [
            ("reviewed", Intent::Review { step: step.clone() }),
            ("left", Intent::CloseReview { step: step.clone() }),
            ("released", Intent::Release { step: step.clone(), digest, typed }),
            (
                "overridden",
                Intent::Override { step: step.clone(), gate, seen, reason: reason.clone() },
            ),
            ("shown", Intent::Show { step: step.clone() }),
            ("claimed done", Intent::Claim { step: step.clone() }),
            ("taken back", Intent::Unclaim { step: step.clone() }),
            ("skipped", Intent::Skip { step: step.clone(), reason: reason.clone() }),
            ("retried", Intent::Retry { step: step.clone() }),
            ("answered", Intent::Choose { step: step.clone(), branch }),
            ("changed that way", Intent::EndSoak { step, reason }),
        ]
    };
    let refused = |run: &mut Run, status: Status, remedy: &str, fit: &[&str]| {
        assert_eq!(run.state.steps[&step].status, status);
        for (what, intent) in all().into_iter().filter(|(what, _)| !fit.contains(what)) {
            let why = run.ask(&driver(), intent).unwrap_err();
            assert_eq!(why, format!("a step that is {status} cannot be {what}; {remedy}"));
        }
    };
    refused(&mut run, Status::Pending, "its turn has not come", &[]);
    run.reach_first_step();
    // An answer has its place here, though this step asks nothing.
    refused(
        &mut run,
        Status::Ready,
        "open its review first (Enter)",
        &["reviewed", "skipped", "answered"],
    );
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let fit = ["left", "released", "overridden", "shown"];
    refused(&mut run, Status::Confirming, "leave its review first (Esc)", &fit);
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    let fit = ["claimed done", "taken back", "skipped"];
    refused(&mut run, Status::Shown, "claim it done, or take it back", &fit);
    run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
    refused(&mut run, Status::Claimed, "wait for its result", &["taken back"]);
    let unprobed = "its probe has not answered yet, and it may still run; wait for that";
    for (outcome, status, remedy) in [
        (Outcome::Failed("no".into()), Status::Failed, "retry it, or skip it with a reason"),
        (Outcome::Unknown("no answer".into()), Status::InDoubt, unprobed),
    ] {
        let mut run = Run::new(RUNBOOK, Mode::Write);
        let (_, effect) = run.reach_running();
        refused(&mut run, Status::Running, "wait for its result", &["changed that way"]);
        run.system(Intent::EffectEnded { effect, outcome, result: json!(null) });
        let fit = ["skipped", "retried"];
        refused(&mut run, status, remedy, &fit);
    }
}

/// The gates are read before the plan is: nothing is released in between, since the
/// release would be bound to nothing. What only looks has no plan and needs none.
#[test]
fn an_action_without_its_plan_is_not_released() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let release = |digest: &str, typed: &str| Intent::Release {
        step: step.clone(),
        digest: digest.into(),
        typed: typed.into(),
    };
    let why = run.ask(&driver(), release("", "vault-0")).unwrap_err();
    assert!(why.contains("gates are still being read"), "{why}");
    let now = run.now;
    run.look(well(now));
    let why = run.ask(&driver(), release("", "vault-0")).unwrap_err();
    assert!(why.contains("plan is still being resolved"), "{why}");
    let looks = RUNBOOK.replacen(
        "title = \"{{ voter }} is well\"",
        "title = \"Well\"\nhold = \"release\"",
        1,
    );
    let mut run = Run::new(&looks, Mode::Write);
    let first = run.reach_first_step();
    run.ask(&driver(), Intent::Skip { step: first, reason: "seen".into() }).unwrap();
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let now = run.now;
    run.look(well(now));
    let (digest, typed) = (String::new(), String::new());
    run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Released);
}

/// Where the world does not tell whether a step was done elsewhere, its verify does; where
/// it has none, nobody's word does.
#[test]
fn what_nobody_can_see_is_not_done() {
    let unverified = r#"
format = 1
id = "x"
title = "X"
owner = "tests"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "down"
title = "Down"
hold = "release"
do.vault.step_down = { node = "vault-2" }
"#;
    let verified = format!("{unverified}verify.that = 'raft.leader_answers'\n");
    for (text, status) in [(verified.as_str(), Status::Verifying), (unverified, Status::Ready)] {
        let mut run = Run::new(text, Mode::ReadOnly);
        let (step, _) = run.reach_review();
        run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
        run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
        let ticket = run.state.steps[&step].ticket;
        let (verdict, why) = (Probed::Unknown, "the API does not answer".to_owned());
        run.system(Intent::Probed {
            step: step.clone(),
            ticket,
            verdict,
            why,
            result: json!({}),
            changes: vec![],
        });
        let s = &run.state.steps[&step];
        assert_eq!(s.status, status);
        let told = s.why.as_ref().is_some_and(|w| w.contains("the API does not answer"));
        assert_eq!(told, status == Status::Ready, "{:?}", s.why);
    }
}

/// Doing it elsewhere is no way around what stops it here: gates, a held line, and a plan that
/// is not there yet. Looked at, the command may be at any time; claimed, what was handed over.
#[test]
fn a_step_is_handed_over_only_where_it_could_be_released() {
    let by_hand = RUNBOOK.replacen(
        "do.kube.delete_claims = { of_pod = \"{{ voter }}\" }",
        "hold = \"release\"\nmanual.instruction = \"Delete them.\"",
        1,
    );
    for (text, mode) in [
        (RUNBOOK, Mode::Write),
        (RUNBOOK, Mode::ReadOnly),
        (by_hand.as_str(), Mode::Write),
        (by_hand.as_str(), Mode::ReadOnly),
    ] {
        let mut run = Run::new(text, mode);
        let step = run.reach_first_step();
        let show = || Intent::Show { step: step.clone() };
        let acts = text == RUNBOOK;
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        let why = run.ask(&driver(), show()).unwrap_err();
        assert!(why.contains("gates are still being read"), "{why}");
        let mut bad = raft("vault-2");
        bad.voters[0].healthy = false;
        let bad = vec![live(Source::Raft, run.now, Update::Raft(bad.into()))];
        run.prepared_or_not(bad, acts.then(|| Ok(proposal("vault-0", "uid-vault-0"))));
        let why = run.ask(&driver(), show()).unwrap_err();
        assert!(why.contains("every voter is healthy") && why.contains("override it"), "{why}");
        let asked = run.overriding(&step, "healthy", "it is being unsealed");
        run.ask(&driver(), asked).unwrap();
        run.ask(&driver(), Intent::HoldLine { reason: "a call".into() }).unwrap();
        let why = run.ask(&driver(), show()).unwrap_err();
        assert!(why.contains("holds the line: a call; free it first"), "{why}");
        run.ask(&driver(), Intent::FreeLine).unwrap();
        run.ask(&driver(), show()).unwrap();
        assert_eq!(run.state.steps[&step].status, Status::Shown);
        // What was handed over is claimed whatever became of it since.
        run.ask(&driver(), Intent::HoldLine { reason: "another".into() }).unwrap();
        run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
    }
}

/// Of a run that is over, or goes on elsewhere, nothing more is asked, and what comes late is nothing.
#[test]
fn a_run_that_is_over_is_asked_for_nothing() {
    let hold = || Intent::HoldLine { reason: "wait".into() };
    let mut over = Run::new(RUNBOOK, Mode::Write);
    over.ask(&driver(), Intent::Abort { reason: "enough".into() }).unwrap();
    let mut moved = Run::new(RUNBOOK, Mode::Write);
    let event = Event::Moved { to: "/runs/there".into() };
    let entry = Entry { seq: moved.state.seq + 1, at: moved.now, actor: Actor::System, event };
    apply(&mut moved.state, &entry).unwrap();
    for (run, said) in [(&over, "the run is closed"), (&moved, "goes on in /runs/there")] {
        let why = decide(&run.state, &driver(), &hold(), run.now).unwrap_err();
        assert!(why.to_string().contains(said), "{why}");
    }
    let late = decide(&over.state, &Actor::System, &Intent::Continued, over.now);
    assert_eq!(late.unwrap(), []);
}

/// Each reason is something, and no book.
#[test]
fn a_reason_is_something_and_no_book() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    let long = |n: usize| "x".repeat(n);
    for (reason, said) in [(" ".to_owned(), "a reason is needed"), (long(2001), "shorten it")] {
        for intent in [
            Intent::HoldLine { reason: reason.clone() },
            Intent::Skip { step: step.clone(), reason: reason.clone() },
            Intent::TakeLease { reason: reason.clone() },
            Intent::Abort { reason: reason.clone() },
        ] {
            let why = run.ask(&driver(), intent).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
    // Nobody who takes what nobody holds has to say why.
    let why = run.ask(&driver(), Intent::TakeLease { reason: String::new() }).unwrap_err();
    assert!(!why.contains("reason"), "{why}");
    run.ask(&driver(), Intent::HoldLine { reason: long(2000) }).unwrap();
    run.ask(&driver(), Intent::FreeLine).unwrap();
    let why = run.ask(&driver(), Intent::FreeLine).unwrap_err();
    assert!(why.contains("the line is not held"), "{why}");
}

/// What runs is waited for, whatever is given up.
#[test]
fn no_run_is_given_up_while_an_effect_runs() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    let why = run.ask(&driver(), Intent::Abort { reason: "enough".into() }).unwrap_err();
    assert!(why.contains("is running; wait for its result, then abort"), "{why}");
    let outcome = Outcome::Unknown("no answer".into());
    run.system(Intent::EffectEnded { effect, outcome, result: json!(null) });
    let why = run.ask(&driver(), Intent::Accept { step: step.clone() }).unwrap_err();
    assert!(why.contains("its probe has not answered yet"), "{why}");
    let why = run.ask(&driver(), Intent::Abort { reason: "enough".into() }).unwrap_err();
    assert!(why.contains("its probe has not answered yet"), "{why}");
    assert_eq!((run.state.ended, run.state.steps[&step].status), (None, Status::InDoubt));
}

/// A word is taken back; what Holdpoint itself did is not.
#[test]
fn only_what_was_done_elsewhere_is_taken_back() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, _) = run.reach_review();
    let back = || Intent::Unclaim { step: step.clone() };
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    let mut shown = run.fork();
    shown.ask(&driver(), back()).unwrap();
    assert_eq!(shown.state.steps[&step].status, Status::Ready);
    run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
    let ticket = run.state.steps[&step].ticket;
    let (verdict, why, result) = (Probed::Done, "they are gone".into(), json!({}));
    let at = step.clone();
    run.system(Intent::Probed { step: at, ticket, verdict, why, result, changes: vec![] });
    assert_eq!(run.state.steps[&step].status, Status::Verifying);
    run.ask(&driver(), back()).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Ready);
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = run.reach_running();
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    assert_eq!(run.state.steps[&step].status, Status::Verifying);
    let why = run.ask(&driver(), back()).unwrap_err();
    assert!(why.contains("Holdpoint ran this step itself"), "{why}");
}

/// What a person does is nothing to be released, and what only looks nothing to be shown.
#[test]
fn what_is_done_by_hand_is_shown_and_what_looks_is_released() {
    let by_hand = RUNBOOK.replacen(
        "do.kube.delete_claims = { of_pod = \"{{ voter }}\" }",
        "hold = \"release\"\nmanual.instruction = \"Delete them.\"",
        1,
    );
    for mode in [Mode::Write, Mode::ReadOnly] {
        let mut run = Run::new(&by_hand, mode);
        let step = run.reach_first_step();
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        run.prepared_or_not(well(run.now), None);
        let why = run.state.releasable(&step).unwrap_err().to_string();
        assert!(why.contains("Holdpoint cannot do this step"), "{why}");
        assert!(run.state.showable(&step).is_ok());
    }
    let title = "title = \"{{ voter }} is well\"";
    let looks = RUNBOOK.replacen(title, &format!("{title}\nhold = \"release\""), 1);
    let mut run = Run::new(&looks, Mode::Write);
    let first = run.reach_first_step();
    run.ask(&driver(), Intent::Skip { step: first, reason: "seen".into() }).unwrap();
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.look(well(run.now));
    assert!(run.state.releasable(&step).is_ok());
    let why = run.state.showable(&step).unwrap_err().to_string();
    assert!(why.contains("it only looks"), "{why}");
}

/// A review says why there is no plan, and that a gate that passes needs no override.
#[test]
fn a_review_without_a_plan_says_why() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Err("forbidden: list claims".into()));
    let why = run.state.releasable(&step).unwrap_err().to_string();
    assert!(why.starts_with("forbidden: list claims; it is looked at again"), "{why}");
    let known = run.overriding(&step, "healthy", "known");
    let why = run.ask(&driver(), known).unwrap_err();
    assert!(why.contains("there is nothing to override"), "{why}");
}

/// A way back is left as long as nothing was done on it: asked again, a step did nothing.
#[test]
fn asking_again_on_a_way_back_is_nothing_done() {
    let step = "[[backout.step]]\nid = \"by-hand\"\n";
    let text = ways().replacen(step, &format!("{step}when = 'raft.leader_answers'\n"), 1);
    let leave = || Intent::LeaveBack { reason: "it came back".into() };
    let mut run = Run::new(&text, Mode::Write);
    run.reach_first_step();
    run.ask(&driver(), go("aside")).unwrap();
    for _ in 0..3 {
        run.look(well(run.now));
    }
    let step = run.state.current().unwrap();
    let mut again = run.fork();
    again.ask(&driver(), Intent::Retry { step: step.clone() }).unwrap();
    let s = &again.state.steps[&step];
    assert_eq!((s.status, s.attempt), (Status::Pending, 2));
    again.ask(&driver(), leave()).unwrap();
    assert!(!again.state.going_back());
    // Handed over it may have been done, also where it was taken back.
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared_or_not(well(run.now), None);
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Unclaim { step: step.clone() }).unwrap();
    assert!(run.ask(&driver(), leave()).unwrap_err().contains("something was done"));
    run.ask(&driver(), Intent::Retry { step }).unwrap();
    assert!(run.ask(&driver(), leave()).unwrap_err().contains("something was done"));
}

/// What still runs, or may, is waited for, whatever is asked; no way back is offered meanwhile.
#[test]
fn what_may_still_run_is_waited_for() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    let outcome = Outcome::Unknown("no answer".into());
    run.system(Intent::EffectEnded { effect, outcome, result: json!(null) });
    for (verdict, says) in [
        (None, "its probe has not answered yet, and it may still run; wait for that"),
        (Some(Probed::Running), "it still runs: pid 7: let it end"),
        (Some(Probed::Unknown), "retry it, or skip it with a reason"),
    ] {
        if let Some(verdict) = verdict {
            let ticket = run.state.steps[&step].ticket;
            let (step, why) = (step.clone(), "pid 7: let it end".into());
            let (result, changes) = (json!(null), vec![]);
            run.system(Intent::Probed { step, ticket, verdict, why, result, changes });
        }
        let over = verdict == Some(Probed::Unknown);
        for asked in [Intent::Accept { step: step.clone() }, Intent::Review { step: step.clone() }]
        {
            let why = run.ask(&driver(), asked).unwrap_err();
            assert!(why.ends_with(says) && why.contains("retry") == over, "{verdict:?}: {why}");
        }
        assert_eq!(run.state.ways_open(), if over { vec!["undo"] } else { vec![] });
        let goes_back = keys(&Model::default(), &run.state).into_iter().find(|k| k.keys == "B");
        assert_eq!(goes_back.unwrap().short.is_empty(), !over, "{verdict:?}");
    }
    run.ask(&driver(), Intent::HoldLine { reason: "a call".into() }).unwrap();
    assert!(run.state.ways_open().is_empty(), "a person's hold is freed first");
}

/// No turn comes while the line is held: by whom and why is what helps.
#[test]
fn a_held_line_is_named_where_a_turn_does_not_come() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.observe(well(run.now));
    for _ in 0..2 {
        run.look(well(run.now));
    }
    let step = run.state.current().unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Pending);
    run.ask(&driver(), Intent::HoldLine { reason: "a soak is watched".into() }).unwrap();
    for step in [step, "one[vault-2]/claims".parse().unwrap()] {
        let why = run.ask(&driver(), Intent::Review { step }).unwrap_err();
        let held = "ana holds the line: a soak is watched; free it first (h, or free)";
        assert!(why.ends_with(held) && !why.contains("turn"), "{why}");
    }
}
