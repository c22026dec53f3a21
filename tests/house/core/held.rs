//! Nothing begins before its window, under a guard that does not hold, or while the line is held:
//! whatever is asked, seen and said in between, and however the clock jumps.

use crate::core::back::{go, ways};
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Purpose, Status, WINDOW};
use holdpoint::world::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000;
/// How long is soaked before each step that acts.
const SOAK: u64 = 20_000;
/// More than this counts as unseen, for soaks and whatever else counts what was looked at.
const GAP: u64 = 15_000;

/// With ways back, a soak before each step that acts, and a window.
fn runbook() -> String {
    let soak = "[[phase.step]]\nid = \"soak\"\ntitle = \"Soak\"\nsoak.for = \"20s\"\n\
                soak.watch = [{ that = 'raft.leader_answers', says = \"the leader answers\" }]\n\
                [[phase.step]]\nid = \"claims\"";
    let window = "[window]\nlength = \"90m\"\nbackout_reserve = \"1m\"\n[[guard]]";
    let text = ways().replacen("[[phase.step]]\nid = \"claims\"", soak, 1);
    text.replacen("[[guard]]", window, 1)
}

/// How the world is when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Well,
    Silent,
    NoPath,
}

impl Seen {
    fn of(n: u8) -> Self {
        [Self::Well, Self::Well, Self::Silent, Self::NoPath][usize::from(n % 4)]
    }

    fn changes(self, at: Time) -> Vec<Change> {
        let mut changes = well(at);
        let mut bad = raft("vault-2");
        bad.leader_answers = self == Self::Well;
        changes[0] = live(Source::Raft, at, Update::Raft(bad.into()));
        if self == Self::NoPath {
            let why = "no path".into();
            changes[0].status = holdpoint::world::Status::Unreachable { why };
        }
        changes
    }
}

/// What was so, told from the entries alone.
struct Told {
    window: Option<Slot>,
    held: bool,
    back: Vec<Way>,
    overridden: BTreeMap<StepAddr, Vec<String>>,
    soaked: (u64, Option<Time>),
    at: Time,
}

/// A way back that is being walked.
struct Way {
    section: String,
    /// The line was held when it began.
    held: bool,
    /// Something was done on it, or may have been.
    acted: bool,
}

/// How often what the properties are about came about.
#[derive(Debug, Default)]
struct Counts {
    effects: u32,
    breaches: u32,
    soaks: u32,
    set_back: u32,
    reopened: u32,
    refused: u32,
    left: u32,
}

impl Told {
    /// One entry more, that came of a look at a world like that.
    fn entry(&mut self, e: &Entry, seen: Seen, counts: &mut Counts) {
        let back = matches!(e.event, Event::ClockSetBack { .. });
        assert!(back || e.at >= self.at, "time runs back at {e:?}");
        self.at = e.at;
        self.soak(e);
        match &e.event {
            Event::ClockSetBack { .. } => counts.set_back += 1,
            Event::LineHeld { .. } => self.held = true,
            Event::LineFreed => self.held = false,
            Event::WindowSet { window, reason } => {
                assert!(self.window.is_none() || !reason.trim().is_empty(), "without a reason");
                assert!(e.actor.asked());
                (self.window, counts.reopened) = (Some(*window), counts.reopened + 1);
            }
            Event::BackBegan { section, .. } => {
                let held = std::mem::take(&mut self.held);
                self.back.push(Way { section: section.clone(), held, acted: false });
            }
            Event::BackDone { section, left, ends } => {
                let at = self.back.iter().position(|b| b.section == *section).unwrap();
                let way = self.back.remove(at);
                assert!(left.is_none() || !way.acted, "{section} was left, and something was done");
                counts.left += u32::from(left.is_some());
                self.held |= way.held && !ends;
            }
            Event::Shown { step, .. } | Event::Claimed { step, .. } => self.acted(step),
            Event::ReviewOpened { step } | Event::Changed { step, .. } => {
                self.overridden.remove(step);
            }
            Event::Overridden { step, gate, .. } => {
                self.overridden.entry(step.clone()).or_default().push(gate.clone());
            }
            Event::EffectStarted { step, .. } => {
                self.starts(step, e.at, seen, counts);
                self.acted(step);
            }
            Event::GuardBreached { .. } => counts.breaches += 1,
            Event::SoakEnded { reason: None, .. } => {
                assert!(self.soaked.0 >= SOAK, "{} ms were seen", self.soaked.0);
                counts.soaks += 1;
            }
            _ => {}
        }
    }

    fn acted(&mut self, step: &StepAddr) {
        self.back.iter_mut().filter(|b| b.section == step.phase).for_each(|b| b.acted = true);
    }

    fn starts(&self, step: &StepAddr, at: Time, seen: Seen, counts: &mut Counts) {
        assert!(!self.held, "{step} began while the line was held");
        counts.effects += 1;
        if !self.back.is_empty() {
            return;
        }
        let known = |gate: &str| {
            self.overridden.get(step).is_some_and(|gates| gates.iter().any(|g| g == gate))
        };
        let window = self.window.expect("a window");
        assert!(at >= window.start, "{step} began early");
        assert!(at < window.end || known(WINDOW), "{step} began late");
        assert!(seen == Seen::Well || known("guard:quorum"), "{step} began under a breach");
    }

    /// Only what was looked at counts.
    fn soak(&mut self, e: &Entry) {
        let (was, last) = self.soaked;
        match &e.event {
            Event::SoakStarted { .. } => self.soaked = (0, Some(e.at)),
            Event::SoakBroken { .. } | Event::SoakUnseen { .. } => self.soaked.1 = None,
            Event::SoakCounted { observed_ms, .. } => {
                let gap = last.map_or(0, |last| e.at.since(last).0).min(GAP);
                assert!(*observed_ms <= was + gap, "{was} and {gap} are not {observed_ms}");
                self.soaked = (*observed_ms, Some(e.at));
            }
            Event::Resumed { .. } | Event::ClockSetBack { .. } | Event::BackDone { .. } => {
                self.soaked.1 = last.map(|_| e.at);
            }
            _ => {}
        }
    }
}

/// What leads on towards an effect.
fn onwards(run: &mut Run, seen: Seen) {
    let changes = seen.changes(run.now);
    let Some(step) = run.state.current() else { return drop(run.look(changes)) };
    let s = run.state.steps[&step].clone();
    let outcome = Outcome::Failed("no".into());
    let purpose = match s.status {
        Status::Confirming if s.proposal.is_none() || s.gates_at.is_none() => Purpose::Review,
        Status::Released => Purpose::Execute,
        Status::Confirming => {
            let (digest, typed) = (s.proposal.clone().unwrap().1, run.state.confirm_text(&step));
            return drop(run.ask(&driver(), Intent::Release { step, digest, typed }));
        }
        Status::Failed | Status::InDoubt => {
            return drop(run.ask(&driver(), Intent::Retry { step }));
        }
        Status::Running if run.state.running.is_some() => {
            let effect = run.state.running.clone().unwrap().0;
            let ended = Intent::EffectEnded { effect, outcome, result: json!({}) };
            return drop(run.system(ended));
        }
        Status::Ready | Status::Blocked if step.step == "claims" || step.step == "undo" => {
            return drop(run.ask(&driver(), Intent::Review { step }));
        }
        _ => return drop(run.look(changes)),
    };
    let plan = proposal(&step.item.clone().unwrap_or_default(), "uid");
    let (ticket, proposal) = (s.ticket, Some(Ok(Box::new(plan))));
    run.system(Intent::Prepared { step, ticket, purpose, changes, proposal });
}

/// A person, a server or chance does the next thing.
fn next(run: &mut Run, (what, which): (u8, u8), seen: Seen, counts: &mut Counts) {
    let step = run.state.current();
    let asked = match (what, step) {
        (0..20, _) => return onwards(run, seen),
        (20..23, _) => return run.observe(seen.changes(run.now)),
        (23, _) => return drop(run.system(Intent::Tick)),
        (24, _) => return drop(run.look(seen.changes(run.now))),
        (25, _) => Intent::HoldLine { reason: "wait".into() },
        (26..30, _) => Intent::FreeLine,
        (30 | 31, _) => {
            let start = run.now + Span::secs([0, 0, 30, 600][usize::from(which)]);
            let end = start + Span::secs([7200, 5, 7200, 7200][usize::from(which)]);
            let reason = if which == 3 { "" } else { "agreed" }.into();
            Intent::SetWindow { window: Slot { start, end }, reason }
        }
        (32, Some(step)) => {
            let gate = [WINDOW, "guard:quorum", "healthy", WINDOW][usize::from(which)];
            run.overriding(&step, gate, "it is known")
        }
        (33, Some(step)) => Intent::CloseReview { step },
        (34, _) => Intent::Resume { recovered: None, lost: false, version: "0".into() },
        (35, _) if which == 0 => go("undo"),
        (35, _) if which == 1 => go("home"),
        (36, _) => Intent::LeaveBack { reason: "better now".into() },
        (37, Some(step)) if which == 0 => Intent::EndSoak { step, reason: "enough".into() },
        _ => return,
    };
    counts.refused += u32::from(run.ask(&driver(), asked).is_err());
}

/// Mostly a moment, now and then a sleep, or a clock that is set.
fn jump((how, ms): (u8, i64)) -> i64 {
    match how {
        0..30 => ms,
        30 => 20_000,
        31 => 20 * MINUTE,
        32 => -25 * MINUTE,
        33 => -3_000,
        _ => 0,
    }
}

#[test]
fn nothing_begins_early_under_a_breach_or_while_the_line_is_held() {
    let op = ((0_u8..38, 0_u8..4), 0_u8..12, (0_u8..40, 0_i64..3000));
    let scripts = prop::collection::vec(op, 40..160);
    let counts = RefCell::new(Counts::default());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    let tried = runner.run(&scripts, |script| {
        let mut counts = counts.borrow_mut();
        let mut run = Run::new(&runbook(), Mode::Write);
        run.observe(well(run.now));
        let mut told = Told {
            window: run.state.window,
            held: false,
            back: Vec::new(),
            overridden: BTreeMap::new(),
            soaked: (0, None),
            at: run.now,
        };
        let mut from = 0;
        for (what, world, time) in script {
            run.pass(jump(time));
            let seen = if world < 9 { Seen::Well } else { Seen::of(world) };
            next(&mut run, what, seen, &mut counts);
            run.entries[from..].iter().for_each(|e| told.entry(e, seen, &mut counts));
            assert_eq!(run.state.line_held.is_some(), told.held);
            // A breach is never without a held line: who frees it has seen it.
            let last = &run.entries[from..];
            let breached = last.iter().any(|e| matches!(e.event, Event::GuardBreached { .. }));
            assert!(!breached || told.held || !told.back.is_empty(), "a breach held nothing");
            let set_back = last.iter().any(|e| matches!(e.event, Event::ClockSetBack { .. }));
            let aside = |e: &Entry| matches!(e.event, Event::LineFreed | Event::BackBegan { .. });
            assert!(!set_back || told.held || last.iter().any(aside));
            from = run.entries.len();
        }
        let executes = run.effects.iter().filter(|e| matches!(e, Effect::Execute { .. })).count();
        let starts = |e: &&Entry| matches!(e.event, Event::EffectStarted { .. });
        assert_eq!(executes, run.entries.iter().filter(starts).count());
        let again = holdpoint::session::fold(&run.entries).unwrap();
        assert_eq!(format!("{:?}", again.steps), format!("{:?}", run.state.steps));
        assert_eq!(format!("{:?}", again.guards), format!("{:?}", run.state.guards));
        Ok(())
    });
    tried.unwrap();
    // It is about something.
    let counts = counts.into_inner();
    let Counts { effects, breaches, soaks, set_back, reopened, refused, left } = counts;
    let least = [effects, breaches, soaks, set_back, reopened, refused].into_iter().min();
    assert!(least >= Some(30) && left >= 5, "{counts:?}");
}
