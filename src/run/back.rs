//! Ways back: begun by a person at any time but while an effect runs, walked like any phase,
//! and what they leave behind.

use crate::event::{Actor, Event, StepAddr, Time};
use crate::run::intent::Refusal;
use crate::run::life::{Move, Status, legal};
use crate::run::resume;
use crate::run::state::{Back, PhaseState, State, undone_by};
use crate::run::step::StepState;
use crate::runbook::model::{Does, Step, Then, UNDO};
use std::sync::Arc;

/// The events with which a way back begins.
pub(super) fn begin(state: &State, section: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
    if !state.runbook.ways_back().any(|p| p.id == section) {
        let known: Vec<_> = state.runbook.ways_back().map(|p| p.id.as_str()).collect();
        let known = known.join(", ");
        return Err(Refusal::new(format!("there is no way back {section}; there is {known}")));
    }
    // Also where another way back lies on top of it: what is in doubt on it stays in doubt.
    if state.back.iter().any(|b| b.section == section) {
        return Err(Refusal::new(format!("{section} is being walked already")));
    }
    if let Some((_, step)) = &state.running {
        return Err(Refusal::new(format!("{step} is running; wait for its result, then go back")));
    }
    let mut events = Vec::new();
    if let Some(step) = state.current() {
        if let Some(s) = state.steps.get(&step) {
            super::decide::over(s)?;
        }
        match state.steps.get(&step).map(|s| s.status) {
            Some(Status::Released) => {
                return Err(Refusal::new(format!("{step} is about to run; wait for its result")));
            }
            Some(Status::Confirming) => events.push(Event::ReviewClosed { step }),
            _ => {}
        }
    }
    // What a breach holds is what one goes back for: it does not hold the way back.
    if let Some((reason, by)) = state.line_held.as_ref().filter(|(_, by)| *by != Actor::System) {
        return Err(Refusal::new(format!("{by} holds the line: {reason}; free it first")));
    }
    events.push(Event::BackBegan { section: section.to_owned(), reason: reason.to_owned() });
    if section == UNDO {
        let undone = state.undoable();
        if undone.is_empty() {
            return Err(Refusal::new("nothing was done that says how it is undone"));
        }
        let items = Some(undone.iter().map(ToString::to_string).collect());
        events.push(Event::PhaseOpened { phase: UNDO.to_owned(), items });
    }
    Ok(events)
}

/// One may think better of it as long as nothing was done: what was undone is not done again.
pub(super) fn leave(state: &State, reason: &str) -> Result<Vec<Event>, Refusal> {
    let Some(back) = state.back.last() else {
        return Err(Refusal::new("no way back is being walked"));
    };
    let section = back.section.clone();
    let mut events = Vec::new();
    for (addr, s) in state.steps.iter().filter(|(addr, _)| addr.phase == section) {
        use Status as S;
        let decided = match s.status {
            S::Confirming => {
                events.push(Event::ReviewClosed { step: addr.clone() });
                false
            }
            S::Pending | S::Ready | S::Blocked | S::NotNeeded | S::Skipped => false,
            _ => true,
        };
        // One that was only asked again did nothing, whichever attempt it is.
        if decided || s.acted {
            return Err(Refusal::new(format!(
                "{addr} is {}: something was done on this way; walk it to its end, or abort",
                s.status
            )));
        }
    }
    events.push(Event::BackDone { section, ends: false, left: Some(reason.to_owned()) });
    Ok(events)
}

/// Nothing is left to do in the way back in hand.
pub(super) fn ended(state: &State) -> Vec<Event> {
    let Some(back) = state.back.last() else { return vec![Event::Ended { done: true }] };
    let section = back.section.clone();
    let ends = state.runbook.then(&section) == Then::End;
    let title = state.runbook.section(&section).map_or("", |p| p.title.as_str());
    let reason = format!("went back ({title}): {}", back.reason);
    let mut events = vec![Event::BackDone { section, ends, left: None }];
    if ends {
        events.extend([Event::Aborted { reason }, Event::Ended { done: false }]);
    }
    events
}

/// Its section is there from now on, and in hand; one that was walked before begins anew.
pub(super) fn began(state: &mut State, section: &str, reason: &str, by: &Actor) {
    let Some(phase) = state.runbook.section(section) else { return };
    let fresh = PhaseState::new(phase);
    state.phases.retain(|p| p.id != section);
    state.phases.push(fresh);
    Arc::make_mut(&mut state.steps).retain(|addr, _| addr.phase != section);
    state.back.retain(|b| b.section != section);
    let (section, reason) = (section.to_owned(), reason.to_owned());
    let line = state.line_held.take();
    state.back.push(Back { section, reason, by: by.clone(), line });
}

/// What was in hand before is taken up again; nobody watched it meanwhile. What held the line does
/// so again: it was put aside, and nobody has freed it.
pub(super) fn done(state: &mut State, section: &str, at: Time) {
    let line = state.back.iter_mut().filter(|b| b.section == section).find_map(|b| b.line.take());
    // Held by somebody else meanwhile, it is held for both: who frees it has read both.
    state.line_held = match (state.line_held.take(), line) {
        (Some((held, by)), Some((before, _))) => Some((format!("{held}; {before}"), by)),
        (held, line) => held.or(line),
    };
    state.back.retain(|b| b.section != section);
    resume::fold(state, at);
}

/// A step that undoes another was done: the other is undone.
pub(super) fn undone(state: &mut State, addr: &StepAddr, at: Time) {
    let undoes = state.step(addr).is_some_and(|step| !matches!(step.does, Does::Check));
    let Some(of) = undone_by(addr).filter(|_| undoes) else { return };
    let Some(s) = state.step_mut(&of) else { return };
    if let Ok(to) = legal(s.status, Move::Undo) {
        s.status = to;
        s.ended = Some(at);
    }
}

impl State {
    /// Steps that did something, or may have, in whichever attempt, the last one first. Those of
    /// ways back as well; not those that undo others.
    fn acted(&self) -> Vec<StepAddr> {
        let mut all = Vec::new();
        for phase in &self.phases {
            let Some(own) = self.runbook.section(&phase.id) else { continue };
            let items: Vec<_> = match own.each {
                Some(_) => phase.items.iter().map(|i| Some(i.name.as_str())).collect(),
                None => vec![None],
            };
            all.extend(items.into_iter().flat_map(|item| Self::addresses(own, item)));
        }
        let may = |s: &StepState| s.acted && legal(s.status, Move::Undo).is_ok();
        let undoes = |addr: &StepAddr| undone_by(addr).is_some();
        all.retain(|addr| !undoes(addr) && self.steps.get(addr).is_some_and(|s| may(s)));
        all.reverse();
        all
    }

    /// Of those, the ones that say how they are undone, or why they cannot be.
    #[must_use]
    pub fn undoable(&self) -> Vec<StepAddr> {
        let mut all = self.acted();
        all.retain(|addr| self.step(addr).is_some_and(|step| step.undo.is_some()));
        all
    }

    /// What going back by `undo` does, a line a step, the last one first: also what cannot be
    /// undone, and what no word of the runbook undoes.
    #[must_use]
    pub fn undone(&self) -> Vec<String> {
        let line = |addr: StepAddr| {
            let undo = self.step(&addr).and_then(|step| step.undo.as_ref());
            match undo.map(|undo| undo.none.as_ref()) {
                Some(None) => format!("- {addr}"),
                Some(Some(why)) => format!("- {addr} cannot be: {why}"),
                None => format!("- {addr} is not: {}", Step::NO_UNDO),
            }
        };
        self.acted().into_iter().map(line).collect()
    }
}
