//! What follows from an entry that is durable and folded: the effects, and the calls they carry.

use crate::event::{Entry, Event, Outcome, StepAddr};
use crate::run::gates;
use crate::run::intent::{Effect, Purpose};
use crate::run::life::Status;
use crate::run::probing;
use crate::run::state::State;
use crate::runbook::model::{Arg, Call, Does};
use crate::runbook::{EvalError, Scope, Template};
use std::collections::BTreeMap;

/// What has to be done now that the entry is durable and folded.
pub(super) fn effects(state: &State, entry: &Entry) -> Vec<Effect> {
    let mut effects = of_step(state, entry);
    if matches!(entry.event, Event::Continued | Event::ClockSetBack { .. }) {
        effects.push(Effect::AskLease);
    }
    effects
}

/// Those of the step that it is about, or in hand.
fn of_step(state: &State, entry: &Entry) -> Vec<Effect> {
    let current = match &entry.event {
        Event::Resumed { .. } | Event::Continued | Event::ClockSetBack { .. } => state.current(),
        Event::LeaseClaimed { from, .. } => return vec![Effect::TakeLease { from: from.clone() }],
        _ => None,
    };
    let Some(addr) = entry.event.step().or(current.as_ref()) else { return Vec::new() };
    let Some(s) = state.steps.get(addr) else { return Vec::new() };
    let prepare = |purpose| {
        vec![Effect::Prepare {
            step: addr.clone(),
            ticket: s.ticket,
            purpose,
            call: rendered(state, addr).ok().flatten(),
            reading: gates::reading(state, addr),
        }]
    };
    match &entry.event {
        Event::ReviewOpened { .. } => prepare(Purpose::Review),
        Event::Released { .. } => prepare(Purpose::Execute),
        Event::EffectStarted { effect, .. } => match &s.proposal {
            Some((proposal, _)) => vec![Effect::Execute {
                step: addr.clone(),
                effect: *effect,
                proposal: proposal.clone(),
            }],
            None => Vec::new(),
        },
        Event::Stopping { effect, why, .. } => {
            vec![Effect::Stop { effect: *effect, why: why.clone() }]
        }
        // A question that the last process asked is asked again.
        Event::Resumed { .. } | Event::Continued | Event::ClockSetBack { .. }
            if !matches!(s.status, Status::Claimed | Status::InDoubt) =>
        {
            Vec::new()
        }
        Event::Resumed { .. }
        | Event::Continued
        | Event::ClockSetBack { .. }
        | Event::Claimed { .. }
        | Event::EffectEnded { outcome: Outcome::Unknown(_), .. } => {
            probing::asked(state, addr, s).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// A step's call with its templates filled in on what is known now; `None` for a step
/// without an action.
pub(super) fn rendered(state: &State, addr: &StepAddr) -> Result<Option<Call<String>>, EvalError> {
    let Some(Does::Action(call)) = state.step(addr).map(|s| &s.does) else { return Ok(None) };
    let scope = state.scope(Some(addr), &state.world, &[], state.at);
    render_call(call, &scope).map(Some)
}

/// Fills in the templates of a call.
pub fn render_call(call: &Call<Template>, scope: &Scope<'_>) -> Result<Call<String>, EvalError> {
    let mut args = BTreeMap::new();
    for (name, arg) in &call.args {
        let arg = match arg {
            Arg::Bool(b) => Arg::Bool(*b),
            Arg::Int(i) => Arg::Int(*i),
            Arg::Text(t) => Arg::Text(t.render(scope)?),
            Arg::List(l) => Arg::List(l.iter().map(|t| t.render(scope)).collect::<Result<_, _>>()?),
        };
        args.insert(name.clone(), arg);
    }
    Ok(Call { verb: call.verb.clone(), args })
}
