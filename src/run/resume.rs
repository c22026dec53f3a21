//! A run that another process takes up again: what that changes.

use crate::event::{Event, Outcome, Time};
use crate::run::life::Status;
use crate::run::state::State;
use serde_json::Value;
use std::sync::Arc;

/// The events with which it begins. Nobody knows how an effect ended that ran when the last
/// process did; what was released and had not begun, or was being reviewed, is reviewed anew.
pub(super) fn events(
    state: &State,
    recovered: Option<&(u64, String)>,
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
    let current = state.current();
    let status = current.as_ref().and_then(|addr| state.steps.get(addr)).map(|s| s.status);
    match (current, status) {
        (Some(step), Some(Status::Released)) => {
            let why = vec!["Holdpoint ended before it began; nothing was sent".into()];
            events.push(Event::Changed { step, why, material: false });
        }
        (Some(step), Some(Status::Confirming)) => events.push(Event::ReviewClosed { step }),
        _ => {}
    }
    events
}

/// What was counted or timed while somebody looked begins anew: nobody looked meanwhile.
pub(super) fn fold(state: &mut State, at: Time) {
    for guard in state.guards.values_mut() {
        guard.since = at;
    }
    let Some(addr) = state.current() else { return };
    let Some(s) = state.steps.get_mut(&addr).map(Arc::make_mut) else { return };
    s.gates_at = None;
    s.streak = (0, None);
    s.verifying_since = (s.status == Status::Verifying).then_some(at);
    // One that is broken begins anew as it would have; any other counts on from here.
    s.soak.last = s.soak.last.map(|_| at);
    if matches!(s.status, Status::InDoubt | Status::Claimed) {
        s.probed = None;
    }
}
