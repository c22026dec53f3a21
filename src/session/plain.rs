//! The line-oriented interface: the same life-cycle for pipes, screen readers and CI.

use crate::event::{Actor, StepAddr, Verdict};
use crate::run::{Intent, State, Status};
use crate::runbook::model::{Does, Hold};
use crate::session::answers::{Answers, find};
use crate::session::engine::Handle;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::Instant;

/// An unattended run waits this long for a step whose gates do not pass.
const PATIENCE: Duration = Duration::from_secs(300);

const HELP: &str = "commands: review · release [TEXT] · show · claim · unclaim · close · retry · accept · \
skip REASON · override GATE REASON · choose BRANCH · end-soak REASON · hold REASON · free · abort REASON · \
status · quit";

/// Runs to the end, or until input ends. True if the change was done.
pub async fn plain(handle: &Handle, actor: &Actor, answers: Option<&Answers>) -> bool {
    let mut printer = Printer::default();
    let mut live = handle.live.clone();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut unattended = answers.map(|a| Unattended { answers: a, since: None, asked: None });
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    loop {
        let now = live.borrow_and_update().clone();
        printer.print(&now.state);
        if let Some(done) = now.state.ended {
            return done;
        }
        if let Some(why) = now.show_only {
            println!("SHOW-ONLY: the journal cannot be written: {why}");
            println!(
                "nothing is executed any more; make room, then start again with --state on another disk"
            );
            return false;
        }
        if let Some(unattended) = &mut unattended {
            match unattended.step(handle, actor, &now.state).await {
                Go::On => {}
                Go::Stop(why) => {
                    println!("STOPPED: {why}");
                    return false;
                }
            }
            tokio::select! {
                _ = live.changed() => {}
                _ = beat.tick() => {}
            }
            continue;
        }
        tokio::select! {
            changed = live.changed() => if changed.is_err() { return false; },
            line = lines.next_line() => match line {
                Ok(Some(line)) => match command(&now.state, line.trim()) {
                    Typed::Intent(intent) => {
                        if let Err(why) = handle.ask(actor, *intent).await {
                            println!("REFUSED: {why}");
                        }
                    }
                    Typed::Status => printer.status(&now.state),
                    Typed::Say(text) => println!("{text}"),
                    Typed::Quit => {
                        println!("left; the run stays open in its journal");
                        return false;
                    }
                },
                _ => {
                    println!("input ended; the run stays open in its journal");
                    return false;
                }
            },
        }
    }
}

enum Typed {
    Intent(Box<Intent>),
    Status,
    Say(String),
    Quit,
}

fn command(state: &State, line: &str) -> Typed {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim().to_owned();
    let whole = |intent| Typed::Intent(Box::new(intent));
    match word {
        "" | "help" | "?" => return Typed::Say(HELP.into()),
        "status" => return Typed::Status,
        "quit" | "q" => return Typed::Quit,
        "hold" => return whole(Intent::HoldLine { reason: rest }),
        "free" => return whole(Intent::FreeLine),
        "abort" => return whole(Intent::Abort { reason: rest }),
        _ => {}
    }
    let Some(step) = state.current() else {
        return Typed::Say("no step's turn has come yet".into());
    };
    whole(match word {
        "review" => Intent::Review { step },
        "close" => Intent::CloseReview { step },
        "release" => {
            let digest =
                state.steps.get(&step).and_then(|s| s.proposal.as_ref()).map(|(_, d)| d.clone());
            Intent::Release { step, digest: digest.unwrap_or_default(), typed: rest }
        }
        "show" => Intent::Show { step },
        "claim" => Intent::Claim { step },
        "unclaim" => Intent::Unclaim { step },
        "retry" => Intent::Retry { step },
        "accept" => Intent::Accept { step },
        "skip" => Intent::Skip { step, reason: rest },
        "choose" => Intent::Choose { step, branch: rest },
        "end-soak" => Intent::EndSoak { step, reason: rest },
        "override" => {
            let (gate, reason) = rest.split_once(' ').unwrap_or((rest.as_str(), ""));
            Intent::Override { step, gate: gate.into(), reason: reason.into() }
        }
        other => return Typed::Say(format!("`{other}` is no command; {HELP}")),
    })
}

enum Go {
    On,
    Stop(String),
}

struct Unattended<'a> {
    answers: &'a Answers,
    since: Option<(StepAddr, Status, Instant)>,
    asked: Option<(StepAddr, u64)>,
}

impl Unattended<'_> {
    async fn step(&mut self, handle: &Handle, actor: &Actor, state: &State) -> Go {
        let Some(addr) = state.current() else { return Go::On };
        let (Some(step), Some(s)) = (state.step(&addr), state.steps.get(&addr)) else {
            return Go::On;
        };
        let waited = self.waited(&addr, s.status);
        let person = matches!(step.hold, Hold::Release | Hold::TwoPerson);
        match (s.status, &step.does) {
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
            (Status::Ready, _) if person => match find(&self.answers.release, &addr) {
                Some(_) => {
                    self.ask(handle, actor, &addr, s.ticket, Intent::Review { step: addr.clone() })
                        .await
                }
                None => {
                    Go::Stop(format!("{addr} waits for a release that the answers do not name"))
                }
            },
            (Status::Confirming, _) if person => {
                if let Some(why) = &s.proposal_error {
                    return Go::Stop(format!("{addr}: {why}"));
                }
                if s.gates_at.is_none()
                    || (matches!(step.does, Does::Action(_)) && s.proposal.is_none())
                    || !s.gates_pass()
                {
                    return self.patient(&addr, state, waited);
                }
                let typed = find(&self.answers.release, &addr).unwrap_or_default();
                let digest = s.proposal.as_ref().map(|(_, d)| d.clone()).unwrap_or_default();
                self.ask(
                    handle,
                    actor,
                    &addr,
                    s.ticket,
                    Intent::Release { step: addr.clone(), digest, typed },
                )
                .await
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

/// Prints what is new, a line each.
#[derive(Default)]
struct Printer {
    statuses: BTreeMap<StepAddr, (Status, u32)>,
    reviewed: BTreeMap<StepAddr, u64>,
    gates: BTreeMap<StepAddr, Vec<(String, Verdict)>>,
    guards: BTreeMap<String, bool>,
    outputs: u64,
    blocked: BTreeMap<String, String>,
    leader: String,
}

impl Printer {
    fn print(&mut self, state: &State) {
        self.world(state);
        for p in &state.phases {
            if let Some(why) = &p.blocked
                && self.blocked.insert(p.id.clone(), why.clone()).as_ref() != Some(why)
            {
                println!("phase {} cannot go on: {why}", p.id);
            }
        }
        for (addr, s) in &state.steps {
            let key = (s.status, s.attempt);
            if self.statuses.insert(addr.clone(), key) != Some(key) && s.status != Status::Pending {
                self.moved(state, addr);
            }
            if let Some((proposal, digest)) =
                s.proposal.as_ref().filter(|_| s.status == Status::Confirming)
                // Each review anew, also one that resolves to the same as before.
                && self.reviewed.insert(addr.clone(), s.ticket) != Some(s.ticket)
            {
                println!("  will {}", proposal.sentence);
                for t in &proposal.targets {
                    println!(
                        "    {} {} {} {}",
                        t.kind,
                        t.name,
                        t.uid.as_deref().unwrap_or("-"),
                        t.note
                    );
                }
                proposal.commands.iter().for_each(|c| println!("    $ {c}"));
                proposal.cautions.iter().for_each(|c| println!("    caution: {c}"));
                println!("    proposal {}", &digest[..digest.len().min(12)]);
                let typed = state.confirm_text(addr);
                let typed = if typed.is_empty() { String::new() } else { format!(" {typed}") };
                println!("  to release it: release{typed}");
            }
            self.verdicts(state, addr);
        }
        self.output(state);
    }

    fn world(&mut self, state: &State) {
        let raft = &state.world.raft;
        if raft.leader != self.leader {
            println!(
                "raft: leader is {}",
                if raft.leader.is_empty() { "nobody" } else { &raft.leader }
            );
            self.leader.clone_from(&raft.leader);
        }
        for (id, g) in &state.guards {
            if self.guards.insert(id.clone(), g.breached) != Some(g.breached)
                && (g.breached || self.guards.len() > 1)
            {
                let how = if g.breached { "BREACHED" } else { "holds" };
                println!("guard {id} {how}: {}", g.judged.why);
            }
        }
    }

    fn moved(&self, state: &State, addr: &StepAddr) {
        let Some(s) = state.steps.get(addr) else { return };
        println!("{addr}#{} {}: {}", s.attempt, s.status, state.title(addr));
        if let Some(why) = &s.why {
            println!("  {why}");
        }
        if !s.changed.is_empty() && s.status != Status::Released {
            println!("  nothing was done: between release and effect this changed");
            s.changed.iter().for_each(|line| println!("  changed: {line}"));
        }
        match (s.status, state.step(addr).map(|d| &d.does)) {
            (Status::Ready, Some(Does::Choose { question, branches })) => {
                let scope = state.scope(Some(addr), &state.world, &[], state.at);
                println!("  {}", question.render(&scope).unwrap_or_else(|_| question.text.clone()));
                branches.iter().for_each(|(id, title)| println!("    choose {id}: {title}"));
            }
            (
                Status::Ready | Status::Blocked | Status::Shown,
                Some(Does::Manual { instruction, .. }),
            ) => {
                let scope = state.scope(Some(addr), &state.world, &[], state.at);
                println!(
                    "  {}",
                    instruction.render(&scope).unwrap_or_else(|_| instruction.text.clone())
                );
            }
            _ => {}
        }
    }

    fn verdicts(&mut self, state: &State, addr: &StepAddr) {
        let Some(s) = state.steps.get(addr) else { return };
        let now: Vec<_> = s.gates.iter().map(|g| (g.gate.clone(), g.judged.verdict)).collect();
        if now.is_empty() || self.gates.get(addr) == Some(&now) {
            return;
        }
        for g in &s.gates {
            let why = if g.judged.why.is_empty() {
                String::new()
            } else {
                format!(" ({})", g.judged.why)
            };
            println!("  gate {} {}: {}{why}", g.gate, g.judged.verdict, g.says);
        }
        self.gates.insert(addr.clone(), now);
    }

    fn output(&mut self, state: &State) {
        for line in &state.output {
            let order = u64::try_from(line.at.0).unwrap_or(0);
            if order > self.outputs {
                println!("  | {}", line.text);
            }
        }
        let last = state.output.back().map_or(0, |l| u64::try_from(l.at.0).unwrap_or(0));
        self.outputs = self.outputs.max(last);
    }

    fn status(&self, state: &State) {
        match state.current() {
            Some(addr) => self.moved(state, &addr),
            None => println!("between steps"),
        }
        for v in &state.world.raft.voters {
            println!("  {} {} applied {} behind {}", v.name, v.verdict, v.applied, v.behind);
        }
    }
}
