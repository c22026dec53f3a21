//! What the terminal shows of the run: cursor, panes, what is open on top. No part of the
//! run's state.

use crate::event::{StepAddr, Time};

/// A pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// The checklist.
    Checklist,
    /// Raft.
    Raft,
    /// Classes, claims, volumes.
    Storage,
    /// Pods.
    Pods,
}

impl Pane {
    pub(crate) const ALL: [Self; 4] = [Self::Checklist, Self::Raft, Self::Storage, Self::Pods];
}

/// What a line of text is typed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writing {
    /// Why a step is left out.
    Skip(StepAddr),
    /// Why a gate is let be.
    Override(StepAddr, String),
    /// Why the line is held.
    Hold,
    /// Why the run is given up.
    Abort,
    /// Why a soak ends early.
    EndSoak(StepAddr),
}

/// What is open on top of the panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The review of a step; opened then, armed half a second later.
    Review { step: StepAddr, opened: Time, typed: String },
    /// The commands, unwrapped and without borders.
    Command { step: StepAddr },
    /// A line is typed.
    Write { what: Writing, text: String },
    /// A question's branches.
    Choose { step: StepAddr, at: usize },
    /// Text to read: describe, logs, help.
    Text { title: String, lines: Vec<String>, scroll: usize },
}

/// A row that can be described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `Pod` or `PersistentVolumeClaim`.
    pub kind: &'static str,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// The terminal's own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The pane that keys go to.
    pub focus: Pane,
    /// Its row under the cursor.
    pub row: usize,
    /// That pane alone.
    pub zoomed: bool,
    /// What is on top.
    pub overlay: Overlay,
    /// The last message, and when.
    pub message: Option<(String, Time)>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            focus: Pane::Checklist,
            row: 0,
            zoomed: false,
            overlay: Overlay::None,
            message: None,
        }
    }
}
