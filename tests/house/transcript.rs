//! Whole lives of steps as transcripts: what was asked, which events and effects followed
//! or why not, what of the state changed, and what the run wants to see next. Whoever
//! changes the core sees here what that changes for a run.

mod scene;

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, wants};
use holdpoint::world::*;
use scene::*;
use serde_json::json;

fn plan() -> Option<Result<Proposal, String>> {
    Some(Ok(proposal("vault-2", "uid-vault-2")))
}

fn other_leads(raft: &mut Raft) {
    raft.leader = "vault-1".into();
}

fn hung(raft: &mut Raft) {
    raft.leader_answers = false;
    raft.voters[2].healthy = false;
    raft.voters[2].verdict = VoterVerdict::Hung;
}

#[test]
fn a_question_and_what_is_done_by_hand() {
    let mut s = Scene::new(Mode::Write);
    s.observe("", |_| {});
    s.look("", |_| {});
    s.look("", |_| {});
    let (how, hand) = (s.step("ask/how"), s.step("ask/by-hand"));
    s.ana(Intent::Review { step: how.clone() });
    s.ana(Intent::Choose { step: how.clone(), branch: "nowhere".into() });
    s.ana(Intent::Show { step: how.clone() });
    s.ana(Intent::Choose { step: hand.clone(), branch: "here".into() });
    s.ana(Intent::Choose { step: how.clone(), branch: "elsewhere".into() });
    s.ana(Intent::Choose { step: how.clone(), branch: "here".into() });
    s.look("", |_| {});
    s.look("gates", |_| {});
    s.ana(Intent::Choose { step: hand.clone(), branch: "here".into() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Unclaim { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::CloseReview { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.look("not so", |_| {});
    s.pass(2_000);
    s.look("so", other_leads);
    s.pass(1_000);
    s.look("not so", |_| {});
    s.ana(Intent::Unclaim { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.pass(11_000);
    s.look("too late", |_| {});
    s.ana(Intent::Accept { step: hand.clone() });
    s.ana(Intent::Retry { step: hand.clone() });
    s.look("gates", |_| {});
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.look("so", other_leads);
    s.pass(1_000);
    s.look("so, not long enough", other_leads);
    s.pass(1_000);
    s.look("so", other_leads);
    s.look("the next is not needed", |_| {});
    s.look("the phase is done", |_| {});
    s.ana(Intent::Retry { step: s.step("ask/here") });
    s.ana(Intent::Abort { reason: " ".into() });
    s.ana(Intent::Abort { reason: "enough".into() });
    s.ana(Intent::Review { step: hand });
    s.system("late", Intent::Tick);
    keep("by-hand", s);
}

#[test]
fn an_action_from_its_turn_to_its_end() {
    let mut s = Scene::new(Mode::Write);
    s.reach_the_roll();
    let step = s.step("roll[vault-2]/claims");
    s.ana(Intent::Review { step: step.clone() });
    s.release("roll[vault-2]/claims", "vault-2");
    s.prepared("a missing right", Some(Err("forbidden: delete".into())), |_| {});
    s.ana(Intent::Show { step: step.clone() });
    s.release("roll[vault-2]/claims", "vault-2");
    s.ana(Intent::CloseReview { step: step.clone() });
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), hung);
    s.release("roll[vault-2]/claims", "data-vault-2");
    let over = |s: &mut Scene, gate: &str, reason: &str| {
        let asked = s.run.overriding(&"roll[vault-2]/claims".parse().unwrap(), gate, reason);
        s.ana(asked);
    };
    over(&mut s, "healthy", "");
    over(&mut s, "nope", "because");
    over(&mut s, "healthy", "seen with our own eyes");
    over(&mut s, "guard:quorum", "seen as well");
    s.release("roll[vault-2]/claims", "vault-2");
    s.look("well again", |_| {});
    over(&mut s, "healthy", "it passes");
    s.ana(Intent::FreeLine);
    s.ana(Intent::HoldLine { reason: "a call".into() });
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.ana(Intent::FreeLine);
    s.ana(Intent::Release { step: step.clone(), digest: "0".into(), typed: "data-vault-2".into() });
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.ana(Intent::HoldLine { reason: "stop".into() });
    s.prepared("the line is held", plan(), |_| {});
    s.ana(Intent::FreeLine);
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("unreachable", Some(Err("no answer".into())), |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.ana(Intent::Show { step: step.clone() });
    s.ana(Intent::Claim { step: step.clone() });
    let ticket = s.run.state.steps[&step].ticket;
    let (verdict, why) = (Probed::NotDone, "still there".to_owned());
    s.system(
        "",
        Intent::Probed {
            step: step.clone(),
            ticket,
            verdict,
            why,
            result: json!(null),
            changes: vec![],
        },
    );
    s.look("gates", |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("another object", Some(Ok(proposal("vault-2", "other"))), |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", Some(Ok(proposal("vault-2", "other"))), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("as released", Some(Ok(proposal("vault-2", "other"))), |_| {});
    s.ana(Intent::Abort { reason: "now".into() });
    s.ana(Intent::Skip { step: step.clone(), reason: "now".into() });
    let line = |effect, text: &str| Intent::Output {
        effect: EffectId(effect),
        stream: Stream::Out,
        text: text.into(),
    };
    s.system("", line(1, "deleted"));
    s.system("of nobody", line(9, "x"));
    let end = |effect, outcome| Intent::EffectEnded {
        effect: EffectId(effect),
        outcome,
        result: json!({"count": 1}),
    };
    s.system("of nobody", end(9, Outcome::Ok));
    s.system("", end(1, Outcome::Failed("conflict".into())));
    s.system("again", end(1, Outcome::Ok));
    s.ana(Intent::Retry { step: step.clone() });
    s.look("gates", |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("", plan(), |_| {});
    s.system("", end(2, Outcome::Unknown("no answer".into())));
    s.ana(Intent::Accept { step: step.clone() });
    for verdict in [Probed::Partly, Probed::Done] {
        let ticket = s.run.state.steps[&step].ticket;
        s.system(
            "late",
            Intent::Probed {
                step: step.clone(),
                ticket: 1,
                verdict,
                why: "old".into(),
                result: json!(null),
                changes: vec![],
            },
        );
        s.system(
            "",
            Intent::Probed {
                step: step.clone(),
                ticket,
                verdict,
                why: "looked".into(),
                result: json!(null),
                changes: vec![],
            },
        );
        s.ana(Intent::Accept { step: step.clone() });
    }
    s.ana(Intent::Unclaim { step: step.clone() });
    s.look("still there", |_| {});
    s.pass(11_000);
    s.look("still there", |_| {});
    s.ana(Intent::Skip { step: step.clone(), reason: String::new() });
    s.ana(Intent::Skip { step: step.clone(), reason: "x".repeat(2001) });
    s.ana(Intent::Skip { step: step.clone(), reason: "x".repeat(2000) });
    keep("action", s);
}

#[test]
fn done_elsewhere_two_people_and_a_soak_that_breaks() {
    let mut s = Scene::new(Mode::ReadOnly);
    s.reach_the_roll();
    let step = s.step("roll[vault-2]/claims");
    s.ana(Intent::Review { step: step.clone() });
    s.ana(Intent::Show { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.ana(Intent::Show { step: step.clone() });
    let probed = |s: &mut Scene, verdict| {
        let step = s.step("roll[vault-2]/claims");
        let ticket = s.run.state.steps[&step].ticket;
        s.system(
            "",
            Intent::Probed {
                step,
                ticket,
                verdict,
                why: "looked".into(),
                result: json!({"count": 1}),
                changes: vec![],
            },
        );
    };
    s.ana(Intent::Claim { step: step.clone() });
    probed(&mut s, Probed::NotDone);
    for verdict in [Probed::Unknown, Probed::Done] {
        s.look("gates", |_| {});
        if s.run.state.steps[&step].status == holdpoint::run::Status::Verifying {
            s.ana(Intent::Unclaim { step: step.clone() });
        }
        s.ana(Intent::Review { step: step.clone() });
        s.prepared("", plan(), |_| {});
        s.ana(Intent::Show { step: step.clone() });
        s.ana(Intent::Claim { step: step.clone() });
        probed(&mut s, verdict);
    }
    let gone = live(
        Source::Claims,
        s.run.now,
        Update::Claims(Rows { upsert: vec![], remove: vec![], whole: true }),
    );
    let want = wants(&s.run.state).unwrap();
    s.system("gone", Intent::Looked { look: want.look, ticket: want.ticket, changes: vec![gone] });

    let two = s.step("roll[vault-2]/two");
    s.look("opens", |_| {});
    s.ana(Intent::Review { step: two.clone() });
    s.prepared("", plan(), |_| {});
    let alone = s.run.overriding(&two, "second-person", "alone tonight");
    s.ana(alone);
    s.ana(Intent::Skip { step: two.clone(), reason: "not now".into() });
    s.ana(Intent::CloseReview { step: two.clone() });
    s.ana(Intent::Skip { step: two.clone(), reason: "not now".into() });

    let watch = s.step("roll[vault-2]/watch");
    s.look("opens", |_| {});
    s.ana(Intent::EndSoak { step: watch.clone(), reason: "early".into() });
    s.look("gates", |_| {});
    s.pass(2_000);
    s.look("", |_| {});
    s.pass(2_000);
    s.look("", |_| {});
    s.look("broken", hung);
    s.look("broken still", hung);
    s.pass(2_000);
    s.look("well", |_| {});
    for _ in 0..3 {
        s.pass(3_000);
        s.look("", |_| {});
    }
    s.ana(Intent::Skip { step: watch.clone(), reason: "no".into() });
    s.ana(Intent::EndSoak { step: watch.clone(), reason: String::new() });
    s.ana(Intent::EndSoak { step: watch.clone(), reason: "long enough".into() });
    s.look("the item is done", |_| {});
    s.look("the leader had its turn", |_| {});
    s.look("again", |_| {});
    s.look("another leads", other_leads);
    s.ana(Intent::Retry { step: s.step("ask/by-hand") });
    keep("elsewhere", s);
}

#[test]
fn a_soak_ends_by_itself_and_a_run_too() {
    let mut s = Scene::new(Mode::Write);
    s.reach_the_roll();
    for (voter, next) in [("vault-2", "vault-1"), ("vault-1", "vault-0"), ("vault-0", "vault-0")] {
        for step in ["claims", "two"] {
            s.ana(Intent::Skip {
                step: s.step(&format!("roll[{voter}]/{step}")),
                reason: "rehearsal".into(),
            });
            s.look("opens", |_| {});
        }
        s.look("gates", |_| {});
        for _ in 0..6 {
            s.pass(2_000);
            s.look("", |_| {});
        }
        for _ in 0..3 {
            if s.run.state.ended.is_none() {
                s.look("", |r| r.leader = next.into());
            }
        }
    }
    keep("to-the-end", s);
}

#[test]
fn guards_are_debounced_and_sets_must_make_sense() {
    let mut s = Scene::new(Mode::Write);
    s.observe("", |_| {});
    s.observe("hung", hung);
    s.pass(4_000);
    s.system("", Intent::Tick);
    s.observe("well", |_| {});
    s.observe("hung", hung);
    s.pass(5_001);
    s.system("", Intent::Tick);
    s.pass(5_001);
    s.system("", Intent::Tick);
    s.pass(60_000);
    s.system("stale by now", Intent::Tick);
    s.observe("well", |_| {});
    s.look("held by the breach", |_| {});
    s.ana(Intent::FreeLine);
    s.look("opens", |_| {});
    s.look("opens", |_| {});
    s.ana(Intent::Choose { step: s.step("ask/how"), branch: "here".into() });
    for _ in 0..3 {
        s.look("", |_| {});
    }
    s.pass(1_000);
    for _ in 0..2 {
        s.look("", |_| {});
    }
    let names = |names: &'static [&'static str]| {
        move |r: &mut Raft| {
            r.voters =
                names.iter().map(|n| Voter { name: (*n).into(), ..Voter::default() }).collect()
        }
    };
    s.look("nobody", names(&[]));
    s.look("nobody again", names(&[]));
    s.look("one twice", names(&["a", "b", "a"]));
    s.ana(Intent::HoldLine { reason: "wait".into() });
    s.look("held", |_| {});
    s.ana(Intent::FreeLine);
    s.look("three", |_| {});
    s.look("a leader that is no item", |r| r.leader = "nobody".into());
    s.look("a leader", |_| {});
    keep("guards", s);
}
