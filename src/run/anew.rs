//! A plan that could not be made is made anew while its review is open: an API server that did not
//! answer for a while is to cost nobody a review.

use crate::event::Event;
use crate::run::follow::rendered;
use crate::run::gates;
use crate::run::intent::{Effect, Intent, Purpose};
use crate::run::life::Status;
use crate::run::state::State;

/// What makes it anew: once nothing else is in the way, and never in place of one that was shown.
#[must_use]
pub fn planned_anew(state: &State) -> Option<Effect> {
    let step = state.current()?;
    let s = state.steps.get(&step)?;
    let failed = s.proposal_error.is_some();
    if s.status != Status::Confirming || !failed || s.gates_at.is_none() || !s.gates_pass() {
        return None;
    }
    let call = rendered(state, &step).ok().flatten()?;
    let (ticket, reading) = (s.ticket, gates::reading(state, &step));
    Some(Effect::Prepare { step, ticket, purpose: Purpose::Review, call: Some(call), reading })
}

/// What is told of one: the same failure once more is no news.
pub(super) fn told(state: &State, intent: &Intent, events: Vec<Event>) -> Vec<Event> {
    let Intent::Prepared { step, purpose: Purpose::Review, .. } = intent else { return events };
    let before = state.steps.get(step).and_then(|s| s.proposal_error.as_ref());
    let Some(before) = before else { return events };
    let same = |e: &Event| matches!(e, Event::ProposalFailed { why, .. } if why == before);
    if events.iter().any(same) {
        return Vec::new();
    }
    events
}
