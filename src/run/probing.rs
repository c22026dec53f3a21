//! Whether a step was done, where nobody saw it end: by the action's own probe and the runbook's;
//! and what is kept of a step that was.

use crate::event::{Event, Judged, Probed, StepAddr, Time, Verdict};
use crate::run::failure::still;
use crate::run::gates;
use crate::run::intent::Effect;
use crate::run::life::Status;
use crate::run::results::checking;
use crate::run::state::State;
use crate::run::step::StepState;
use crate::runbook::Scope;
use crate::runbook::model::{Does, Step};
use crate::runbook::verbs::tells;
use crate::world::World;
use serde_json::Value;

/// What the action's own probe says; without an action, nothing.
pub(crate) struct Own<'a> {
    pub(crate) verdict: Probed,
    pub(crate) why: &'a str,
    /// What the action would have returned; null where that is not known.
    pub(crate) result: &'a Value,
}

/// Something can look whether it was done: the runbook's probe, or what made its plan.
pub(crate) fn has_probe(step: &Step, s: &StepState) -> bool {
    step.probe.is_some() || s.proposal.is_some()
}

/// The look at a step in doubt, as the effect without an answer asked for it.
#[must_use]
pub fn doubted(state: &State, addr: &StepAddr) -> Option<Effect> {
    asked(state, addr, state.steps.get(addr)?)
}

/// The look that a claim, or an effect without an answer, asks for.
pub(crate) fn asked(state: &State, addr: &StepAddr, s: &StepState) -> Option<Effect> {
    let step = state.step(addr)?;
    has_probe(step, s).then(|| Effect::Probe {
        step: addr.clone(),
        ticket: s.ticket,
        proposal: s.proposal.as_ref().map(|(proposal, _)| proposal.clone()),
        reading: gates::asked(state, Some(addr), &[], &step.probe),
    })
}

/// Its action can tell by itself whether it was done; a program cannot, nor what is done by hand.
fn native(step: &Step) -> bool {
    matches!(&step.does, Does::Action(call) if tells(&call.verb))
}

/// Both probes, added up.
struct Sum {
    verdict: Probed,
    why: String,
    /// One says that it was done, the other that it was not.
    contradict: bool,
}

/// The action's own probe decides, and the runbook's can only make less of it: where they
/// contradict each other nothing is known. Where there is none of its own, the runbook's decides.
fn sum(own: &Own<'_>, native: bool, runbook: Option<&Judged>) -> Sum {
    let Some(judged) = runbook else {
        return Sum { verdict: own.verdict, why: own.why.to_owned(), contradict: false };
    };
    let (verdict, contradict) = match (own.verdict, judged.verdict) {
        (Probed::Unknown, Verdict::Pass) if !native => (Probed::Done, false),
        (Probed::Unknown, Verdict::Fail) if !native => (Probed::NotDone, false),
        (Probed::Done, Verdict::Fail) | (Probed::Partly | Probed::NotDone, Verdict::Pass) => {
            (Probed::Unknown, true)
        }
        (own, _) => (own, false),
    };
    let theirs = match judged.verdict {
        Verdict::Pass => "the runbook's probe holds".to_owned(),
        Verdict::Fail => format!("the runbook's probe does not hold: {}", judged.why),
        Verdict::Inconclusive => format!("the runbook's probe does not tell: {}", judged.why),
    };
    let why = if own.why.is_empty() { theirs } else { format!("{}; {theirs}", own.why) };
    Sum { verdict, why, contradict }
}

/// What follows from the answer of the probes.
pub(super) fn probed(
    state: &State,
    addr: &StepAddr,
    s: &StepState,
    world: &World,
    own: &Own<'_>,
    now: Time,
) -> Vec<Event> {
    let Some(step) = state.step(addr) else { return Vec::new() };
    if !matches!(s.status, Status::InDoubt | Status::Claimed) {
        return Vec::new();
    }
    let returned = Some(own.result).filter(|r| !r.is_null());
    let mut scope = state.scope(Some(addr), world, &[], now);
    scope.result = returned.or(scope.result);
    let judged = step.probe.as_ref().map(|probe| probe.judge(&scope));
    let Sum { verdict, why, contradict } = sum(own, native(step), judged.as_ref());
    // It is looked at again and again: only what is new is told.
    let told = |(before, saw): &(Probed, String)| *before == verdict && still(saw) == still(&why);
    if s.status == Status::InDoubt && s.probed.as_ref().is_some_and(told) {
        return Vec::new();
    }
    let mut events = vec![Event::Probed { step: addr.clone(), verdict, why: why.clone() }];
    if verdict == Probed::Done {
        // What is accepted then has its proofs, as if its answer had come.
        events.extend(captures(state, addr, step, returned, now));
    }
    if s.status == Status::InDoubt {
        return events;
    }
    match verdict {
        Probed::Done => events.extend(checking(state, addr.clone(), step)),
        // Where the world does not tell, the runbook's verify decides, if there is one.
        Probed::Unknown if step.verify.is_some() && !contradict => {
            events.push(Event::Checking { step: addr.clone() });
        }
        _ => {
            let what = match verdict {
                Probed::Unknown => "whether it was done is not known",
                _ => "it is not done",
            };
            events.extend([
                Event::Unclaimed { step: addr.clone() },
                Event::StepBlocked { step: addr.clone(), why: format!("{what}: {why}") },
            ]);
        }
    }
    events
}

/// What a step keeps as evidence. One that cannot be read is not kept: gates that name
/// it stay inconclusive.
pub(super) fn captures(
    state: &State,
    addr: &StepAddr,
    step: &Step,
    result: Option<&Value>,
    now: Time,
) -> Vec<Event> {
    let scope = Scope { result, ..state.scope(Some(addr), &state.world, &[], now) };
    step.capture
        .iter()
        .filter_map(|capture| {
            let (name, value) = (capture.name.clone(), capture.of.eval(&scope).ok()?);
            Some(Event::Captured { name, value, step: addr.clone() })
        })
        .collect()
}

/// What a step that is verified has not kept yet: nobody saw it end, or it is no action.
pub(super) fn left(
    state: &State,
    addr: &StepAddr,
    step: &Step,
    s: &StepState,
    now: Time,
) -> Vec<Event> {
    // What a probe had to look at gave no answer that could be kept.
    let result = s.result.as_ref().filter(|_| s.probed.is_none());
    let this = (addr.clone(), s.attempt);
    captures(state, addr, step, result, now)
        .into_iter()
        .filter(|e| match e {
            Event::Captured { name, .. } => state.captured.get(name) != Some(&this),
            _ => true,
        })
        .collect()
}
