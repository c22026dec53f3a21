//! How long what is left of a run takes, as far as its runbook says.

use crate::event::{Span, StepAddr, Time};
use crate::run::state::{PhaseState, PhaseStatus, State};
use crate::runbook::model::{Does, Phase, Step};

impl State {
    /// Estimates and soaks of every step that is not over, added up. A lower bound: a step
    /// without an estimate counts nothing, and items that are not known yet count as one.
    #[must_use]
    pub fn remaining(&self, now: Time) -> Span {
        let phases = self.phases.iter().zip(&self.runbook.phases);
        Span(phases.map(|(state, phase)| self.left_of(state, phase, now).0).sum())
    }

    fn left_of(&self, state: &PhaseState, phase: &Phase, now: Time) -> Span {
        let walk = |item: Option<&str>| -> u64 {
            let steps = Self::addresses(phase, item).into_iter().zip(&phase.steps);
            steps.map(|(addr, step)| self.left_of_step(&addr, step, now).0).sum()
        };
        match (state.status, &phase.each) {
            (PhaseStatus::Done, _) => Span(0),
            (_, None) => Span(walk(None)),
            (PhaseStatus::Open, Some(_)) => {
                let left = state.items.iter().filter(|i| i.ended.is_none());
                Span(left.map(|i| walk(Some(&i.name))).sum())
            }
            (PhaseStatus::Waiting, Some(each)) => {
                let items = each.of.eval(&self.scope(None, &self.world, &[], now));
                let n = items.ok().and_then(|v| v.as_array().map(Vec::len)).unwrap_or(1).max(1);
                Span(walk(None).saturating_mul(u64::try_from(n).unwrap_or(1)))
            }
        }
    }

    fn left_of_step(&self, addr: &StepAddr, step: &Step, now: Time) -> Span {
        let s = self.steps.get(addr);
        if s.is_some_and(|s| s.status.is_over()) {
            return Span(0);
        }
        let soak = match &step.does {
            Does::Soak { length, .. } => {
                let scope = self.scope(Some(addr), &self.world, &[], now);
                length.render(&scope).ok().and_then(|l| l.parse::<Span>().ok())
            }
            _ => None,
        };
        let whole = soak.or(step.estimate).unwrap_or_default();
        Span(whole.0.saturating_sub(s.map_or(0, |s| s.soak.observed_ms)))
    }
}
