//! What the run needs to see next, derived from its state: a lost answer is simply
//! asked for again.

use crate::event::{Span, Time};
use crate::run::gates;
use crate::run::intent::Look;
use crate::run::life::Status;
use crate::run::state::{PhaseStatus, State};
use crate::runbook::model::Does;
use crate::world::Source;
use std::collections::BTreeSet;

/// A question to be asked now, and again every `every` while it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What for.
    pub look: Look,
    /// The step's ticket, or the run's seq where no step has begun.
    pub ticket: u64,
    /// What to read.
    pub sources: BTreeSet<Source>,
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
    let want = |look, sources, every| Some(Want { look, ticket, sources, every });
    match s.status {
        Status::Pending => advance(state),
        Status::Ready | Status::Blocked | Status::Confirming => {
            want(Look::Gates(addr.clone()), gates::sources(state, &addr), Span::secs(2))
        }
        Status::Verifying => {
            let verify = step.verify.as_ref();
            let sources = verify.map(|v| v.that.sources.clone()).unwrap_or_default();
            let apart = verify.map_or(1000, |v| v.over.0 / u64::from(v.passes.max(2) - 1));
            want(Look::Verify(addr), sources, Span(apart.clamp(250, 2000)))
        }
        Status::Running => match &step.does {
            Does::Soak { watch, .. } => {
                let sources = watch.iter().flat_map(|g| g.that.sources.iter()).copied().collect();
                want(Look::Soak(addr), sources, Span::secs(2))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What opening the next phase, item or step needs to see.
fn advance(state: &State) -> Option<Want> {
    let mut sources = BTreeSet::new();
    let mut ticket = turn(state);
    let Some((phase_state, phase)) = state.phase() else {
        // Nothing is left: the run can be closed.
        return Some(Want { look: Look::Advance, ticket, sources, every: Span::secs(1) });
    };
    if let Some(addr) = state.current() {
        sources.extend(state.step(&addr)?.when.iter().flat_map(|w| w.sources.iter().copied()));
        ticket = state.steps.get(&addr)?.ticket;
    } else if let Some(each) = &phase.each {
        if phase_state.status == PhaseStatus::Waiting {
            sources.extend(each.of.sources.iter().copied());
        }
        sources.extend(each.next.iter().flat_map(|n| n.sources.iter().copied()));
    }
    Some(Want { look: Look::Advance, ticket, sources, every: Span::secs(1) })
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
