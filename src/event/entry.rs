//! The closed set of events, and the journal's first line.

use crate::event::{
    Actor, EffectId, GateJudged, Judged, Lease, Proposal, Scheduled, Slot, StepAddr, Time,
};
use crate::world::Change;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the journal's format; a reader refuses any other.
pub const FORMAT: u32 = 1;

/// One entry of a run's stream. The journal adds the hash chain around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the stream; the header is 0, no gaps.
    pub seq: u64,
    /// When it was decided, by the host's clock: never before the last entry, but where this one says
    /// that the clock was set back.
    pub at: Time,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub event: Event,
}

/// Whether steps may run, or may only be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Steps can be shown and verified, nothing is executed.
    ReadOnly,
    /// Released steps run.
    Write,
}

/// Identities of the site at the start of the run, by the name of what they identify:
/// `kubernetes.kube-system-uid`, `vault.cluster-id`.
pub type Pins = BTreeMap<String, String>;

/// What a run is: everything a later reader needs to fold its stream without any file
/// beside the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// Id of the run, `<UTC>-<runbook>-<4 hex>`.
    pub run: String,
    /// The runbook's text as it was read, so that an edit of the file is seen.
    pub runbook: String,
    /// Where it was read from; for people only.
    pub runbook_path: String,
    /// Parameters after defaults.
    pub params: BTreeMap<String, Value>,
    /// Name of the site.
    pub site: String,
    /// How the site was named when the run was opened: a file, or a name of the
    /// configuration; empty where it was neither. That is where a later process looks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site_from: String,
    /// The change window that it was opened with, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Slot>,
    /// What comes by itself there, and that Kubernetes does not know of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<Scheduled>,
    /// What expressions see as `site`; no secrets.
    pub site_values: BTreeMap<String, Value>,
    /// What the site file names, so that one that names less later is seen.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub shows: BTreeSet<String>,
    /// Pinned identities.
    pub pins: Pins,
    /// Whether steps may run.
    pub mode: Mode,
    /// Version of Holdpoint that wrote it.
    pub version: String,
    /// Who opened it.
    pub opened_by: Actor,
    /// The run and entry that this one continues, for a later segment of one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continues>,
}

/// Where an earlier segment of the same run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continues {
    /// Its run id.
    pub run: String,
    /// Its last entry that is known to be durable; what came after it is in the keyframe.
    pub seq: u64,
    /// That entry's hash.
    pub hash: String,
    /// Its directory; nothing, where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "why")]
pub enum Outcome {
    /// The server or program said that it was done.
    Ok,
    /// It was refused or went wrong; nothing more happens by itself.
    Failed(String),
    /// No answer: it may or may not have happened. The step is in doubt.
    Unknown(String),
}

/// What a probe says of an effect, by looking at the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probed {
    /// Everything that was proposed is so.
    Done,
    /// Some of it is.
    Partly,
    /// None of it is.
    NotDone,
    /// What was started is still at it.
    Running,
    /// The world could not be looked at, or does not tell.
    Unknown,
}

/// Where a line of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output of a program.
    Out,
    /// Its standard error.
    Err,
    /// Holdpoint's own progress line.
    Note,
}

/// How a step came to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Holdpoint ran it.
    Ran,
    /// A person ran it elsewhere; Holdpoint verified it.
    Elsewhere,
}

/// Everything that can happen in a run. Steps are named by address.
///
/// Terminal for a step: `Verified`, `Skipped`, `NotNeeded`. Terminal for a run: `Ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// Seq 0, once.
    Opened { header: Box<Header> },
    /// A phase began; of an `each`, the set of items is frozen here.
    PhaseOpened { phase: String, items: Option<Vec<String>> },
    /// A phase cannot begin: its `each` gave no usable set.
    PhaseBlocked { phase: String, why: String },
    /// The next item of an `each`, chosen on live data.
    ItemChosen { phase: String, item: String },
    /// Nothing is left to do for an item.
    ItemDone { phase: String, item: String },
    /// Nothing is left to do in a phase.
    PhaseDone { phase: String },
    /// The step is the one whose turn it is; its `when` holds.
    StepOpened { step: StepAddr },
    /// Its `when` is false.
    NotNeeded { step: StepAddr, judged: Judged },
    /// Its `when` could not be evaluated; nothing is assumed.
    StepBlocked { step: StepAddr, why: String },
    /// Gates and guards were evaluated on fresh reads.
    GatesJudged { step: StepAddr, gates: Vec<GateJudged> },
    /// A review was opened: resolving and fresh gate reads begin.
    ReviewOpened { step: StepAddr },
    /// The action is resolved; a release is bound to this digest.
    Proposed { step: StepAddr, proposal: Box<Proposal>, digest: String },
    /// The action cannot be resolved: forbidden, absent object, wrong site.
    ProposalFailed { step: StepAddr, why: String },
    /// The person left the review without a release.
    ReviewClosed { step: StepAddr },
    /// A gate that does not pass is overridden, as it stands and for this review.
    Overridden { step: StepAddr, gate: String, reason: String },
    /// One who is asked before the step said go, or why not; the actor wrote it down.
    Polled { step: StepAddr, who: String, go: bool, reason: String },
    /// A person released exactly this digest. Gates and proposal are read once more.
    Released { step: StepAddr, digest: String },
    /// Back to the operator: between release and effect something changed. `material`: what
    /// the step acts on is not what was released; otherwise only gates or the line said no.
    Changed { step: StepAddr, why: Vec<String>, material: bool },
    /// Durable before the effect starts.
    EffectStarted { step: StepAddr, effect: EffectId, digest: String },
    /// Output of a running effect.
    Output { effect: EffectId, stream: Stream, text: String },
    /// The effect ended; `result` is what `capture` reads.
    EffectEnded { step: StepAddr, effect: EffectId, outcome: Outcome, result: Value },
    /// The command was shown to be run elsewhere.
    Shown { step: StepAddr, digest: String },
    /// The operator says it was done elsewhere; verifying begins.
    Claimed { step: StepAddr },
    /// The operator takes it back: it was not done elsewhere.
    Unclaimed { step: StepAddr },
    /// A step without an action of its own begins its verify.
    Checking { step: StepAddr },
    /// One pass of the verify.
    VerifyJudged { step: StepAddr, judged: Judged },
    /// The verify settled: the step is done.
    Verified { step: StepAddr, way: Way },
    /// The verify did not settle in time.
    VerifyFailed { step: StepAddr, why: String },
    /// The action's own probe looked at the world.
    Probed { step: StepAddr, verdict: Probed, why: String },
    /// A value was kept for later gates.
    Captured { name: String, value: Value, step: StepAddr },
    /// A failed or doubtful step is tried again: from its gates, or `anew`, from the question
    /// whether it is needed. So is one that was not needed, or is done, whatever this says.
    Retried {
        step: StepAddr,
        attempt: u32,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        anew: bool,
    },
    /// A person left the step out.
    Skipped { step: StepAddr, reason: String },
    /// A `choose` step was answered.
    Chosen { step: StepAddr, branch: String },
    /// A soak's clock starts, or starts again.
    SoakStarted { step: StepAddr },
    /// A watched check broke.
    SoakBroken { step: StepAddr, why: String },
    /// A watched check could not be judged: its clock stands until it can.
    SoakUnseen { step: StepAddr, why: String },
    /// Observed time so far, in milliseconds, journalled coarsely.
    SoakCounted { step: StepAddr, observed_ms: u64 },
    /// The soak is over; with a reason if it was ended early.
    SoakEnded { step: StepAddr, reason: Option<String> },
    /// Nothing new starts until it is let go: a person holds it, or a guard's breach does.
    LineHeld { reason: String },
    /// The line is let go, always by a person.
    LineFreed,
    /// A guard's verdict changed; not yet a breach.
    GuardJudged { guard: String, judged: Judged },
    /// A guard was false or inconclusive for longer than its debounce.
    GuardBreached { guard: String, judged: Judged },
    /// The effect that runs is ended, because of a breach: its step asks for that.
    Stopping { step: StepAddr, effect: EffectId, why: String },
    /// It holds again.
    GuardHolds { guard: String, judged: Judged },
    /// The world as the panes show it changed.
    Observed { change: Box<Change> },
    /// A person asked for something that may not be.
    Refused { asked: String, why: String },
    /// A torn tail was set aside when the run was taken up again.
    Recovered { dropped_bytes: u64, set_aside: String },
    /// The run was taken up again by another process, which has seen nothing yet.
    Resumed { version: String },
    /// The change window is this one from now on; why, where it takes the place of another one.
    WindowSet {
        window: Slot,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// What would start a section for going back holds: it is offered.
    Offered { section: String, judged: Judged },
    /// It does not hold any more.
    Withdrawn { section: String },
    /// Going back begins: the section's steps are walked, what was in hand waits.
    BackBegan { section: String, reason: String },
    /// Nothing is left to do in it, or it was left before anything was done, with the reason.
    /// `ends`: the run ends with it; else it goes on forward.
    BackDone { section: String, ends: bool, left: Option<String> },
    /// The process was stopped and goes on: it saw nothing meanwhile.
    Continued,
    /// The clock was set back: times run on from here, and lie before those of earlier entries.
    ClockSetBack {
        /// The last entry's time.
        before: Time,
    },
    /// Something was seen of the cluster's lease, or became of it.
    Lease { news: Lease },
    /// A person takes the lease over from whoever holds it.
    LeaseClaimed { from: String, reason: String },
    /// A person accepted another text of the runbook: from here on the run goes by it. `changes`
    /// says for people which of its parts are others.
    Redlined {
        runbook: String,
        changes: Vec<String>,
        /// The same, each with what it was and what it is.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        diff: Vec<String>,
        reason: String,
    },
    /// Seq 1 of a later segment: all that the run was when it moved, as `run` writes it.
    Keyframe { state: Box<Value> },
    /// The run goes on in another directory; what comes after is written there.
    Moved { to: String },
    /// In a journal of its own, behind the run's: something that was due after it was done.
    FollowedUp {
        id: String,
        reason: String,
        /// What its check saw, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        judged: Option<Judged>,
    },
    /// The run was given up.
    Aborted { reason: String },
    /// The journal's end record.
    Ended { done: bool },
}

impl Event {
    /// The step that it is about, if it is about one.
    #[must_use]
    pub fn step(&self) -> Option<&StepAddr> {
        use Event as E;
        match self {
            E::StepOpened { step }
            | E::NotNeeded { step, .. }
            | E::StepBlocked { step, .. }
            | E::GatesJudged { step, .. }
            | E::ReviewOpened { step }
            | E::Proposed { step, .. }
            | E::ProposalFailed { step, .. }
            | E::ReviewClosed { step }
            | E::Overridden { step, .. }
            | E::Polled { step, .. }
            | E::Released { step, .. }
            | E::Changed { step, .. }
            | E::EffectStarted { step, .. }
            | E::EffectEnded { step, .. }
            | E::Stopping { step, .. }
            | E::Shown { step, .. }
            | E::Claimed { step }
            | E::Unclaimed { step }
            | E::Checking { step }
            | E::VerifyJudged { step, .. }
            | E::Verified { step, .. }
            | E::VerifyFailed { step, .. }
            | E::Probed { step, .. }
            | E::Captured { step, .. }
            | E::Retried { step, .. }
            | E::Skipped { step, .. }
            | E::Chosen { step, .. }
            | E::SoakStarted { step }
            | E::SoakBroken { step, .. }
            | E::SoakUnseen { step, .. }
            | E::SoakCounted { step, .. }
            | E::SoakEnded { step, .. } => Some(step),
            E::Opened { .. }
            | E::PhaseOpened { .. }
            | E::PhaseBlocked { .. }
            | E::ItemChosen { .. }
            | E::ItemDone { .. }
            | E::PhaseDone { .. }
            | E::Output { .. }
            | E::LineHeld { .. }
            | E::LineFreed
            | E::GuardJudged { .. }
            | E::GuardBreached { .. }
            | E::GuardHolds { .. }
            | E::Observed { .. }
            | E::Refused { .. }
            | E::Recovered { .. }
            | E::Resumed { .. }
            | E::WindowSet { .. }
            | E::Offered { .. }
            | E::Withdrawn { .. }
            | E::BackBegan { .. }
            | E::BackDone { .. }
            | E::Continued
            | E::ClockSetBack { .. }
            | E::Lease { .. }
            | E::LeaseClaimed { .. }
            | E::Redlined { .. }
            | E::FollowedUp { .. }
            | E::Keyframe { .. }
            | E::Moved { .. }
            | E::Aborted { .. }
            | E::Ended { .. } => None,
        }
    }

    /// Whether it must be durable (fdatasync) before anything follows from it. Output,
    /// observations and judgements are batched: they decide nothing by themselves.
    #[must_use]
    pub fn must_be_durable(&self) -> bool {
        !matches!(
            self,
            Self::Observed { .. }
                | Self::Output { .. }
                | Self::GatesJudged { .. }
                | Self::VerifyJudged { .. }
                | Self::GuardJudged { .. }
                | Self::SoakCounted { .. }
                | Self::Lease { news: Lease::Renewed { .. } }
        )
    }
}
