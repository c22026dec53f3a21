//! Keys of a review, its commands, and a question.

use crate::event::{StepAddr, Time};
use crate::run::{Intent, State, Status};
use crate::runbook::model::Does;
use crate::ui::command;
use crate::ui::detail;
use crate::ui::keymap::{Asked, KeyCode, ask, open_write};
use crate::ui::model::{Model, Overlay, Review, Writing};
use crate::ui::review::SCROLLED;

/// Rows that a page goes on by.
const PAGE: usize = 10;
/// A typed name has an end.
const LONGEST: usize = 200;

pub(super) fn key(
    model: &mut Model,
    state: &State,
    code: KeyCode,
    mut open: Review,
    now: Time,
) -> Asked {
    let step = open.step.clone();
    let Some(s) = state.steps.get(&step) else { return Asked::Nothing };
    match (s.status, code) {
        (Status::Confirming, KeyCode::Esc) => {
            model.overlay = Overlay::None;
            return ask(Intent::CloseReview { step });
        }
        (_, KeyCode::Esc) => {
            model.overlay = Overlay::None;
            return Asked::Nothing;
        }
        // Not open yet, or void because something changed: only a fresh one is released.
        (Status::Ready | Status::Blocked, KeyCode::Enter) => {
            model.overlay = Overlay::Review(Review::new(step.clone(), state, now));
            return ask(Intent::Review { step });
        }
        (Status::Confirming, _) => {}
        _ => return Asked::Nothing,
    }
    let wanted = state.confirm_text(&step);
    match code {
        KeyCode::Enter => {
            let digest = s.proposal.as_ref().map(|(_, d)| d.clone()).unwrap_or_default();
            return ask(Intent::Release { step, digest, typed: open.typed });
        }
        KeyCode::Backspace => drop(open.typed.pop()),
        KeyCode::Tab => {
            // The first gate that does not pass and is not overridden yet.
            if let Some(gate) = s.gates.iter().find(|g| s.lacks(g)).map(|g| g.gate.clone()) {
                let seen = s.mark(&gate).unwrap_or_default();
                return open_write(model, Writing::Override(step, gate, seen));
            }
        }
        KeyCode::PageDown => open.scroll = open.scroll.saturating_add(SCROLLED),
        KeyCode::PageUp => open.scroll = open.scroll.saturating_sub(SCROLLED),
        KeyCode::F(2) => {
            model.overlay = Overlay::Command { step, scroll: 0 };
            return Asked::Nothing;
        }
        KeyCode::Char('c') if wanted.is_empty() => {
            model.overlay = Overlay::Command { step, scroll: 0 };
            return Asked::Nothing;
        }
        KeyCode::Char(c) if open.typed.len() < LONGEST => open.typed.push(c),
        _ => {}
    }
    model.overlay = Overlay::Review(open);
    Asked::Nothing
}

pub(super) fn command(
    model: &mut Model,
    state: &State,
    code: KeyCode,
    (step, scroll): (StepAddr, usize),
    now: Time,
) -> Asked {
    let mut to = |scroll: usize| {
        let scroll = scroll.min(command::last(state, &step, model.size));
        model.overlay = Overlay::Command { step: step.clone(), scroll };
        Asked::Nothing
    };
    match code {
        KeyCode::Char('j') => to(scroll + 1),
        KeyCode::Char('k') => to(scroll.saturating_sub(1)),
        KeyCode::PageDown => to(scroll + PAGE),
        KeyCode::PageUp => to(scroll.saturating_sub(PAGE)),
        KeyCode::Char('m') => ask(Intent::Show { step }),
        KeyCode::Char('D') => {
            model.overlay = Overlay::None;
            ask(Intent::Claim { step })
        }
        KeyCode::Char('y') => Asked::Copy(detail::commands(state, &step).join("\n")),
        _ => {
            let s = state.steps.get(&step);
            let reviewing = s.is_some_and(|s| s.status == Status::Confirming);
            model.overlay = if reviewing {
                // Armed anew: a key that was on its way closed the commands and nothing more.
                Overlay::Review(Review::new(step, state, now))
            } else {
                Overlay::None
            };
            Asked::Nothing
        }
    }
}

pub(super) fn choose(
    model: &mut Model,
    state: &State,
    code: KeyCode,
    step: StepAddr,
    at: usize,
) -> Asked {
    let Some(Does::Choose { branches, .. }) = state.step(&step).map(|s| &s.does) else {
        model.overlay = Overlay::None;
        return Asked::Nothing;
    };
    let last = branches.len().saturating_sub(1);
    match code {
        KeyCode::Char('j') => model.overlay = Overlay::Choose { step, at: (at + 1).min(last) },
        KeyCode::Char('k') => model.overlay = Overlay::Choose { step, at: at.saturating_sub(1) },
        KeyCode::Enter => {
            model.overlay = Overlay::None;
            if let Some((branch, _)) = branches.get(at) {
                return ask(Intent::Choose { step, branch: branch.clone() });
            }
        }
        _ => model.overlay = Overlay::None,
    }
    Asked::Nothing
}
