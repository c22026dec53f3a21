//! What a run is at an entry: the fold of everything before it.

use crate::event::{
    Actor, EffectId, GateJudged, Header, Judged, Probed, Proposal, StepAddr, Stream, Time, Verdict,
    Way,
};
use crate::run::life::Status;
use crate::runbook::Scope;
use crate::runbook::model::{Phase, Runbook, Step};
use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Lines of output that the state keeps; all of it is in the journal.
pub(crate) const OUTPUT_LINES: usize = 500;

/// The whole of a run. Only `apply` changes it.
#[derive(Debug, Clone)]
pub struct State {
    /// Seq 0.
    pub header: Arc<Header>,
    /// The compiled runbook, from the header's text.
    pub runbook: Arc<Runbook>,
    /// When the run was opened: its window counts from here.
    pub opened: Time,
    /// Seq of the last entry folded in.
    pub seq: u64,
    /// Its time.
    pub at: Time,
    /// One for each phase of the runbook, in order.
    pub phases: Vec<PhaseState>,
    /// Steps whose phase (and item) has begun. Shared: the state is published after every fold.
    pub steps: BTreeMap<StepAddr, Arc<StepState>>,
    /// Captured values.
    pub evidence: BTreeMap<String, Value>,
    /// Which step captured each, in which attempt.
    pub captured: BTreeMap<String, (StepAddr, u32)>,
    /// Values that a step was to capture and did not, and why: nothing is judged on them.
    pub lost: BTreeMap<String, String>,
    /// Answers of `choose` steps.
    pub choice: BTreeMap<String, String>,
    /// What the panes show.
    pub world: World,
    /// Guards by id.
    pub guards: BTreeMap<String, GuardState>,
    /// Why, and who holds the line.
    pub line_held: Option<(String, Actor)>,
    /// The effect that runs.
    pub running: Option<(EffectId, StepAddr)>,
    /// Number of the next effect.
    pub next_effect: u64,
    /// The last lines of output.
    pub output: VecDeque<OutputLine>,
    /// The last refusal: what was asked, why not.
    pub refused: Option<(String, String, Time)>,
    /// Why it was given up.
    pub aborted: Option<String>,
    /// Closed: whether it was done.
    pub ended: Option<bool>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Whose.
    pub effect: EffectId,
    /// Which stream.
    pub stream: Stream,
    /// The text, neutralised where it entered.
    pub text: String,
    /// When.
    pub at: Time,
}

/// Where a phase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseStatus {
    /// Not begun.
    Waiting,
    /// Its steps are walked.
    Open,
    /// Nothing left.
    Done,
}

/// A phase.
#[derive(Debug, Clone)]
pub struct PhaseState {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub status: PhaseStatus,
    /// Items in the order of their turns, then those that wait; empty without `each`.
    pub items: Vec<ItemState>,
    /// Why it cannot go on.
    pub blocked: Option<String>,
    /// When it began.
    pub began: Option<Time>,
    /// When it was done.
    pub ended: Option<Time>,
}

/// One item of a phase's `each`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemState {
    /// Its value.
    pub name: String,
    /// When its turn began.
    pub began: Option<Time>,
    /// When its turn ended.
    pub ended: Option<Time>,
}

/// A guard.
#[derive(Debug, Clone)]
pub struct GuardState {
    /// The last verdict that was journalled.
    pub judged: Judged,
    /// Since when it has had that verdict.
    pub since: Time,
    /// It counts as breached.
    pub breached: bool,
}

/// A soak's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoakState {
    /// Observed time, in milliseconds.
    pub observed_ms: u64,
    /// When it was last counted.
    pub last: Option<Time>,
    /// What broke last.
    pub broken: Option<String>,
}

/// Why a person goes on although a gate does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// In that person's words.
    pub reason: String,
    /// What the gate said then; it covers nothing else.
    pub verdict: Verdict,
    /// Why, without what moves by itself; it covers no other reason.
    pub failure: String,
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepState {
    /// Where it is in its life.
    pub status: Status,
    /// Counts from 1.
    pub attempt: u32,
    /// Seq of the entry that last changed the status: the ticket of its questions.
    pub ticket: u64,
    /// Gates and guards as last judged.
    pub gates: Vec<GateJudged>,
    /// When they were.
    pub gates_at: Option<Time>,
    /// Overridden gates, in this review.
    pub overrides: BTreeMap<String, Override>,
    /// The action, resolved, with its digest.
    pub proposal: Option<(Box<Proposal>, String)>,
    /// Why it could not be resolved.
    pub proposal_error: Option<String>,
    /// What differed between release and effect; stays until the next release.
    pub changed: Vec<String>,
    /// Of that, that it would have acted on something else than what was released.
    pub other_objects: bool,
    /// The last pass of the verify.
    pub verify: Option<Judged>,
    /// Passes in a row, and since when.
    pub streak: (u32, Option<Time>),
    /// Since when it is verified.
    pub verifying_since: Option<Time>,
    /// How it is being done.
    pub way: Way,
    /// Why it failed, is in doubt, was skipped or cannot begin.
    pub why: Option<String>,
    /// What the probe said.
    pub probed: Option<(Probed, String)>,
    /// An attempt before this one that may or may not have been done: which, and what is known.
    pub doubt: Option<(u32, String)>,
    /// What the action returned.
    pub result: Option<Value>,
    /// Its soak.
    pub soak: SoakState,
    /// When its turn came.
    pub began: Option<Time>,
    /// When it was over.
    pub ended: Option<Time>,
}

impl StepState {
    pub(crate) fn new() -> Self {
        Self {
            status: Status::Pending,
            attempt: 1,
            ticket: 0,
            gates: Vec::new(),
            gates_at: None,
            overrides: BTreeMap::new(),
            proposal: None,
            proposal_error: None,
            changed: Vec::new(),
            other_objects: false,
            verify: None,
            streak: (0, None),
            verifying_since: None,
            way: Way::Ran,
            why: None,
            probed: None,
            doubt: None,
            result: None,
            soak: SoakState::default(),
            began: None,
            ended: None,
        }
    }

    /// Why a gate that does not pass is overridden as it stands now, if it is.
    #[must_use]
    pub fn overridden(&self, gate: &GateJudged) -> Option<&str> {
        crate::run::gates::covered(gate, &self.overrides).map(|o| o.reason.as_str())
    }

    /// A gate neither passes nor is overridden.
    #[must_use]
    pub fn lacks(&self, gate: &GateJudged) -> bool {
        crate::run::gates::lacks(gate, &self.overrides)
    }

    /// Every gate passes or is overridden.
    #[must_use]
    pub fn gates_pass(&self) -> bool {
        crate::run::gates::all_pass(&self.gates, &self.overrides)
    }
}

impl State {
    /// A run that has just been opened. The runbook is the header's, compiled.
    #[must_use]
    pub fn new(header: Header, runbook: Arc<Runbook>, at: Time) -> Self {
        let phases = runbook
            .phases
            .iter()
            .map(|p| PhaseState {
                id: p.id.clone(),
                status: PhaseStatus::Waiting,
                items: Vec::new(),
                blocked: None,
                began: None,
                ended: None,
            })
            .collect();
        Self {
            header: Arc::new(header),
            runbook,
            opened: at,
            seq: 0,
            at,
            phases,
            steps: BTreeMap::new(),
            evidence: BTreeMap::new(),
            captured: BTreeMap::new(),
            lost: BTreeMap::new(),
            choice: BTreeMap::new(),
            world: World::default(),
            guards: BTreeMap::new(),
            line_held: None,
            running: None,
            next_effect: 1,
            output: VecDeque::new(),
            refused: None,
            aborted: None,
            ended: None,
        }
    }

    /// The phase that is open, or the next one to open.
    #[must_use]
    pub fn phase(&self) -> Option<(&PhaseState, &Phase)> {
        let i = self.phases.iter().position(|p| p.status != PhaseStatus::Done)?;
        Some((&self.phases[i], &self.runbook.phases[i]))
    }

    /// The item whose turn it is in a phase.
    #[must_use]
    pub fn item<'a>(&self, phase: &'a PhaseState) -> Option<&'a ItemState> {
        phase.items.iter().find(|i| i.began.is_some() && i.ended.is_none())
    }

    /// Addresses of a phase's steps for its item, in order.
    #[must_use]
    pub fn addresses(phase: &Phase, item: Option<&str>) -> Vec<StepAddr> {
        let of = |s: &Step| StepAddr {
            phase: phase.id.clone(),
            item: item.map(str::to_owned),
            step: s.id.clone(),
        };
        phase.steps.iter().map(of).collect()
    }

    /// The step whose turn it is.
    #[must_use]
    pub fn current(&self) -> Option<StepAddr> {
        let (state, phase) = self.phase()?;
        if state.status != PhaseStatus::Open {
            return None;
        }
        let item = match &phase.each {
            Some(_) => Some(self.item(state)?.name.as_str()),
            None => None,
        };
        Self::addresses(phase, item)
            .into_iter()
            .find(|a| self.steps.get(a).is_some_and(|s| !s.status.is_over()))
    }

    /// A step's definition.
    #[must_use]
    pub fn step(&self, addr: &StepAddr) -> Option<&Step> {
        let phase = self.runbook.phases.iter().find(|p| p.id == addr.phase)?;
        phase.steps.iter().find(|s| s.id == addr.step)
    }

    /// What expressions of a step see, on `world`. `before` is its proposal's.
    #[must_use]
    pub fn scope<'a>(
        &'a self,
        addr: Option<&'a StepAddr>,
        world: &'a World,
        remaining: &'a [String],
        now: Time,
    ) -> Scope<'a> {
        let step = addr.and_then(|a| self.steps.get(a));
        Scope {
            world,
            now,
            params: &self.header.params,
            site: &self.header.site_values,
            evidence: &self.evidence,
            lost: &self.lost,
            choice: &self.choice,
            item: addr.and_then(|a| self.scope_item(a)),
            remaining,
            before: step.and_then(|s| s.proposal.as_ref()).map(|(p, _)| &p.before),
            result: step.and_then(|s| s.result.as_ref()),
        }
    }

    fn scope_item<'a>(&'a self, addr: &'a StepAddr) -> Option<(&'a str, &'a str, Time)> {
        let name = addr.item.as_deref()?;
        let i = self.runbook.phases.iter().position(|p| p.id == addr.phase)?;
        let var = self.runbook.phases[i].each.as_ref()?.var.as_str();
        let began = self.phases[i].items.iter().find(|i| i.name == name)?.began?;
        Some((var, name, began))
    }

    /// A step's title with its templates filled in; as written where that cannot be.
    #[must_use]
    pub fn title(&self, addr: &StepAddr) -> String {
        let Some(step) = self.step(addr) else { return addr.to_string() };
        let scope = self.scope(Some(addr), &self.world, &[], self.at);
        step.title.render(&scope).unwrap_or_else(|_| step.title.text.clone())
    }

    /// What is typed to release a step: its `confirm`, else the first object's name.
    /// Empty for a step that is released without typing: a reversible one.
    #[must_use]
    pub fn confirm_text(&self, addr: &StepAddr) -> String {
        use crate::runbook::model::Risk;
        let Some(step) = self.step(addr) else { return String::new() };
        if step.risk == Risk::Reversible {
            return String::new();
        }
        let scope = self.scope(Some(addr), &self.world, &[], self.at);
        let own = step.confirm.as_ref().and_then(|c| c.render(&scope).ok());
        let proposal = self.steps.get(addr).and_then(|s| s.proposal.as_ref());
        own.filter(|t| !t.is_empty())
            .or_else(|| proposal.and_then(|(p, _)| p.targets.first().map(|t| t.name.clone())))
            .unwrap_or_else(|| addr.step.clone())
    }

    /// Guards that count as breached.
    pub fn breached(&self) -> impl Iterator<Item = (&String, &GuardState)> {
        self.guards.iter().filter(|(_, g)| g.breached)
    }

    /// Steps that are over and all that are known, in the open or last phase.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.steps.values().filter(|s| s.status.is_over()).count(), self.steps.len())
    }
}
