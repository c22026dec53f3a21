//! What is new, in lines.

use crate::event::{GateJudged, Lease, Probed, Slot, StepAddr, Verdict};
use crate::run::{Accepted, OutputLine, State, Status, StepState};
use crate::runbook::model::Does;
use crate::session::plain::{review, soak::Soaks};
use crate::world::Answer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A line to be printed.
macro_rules! say {
    ($printer:expr, $($text:tt)*) => { $printer.lines.push(format!($($text)*)) };
}

/// Prints what is new, a line each.
#[derive(Default)]
pub(super) struct Printer {
    /// The steps as they were when they were looked at last.
    walked: Option<Arc<BTreeMap<StepAddr, Arc<StepState>>>>,
    /// Each step as it was when it was printed last.
    seen: BTreeMap<StepAddr, Arc<StepState>>,
    statuses: BTreeMap<StepAddr, (Status, u32)>,
    reviewed: BTreeMap<StepAddr, u64>,
    ways: review::Ways,
    soaks: Soaks,
    failed: BTreeMap<StepAddr, String>,
    probed: BTreeMap<StepAddr, (Probed, String)>,
    gates: BTreeMap<StepAddr, Vec<(String, String)>>,
    guards: BTreeMap<String, bool>,
    line: Option<String>,
    back: Vec<String>,
    offers: Vec<String>,
    window: Option<Slot>,
    redlined: usize,
    aborted: bool,
    lease: Option<String>,
    output: Option<Arc<OutputLine>>,
    blocked: BTreeMap<String, String>,
    leader: String,
    lines: Vec<String>,
}

/// Where a step stands among all, as they are walked: several may move before anybody prints.
fn turn(state: &State, addr: &StepAddr) -> [Option<usize>; 3] {
    let phase = state.phases.iter().position(|p| p.id == addr.phase);
    let items = phase.and_then(|at| state.phases.get(at)).map(|p| p.items.as_slice());
    let item = items.unwrap_or_default().iter().position(|i| Some(&i.name) == addr.item.as_ref());
    let steps = state.runbook.section(&addr.phase).map(|p| p.steps.as_slice());
    let step = steps.unwrap_or_default().iter().position(|s| s.id == addr.step);
    [phase, item, step]
}

impl Printer {
    /// What is to be printed.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(super) fn print(&mut self, state: &State) {
        self.world(state);
        for p in &state.phases {
            if let Some(why) = &p.blocked
                && self.blocked.insert(p.id.clone(), why.clone()).as_ref() != Some(why)
            {
                say!(self, "phase {} cannot go on: {why}", p.id);
            }
        }
        self.steps(state);
        self.lines.extend(self.ways.news(state));
        self.lines.extend(self.soaks.news(state));
        self.output(state);
        if let Some(why) = state.aborted.as_ref().filter(|_| !self.aborted) {
            self.aborted = true;
            say!(self, "the run is over, not done: {why}");
        }
    }

    fn steps(&mut self, state: &State) {
        // A state comes after every entry; most are observations.
        if self.walked.as_ref().is_some_and(|walked| Arc::ptr_eq(walked, &state.steps)) {
            return;
        }
        self.walked = Some(Arc::clone(&state.steps));
        // Hardly any entry is about more than one step.
        let seen = |addr: &StepAddr, s| self.seen.get(addr).is_some_and(|old| Arc::ptr_eq(old, s));
        let mut news: Vec<_> = state.steps.iter().filter(|(addr, s)| !seen(addr, s)).collect();
        news.sort_by_cached_key(|(addr, _)| turn(state, addr));
        for (addr, s) in news {
            self.seen.insert(addr.clone(), Arc::clone(s));
            let key = (s.status, s.attempt);
            if self.statuses.insert(addr.clone(), key) != Some(key) && s.status != Status::Pending {
                self.moved(state, addr);
            }
            self.review(state, addr, s);
            self.no_plan(addr, s);
            self.probe(addr, s);
            self.verdicts(state, addr, s);
        }
    }

    fn world(&mut self, state: &State) {
        let raft = &state.world.raft;
        if raft.leader != self.leader {
            say!(
                self,
                "raft: leader is {}",
                if raft.leader.is_empty() { "nobody" } else { &raft.leader }
            );
            self.leader.clone_from(&raft.leader);
        }
        for (id, g) in state.guards.iter() {
            if self.guards.insert(id.clone(), g.breached) != Some(g.breached)
                && (g.breached || self.guards.len() > 1)
            {
                let how = if g.breached { "BREACHED" } else { "holds" };
                say!(self, "guard {id} {how}: {}", g.judged.why);
            }
        }
        self.redlined(state);
        self.line(state);
        self.lease(state);
        self.back(state);
        if self.window != state.window
            && let Some(window) = state.window
        {
            let why = state.window_why.as_ref();
            let why = why.map(|(why, by)| format!(" (set by {by}: {why})")).unwrap_or_default();
            say!(self, "change window: {window}{why}");
            self.window = state.window;
        }
    }

    /// What of the runbook is not what the run began with.
    fn redlined(&mut self, state: &State) {
        let Some(redlined) = &state.redlined else { return };
        let news = redlined.accepted.iter().skip(self.redlined);
        for Accepted { changes, diff, reason, by, .. } in news {
            let changes = changes.join(", ");
            say!(self, "the runbook is changed: {changes} (accepted by {by}: {reason})");
            diff.iter().for_each(|line| say!(self, "  {line}"));
        }
        self.redlined = redlined.accepted.len();
    }

    /// Ways back that are offered, begun, left.
    fn back(&mut self, state: &State) {
        let now: Vec<String> = state.offers.keys().cloned().collect();
        for id in now.iter().filter(|id| !self.offers.contains(id)) {
            say!(self, "way back offered: back {id} REASON");
        }
        self.offers = now;
        let now: Vec<String> = state.back.iter().map(|b| b.section.clone()).collect();
        for back in state.back.iter().filter(|b| !self.back.contains(&b.section)) {
            say!(self, "GOING BACK by {}: {}", back.section, back.reason);
        }
        for id in std::mem::replace(&mut self.back, now.clone()) {
            if !now.contains(&id) {
                say!(self, "the way back {id} is over; the run goes forward");
            }
        }
    }

    /// Who holds the cluster's lease, each time that it is another or not known.
    fn lease(&mut self, state: &State) {
        let Some(lease) = &state.lease else { return };
        let now = match lease {
            Lease::Taken { lease, .. } | Lease::Renewed { lease, .. } => {
                format!("this run holds {lease}")
            }
            other => other.to_string(),
        };
        if self.lease.as_ref() != Some(&now) {
            say!(self, "lease: {now}");
            self.lease = Some(now);
        }
    }

    /// That it is held or free, and what goes on to stand in the way.
    fn line(&mut self, state: &State) {
        let held = state.line_held.as_ref().map(|(reason, by)| format!("{by}: {reason}"));
        if held == self.line {
            return;
        }
        match &held {
            Some(why) => say!(self, "LINE HELD by {why}; nothing new starts: free"),
            None => say!(self, "the line is free"),
        }
        if held.is_none() {
            for (id, _) in state.breached() {
                say!(self, "  guard {id} is still breached: it stays a gate of every step");
            }
        }
        self.line = held;
    }

    fn moved(&mut self, state: &State, addr: &StepAddr) {
        let Some(s) = state.steps.get(addr) else { return };
        say!(self, "{addr}#{} {}: {}", s.attempt, s.status, state.title(addr));
        if let Some(why) = &s.why {
            say!(self, "  {why}");
        }
        if let Some((attempt, why)) = s.doubt.as_ref().filter(|(attempt, _)| *attempt < s.attempt) {
            say!(self, "  attempt {attempt} may or may not have been done: {why}");
        }
        if !s.changed.is_empty() && s.status != Status::Released {
            say!(self, "  nothing was done: between release and effect this changed");
            s.changed.iter().for_each(|line| say!(self, "  changed: {line}"));
        }
        match (s.status, state.step(addr).map(|d| &d.does)) {
            (Status::Ready, Some(Does::Choose { question, branches })) => {
                let scope = state.scope(Some(addr), &state.world, &[], state.at);
                say!(
                    self,
                    "  {}",
                    question.render(&scope).unwrap_or_else(|_| question.text.clone())
                );
                branches.iter().for_each(|(id, title)| say!(self, "    choose {id}: {title}"));
            }
            (
                Status::Ready | Status::Blocked | Status::Shown,
                Some(Does::Manual { instruction, .. }),
            ) => {
                let scope = state.scope(Some(addr), &state.world, &[], state.at);
                say!(
                    self,
                    "  {}",
                    instruction.render(&scope).unwrap_or_else(|_| instruction.text.clone())
                );
            }
            _ => {}
        }
    }

    /// Each review anew, also one that resolves to the same as before; with its gates as they are then.
    fn review(&mut self, state: &State, addr: &StepAddr, s: &StepState) {
        let Some(plan) = review::plan(state, addr, s) else { return };
        if self.reviewed.insert(addr.clone(), s.ticket) == Some(s.ticket) {
            return;
        }
        self.lines.extend(plan);
        self.gates.remove(addr);
        self.verdicts(state, addr, s);
        self.ways = review::Ways::default();
    }

    /// A plan that failed, also long after its review was opened; each review anew.
    fn no_plan(&mut self, addr: &StepAddr, s: &StepState) {
        match s.proposal_error.as_ref().filter(|_| s.status == Status::Confirming) {
            Some(why) if self.failed.insert(addr.clone(), why.clone()).as_ref() != Some(why) => {
                say!(self, "  cannot be released: {why}");
            }
            Some(_) => {}
            None => drop(self.failed.remove(addr)),
        }
    }

    /// What its probe saw; each look that sees something else.
    fn probe(&mut self, addr: &StepAddr, s: &StepState) {
        let Some((verdict, why)) = &s.probed else { return drop(self.probed.remove(addr)) };
        let seen = (*verdict, why.clone());
        if self.probed.insert(addr.clone(), seen.clone()) != Some(seen) {
            let verdict = match verdict {
                Probed::Done => "it is done (accept goes on from there)",
                Probed::Partly => "it is partly done",
                Probed::NotDone => "it is not done",
                Probed::Running => "it is still under way",
                Probed::Unknown => "it is not known whether it is done",
            };
            say!(self, "  probe: {verdict}: {why}");
        }
    }

    fn verdicts(&mut self, state: &State, addr: &StepAddr, s: &StepState) {
        let marked = |g: &GateJudged| (g.gate.clone(), s.mark(&g.gate).unwrap_or_default());
        let now: Vec<_> = s.gates.iter().map(marked).collect();
        let resolving = s.status == Status::Confirming
            && self.reviewed.get(addr) != Some(&s.ticket)
            && s.proposal_error.is_none();
        // A review that is being resolved prints them with its plan.
        if now.is_empty() || resolving || self.gates.get(addr) == Some(&now) {
            return;
        }
        // Named with its mark, an override can only be of the failure that was read here.
        let mark = |(g, (_, mark)): (&GateJudged, &(String, String))| match g.judged.verdict {
            Verdict::Pass => String::new(),
            _ => format!("#{mark}"),
        };
        let marks: Vec<String> = s.gates.iter().zip(&now).map(mark).collect();
        self.lines.extend(review::gates(state, s, &marks));
        self.gates.insert(addr.clone(), now);
    }

    /// What came behind the line that was printed last; all that is kept, where that is kept no more.
    fn output(&mut self, state: &State) {
        let last = self.output.as_ref();
        let from = state.output.iter().rposition(|l| Some(l) == last).map_or(0, |at| at + 1);
        for line in state.output.iter().skip(from) {
            say!(self, "  | {}", line.text);
        }
        self.output = state.output.back().cloned().or(self.output.take());
    }

    pub(super) fn status(&mut self, state: &State) {
        match state.current() {
            Some(addr) => {
                self.moved(state, &addr);
                self.reviewed.remove(&addr);
                self.soaks = Soaks::default();
                state.steps.get(&addr).into_iter().for_each(|s| self.review(state, &addr, s));
            }
            None => say!(self, "between steps"),
        }
        for v in &state.world.raft.voters {
            let told = |known, figure: i64| if known { figure.to_string() } else { "?".into() };
            let applied = told(v.leader_answer == Answer::Answers, v.applied);
            let behind = told(state.world.raft.knows_index(v), v.behind);
            say!(self, "  {} {} applied {applied} behind {behind}", v.name, v.verdict);
        }
    }
}

#[cfg(test)]
mod tests;
