//! An unattended run: a file's answers, step by step.

use crate::event::{Actor, Lease, Probed, Slot, Span, StepAddr, Verdict};
use crate::run::{Intent, State, Status, StepState, WINDOW, wanted};
use crate::runbook::model::{Does, Hold};
use crate::session::answers::{Answers, entry, find};
use crate::session::handle::Handle;
use std::time::Duration;
use tokio::time::Instant;

/// An unattended run waits this long for a step whose gates do not pass.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was released so often, and never ran because something changed, is given up; so is a
/// soak that began anew so often, where there is a limit to patience.
const TRIES: u32 = 20;

/// Whether an unattended run goes on.
pub(super) enum Go {
    On,
    /// What was wanted is done.
    Over(String),
    Stop(String),
}

/// Answers what the file answers, and stops at what it does not.
pub(super) struct Unattended<'a> {
    answers: &'a Answers,
    since: Option<(StepAddr, Status, Instant)>,
    asked: Option<(StepAddr, u64)>,
    released: Option<(StepAddr, u32)>,
    soaked: Option<Soaked>,
    held: Option<Instant>,
    /// The lease's holder that it was to be taken from.
    claimed: Option<String>,
}

/// A soak that is waited for.
struct Soaked {
    addr: StepAddr,
    observed_ms: u64,
    /// Whether nobody knew how it is.
    unseen: bool,
    /// Since when not a second more of it counts.
    since: Instant,
    restarts: u32,
}

/// Watches the soak in hand behind a held line, and leaves the line held.
async fn soaking(handle: &Handle, actor: &Actor, state: &State) -> Go {
    let Some((addr, s)) = state.current().and_then(|a| state.steps.get(&a).map(|s| (a, s))) else {
        return Go::Over("the soak is over".into());
    };
    if s.status != Status::Running || state.running.is_some() {
        return Go::Over(format!("the soak is over; {addr} comes next"));
    }
    if state.line_held.is_none() {
        let reason = "a soak is watched; nothing begins behind it".into();
        if let Err(why) = handle.ask(actor, Intent::HoldLine { reason }).await {
            return Go::Stop(why);
        }
    }
    Go::On
}

impl<'a> Unattended<'a> {
    pub(super) fn new(answers: &'a Answers) -> Self {
        Self {
            answers,
            since: None,
            asked: None,
            released: None,
            soaked: None,
            held: None,
            claimed: None,
        }
    }

    pub(super) async fn step(&mut self, handle: &Handle, actor: &Actor, state: &State) -> Go {
        if self.answers.soaks {
            return soaking(handle, actor, state).await;
        }
        if let Some(go) = self.line(handle, actor, state).await {
            return go;
        }
        if let Some(why) = self.lease(handle, actor, state).await {
            return Go::Stop(why);
        }
        let Some(addr) = state.current() else { return Go::On };
        let (Some(step), Some(s)) = (state.step(&addr), state.steps.get(&addr)) else {
            return Go::On;
        };
        let waited = self.waited(&addr, s.status);
        if let Some(intent) = self.aside(state, &addr, s) {
            return self.ask(handle, actor, &addr, s.ticket, intent).await;
        }
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
            (Status::InDoubt, _) if entry(&self.answers.in_doubt, &addr).is_some() => {
                self.doubted(handle, actor, &addr, s, waited).await
            }
            (Status::Failed | Status::InDoubt, _) => {
                Go::Stop(format!("{addr} is {}: {}", s.status, s.why.clone().unwrap_or_default()))
            }
            (Status::Running, Does::Soak { .. }) => self.soaks(&addr, s),
            (Status::Blocked, _) if s.is_done_already() => {
                let intent = Intent::Retry { step: addr.clone() };
                self.ask(handle, actor, &addr, s.ticket, intent).await
            }
            (Status::Blocked | Status::Pending, _) => self.patient(&addr, state, waited),
            _ => Go::On,
        }
    }

    /// What is done instead of the step: the way back that is to begin at its turn, once; what
    /// somebody says who is asked; or the next window, where one is over.
    fn aside(&self, state: &State, addr: &StepAddr, s: &StepState) -> Option<Intent> {
        if s.status == Status::Running || s.status == Status::Released {
            return None;
        }
        let section = entry(&self.answers.back, addr).cloned();
        if let Some(section) = section.filter(|id| !state.phases.iter().any(|p| p.id == *id)) {
            let reason = "the answers say so".into();
            return Some(Intent::GoBack { section, reason });
        }
        if let Some(poll) = self.poll(state, addr, s) {
            return Some(poll);
        }
        let length = state.runbook.window?.length;
        let lacks = s.gates.iter().any(|g| g.gate == WINDOW && s.lacks(g));
        let over = state.window.is_some_and(|w| w.start <= state.at);
        let window = Slot { start: state.at, end: state.at + length };
        (lacks && over && self.answers.opens_windows())
            .then(|| Intent::SetWindow { window, reason: "the answers say so".into() })
    }

    /// What the next one says who is asked before it.
    fn poll(&self, state: &State, addr: &StepAddr, s: &StepState) -> Option<Intent> {
        let poll = state.step(addr)?.poll.as_ref()?;
        if !matches!(s.status, Status::Ready | Status::Blocked) {
            return None;
        }
        let wanted = wanted(poll, s, state.at).into_iter();
        let (who, go) = self.answers.polled(addr, wanted)?;
        let reason = "the answers say so".into();
        Some(Intent::Poll { step: addr.clone(), who: who.to_owned(), go, reason })
    }

    /// Goes by what the probe of a step in doubt says.
    async fn doubted(
        &mut self,
        handle: &Handle,
        actor: &Actor,
        addr: &StepAddr,
        s: &StepState,
        waited: Duration,
    ) -> Go {
        let step = addr.clone();
        let intent = match &s.probed {
            Some((Probed::Done, _)) => Intent::Accept { step },
            Some((Probed::NotDone | Probed::Partly, _)) => Intent::Retry { step },
            // Not for ever: nobody watches its time limit any more.
            Some((Probed::Running, _)) if waited < self.limit(s) => return Go::On,
            Some((Probed::Running, why)) => return Go::Stop(format!("{addr}: {why}")),
            Some((Probed::Unknown, why)) => {
                return Go::Stop(format!("{addr} is in doubt, and the world does not tell: {why}"));
            }
            None if waited < self.answers.patience.map_or(PATIENCE, |p| p.duration()) => {
                return Go::On;
            }
            None => return Go::Stop(format!("{addr} is in doubt, and its probe does not answer")),
        };
        self.ask(handle, actor, addr, s.ticket, intent).await
    }

    /// As long as a program may run, or as anything is waited for.
    fn limit(&self, s: &StepState) -> Duration {
        let request = s.proposal.as_ref().and_then(|(p, _)| p.request.get("timeout")?.as_str());
        let timeout = request.and_then(|t| t.parse::<Span>().ok()).unwrap_or_default();
        timeout.duration().max(self.answers.patience.map_or(PATIENCE, |p| p.duration()))
    }

    /// Takes over a lease that its holder does not renew any more, where the answers say so; why
    /// it cannot.
    async fn lease(&mut self, handle: &Handle, actor: &Actor, state: &State) -> Option<String> {
        let Some(Lease::Held { expired: true, holder, .. }) = &state.lease else { return None };
        self.answers.lease?;
        if self.claimed.as_ref() == Some(holder) {
            return None;
        }
        self.claimed = Some(holder.clone());
        // What comes of it is told by the lease itself.
        handle.ask(actor, Intent::TakeLease { reason: String::new() }).await.err()
    }

    /// While the line is held nothing new starts, and nobody is there to free it: what is under
    /// way is waited for, then the run stops.
    async fn line(&mut self, handle: &Handle, actor: &Actor, state: &State) -> Option<Go> {
        let Some((reason, by)) = &state.line_held else {
            self.held = None;
            return None;
        };
        let breached: Vec<_> =
            state.breached().map(|(id, g)| format!("{id}: {}", g.judged.why)).collect();
        if self.answers.frees() && breached.is_empty() {
            return Some(match handle.ask(actor, Intent::FreeLine).await {
                Ok(()) => Go::On,
                Err(why) => Go::Stop(why),
            });
        }
        let status = state.current().and_then(|a| state.steps.get(&a)).map(|s| s.status);
        let waits = [Status::Pending, Status::Ready, Status::Blocked, Status::Confirming];
        if status.is_some_and(|s| !waits.contains(&s)) {
            return None;
        }
        let since = *self.held.get_or_insert_with(Instant::now);
        let patience = self.answers.patience.map_or(PATIENCE, |p| p.duration());
        if self.answers.frees() && since.elapsed() < patience {
            return Some(Go::On);
        }
        let still = match breached.as_slice() {
            [] => String::new(),
            all => format!(", still breached ({})", all.join("; ")),
        };
        let place = state.current().map_or("between steps".to_owned(), |a| a.to_string());
        Some(Go::Stop(format!(
            "{place}: {by} holds the line: {reason}{still}; a person frees it, no answers do"
        )))
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
        if self.asked.as_ref() != Some(&(addr.clone(), s.ticket)) && self.again(addr) > TRIES {
            let why = s.changed.join("; ");
            return Go::Stop(format!("{addr} was released {TRIES} times and never ran: {why}"));
        }
        let typed = self.answers.release(addr, || state.confirm_text(addr)).unwrap_or_default();
        let digest = s.proposal.as_ref().map(|(_, d)| d.clone()).unwrap_or_default();
        let intent = Intent::Release { step: addr.clone(), digest, typed };
        self.ask(handle, actor, addr, s.ticket, intent).await
    }

    /// How often this step has been released, this time counted.
    fn again(&mut self, addr: &StepAddr) -> u32 {
        let before = self.released.take().filter(|(a, _)| a == addr).map_or(0, |(_, n)| n);
        self.released = Some((addr.clone(), before + 1));
        before + 1
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

    /// A soak takes as long as it takes. One that never gets anywhere is given up only by who
    /// was given a limit: on a lab nobody comes to mend what breaks it.
    fn soaks(&mut self, addr: &StepAddr, s: &StepState) -> Go {
        let (now, unseen) = (s.soak.observed_ms, s.soak.unseen.is_some());
        let soaked = match self.soaked.take().filter(|soaked| soaked.addr == *addr) {
            Some(soaked) if soaked.observed_ms == now && soaked.unseen == unseen => soaked,
            Some(Soaked { observed_ms, restarts, .. }) => Soaked {
                addr: addr.clone(),
                observed_ms: now,
                unseen,
                since: Instant::now(),
                restarts: restarts + u32::from(now < observed_ms),
            },
            None => {
                let addr = addr.clone();
                Soaked { addr, observed_ms: now, unseen, since: Instant::now(), restarts: 0 }
            }
        };
        let patience = self.answers.patience.map(|p| p.duration());
        let over = patience.is_some_and(|p| soaked.since.elapsed() >= p || soaked.restarts > TRIES);
        self.soaked = Some(soaked);
        if over {
            let why =
                s.soak.unseen.as_ref().or(s.soak.broken.as_ref()).cloned().unwrap_or_default();
            return Go::Stop(format!("{addr} gets nowhere: {why}"));
        }
        Go::On
    }

    fn patient(&self, addr: &StepAddr, state: &State, waited: Duration) -> Go {
        let patience = self.answers.patience.map_or(PATIENCE, |p| p.duration());
        if waited < patience {
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
