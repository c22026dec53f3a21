//! Another text of the runbook, accepted while the run goes on.

use crate::core::back::{few_unsealed, ways};
use crate::core::turns::TURNS;
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, PhaseStatus, Status, keyframe, wants};
use serde_json::json;

fn accept(run: &mut Run, text: &str) -> Result<Vec<Event>, String> {
    let (runbook, reason) = (text.to_owned(), "the dry run showed it".to_owned());
    run.ask(&driver(), Intent::Redline { runbook, reason })
}

/// At `a/look`, with what came before it over.
fn at_look() -> Run {
    let mut run = Run::new(TURNS, Mode::Write);
    run.observe(well(run.now));
    for _ in 0..8 {
        run.look(well(run.now));
    }
    assert_eq!(run.state.current().unwrap().to_string(), "a/look");
    run
}

/// TURNS with something else in its n-th place of a text.
fn with(nth: usize, from: &str, to: &str) -> String {
    let at = TURNS.match_indices(from).nth(nth).unwrap().0;
    format!("{}{to}{}", &TURNS[..at], &TURNS[at + from.len()..])
}

const EACH: &str = "[phase.each.voter]\nof = 'raft.voters.map(v, v.name)'";
const LOOK: &str = "id = \"look\"\ntitle = \"Look\"\n";
const STEP_LOOK: &str = "[[phase.step]]\nid = \"look\"\n";
const STEP_NEVER: &str = "[[phase.step]]\nid = \"never\"\n";
const TOO: &str = "[[phase.step]]\nid = \"too\"\ntitle = \"Look too\"\n[phase.step.verify]\nthat = 'raft.leader_answers'\n";

/// What has not begun may be another: the step in hand, those behind it, phases to come.
#[test]
fn what_has_not_begun_may_be_another() {
    let phase_c = TURNS.rfind("[[phase]]").unwrap();
    let in_a = TURNS.match_indices("[[phase]]").nth(1).unwrap().0;
    let (a, b, c) = (&TURNS[..in_a], &TURNS[in_a..phase_c], &TURNS[phase_c..]);
    for (text, named) in [
        (with(0, STEP_LOOK, &format!("{TOO}{STEP_LOOK}")), "a/too is new"),
        (format!("{a}{c}{b}"), "the order of phases is another"),
        (with(0, LOOK, "id = \"look\"\ntitle = \"Look well\"\n"), "a/look is another (title)"),
        (with(2, LOOK, "id = \"look\"\ntitle = \"Look well\"\n"), "c/look is another (title)"),
        (with(0, EACH, "[phase.each.voter]\nof = '[\"vault-1\"]'"), "phase b is another (each)"),
        (TURNS[..phase_c].to_owned(), "phase c is gone"),
        (format!("{}{TOO}{}", &TURNS[..in_a], &TURNS[in_a..]), "a/too is new"),
        (
            format!(
                "{TURNS}[[followup]]\nid = \"later\"\ntitle = \"Later\"\ndue = \"24h\"\nowner = \"o\"\n"
            ),
            "follow-up later is new",
        ),
        (
            format!(
                "{TURNS}[[backout]]\nid = \"home\"\ntitle = \"Home\"\n{}",
                TOO.replace("[phase", "[backout").replace("[[phase", "[[backout")
            ),
            "home/too is new",
        ),
    ] {
        let mut run = at_look();
        let told = run.state.redline(&text);
        assert!(told.iter().any(|(d, why)| d.to_string() == named && why.is_none()), "{told:?}");
        let events = accept(&mut run, &text).unwrap_or_else(|why| panic!("{named}: {why}"));
        let [Event::Redlined { changes, reason, .. }] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert!(changes.iter().any(|c| c == named), "{changes:?}");
        assert_eq!(reason, "the dry run showed it");
        assert_eq!((run.state.text(), &run.state.header.runbook[..]), (&text[..], TURNS));
        // Whoever reads the journal goes by the right text from there on.
        let again = holdpoint::session::fold(&run.entries).unwrap();
        assert_eq!(again.text(), text);
        assert_eq!(format!("{:?}", again.steps), format!("{:?}", run.state.steps));
        assert_eq!(format!("{:?}", again.phases), format!("{:?}", run.state.phases));
        // The same once more is no change.
        let why = accept(&mut run, &text).unwrap_err();
        assert!(why.contains("nothing in it is another"), "{why}");
    }
}

/// What was done stays what its entries say; what holds for the whole run holds on.
#[test]
fn what_has_begun_stays_as_it_was() {
    let guard = "[[guard]]\nid = \"g\"\nthat = 'raft.leader_answers'\nsays = \"it answers\"\n";
    let in_a = TURNS.find("[[phase.step]]").unwrap();
    for (text, why) in [
        (
            with(0, "\"Where vault-1 leads\"", "\"Else\""),
            "a/maybe is another (title): a/maybe has begun",
        ),
        (
            with(0, "title = \"Turns\"", "title = \"Else\""),
            "title is another: it holds for the whole run",
        ),
        (format!("{TURNS}{guard}"), "guard g is new: it is watched all through"),
        (
            format!("{TURNS}[params.x]\ntype = \"int\"\ndefault = 1\n"),
            "params is new: it holds for the whole run",
        ),
        (with(0, "title = \"A\"", "title = \"Else\""), "phase a is another (title): it is open"),
        (
            format!("{}{TOO}{}", &TURNS[..in_a], &TURNS[in_a..]),
            "steps that have begun would come elsewhere",
        ),
        (
            with(0, STEP_NEVER, &format!("{TOO}{STEP_NEVER}")),
            "steps that have begun would come elsewhere",
        ),
        (
            with(
                0,
                "[[phase]]\nid = \"a\"",
                &format!("[[phase]]\nid = \"zero\"\ntitle = \"Z\"\n{TOO}[[phase]]\nid = \"a\""),
            ),
            "what has begun would come elsewhere",
        ),
        (
            with(0, "'raft.leader == \"vault-1\"'", "'raft.lead'"),
            "the runbook cannot be used: raft has no field `lead`",
        ),
    ] {
        let mut run = at_look();
        let told = run.state.redline(&text);
        assert!(told.iter().any(|(_, why)| why.is_some()), "{told:?}");
        let before = format!("{:?}", run.state.steps);
        let refused = accept(&mut run, &text).unwrap_err();
        assert!(refused.contains(why), "{refused}");
        assert_eq!((run.state.text(), format!("{:?}", run.state.steps)), (TURNS, before));
    }
    let mut run = at_look();
    let blank = Intent::Redline { runbook: format!("{TURNS}{guard}"), reason: " ".into() };
    assert!(run.ask(&driver(), blank).unwrap_err().contains("a reason is needed"));
}

/// In a phase with items a step is one for all of them: it has begun with the first.
#[test]
fn a_step_has_begun_for_all_items_with_the_first() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    let skip = Intent::Skip { step, reason: "seen".into() };
    run.ask(&driver(), skip).unwrap();
    let claims =
        RUNBOOK.replacen("risk = \"destructive\"", "estimate = \"1m\"\nrisk = \"destructive\"", 1);
    let why = accept(&mut run, &claims).unwrap_err();
    assert!(why.contains("one[vault-0]/claims has begun"), "{why}");
    // The one behind it has not, for nobody.
    let check = RUNBOOK.replacen("is well", "is very well", 1);
    accept(&mut run, &check).unwrap();
    for _ in 0..4 {
        run.look(well(run.now));
        run.pass(1_000);
    }
    assert_eq!(run.status("one[vault-0]/check"), Status::Done);
    // An item is done by the steps that there were.
    let more = check.clone() + &TOO.replace("raft.leader_answers", "raft.unsealed > 0");
    let why = accept(&mut run, &more).unwrap_err();
    assert!(why.contains("vault-0 is done by the steps that it has"), "{why}");
}

/// What comes new into a phase that is open has its turn there, with the item that is in hand;
/// elsewhere it comes when its phase or item does.
#[test]
fn a_step_that_is_new_has_its_turn() {
    let new = |run: &Run| -> Vec<String> {
        run.state.steps.keys().filter(|a| a.step == "too").map(ToString::to_string).collect()
    };
    let mut run = at_look();
    accept(&mut run, &format!("{TURNS}{TOO}")).unwrap();
    assert!(new(&run).is_empty(), "c waits");
    let in_a = TURNS.match_indices("[[phase]]").nth(1).unwrap().0;
    let mut run = at_look();
    accept(&mut run, &format!("{}{TOO}{}", &TURNS[..in_a], &TURNS[in_a..])).unwrap();
    assert_eq!(new(&run), ["a/too"]);
    let skip = Intent::Skip { step: "a/look".parse().unwrap(), reason: "seen".into() };
    run.ask(&driver(), skip).unwrap();
    for _ in 0..4 {
        run.look(well(run.now));
    }
    assert_eq!(run.status("a/too"), Status::Done);
    let more = format!("{RUNBOOK}{TOO}");
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.observe(well(run.now));
    run.look(well(run.now));
    assert_eq!(run.state.phases[0].status, PhaseStatus::Open);
    let mut in_hand = run.fork();
    accept(&mut run, &more).unwrap();
    assert!(new(&run).is_empty(), "nobody's turn has come");
    in_hand.reach_first_step();
    accept(&mut in_hand, &more).unwrap();
    run.reach_first_step();
    for run in [run, in_hand] {
        assert_eq!(new(&run), ["one[vault-0]/too"]);
    }
}

/// What is gone has no turn any more; those before it stay what they were.
#[test]
fn a_step_that_is_gone_has_no_turn() {
    let look = TURNS.find(STEP_LOOK).unwrap();
    let in_a = TURNS.match_indices("[[phase]]").nth(1).unwrap().0;
    let mut run = at_look();
    accept(&mut run, &format!("{}{}", &TURNS[..look], &TURNS[in_a..])).unwrap();
    let there: Vec<_> = run.state.steps.keys().map(ToString::to_string).collect();
    assert_eq!(there, ["a/maybe", "a/never"]);
    for _ in 0..4 {
        run.look(well(run.now));
    }
    assert_eq!(run.state.current().unwrap().phase, "b");
}

/// Whether a step is needed may be what is another: what was read to answer that answers nothing.
#[test]
fn an_answer_to_what_it_was_before_is_none() {
    let mut run = Run::new(TURNS, Mode::Write);
    run.observe(well(run.now));
    run.look(well(run.now));
    assert_eq!(run.state.current().unwrap().to_string(), "a/maybe");
    let asked = wants(&run.state).unwrap();
    accept(&mut run, &with(0, "\"vault-1\"'", "\"vault-2\"'")).unwrap();
    let (look, ticket, changes) = (asked.look, asked.ticket, well(run.now));
    assert!(run.system(Intent::Looked { look, ticket, changes }).is_empty());
    run.look(well(run.now));
    assert_eq!(run.status("a/maybe"), Status::Ready);
}

/// A way back may be another until it is begun; whether it is offered is judged anew.
#[test]
fn a_way_back_may_be_another_until_it_is_begun() {
    let text = ways();
    let aside = text.replacen("One voter back", "That voter back", 1);
    let mut run = Run::new(&text, Mode::Write);
    run.reach_first_step();
    run.observe(few_unsealed(run.now));
    assert!(run.state.offers.contains_key("aside"));
    let mut begun = run.fork();
    accept(&mut run, &aside).unwrap();
    assert!(run.state.offers.is_empty());
    run.observe(few_unsealed(run.now));
    assert!(run.state.offers.contains_key("aside"));
    let back = Intent::GoBack { section: "aside".into(), reason: "late".into() };
    begun.ask(&driver(), back).unwrap();
    let why = accept(&mut begun, &aside).unwrap_err();
    assert!(why.contains("way back aside is another (title): it was begun"), "{why}");
    // The other one was not.
    accept(&mut begun, &text.replacen("All of it back", "Back home", 1)).unwrap();
    assert!(begun.state.going_back());
}

/// A review that stands showed what may be another: it is closed, and its digest releases nothing.
#[test]
fn a_review_that_stands_is_closed() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    let text = RUNBOOK.replacen("confirm = \"{{ voter }}\"", "confirm = \"yes {{ voter }}\"", 1);
    let events = accept(&mut run, &text).unwrap();
    assert!(matches!(events[0], Event::ReviewClosed { .. }), "{events:?}");
    let s = &run.state.steps[&step];
    assert_eq!((s.status, s.gates.len(), s.proposal.is_none()), (Status::Pending, 0, true));
    let release = |typed: &str| Intent::Release {
        step: step.clone(),
        digest: digest.clone(),
        typed: typed.into(),
    };
    assert!(run.ask(&driver(), release("vault-0")).is_err());
    for _ in 0..2 {
        run.look(well(run.now));
    }
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    // A plan that was asked for before the change answers nothing.
    run.prepared(well(run.now), Ok(proposal("vault-0", "uid-vault-0")));
    assert!(run.ask(&driver(), release("vault-0")).unwrap_err().contains("type yes vault-0"));
    run.ask(&driver(), release("yes vault-0")).unwrap();
}

/// Not while something runs or is about to: its record names the step as it was.
#[test]
fn nothing_is_accepted_while_something_runs() {
    let text = RUNBOOK.replacen("is well", "is very well", 1);
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    let typed = "vault-0".into();
    run.ask(&driver(), Intent::Release { step, digest, typed }).unwrap();
    assert!(accept(&mut run, &text).unwrap_err().contains("about to run"));
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = run.reach_running();
    assert!(accept(&mut run, &text).unwrap_err().contains("is running"));
    let (outcome, result) = (Outcome::Failed("no".into()), json!({}));
    run.system(Intent::EffectEnded { effect, outcome, result });
    accept(&mut run, &text).unwrap();
}

/// A later segment's header has the first text; its keyframe has the one that the run goes by.
#[test]
fn a_later_segment_goes_by_the_text_that_was_accepted() {
    let mut run = at_look();
    let text = with(2, LOOK, "id = \"look\"\ntitle = \"Look well\"\n");
    accept(&mut run, &text).unwrap();
    let continues = Some(Continues { run: "r".into(), seq: 1, hash: "0".into(), path: None });
    let header = Header { continues, ..(*run.state.header).clone() };
    let zero = Event::Opened { header: Box::new(header) };
    let kept = Event::Keyframe { state: Box::new(keyframe(&run.state).unwrap()) };
    let entry = |seq, event| Entry { seq, at: run.now, actor: driver(), event };
    let next = holdpoint::session::fold(&[entry(0, zero), entry(1, kept)]).unwrap();
    assert_eq!((next.text(), &next.header.runbook[..]), (&text[..], TURNS));
    let title = next.title(&"c/look".parse().unwrap());
    assert_eq!(title, "Look well");
    assert_eq!(next.redlined, run.state.redlined);
}

/// A stream that says otherwise is none that was decided.
#[test]
fn an_entry_with_a_text_that_does_not_fit_is_refused() {
    let mut run = at_look();
    let runbook = with(0, "\"Where vault-1 leads\"", "\"Else\"");
    let event = Event::Redlined { runbook, changes: vec![], diff: vec![], reason: "x".into() };
    let entry = Entry { seq: run.state.seq + 1, at: run.now, actor: driver(), event };
    let why = holdpoint::run::apply(&mut run.state, &entry).unwrap_err().to_string();
    assert!(why.contains("a/maybe has begun"), "{why}");
    assert_eq!(run.state.text(), TURNS);
}
