//! What a run is at an entry: the fold of everything before it.

use crate::event::{Actor, EffectId, Header, Judged, Lease, Slot, Span, StepAddr, Stream, Time};
use crate::run::redline::Redlined;
use crate::run::step::StepState;
use crate::runbook::model::{Phase, Runbook, Step, UNDO};
use crate::runbook::{Kept, Scope};
use crate::world::{Shared, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Lines of output that the state keeps; all of it is in the journal.
pub(crate) const OUTPUT_LINES: usize = 500;
/// Bytes of such a line that it keeps.
pub(crate) const OUTPUT_LINE: usize = 4 << 10;

/// The whole of a run. Only `apply` changes it.
#[derive(Debug, Clone)]
pub struct State {
    /// Seq 0.
    pub header: Arc<Header>,
    /// The compiled runbook, from the text that the run goes by.
    pub runbook: Arc<Runbook>,
    /// What of the runbook is not as the header has it, since when and why.
    pub redlined: Option<Arc<Redlined>>,
    /// When the run was opened.
    pub opened: Time,
    /// The change window, if there is one.
    pub window: Option<Slot>,
    /// Why it took the place of an earlier one, and who set it so.
    pub window_why: Option<(String, Actor)>,
    /// Seq of the last entry folded in.
    pub seq: u64,
    /// Its time.
    pub at: Time,
    /// One for each phase of the runbook, in order; behind them the ways back that were begun.
    pub phases: Vec<PhaseState>,
    /// Ways back that are being walked; the last one is in hand.
    pub back: Vec<Back>,
    /// Ways back whose condition holds, and what it was judged on.
    pub offers: Shared<BTreeMap<String, Judged>>,
    /// Steps whose phase (and item) has begun. Shared: the state is published after every fold.
    pub steps: Arc<BTreeMap<StepAddr, Arc<StepState>>>,
    /// Captured values.
    pub evidence: Shared<BTreeMap<String, Value>>,
    /// Which step captured each, in which attempt.
    pub captured: Shared<BTreeMap<String, (StepAddr, u32)>>,
    /// Values that a step was to capture and did not, and why: nothing is judged on them.
    pub lost: Shared<BTreeMap<String, String>>,
    /// Until when evidence counts that does not count for ever.
    pub kept: Shared<BTreeMap<String, Kept>>,
    /// A step of what is over that is run again, since what it kept does not count any more. In hand
    /// until it is over.
    pub again: Option<StepAddr>,
    /// Answers of `choose` steps.
    pub choice: Shared<BTreeMap<String, String>>,
    /// What the panes show.
    pub world: World,
    /// Guards by id.
    pub guards: Shared<BTreeMap<String, GuardState>>,
    /// Why, and who holds the line.
    pub line_held: Option<(String, Actor)>,
    /// What is known of the cluster's lease; none before anything was.
    pub lease: Option<Lease>,
    /// The effect that runs.
    pub running: Option<(EffectId, StepAddr)>,
    /// Number of the next effect.
    pub next_effect: u64,
    /// The last lines of output.
    pub output: VecDeque<Arc<OutputLine>>,
    /// The last refusal: what was asked, why not.
    pub refused: Option<(String, String, Time)>,
    /// Where it goes on, if this is not its last segment.
    pub moved: Option<String>,
    /// Why it was given up.
    pub aborted: Option<String>,
    /// Closed: whether it was done.
    pub ended: Option<bool>,
}

/// A way back that is being walked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// Id of its section.
    pub section: String,
    /// Why it was begun.
    pub reason: String,
    /// By whom.
    pub by: Actor,
    /// What held the line when it began, and who.
    #[serde(default)]
    pub line: Option<(String, Actor)>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhaseStatus {
    /// Not begun.
    Waiting,
    /// Its steps are walked.
    Open,
    /// Nothing left.
    Done,
}

/// A phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

impl PhaseState {
    pub(crate) fn new(phase: &Phase) -> Self {
        Self {
            id: phase.id.clone(),
            status: PhaseStatus::Waiting,
            items: Vec::new(),
            blocked: None,
            began: None,
            ended: None,
        }
    }
}

/// One item of a phase's `each`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemState {
    /// Its value.
    pub name: String,
    /// When its turn began.
    pub began: Option<Time>,
    /// When its turn ended.
    pub ended: Option<Time>,
}

/// A guard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GuardState {
    /// The last verdict that was journalled.
    pub judged: Judged,
    /// Since when it has had that verdict.
    pub since: Time,
    /// Observed time in which it did not hold, up to when it was judged last; the debounce is
    /// about that.
    #[serde(default)]
    pub failing: Span,
    /// When it was judged last.
    #[serde(default)]
    pub seen: Time,
    /// It counts as breached.
    pub breached: bool,
}

/// The step that a step of [`UNDO`] undoes.
#[must_use]
pub fn undone_by(addr: &StepAddr) -> Option<StepAddr> {
    addr.item.as_ref().filter(|_| addr.phase == UNDO)?.parse().ok()
}

/// A step's definition in a runbook.
pub(crate) fn step_of<'a>(runbook: &'a Runbook, addr: &StepAddr) -> Option<&'a Step> {
    if let Some(of) = undone_by(addr) {
        return step_of(runbook, &of)?.undo_step();
    }
    runbook.section(&addr.phase)?.steps.iter().find(|s| s.id == addr.step)
}

impl State {
    /// A run that has just been opened. The runbook is the header's, compiled.
    #[must_use]
    pub fn new(header: Header, runbook: Arc<Runbook>, at: Time) -> Self {
        let phases = runbook.phases.iter().map(PhaseState::new).collect();
        Self {
            window: header.window,
            window_why: None,
            header: Arc::new(header),
            runbook,
            redlined: None,
            opened: at,
            seq: 0,
            at,
            phases,
            back: Vec::new(),
            offers: Shared::default(),
            steps: Arc::default(),
            evidence: Shared::default(),
            captured: Shared::default(),
            lost: Shared::default(),
            kept: Shared::default(),
            again: None,
            choice: Shared::default(),
            world: World::default(),
            guards: Shared::default(),
            line_held: None,
            lease: None,
            running: None,
            next_effect: 1,
            output: VecDeque::new(),
            refused: None,
            moved: None,
            aborted: None,
            ended: None,
        }
    }

    /// The phase that is open, or the next one to open; while a way back is walked, that one.
    #[must_use]
    pub fn phase(&self) -> Option<(&PhaseState, &Phase)> {
        let left = |p: &&PhaseState| p.status != PhaseStatus::Done;
        let state = match self.back.last() {
            Some(back) => self.phases.iter().find(|p| p.id == back.section).filter(left)?,
            None => self.phases.iter().take(self.runbook.phases.len()).find(left)?,
        };
        Some((state, self.runbook.section(&state.id)?))
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
        let open = |a: &&StepAddr| self.steps.get(a).is_some_and(|s| !s.status.is_over());
        if let Some(again) = self.again.as_ref().filter(open).filter(|_| !self.going_back()) {
            return Some(again.clone());
        }
        let (state, phase) = self.phase()?;
        if state.status != PhaseStatus::Open {
            return None;
        }
        let item = match &phase.each {
            Some(_) => Some(self.item(state)?.name.as_str()),
            None => None,
        };
        // Asked after every entry: one address for all looks.
        let (item, step) = (item.map(str::to_owned), String::new());
        let mut addr = StepAddr { phase: phase.id.clone(), item, step };
        for step in &phase.steps {
            addr.step.clone_from(&step.id);
            if open(&&addr) {
                return Some(addr);
            }
        }
        None
    }

    /// A step's definition.
    #[must_use]
    pub fn step(&self, addr: &StepAddr) -> Option<&Step> {
        step_of(&self.runbook, addr)
    }

    /// A step's state, to be changed: what was published of it stays as it was.
    pub(super) fn step_mut(&mut self, addr: &StepAddr) -> Option<&mut StepState> {
        Arc::make_mut(&mut self.steps).get_mut(addr).map(Arc::make_mut)
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
            kept: &self.kept,
            choice: &self.choice,
            item: addr.and_then(|a| self.scope_item(a)),
            remaining,
            before: step.and_then(|s| s.proposal.as_ref()).map(|(p, _)| &p.before),
            result: step.and_then(|s| s.result.as_ref()),
        }
    }

    /// What undoes a step is about that step's item.
    fn scope_item(&self, addr: &StepAddr) -> Option<(&str, &str, Time)> {
        if let Some(of) = undone_by(addr) {
            return self.scope_item(&of);
        }
        let name = addr.item.as_deref()?;
        let var = self.runbook.section(&addr.phase)?.each.as_ref()?.var.as_str();
        let phase = self.phases.iter().find(|p| p.id == addr.phase)?;
        let item = phase.items.iter().find(|i| i.name == name)?;
        Some((var, item.name.as_str(), item.began?))
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

    /// A way back is being walked.
    #[must_use]
    pub fn going_back(&self) -> bool {
        !self.back.is_empty()
    }

    /// Steps that are over and all that are known, in the open or last phase.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.steps.values().filter(|s| s.status.is_over()).count(), self.steps.len())
    }
}
