//! Keys to wishes. What works now stands in one table, `table::keys`: the footer and the
//! help print it, and a key that it does not list does nothing.

mod base;
mod review;
mod table;
mod text;

pub use table::{Key, keys};

use crate::event::{Span, Time};
use crate::run::{Intent, State};
use crate::ui::model::{Entry, Model, Overlay, Writing};

/// A confirmation takes keys only this long after it opened: what was typed before was
/// meant for something else.
const ARMED: Span = Span(500);

/// A key, as far as the cockpit cares.
pub use crossterm::event::KeyCode;

/// What a key asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Nothing outside the terminal.
    Nothing,
    /// Something of the run.
    Intent(Box<Intent>),
    /// Events and last state of a row.
    Describe(Entry),
    /// A pod's log; of the container before, if so.
    Logs(Entry, bool),
    /// The journal goes on in that directory.
    MoveJournal(String),
    /// To the clipboard (OSC 52).
    Copy(String),
    /// Leave.
    Quit,
}

/// One key.
pub fn key(model: &mut Model, state: &State, code: KeyCode, now: Time) -> Asked {
    let typed = typing(model, state) && matches!(code, KeyCode::Char(_) | KeyCode::Backspace);
    let code = if typed { code } else { alias(code) };
    if !typed && !table::lists(&keys(model, state), code) {
        return Asked::Nothing;
    }
    match model.overlay.clone() {
        _ if !model.fits() => Asked::Quit,
        Overlay::None => base::key(model, state, code, now),
        Overlay::Review(open) if now.since(open.opened) < ARMED => Asked::Nothing,
        Overlay::Review(open) => review::key(model, state, code, open, now),
        Overlay::Command { step, scroll } => {
            review::command(model, state, code, (step, scroll), now)
        }
        Overlay::Write { what, text } => text::write(model, state, code, (what, text), now),
        Overlay::Free { .. } => {
            model.overlay = Overlay::None;
            if code == KeyCode::Enter { ask(Intent::FreeLine) } else { Asked::Nothing }
        }
        Overlay::Filter => text::filter(model, state, code, now),
        Overlay::Choose { step, at } => review::choose(model, state, code, step, at),
        Overlay::Back { at } => base::back_list(model, state, code, at),
        Overlay::Text { text, typing } => text::reading(model, code, text, typing),
    }
}

/// Arrows and their like do what the letters do.
fn alias(code: KeyCode) -> KeyCode {
    match code {
        KeyCode::Down => KeyCode::Char('j'),
        KeyCode::Up => KeyCode::Char('k'),
        KeyCode::Home => KeyCode::Char('g'),
        KeyCode::End => KeyCode::Char('G'),
        KeyCode::Char(' ') => KeyCode::PageDown,
        other => other,
    }
}

/// Letters are text now, not keys.
fn typing(model: &Model, state: &State) -> bool {
    match &model.overlay {
        _ if !model.fits() => false,
        Overlay::Write { .. } | Overlay::Filter | Overlay::Text { typing: true, .. } => true,
        Overlay::Review(open) => {
            let s = state.steps.get(&open.step);
            s.is_some_and(|s| s.status == crate::run::Status::Confirming)
                && !state.confirm_text(&open.step).is_empty()
        }
        _ => false,
    }
}

fn ask(intent: Intent) -> Asked {
    Asked::Intent(Box::new(intent))
}

fn open_write(model: &mut Model, what: Writing) -> Asked {
    model.overlay = Overlay::Write { what, text: String::new() };
    Asked::Nothing
}
