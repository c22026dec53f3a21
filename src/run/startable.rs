//! What may be begun in a step's review, whoever is to do it, and what may be asked again.

use crate::event::{Mode, StepAddr, Time};
use crate::run::back;
use crate::run::follow::rendered;
use crate::run::gates;
use crate::run::intent::Refusal;
use crate::run::life::Status;
use crate::run::state::State;
use crate::run::step::StepState;
use crate::runbook::model::{Does, Risk, Step};

impl State {
    /// A step that was not needed; or one that was and can be taken back, so that doing it
    /// once more harms nothing, as stepping a leader down that was elected again; or one whose
    /// evidence does not count any more.
    #[must_use]
    pub fn asked_again(&self, addr: &StepAddr, now: Time) -> bool {
        let status = self.steps.get(addr).map(|s| s.status);
        let harmless = |step: &Step| step.when.is_some() && step.risk == Risk::Reversible;
        match status {
            Some(Status::NotNeeded) => true,
            Some(Status::Done) => self.step(addr).is_some_and(harmless) || self.outdated(addr, now),
            _ => false,
        }
    }

    /// Why a step in its review cannot be released now, whatever is typed.
    pub fn releasable(&self, addr: &StepAddr) -> Result<(), Refusal> {
        let (Some(step), Some(s)) = (self.step(addr), self.steps.get(addr)) else {
            return Err(Refusal::new(format!("there is no step {addr} now")));
        };
        let acts = matches!(step.does, Does::Action(_));
        if self.header.mode == Mode::ReadOnly && acts {
            return Err(Refusal::new(
                "this run is read-only: see its command (c, or show), run it elsewhere and claim it done, or start with --write",
            ));
        }
        if matches!(step.does, Does::Manual { .. }) {
            return Err(Refusal::new(
                "Holdpoint cannot do this step: see it (c, or show), do it yourself and claim it done",
            ));
        }
        self.startable(addr, step, s)
    }

    /// Why a step in its review is not to be done elsewhere now. What stops Holdpoint from doing
    /// it stops its person from being told to: the way around a gate is its override. The
    /// command can be looked at all the while.
    pub fn showable(&self, addr: &StepAddr) -> Result<(), Refusal> {
        let (Some(step), Some(s)) = (self.step(addr), self.steps.get(addr)) else {
            return Err(Refusal::new(format!("there is no step {addr} now")));
        };
        if !step.acts() {
            return Err(Refusal::new("this step has no command; it only looks"));
        }
        self.startable(addr, step, s)
    }

    /// Who holds the line and why, and what to do about it.
    #[must_use]
    pub fn held(&self) -> Option<String> {
        let (reason, by) = self.line_held.as_ref()?;
        Some(format!("{by} holds the line: {reason}; free it first (h, or free)"))
    }

    /// Ways back that could be begun now.
    #[must_use]
    pub fn ways_open(&self) -> Vec<&str> {
        let ways = self.runbook.ways_back().map(|way| way.id.as_str());
        ways.filter(|id| self.ended.is_none() && back::begin(self, id, "").is_ok()).collect()
    }

    /// Line, gates and plan of a step in its review, whoever is to do it.
    fn startable(&self, addr: &StepAddr, step: &Step, s: &StepState) -> Result<(), Refusal> {
        if let Some(held) = self.held() {
            return Err(Refusal::new(held));
        }
        if s.gates_at.is_none() {
            return Err(Refusal::new("the gates are still being read; wait a moment"));
        }
        if let Some(lack) = gates::lacking(&s.gates, &s.overrides).first() {
            let what = match s.gates.iter().find(|g| s.lacks(g)).is_some_and(StepState::says_done) {
                // Overridden, it would hit what took the place of what it was for.
                true => "leave its review, and ask again whether it is needed (r, or retry)",
                false => "wait until it passes, or override it with a reason",
            };
            return Err(Refusal::new(format!("{lack}; {what}")));
        }
        match (&s.proposal, &s.proposal_error) {
            (_, Some(why)) => Err(Refusal::new(match rendered(self, addr) {
                Ok(_) => format!(
                    "{why}; it is looked at again every few seconds while this review is open"
                ),
                Err(_) => format!("{why}; leave the review, and open it again when they can"),
            })),
            (None, None) if matches!(step.does, Does::Action(_)) => {
                Err(Refusal::new("the plan is still being resolved; wait a moment"))
            }
            _ => Ok(()),
        }
    }
}
