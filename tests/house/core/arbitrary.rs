//! The run core under whatever is asked, answered late, twice or not at all.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Look, Purpose, Status};
use holdpoint::world::*;
use proptest::prelude::*;
use serde_json::json;

fn arbitrary_intent() -> impl Strategy<Value = (u8, u8, u8)> {
    (0_u8..31, 0_u8..4, 0_u8..4)
}

/// With ways back, and somebody who is asked before the first step.
fn small() -> String {
    crate::core::back::ways().replacen("confirm = ", "poll.of = [\"app\"]\nconfirm = ", 1)
}

/// Another text of the runbook: one of two others of a step, or a phase behind the last one.
fn another(which: u8, how: u8) -> String {
    let text = small();
    let (from, to) = match which {
        0 => ("is well\"", format!("is well {how}\"")),
        1 => ("Delete the claims of", format!("Delete {how} claims of")),
        2 => ("\"All is well\"", format!("\"All is well {how}\"")),
        _ => ("[[backout]]", "[[phase]]\nid = \"two\"\ntitle = \"Two\"\n[[phase.step]]\nid = \"look\"\ntitle = \"Look\"\nverify.that = 'raft.leader_answers'\n[[backout]]".into()),
    };
    text.replacen(from, &to, 1)
}

/// What a person, a server or chance may do next; `stale` answers carry old tickets.
fn intent(run: &Run, (what, which, how): (u8, u8, u8)) -> (Actor, Intent) {
    let steps: Vec<StepAddr> = run.state.steps.keys().cloned().collect();
    let step = run
        .state
        .current()
        .filter(|_| which > 0)
        .or_else(|| steps.get(usize::from(how)).cloned())
        .unwrap_or(StepAddr {
            phase: "one".into(),
            item: Some("vault-0".into()),
            step: "claims".into(),
        });
    let s = run.state.steps.get(&step);
    let ticket = s.map_or(0, |s| s.ticket).saturating_sub(u64::from(how == 3));
    let digest = s.and_then(|s| s.proposal.as_ref()).map(|(_, d)| d.clone()).unwrap_or_default();
    let typed = run.state.confirm_text(&step);
    let world = if how == 2 { vec![] } else { well(run.now) };
    let voter = step.item.clone().unwrap_or_default();
    let plan = |uid: &str| Some(Ok(Box::new(proposal(&voter, uid))));
    let effect = run.state.running.as_ref().map_or(EffectId(1), |(e, _)| *e);
    let purpose = if s.is_some_and(|s| s.status == Status::Released) {
        Purpose::Execute
    } else {
        Purpose::Review
    };
    let outcome =
        [Outcome::Ok, Outcome::Failed("no".into()), Outcome::Unknown("?".into()), Outcome::Ok]
            [usize::from(how)]
        .clone();
    let verdict =
        [Probed::Done, Probed::Running, Probed::NotDone, Probed::Unknown][usize::from(how)];
    let gone = vec![
        live(Source::Raft, run.now, Update::Raft(raft("vault-2").into())),
        live(Source::Claims, run.now, Update::Claims(Rows::all(vec![]))),
    ];
    match what {
        0 => (driver(), Intent::Review { step }),
        1 => (driver(), Intent::CloseReview { step }),
        2 | 3 => (driver(), Intent::Release { step, digest, typed }),
        4 if how == 3 => (driver(), run.overriding(&step, "poll", "because")),
        4 => (driver(), run.overriding(&step, "healthy", "because")),
        5 => (driver(), Intent::Show { step }),
        6 => (driver(), Intent::Claim { step }),
        7 => (driver(), Intent::Unclaim { step }),
        8 if how == 0 => (driver(), Intent::Skip { step, reason: "no need".into() }),
        9 => (driver(), Intent::Retry { step }),
        10 => (driver(), Intent::Accept { step }),
        11 if how == 0 => (driver(), Intent::HoldLine { reason: "wait".into() }),
        12 => (driver(), Intent::FreeLine),
        13 => (Actor::System, Intent::EffectEnded { effect, outcome, result: json!({}) }),
        14 => (
            Actor::System,
            Intent::Probed {
                step,
                ticket,
                verdict,
                why: "x".into(),
                result: json!({}),
                changes: vec![],
            },
        ),
        15 | 16 => (
            Actor::System,
            Intent::Prepared {
                step,
                ticket,
                purpose,
                changes: world,
                proposal: plan(if how == 1 { "other" } else { "uid" }),
            },
        ),
        17 => (Actor::System, Intent::Looked { look: Look::Verify(step), ticket, changes: gone }),
        18 | 19 => {
            (Actor::System, Intent::Looked { look: Look::Gates(step), ticket, changes: world })
        }
        20 => (Actor::System, Intent::Tick),
        21 => (driver(), Intent::Choose { step, branch: "x".into() }),
        25 | 26 if how < 2 => {
            let section = ["aside", "home", "undo", "away"][usize::from(which)].into();
            (driver(), Intent::GoBack { section, reason: "late".into() })
        }
        29 | 30 => {
            let (who, go) = ("app".into(), how > 0);
            (driver(), Intent::Poll { step, who, go, reason: "they said so".into() })
        }
        28 => {
            let runbook = another(which, how);
            (driver(), Intent::Redline { runbook, reason: "better so".into() })
        }
        26 if how == 2 => (driver(), Intent::LeaveBack { reason: "better now".into() }),
        27 if how == 0 => {
            let start = Time(run.now.0 + i64::from(which) * 2000);
            let window = Slot { start, end: start + Span::secs(60) };
            (driver(), Intent::SetWindow { window, reason: "so".into() })
        }
        // The process ended; another one takes it up.
        22 if how < 2 => {
            (driver(), Intent::Resume { recovered: None, lost: false, version: "0".into() })
        }
        _ => {
            let look = holdpoint::run::wants(&run.state);
            match look {
                Some(w) => (
                    Actor::System,
                    Intent::Looked { look: w.look, ticket: w.ticket, changes: world },
                ),
                None => (Actor::System, Intent::Tick),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is asked, answered late, twice or not at all: no panic, no illegal move,
    /// no effect without its release, no two effects at once, no step done unverified;
    /// and folding the entries again gives the same state.
    #[test]
    fn nothing_happens_that_was_not_released(script in prop::collection::vec((arbitrary_intent(), 0_i64..4000), 1..120)) {
        let mut run = Run::new(&small(), Mode::Write);
        run.reach_first_step();
        for (pick, ms) in script {
            run.pass(ms);
            let (actor, intent) = intent(&run, pick);
            let _ = run.ask(&actor, intent);
        }
        let mut released: std::collections::BTreeMap<StepAddr, String> = Default::default();
        let mut running: Option<EffectId> = None;
        let mut verifying: std::collections::BTreeSet<StepAddr> = Default::default();
        let mut last_effect = 0;
        let mut back: Vec<String> = Vec::new();
        let mut begun: std::collections::BTreeSet<String> = Default::default();
        let mut go: std::collections::BTreeMap<StepAddr, bool> = Default::default();
        let mut overridden: std::collections::BTreeSet<StepAddr> = Default::default();
        for e in &run.entries {
            // What was decided on, by its name in the runbook.
            if let Event::EffectStarted { step, .. } | Event::Shown { step, .. }
                | Event::Skipped { step, .. } | Event::Verified { step, .. }
                | Event::Retried { step, .. } = &e.event {
                begun.insert(format!("{}/{} ", step.phase, step.step));
            }
            match &e.event {
                Event::Redlined { changes, .. } => {
                    let other = changes.iter().find(|c| begun.iter().any(|b| c.starts_with(b)));
                    prop_assert_eq!(other, None);
                }
                Event::Released { step, digest } => {
                    // A check begins by itself; an action only when a person says so.
                    prop_assert!(e.actor.asked() || step.step == "check", "released by {:?}", e.actor);
                    released.insert(step.clone(), digest.clone());
                }
                Event::Changed { step, .. } => drop(released.remove(step)),
                Event::Polled { step, go: said, .. } => drop(go.insert(step.clone(), *said)),
                Event::Retried { step, .. } => drop(go.remove(step)),
                Event::ReviewOpened { step } => drop(overridden.remove(step)),
                Event::Overridden { step, gate, .. } if gate == "poll" => {
                    overridden.insert(step.clone());
                }
                Event::EffectStarted { step, effect, digest } => {
                    let asked = step.phase == "one" && step.step == "claims";
                    let may = go.get(step) == Some(&true) || overridden.contains(step);
                    prop_assert!(!asked || may, "nobody said go");
                    let bound = released.remove(step);
                    prop_assert_eq!(bound.as_ref(), Some(digest));
                    prop_assert!(running.is_none());
                    let ways = ["aside", "home", "undo"];
                    let of = ways.contains(&step.phase.as_str()).then_some(&step.phase);
                    prop_assert_eq!(of, back.last(), "nothing else runs while one goes back");
                    prop_assert!(effect.0 > last_effect);
                    last_effect = effect.0;
                    running = Some(*effect);
                }
                Event::EffectEnded { effect, step, .. } => {
                    prop_assert_eq!(running.take(), Some(*effect));
                    verifying.insert(step.clone());
                }
                Event::Checking { step } => drop(verifying.insert(step.clone())),
                Event::Verified { step, .. } => prop_assert!(verifying.contains(step)),
                // A way that is walked once more has steps of its own.
                Event::BackBegan { section, .. } => {
                    verifying.retain(|s| s.phase != *section);
                    begun.retain(|b| !b.starts_with(&format!("{section}/")));
                    back.retain(|b| b != section);
                    back.push(section.clone());
                }
                Event::BackDone { section, .. } => back.retain(|b| b != section),
                _ => {}
            }
        }
        let executes = run.effects.iter().filter(|e| matches!(e, Effect::Execute { .. })).count();
        let starts = run.entries.iter().filter(|e| matches!(e.event, Event::EffectStarted { .. })).count();
        prop_assert_eq!(executes, starts);
        let again = holdpoint::session::fold(&run.entries).unwrap();
        prop_assert_eq!(format!("{:?}", again.steps), format!("{:?}", run.state.steps));
        prop_assert_eq!(again.text(), run.state.text());
        prop_assert_eq!(again.world, run.state.world);
    }
}
