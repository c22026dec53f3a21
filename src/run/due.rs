//! The checks of what a run left to be done, looked at when the run is over.

use crate::event::{Judged, Time};
use crate::run::gates::{asked, overlaid};
use crate::run::state::State;
use crate::runbook::Expr;
use crate::world::{Change, Reading};

/// What a check needs to be read.
#[must_use]
pub fn due_reading(state: &State, check: &Expr) -> Reading {
    asked(state, None, &[], [check])
}

/// Whether it is so, on what was read now and on the run's evidence.
#[must_use]
pub fn due_judged(state: &State, check: &Expr, changes: &[Change], now: Time) -> Judged {
    let world = overlaid(&state.world, changes);
    check.judge(&state.scope(None, &world, &[], now))
}
