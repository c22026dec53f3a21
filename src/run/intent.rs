//! What someone asks, what then has to be done, and how a request is turned down.

use crate::event::{EffectId, Lease, Outcome, Probed, Proposal, Slot, StepAddr, Stream};
use crate::runbook::model::Call;
use crate::world::{Change, Reading};
use serde_json::Value;

/// A question to the world whose answer carries the run on. Asked again and again while
/// it stands; an answer counts only while its ticket is the step's current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// What comes next: a phase's set, an item, a step's `when`.
    Advance,
    /// Gates of the step whose turn it is.
    Gates(StepAddr),
    /// Its verify.
    Verify(StepAddr),
    /// Its soak's watched checks.
    Soak(StepAddr),
    /// Whether a step in doubt was done: asked of its probes, as [`Effect::Probe`].
    Doubt(StepAddr),
}

/// Why an action is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be shown in a review.
    Review,
    /// To be compared with what was released, right before the effect.
    Execute,
}

/// What someone asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// Open the review of a step.
    Review { step: StepAddr },
    /// Leave it.
    CloseReview { step: StepAddr },
    /// Release exactly this proposal; `typed` is what was typed to confirm.
    Release { step: StepAddr, digest: String, typed: String },
    /// Let a gate that does not pass be, as it was read: `seen` is the mark
    /// ([`crate::run::StepState::mark`]) of what the gate said when its person looked.
    Override { step: StepAddr, gate: String, seen: String, reason: String },
    /// Somebody who is asked says go, or why not.
    Poll { step: StepAddr, who: String, go: bool, reason: String },
    /// Show the command; it will be run elsewhere.
    Show { step: StepAddr },
    /// It was done elsewhere.
    Claim { step: StepAddr },
    /// It was not.
    Unclaim { step: StepAddr },
    /// Leave the step out.
    Skip { step: StepAddr, reason: String },
    /// Try it again.
    Retry { step: StepAddr },
    /// A step in doubt counts as done where its probe says so; its verify still runs.
    Accept { step: StepAddr },
    /// Answer a `choose` step.
    Choose { step: StepAddr, branch: String },
    /// End a soak early.
    EndSoak { step: StepAddr, reason: String },
    /// Hold the line.
    HoldLine { reason: String },
    /// Let it go.
    FreeLine,
    /// Another change window, from now on; why, where there is one already.
    SetWindow { window: Slot, reason: String },
    /// Go back by a section of the runbook, or by undoing what was done.
    GoBack { section: String, reason: String },
    /// Leave the way back in hand, in which nothing was done yet.
    LeaveBack { reason: String },
    /// Take the cluster's lease over from whoever holds it.
    TakeLease { reason: String },
    /// Go by another text of the runbook from now on.
    Redline { runbook: String, reason: String },
    /// Give the run up.
    Abort { reason: String },
    /// Take the run up again in another process: asked once, before anything else.
    Resume {
        /// What of a torn tail was set aside: how many bytes, and where they lie now.
        recovered: Option<(u64, String)>,
        /// What stood behind the last entry cannot be read, and may have been durable: something may
        /// have followed from it.
        lost: bool,
        /// Holdpoint's.
        version: String,
    },
    /// Go on in another segment of the journal, which begins with what the run is now: asked
    /// once, before anything else there.
    GoOn,

    /// Time passed.
    Tick,
    /// The process was stopped and goes on.
    Continued,
    /// The clock is before the last entry.
    ClockSetBack,
    /// Whoever keeps the lease has news.
    Leased { news: Lease },
    /// An observer has news.
    Observed { change: Box<Change> },
    /// The answer to a [`Look`].
    Looked { look: Look, ticket: u64, changes: Vec<Change> },
    /// The answer to [`Effect::Prepare`].
    Prepared {
        step: StepAddr,
        ticket: u64,
        purpose: Purpose,
        /// Fresh reads for the gates.
        changes: Vec<Change>,
        /// The action resolved, or why not; `None` for a step without one.
        proposal: Option<Result<Box<Proposal>, String>>,
    },
    /// Output of a running effect.
    Output { effect: EffectId, stream: Stream, text: String },
    /// An effect ended.
    EffectEnded { effect: EffectId, outcome: Outcome, result: Value },
    /// The answer to [`Effect::Probe`]: what the action's own probe says, and fresh reads for
    /// the runbook's; `result` stands in for the action's own when it was done elsewhere.
    Probed {
        step: StepAddr,
        ticket: u64,
        verdict: Probed,
        why: String,
        result: Value,
        changes: Vec<Change>,
    },
}

/// Work that follows from an event, as data.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Read afresh what the gates name, and resolve the action.
    Prepare {
        step: StepAddr,
        ticket: u64,
        purpose: Purpose,
        call: Option<Call<String>>,
        reading: Reading,
    },
    /// Do it. Only ever follows from a durable `EffectStarted`.
    Execute { step: StepAddr, effect: EffectId, proposal: Box<Proposal> },
    /// End it, if it still runs: a guard was breached. Its result says how far it came.
    Stop { effect: EffectId, why: String },
    /// Look whether it was done: by the action's own probe, where there is an action, and by
    /// what the runbook's names.
    Probe { step: StepAddr, ticket: u64, proposal: Option<Box<Proposal>>, reading: Reading },
    /// Look at the lease now, and renew it where it is ours.
    AskLease,
    /// Take it over, if it is still theirs.
    TakeLease { from: String },
}

/// Why something may not be, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Refusal {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Intent {
    /// In a few words, for a journalled refusal. No typed text: it may be anything.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Review { step } => format!("review {step}"),
            Self::CloseReview { step } => format!("close the review of {step}"),
            Self::Release { step, .. } => format!("release {step}"),
            Self::Override { step, gate, .. } => format!("override {gate} of {step}"),
            Self::Poll { step, who, .. } => format!("write down what {who} says of {step}"),
            Self::Show { step } => format!("show {step}"),
            Self::Claim { step } => format!("claim {step} done"),
            Self::Unclaim { step } => format!("take back the claim of {step}"),
            Self::Skip { step, .. } => format!("skip {step}"),
            Self::Retry { step } => format!("retry {step}"),
            Self::Accept { step } => format!("accept {step}"),
            Self::Choose { step, branch } => format!("choose {branch} in {step}"),
            Self::EndSoak { step, .. } => format!("end the soak {step} early"),
            Self::HoldLine { .. } => "hold the line".into(),
            Self::FreeLine => "free the line".into(),
            Self::SetWindow { window, .. } => format!("set the window to {window}"),
            Self::GoBack { section, .. } => format!("go back by {section}"),
            Self::LeaveBack { .. } => "leave the way back".into(),
            Self::TakeLease { .. } => "take the lease over".into(),
            Self::Redline { .. } => "accept the changed runbook".into(),
            Self::Abort { .. } => "abort the run".into(),
            Self::Resume { .. } => "resume the run".into(),
            Self::GoOn => "go on in another directory".into(),
            Self::Tick => "tick".into(),
            Self::Continued => "going on".into(),
            Self::ClockSetBack => "the clock".into(),
            Self::Leased { .. } => "news of the lease".into(),
            Self::Observed { .. } => "observation".into(),
            Self::Looked { .. } => "reading".into(),
            Self::Prepared { .. } => "proposal".into(),
            Self::Output { .. } => "output".into(),
            Self::EffectEnded { .. } => "result".into(),
            Self::Probed { .. } => "probe".into(),
        }
    }
}
