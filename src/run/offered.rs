//! Ways back that are offered: where what one is for holds, and where the change window has no time
//! for going forward any more. Only an offer: nothing follows from it by itself.

use crate::event::{Event, Time, Verdict};
use crate::run::life::Status;
use crate::run::state::State;
use crate::run::window;
use crate::runbook::Seen;
use crate::runbook::model::{Backout, Then};
use serde_json::Value;

/// Ways back whose condition holds now and did not, or the other way round; judged on what the
/// panes show.
pub(super) fn offers(state: &State, seen: &Seen<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for backout in &state.runbook.backouts {
        let Some(when) = &backout.when else { continue };
        let section = backout.phase.id.clone();
        if state.back.iter().any(|b| b.section == section) {
            continue;
        }
        match (when.verdict_seen(seen), state.offers.contains_key(&section)) {
            // What is under way may be what changes the world so.
            (Verdict::Pass, false) if state.running.is_some() => {}
            (Verdict::Pass, false) => {
                let judged = when.judge_seen(seen);
                events.push(Event::Offered { section, judged });
            }
            (Verdict::Fail, true) => events.push(Event::Withdrawn { section }),
            _ => {}
        }
    }
    events
}

/// Ways back that fit what was done, once the window has no time for what is left; and no more, once
/// it has, or they do not fit any more. Asked as time passes, not with each observation.
pub(super) fn in_time(state: &State, now: Time) -> Vec<Event> {
    if state.running.is_some() || state.going_back() {
        return Vec::new();
    }
    let short = if soaks(state) { None } else { window::short(state, now) };
    if short.is_none() && state.offers.is_empty() {
        return Vec::new();
    }
    let ways = state.runbook.backouts.iter().filter(|b| b.when.is_none());
    let ways = ways.map(|b| (&b.phase.id, Some(b))).chain([(&state.runbook.undo.id, None)]);
    let mut events = Vec::new();
    for (section, backout) in ways {
        let section = section.clone();
        let judged = short.as_ref().filter(|_| fits(state, backout, now));
        match (judged, state.offers.contains_key(&section)) {
            (Some(judged), false) => {
                events.push(Event::Offered { section, judged: judged.clone() });
            }
            (None, true) => events.push(Event::Withdrawn { section }),
            _ => {}
        }
    }
    events
}

/// The window bounds releases, not soaks: while one is watched nobody is late. No effect runs here, so
/// a step that does is one.
fn soaks(state: &State) -> bool {
    let step = state.current().and_then(|addr| state.steps.get(&addr));
    step.is_some_and(|s| s.status == Status::Running)
}

/// Something was done that can be taken back, and by this way: one that ends the run and has
/// somebody to walk it for, or `undo`, where nothing that was done says that it cannot be undone.
fn fits(state: &State, backout: Option<&Backout>, now: Time) -> bool {
    let undoable = state.undoable();
    if undoable.is_empty() {
        return false;
    }
    let Some(backout) = backout else {
        let can =
            |addr| state.step(addr).and_then(|s| s.undo.as_ref()).is_some_and(|u| u.none.is_none());
        return undoable.iter().all(can);
    };
    let somebody = backout.phase.each.as_ref().is_none_or(|each| {
        let of = each.of.eval(&state.scope(None, &state.world, &[], now)).ok();
        of.as_ref().and_then(Value::as_array).is_some_and(|items| !items.is_empty())
    });
    backout.then == Then::End && somebody
}
