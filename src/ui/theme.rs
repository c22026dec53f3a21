//! Colours and signs.

use crate::event::Verdict;
use crate::run::Status;
use ratatui::style::{Color, Modifier, Style};

/// What is not in question now. Of the 256 colours, since bright black of the sixteen is
/// invisible on many terminals; where there are only those it becomes faint.
pub(crate) const GREY: Color = Color::Indexed(245);

pub(crate) fn calm() -> Style {
    Style::default()
}
pub(crate) fn dim() -> Style {
    Style::default().fg(GREY)
}
pub(crate) fn good() -> Style {
    Style::default().fg(Color::Green)
}
pub(crate) fn alarm() -> Style {
    Style::default().fg(Color::Red).add_modifier(Modifier::BOLD)
}
pub(crate) fn caution() -> Style {
    Style::default().fg(Color::Yellow)
}
pub(crate) fn bright() -> Style {
    Style::default().add_modifier(Modifier::BOLD)
}
pub(crate) fn lab() -> Style {
    Style::default().fg(Color::Magenta).add_modifier(Modifier::BOLD | Modifier::REVERSED)
}
pub(crate) fn title() -> Style {
    Style::default().fg(Color::Cyan)
}

/// A step's sign: shapes first, colour second.
pub(crate) fn sign(status: Status) -> (&'static str, Style) {
    match status {
        Status::Done => ("✓", good()),
        Status::Released | Status::Running | Status::Verifying => ("▶", bright()),
        Status::Ready | Status::Confirming => ("●", bright()),
        Status::Pending => ("·", dim()),
        Status::Shown | Status::Claimed => ("◎", caution()),
        Status::Failed | Status::Aborted => ("✗", alarm()),
        Status::Blocked => ("!", caution()),
        Status::InDoubt => ("?", alarm()),
        Status::Skipped | Status::NotNeeded => ("↷", dim()),
        Status::Undone => ("↶", dim()),
    }
}

pub(crate) fn verdict(v: Verdict) -> (&'static str, Style) {
    match v {
        Verdict::Pass => ("✓", good()),
        Verdict::Fail => ("✗", alarm()),
        Verdict::Inconclusive => ("?", caution()),
    }
}
