//! How a run ended, in words.

use crate::run::life::Status;
use crate::run::state::State;

/// Steps that are named one by one.
const NAMED: usize = 5;

/// A step of it was skipped: the run comes to its end, and not all of it is done.
#[must_use]
pub fn any_skipped(state: &State) -> bool {
    state.steps.values().any(|s| s.status == Status::Skipped)
}

/// Of a run that came to its end: a step that was skipped is not done.
#[must_use]
pub fn over(state: &State) -> String {
    let skipped = state.steps.iter().filter(|(_, s)| s.status == Status::Skipped);
    let skipped: Vec<String> = skipped.map(|(addr, _)| addr.to_string()).collect();
    if skipped.is_empty() {
        return "every step is done and verified".into();
    }
    let named = skipped.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = match skipped.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("every step is over, and skipped were {named}{more}")
}

/// What it left for later, if it left anything.
#[must_use]
pub fn left_for_later(state: &State) -> Option<String> {
    let left = match state.runbook.followups.len() {
        _ if state.ended != Some(true) => return None,
        0 => return None,
        1 => "one thing is left for later".to_owned(),
        n => format!("{n} things are left for later"),
    };
    Some(format!("{left}: holdpoint runs --due"))
}
