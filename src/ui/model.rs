//! What the terminal shows of the run: cursor, panes, what is open on top. No part of the
//! run's state.

use crate::event::{Actor, Slot, StepAddr, Time};
use crate::run::{State, Status};

/// A pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pane {
    /// The checklist.
    Checklist,
    /// Raft.
    Raft,
    /// Classes, claims, volumes.
    Storage,
    /// Pods.
    Pods,
    /// The step in hand.
    Step,
}

impl Pane {
    /// In the order of Tab.
    pub const ALL: [Self; 5] = [Self::Checklist, Self::Raft, Self::Storage, Self::Pods, Self::Step];

    /// Rows that can be narrowed; the others are text that is searched.
    pub(crate) const fn is_table(self) -> bool {
        matches!(self, Self::Raft | Self::Storage | Self::Pods)
    }
}

/// How a pane is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Rows must have this text; in a pane of text, lines that are jumped to.
    pub filter: String,
    /// Which of the pane's orders.
    pub order: usize,
}

/// What a line of text is typed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writing {
    /// Why a step is left out.
    Skip(StepAddr),
    /// Why a gate is let be, and the mark of what it said when that was asked.
    Override(StepAddr, String, String),
    /// Why the line is held.
    Hold,
    /// Why the run is given up.
    Abort,
    /// Why a soak ends early.
    EndSoak(StepAddr),
    /// Why one goes back, by a section.
    GoBack(String),
    /// Why one goes forward again.
    LeaveBack,
    /// Who says go or no-go.
    Poll(StepAddr),
    /// The next change window.
    Window,
    /// Why it takes the place of the one that there is.
    WindowWhy(Slot),
    /// What has no key of its own.
    Command,
}

/// The review of a step, as of one turn of the step's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Which.
    pub step: StepAddr,
    /// The step's ticket: another one makes it another review, and what was typed is void.
    pub ticket: u64,
    /// It takes keys half a second after this.
    pub opened: Time,
    /// What has been typed to release it.
    pub typed: String,
    /// First line shown of what may be longer than the screen.
    pub scroll: usize,
    /// It was shown why there is no plan.
    pub failed: bool,
}

impl Review {
    /// Of a step as it is now.
    #[must_use]
    pub fn new(step: StepAddr, state: &State, opened: Time) -> Self {
        let s = state.steps.get(&step);
        let ticket = s.map_or(0, |s| s.ticket);
        let failed = s.is_some_and(|s| s.proposal_error.is_some());
        Self { step, ticket, opened, typed: String::new(), scroll: 0, failed }
    }
}

/// Text to read: describe, logs, help.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// What it is.
    pub title: String,
    /// Its lines, as long as they are.
    pub lines: Vec<String>,
    /// The first line shown.
    pub scroll: usize,
    /// What is looked for in it.
    pub find: String,
}

/// What is open on top of the panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The review of a step.
    Review(Review),
    /// The commands without borders, from a row on.
    Command { step: StepAddr, scroll: usize },
    /// A line is typed.
    Write { what: Writing, text: String },
    /// The focused pane's filter is typed.
    Filter,
    /// Whether the line is let go that was held so when that was asked.
    Free { held: (String, Actor) },
    /// A question's branches.
    Choose { step: StepAddr, at: usize },
    /// Ways back.
    Back { at: usize },
    /// Text to read; `typing` what is looked for in it.
    Text { text: Reading, typing: bool },
}

/// A row that can be described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `Pod`, `PersistentVolumeClaim` or `PersistentVolume`.
    pub kind: &'static str,
    /// Namespace; empty for what is in none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// The terminal's own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The pane that keys go to.
    pub focus: Pane,
    /// Its row under the cursor; of text, the line.
    pub row: usize,
    /// The checklist's cursor stays on the step in hand.
    pub follows: bool,
    /// That pane alone.
    pub zoomed: bool,
    /// What is on top.
    pub overlay: Overlay,
    /// The last message, and when.
    pub message: Option<(String, Time)>,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Nothing can be recorded: what would have to be is not offered.
    pub show_only: bool,
    /// By pane, in the order of [`Pane`].
    pub views: [View; 5],
}

impl Default for Model {
    fn default() -> Self {
        Self {
            focus: Pane::Checklist,
            row: 0,
            follows: true,
            zoomed: false,
            overlay: Overlay::None,
            message: None,
            size: (80, 24),
            show_only: false,
            views: Default::default(),
        }
    }
}

/// Why the terminal must not be left alone now: what runs, or is about to, wants its
/// person.
#[must_use]
pub fn busy(state: &State) -> Option<String> {
    if let Some((_, step)) = &state.running {
        return Some(format!("{step} is running; it is not left alone now"));
    }
    let step = state.current()?;
    let released = state.steps.get(&step)?.status == Status::Released;
    released.then(|| format!("{step} is released and about to run; it is not left alone now"))
}

/// The smallest terminal on which a review can be read: columns and rows.
pub const SMALLEST: (u16, u16) = (80, 24);

impl Model {
    /// The terminal is large enough. Where it is not, nothing can be released: what cannot
    /// be read is not agreed to.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.size.0 >= SMALLEST.0 && self.size.1 >= SMALLEST.1
    }

    /// How a pane is looked at.
    #[must_use]
    pub fn view(&self, pane: Pane) -> &View {
        &self.views[pane as usize]
    }

    /// How the focused pane is looked at.
    pub fn view_mut(&mut self) -> &mut View {
        &mut self.views[self.focus as usize]
    }

    /// Puts text to read on top.
    pub fn read(&mut self, title: String, lines: Vec<String>) {
        let text = Reading { title, lines, ..Reading::default() };
        self.overlay = Overlay::Text { text, typing: false };
    }

    /// Keeps what is open in step with the run: a review begins anew when its step moved,
    /// and closes when there is nothing left to review.
    pub fn follow(&mut self, state: &State, now: Time) {
        if let Overlay::Free { held } = &self.overlay
            && state.line_held.as_ref() != Some(held)
        {
            self.overlay = Overlay::None;
        }
        let Overlay::Review(review) = &mut self.overlay else { return };
        let s = state.steps.get(&review.step);
        let stands = matches!(
            s.map(|s| s.status),
            Some(Status::Ready | Status::Blocked | Status::Confirming | Status::Released)
        );
        if !stands || state.current().as_ref() != Some(&review.step) {
            self.overlay = Overlay::None;
        } else if s
            .is_some_and(|s| s.ticket != review.ticket || review.failed && s.proposal.is_some())
        {
            // Armed anew, so that a key meant for what was there does not fall on this.
            self.overlay = Overlay::Review(Review::new(review.step.clone(), state, now));
        } else {
            review.failed = s.is_some_and(|s| s.proposal_error.is_some());
        }
    }
}
