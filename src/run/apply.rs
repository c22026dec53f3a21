//! The fold: one entry into the state, and the effects that follow from it.

use crate::event::{Actor, Entry, Event, Judged, Span, StepAddr, Verdict};
use crate::run::back;
use crate::run::clock;
use crate::run::evidence;
use crate::run::fields::fields;
use crate::run::follow;
use crate::run::gates;
use crate::run::intent::Effect;
use crate::run::keyframe;
use crate::run::lease;
use crate::run::life::{Illegal, Move, Status, legal};
use crate::run::redline;
use crate::run::resume;
use crate::run::state::{
    GuardState, ItemState, OUTPUT_LINE, OUTPUT_LINES, OutputLine, PhaseState, PhaseStatus, State,
};
use crate::run::step::StepState;
use std::sync::Arc;

/// Why an entry cannot be folded: the stream is not one that `decide` made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A gap or a repetition.
    #[error("entry {got} follows entry {after}: the stream has a gap")]
    Gap {
        /// Seq folded last.
        after: u64,
        /// Seq of the entry.
        got: u64,
    },
    /// A step's move that the table does not have.
    #[error("entry {seq}: {illegal}")]
    Illegal {
        /// Seq of the entry.
        seq: u64,
        /// The move.
        illegal: Illegal,
    },
    /// Another text of the runbook that does not fit what was done.
    #[error("entry {seq}: this text of the runbook cannot be gone by: {why}")]
    Redlined {
        /// Seq of the entry.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A keyframe that is none of this run, or stands elsewhere than at its beginning.
    #[error("entry {seq}: this is no keyframe to go on from: {why}")]
    Keyframe {
        /// Seq of the entry.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It names something that the run does not have.
    #[error("entry {seq} names {what}, which this run does not have")]
    Unknown {
        /// Seq of the entry.
        seq: u64,
        /// What it names.
        what: String,
    },
}

/// Folds one entry in. On an error the state is as it was.
pub fn apply(state: &mut State, entry: &Entry) -> Result<Vec<Effect>, ApplyError> {
    if entry.seq != state.seq + 1 {
        return Err(ApplyError::Gap { after: state.seq, got: entry.seq });
    }
    if let Event::Keyframe { state: kept } = &entry.event {
        keyframe::restore(state, entry, kept)?;
        return Ok(Vec::new());
    }
    check_names(state, entry)?;
    redline::fold(state, entry)?;
    if let Some(addr) = entry.event.step() {
        step(state, entry, &addr.clone())?;
    }
    run(state, entry);
    state.seq = entry.seq;
    state.at = entry.at;
    Ok(follow::effects(state, entry))
}

/// Everything but steps' own fields.
fn run(state: &mut State, entry: &Entry) {
    match &entry.event {
        Event::PhaseOpened { phase, items } => phase_opened(state, entry, phase, items.as_deref()),
        Event::PhaseBlocked { phase, why } => {
            if let Some(p) = phase_mut(state, phase) {
                p.blocked = Some(why.clone());
            }
        }
        Event::ItemChosen { phase, item } => item_chosen(state, entry, phase, item),
        Event::ItemDone { phase, item } => {
            let found = phase_mut(state, phase);
            if let Some(i) = found.and_then(|p| p.items.iter_mut().find(|i| i.name == *item)) {
                i.ended = Some(entry.at);
            }
        }
        Event::PhaseDone { phase } => {
            if let Some(p) = phase_mut(state, phase) {
                p.status = PhaseStatus::Done;
                p.ended = Some(entry.at);
            }
        }
        Event::EffectStarted { step, effect, .. } => {
            state.running = Some((*effect, step.clone()));
            state.next_effect = effect.0 + 1;
        }
        Event::EffectEnded { effect, .. } => {
            state.running = None;
            // One whose beginning is lost has its number all the same.
            state.next_effect = state.next_effect.max(effect.0 + 1);
        }
        Event::Output { effect, stream, text } => {
            let text = shortened(text);
            output(state, OutputLine { effect: *effect, stream: *stream, text, at: entry.at });
        }
        Event::Captured { name, value, step } => {
            evidence::captured(state, entry.at, (name, value), step);
        }
        Event::Retried { step, .. } => evidence::again(state, step),
        Event::Verified { step, .. } => {
            evidence::lose(state, step, "was done and did not keep it");
            back::undone(state, step, entry.at);
        }
        Event::WindowSet { window, reason } => {
            let why = Some(reason.clone()).filter(|r| !r.is_empty());
            state.window = Some(*window);
            state.window_why = why.map(|reason| (reason, entry.actor.clone()));
        }
        Event::Offered { section, judged } => {
            state.offers.insert(section.clone(), judged.clone());
        }
        Event::Withdrawn { section } => drop(state.offers.remove(section)),
        Event::BackBegan { section, reason } => back::began(state, section, reason, &entry.actor),
        Event::BackDone { section, ends: false, .. } => back::done(state, section, entry.at),
        Event::Skipped { step, .. } => evidence::lose(state, step, "was skipped"),
        Event::NotNeeded { step, .. }
            if state.steps.get(step).is_some_and(|s| s.doubt.is_some()) =>
        {
            evidence::lose(state, step, "may have been done and did not keep it");
        }
        Event::Chosen { step, branch } => {
            state.choice.insert(step.step.clone(), branch.clone());
        }
        Event::LineHeld { reason } => {
            state.line_held = Some((reason.clone(), entry.actor.clone()));
        }
        Event::LineFreed => state.line_held = None,
        Event::GuardJudged { guard, judged }
        | Event::GuardBreached { guard, judged }
        | Event::GuardHolds { guard, judged } => guard_seen(state, entry, guard, judged),
        Event::Observed { change } => state.world.apply(change),
        Event::Refused { asked, why } => {
            state.refused = Some((asked.clone(), why.clone(), entry.at));
        }
        Event::Resumed { .. } | Event::Continued | Event::ClockSetBack { .. } => {
            resume::fold(state, entry.at);
        }
        Event::Moved { to } => state.moved = Some(to.clone()),
        Event::Lease { news } => lease::fold(state, news),
        Event::Aborted { reason } => aborted(state, reason, entry),
        Event::Ended { done } => state.ended = Some(*done),
        // The rest are about a step and were folded there, or about the journal itself.
        _ => {}
    }
    if !matches!(entry.event, Event::Refused { .. }) && entry.actor != Actor::System {
        state.refused = None;
    }
}

fn check_names(state: &State, entry: &Entry) -> Result<(), ApplyError> {
    let unknown = |what: String| Err(ApplyError::Unknown { seq: entry.seq, what });
    match &entry.event {
        Event::PhaseOpened { phase, .. }
        | Event::PhaseBlocked { phase, .. }
        | Event::ItemChosen { phase, .. }
        | Event::ItemDone { phase, .. }
        | Event::PhaseDone { phase }
            if !state.phases.iter().any(|p| p.id == *phase) =>
        {
            unknown(format!("phase {phase}"))
        }
        Event::BackBegan { section, .. }
        | Event::BackDone { section, .. }
        | Event::Offered { section, .. }
        | Event::Withdrawn { section }
            if !state.runbook.ways_back().any(|p| p.id == *section) =>
        {
            unknown(format!("way back {section}"))
        }
        event => match event.step() {
            Some(a) if !state.steps.contains_key(a) => unknown(format!("step {a}")),
            _ => Ok(()),
        },
    }
}

fn phase_mut<'a>(state: &'a mut State, id: &str) -> Option<&'a mut PhaseState> {
    state.phases.iter_mut().find(|p| p.id == id)
}

fn phase_opened(state: &mut State, entry: &Entry, id: &str, items: Option<&[String]>) {
    let Some(p) = phase_mut(state, id) else { return };
    p.status = PhaseStatus::Open;
    p.blocked = None;
    p.began = Some(entry.at);
    p.items = items
        .unwrap_or_default()
        .iter()
        .map(|name| ItemState { name: name.clone(), began: None, ended: None })
        .collect();
    if items.is_none() {
        add_steps(state, id, None);
    }
}

/// The chosen item moves before those that wait, so that items stand in the order of
/// their turns.
fn item_chosen(state: &mut State, entry: &Entry, id: &str, item: &str) {
    if let Some(p) = phase_mut(state, id)
        && let Some(i) = p.items.iter().position(|i| i.name == item)
    {
        p.blocked = None;
        p.items[i].began = Some(entry.at);
        let turn = p.items.iter().filter(|i| i.began.is_some()).count() - 1;
        let moved = p.items.remove(i);
        p.items.insert(turn, moved);
    }
    add_steps(state, id, Some(item));
}

fn add_steps(state: &mut State, id: &str, item: Option<&str>) {
    let Some(phase) = state.runbook.section(id) else { return };
    for addr in State::addresses(phase, item) {
        let steps = Arc::make_mut(&mut state.steps);
        steps.entry(addr).or_insert_with(|| Arc::new(StepState::new()));
    }
}

/// The beginning of a line that nobody reads on a screen; the journal has it all.
fn shortened(text: &str) -> String {
    if text.len() <= OUTPUT_LINE {
        return text.to_owned();
    }
    let mut end = OUTPUT_LINE;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

fn output(state: &mut State, line: OutputLine) {
    if state.output.len() == OUTPUT_LINES {
        state.output.pop_front();
    }
    state.output.push_back(Arc::new(line));
}

fn guard_seen(state: &mut State, entry: &Entry, id: &str, judged: &Judged) {
    let before = state.guards.get(id);
    let pass = judged.verdict == Verdict::Pass;
    let (since, failing) = match before {
        // Whether false or not known: what counts is for how long it does not hold.
        Some(g) if (g.judged.verdict == Verdict::Pass) == pass => {
            (g.since, Span(g.failing.0 + clock::watched(g.seen, entry.at).0))
        }
        _ => (entry.at, Span(0)),
    };
    let breached = match entry.event {
        Event::GuardBreached { .. } => true,
        Event::GuardHolds { .. } => false,
        _ => before.is_some_and(|g| g.breached),
    };
    let (judged, seen) = (judged.clone(), entry.at);
    state.guards.insert(id.to_owned(), GuardState { judged, since, failing, seen, breached });
}

fn aborted(state: &mut State, reason: &str, entry: &Entry) {
    state.aborted = Some(reason.to_owned());
    for s in Arc::make_mut(&mut state.steps).values_mut().map(Arc::make_mut) {
        if let Ok(to) = legal(s.status, Move::Abort) {
            s.status = to;
            s.ended = Some(entry.at);
        }
    }
}

/// A step's move by the table, then its fields.
fn step(state: &mut State, entry: &Entry, addr: &StepAddr) -> Result<(), ApplyError> {
    let Some(s) = state.step_mut(addr) else { return Ok(()) };
    let pass = match &entry.event {
        Event::GatesJudged { gates, .. } => gates::all_pass(gates, &s.overrides),
        // Overrides end with the review that a person leaves. One that the run itself closes was
        // released with them.
        Event::ReviewClosed { .. } if entry.actor.asked() => {
            gates::all_pass(&s.gates, &gates::Overrides::new())
        }
        _ => s.gates_pass(),
    };
    if let Some(by) = Move::of(&entry.event, pass) {
        let to = legal(s.status, by)
            .map_err(|illegal| ApplyError::Illegal { seq: entry.seq, illegal })?;
        // Where somebody was heard, the gates of one that is not reviewed are asked anew although
        // the status stays.
        let heard = by == Move::Poll && matches!(to, Status::Ready | Status::Blocked);
        if to != s.status || heard {
            s.ticket = entry.seq;
        }
        s.status = to;
    }
    fields(s, entry);
    Ok(())
}
