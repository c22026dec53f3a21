//! Faults begin and heal when they are to: all of them by one task, in their order, so that
//! the same seed gives the same run.

use crate::event::{StepAddr, Time};
use crate::lab::faults::{Fault, Start, fault};
use crate::lab::{Lab, World};
use crate::report::Struck;
use crate::run::{State, Status};
use crate::session::Live;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Where a fault is.
enum Turn {
    /// It begins at that time; without one, at its step's turn.
    Waits(Option<Instant>),
    /// Its place among those that struck, and when it is over.
    Strikes(usize, Option<Instant>),
}

/// Until the run is over.
pub(super) async fn strike(
    faults: Vec<Fault>,
    lab: Lab,
    mut live: watch::Receiver<Live>,
    struck: Arc<Mutex<Vec<Struck>>>,
) {
    let begun = Instant::now();
    let waits = |fault: Fault| {
        let at = match &fault.start {
            Start::After(span) => Some(begun + span.duration()),
            Start::Step(_) => None,
        };
        (fault, Turn::Waits(at))
    };
    let mut all: Vec<(Fault, Turn)> = faults.into_iter().map(waits).collect();
    loop {
        let state = Arc::clone(&live.borrow_and_update().state);
        for (what, turn) in &mut all {
            one(what, turn, &state, &lab, &struck);
        }
        let next = all.iter().filter_map(|(_, turn)| match turn {
            Turn::Waits(at) | Turn::Strikes(_, at) => *at,
        });
        let next = next.min();
        tokio::select! {
            biased;
            changed = live.changed() => if changed.is_err() { return },
            () = due(next) => {}
        }
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn one(what: &Fault, turn: &mut Turn, state: &State, lab: &Lab, struck: &Mutex<Vec<Struck>>) {
    let now = Instant::now();
    let begins = match (&turn, &what.start) {
        (Turn::Waits(Some(at)), _) => *at <= now,
        (Turn::Waits(None), Start::Step(place)) => has_begun(state, place),
        _ => false,
    };
    let mut all = struck.lock().unwrap_or_else(PoisonError::into_inner);
    if begins {
        let at = lab.with(|world| turned(world, what.kind.name, true));
        all.push(Struck { name: what.kind.name.into(), at, over: None });
        *turn = Turn::Strikes(all.len() - 1, what.lasts.map(|lasts| now + lasts.duration()));
    } else if let Turn::Strikes(mine, over) = turn
        && over.is_some_and(|at| at <= now)
    {
        let at = lab.with(|world| turned(world, what.kind.name, false));
        if let Some(s) = all.get_mut(*mine) {
            s.over = Some(at);
        }
        *over = None;
    }
}

fn turned(world: &mut World, name: &str, on: bool) -> Time {
    fault(world, name, on);
    world.now
}

/// That step's turn has come: `phase/step` of whatever item, or `phase[item]/step`. It may be
/// over already: not every state is seen.
fn has_begun(state: &State, place: &str) -> bool {
    let named = |step: &StepAddr| step.place() == place || step.to_string() == place;
    state.steps.iter().any(|(step, s)| {
        !matches!(s.status, Status::Pending | Status::NotNeeded | Status::Skipped) && named(step)
    })
}
