//! Whether a step was done, where nobody saw it end: its probes; and what is kept of it.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Look, Status, doubted, wants};
use holdpoint::world::*;
use serde_json::{Value, json};

/// The runbook's own probe of the first step.
const PROBE: &str = "probe = 'size(before) > 0 && !claims.exists(c, c.uid == before[0].uid)'\n";

fn probing() -> String {
    RUNBOOK.replacen("capture.old", &format!("{PROBE}capture.old"), 1)
}

fn claims(at: Time, gone: bool) -> Vec<Change> {
    let there = claim("data-vault-0", "nfs-proxmox", "uid-vault-0");
    let rows = if gone { vec![] } else { vec![there] };
    vec![live(Source::Claims, at, Update::Claims(Rows::all(rows)))]
}

fn unread() -> Vec<Change> {
    vec![Change {
        source: Source::Claims,
        status: holdpoint::world::Status::Unreachable { why: "no path".into() },
        as_of: None,
        reach: None,
        update: Update::Nothing,
    }]
}

/// The look that stands, answered.
fn answer(run: &mut Run, verdict: Probed, why: &str, result: Value, changes: Vec<Change>) {
    let Some(Effect::Probe { step, ticket, .. }) = run.effects.pop() else {
        panic!("nothing looks: {:?}", run.effects)
    };
    let why = why.into();
    run.system(Intent::Probed { step, ticket, verdict, why, result, changes });
}

fn in_doubt() -> (Run, StepAddr) {
    let mut run = Run::new(&probing(), Mode::Write);
    let (step, effect) = run.reach_running();
    let outcome = Outcome::Unknown("no answer".into());
    run.system(Intent::EffectEnded { effect, outcome, result: json!({"count": 0}) });
    (run, step)
}

fn claimed(text: &str) -> (Run, StepAddr) {
    let mut run = Run::new(text, Mode::ReadOnly);
    let (step, _) = run.reach_review();
    run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
    (run, step)
}

/// What the action's probe says counts; where it does not know, the runbook's; where one says
/// done and the other not, nothing is known. Both are told.
#[test]
fn two_probes_add_up() {
    use Probed::{Done, NotDone, Partly, Unknown};
    let (run, _) = in_doubt();
    let Some(Effect::Probe { proposal, reading, .. }) = run.effects.last() else { panic!() };
    assert!(proposal.is_some() && reading.contains(&Source::Claims), "{reading:?}");
    let (gone, there, lost) = ("probe holds", "so for data-vault-0", "no path");
    for (own, runbook, sum) in [
        (Done, gone, Done),
        (Done, there, Unknown),
        (Done, lost, Done),
        (Partly, gone, Unknown),
        (Partly, there, Partly),
        (Partly, lost, Partly),
        (NotDone, gone, Unknown),
        (NotDone, there, NotDone),
        (NotDone, lost, NotDone),
        (Unknown, gone, Unknown),
        (Unknown, there, Unknown),
        (Unknown, lost, Unknown),
    ] {
        for (mut run, step) in [in_doubt(), claimed(&probing())] {
            let doubtful = run.state.steps[&step].status == Status::InDoubt;
            let picture = match runbook {
                "no path" => unread(),
                seen => claims(run.now, seen == gone),
            };
            answer(&mut run, own, "the action's own", json!(null), picture);
            let s = &run.state.steps[&step];
            let (verdict, why) = s
                .probed
                .clone()
                .or_else(|| {
                    // A claim that was taken back leaves no more than its entry.
                    run.entries.iter().rev().find_map(|e| match &e.event {
                        Event::Probed { verdict, why, .. } => Some((*verdict, why.clone())),
                        _ => None,
                    })
                })
                .unwrap();
            let told = format!("{own:?}, {runbook}: {why}");
            assert_eq!(verdict, sum, "{told}");
            assert!(why.contains("the action's own") && why.contains(runbook), "{told}");
            let contradict = sum == Unknown && own != Unknown;
            let status = match (doubtful, sum) {
                (true, _) => Status::InDoubt,
                (false, Done) => Status::Verifying,
                // Where nobody knows the verify decides, but not against one who does.
                (false, Unknown) if !contradict => Status::Verifying,
                _ => Status::Ready,
            };
            assert_eq!(s.status, status, "{told}");
            if status == Status::Ready {
                let what = match sum {
                    Unknown => "whether it was done is not known",
                    _ => "it is not done",
                };
                assert_eq!(s.why, Some(format!("{what}: {why}")));
            }
            let accepted = run.ask(&driver(), Intent::Accept { step });
            assert_eq!(accepted.is_ok(), doubtful && sum == Done, "{told}");
        }
    }
}

/// What a person does by hand has no action that could look: the runbook's probe alone does.
#[test]
fn what_is_done_by_hand_is_looked_at_by_the_runbooks_probe() {
    let text = r#"
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
manual.instruction = "Step it down."
probe = 'raft.leader != "vault-2"'
capture.leader = 'raft.leader'
"#;
    let leads = |leader: &str, at| vec![live(Source::Raft, at, Update::Raft(raft(leader).into()))];
    let lost = |at| -> Vec<Change> {
        let why = "no path".into();
        let status = holdpoint::world::Status::Unreachable { why };
        leads("vault-1", at).into_iter().map(|c| Change { status: status.clone(), ..c }).collect()
    };
    let at = Run::new(text, Mode::ReadOnly).now;
    for (picture, verdict, status) in [
        (leads("vault-1", at), Probed::Done, Status::Done),
        (leads("vault-2", at), Probed::NotDone, Status::Ready),
        (lost(at), Probed::Unknown, Status::Ready),
    ] {
        let mut run = Run::new(text, Mode::ReadOnly);
        let step = run.reach_first_step();
        run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        run.prepared_or_not(well(run.now), None);
        run.ask(&driver(), Intent::Show { step: step.clone() }).unwrap();
        run.ask(&driver(), Intent::Claim { step: step.clone() }).unwrap();
        assert_eq!(run.state.steps[&step].status, Status::Claimed);
        let Some(Effect::Probe { proposal: None, reading, .. }) = run.effects.last() else {
            panic!("{:?}", run.effects)
        };
        assert!(reading.contains(&Source::Raft));
        answer(&mut run, Probed::Unknown, "", json!(null), picture);
        let told = run.entries.iter().find_map(|e| match &e.event {
            Event::Probed { verdict, why, .. } => {
                Some((*verdict, why.starts_with("the runbook's")))
            }
            _ => None,
        });
        assert_eq!(told, Some((verdict, true)));
        assert_eq!(run.state.steps[&step].status, status);
        assert_eq!(run.state.evidence.contains_key("leader"), status == Status::Done);
    }
}

/// Nobody saw whether it was done, and its verify passes: what it took away is kept then, from
/// what its plan saw. What only its answer could tell is not known, and not kept as nothing.
#[test]
fn what_the_verify_alone_proves_has_its_proofs() {
    let text = RUNBOOK.replacen(
        "capture.old = 'before'",
        "capture.old = 'before'\ncapture.said = 'result'",
        1,
    );
    let (mut run, step) = claimed(&text);
    answer(&mut run, Probed::Unknown, "no answer", json!(null), vec![]);
    assert_eq!(run.state.steps[&step].status, Status::Verifying);
    assert_eq!(run.state.evidence.get("old"), None, "not before it is proven");
    for _ in 0..2 {
        let now = run.now;
        run.look(claims(now, true));
        run.pass(2_000);
    }
    assert_eq!(run.state.steps[&step].status, Status::Done);
    assert_eq!(run.state.evidence["old"][0]["uid"], "uid-vault-0");
    assert_eq!(run.state.evidence.get("said"), None);
    assert!(run.state.lost["said"].contains("did not keep it"), "{:?}", run.state.lost);
    let kept = run.entries.iter().filter(|e| matches!(e.event, Event::Captured { .. })).count();
    assert_eq!(kept, 1);
}

/// Accepted on a probe's word, without what the action would have returned.
#[test]
fn a_result_that_is_not_known_is_not_kept_as_nothing() {
    let text = probing().replacen(
        "capture.old = 'before'",
        "capture.old = 'before'\ncapture.said = 'result'",
        1,
    );
    for (result, said) in [(json!(null), None), (json!({"count": 1}), Some(json!({"count": 1})))] {
        let mut run = Run::new(&text, Mode::Write);
        let (step, effect) = run.reach_running();
        let outcome = Outcome::Unknown("no answer".into());
        run.system(Intent::EffectEnded { effect, outcome, result: json!({"count": 0}) });
        let picture = claims(run.now, true);
        answer(&mut run, Probed::Done, "gone", result, picture);
        run.ask(&driver(), Intent::Accept { step }).unwrap();
        for _ in 0..2 {
            let now = run.now;
            run.look(claims(now, true));
            run.pass(2_000);
        }
        assert_eq!(run.status("one[vault-0]/claims"), Status::Done);
        assert_eq!(run.state.evidence.get("said"), said.as_ref());
        assert!(run.state.evidence.contains_key("old"));
        let kept = run.entries.iter().filter(|e| matches!(e.event, Event::Captured { .. })).count();
        assert_eq!(kept, 1 + usize::from(said.is_some()), "each once");
    }
}

/// A step that was to keep something and was left out: a check that asks whether there is such
/// evidence does not pass because there is none, nor by what another item's step kept.
#[test]
fn absence_of_evidence_proves_nothing() {
    let moved = "raft.voters.exists(v, v.name == voter && v.healthy) && \
                 (!has(evidence.old) || !evidence.old.exists(o, o.uid == \"uid-\" + voter))";
    let text = RUNBOOK
        .replacen("raft.voters.exists(v, v.name == voter && v.healthy)", moved, 1)
        .replacen("settle = \"2 in 2s\"\n", "", 1)
        .replacen(
            "title = \"{{ voter }} is well\"",
            "title = \"{{ size(evidence.old) }} kept\"",
            1,
        );
    let mut run = Run::new(&text, Mode::Write);
    let (_, effect) = run.reach_running();
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    let gone = |at| -> Vec<Change> { well(at).into_iter().chain(claims(at, true)).collect() };
    let verdict = |run: &Run, step: &str| {
        let verify = run.state.steps.get(&step.parse::<StepAddr>().unwrap())?.verify.clone()?;
        Some((verify.verdict, verify.why))
    };
    for _ in 0..6 {
        let now = run.now;
        run.look(gone(now));
    }
    // What it kept is another's: the very voter that it was kept of fails.
    assert_eq!(verdict(&run, "one[vault-0]/check").unwrap().0, Verdict::Fail);
    for _ in 0..21 {
        run.pass(15_000);
        run.look(gone(run.now));
    }
    let check = "one[vault-0]/check".parse::<StepAddr>().unwrap();
    run.ask(&driver(), Intent::Skip { step: check, reason: "seen".into() }).unwrap();
    let next: StepAddr = "one[vault-1]/claims".parse().unwrap();
    for _ in 0..4 {
        let now = run.now;
        run.look(gone(now));
    }
    assert_eq!(run.state.current().as_ref(), Some(&next));
    assert!(run.state.evidence.contains_key("old"));
    run.ask(&driver(), Intent::Skip { step: next, reason: "by hand".into() }).unwrap();
    for _ in 0..4 {
        let now = run.now;
        run.look(gone(now));
    }
    let (verdict, why) = verdict(&run, "one[vault-1]/check").unwrap();
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(why, "evidence.old is not known: one[vault-1]/claims was skipped");
    assert_eq!(run.status("one[vault-1]/check"), Status::Verifying);
    // Nor is a text filled in with what another step kept.
    let title = run.state.title(&"one[vault-1]/check".parse().unwrap());
    assert!(title.contains("{{"), "{title}");
    let again = holdpoint::session::fold(&run.entries).unwrap();
    assert_eq!((again.lost, again.captured), (run.state.lost.clone(), run.state.captured.clone()));
}

/// A step that is left out after it had kept what it was to keep leaves it.
#[test]
fn what_was_kept_before_a_step_failed_is_kept() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: json!({}) });
    run.pass(60_000);
    let now = run.now;
    run.look(claims(now, false));
    assert_eq!(run.state.steps[&step].status, Status::Failed);
    run.ask(&driver(), Intent::Skip { step, reason: "seen".into() }).unwrap();
    assert!(run.state.evidence.contains_key("old") && run.state.lost.is_empty());
}

/// The world goes on while a step is in doubt: it is looked at again and again, what is new is
/// told, and the same in other words of age is not.
#[test]
fn a_doubt_is_looked_at_until_it_is_settled() {
    let (mut run, step) = in_doubt();
    answer(&mut run, Probed::NotDone, "it is there, seen 2s ago", json!(null), vec![]);
    let probed = |run: &mut Run, verdict, why: &str| {
        let want = wants(&run.state).expect("it is still asked");
        assert_eq!((&want.look, want.reading), (&Look::Doubt(step.clone()), Reading::default()));
        let asked = doubted(&run.state, &step).expect("a look");
        let Effect::Probe { ticket, .. } = asked else { panic!("{asked:?}") };
        assert_eq!(ticket, want.ticket);
        let (why, changes) = (why.into(), claims(run.now, verdict == Probed::Done));
        let (step, result) = (step.clone(), json!(null));
        run.system(Intent::Probed { step, ticket, verdict, why, result, changes }).len()
    };
    run.pass(5_000);
    assert_eq!(probed(&mut run, Probed::NotDone, "it is there, seen 7s ago"), 0);
    assert_eq!(probed(&mut run, Probed::NotDone, "half of it is there, seen 7s ago"), 1);
    assert!(run.ask(&driver(), Intent::Accept { step: step.clone() }).is_err());
    assert!(probed(&mut run, Probed::Done, "it is gone") > 1, "with what it proves");
    assert_eq!(wants(&run.state), None, "it waits for a person");
    let attempt = run.state.steps[&step].attempt;
    run.ask(&driver(), Intent::Accept { step: step.clone() }).unwrap();
    assert_eq!((run.state.steps[&step].status, attempt), (Status::Verifying, 1));
}
