//! A step's own fields, as each entry leaves them. Its status is moved before, by the table.

use crate::event::{Entry, Event, Outcome, Way};
use crate::run::failure::failure;
use crate::run::life::Status;
use crate::run::poll::Said;
use crate::run::step::{Override, Settling, SoakState, StepState};

/// Each event belongs to one of these.
pub(super) fn fields(s: &mut StepState, entry: &Entry) {
    turn(s, entry);
    review(s, entry);
    work(s, entry);
    check(s, entry);
    soak(s, entry);
    if s.status == Status::Verifying && s.settling.last.is_none() {
        // Its time runs from the beginning, not from the first look.
        s.settling.last = Some(entry.at);
    }
}

/// Its turn comes, comes again, or is over.
fn turn(s: &mut StepState, entry: &Entry) {
    match &entry.event {
        Event::StepOpened { .. } => {
            s.began = Some(entry.at);
            s.why = None;
        }
        Event::StepBlocked { why, .. } => s.why = Some(why.clone()),
        Event::NotNeeded { judged, .. } => {
            s.verify = Some(judged.clone());
            s.ended = Some(entry.at);
        }
        Event::Retried { attempt, .. } => {
            let doubt = doubt(s);
            *s = StepState {
                attempt: *attempt,
                status: s.status,
                ticket: s.ticket,
                began: s.began,
                doubt,
                acted: s.acted,
                ..StepState::new()
            };
        }
        Event::Skipped { reason, .. } => {
            s.why = Some(reason.clone());
            s.ended = Some(entry.at);
        }
        Event::Verified { .. } | Event::SoakEnded { .. } | Event::Chosen { .. } => {
            s.ended = Some(entry.at);
            s.doubt = None;
            s.why = match &entry.event {
                Event::SoakEnded { reason, .. } => reason.clone(),
                _ => None,
            };
        }
        _ => {}
    }
}

/// What an attempt leaves unknown, for those after it: trying again settles nothing.
fn doubt(s: &mut StepState) -> Option<(u32, String)> {
    let (attempt, why) = s.doubt.take()?;
    let probed = s.probed.take().filter(|_| attempt == s.attempt);
    let why = probed.map_or(why.clone(), |(_, saw)| format!("{why}; its probe: {saw}"));
    Some((attempt, why))
}

/// Up to its release, and where that is void.
fn review(s: &mut StepState, entry: &Entry) {
    match &entry.event {
        Event::GatesJudged { gates, .. } => {
            s.gates.clone_from(gates);
            s.gates_at = Some(entry.at);
        }
        Event::ReviewOpened { .. } => {
            s.proposal = None;
            s.proposal_error = None;
            s.gates_at = None;
            s.overrides.clear();
        }
        Event::Polled { who, go, reason, .. } => {
            let (go, reason, by) = (*go, reason.clone(), entry.actor.clone());
            s.polled.insert(who.clone(), Said { go, reason, at: entry.at, by });
            // What the gates said was judged without it.
            s.gates_at = None;
        }
        Event::ReviewClosed { .. } | Event::Unclaimed { .. } => s.overrides.clear(),
        Event::Proposed { proposal, digest, .. } => {
            s.proposal = Some((proposal.clone(), digest.clone()));
            s.proposal_error = None;
        }
        Event::ProposalFailed { why, .. } => {
            s.proposal_error = Some(why.clone());
            s.unplanned = true;
        }
        Event::Overridden { gate, reason, .. } => {
            if let Some(found) = s.gates.iter().find(|g| g.gate == *gate) {
                let (reason, verdict) = (reason.clone(), found.judged.verdict);
                let failure = failure(&found.judged);
                s.overrides.insert(gate.clone(), Override { reason, verdict, failure });
            }
        }
        Event::Released { .. } => {
            s.changed.clear();
            s.other_objects = false;
        }
        // What was released is void: nothing of it may look as if it could still be.
        Event::Changed { why, material, .. } => {
            // A go was about what was released; a no-go stands until it is taken back.
            if *material {
                s.polled.retain(|_, said| !said.go);
            }
            s.changed.clone_from(why);
            s.other_objects |= material;
            s.overrides.clear();
            s.proposal = None;
        }
        _ => {}
    }
}

/// It is done, here or elsewhere.
fn work(s: &mut StepState, entry: &Entry) {
    match &entry.event {
        Event::Shown { .. } => {
            s.probed = None;
            s.acted = true;
        }
        Event::Unclaimed { .. } => s.probed = None,
        Event::Claimed { .. } => {
            s.way = Way::Elsewhere;
            s.acted = true;
        }
        Event::EffectStarted { .. } => {
            s.way = Way::Ran;
            s.acted = true;
        }
        Event::EffectEnded { outcome, result, .. } => {
            s.result = Some(result.clone());
            s.why = match outcome {
                Outcome::Ok => None,
                Outcome::Failed(why) | Outcome::Unknown(why) => Some(why.clone()),
            };
            if let Outcome::Unknown(why) = outcome {
                s.doubt = Some((s.attempt, why.clone()));
                // Also where nobody knows whether it began.
                s.acted = true;
            }
        }
        Event::Probed { verdict, why, .. } => s.probed = Some((*verdict, why.clone())),
        _ => {}
    }
}

/// Its verify.
fn check(s: &mut StepState, entry: &Entry) {
    match &entry.event {
        Event::Checking { .. } => {
            s.settling = Settling::default();
            s.verify = None;
        }
        Event::VerifyJudged { judged, .. } => {
            s.settling = s.settling.after(judged.verdict, entry.at);
            s.verify = Some(judged.clone());
        }
        Event::VerifyFailed { why, .. } => s.why = Some(why.clone()),
        _ => {}
    }
}

/// Its soak's clock.
fn soak(s: &mut StepState, entry: &Entry) {
    match &entry.event {
        Event::SoakStarted { .. } => {
            let broken = s.soak.broken.take();
            s.soak = SoakState { last: Some(entry.at), broken, ..SoakState::default() };
        }
        Event::SoakBroken { why, .. } => {
            s.soak.broken = Some(why.clone());
            (s.soak.last, s.soak.unseen) = (None, None);
        }
        Event::SoakUnseen { why, .. } => {
            (s.soak.last, s.soak.unseen) = (None, Some(why.clone()));
        }
        Event::SoakCounted { observed_ms, .. } => {
            s.soak.observed_ms = *observed_ms;
            (s.soak.last, s.soak.unseen) = (Some(entry.at), None);
        }
        _ => {}
    }
}
