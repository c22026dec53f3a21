//! The TOML shape of a runbook, as it is written. Editors' JSON schema comes from here.

use crate::event::Span;
use crate::runbook::capture::RawCapture;
use crate::runbook::model::{Hold, OnBreach, OnGuard, ParamKind, Risk, Then};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A runbook file.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "read field by field, so that every error is found; the schema is derived"
)]
pub struct RawRunbook {
    /// Version of this format: 1.
    format: u32,
    /// Stable name, in lower-case words with hyphens.
    id: String,
    /// For people.
    title: String,
    /// Who keeps it.
    owner: String,
    /// Systems that the site must provide: `kubernetes`, `vault`.
    needs: Option<Vec<String>>,
    /// Parameters.
    params: Option<BTreeMap<String, RawParam>>,
    /// The change window.
    window: Option<RawWindow>,
    /// CronJobs of which none may come in between while a step acts: `cronjobs.filter(…)`.
    quiet: Option<String>,
    /// Invariants watched all through.
    guard: Option<Vec<RawGuard>>,
    /// Phases, in order.
    phase: Vec<RawPhase>,
    /// Ways back.
    backout: Option<Vec<RawBackout>>,
    /// What is due after the run.
    followup: Option<Vec<RawFollowup>>,
}

/// A parameter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawParam {
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: ParamKind,
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<Spanned<toml::Value>>,
    #[serde(default)]
    pub says: String,
}

/// The change window.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWindow {
    pub length: Span,
    pub backout_reserve: Span,
}

/// An invariant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGuard {
    #[schemars(with = "String")]
    pub id: Spanned<String>,
    #[schemars(with = "String")]
    pub that: Spanned<String>,
    pub says: String,
    #[serde(rename = "for", default)]
    pub debounce: Span,
}

/// A phase.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "read field by field; the schema is derived")]
pub struct RawPhase {
    id: String,
    title: String,
    /// `[phase.each.NAME]`
    each: Option<BTreeMap<String, RawEach>>,
    step: Vec<RawStep>,
}

/// A phase's items.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEach {
    #[schemars(with = "String")]
    pub of: Spanned<String>,
    #[schemars(with = "Option<String>")]
    pub next: Option<Spanned<String>>,
}

pub type RawDo =
    BTreeMap<String, BTreeMap<String, Spanned<BTreeMap<String, Spanned<toml::Value>>>>>;
type DoSchema = BTreeMap<String, BTreeMap<String, BTreeMap<String, serde_json::Value>>>;

/// A step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawStep {
    #[schemars(with = "String")]
    pub id: Spanned<String>,
    #[schemars(with = "String")]
    pub title: Spanned<String>,
    #[schemars(with = "Option<String>")]
    pub why: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub when: Option<Spanned<String>>,
    pub hold: Option<Hold>,
    pub risk: Option<Risk>,
    pub estimate: Option<Span>,
    #[schemars(with = "Option<String>")]
    pub confirm: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub probe: Option<Spanned<String>>,
    /// `do.FAMILY.ACTION = { … }`
    #[serde(rename = "do")]
    #[schemars(with = "Option<DoSchema>")]
    pub does: Option<RawDo>,
    pub choose: Option<RawChoose>,
    pub manual: Option<RawManual>,
    pub soak: Option<RawSoak>,
    pub poll: Option<RawPoll>,
    #[serde(default)]
    pub gate: Vec<RawGate>,
    pub verify: Option<RawVerify>,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawCapture>")]
    pub capture: BTreeMap<String, Spanned<RawCapture>>,
    pub undo: Option<RawUndo>,
    /// `stop`: what it runs is ended when a guard is breached. Default: `finish`.
    #[schemars(with = "Option<OnGuard>")]
    pub on_breach: Option<Spanned<OnGuard>>,
}

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawChoose {
    #[schemars(with = "String")]
    pub question: Spanned<String>,
    /// Branches by id, with their titles; they are shown in this order.
    #[schemars(with = "BTreeMap<String, String>")]
    pub branches: BTreeMap<String, Spanned<String>>,
}

/// Done by hand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawManual {
    #[schemars(with = "String")]
    pub instruction: Spanned<String>,
    #[schemars(with = "Option<String>")]
    pub command: Option<Spanned<String>>,
}

/// Time with watched checks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSoak {
    /// How long; may hold a template.
    #[serde(rename = "for")]
    #[schemars(with = "String")]
    pub length: Spanned<String>,
    #[serde(default)]
    pub watch: Vec<RawGate>,
    pub on_breach: Option<OnBreach>,
}

/// A check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGate {
    #[schemars(with = "Option<String>")]
    pub id: Option<Spanned<String>>,
    #[schemars(with = "String")]
    pub that: Spanned<String>,
    #[schemars(with = "String")]
    pub says: Spanned<String>,
}

/// A poll: each who is asked says go or no-go before the step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPoll {
    /// Names, of people or of what they stand for.
    #[schemars(with = "Vec<String>")]
    pub of: Vec<Spanned<String>>,
    /// How long a go counts; without it as long as the step is tried.
    pub lasts: Option<Span>,
}

/// The check after a step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawVerify {
    #[schemars(with = "String")]
    pub that: Spanned<String>,
    #[schemars(with = "Option<String>")]
    pub says: Option<Spanned<String>>,
    /// `N in SPAN`: N passes in a row over that time.
    #[schemars(with = "Option<String>")]
    pub settle: Option<Spanned<String>>,
    pub within: Option<Span>,
}

/// How a step is undone: one of none, manual and do; with gates and a verify of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawUndo {
    #[schemars(with = "Option<String>")]
    pub none: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub manual: Option<Spanned<String>>,
    #[serde(rename = "do")]
    #[schemars(with = "Option<DoSchema>")]
    pub does: Option<RawDo>,
    pub estimate: Option<Span>,
    #[serde(default)]
    pub gate: Vec<RawGate>,
    pub verify: Option<RawVerify>,
}

/// A way back.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "read field by field; the schema is derived")]
pub struct RawBackout {
    id: String,
    title: String,
    /// Offered by itself when this holds.
    when: Option<String>,
    /// `[backout.each.NAME]`
    each: Option<BTreeMap<String, RawEach>>,
    /// `end` (the default) or `return`: whether the run ends with it or goes on forward.
    then: Option<Then>,
    step: Vec<RawStep>,
}

/// What is due after the run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFollowup {
    #[schemars(with = "String")]
    pub id: Spanned<String>,
    pub title: String,
    pub due: Span,
    pub owner: String,
    /// True on the site once it is done.
    #[schemars(with = "Option<String>")]
    pub check: Option<Spanned<String>>,
}
