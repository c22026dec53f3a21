//! Keys to wishes, by what is on top and what the step in hand allows.

use crate::event::{Mode, Span, Time};
use crate::run::{Intent, State, Status};
use crate::runbook::model::Does;
use crate::ui::model::{Entry, Model, Overlay, Pane, Review, Writing};
use crate::ui::panes::selected;

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
    /// To the clipboard (OSC 52).
    Copy(String),
    /// Leave.
    Quit,
}

/// One key.
pub fn key(model: &mut Model, state: &State, code: KeyCode, now: Time) -> Asked {
    match model.overlay.clone() {
        Overlay::None => base(model, state, code, now),
        Overlay::Review(open) => {
            if now.since(open.opened) < ARMED {
                return Asked::Nothing;
            }
            review(model, state, code, open, now)
        }
        Overlay::Command { step } => command(model, state, code, step),
        Overlay::Write { what, text } => write(model, state, code, what, text),
        Overlay::Choose { step, at } => choose(model, state, code, step, at),
        Overlay::Text { title, lines, scroll } => {
            let last = lines.len().saturating_sub(1);
            let scroll = match code {
                KeyCode::Esc | KeyCode::Char('q') => {
                    model.overlay = Overlay::None;
                    return Asked::Nothing;
                }
                KeyCode::Char('j') | KeyCode::Down => (scroll + 1).min(last),
                KeyCode::Char('k') | KeyCode::Up => scroll.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => (scroll + 20).min(last),
                KeyCode::PageUp => scroll.saturating_sub(20),
                KeyCode::Char('g') => 0,
                KeyCode::Char('G') => last,
                _ => scroll,
            };
            model.overlay = Overlay::Text { title, lines, scroll };
            Asked::Nothing
        }
    }
}

fn ask(intent: Intent) -> Asked {
    Asked::Intent(Box::new(intent))
}

fn open_write(model: &mut Model, what: Writing) -> Asked {
    model.overlay = Overlay::Write { what, text: String::new() };
    Asked::Nothing
}

fn base(model: &mut Model, state: &State, code: KeyCode, now: Time) -> Asked {
    match code {
        KeyCode::Char('q') => return Asked::Quit,
        KeyCode::Tab => focus(model, 1),
        KeyCode::BackTab => focus(model, Pane::ALL.len() - 1),
        KeyCode::Char('0') => go(model, Pane::Checklist),
        KeyCode::Char('1') => go(model, Pane::Raft),
        KeyCode::Char('2') => go(model, Pane::Storage),
        KeyCode::Char('4') => go(model, Pane::Pods),
        KeyCode::Char('z') => model.zoomed = !model.zoomed,
        KeyCode::Char('j') | KeyCode::Down => model.row = model.row.saturating_add(1),
        KeyCode::Char('k') | KeyCode::Up => model.row = model.row.saturating_sub(1),
        KeyCode::Char('g') => model.row = 0,
        KeyCode::Char('G') => model.row = usize::MAX / 2,
        KeyCode::Char('h') if state.line_held.is_some() => return ask(Intent::FreeLine),
        KeyCode::Char('h') => return open_write(model, Writing::Hold),
        KeyCode::Char('A') => return open_write(model, Writing::Abort),
        KeyCode::Char('?') => help(model),
        KeyCode::Char('d') => {
            return selected(model, state).map_or(Asked::Nothing, Asked::Describe);
        }
        KeyCode::Char('l') => {
            return selected(model, state).map_or(Asked::Nothing, |e| Asked::Logs(e, false));
        }
        KeyCode::Char('L') => {
            return selected(model, state).map_or(Asked::Nothing, |e| Asked::Logs(e, true));
        }
        _ => return on_step(model, state, code, now),
    }
    Asked::Nothing
}

fn on_step(model: &mut Model, state: &State, code: KeyCode, now: Time) -> Asked {
    let Some(step) = state.current() else { return Asked::Nothing };
    let status = state.steps.get(&step).map_or(Status::Pending, |s| s.status);
    let does = state.step(&step).map(|s| &s.does);
    match (code, status) {
        (KeyCode::Enter, Status::Ready) if matches!(does, Some(Does::Choose { .. })) => {
            model.overlay = Overlay::Choose { step, at: 0 };
            Asked::Nothing
        }
        (KeyCode::Enter, Status::Ready | Status::Blocked) => {
            model.overlay = Overlay::Review(Review::new(step.clone(), state, now));
            ask(Intent::Review { step })
        }
        (KeyCode::Enter, Status::Confirming) => {
            model.overlay = Overlay::Review(Review::new(step, state, now));
            Asked::Nothing
        }
        (KeyCode::Enter, Status::Shown) => ask(Intent::Claim { step }),
        (KeyCode::Char('c'), _) => {
            model.overlay = Overlay::Command { step };
            Asked::Nothing
        }
        (KeyCode::Char('u'), Status::Shown | Status::Verifying) => ask(Intent::Unclaim { step }),
        (KeyCode::Char('r'), Status::Failed | Status::InDoubt) => ask(Intent::Retry { step }),
        (KeyCode::Char('a'), Status::InDoubt) => ask(Intent::Accept { step }),
        (KeyCode::Char('s'), Status::Running) if matches!(does, Some(Does::Soak { .. })) => {
            open_write(model, Writing::EndSoak(step))
        }
        (KeyCode::Char('s'), _) => open_write(model, Writing::Skip(step)),
        _ => Asked::Nothing,
    }
}

fn review(model: &mut Model, state: &State, code: KeyCode, mut open: Review, now: Time) -> Asked {
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
            let lacks = |g: &&crate::event::GateJudged| {
                g.judged.verdict != crate::event::Verdict::Pass
                    && !s.overrides.contains_key(&g.gate)
            };
            if let Some(gate) = s.gates.iter().find(lacks).map(|g| g.gate.clone()) {
                return open_write(model, Writing::Override(step, gate));
            }
        }
        KeyCode::F(2) => {
            model.overlay = Overlay::Command { step };
            return Asked::Nothing;
        }
        KeyCode::Char('c')
            if wanted.is_empty() || open.typed.is_empty() && !wanted.starts_with('c') =>
        {
            model.overlay = Overlay::Command { step };
            return Asked::Nothing;
        }
        KeyCode::Char(c) if !wanted.is_empty() && open.typed.len() < 200 => open.typed.push(c),
        _ => {}
    }
    model.overlay = Overlay::Review(open);
    Asked::Nothing
}

fn command(model: &mut Model, state: &State, code: KeyCode, step: crate::event::StepAddr) -> Asked {
    let s = state.steps.get(&step);
    match code {
        KeyCode::Char('m') if s.is_some_and(|s| s.status == Status::Confirming) => {
            ask(Intent::Show { step })
        }
        KeyCode::Char('D') if s.is_some_and(|s| s.status == Status::Shown) => {
            model.overlay = Overlay::None;
            ask(Intent::Claim { step })
        }
        KeyCode::Char('y') => {
            let commands = s.and_then(|s| s.proposal.as_ref()).map(|(p, _)| p.commands.join("\n"));
            commands.map_or(Asked::Nothing, Asked::Copy)
        }
        KeyCode::Esc | KeyCode::Char('q' | 'c') => {
            let reviewing = s.is_some_and(|s| s.status == Status::Confirming);
            model.overlay = if reviewing {
                Overlay::Review(Review::new(step, state, Time::default()))
            } else {
                Overlay::None
            };
            Asked::Nothing
        }
        _ => Asked::Nothing,
    }
}

fn write(
    model: &mut Model,
    state: &State,
    code: KeyCode,
    what: Writing,
    mut text: String,
) -> Asked {
    match code {
        KeyCode::Esc => model.overlay = Overlay::None,
        KeyCode::Enter => {
            model.overlay = match &what {
                Writing::Override(step, _) => {
                    Overlay::Review(Review::new(step.clone(), state, Time::default()))
                }
                _ => Overlay::None,
            };
            return ask(match what {
                Writing::Skip(step) => Intent::Skip { step, reason: text },
                Writing::Override(step, gate) => Intent::Override { step, gate, reason: text },
                Writing::Hold => Intent::HoldLine { reason: text },
                Writing::Abort => Intent::Abort { reason: text },
                Writing::EndSoak(step) => Intent::EndSoak { step, reason: text },
            });
        }
        KeyCode::Backspace => {
            text.pop();
            model.overlay = Overlay::Write { what, text };
        }
        KeyCode::Char(c) => {
            text.push(c);
            model.overlay = Overlay::Write { what, text };
        }
        _ => {}
    }
    Asked::Nothing
}

fn choose(
    model: &mut Model,
    state: &State,
    code: KeyCode,
    step: crate::event::StepAddr,
    at: usize,
) -> Asked {
    let Some(Does::Choose { branches, .. }) = state.step(&step).map(|s| &s.does) else {
        model.overlay = Overlay::None;
        return Asked::Nothing;
    };
    match code {
        KeyCode::Esc => model.overlay = Overlay::None,
        KeyCode::Char('j') | KeyCode::Down => {
            model.overlay =
                Overlay::Choose { step, at: (at + 1).min(branches.len().saturating_sub(1)) };
        }
        KeyCode::Char('k') | KeyCode::Up => {
            model.overlay = Overlay::Choose { step, at: at.saturating_sub(1) }
        }
        KeyCode::Enter => {
            model.overlay = Overlay::None;
            if let Some((branch, _)) = branches.get(at) {
                return ask(Intent::Choose { step, branch: branch.clone() });
            }
        }
        _ => {}
    }
    Asked::Nothing
}

fn focus(model: &mut Model, by: usize) {
    let at = Pane::ALL.iter().position(|p| *p == model.focus).unwrap_or(0);
    go(model, Pane::ALL[(at + by) % Pane::ALL.len()]);
}

fn go(model: &mut Model, pane: Pane) {
    model.focus = pane;
    model.row = 0;
}

fn help(model: &mut Model) {
    let lines = [
        "Enter   review the step whose turn it is; in the review: release it",
        "c       its commands, unwrapped; there m: I run it myself, D: it is done, y: copy",
        "s       skip it with a reason; during a soak: end it early",
        "r       retry what failed     a  accept what the probe says is done",
        "h       hold the line, with a reason; again: let it go",
        "A       abort the run, with a reason",
        "Tab     next pane   0 checklist  1 raft  2 storage  4 pods   z zoom",
        "j k g G move in the pane      d describe   l logs   L logs of the container before",
        "q       leave; the run stays open in its journal",
    ];
    let lines = lines.iter().map(|l| (*l).to_owned()).collect();
    model.overlay = Overlay::Text { title: "Keys".into(), lines, scroll: 0 };
}

/// The keys that work now, in the order of likely use.
pub(crate) fn footer(model: &Model, state: &State) -> Vec<(&'static str, &'static str)> {
    let read_only = state.header.mode == Mode::ReadOnly;
    match &model.overlay {
        Overlay::Review(Review { step, .. }) => {
            match state.steps.get(step).map(|s| s.status) {
                Some(Status::Confirming) => {}
                Some(Status::Released) => return vec![("Esc", "close; it goes on")],
                _ => return vec![("Enter", "review it as it is now"), ("Esc", "not now")],
            }
            let gates = state.steps.get(step).is_some_and(|s| s.gates_pass());
            let mut keys =
                vec![("Enter", "release and run"), ("Esc", "not now"), ("F2", "commands")];
            if !gates {
                keys[0] = ("Tab", "override a gate…");
            } else if read_only {
                keys[0] = ("F2", "commands (read-only)");
            }
            keys
        }
        Overlay::Command { step } => match state.steps.get(step).map(|s| s.status) {
            Some(Status::Confirming) => {
                vec![("m", "I run it myself"), ("y", "copy"), ("Esc", "back")]
            }
            Some(Status::Shown) => vec![("D", "it is done"), ("y", "copy"), ("Esc", "back")],
            _ => vec![("y", "copy"), ("Esc", "back")],
        },
        Overlay::Write { .. } => vec![("Enter", "so be it"), ("Esc", "not now")],
        Overlay::Choose { .. } => vec![("j k", "move"), ("Enter", "choose"), ("Esc", "not now")],
        Overlay::Text { .. } => vec![("j k", "scroll"), ("Esc", "close")],
        Overlay::None => {
            let status = state.current().and_then(|a| state.steps.get(&a)).map(|s| s.status);
            let mut keys = match status {
                Some(Status::Ready | Status::Blocked) => {
                    let asks = state.current().and_then(|a| {
                        state.step(&a).map(|s| matches!(s.does, Does::Choose { .. }))
                    });
                    vec![
                        ("Enter", if asks == Some(true) { "answer" } else { "review" }),
                        ("s", "skip…"),
                    ]
                }
                Some(Status::Confirming) => vec![("Enter", "review"), ("c", "command")],
                Some(Status::Shown) => {
                    vec![("Enter", "it is done"), ("c", "command"), ("u", "take back")]
                }
                Some(Status::Failed) => vec![("r", "retry"), ("s", "skip…")],
                Some(Status::InDoubt) => vec![("a", "accept"), ("r", "retry"), ("s", "skip…")],
                Some(Status::Running) => vec![("s", "end the soak…")],
                _ => vec![],
            };
            keys.push((
                "h",
                if state.line_held.is_some() { "free the line" } else { "hold the line" },
            ));
            if selected(model, state).is_some() {
                keys.extend([("d", "describe"), ("l", "logs")]);
            }
            keys.extend([("Tab", "pane"), ("?", "help"), ("q", "leave")]);
            keys
        }
    }
}
