//! Another text of the runbook, accepted while the run goes on: only what has not begun may be
//! another, so that what was done stays what its entries say, and is undone as it said then.

use crate::event::{Actor, Entry, Event, StepAddr, Time};
use crate::run::apply::ApplyError;
use crate::run::intent::Refusal;
use crate::run::life::Status;
use crate::run::state::{PhaseState, PhaseStatus, State};
use crate::run::step::StepState;
use crate::runbook::model::Runbook;
use crate::runbook::{Difference, How, Part, load, redline};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The text that the run goes by, where it is not its header's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redlined {
    /// All of it.
    pub runbook: String,
    /// Each time that one was accepted, the last one last.
    pub accepted: Vec<Accepted>,
}

/// One time that a text was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// What was another in it.
    pub changes: Vec<String>,
    /// The same, each with what it was and what it is.
    #[serde(default)]
    pub diff: Vec<String>,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Actor,
    /// When.
    pub at: Time,
}

impl State {
    /// The runbook's text that the run goes by.
    #[must_use]
    pub fn text(&self) -> &str {
        self.redlined.as_ref().map_or(&self.header.runbook, |r| &r.runbook)
    }

    /// What is another in a text, each with why it cannot be accepted, if it cannot.
    #[must_use]
    pub fn redline(&self, text: &str) -> Vec<(Difference, Option<String>)> {
        let new = load(text).ok().map(|loaded| loaded.runbook);
        let why = |d: &Difference| why_not(self, new.as_ref(), d);
        redline(self.text(), text).into_iter().map(|d| (why(&d), d)).map(|(w, d)| (d, w)).collect()
    }
}

/// The events with which a text is accepted. A review that stands is closed: what it showed may
/// be another.
pub(super) fn accept(state: &State, text: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
    if let Some((_, step)) = &state.running {
        return Err(Refusal::new(format!("{step} is running; wait for its result")));
    }
    let current = state.current();
    let status = current.as_ref().and_then(|a| state.steps.get(a)).map(|s| s.status);
    let mut events = Vec::new();
    match (current, status) {
        (Some(step), Some(Status::Released)) => {
            return Err(Refusal::new(format!("{step} is about to run; wait for its result")));
        }
        (Some(step), Some(Status::Confirming)) => events.push(Event::ReviewClosed { step }),
        _ => {}
    }
    let (_, changes) = acceptable(state, text).map_err(Refusal::new)?;
    let diff = changes.iter().flat_map(Difference::told).collect();
    let changes = changes.iter().map(ToString::to_string).collect();
    let (runbook, reason) = (text.to_owned(), reason.to_owned());
    events.push(Event::Redlined { runbook, changes, diff, reason });
    Ok(events)
}

/// The runbook that a text gives and what is another in it, or why it cannot be accepted.
fn acceptable(state: &State, text: &str) -> Result<(Runbook, Vec<Difference>), String> {
    let loaded = load(text).map_err(|problems| {
        let first = problems.iter().find(|p| !p.warning).map_or("", |p| p.message.as_str());
        format!("the runbook cannot be used: {first}; holdpoint check names all that is wrong")
    })?;
    let changes = redline(state.text(), text);
    if changes.is_empty() {
        return Err("nothing in it is another than what the run goes by".into());
    }
    let refused =
        |d: &Difference| Some(format!("{d}: {}", why_not(state, Some(&loaded.runbook), d)?));
    let refused: Vec<String> = changes.iter().filter_map(refused).collect();
    match refused.as_slice() {
        [] => Ok((loaded.runbook, changes)),
        all => Err(all.join("; ")),
    }
}

/// Why a part cannot be another now.
fn why_not(state: &State, new: Option<&Runbook>, difference: &Difference) -> Option<String> {
    let Some(new) = new else { return Some("the runbook cannot be used as it is now".into()) };
    let why = match &difference.part {
        // Nothing of it has begun.
        Part::Followup(_) => return None,
        Part::Whole | Part::Top(_) => "it holds for the whole run",
        Part::Guard(_) => "it is watched all through",
        Part::Order if begun_in_order(state, new) => return None,
        Part::Order => "what has begun would come elsewhere",
        Part::Phase(id) => return phase(state, new, id, difference),
        Part::Back(id) if state.phases.iter().any(|p| p.id == *id) => "it was begun",
        Part::Back(_) => return None,
        Part::Step { section, step } => {
            let began = |(a, s): (&StepAddr, &Arc<StepState>)| {
                (a.phase == *section && a.step == *step && !fresh(s)).then(|| a.to_string())
            };
            return state.steps.iter().find_map(began).map(|addr| format!("{addr} has begun"));
        }
    };
    Some(why.into())
}

/// Nothing was done in it, and nobody decided on it. Its gates may have been read.
fn fresh(s: &StepState) -> bool {
    use Status as S;
    let waits = matches!(s.status, S::Pending | S::Ready | S::Blocked | S::Confirming);
    waits && s.attempt == 1 && !s.acted
}

/// Phases that have begun come first, as they did.
fn begun_in_order(state: &State, new: &Runbook) -> bool {
    let own = state.phases.iter().take(state.runbook.phases.len());
    let begun = own.clone().filter(|p| p.status != PhaseStatus::Waiting).count();
    own.take(begun).map(|p| &p.id).eq(new.phases.iter().take(begun).map(|p| &p.id))
}

/// Of one that is open, steps behind the last one that has begun may be others.
fn phase(state: &State, new: &Runbook, id: &str, difference: &Difference) -> Option<String> {
    let own = state.phases.iter().take(state.runbook.phases.len()).find(|p| p.id == id)?;
    match own.status {
        PhaseStatus::Waiting => return None,
        PhaseStatus::Done => return Some("it is done".into()),
        PhaseStatus::Open => {}
    }
    if difference.how != How::Another || difference.fields != ["step"] {
        return Some("it is open, and its items stand".into());
    }
    if let Some(done) = own.items.iter().find(|i| i.ended.is_some()) {
        return Some(format!("{} is done by the steps that it has", done.name));
    }
    let (old, new) = (state.runbook.section(id)?, new.section(id)?);
    let item = state.item(own).map(|i| i.name.as_str());
    let began = |a: &StepAddr| state.steps.get(a).is_some_and(|s| !fresh(s));
    let addresses = State::addresses(old, item);
    let begun = addresses.iter().rposition(began).map_or(0, |last| last + 1);
    let stay = addresses.iter().take(begun).map(|a| &a.step);
    let same = stay.eq(new.steps.iter().take(begun).map(|s| &s.id));
    (!same).then(|| "steps that have begun would come elsewhere".into())
}

/// From this entry on the run goes by the new text. Steps that are others begin anew, with their
/// gates; their turn has not been theirs yet.
pub(super) fn fold(state: &mut State, entry: &Entry) -> Result<(), ApplyError> {
    let Event::Redlined { runbook: text, changes, reason, .. } = &entry.event else {
        return Ok(());
    };
    let (runbook, differences) =
        acceptable(state, text).map_err(|why| ApplyError::Redlined { seq: entry.seq, why })?;
    // Both texts are here: journals of before have it, too.
    let diff = differences.iter().flat_map(Difference::told).collect();
    let walked = state.phases.split_off(state.runbook.phases.len());
    let begun: Vec<PhaseState> =
        state.phases.drain(..).filter(|p| p.status != PhaseStatus::Waiting).collect();
    let kept = |id: &str| begun.iter().find(|p| p.id == id).cloned();
    state.phases =
        runbook.phases.iter().map(|p| kept(&p.id).unwrap_or_else(|| PhaseState::new(p))).collect();
    state.phases.extend(walked);
    state.runbook = Arc::new(runbook);
    for Difference { part, how, .. } in differences {
        match part {
            Part::Back(id) => drop(state.offers.remove(&id)),
            Part::Step { section, step } => renewed(state, &section, &step, how, entry.seq),
            _ => {}
        }
    }
    let mut accepted = state.redlined.as_ref().map(|r| r.accepted.clone()).unwrap_or_default();
    accepted.push(Accepted {
        changes: changes.clone(),
        diff,
        reason: reason.clone(),
        by: entry.actor.clone(),
        at: entry.at,
    });
    state.redlined = Some(Arc::new(Redlined { runbook: text.clone(), accepted }));
    Ok(())
}

/// A step that is another, gone or new, in a phase that is open.
fn renewed(state: &mut State, section: &str, step: &str, how: How, seq: u64) {
    let of = |a: &StepAddr| a.phase == section && a.step == step;
    // A question that was asked of what it was is not answered by what it is.
    let anew = || Arc::new(StepState { ticket: seq, ..StepState::new() });
    match how {
        How::Gone => Arc::make_mut(&mut state.steps).retain(|a, _| !of(a)),
        How::Another => {
            let steps = Arc::make_mut(&mut state.steps).iter_mut();
            steps.filter(|(a, _)| of(a)).for_each(|(_, s)| *s = anew());
        }
        How::New => {
            let open = state.phases.iter().find(|p| p.id == section);
            let Some(open) = open.filter(|p| p.status == PhaseStatus::Open) else { return };
            let each = state.runbook.section(section).is_some_and(|p| p.each.is_some());
            let item = state.item(open).map(|i| i.name.clone());
            if each && item.is_none() {
                return;
            }
            let (phase, step) = (section.to_owned(), step.to_owned());
            Arc::make_mut(&mut state.steps).insert(StepAddr { phase, item, step }, anew());
        }
    }
}
