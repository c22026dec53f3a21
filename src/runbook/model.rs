//! What a runbook means. Built by `parse`, never by hand outside tests.

use crate::event::Span;
use crate::runbook::{Capture, Expr, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Gate of a step that needs two people; no other one is called so.
pub const SECOND_PERSON: &str = "second-person";
/// Id of the gate of a step that does something and has a `when`.
pub const NEEDED: &str = "needed";
/// Gates that Holdpoint itself adds: no runbook's gate is called so.
pub const BUILT_IN: [&str; 6] = [SECOND_PERSON, "window", "lease", "poll", "scheduled", NEEDED];

/// A checked runbook.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// Stable name, `vault-raft-to-block`.
    pub id: String,
    /// For people.
    pub title: String,
    /// Who keeps it.
    pub owner: String,
    /// Systems that the site must provide: `kubernetes`, `vault`.
    pub needs: Vec<String>,
    /// Parameters by name.
    pub params: BTreeMap<String, Param>,
    /// Length and reserve of the change window, if the runbook has one.
    pub window: Option<Window>,
    /// CronJobs of which none may come in between while a step acts.
    pub quiet: Option<Expr>,
    /// Watched all through.
    pub guards: Vec<Guard>,
    /// In order.
    pub phases: Vec<Phase>,
    /// Sections for going back; walked on request.
    pub backouts: Vec<Backout>,
    /// The section in which steps are undone; which ones is known when it begins.
    pub undo: Phase,
    /// What outlives the run.
    pub followups: Vec<Followup>,
}

/// A parameter.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its type.
    pub kind: ParamKind,
    /// Value when none is given; without one it must be given.
    pub default: Option<Value>,
    /// What it is for.
    pub says: String,
}

/// Types of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// A span of time, `24h`.
    Duration,
}

/// The change window.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// From its start.
    pub length: Span,
    /// Kept for going back.
    pub backout_reserve: Span,
}

/// An invariant watched during the whole run.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Id, unique among guards.
    pub id: String,
    /// Must be true.
    pub that: Expr,
    /// For people.
    pub says: String,
    /// How long it must be untrue before it counts as a breach.
    pub debounce: Span,
}

/// A phase.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Id, unique in the runbook.
    pub id: String,
    /// For people.
    pub title: String,
    /// Walked once for each item.
    pub each: Option<Each>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// A phase's items.
#[derive(Debug, Clone)]
pub struct Each {
    /// The name that the item has in expressions.
    pub var: String,
    /// The set; evaluated once, when the phase opens.
    pub of: Expr,
    /// Which is next, asked at each turn with `remaining`; the first one without it.
    pub next: Option<Expr>,
}

/// A step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Id, unique within the phase.
    pub id: String,
    /// For people.
    pub title: Template,
    /// Why it is done.
    pub why: Option<Template>,
    /// Whether it is needed at all.
    pub when: Option<Expr>,
    /// Who lets it begin.
    pub hold: Hold,
    /// What is at stake.
    pub risk: Risk,
    /// How long it takes.
    pub estimate: Option<Span>,
    /// What it does.
    pub does: Does,
    /// Who says go or no-go before it.
    pub poll: Option<Poll>,
    /// Checks before it; all must pass.
    pub gates: Vec<Gate>,
    /// Check after it.
    pub verify: Option<Verify>,
    /// Whether it was done, where nobody saw it end: decides where the action's own probe does
    /// not know or there is none; where they contradict each other, nothing is known.
    pub probe: Option<Expr>,
    /// What is typed to release it; default: the object's name.
    pub confirm: Option<Template>,
    /// How it is undone.
    pub undo: Option<Undo>,
    /// Values kept as evidence.
    pub capture: Vec<Capture>,
    /// What becomes of its action when a guard is breached while it runs.
    pub on_breach: OnGuard,
}

impl Step {
    /// The step that undoes it.
    #[must_use]
    pub fn undo_step(&self) -> Option<&Self> {
        self.undo.as_ref().map(|undo| &*undo.step)
    }

    /// What decides on it: whether it is needed, may begin, was done, holds.
    pub fn conditions(&self) -> impl Iterator<Item = &Expr> {
        let watched = match &self.does {
            Does::Soak { watch, .. } => watch.as_slice(),
            _ => &[],
        };
        let gates = self.gates.iter().chain(watched).map(|g| &g.that);
        let verify = self.verify.as_ref().map(|v| &v.that);
        self.when.iter().chain(gates).chain(verify).chain(&self.probe)
    }
}

/// Who lets a step begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// A person releases it.
    Release,
    /// The driver releases and the navigator approves.
    TwoPerson,
    /// The partner is told; it begins by itself.
    Witness,
    /// It begins by itself when its gates pass.
    None,
}

/// What a guard's breach does to an action that runs.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OnGuard {
    /// Nothing: it runs to its end, and what comes next is held.
    #[default]
    Finish,
    /// It is ended; only an action that can be ended in the middle.
    Stop,
}

/// What is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Can be taken back, or changes nothing.
    Reversible,
    /// Something goes away.
    Destructive,
    /// From here on there is only forward.
    PointOfNoReturn,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Does {
    /// An action; resolved to a proposal before it is released.
    Action(Call<Template>),
    /// Nothing: its verify is the step.
    Check,
    /// A question with named branches; the answer is `choice.<step id>` in later expressions.
    Choose {
        /// The question.
        question: Template,
        /// Branches: id and title.
        branches: Vec<(String, String)>,
    },
    /// A person does it, by hand.
    Manual {
        /// What to do.
        instruction: Template,
        /// A command to copy, where there is one.
        command: Option<Template>,
    },
    /// Time with watched checks.
    Soak {
        /// How long; a duration or a template that gives one.
        length: Template,
        /// Watched all the while.
        watch: Vec<Gate>,
        /// What a breach does.
        on_breach: OnBreach,
    },
}

/// What a breach does to a soak's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBreach {
    /// It starts again.
    Restart,
    /// It stands still.
    Pause,
}

/// An action with its arguments: templates in a runbook, values in a run.
///
/// The verbs and the shape of their arguments are in `runbook::verbs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call<T> {
    /// `kube.delete_claims`.
    pub verb: String,
    /// Arguments by name.
    pub args: BTreeMap<String, Arg<T>>,
}

/// An argument's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Arg<T> {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text, or a template of it.
    Text(T),
    /// Several texts.
    List(Vec<T>),
}

/// A check before a step, or one watched during a soak.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Id, unique within the step; by default its number, `gate-1`.
    pub id: String,
    /// Must be true.
    pub that: Expr,
    /// For people.
    pub says: Template,
}

/// Who is asked before a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// Names, of people or of what they stand for.
    pub of: Vec<String>,
    /// How long a go counts; without it as long as the step is tried.
    pub lasts: Option<Span>,
}

/// The check after a step.
#[derive(Debug, Clone)]
pub struct Verify {
    /// Must be true.
    pub that: Expr,
    /// For people; empty: the expression itself.
    pub says: Option<Template>,
    /// Passes in a row that are needed.
    pub passes: u32,
    /// Over at least this time.
    pub over: Span,
    /// It has failed when it has not settled after this.
    pub within: Span,
}

/// How a step is undone.
#[derive(Debug, Clone)]
pub struct Undo {
    /// Why it cannot be; its step then only says so.
    pub none: Option<String>,
    /// A step of its own, released like any other.
    pub step: Box<Step>,
}

/// A way back.
#[derive(Debug, Clone)]
pub struct Backout {
    /// Walked like any other phase; its id is unique among phases, too.
    pub phase: Phase,
    /// Offered by itself when this holds.
    pub when: Option<Expr>,
    /// What follows when nothing is left to do in it.
    pub then: Then,
}

/// What follows a way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The run ends; the change is not done.
    End,
    /// It goes on forward where it stood.
    Return,
}

/// Id of the section in which what was done is undone, step by step, and of its steps.
pub const UNDO: &str = "undo";

impl Runbook {
    /// A phase, a way back, or [`UNDO`].
    #[must_use]
    pub fn section(&self, id: &str) -> Option<&Phase> {
        self.sections().find(|p| p.id == id)
    }

    /// Every phase and way back.
    pub fn sections(&self) -> impl Iterator<Item = &Phase> {
        self.phases.iter().chain(self.ways_back())
    }

    /// What going back can be begun with: the runbook's own sections, then [`UNDO`].
    pub fn ways_back(&self) -> impl Iterator<Item = &Phase> {
        self.backouts.iter().map(|b| &b.phase).chain([&self.undo])
    }

    /// What follows a way back.
    #[must_use]
    pub fn then(&self, section: &str) -> Then {
        self.backouts.iter().find(|b| b.phase.id == section).map_or(Then::End, |b| b.then)
    }
}

/// What is due after the run.
#[derive(Debug, Clone)]
pub struct Followup {
    /// Id.
    pub id: String,
    /// For people.
    pub title: String,
    /// How long after the run's end.
    pub due: Span,
    /// Who sees to it.
    pub owner: String,
    /// True on the site once it is done.
    pub check: Option<Expr>,
}
