//! A step that is done by hand, in a whole session: the loop itself reads what the runbook's
//! probe names.

use super::{on_lab_time, operator, small, what};
use holdpoint::cli::lab::play::{Playing, begin};
use holdpoint::event::{Actor, Event, Probed, Role};
use holdpoint::lab::faults::fault;
use holdpoint::run::{Intent, State, Status};
use std::time::Duration;

fn by_hand(probe: &str) -> String {
    format!(
        r#"
format = 1
id = "by-hand"
title = "By hand"
owner = "tests"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "look"
title = "Look"
manual.instruction = "Look."
probe = '{probe}'
"#
    )
}

/// Waits until it is so.
async fn until(playing: &Playing, so: impl Fn(&State) -> bool) {
    let mut live = playing.handle.live.clone();
    let wait = live.wait_for(|live| so(&live.state));
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes to that").unwrap();
}

#[test]
fn what_is_claimed_is_looked_at_by_the_runbooks_probe() {
    // The watches hang in the moment in which it is done: only who reads afresh sees it.
    let done_by_hand = |world: &mut holdpoint::lab::World| {
        fault(world, "watch-stale", true);
        fault(world, "reclaim-delete", true);
    };
    let gone = "volumes.exists(v, v.policy == \"Delete\")";
    for (probe, verdict, done) in
        [(gone.to_owned(), Probed::Done, true), (format!("!{gone}"), Probed::NotDone, false)]
    {
        let entries = on_lab_time(async {
            let actor = Actor::Person { name: "ana".into(), role: Role::Driver };
            let play = what(&by_hand(&probe), &[], operator(), small());
            let play = holdpoint::cli::lab::play::Play { params: vec![], ..play };
            let playing = begin(play, actor.clone()).await.unwrap();
            let step = "a/look".parse::<holdpoint::event::StepAddr>().unwrap();
            let is = |wanted: Status| {
                let step = step.clone();
                move |s: &State| s.steps.get(&step).is_some_and(|s| s.status == wanted)
            };
            until(&playing, is(Status::Ready)).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            playing.handle.ask(&actor, Intent::Review { step: step.clone() }).await.unwrap();
            // It is handed over once its gates are read.
            until(&playing, |s: &State| s.showable(&step).is_ok()).await;
            for (intent, comes) in [
                (Intent::Show { step: step.clone() }, Status::Shown),
                (
                    Intent::Claim { step: step.clone() },
                    if done { Status::Done } else { Status::Ready },
                ),
            ] {
                if matches!(intent, Intent::Claim { .. }) {
                    playing.lab.with(done_by_hand);
                }
                playing.handle.ask(&actor, intent).await.unwrap();
                until(&playing, is(comes)).await;
            }
            playing.end(done).await.unwrap().entries
        });
        let probed = entries.iter().find_map(|e| match &e.event {
            Event::Probed { verdict, .. } => Some(*verdict),
            _ => None,
        });
        assert_eq!(probed, Some(verdict), "{probe}");
    }
}
