//! Keys of a line that is typed, of a filter, and of text that is read.

use crate::event::{Slot, StepAddr, Time};
use crate::run::{HOW, Intent, State, said};
use crate::ui::keymap::{Asked, KeyCode, ask};
use crate::ui::model::{Model, Overlay, Reading, Review, Writing};
use crate::ui::overlay::COMMANDS;
use crate::ui::panes::hits;

/// Lines that a page key goes.
const PAGE: usize = 20;

pub(super) fn write(
    model: &mut Model,
    state: &State,
    code: KeyCode,
    (what, mut text): (Writing, String),
    now: Time,
) -> Asked {
    if let KeyCode::Char(_) | KeyCode::Backspace = code {
        edit(&mut text, code);
        model.overlay = Overlay::Write { what, text };
        return Asked::Nothing;
    }
    // An override goes back to the review that it was asked in, which is armed anew: the key
    // that ended the reason, struck twice, is no release.
    model.overlay = match &what {
        Writing::Override(step, ..) => Overlay::Review(Review::new(step.clone(), state, now)),
        _ => Overlay::None,
    };
    if code != KeyCode::Enter {
        return Asked::Nothing;
    }
    ask(match what {
        Writing::Command => return command(model, text.trim(), now),
        Writing::Skip(step) => Intent::Skip { step, reason: text },
        Writing::Override(step, gate, seen) => Intent::Override { step, gate, seen, reason: text },
        Writing::Hold => Intent::HoldLine { reason: text },
        Writing::Abort => Intent::Abort { reason: text },
        Writing::EndSoak(step) => Intent::EndSoak { step, reason: text },
        Writing::GoBack(section) => Intent::GoBack { section, reason: text },
        Writing::LeaveBack => Intent::LeaveBack { reason: text },
        Writing::Window => return window(model, state, &text, now),
        Writing::WindowWhy(window) => Intent::SetWindow { window, reason: text },
        Writing::Poll(step) => return heard(model, step, &text, now),
    })
}

/// What cannot be read is not lost: it stays to be mended.
fn window(model: &mut Model, state: &State, text: &str, now: Time) -> Asked {
    let length = state.runbook.window.map(|w| w.length);
    let wanted = if text.trim().is_empty() { "now" } else { text };
    match Slot::parse(wanted, now, length) {
        Ok(window) if state.window.is_some() => {
            model.overlay =
                Overlay::Write { what: Writing::WindowWhy(window), text: String::new() };
            Asked::Nothing
        }
        Ok(window) => ask(Intent::SetWindow { window, reason: String::new() }),
        Err(why) => {
            model.message = Some((why.to_string(), now));
            model.overlay = Overlay::Write { what: Writing::Window, text: text.to_owned() };
            Asked::Nothing
        }
    }
}

/// The same of who says what.
fn heard(model: &mut Model, step: StepAddr, text: &str, now: Time) -> Asked {
    match said(text) {
        Some((who, go, reason)) => ask(Intent::Poll { step, who, go, reason }),
        None => {
            model.message = Some((format!("write {HOW}"), now));
            model.overlay = Overlay::Write { what: Writing::Poll(step), text: text.to_owned() };
            Asked::Nothing
        }
    }
}

/// What has no key of its own.
fn command(model: &mut Model, typed: &str, now: Time) -> Asked {
    let (word, rest) = typed.split_once(' ').unwrap_or((typed, ""));
    match (word, rest.trim(), rest.trim().strip_prefix("move ")) {
        ("take-lease", reason, _) => ask(Intent::TakeLease { reason: reason.into() }),
        ("journal", _, Some(dir)) => Asked::MoveJournal(dir.trim().into()),
        _ => {
            let said = format!("`{typed}` is no command; there are {COMMANDS}");
            model.message = Some((said, now));
            Asked::Nothing
        }
    }
}

fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char(c) => text.push(c),
        _ => {}
    }
}

/// The pane narrows while the filter is typed.
pub(super) fn filter(model: &mut Model, state: &State, code: KeyCode, now: Time) -> Asked {
    let table = model.focus.is_table();
    let view = model.view_mut();
    match code {
        KeyCode::Esc => {
            view.filter.clear();
            model.overlay = Overlay::None;
        }
        KeyCode::Enter => {
            model.overlay = Overlay::None;
            // In text, to the first match from here on.
            let hits = hits(model, state, now);
            if let Some(hit) = hits.iter().find(|h| **h >= model.row).or(hits.first()) {
                model.row = *hit;
                model.follows = false;
            }
        }
        _ => edit(&mut view.filter, code),
    }
    if table {
        model.row = 0;
    }
    Asked::Nothing
}

pub(super) fn reading(
    model: &mut Model,
    code: KeyCode,
    mut text: Reading,
    mut typing: bool,
) -> Asked {
    let last = text.lines.len().saturating_sub(1);
    let at = text.scroll;
    if typing {
        match code {
            KeyCode::Enter => {
                typing = false;
                text.scroll = found(&text, at).first().copied().unwrap_or(at);
            }
            KeyCode::Esc => {
                typing = false;
                text.find.clear();
            }
            _ => edit(&mut text.find, code),
        }
    } else {
        text.scroll = match code {
            KeyCode::Char('j') => (at + 1).min(last),
            KeyCode::Char('k') => at.saturating_sub(1),
            KeyCode::PageDown => (at + PAGE).min(last),
            KeyCode::PageUp => at.saturating_sub(PAGE),
            KeyCode::Char('g') => 0,
            KeyCode::Char('G') => last,
            KeyCode::Char('n') => found(&text, at + 1).first().copied().unwrap_or(at),
            KeyCode::Char('N') => found(&text, at).last().copied().unwrap_or(at),
            KeyCode::Char('/') => {
                typing = true;
                text.find.clear();
                at
            }
            _ => {
                model.overlay = Overlay::None;
                return Asked::Nothing;
            }
        };
    }
    model.overlay = Overlay::Text { text, typing };
    Asked::Nothing
}

/// Lines that have what is looked for, from one on and round to it again.
fn found(text: &Reading, from: usize) -> Vec<usize> {
    let n = text.lines.len();
    let find = text.find.to_lowercase();
    let round = (0..n).map(|i| (from + i) % n);
    round.filter(|i| text.lines[*i].to_lowercase().contains(&find)).collect()
}
