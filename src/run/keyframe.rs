//! All that a run is, written down: what a later segment of its journal begins with, since the
//! earlier one may lie where nobody can read it.

use crate::event::{Actor, EffectId, Entry, Judged, Lease, Slot, StepAddr, Time};
use crate::run::apply::ApplyError;
use crate::run::redline::Redlined;
use crate::run::state::{Back, GuardState, OutputLine, PhaseState, State, step_of};
use crate::run::step::StepState;
use crate::runbook::{Kept, load};
use crate::world::{Shared, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The state but for what the header has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    /// The text that the run goes by, where it is not the header's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redlined: Option<Arc<Redlined>>,
    opened: Time,
    window: Option<Slot>,
    #[serde(default)]
    window_why: Option<(String, Actor)>,
    phases: Vec<PhaseState>,
    back: Vec<Back>,
    offers: Shared<BTreeMap<String, Judged>>,
    steps: Vec<(StepAddr, StepState)>,
    evidence: Shared<BTreeMap<String, Value>>,
    captured: Shared<BTreeMap<String, (StepAddr, u32)>>,
    lost: Shared<BTreeMap<String, String>>,
    #[serde(default)]
    kept: Shared<BTreeMap<String, Kept>>,
    #[serde(default)]
    again: Option<StepAddr>,
    choice: Shared<BTreeMap<String, String>>,
    world: World,
    guards: Shared<BTreeMap<String, GuardState>>,
    line_held: Option<(String, Actor)>,
    lease: Option<Lease>,
    running: Option<(EffectId, StepAddr)>,
    next_effect: u64,
    output: VecDeque<Arc<OutputLine>>,
    refused: Option<(String, String, Time)>,
    aborted: Option<String>,
}

/// What is written down of a state.
pub fn keyframe(state: &State) -> Result<Value, serde_json::Error> {
    // Each by its name: a field that is added has to be thought of here.
    let State {
        header: _,
        runbook: _,
        redlined,
        opened,
        window,
        window_why,
        seq: _,
        at: _,
        phases,
        back,
        offers,
        steps,
        evidence,
        captured,
        lost,
        kept,
        again,
        choice,
        world,
        guards,
        line_held,
        lease,
        running,
        next_effect,
        output,
        refused,
        moved: _,
        aborted,
        ended: _,
    } = state.clone();
    let steps = steps.iter().map(|(addr, s)| (addr.clone(), StepState::clone(s))).collect();
    serde_json::to_value(Frame {
        redlined,
        opened,
        window,
        window_why,
        phases,
        back,
        offers,
        steps,
        evidence,
        captured,
        lost,
        kept,
        again,
        choice,
        world,
        guards,
        line_held,
        lease,
        running,
        next_effect,
        output,
        refused,
        aborted,
    })
}

/// Takes up what was written down, at the beginning of a segment that continues another.
pub(super) fn restore(state: &mut State, entry: &Entry, kept: &Value) -> Result<(), ApplyError> {
    let wrong = |why: &str| ApplyError::Keyframe { seq: entry.seq, why: why.to_owned() };
    if entry.seq != 1 || state.header.continues.is_none() {
        return Err(wrong("it does not stand at the beginning of a later segment"));
    }
    let frame = Frame::deserialize(kept).map_err(|e| wrong(&e.to_string()))?;
    let runbook = match &frame.redlined {
        None => Arc::clone(&state.runbook),
        Some(redlined) => match load(&redlined.runbook) {
            Ok(loaded) => Arc::new(loaded.runbook),
            Err(_) => return Err(wrong("the runbook's text that it has cannot be used")),
        },
    };
    // Behind those of the runbook, the ways back that were begun.
    let (own, back) = frame.phases.split_at(runbook.phases.len().min(frame.phases.len()));
    let section = |p: &PhaseState| runbook.ways_back().any(|way| way.id == p.id);
    if !own.iter().map(|p| &p.id).eq(runbook.phases.iter().map(|p| &p.id))
        || !back.iter().all(section)
    {
        return Err(wrong("its phases are not the runbook's"));
    }
    if let Some((addr, _)) = frame.steps.iter().find(|(addr, _)| step_of(&runbook, addr).is_none())
    {
        return Err(wrong(&format!("the runbook has no step {addr}")));
    }
    let anew = |(addr, s): (StepAddr, StepState)| {
        // Entries are counted anew: a question of before must not be taken for one of now.
        (addr, Arc::new(StepState { ticket: entry.seq, ..s }))
    };
    *state = State {
        header: Arc::clone(&state.header),
        runbook,
        redlined: frame.redlined,
        opened: frame.opened,
        window: frame.window,
        window_why: frame.window_why,
        seq: entry.seq,
        at: entry.at,
        phases: frame.phases,
        back: frame.back,
        offers: frame.offers,
        steps: Arc::new(frame.steps.into_iter().map(anew).collect()),
        evidence: frame.evidence,
        captured: frame.captured,
        lost: frame.lost,
        kept: frame.kept,
        again: frame.again,
        choice: frame.choice,
        world: frame.world,
        guards: frame.guards,
        line_held: frame.line_held,
        lease: frame.lease,
        running: frame.running,
        next_effect: frame.next_effect,
        output: frame.output,
        refused: frame.refused,
        moved: None,
        aborted: frame.aborted,
        ended: None,
    };
    Ok(())
}
