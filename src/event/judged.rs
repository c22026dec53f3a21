//! Verdicts of gates, guards and verifies, with what they were based on.

use crate::event::Time;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Only `Pass` unlocks anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// True on fresh data.
    Pass,
    /// False on fresh data.
    Fail,
    /// Not decidable: a source is stale or missing, or the expression failed.
    Inconclusive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// A value that an expression named, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// As written in the expression, `raft.leader`.
    pub name: String,
    /// Rendered for people, shortened to a line.
    pub value: String,
    /// When it was true, if it came from a source.
    pub at: Option<Time>,
}

/// One evaluation of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not a pass, in words; empty for a pass.
    pub why: String,
    /// The values read.
    pub values: Vec<Observed>,
    /// When it was evaluated.
    pub at: Time,
}

impl Judged {
    /// Without data there is no verdict.
    #[must_use]
    pub fn inconclusive(why: impl Into<String>, at: Time) -> Self {
        Self { verdict: Verdict::Inconclusive, why: why.into(), values: Vec::new(), at }
    }

    /// Time of the oldest datum that the verdict rests on.
    #[must_use]
    pub fn oldest(&self) -> Option<Time> {
        self.values.iter().filter_map(|v| v.at).min()
    }
}

/// A gate of a step with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateJudged {
    /// The gate's id within its step.
    pub gate: String,
    /// What it claims, with templates filled in.
    pub says: String,
    /// The verdict.
    #[serde(flatten)]
    pub judged: Judged,
}
