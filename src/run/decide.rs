//! From what someone asks to what happens, or why it may not.

use crate::event::{Actor, Event, Role, StepAddr, Time, Verdict};
use crate::run::failure::mark;
use crate::run::intent::{Intent, Refusal};
use crate::run::life::{Move, Status, legal};
use crate::run::state::State;
use crate::run::step::StepState;
use crate::run::{anew, back, lease, poll, redline, results, resume, window};
use crate::runbook::model::{Does, Step};

/// Reasons, branches and typed names longer than this are a mistake.
const LONGEST_REASON: usize = 2000;
const NO_TURN: &str = "its turn has not come";

/// The events that an intent leads to. An empty list: nothing to do, as for a late or
/// repeated answer.
pub fn decide(
    state: &State,
    actor: &Actor,
    intent: &Intent,
    now: Time,
) -> Result<Vec<Event>, Refusal> {
    if let Some(to) = &state.moved {
        return Err(Refusal::new(format!(
            "this run goes on in {to}; nothing more is written here"
        )));
    }
    if state.ended.is_some() {
        return if actor.asked() {
            Err(Refusal::new("the run is closed; start a new one"))
        } else {
            Ok(Vec::new())
        };
    }
    if actor.asked() {
        may(actor)?;
        return person(state, intent, now);
    }
    Ok(anew::told(state, intent, results::system(state, intent, now)))
}

fn may(actor: &Actor) -> Result<(), Refusal> {
    match actor {
        Actor::Person { role: Role::Viewer | Role::Navigator, .. } => {
            Err(Refusal::new("only the driver does that; ask for the driver's seat"))
        }
        _ => Ok(()),
    }
}

fn person(state: &State, intent: &Intent, now: Time) -> Result<Vec<Event>, Refusal> {
    match intent {
        Intent::HoldLine { reason } => {
            reasonable(reason)?;
            Ok(vec![Event::LineHeld { reason: reason.clone() }])
        }
        Intent::FreeLine if state.line_held.is_some() => Ok(vec![Event::LineFreed]),
        Intent::FreeLine => Err(Refusal::new("the line is not held")),
        Intent::SetWindow { window, reason } => window::set(state, *window, reason, now),
        Intent::GoBack { section, reason } => {
            reasonable(reason)?;
            back::begin(state, section, reason)
        }
        Intent::LeaveBack { reason } => {
            reasonable(reason)?;
            back::leave(state, reason)
        }
        Intent::TakeLease { reason } => {
            if !reason.is_empty() {
                reasonable(reason)?;
            }
            lease::take(state, reason)
        }
        Intent::Redline { runbook, reason } => {
            reasonable(reason)?;
            redline::accept(state, runbook, reason)
        }
        Intent::Abort { reason } => {
            reasonable(reason)?;
            if let Some((_, step)) = &state.running {
                return Err(Refusal::new(format!(
                    "{step} is running; wait for its result, then abort"
                )));
            }
            if let Some(s) = state.current().and_then(|step| state.steps.get(&step)) {
                over(s)?;
            }
            Ok(vec![Event::Aborted { reason: reason.clone() }, Event::Ended { done: false }])
        }
        Intent::Resume { recovered, lost, version } => {
            Ok(resume::events(state, recovered.as_ref(), *lost, version))
        }
        Intent::GoOn => Ok(resume::goes_on(state)),
        Intent::Review { step }
        | Intent::CloseReview { step }
        | Intent::Release { step, .. }
        | Intent::Override { step, .. }
        | Intent::Poll { step, .. }
        | Intent::Show { step }
        | Intent::Claim { step }
        | Intent::Unclaim { step }
        | Intent::Skip { step, .. }
        | Intent::Retry { step }
        | Intent::Accept { step }
        | Intent::Choose { step, .. }
        | Intent::EndSoak { step, .. } => on_step(state, step, intent, now),
        _ => Err(Refusal::new("only Holdpoint itself reports that")),
    }
}

fn on_step(
    state: &State,
    addr: &StepAddr,
    intent: &Intent,
    now: Time,
) -> Result<Vec<Event>, Refusal> {
    let (Some(step), Some(s)) = (state.step(addr), state.steps.get(addr)) else {
        let why = state.held().unwrap_or_else(|| NO_TURN.into());
        return Err(Refusal::new(format!("there is no step {addr} now; {why}")));
    };
    if matches!(intent, Intent::Retry { .. }) && state.asked_again(addr, now) {
        return reconsider(state, addr, s, now);
    }
    if state.current().as_ref() != Some(addr) {
        let turn = state.current().map_or("no step".into(), |c| c.to_string());
        return Err(Refusal::new(format!("it is not {addr}'s turn; {turn} comes first")));
    }
    let moved = |by: Move| legal(s.status, by).map_err(|_| Refusal::new(hint(state, s, intent)));
    let addr = addr.clone();
    match intent {
        Intent::Review { .. } => {
            moved(Move::Review)?;
            match step.does {
                Does::Choose { .. } => {
                    Err(Refusal::new("this step is a question; choose a branch"))
                }
                _ => Ok(vec![Event::ReviewOpened { step: addr }]),
            }
        }
        Intent::CloseReview { .. } => {
            moved(Move::Close)?;
            Ok(vec![Event::ReviewClosed { step: addr }])
        }
        Intent::Release { digest, typed, .. } => {
            moved(Move::Release)?;
            release(state, &addr, s, digest, typed)
        }
        Intent::Override { gate, seen, reason, .. } => {
            moved(Move::Annotate)?;
            if let Some(early) = window::early(state, gate, now) {
                return Err(early);
            }
            override_gate(addr, s, gate, seen, reason)
        }
        Intent::Poll { .. } => {
            moved(Move::Poll)?;
            poll::asked(addr, step, intent)
        }
        Intent::Show { .. } => {
            moved(Move::Show)?;
            state.showable(&addr)?;
            Ok(vec![show(addr, s)])
        }
        Intent::Claim { .. } => {
            moved(Move::Claim)?;
            Ok(claim(addr, step, s))
        }
        Intent::Unclaim { .. } => {
            moved(Move::Unclaim)?;
            if s.way == crate::event::Way::Ran && s.status == Status::Verifying {
                return Err(Refusal::new(
                    "Holdpoint ran this step itself; nothing is to be taken back",
                ));
            }
            Ok(vec![Event::Unclaimed { step: addr }])
        }
        Intent::Skip { reason, .. } => {
            moved(Move::Skip)?;
            over(s)?;
            reasonable(reason)?;
            Ok(vec![Event::Skipped { step: addr, reason: reason.clone() }])
        }
        Intent::Retry { .. } => {
            let anew = step.when.is_some();
            moved(if anew { Move::Anew } else { Move::Retry })?;
            over(s)?;
            Ok(vec![Event::Retried { step: addr, attempt: s.attempt + 1, anew }])
        }
        Intent::Accept { .. } => accept(addr, s),
        Intent::Choose { branch, .. } => {
            moved(Move::Choose)?;
            choose(addr, step, branch)
        }
        Intent::EndSoak { reason, .. } => {
            moved(Move::SoakEnd)?;
            reasonable(reason)?;
            match step.does {
                Does::Soak { .. } => {
                    Ok(vec![Event::SoakEnded { step: addr, reason: Some(reason.clone()) }])
                }
                _ => Err(Refusal::new("an effect is running, not a soak; wait for its result")),
            }
        }
        _ => Err(Refusal::new("that is not for a step")),
    }
}

/// Whether a step is needed is asked again, as when the leadership moved back. Only in the
/// open phase and its present item, but for one that is to keep its evidence anew.
fn reconsider(
    state: &State,
    addr: &StepAddr,
    s: &StepState,
    now: Time,
) -> Result<Vec<Event>, Refusal> {
    let current = state.current();
    let near = current.as_ref().is_some_and(|c| c.phase == addr.phase && c.item == addr.item);
    let idle = current.and_then(|c| state.steps.get(&c).map(|s| s.status)).is_some_and(|s| {
        matches!(s, Status::Ready | Status::Blocked | Status::Failed | Status::Pending)
    });
    let far = state.outdated(addr, now) && !state.going_back();
    if !near && !far {
        return Err(Refusal::new(format!("{addr} belongs to what is over; it stays as it is")));
    }
    if !idle {
        return Err(Refusal::new("finish or leave the step in hand first"));
    }
    Ok(vec![Event::Retried { step: addr.clone(), attempt: s.attempt + 1, anew: false }])
}

fn release(
    state: &State,
    addr: &StepAddr,
    s: &StepState,
    digest: &str,
    typed: &str,
) -> Result<Vec<Event>, Refusal> {
    state.releasable(addr)?;
    if s.proposal.as_ref().is_some_and(|(_, now)| now != digest) {
        return Err(Refusal::new("the plan changed while you looked; read it again"));
    }
    let wanted = state.confirm_text(addr);
    if !wanted.is_empty() && typed != wanted {
        return Err(Refusal::new(format!("type {wanted} to release it")));
    }
    Ok(vec![Event::Released { step: addr.clone(), digest: digest.to_owned() }])
}

fn override_gate(
    addr: StepAddr,
    s: &StepState,
    gate: &str,
    seen: &str,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    reasonable(reason)?;
    if s.gates_at.is_none() {
        return Err(Refusal::new(
            "the gates are still being read: what stands there is from an earlier look; wait a moment",
        ));
    }
    match s.gates.iter().find(|g| g.gate == gate) {
        None => Err(Refusal::new(format!("this step has no gate {gate}"))),
        Some(g) if g.judged.verdict == Verdict::Pass => {
            Err(Refusal::new(format!("{} passes; there is nothing to override", g.says)))
        }
        // A reason takes a while to write, and is about what its person read before that.
        Some(g) if mark(&g.judged) != seen => Err(Refusal::new(format!(
            "the gate says something else now: {}: {} ({}); read it again",
            g.says, g.judged.verdict, g.judged.why
        ))),
        Some(_) => Ok(vec![Event::Overridden {
            step: addr,
            gate: gate.to_owned(),
            reason: reason.to_owned(),
        }]),
    }
}

/// What is done by hand has no plan, and so no digest.
fn show(addr: StepAddr, s: &StepState) -> Event {
    let digest = s.proposal.as_ref().map(|(_, digest)| digest.clone()).unwrap_or_default();
    Event::Shown { step: addr, digest }
}

fn claim(addr: StepAddr, step: &Step, s: &StepState) -> Vec<Event> {
    let claimed = Event::Claimed { step: addr.clone() };
    // Its probes look first; without one the verify alone decides.
    if crate::run::probing::has_probe(step, s) {
        vec![claimed]
    } else {
        vec![claimed, Event::Checking { step: addr }]
    }
}

/// What still runs is not started a second time, nor left running beside what comes next.
pub(super) fn over(s: &StepState) -> Result<(), Refusal> {
    match &s.probed {
        Some((crate::event::Probed::Running, why)) => {
            Err(Refusal::new(format!("it still runs: {why}")))
        }
        None if s.status == Status::InDoubt => {
            Err(Refusal::new("its probe has not answered yet, and it may still run; wait for that"))
        }
        _ => Ok(()),
    }
}

fn accept(addr: StepAddr, s: &StepState) -> Result<Vec<Event>, Refusal> {
    use crate::event::Probed;
    if s.status == Status::InDoubt {
        over(s)?;
    }
    match (s.status, &s.probed) {
        (Status::InDoubt, Some((Probed::Done, _))) => Ok(vec![Event::Checking { step: addr }]),
        (Status::InDoubt, Some((_, why))) => Err(Refusal::new(format!(
            "its probe does not say done: {why}; retry it, or skip it with a reason"
        ))),
        _ => Err(Refusal::new("only a step in doubt is accepted")),
    }
}

fn choose(addr: StepAddr, step: &Step, branch: &str) -> Result<Vec<Event>, Refusal> {
    let Does::Choose { branches, .. } = &step.does else {
        return Err(Refusal::new("this step asks nothing"));
    };
    if !branches.iter().any(|(id, _)| id == branch) {
        let known: Vec<_> = branches.iter().map(|(id, _)| id.as_str()).collect();
        return Err(Refusal::new(format!(
            "no branch {branch}; choose one of {}",
            known.join(", ")
        )));
    }
    Ok(vec![Event::Chosen { step: addr, branch: branch.to_owned() }])
}

/// Whether a text is a reason: something, and no book.
pub fn reasonable(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::new(
            "a reason is needed; whoever reads the incident later asks for it",
        ));
    }
    if reason.len() > LONGEST_REASON {
        return Err(Refusal::new(format!(
            "the reason is longer than {LONGEST_REASON} bytes; shorten it"
        )));
    }
    Ok(())
}

fn hint(state: &State, s: &StepState, intent: &Intent) -> String {
    let status = s.status;
    let what = match intent {
        Intent::Review { .. } => "reviewed",
        Intent::CloseReview { .. } => "left",
        Intent::Release { .. } => "released",
        Intent::Override { .. } => "overridden",
        Intent::Poll { .. } => "decided on",
        Intent::Show { .. } => "shown",
        Intent::Claim { .. } => "claimed done",
        Intent::Unclaim { .. } => "taken back",
        Intent::Skip { .. } => "skipped",
        Intent::Retry { .. } => "retried",
        Intent::Choose { .. } => "answered",
        _ => "changed that way",
    };
    let remedy = match status {
        Status::Pending => NO_TURN,
        Status::Ready | Status::Blocked => "open its review first (Enter)",
        Status::Confirming => "leave its review first (Esc)",
        Status::Released | Status::Running | Status::Claimed | Status::Verifying => {
            "wait for its result"
        }
        Status::Shown => "claim it done, or take it back",
        Status::Failed | Status::InDoubt => "retry it, or skip it with a reason",
        _ => "it is over",
    };
    // What stands in the way of that as well.
    let first = match status {
        Status::Pending => state.held(),
        Status::InDoubt => over(s).err().map(|refusal| refusal.0),
        _ => None,
    };
    let remedy = first.as_deref().unwrap_or(remedy);
    format!("a step that is {status} cannot be {what}; {remedy}")
}
