//! Faults begin and heal when they are to: all of them by one task, in their order, so that
//! the same seed gives the same run.

use crate::event::{StepAddr, Time, Way};
use crate::lab::faults::{Fault, Moment, Start, entries, fault};
use crate::lab::{Lab, World};
use crate::report::Struck;
use crate::run::{State, Status};
use crate::runbook::model::Does;
use crate::session::Live;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Where a fault is.
enum Turn {
    /// It begins at that time; without one, when something happens in the run.
    Waits(Option<Instant>),
    /// Its place among those that struck, and when it is over.
    Strikes(usize, Option<Instant>),
}

/// A fault that is to come or has come.
struct One {
    what: Fault,
    /// Its name in the world: a second one of a kind is another.
    entry: String,
    turn: Turn,
}

/// Until the run is over.
pub(super) async fn strike(
    faults: Vec<Fault>,
    lab: Lab,
    mut live: watch::Receiver<Live>,
    struck: Arc<Mutex<Vec<Struck>>>,
) {
    let begun = Instant::now();
    let names = entries(faults.iter().map(|fault| fault.kind.name));
    let waits = |(what, entry): (Fault, String)| {
        let at = match &what.start {
            Start::After(span) => Some(begun + span.duration()),
            Start::Step(_) | Start::Event(_) => None,
        };
        One { what, entry, turn: Turn::Waits(at) }
    };
    let mut all: Vec<One> = faults.into_iter().zip(names).map(waits).collect();
    let mut led = Led::default();
    loop {
        let state = Arc::clone(&live.borrow_and_update().state);
        led.look(&state);
        for one in &mut all {
            one.look(&state, &led, &lab, &struck);
        }
        let next = all.iter().filter_map(|one| match &one.turn {
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

/// Who led, as the run saw it.
#[derive(Default)]
struct Led {
    last: String,
    moved: bool,
}

impl Led {
    fn look(&mut self, state: &State) {
        let now = &state.world.raft.leader;
        if !now.is_empty() {
            self.moved |= !self.last.is_empty() && self.last != *now;
            self.last.clone_from(now);
        }
    }
}

impl One {
    fn look(&mut self, state: &State, led: &Led, lab: &Lab, struck: &Mutex<Vec<Struck>>) {
        let (now, what) = (Instant::now(), &self.what);
        let begins = match (&self.turn, &what.start) {
            (Turn::Waits(Some(at)), _) => *at <= now,
            (Turn::Waits(None), Start::Step(place)) => at_step(state, place, has_begun),
            (Turn::Waits(None), Start::Event(moment)) => happened(state, led, moment),
            _ => false,
        };
        let mut all = struck.lock().unwrap_or_else(PoisonError::into_inner);
        if begins {
            let at = lab.with(|world| turned(world, &self.entry, true));
            let start = what.start.to_string();
            // Elsewhere than the list of faults has it, its row says nothing.
            let row = (start == what.kind.start).then_some(what.kind.caught_by);
            let asked = format!("{}@{start}", what.kind.name);
            all.push(Struck { name: what.kind.name, asked, row, at, over: None });
            let over = what.lasts.map(|lasts| now + lasts.duration());
            self.turn = Turn::Strikes(all.len() - 1, over);
        } else if let Turn::Strikes(mine, over) = &mut self.turn
            && over.is_some_and(|at| at <= now)
        {
            let at = lab.with(|world| turned(world, &self.entry, false));
            if let Some(s) = all.get_mut(*mine) {
                s.over = Some(at);
            }
            *over = None;
        }
    }
}

fn turned(world: &mut World, entry: &str, on: bool) -> Time {
    fault(world, entry, on);
    world.now
}

/// It is so of a step: `phase/step` of whatever item, or `phase[item]/step`.
fn at_step(state: &State, place: &str, is: fn(&State, &StepAddr) -> bool) -> bool {
    let named = |step: &StepAddr| step.place() == place || step.to_string() == place;
    state.steps.keys().any(|step| named(step) && is(state, step))
}

/// It has happened. It may be over already: not every state is seen.
fn happened(state: &State, led: &Led, moment: &Moment) -> bool {
    match moment {
        Moment::Election => led.moved,
        Moment::Soak => state.steps.keys().any(|step| soaks(state, step)),
        Moment::Released(place) => at_step(state, place, is_released),
        Moment::Done(place) => {
            at_step(state, place, |state, step| status(state, step) == Some(Status::Done))
        }
    }
}

fn status(state: &State, step: &StepAddr) -> Option<Status> {
    state.steps.get(step).map(|s| s.status)
}

/// That step's turn has come.
fn has_begun(state: &State, step: &StepAddr) -> bool {
    let before = [Status::Pending, Status::NotNeeded, Status::Skipped];
    status(state, step).is_some_and(|s| !before.contains(&s))
}

fn soaks(state: &State, step: &StepAddr) -> bool {
    let soak = state.step(step).is_some_and(|s| matches!(s.does, Does::Soak { .. }));
    soak && matches!(status(state, step), Some(Status::Running | Status::Done))
}

fn is_released(state: &State, step: &StepAddr) -> bool {
    let Some(s) = state.steps.get(step) else { return false };
    match s.status {
        Status::Released | Status::Running => true,
        Status::Verifying | Status::Done => s.way == Way::Ran,
        Status::InDoubt => true,
        _ => false,
    }
}
