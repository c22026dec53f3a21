//! Evidence that does not count for ever: what names it then, and who keeps it anew.

use crate::core::back::go;
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status, keyframe};
use holdpoint::runbook::load;
use serde_json::json;

const HOUR: i64 = 3_600_000;

/// An anchor is kept before the first voter's turn, and what deletes names it.
fn anchored(capture: &str) -> String {
    let before = format!(
        r#"[[phase]]
id = "first"
title = "First"
[[phase.step]]
id = "anchor"
title = "An anchor"
do.vault.snapshot_save = {{ dir = "/anchors", copy_to = "/second", temporary = "/tmp" }}
{capture}
[[phase]]
id = "one""#
    );
    let gate = "[[phase.step.gate]]\nid = \"anchor\"\nthat = 'evidence.anchor.checked'\n\
                says = \"a checked anchor\"\n[[phase.step.gate]]\nid = \"healthy\"";
    RUNBOOK
        .replacen("[[phase]]\nid = \"one\"", &before, 1)
        .replacen("[[phase.step.gate]]\nid = \"healthy\"", gate, 1)
        .replacen(
            "[[phase]]\nid = \"first\"",
            "[[backout]]\nid = \"home\"\ntitle = \"Home\"\n[[backout.step]]\nid = \"hand\"\n\
             title = \"By hand\"\nmanual.instruction = \"Put it back.\"\n[[phase]]\nid = \"first\"",
            1,
        )
}

const LASTS: &str = "capture.anchor = { of = 'result', lasts = \"4h\" }";

fn look_well(run: &mut Run) {
    run.look(well(run.now));
}

/// Does the anchor's step, whose turn it is.
fn anchor(run: &mut Run) {
    let step = run.state.current().unwrap();
    assert_eq!(step.to_string(), "first/anchor");
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.prepared(well(run.now), Ok(proposal("anchor", "uid")));
    let digest = run.state.steps[&step].proposal.as_ref().unwrap().1.clone();
    let typed = run.state.confirm_text(&step);
    run.ask(&driver(), Intent::Release { step, digest, typed }).unwrap();
    run.prepared(well(run.now), Ok(proposal("anchor", "uid")));
    let (effect, _) = run.state.running.clone().expect("it runs");
    let result = json!({"checked": true, "at": run.now});
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result });
    assert_eq!(run.status("first/anchor"), Status::Done);
}

/// At the step that deletes, with an anchor of now.
fn begun(capture: &str) -> (Run, StepAddr) {
    let mut run = Run::new(&anchored(capture), Mode::Write);
    run.reach_first_step();
    anchor(&mut run);
    let step = run.reach_first_step();
    assert_eq!(step.to_string(), "one[vault-0]/claims");
    (run, step)
}

/// The step in hand goes by an anchor that is too old.
pub fn outdated() -> Run {
    let (mut run, step) = begun(LASTS);
    after(&mut run, &step, 26 * HOUR);
    run
}

/// What the gate says after so many milliseconds.
fn after(run: &mut Run, step: &StepAddr, ms: i64) -> (Verdict, String) {
    run.pass(ms);
    look_well(run);
    let gates = &run.state.steps[step].gates;
    let gate = gates.iter().find(|g| g.gate == "anchor").unwrap();
    (gate.judged.verdict, gate.judged.why.clone())
}

fn again() -> Intent {
    Intent::Retry { step: "first/anchor".parse().unwrap() }
}

/// A run that is left for days passes nothing on an anchor of before; it is taken anew, whatever is in
/// hand, and then counts.
#[test]
fn what_is_too_old_is_not_known_and_is_kept_anew() {
    let (mut run, step) = begun(LASTS);
    assert_eq!(after(&mut run, &step, 4 * HOUR), (Verdict::Pass, String::new()), "just so");
    let refused = run.ask(&driver(), again()).unwrap_err();
    assert!(refused.contains("it is not first/anchor's turn"), "{refused}");
    let (verdict, why) = after(&mut run, &step, 22 * HOUR);
    let says = "evidence.anchor is 26h00 old, it lasts 4h: take it again with retry first/anchor";
    assert_eq!((verdict, why.as_str()), (Verdict::Inconclusive, says));
    assert_eq!(run.state.steps[&step].status, Status::Blocked);
    assert_eq!(run.state.wanted_again(run.now), Some(&"first/anchor".parse().unwrap()));
    // Another process takes the run up, here or from a keyframe, and takes the anchor.
    run.ask(&driver(), Intent::Resume { recovered: None, lost: false, version: "0".into() })
        .unwrap();
    let old = run.state.evidence["anchor"]["at"].clone();
    run.ask(&driver(), again()).unwrap();
    assert_eq!(run.state.current().unwrap().to_string(), "first/anchor");
    let folded = holdpoint::session::fold(&run.entries).unwrap();
    assert_eq!(folded.current(), run.state.current());
    assert_eq!(keyframe(&folded).unwrap(), keyframe(&run.state).unwrap());
    assert!(keyframe(&run.state).unwrap()["kept"]["anchor"]["lasts"] == "4h");
    look_well(&mut run);
    look_well(&mut run);
    anchor(&mut run);
    assert_ne!(run.state.evidence["anchor"]["at"], old);
    assert_eq!(run.state.current(), Some(step.clone()), "what was in hand goes on");
    assert_eq!(after(&mut run, &step, 1000).0, Verdict::Pass);
    assert!(run.ask(&driver(), again()).is_err(), "it counts again");
}

/// Nothing is said of how long it counts: as long as the run lasts.
#[test]
fn without_a_limit_it_counts_as_long_as_the_run_lasts() {
    for capture in ["capture.anchor = 'result'", "capture.anchor = { of = 'result' }"] {
        let (mut run, step) = begun(capture);
        assert_eq!(after(&mut run, &step, 1000 * HOUR).0, Verdict::Pass);
        assert!(run.ask(&driver(), again()).is_err());
    }
}

/// What is filled in from it stays: a way back restores the last anchor there is, however old. Nor is
/// anything of the forward run done again meanwhile.
#[test]
fn only_conditions_go_by_its_age() {
    let (mut run, step) = begun(LASTS);
    run.pass(5 * HOUR);
    let scope = run.state.scope(Some(&step), &run.state.world, &[], run.now);
    let expr = |text: &str| holdpoint::runbook::Expr::new(text).unwrap();
    assert_eq!(expr("evidence.anchor.checked").eval(&scope), Ok(json!(true)));
    for text in ["evidence.anchor.checked", "!has(evidence.anchor)", "size(evidence) > 0"] {
        assert_eq!(expr(text).judge(&scope).verdict, Verdict::Inconclusive, "{text}");
    }
    // A follow-up is judged on the record, weeks later.
    let due =
        holdpoint::run::due_judged(&run.state, &expr("evidence.anchor.checked"), &[], run.now);
    assert_eq!(due.verdict, Verdict::Pass);
    run.ask(&driver(), go("home")).unwrap();
    look_well(&mut run);
    look_well(&mut run);
    let refused = run.ask(&driver(), again()).unwrap_err();
    assert!(refused.contains("belongs to what is over"), "{refused}");
}

/// In the middle of a step nothing else begins; and one that was begun anew waits while one goes back.
#[test]
fn it_is_kept_anew_between_steps() {
    let (mut run, step) = begun(LASTS);
    run.pass(5 * HOUR);
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    let refused = run.ask(&driver(), again()).unwrap_err();
    assert!(refused.contains("finish or leave the step in hand first"), "{refused}");
    run.ask(&driver(), Intent::CloseReview { step }).unwrap();
    run.ask(&driver(), again()).unwrap();
    run.ask(&driver(), go("home")).unwrap();
    look_well(&mut run);
    look_well(&mut run);
    assert_eq!(run.state.current().unwrap().to_string(), "home/hand");
    run.ask(&driver(), Intent::LeaveBack { reason: "no".into() }).unwrap();
    assert_eq!(run.state.current().unwrap().to_string(), "first/anchor");
    // One that is left out keeps nothing anew.
    look_well(&mut run);
    let step = run.state.current().unwrap();
    run.ask(&driver(), Intent::Skip { step, reason: "later".into() }).unwrap();
    let step: StepAddr = "one[vault-0]/claims".parse().unwrap();
    assert_eq!(after(&mut run, &step, 0).0, Verdict::Inconclusive);
}

/// By a clock that was set back nobody knows how old it is.
#[test]
fn what_was_kept_at_a_time_to_come_is_not_known() {
    let (mut run, step) = begun(LASTS);
    run.pass(-HOUR);
    let (verdict, why) = after(&mut run, &step, 0);
    assert!(why.contains("and the clock was set back since: take it again with retry"), "{why}");
    assert_eq!(verdict, Verdict::Inconclusive);
    run.ask(&driver(), Intent::FreeLine).unwrap();
    run.ask(&driver(), again()).unwrap();
    look_well(&mut run);
    look_well(&mut run);
    anchor(&mut run);
    assert_eq!(after(&mut run, &step, 0).0, Verdict::Pass);
}

/// The runbook's mistakes are named.
#[test]
fn a_limit_is_a_time_and_stands_beside_what_is_kept() {
    for (capture, says) in [
        ("{ of = 'result', lasts = \"0s\" }", "evidence.anchor would never count"),
        ("{ lasts = \"4h\" }", "of"),
        ("{ of = 'result', last = \"4h\" }", "last"),
        ("{ of = 'result', lasts = \"4 days\" }", "unit"),
        ("{ of = 'reslt', lasts = \"4h\" }", "reslt"),
        ("3", "expression"),
    ] {
        let problems = load(&anchored(&format!("capture.anchor = {capture}"))).unwrap_err();
        let said: Vec<_> = problems.iter().map(|p| format!("{p:?}")).collect();
        assert!(said.iter().any(|p| p.contains(says)), "{capture}: {said:?}");
    }
}

/// In the cockpit its row stands below its phase, though that is over, and is run again from there.
#[test]
fn its_row_is_there_where_its_phase_is_over() {
    use holdpoint::ui::{Asked, KeyCode, Model, key, keys};
    let (fresh, _) = begun(LASTS);
    let mut run = outdated();
    let row = |run: &Run| {
        let mut model = Model::default();
        "0gj".chars().for_each(|c| drop(key(&mut model, &run.state, KeyCode::Char(c), run.now)));
        let listed = keys(&model, &run.state);
        let short = listed.iter().find(|k| k.keys == "r").map(|k| k.short);
        (short, key(&mut model, &run.state, KeyCode::Char('r'), run.now))
    };
    assert_eq!(row(&fresh).0, None);
    let (short, Asked::Intent(asked)) = row(&run) else { panic!() };
    assert_eq!((short, &*asked), (Some("run again"), &again()));
    run.ask(&driver(), *asked).unwrap();
    // It is in hand there, and is gone with its end.
    assert_eq!(row(&run).0, None);
    look_well(&mut run);
    look_well(&mut run);
    anchor(&mut run);
    assert_eq!(row(&run).0, None);
}
