//! What happens by itself: phases open, items get their turn, steps open or are not
//! needed, and the run ends.

use crate::event::{Event, StepAddr, Time, Verdict};
use crate::run::back;
use crate::run::state::{PhaseState, PhaseStatus, State};
use crate::runbook::model::{Each, Phase};
use crate::world::World;
use serde_json::Value;

/// What follows next without anyone asking, on `world`, in a run that is not over; nothing
/// when a step waits for something.
pub(crate) fn next(state: &State, world: &World, now: Time) -> Vec<Event> {
    if state.line_held.is_some() {
        return Vec::new();
    }
    match state.phase() {
        Some((phase_state, phase)) => {
            in_phase(state, phase_state, phase, world, now).into_iter().collect()
        }
        None => back::ended(state),
    }
}

fn in_phase(
    state: &State,
    phase_state: &PhaseState,
    phase: &Phase,
    world: &World,
    now: Time,
) -> Option<Event> {
    if let Some(addr) = state.current() {
        return step(state, &addr, world, now);
    }
    match (phase_state.status, &phase.each) {
        (PhaseStatus::Waiting, None) => {
            Some(Event::PhaseOpened { phase: phase.id.clone(), items: None })
        }
        (PhaseStatus::Waiting, Some(each)) => open_each(state, phase_state, each, world, now),
        (_, None) => Some(Event::PhaseDone { phase: phase.id.clone() }),
        (_, Some(each)) => turn(state, phase_state, phase, each, world, now),
    }
}

fn step(state: &State, addr: &StepAddr, world: &World, now: Time) -> Option<Event> {
    let s = state.steps.get(addr)?;
    if s.status != crate::run::Status::Pending {
        return None;
    }
    let opened = Some(Event::StepOpened { step: addr.clone() });
    let Some(when) = &state.step(addr)?.when else { return opened };
    let judged = when.judge(&state.scope(Some(addr), world, &[], now));
    match judged.verdict {
        Verdict::Pass => opened,
        Verdict::Fail => Some(Event::NotNeeded { step: addr.clone(), judged }),
        Verdict::Inconclusive => {
            let why = format!("whether it is needed is not known: {}", judged.why);
            (s.why.as_ref() != Some(&why)).then(|| Event::StepBlocked { step: addr.clone(), why })
        }
    }
}

fn blocked(phase: &PhaseState, why: String) -> Option<Event> {
    let news = phase.blocked.as_ref() != Some(&why);
    news.then(|| Event::PhaseBlocked { phase: phase.id.clone(), why })
}

/// Freezes the set; empty, a wrong type or a duplicate is an error that waits for a person.
fn open_each(
    state: &State,
    phase: &PhaseState,
    each: &Each,
    world: &World,
    now: Time,
) -> Option<Event> {
    let scope = state.scope(None, world, &[], now);
    if let Some(stale) = each.of.stale(&scope) {
        return blocked(phase, format!("its items are not known: {stale}"));
    }
    let items = match each.of.eval(&scope) {
        Ok(Value::Array(values)) => {
            values.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        }
        Ok(_) => None,
        Err(e) => return blocked(phase, format!("its items are not known: {e}")),
    };
    match items {
        None => blocked(phase, format!("`{}` gives no list of names", each.of.text)),
        Some(items) if items.is_empty() => {
            let leave = match state.going_back() {
                true => {
                    "; there is nothing to do on this way back: go forward again, or another way"
                }
                false => "",
            };
            blocked(phase, format!("`{}` gives no items at all{leave}", each.of.text))
        }
        Some(items) => {
            let mut sorted = items.clone();
            sorted.sort();
            if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
                return blocked(phase, format!("`{}` names {} twice", each.of.text, twice[0]));
            }
            Some(Event::PhaseOpened { phase: phase.id.clone(), items: Some(items) })
        }
    }
}

/// The item in its turn is done, or the next one is chosen, or the phase is done.
fn turn(
    state: &State,
    phase_state: &PhaseState,
    phase: &Phase,
    each: &Each,
    world: &World,
    now: Time,
) -> Option<Event> {
    if let Some(item) = state.item(phase_state) {
        return Some(Event::ItemDone { phase: phase.id.clone(), item: item.name.clone() });
    }
    let remaining: Vec<String> =
        phase_state.items.iter().filter(|i| i.began.is_none()).map(|i| i.name.clone()).collect();
    let Some(first) = remaining.first() else {
        return Some(Event::PhaseDone { phase: phase.id.clone() });
    };
    let chosen = match &each.next {
        None => first.clone(),
        Some(next) => {
            let scope = state.scope(None, world, &remaining, now);
            if let Some(stale) = next.stale(&scope) {
                return blocked(phase_state, format!("which is next is not known: {stale}"));
            }
            match next.eval(&scope) {
                Ok(Value::String(s)) if remaining.contains(&s) => s,
                Ok(other) => {
                    return blocked(
                        phase_state,
                        format!(
                            "`{}` chose {other}, which is not among those that remain",
                            next.text
                        ),
                    );
                }
                Err(e) => return blocked(phase_state, format!("which is next is not known: {e}")),
            }
        }
    };
    Some(Event::ItemChosen { phase: phase.id.clone(), item: chosen })
}
