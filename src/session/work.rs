//! The work that follows from events; what comes of it comes back as intents.

use crate::action::{self, Stop, Stops};
use crate::event::{Outcome, Pins, Probed, StepAddr};
use crate::observe;
use crate::remote::Remote;
use crate::run::{Effect, Intent, Purpose, undone_by};
use crate::runbook::model::Call;
use crate::runbook::verbs::changes_cluster;
use crate::session::lease::Keeper;
use crate::session::say::Voice;
use crate::world::Reading;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Does it. Whoever wanted the result may be gone by then.
pub(super) async fn work(
    remote: Arc<Remote>,
    (run, pins): (String, Pins),
    results: mpsc::Sender<Intent>,
    keeper: Option<Keeper>,
    stops: Stops,
    effect: Effect,
) {
    let result = match effect {
        Effect::AskLease | Effect::TakeLease { .. } => return leased(keeper, effect).await,
        Effect::Stop { effect, why } => {
            stops.send_replace(Some((effect, why)));
            return;
        }
        Effect::Prepare { step, ticket, purpose, call, reading } => {
            // Only where the effect goes by it: an API server that hangs keeps nothing else.
            let by_lease = call.as_ref().is_some_and(|call| changes_cluster(&call.verb));
            let held = async {
                if let (Purpose::Execute, true, Some(keeper)) = (purpose, by_lease, &keeper) {
                    keeper.look().await;
                }
            };
            let verb = call.as_ref().map_or("", |call| call.verb.as_str());
            let marks = marks(&run, &step, verb);
            let of = (&pins, marks.as_slice());
            let prepared = prepared(&remote, of, purpose, call.as_ref(), &reading);
            // The lease is reported before this is answered: the gate goes by it.
            let ((changes, proposal), ()) = tokio::join!(prepared, held);
            Intent::Prepared { step, ticket, purpose, changes, proposal }
        }
        Effect::Execute { effect, proposal, step } => {
            let stop = Stop::new(effect, &stops);
            if let Some(why) = outlived(&remote, &marks(&run, &step, &proposal.verb)).await {
                let outcome = Outcome::Failed(format!("not started: {why}"));
                let ended = Intent::EffectEnded { effect, outcome, result: Value::Null };
                // Whoever wanted it may be gone.
                let _ = results.send(ended).await;
                return;
            }
            let mark = mark(&run, &step);
            let voice = Voice::new(effect, results.clone());
            let say = voice.say();
            let acting = tokio::spawn(async move {
                action::execute(&remote, &mark, &proposal, &say, stop).await
            });
            let (outcome, result) = acting.await.unwrap_or_else(|e| {
                (Outcome::Unknown(format!("the action ended unexpectedly: {e}")), Value::Null)
            });
            // Before its end: what comes after that is nobody's.
            voice.end().await;
            Intent::EffectEnded { effect, outcome, result }
        }
        Effect::Probe { step, ticket, proposal, reading } => {
            let (verdict, why, result) = match &proposal {
                Some(proposal) => action::probe(&remote, &mark(&run, &step), proposal).await,
                None => (Probed::Unknown, String::new(), Value::Null),
            };
            // Last, so that the runbook's probe is judged on what is so now.
            let changes = observe::read(&remote, &reading).await;
            Intent::Probed { step, ticket, verdict, why, result, changes }
        }
    };
    let _ = results.send(result).await;
}

/// What is started for a step is found by this again.
fn mark(run: &str, step: &StepAddr) -> String {
    format!("{run}/{step}")
}

/// What must not run any more when it acts: its own program, and that of the step that it undoes.
fn marks(run: &str, step: &StepAddr, verb: &str) -> Vec<String> {
    let own = (verb == "shell.run").then(|| mark(run, step));
    own.into_iter().chain(undone_by(step).map(|of| mark(run, &of))).collect()
}

/// Why nothing is begun: a program that a step started still runs.
async fn outlived(remote: &Remote, marks: &[String]) -> Option<String> {
    for mark in marks {
        if let Some(why) = action::outlived(remote, mark).await {
            return Some(remote.redactor().redact(&why));
        }
    }
    None
}

/// What its keeper sees comes back as its own intents.
async fn leased(keeper: Option<Keeper>, effect: Effect) {
    match (keeper, effect) {
        (Some(keeper), Effect::AskLease) => keeper.look().await,
        (Some(keeper), Effect::TakeLease { from }) => keeper.take(from).await,
        _ => {}
    }
}

type Resolved = Option<Result<Box<crate::event::Proposal>, String>>;

async fn prepared(
    remote: &Arc<Remote>,
    (pins, marks): (&Pins, &[String]),
    purpose: Purpose,
    call: Option<&Call<String>>,
    reading: &Reading,
) -> (Vec<crate::world::Change>, Resolved) {
    // A program that outlived its Holdpoint is not offered a second time.
    let site = async {
        let Some(call) = call else { return Ok(()) };
        match outlived(remote, marks).await {
            Some(why) => Err(why),
            None => action::right_site(remote, pins, call).await,
        }
    };
    let plan = async |site: Result<(), String>| match (call, site) {
        (None, _) => None,
        (Some(_), Err(why)) => Some(Err(why)),
        (Some(call), Ok(())) => Some(action::planned(remote, pins, call).await.map(Box::new)),
    };
    match purpose {
        Purpose::Review => {
            let resolve = async { plan(site.await).await };
            tokio::join!(observe::read(remote, reading), resolve)
        }
        // Gates can take seconds. The objects are looked at late, so that as little as can be
        // lies between that look and the effect; later still only what would be stale by then.
        Purpose::Execute => {
            let (lasting, fleeting) = reading.parted();
            let (mut changes, site) = tokio::join!(observe::at_once(remote, &lasting), site);
            let proposal = plan(site).await;
            changes.extend(observe::at_once(remote, &fleeting).await);
            (changes, proposal)
        }
    }
}
