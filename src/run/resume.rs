//! A run that another process takes up again: what that changes.

use crate::event::{EffectId, Event, Outcome, Span, Time};
use crate::run::lease;
use crate::run::life::Status;
use crate::run::state::State;
use crate::run::step::Settling;
use crate::runbook::model::Does;
use serde_json::Value;

/// The events with which it begins. Nobody knows how an effect ended that ran when the last
/// process did; what was released and had not begun, or was being reviewed, is reviewed anew.
pub(super) fn events(
    state: &State,
    recovered: Option<&(u64, String)>,
    lost: bool,
    version: &str,
) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some((dropped_bytes, set_aside)) = recovered {
        events
            .push(Event::Recovered { dropped_bytes: *dropped_bytes, set_aside: set_aside.clone() });
    }
    events.push(Event::Resumed { version: version.to_owned() });
    if let Some((effect, step)) = &state.running {
        events.push(Event::EffectEnded {
            step: step.clone(),
            effect: *effect,
            outcome: Outcome::Unknown("Holdpoint ended while it ran".into()),
            result: Value::Null,
        });
    }
    let begun = if lost { may_have_begun(state) } else { None };
    events.extend(begun.or_else(|| anew(state, "Holdpoint ended")));
    events
}

/// What was released may have begun, where what says so may be lost: nobody says that it was not sent.
fn may_have_begun(state: &State) -> Option<Event> {
    let step = state.current()?;
    let acts = matches!(state.step(&step)?.does, Does::Action(_));
    if !acts || state.steps.get(&step)?.status != Status::Released {
        return None;
    }
    let why = "it was released, and the journal is damaged where it would say that it began";
    Some(Event::EffectEnded {
        step,
        effect: EffectId(state.next_effect),
        outcome: Outcome::Unknown(why.into()),
        result: Value::Null,
    })
}

/// The events with which another segment of a run goes on in the same process. What runs is
/// waited for; for the rest nobody could record what happened meanwhile.
pub(super) fn goes_on(state: &State) -> Vec<Event> {
    let mut events = vec![Event::Continued];
    events.extend(anew(state, "the journal failed"));
    events
}

/// What was released and had not begun, or was being reviewed, is reviewed anew.
fn anew(state: &State, what: &str) -> Option<Event> {
    let step = state.current()?;
    match state.steps.get(&step)?.status {
        Status::Released => {
            let why = vec![format!("{what} before it began; nothing was sent")];
            Some(Event::Changed { step, why, material: false })
        }
        Status::Confirming => Some(Event::ReviewClosed { step }),
        _ => None,
    }
}

/// What was counted or timed while somebody looked begins anew: nobody looked meanwhile.
pub(super) fn fold(state: &mut State, at: Time) {
    lease::forget(state);
    for guard in state.guards.values_mut() {
        guard.since = at;
        (guard.failing, guard.seen) = (Span(0), at);
    }
    let Some(addr) = state.current() else { return };
    let Some(s) = state.step_mut(&addr) else { return };
    s.gates_at = None;
    // A verify has its time from the next look on.
    s.settling = Settling::default();
    // One that is broken begins anew as it would have; any other counts on from here.
    s.soak.last = s.soak.last.map(|_| at);
    if matches!(s.status, Status::InDoubt | Status::Claimed) {
        s.probed = None;
    }
}
