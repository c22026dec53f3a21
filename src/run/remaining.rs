//! How long what is left of a run takes, as far as its runbook says.

use crate::event::{Span, StepAddr, Time};
use crate::run::state::{PhaseState, PhaseStatus, State};
use crate::runbook::model::{Does, Phase, Step};

impl State {
    /// Estimates and soaks of every step that is not over, added up. A lower bound: a step
    /// without an estimate counts nothing, and items that are not known yet count as one. While
    /// one goes back, only what is left of that way.
    #[must_use]
    pub fn remaining(&self, now: Time) -> Span {
        let left = self.left(now);
        Span(left.map(|(addr, step)| self.left_of_step(&addr, step, now).0).sum())
    }

    /// The same up to the next soak: what a change window has to have time for.
    #[must_use]
    pub fn up_to_soak(&self, now: Time) -> Span {
        let left = self.left(now);
        let soaks = |step: &Step| matches!(step.does, Does::Soak { .. });
        let before = left.take_while(|(_, step)| !soaks(step));
        Span(before.map(|(addr, step)| self.left_of_step(&addr, step, now).0).sum())
    }

    /// Steps that are not over, in the order in which their turns come.
    fn left(&self, now: Time) -> impl Iterator<Item = (StepAddr, &Step)> {
        let phases: Vec<&PhaseState> = match self.back.last() {
            Some(back) => self.phases.iter().filter(|p| p.id == back.section).collect(),
            None => self.phases.iter().take(self.runbook.phases.len()).collect(),
        };
        let known = phases.into_iter().filter_map(|p| Some((p, self.runbook.section(&p.id)?)));
        let turns = known.flat_map(move |(state, phase)| {
            let items = self.items_left(state, phase, now).into_iter();
            items.flat_map(|item| Self::addresses(phase, item.as_deref()))
        });
        let over = |addr: &StepAddr| self.steps.get(addr).is_some_and(|s| s.status.is_over());
        let left = turns.filter(move |addr| !over(addr));
        left.filter_map(|addr| Some((self.step(&addr)?, addr))).map(|(step, addr)| (addr, step))
    }

    /// Items whose turn is not over; one without a name for a phase without any.
    fn items_left(&self, state: &PhaseState, phase: &Phase, now: Time) -> Vec<Option<String>> {
        match (state.status, &phase.each) {
            (PhaseStatus::Done, _) => Vec::new(),
            (_, None) => vec![None],
            (PhaseStatus::Open, Some(_)) => {
                let left = state.items.iter().filter(|i| i.ended.is_none());
                left.map(|i| Some(i.name.clone())).collect()
            }
            (PhaseStatus::Waiting, Some(each)) => {
                let items = each.of.eval(&self.scope(None, &self.world, &[], now));
                let names = items.ok().and_then(|v| v.as_array().cloned()).unwrap_or_default();
                let names: Vec<_> = names.iter().map(|n| n.as_str().map(str::to_owned)).collect();
                if names.is_empty() { vec![None] } else { names }
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
