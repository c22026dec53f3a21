//! Faults begin and heal when they are to: all of them by one task, in their order, so that
//! the same seed gives the same run.

use crate::event::{StepAddr, Way};
use crate::lab::faults::{Moment, Planned, Start, find};
use crate::lab::{Lab, World};
use crate::report::Struck;
use crate::run::{State, Status};
use crate::runbook::model::Does;
use crate::session::Live;
use std::sync::Arc;
use tokio::sync::watch;

/// Until the run is over: what did not begin by then did not come.
pub(super) async fn strike(lab: Lab, mut live: watch::Receiver<Live>) {
    let mut led = Led::default();
    loop {
        let state = Arc::clone(&live.borrow_and_update().state);
        if state.ended.is_some() {
            return;
        }
        led.look(&state);
        let turn = turn(&state);
        let next = lab.with(|world| {
            world.stage.turn = turn;
            let next = world.strike(|start| came(&state, &led, start));
            next.map(|at| at.since(world.now).duration())
        });
        let due = async {
            match next {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = live.changed() => if changed.is_err() { return },
            () = due => {}
        }
    }
}

/// The faults that came.
pub(crate) fn struck(world: &World) -> Vec<Struck> {
    let mut struck: Vec<Struck> = world.planned.iter().filter_map(of).collect();
    struck.sort_by_key(|s| s.at);
    struck
}

fn of(planned: &Planned) -> Option<Struck> {
    let kind = find(&planned.name)?;
    // Elsewhere than the list of faults has it, its row says nothing.
    let row = (planned.start == kind.start).then_some(kind.caught_by);
    let at = planned.began?;
    let (name, places) = (kind.name, kind.caught_by);
    Some(Struck { name, asked: planned.asked(), row, places, at, over: planned.over })
}

/// Those that did not, in words.
pub(crate) fn missed(world: &World) -> Vec<String> {
    world.planned.iter().filter(|p| p.began.is_none()).map(Planned::asked).collect()
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

/// The item whose turn it is.
fn turn(state: &State) -> Option<String> {
    let (phase, _) = state.phase()?;
    state.item(phase).map(|item| item.name.clone())
}

/// It has come to that.
fn came(state: &State, led: &Led, start: &Start) -> bool {
    match start {
        Start::After(_) => false,
        Start::Step(place) => at_step(state, place, has_begun),
        Start::Event(moment) => happened(state, led, moment),
    }
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
