//! Who did something.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person may do in a run; the host enforces it, whatever a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Releases steps.
    Driver,
    /// Approves two-person holds, may hold the line.
    Navigator,
    /// Looks and points.
    Viewer,
}

/// The originator of an intent, and so of the events that follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// Holdpoint itself: results of effects, timers, observations.
    System,
    /// A person at a terminal.
    Person {
        /// Login name, as the operating system gives it.
        name: String,
        /// Their role at that moment.
        role: Role,
    },
    /// An answers file; never a second person.
    File {
        /// The file's path as it was given.
        path: String,
    },
}

impl Actor {
    /// True for anything that a human or their file asked for: such an intent is
    /// journalled even when it is refused.
    #[must_use]
    pub fn asked(&self) -> bool {
        !matches!(self, Self::System)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("holdpoint"),
            Self::Person { name, .. } => f.write_str(name),
            Self::File { path } => write!(f, "file {path}"),
        }
    }
}
