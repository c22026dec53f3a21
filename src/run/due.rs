//! The checks of what a run left to be done, looked at when the run is over.

use crate::event::{Judged, Time};
use crate::run::gates::{asked, overlaid};
use crate::run::state::State;
use crate::runbook::{Expr, Scope};
use crate::world::{Change, Reading};
use std::collections::BTreeMap;

/// What a check needs to be read.
#[must_use]
pub fn due_reading(state: &State, check: &Expr) -> Reading {
    asked(state, None, &[], [check])
}

/// Whether it is so, on what was read now and on the run's evidence.
#[must_use]
pub fn due_judged(state: &State, check: &Expr, changes: &[Change], now: Time) -> Judged {
    let world = overlaid(&state.world, changes);
    // What the run went by then is its record, however long ago that is.
    let kept = BTreeMap::new();
    check.judge(&Scope { kept: &kept, ..state.scope(None, &world, &[], now) })
}
