//! What the run needs to see next, derived from its state: a lost answer is simply
//! asked for again.

use crate::event::{Span, Time};
use crate::run::gates::{self, asked};
use crate::run::intent::Look;
use crate::run::life::Status;
use crate::run::state::{PhaseStatus, State};
use crate::runbook::model::Does;
use crate::world::Reading;

/// A question to be asked now, and again every `every` while it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What for.
    pub look: Look,
    /// The step's ticket, or the run's seq where no step has begun.
    pub ticket: u64,
    /// What to read.
    pub reading: Reading,
    /// How often.
    pub every: Span,
}

/// At most one question stands at a time: a run has one current step.
#[must_use]
pub fn wants(state: &State) -> Option<Want> {
    if state.ended.is_some() || state.aborted.is_some() {
        return None;
    }
    let Some(addr) = state.current() else { return advance(state) };
    let (step, s) = (state.step(&addr)?, state.steps.get(&addr)?);
    let ticket = s.ticket;
    let want = |look, reading, every| Some(Want { look, ticket, reading, every });
    match s.status {
        Status::Pending => advance(state),
        Status::Ready | Status::Blocked | Status::Confirming => {
            want(Look::Gates(addr.clone()), gates::reading(state, &addr), Span::secs(2))
        }
        Status::Verifying => {
            let verify = step.verify.as_ref();
            let reading = asked(state, Some(&addr), &[], verify.map(|v| &v.that));
            let apart = verify.map_or(1000, |v| v.over.0 / u64::from(v.passes.max(2) - 1));
            want(Look::Verify(addr), reading, Span(apart.clamp(250, 2000)))
        }
        Status::Running => match &step.does {
            Does::Soak { watch, .. } => {
                let reading = asked(state, Some(&addr), &[], watch.iter().map(|g| &g.that));
                want(Look::Soak(addr), reading, Span::secs(2))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What opening the next phase, item or step needs to see.
fn advance(state: &State) -> Option<Want> {
    let mut exprs = Vec::new();
    let mut ticket = turn(state);
    let Some((phase_state, phase)) = state.phase() else {
        // Nothing is left: the run can be closed.
        let reading = Reading::default();
        return Some(Want { look: Look::Advance, ticket, reading, every: Span::secs(1) });
    };
    let addr = state.current();
    if let Some(addr) = &addr {
        exprs.extend(state.step(addr)?.when.as_ref());
        ticket = state.steps.get(addr)?.ticket;
    } else if let Some(each) = &phase.each {
        if phase_state.status == PhaseStatus::Waiting {
            exprs.push(&each.of);
        }
        exprs.extend(each.next.as_ref());
    }
    let reading = asked(state, addr.as_ref(), &[], exprs);
    Some(Want { look: Look::Advance, ticket, reading, every: Span::secs(1) })
}

/// A number that changes with every phase that opens and every item that ends.
pub(crate) fn turn(state: &State) -> u64 {
    let began = |t: &Option<Time>| u64::from(t.is_some());
    state
        .phases
        .iter()
        .map(|p| {
            began(&p.began) + p.items.iter().map(|i| began(&i.began) + began(&i.ended)).sum::<u64>()
        })
        .sum()
}
