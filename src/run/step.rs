//! What a step is at an entry.

use crate::event::{GateJudged, Judged, Probed, Proposal, Span, Time, Verdict, Way};
use crate::run::clock::observed;
use crate::run::life::Status;
use crate::run::poll::Said;
use crate::runbook::model::NEEDED;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A soak's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakState {
    /// Observed time, in milliseconds.
    pub observed_ms: u64,
    /// When it was last counted.
    pub last: Option<Time>,
    /// What broke last.
    pub broken: Option<String>,
    /// Why nobody knows how it is now; what was counted stands meanwhile.
    #[serde(default)]
    pub unseen: Option<String>,
}

/// How far a verify has settled. Only what was looked at counts, for it and against it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settling {
    /// Passes in a row.
    pub passes: u32,
    /// Observed time from the first of them to the last.
    pub passing: Span,
    /// Observed time from its beginning to its last look.
    pub looked: Span,
    /// When that was; when it began, before the first.
    pub last: Option<Time>,
}

impl Settling {
    /// With one look more.
    pub(crate) fn after(&self, verdict: Verdict, now: Time) -> Self {
        let gap = observed(self.last, now);
        let (passes, passing) = match (verdict, self.passes) {
            (Verdict::Pass, 0) => (1, Span(0)),
            (Verdict::Pass, n) => (n + 1, Span(self.passing.0 + gap.0)),
            _ => (0, Span(0)),
        };
        Self { passes, passing, looked: Span(self.looked.0 + gap.0), last: Some(now) }
    }
}

/// Why a person goes on although a gate does not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// In that person's words.
    pub reason: String,
    /// What the gate said then; it covers nothing else.
    pub verdict: Verdict,
    /// Why, without what moves by itself; it covers no other reason.
    pub failure: String,
}

/// A step.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Who was asked and what was said, in this attempt.
    #[serde(default)]
    pub polled: BTreeMap<String, Said>,
    /// The action, resolved, with its digest.
    pub proposal: Option<(Box<Proposal>, String)>,
    /// Why it could not be resolved.
    pub proposal_error: Option<String>,
    /// It could not once, in this attempt: only a person begins it then.
    #[serde(default)]
    pub unplanned: bool,
    /// What differed between release and effect; stays until the next release.
    pub changed: Vec<String>,
    /// Of that, that it would have acted on something else than what was released.
    pub other_objects: bool,
    /// The last pass of the verify.
    pub verify: Option<Judged>,
    /// How far it has settled.
    #[serde(default)]
    pub settling: Settling,
    /// How it is being done.
    pub way: Way,
    /// Why it failed, is in doubt, was skipped or cannot begin.
    pub why: Option<String>,
    /// What the probe said.
    pub probed: Option<(Probed, String)>,
    /// An attempt before this one that may or may not have been done: which, and what is known.
    pub doubt: Option<(u32, String)>,
    /// It was done, or may have been, in this attempt or an earlier one.
    #[serde(default)]
    pub acted: bool,
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
            polled: BTreeMap::new(),
            proposal: None,
            proposal_error: None,
            unplanned: false,
            changed: Vec::new(),
            other_objects: false,
            verify: None,
            settling: Settling::default(),
            way: Way::Ran,
            why: None,
            probed: None,
            doubt: None,
            acted: false,
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

    /// What it is there for is so already: whether it is needed may be asked again.
    #[must_use]
    pub fn is_done_already(&self) -> bool {
        self.gates.iter().any(Self::says_done)
    }

    /// A gate says so.
    pub(crate) fn says_done(gate: &GateJudged) -> bool {
        gate.gate == NEEDED && gate.judged.verdict == Verdict::Fail
    }

    /// Every gate passes or is overridden.
    #[must_use]
    pub fn gates_pass(&self) -> bool {
        crate::run::gates::all_pass(&self.gates, &self.overrides)
    }
}
