//! Whose turn it is: steps that are not needed, not known to be needed, or asked anew.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, PhaseStatus, Status, wants};
use holdpoint::world::*;

pub const TURNS: &str = r#"
format = 1
id = "turns"
title = "Turns"
owner = "tests"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "maybe"
title = "Where vault-1 leads"
when = 'raft.leader == "vault-1"'
[phase.step.verify]
that = 'raft.leader_answers'
[[phase.step]]
id = "never"
title = "Where nobody leads"
when = 'raft.leader == "nobody"'
[phase.step.verify]
that = 'raft.leader_answers'
[[phase.step]]
id = "look"
title = "Look"
hold = "release"
[phase.step.verify]
that = 'raft.leader_answers'
[[phase]]
id = "b"
title = "B"
[phase.each.voter]
of = 'raft.voters.map(v, v.name)'
[[phase.step]]
id = "maybe"
title = "Where nobody leads"
when = 'raft.leader == "nobody"'
[phase.step.verify]
that = 'raft.leader_answers'
[[phase.step]]
id = "look"
title = "Look"
hold = "release"
[phase.step.verify]
that = 'raft.leader_answers'
[[phase]]
id = "c"
title = "C"
[[phase.step]]
id = "look"
title = "Look"
hold = "release"
[phase.step.verify]
that = 'raft.leader_answers'
"#;

fn addr(text: &str) -> StepAddr {
    text.parse().unwrap()
}

fn leads(run: &Run, leader: &str) -> Vec<Change> {
    vec![live(Source::Raft, run.now, Update::Raft(raft(leader).into()))]
}

/// Looks until it is this step's turn and its gates have been read.
fn reach(run: &mut Run, step: &str) {
    for _ in 0..20 {
        let ready = run.state.steps.get(&addr(step)).is_some_and(|s| s.gates_at.is_some());
        if run.state.current() == Some(addr(step)) && ready {
            return;
        }
        run.look(leads(run, "vault-2"));
    }
    panic!("{step} has no turn: {:?}", run.state.current());
}

fn retry(run: &mut Run, step: &str) -> Result<Vec<Event>, String> {
    run.ask(&driver(), Intent::Retry { step: addr(step) })
}

fn skip(run: &mut Run, step: &str) {
    run.ask(&driver(), Intent::Skip { step: addr(step), reason: "seen".into() }).unwrap();
}

/// A step that was not needed can be asked anew while its phase and item last, and while
/// nothing else is in hand.
#[test]
fn what_was_not_needed_is_asked_anew_only_where_the_run_still_is() {
    let mut run = Run::new(TURNS, Mode::Write);
    reach(&mut run, "a/look");
    assert_eq!(run.status("a/maybe"), Status::NotNeeded);
    run.ask(&driver(), Intent::Review { step: addr("a/look") }).unwrap();
    let why = retry(&mut run, "a/maybe").unwrap_err();
    assert!(why.contains("leave the step in hand first"), "{why}");
    run.ask(&driver(), Intent::CloseReview { step: addr("a/look") }).unwrap();
    // The leadership moved: now it is needed, and done before the step in hand.
    retry(&mut run, "a/maybe").unwrap();
    assert_eq!(
        (run.state.current(), run.status("a/maybe")),
        (Some(addr("a/maybe")), Status::Pending)
    );
    for _ in 0..3 {
        run.look(leads(&run, "vault-1"));
    }
    assert_eq!(run.status("a/maybe"), Status::Done);
    assert_eq!(run.state.steps[&addr("a/maybe")].attempt, 2);
    // It was needed and is done, which lasts no longer than the next election.
    retry(&mut run, "a/maybe").unwrap();
    for _ in 0..3 {
        run.look(leads(&run, "vault-1"));
    }
    let s = &run.state.steps[&addr("a/maybe")];
    assert_eq!((s.status, s.attempt), (Status::Done, 3));
    assert_eq!(run.state.current(), Some(addr("a/look")));
    skip(&mut run, "a/look");
    reach(&mut run, "b[vault-0]/look");
    skip(&mut run, "b[vault-0]/look");
    reach(&mut run, "b[vault-1]/look");
    for over in ["b[vault-0]/maybe", "a/never"] {
        let why = retry(&mut run, over).unwrap_err();
        assert!(why.contains("belongs to what is over"), "{over}: {why}");
    }
    retry(&mut run, "b[vault-1]/maybe").unwrap();
    assert_eq!(run.state.current(), Some(addr("b[vault-1]/maybe")));
    reach(&mut run, "b[vault-1]/look");
    skip(&mut run, "b[vault-1]/look");
    reach(&mut run, "b[vault-2]/look");
    skip(&mut run, "b[vault-2]/look");
    reach(&mut run, "c/look");
    // What is done stays done, unless whether it is needed is a question.
    assert!(retry(&mut run, "b[vault-2]/look").unwrap_err().contains("not"));
    // Neither phase has items: that alone makes them no neighbours.
    assert!(retry(&mut run, "a/never").unwrap_err().contains("belongs to what is over"));
}

/// What failed may have failed because an earlier step was needed after all: that one is asked anew
/// beside it, and done before it is tried again.
#[test]
fn beside_a_step_that_failed_another_is_asked_anew() {
    let verify = "[phase.step.verify]\nthat = 'raft.leader_answers'";
    let look = format!("title = \"Look\"\nhold = \"release\"\n{verify}");
    let text = TURNS.replacen(&look, &format!("{look}\nwithin = \"10s\""), 1);
    let mut run = Run::new(&text, Mode::Write);
    reach(&mut run, "a/look");
    run.ask(&driver(), Intent::Review { step: addr("a/look") }).unwrap();
    run.look(leads(&run, "vault-2"));
    let (digest, typed) = (String::new(), String::new());
    run.ask(&driver(), Intent::Release { step: addr("a/look"), digest, typed }).unwrap();
    run.prepared_or_not(leads(&run, "vault-2"), None);
    for _ in 0..12 {
        run.pass(1000);
        let silent = Raft { leader_answers: false, ..raft("vault-1") };
        run.look(vec![live(Source::Raft, run.now, Update::Raft(silent.into()))]);
    }
    assert_eq!(run.status("a/look"), Status::Failed);
    retry(&mut run, "a/maybe").unwrap();
    for _ in 0..3 {
        run.look(leads(&run, "vault-1"));
    }
    assert_eq!((run.status("a/maybe"), run.state.current()), (Status::Done, Some(addr("a/look"))));
    assert_eq!(run.status("a/look"), Status::Failed);
    retry(&mut run, "a/look").unwrap();
    assert_eq!(run.status("a/look"), Status::Ready);
}

/// Whether a step is needed is not decided on data that is stale or missing: it waits,
/// says why once, and says so anew when the reason changes.
#[test]
fn whether_a_step_is_needed_is_not_guessed() {
    let mut run = Run::new(TURNS, Mode::Write);
    run.look(vec![]);
    let said = |events: &[Event]| match events {
        [Event::StepBlocked { why, .. }] => why.clone(),
        other => panic!("{other:?}"),
    };
    let events = run.look(vec![]);
    assert!(said(&events).contains("whether it is needed is not known"), "{events:?}");
    let s = |run: &Run| run.state.steps[&addr("a/maybe")].clone();
    assert_eq!((s(&run).status, s(&run).why.clone()), (Status::Pending, Some(said(&events))));
    // The same again is no news; the question stands all the same.
    assert_eq!(run.look(vec![]), []);
    assert!(wants(&run.state).is_some());
    let forbidden = Change {
        source: Source::Raft,
        status: holdpoint::world::Status::Forbidden { right: "read raft".into() },
        as_of: None,
        reach: None,
        update: Update::Nothing,
    };
    let events = run.look(vec![forbidden]);
    assert!(said(&events).contains("read raft"), "{events:?}");
    // It is known at last.
    run.look(leads(&run, "vault-1"));
    assert_eq!((s(&run).status, s(&run).why.clone()), (Status::Ready, None));
}

/// Only what is named is read: a set when its phase opens, and not again at each turn.
#[test]
fn what_comes_next_reads_what_it_names() {
    let mut run = Run::new(TURNS, Mode::Write);
    let reads = |run: &Run| {
        let reading = wants(&run.state).unwrap().reading;
        reading.iter().map(|(source, _)| source).collect::<Vec<_>>()
    };
    assert_eq!(reads(&run), [], "the first phase has no items");
    reach(&mut run, "a/look");
    skip(&mut run, "a/look");
    run.look(vec![]);
    assert_eq!(
        (run.state.phases[1].status, reads(&run)),
        (PhaseStatus::Waiting, vec![Source::Raft])
    );
    run.look(leads(&run, "vault-2"));
    assert_eq!((run.state.phases[1].status, reads(&run)), (PhaseStatus::Open, vec![]));
    run.look(vec![]);
    assert_eq!(reads(&run), [Source::Raft], "whether its first step is needed");
}

/// A verify is looked at as often as it takes to settle in time, within bounds.
#[test]
fn a_verify_is_looked_at_as_often_as_it_must_pass() {
    for (settle, every) in
        [("2 in 2s", 2000), ("4 in 3s", 1000), ("9 in 1s", 250), ("2 in 60s", 2000)]
    {
        let text = RUNBOOK.replacen("2 in 2s", settle, 1).replacen("\"10s\"", "\"90s\"", 1);
        let mut run = Run::new(&text, Mode::Write);
        let (_, effect) = run.reach_running();
        let (outcome, result) = (Outcome::Ok, serde_json::json!({}));
        run.system(Intent::EffectEnded { effect, outcome, result });
        assert_eq!(run.status("one[vault-0]/claims"), Status::Verifying);
        assert_eq!(wants(&run.state).unwrap().every, Span(every), "{settle}");
    }
}

/// Within ten seconds is at ten seconds too, and no longer.
#[test]
fn a_verify_has_all_of_its_time() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = run.reach_running();
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result: serde_json::json!({}) });
    for (ms, status) in [(10_000, Status::Verifying), (1, Status::Failed)] {
        run.pass(ms);
        run.look(well(run.now));
        assert_eq!(run.status("one[vault-0]/claims"), status);
    }
}

/// A journal cut between the two entries of an abort: the run is over and asks nothing.
#[test]
fn a_run_that_was_given_up_asks_nothing_also_where_its_end_is_not_told() {
    let mut run = Run::new(TURNS, Mode::Write);
    reach(&mut run, "a/look");
    run.ask(&driver(), Intent::Abort { reason: "enough".into() }).unwrap();
    assert_eq!((wants(&run.state), run.state.ended), (None, Some(false)));
    assert_eq!(run.status("a/look"), Status::Aborted);
    run.entries.pop();
    let state = holdpoint::session::fold(&run.entries).unwrap();
    assert_eq!((wants(&state), state.ended), (None, None));
    let mut cut = Run { state, entries: run.entries, now: run.now, effects: vec![] };
    let change = Box::new(leads(&cut, "vault-1").remove(0));
    assert_eq!(cut.system(Intent::Observed { change }), []);
}

/// What is done stays done, unless whether it is needed is a question.
#[test]
fn only_what_hangs_on_a_question_is_asked_again() {
    let book = TURNS.replacen("when = 'raft.leader == \"nobody\"'\n", "", 1);
    let mut run = Run::new(&book, Mode::Write);
    for _ in 0..12 {
        run.look(leads(&run, "vault-1"));
    }
    assert_eq!(run.state.current(), Some(addr("a/look")));
    let done = ["a/maybe", "a/never"].map(|s| run.status(s));
    assert_eq!(done, [Status::Done, Status::Done]);
    let again = ["a/maybe", "a/never", "a/look"].map(|s| run.state.asked_again(&addr(s), run.now));
    assert_eq!(again, [true, false, false]);
    assert!(retry(&mut run, "a/never").unwrap_err().contains("not a/never's turn"));
    retry(&mut run, "a/maybe").unwrap();
}

/// The leadership moved while it was stepped down, so that it failed, or nobody knows: tried
/// again, it is asked first whether it is needed at all. What an attempt may have done is not
/// forgotten with that.
#[test]
fn what_is_tried_again_is_asked_again_whether_it_is_needed() {
    let text = crate::support::RUNBOOK.replacen(
        "id = \"claims\"\n",
        "id = \"claims\"\nwhen = 'raft.leader != \"vault-1\"'\n",
        1,
    );
    let at = "one[vault-0]/claims";
    for (outcome, doubt) in [
        (Outcome::Failed("it does not lead".into()), None),
        (Outcome::Unknown("no answer".into()), Some("no answer; its probe: half")),
    ] {
        let unknown = doubt.is_some();
        let mut run = Run::new(&text, Mode::Write);
        let (step, effect) = run.reach_running();
        run.system(Intent::EffectEnded { effect, outcome, result: serde_json::json!(null) });
        if unknown {
            let ticket = run.state.steps[&step].ticket;
            run.system(Intent::Probed {
                step: step.clone(),
                ticket,
                verdict: Probed::Partly,
                why: "half".into(),
                result: serde_json::json!(null),
                changes: vec![],
            });
        }
        let mut needed = run.fork();
        retry(&mut run, at).unwrap();
        assert_eq!((run.status(at), run.state.steps[&step].attempt), (Status::Pending, 2));
        run.look(leads(&run, "vault-1"));
        let s = &run.state.steps[&step];
        assert_eq!(s.status, Status::NotNeeded);
        let said = s.doubt.as_ref().map(|(attempt, why)| (*attempt, why.as_str()));
        assert_eq!(said, doubt.map(|why| (1, why)));
        // What it may have kept is not what an earlier one kept.
        assert_eq!(run.state.lost.contains_key("old"), unknown);
        let again = holdpoint::session::fold(&run.entries).unwrap();
        assert_eq!(again.steps[&step].doubt, s.doubt);
        // Where it still is, it goes its way from its gates; the doubt ends when it is done.
        retry(&mut needed, at).unwrap();
        for _ in 0..2 {
            needed.look(well(needed.now));
        }
        assert_eq!(needed.status(at), Status::Ready);
        assert_eq!(needed.state.steps[&step].doubt.is_some(), unknown);
        needed.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        let plan = || Ok(proposal("vault-0", "uid-vault-0"));
        needed.prepared(well(needed.now), plan());
        let digest = needed.state.steps[&step].proposal.as_ref().unwrap().1.clone();
        let typed = "vault-0".into();
        needed.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
        needed.prepared(well(needed.now), plan());
        let (effect, _) = needed.state.running.clone().unwrap();
        let (outcome, result) = (Outcome::Ok, serde_json::json!({}));
        needed.system(Intent::EffectEnded { effect, outcome, result });
        let gone = |at| vec![live(Source::Claims, at, Update::Claims(Rows::all(vec![])))];
        for _ in 0..3 {
            needed.look(gone(needed.now));
            needed.pass(1_000);
        }
        assert_eq!((needed.status(at), &needed.state.steps[&step].doubt), (Status::Done, &None));
    }
}

/// A journal of before says only that it is tried again: that led to its gates.
#[test]
fn an_older_journal_folds_as_it_was_written() {
    let text = r#"{"type":"retried","step":"a/b","attempt":2}"#;
    let event: Event = serde_json::from_str(text).unwrap();
    assert_eq!(event, Event::Retried { step: addr("a/b"), attempt: 2, anew: false });
    assert_eq!(serde_json::to_string(&event).unwrap(), text);
}
