//! All that a run is, written down: what a later segment of its journal begins with, since the
//! earlier one may lie where nobody can read it.

use crate::event::{Actor, EffectId, Entry, Judged, Lease, Slot, StepAddr, Time};
use crate::run::apply::ApplyError;
use crate::run::state::{Back, GuardState, OutputLine, PhaseState, State};
use crate::run::step::StepState;
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The state but for what the header has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    opened: Time,
    window: Option<Slot>,
    phases: Vec<PhaseState>,
    back: Vec<Back>,
    offers: BTreeMap<String, Judged>,
    steps: Vec<(StepAddr, StepState)>,
    evidence: BTreeMap<String, Value>,
    captured: BTreeMap<String, (StepAddr, u32)>,
    lost: BTreeMap<String, String>,
    choice: BTreeMap<String, String>,
    world: World,
    guards: BTreeMap<String, GuardState>,
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
        opened,
        window,
        seq: _,
        at: _,
        phases,
        back,
        offers,
        steps,
        evidence,
        captured,
        lost,
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
        opened,
        window,
        phases,
        back,
        offers,
        steps,
        evidence,
        captured,
        lost,
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
    // Behind those of the runbook, the ways back that were begun.
    let (own, back) = frame.phases.split_at(state.phases.len().min(frame.phases.len()));
    let section = |p: &PhaseState| state.runbook.ways_back().any(|way| way.id == p.id);
    if !own.iter().map(|p| &p.id).eq(state.phases.iter().map(|p| &p.id))
        || !back.iter().all(section)
    {
        return Err(wrong("its phases are not the runbook's"));
    }
    if let Some((addr, _)) = frame.steps.iter().find(|(addr, _)| state.step(addr).is_none()) {
        return Err(wrong(&format!("the runbook has no step {addr}")));
    }
    let anew = |(addr, s): (StepAddr, StepState)| {
        // Entries are counted anew: a question of before must not be taken for one of now.
        (addr, Arc::new(StepState { ticket: entry.seq, ..s }))
    };
    *state = State {
        header: Arc::clone(&state.header),
        runbook: Arc::clone(&state.runbook),
        opened: frame.opened,
        window: frame.window,
        seq: entry.seq,
        at: entry.at,
        phases: frame.phases,
        back: frame.back,
        offers: frame.offers,
        steps: Arc::new(frame.steps.into_iter().map(anew).collect()),
        evidence: frame.evidence,
        captured: frame.captured,
        lost: frame.lost,
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
