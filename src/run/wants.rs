//! What the run needs to see next, derived from its state: a lost answer is simply
//! asked for again.

use crate::event::{Probed, Span, Time};
use crate::run::gates::{self, asked};
use crate::run::intent::Look;
use crate::run::life::Status;
use crate::run::state::{PhaseStatus, State};
use crate::runbook::model::Does;
use crate::world::Reading;

/// A step in doubt is looked at so often.
const DOUBT: Span = Span::secs(5);

/// A verify is looked at no more often than this; while it passes, no less than that.
const SOONEST: Span = Span(250);
const SETTLING: Span = Span::secs(2);
/// One that does not pass is looked at no less often.
const RAREST: Span = Span::secs(5);

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

/// A question without what it reads: that costs more to find out, and is only wanted when
/// the question is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What for.
    pub look: Look,
    /// The step's ticket, or the run's seq where no step has begun.
    pub ticket: u64,
    /// How often.
    pub every: Span,
}

/// At most one question stands at a time: a run has one current step.
#[must_use]
pub fn wants(state: &State) -> Option<Want> {
    let Question { look, ticket, every } = question(state)?;
    let reading = reading(state, &look);
    Some(Want { look, ticket, reading, every })
}

/// What stands.
#[must_use]
pub fn question(state: &State) -> Option<Question> {
    if state.ended.is_some() || state.aborted.is_some() {
        return None;
    }
    let advance = |ticket| Some(Question { look: Look::Advance, ticket, every: Span::secs(1) });
    let Some(addr) = state.current() else { return advance(turn(state)) };
    let (step, s) = (state.step(&addr)?, state.steps.get(&addr)?);
    let ticket = s.ticket;
    let question = |look, every| Some(Question { look, ticket, every });
    match s.status {
        Status::Pending => advance(ticket),
        Status::Ready | Status::Blocked | Status::Confirming => {
            question(Look::Gates(addr), Span::secs(2))
        }
        Status::Verifying => {
            let verify = step.verify.as_ref();
            let apart = verify.map_or(1000, |v| v.over.0 / u64::from(v.passes.max(2) - 1));
            let apart = Span(apart).clamp(SOONEST, SETTLING);
            // What takes long is asked for less often: a tenth of the wait more is no wait.
            let waited = if s.settling.passes > 0 { 0 } else { s.settling.looked.0 / 10 };
            question(Look::Verify(addr), apart.max(Span(waited)).min(RAREST))
        }
        // The world goes on: what was not done, or not to be seen, may be so a while later. What
        // is done waits for a person; a large anchor need not be read again for that.
        Status::InDoubt if matches!(s.probed, Some((Probed::Done, _))) => None,
        Status::InDoubt => question(Look::Doubt(addr), DOUBT),
        Status::Running if matches!(step.does, Does::Soak { .. }) => {
            question(Look::Soak(addr), Span::secs(2))
        }
        _ => None,
    }
}

/// What its answer needs to be read.
#[must_use]
pub fn reading(state: &State, look: &Look) -> Reading {
    let step = |addr| state.step(addr);
    match look {
        Look::Advance => advance(state),
        Look::Gates(addr) => gates::reading(state, addr),
        Look::Verify(addr) => {
            let verify = step(addr).and_then(|s| s.verify.as_ref());
            asked(state, Some(addr), &[], verify.map(|v| &v.that))
        }
        Look::Soak(addr) => match step(addr).map(|s| &s.does) {
            Some(Does::Soak { watch, .. }) => {
                asked(state, Some(addr), &[], watch.iter().map(|g| &g.that))
            }
            _ => Reading::default(),
        },
        // Its probe reads for itself.
        Look::Doubt(_) => Reading::default(),
    }
}

/// What opening the next phase, item or step needs to see. Nothing, where the run can be
/// closed.
fn advance(state: &State) -> Reading {
    let mut exprs = Vec::new();
    let Some((phase_state, phase)) = state.phase() else { return Reading::default() };
    let addr = state.current();
    if let Some(addr) = &addr {
        exprs.extend(state.step(addr).and_then(|s| s.when.as_ref()));
    } else if let Some(each) = &phase.each {
        if phase_state.status == PhaseStatus::Waiting {
            exprs.push(&each.of);
        }
        exprs.extend(each.next.as_ref());
    }
    asked(state, addr.as_ref(), &[], exprs)
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
