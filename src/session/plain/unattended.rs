//! An unattended run: a file's answers, step by step.

use crate::event::{Actor, StepAddr, Verdict};
use crate::run::{Intent, State, Status};
use crate::runbook::model::{Does, Hold};
use crate::session::answers::{Answers, find};
use crate::session::engine::Handle;
use std::time::Duration;
use tokio::time::Instant;

/// An unattended run waits this long for a step whose gates do not pass.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether an unattended run goes on.
pub(super) enum Go {
    On,
    Stop(String),
}

/// Answers what the file answers, and stops at what it does not.
pub(super) struct Unattended<'a> {
    answers: &'a Answers,
    since: Option<(StepAddr, Status, Instant)>,
    asked: Option<(StepAddr, u64)>,
}

impl<'a> Unattended<'a> {
    pub(super) fn new(answers: &'a Answers) -> Self {
        Self { answers, since: None, asked: None }
    }

    pub(super) async fn step(&mut self, handle: &Handle, actor: &Actor, state: &State) -> Go {
        let Some(addr) = state.current() else { return Go::On };
        let (Some(step), Some(s)) = (state.step(&addr), state.steps.get(&addr)) else {
            return Go::On;
        };
        let waited = self.waited(&addr, s.status);
        let person = matches!(step.hold, Hold::Release | Hold::TwoPerson);
        match (s.status, &step.does) {
            // A file names steps, not objects: it cannot have meant these.
            _ if s.other_objects => Go::Stop(format!("{addr}: {}", s.changed.join("; "))),
            (Status::Ready, Does::Choose { .. }) => match find(&self.answers.choose, &addr) {
                Some(branch) => {
                    self.ask(
                        handle,
                        actor,
                        &addr,
                        s.ticket,
                        Intent::Choose { step: addr.clone(), branch },
                    )
                    .await
                }
                None => Go::Stop(format!("{addr} asks a question that the answers do not name")),
            },
            (Status::Ready | Status::Blocked, Does::Manual { .. }) => {
                Go::Stop(format!("{addr} is done by hand; no answers file does that"))
            }
            (Status::Ready, _) if person => match self.answers.release(&addr, String::new) {
                Some(_) => {
                    self.ask(handle, actor, &addr, s.ticket, Intent::Review { step: addr.clone() })
                        .await
                }
                None => {
                    Go::Stop(format!("{addr} waits for a release that the answers do not name"))
                }
            },
            (Status::Confirming, _) if person => {
                self.release(handle, actor, state, &addr, waited).await
            }
            (Status::Confirming, _) if s.proposal_error.is_some() => {
                Go::Stop(format!("{addr}: {}", s.proposal_error.clone().unwrap_or_default()))
            }
            (Status::Failed | Status::InDoubt, _) => {
                Go::Stop(format!("{addr} is {}: {}", s.status, s.why.clone().unwrap_or_default()))
            }
            (Status::Blocked | Status::Pending, _) => self.patient(&addr, state, waited),
            _ => Go::On,
        }
    }

    /// Releases what is in review once it can be.
    async fn release(
        &mut self,
        handle: &Handle,
        actor: &Actor,
        state: &State,
        addr: &StepAddr,
        waited: Duration,
    ) -> Go {
        let (Some(step), Some(s)) = (state.step(addr), state.steps.get(addr)) else {
            return Go::On;
        };
        if let Some(why) = &s.proposal_error {
            return Go::Stop(format!("{addr}: {why}"));
        }
        let unresolved = matches!(step.does, Does::Action(_)) && s.proposal.is_none();
        if s.gates_at.is_none() || unresolved || !s.gates_pass() {
            return self.patient(addr, state, waited);
        }
        let typed = self.answers.release(addr, || state.confirm_text(addr)).unwrap_or_default();
        let digest = s.proposal.as_ref().map(|(_, d)| d.clone()).unwrap_or_default();
        let intent = Intent::Release { step: addr.clone(), digest, typed };
        self.ask(handle, actor, addr, s.ticket, intent).await
    }

    fn waited(&mut self, addr: &StepAddr, status: Status) -> Duration {
        match &self.since {
            Some((a, s, at)) if a == addr && *s == status => at.elapsed(),
            _ => {
                self.since = Some((addr.clone(), status, Instant::now()));
                Duration::ZERO
            }
        }
    }

    fn patient(&self, addr: &StepAddr, state: &State, waited: Duration) -> Go {
        if waited < PATIENCE {
            return Go::On;
        }
        let gates = state.steps.get(addr).map(|s| s.gates.clone()).unwrap_or_default();
        let why: Vec<_> = gates
            .iter()
            .filter(|g| g.judged.verdict != Verdict::Pass)
            .map(|g| format!("{}: {}", g.says, g.judged.why))
            .collect();
        Go::Stop(format!("{addr} stays blocked: {}", why.join("; ")))
    }

    async fn ask(
        &mut self,
        handle: &Handle,
        actor: &Actor,
        addr: &StepAddr,
        ticket: u64,
        intent: Intent,
    ) -> Go {
        if self.asked.as_ref() == Some(&(addr.clone(), ticket)) {
            return Go::On;
        }
        self.asked = Some((addr.clone(), ticket));
        match handle.ask(actor, intent).await {
            Ok(()) => Go::On,
            Err(why) => Go::Stop(format!("{addr}: {why}")),
        }
    }
}
