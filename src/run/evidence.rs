//! What steps keep as evidence: what is known of it, for how long it counts, and who keeps it anew.

use crate::event::{StepAddr, Time};
use crate::run::state::State;
use crate::runbook::Kept;
use serde_json::Value;

/// It is kept, and takes the place of what was kept by that name.
pub(super) fn captured(state: &mut State, at: Time, (name, value): (&str, &Value), by: &StepAddr) {
    let name = name.to_owned();
    let step = state.step(by);
    let lasts = step.and_then(|s| s.capture.iter().find(|c| c.name == name)?.lasts);
    let attempt = state.steps.get(by).map_or(1, |s| s.attempt);
    match lasts {
        Some(lasts) => drop(state.kept.insert(name.clone(), Kept { at, lasts, by: by.clone() })),
        None => drop(state.kept.remove(&name)),
    }
    state.evidence.insert(name.clone(), value.clone());
    state.lost.remove(&name);
    state.captured.insert(name, (by.clone(), attempt));
}

/// What a step was to keep and did not: what an earlier one kept by that name is not meant by
/// later gates, and that there is nothing proves nothing to them.
pub(super) fn lose(state: &mut State, addr: &StepAddr, how: &str) {
    let Some(step) = state.step(addr) else { return };
    let names: Vec<String> = step.capture.iter().map(|c| c.name.clone()).collect();
    for name in names {
        if state.captured.get(&name).is_none_or(|(by, _)| by != addr) {
            state.evidence.remove(&name);
            state.kept.remove(&name);
            state.lost.insert(name, format!("{addr} {how}"));
        }
    }
}

/// A step is tried again. One of what is over comes before what is in hand.
pub(super) fn again(state: &mut State, addr: &StepAddr) {
    if state.current().as_ref() != Some(addr) {
        state.again = Some(addr.clone());
    }
}

impl State {
    /// What a step kept does not count any more: it may be run again, whose capture then counts.
    #[must_use]
    pub fn outdated(&self, addr: &StepAddr, now: Time) -> bool {
        self.kept.iter().any(|(name, kept)| kept.by == *addr && kept.outdated(name, now).is_some())
    }

    /// The step that is to be run again before the one in hand can begin: its gates name what does
    /// not count any more.
    #[must_use]
    pub fn wanted_again(&self, now: Time) -> Option<&StepAddr> {
        let step = self.step(&self.current()?)?;
        let named = |name: &str| step.gates.iter().any(|g| g.that.names_evidence(name));
        let mut outdated = self.kept.iter().filter(|(name, k)| k.outdated(name, now).is_some());
        outdated.find(|(name, _)| named(name)).map(|(_, kept)| &kept.by)
    }
}
