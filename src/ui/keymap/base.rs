//! Keys with nothing on top: the step in hand, and the panes.

use crate::event::{StepAddr, Time};
use crate::run::{Intent, State, Status};
use crate::runbook::model::Does;
use crate::ui::keymap::{Asked, KeyCode, ask, keys, open_write};
use crate::ui::model::{Model, Overlay, Pane, Review, Writing};
use crate::ui::panes::{count, hits, orders, other_table, selected};
use crate::ui::{checklist, detail};

pub(super) fn key(model: &mut Model, state: &State, code: KeyCode, now: Time) -> Asked {
    let entry = || selected(model, state);
    match code {
        KeyCode::Char('q') => return Asked::Quit,
        KeyCode::Char('d') => return entry().map_or(Asked::Nothing, Asked::Describe),
        KeyCode::Char('l') => return entry().map_or(Asked::Nothing, |e| Asked::Logs(e, false)),
        KeyCode::Char('L') => return entry().map_or(Asked::Nothing, |e| Asked::Logs(e, true)),
        // Holding costs a moment. Letting go is what a breach, or somebody else, may have had
        // reason to prevent: it is asked back.
        KeyCode::Char('h') => match state.line_held.clone() {
            Some(held) => model.overlay = Overlay::Free { held },
            None => return open_write(model, Writing::Hold),
        },
        KeyCode::Char(':') => return open_write(model, Writing::Command),
        KeyCode::Char('A') => return open_write(model, Writing::Abort),
        KeyCode::Char('F') => return open_write(model, Writing::LeaveBack),
        KeyCode::Char('W') => return open_write(model, Writing::Window),
        KeyCode::Char('B') => model.overlay = Overlay::Back { at: offered(state) },
        KeyCode::Char('R') => model.read(" Changes of the runbook ".into(), redlined(state)),
        KeyCode::Char('?') => help(model, state),
        KeyCode::Tab => go(model, Pane::ALL[(model.focus as usize + 1) % Pane::ALL.len()]),
        KeyCode::BackTab => {
            let n = Pane::ALL.len();
            go(model, Pane::ALL[(model.focus as usize + n - 1) % n]);
        }
        KeyCode::Char('0') => go(model, Pane::Checklist),
        KeyCode::Char('1') => go(model, Pane::Raft),
        KeyCode::Char('2') => go(model, Pane::Storage),
        KeyCode::Char('4') => go(model, Pane::Pods),
        KeyCode::Char('5') => go(model, Pane::Step),
        KeyCode::Char('z') => model.zoomed = !model.zoomed,
        KeyCode::Esc => back(model),
        KeyCode::Char('/') => {
            model.view_mut().filter.clear();
            model.row = row(model, state, now);
            model.overlay = Overlay::Filter;
        }
        KeyCode::Char('o') => {
            let all = orders(model.focus).len().max(1);
            let view = model.view_mut();
            view.order = (view.order + 1) % all;
        }
        KeyCode::Char('v') if model.focus == Pane::Storage => {
            model.row = other_table(model, state);
        }
        KeyCode::Char('j' | 'k' | 'g' | 'G' | 'n' | 'N') => step_to(model, state, code, now),
        _ => return on_step(model, state, code, now),
    }
    Asked::Nothing
}

fn go(model: &mut Model, pane: Pane) {
    model.focus = pane;
    model.row = 0;
    model.follows = true;
}

/// The nearest way back first.
fn back(model: &mut Model) {
    if !model.view(model.focus).filter.is_empty() {
        model.view_mut().filter.clear();
    } else if model.zoomed {
        model.zoomed = false;
    }
    model.row = 0;
    model.follows = true;
}

/// Where the cursor is.
fn row(model: &Model, state: &State, now: Time) -> usize {
    if model.focus == Pane::Checklist && model.follows {
        return checklist::lines(state, checklist::WIDE, now).1;
    }
    model.row
}

fn step_to(model: &mut Model, state: &State, code: KeyCode, now: Time) {
    let last = count(model, state, now).saturating_sub(1);
    let at = row(model, state, now).min(last);
    let hits = || hits(model, state, now);
    model.row = match code {
        KeyCode::Char('j') => (at + 1).min(last),
        KeyCode::Char('k') => at.saturating_sub(1),
        KeyCode::Char('g') => 0,
        KeyCode::Char('n') => {
            let hits = hits();
            hits.iter().find(|h| **h > at).or(hits.first()).copied().unwrap_or(at)
        }
        KeyCode::Char('N') => {
            let hits = hits();
            hits.iter().rev().find(|h| **h < at).or(hits.last()).copied().unwrap_or(at)
        }
        _ => last,
    };
    model.follows = false;
}

/// The step under the checklist's cursor, if it may be asked anew whether it is needed.
pub(super) fn asked_again(model: &Model, state: &State) -> Option<StepAddr> {
    if model.focus != Pane::Checklist || model.follows || state.ended.is_some() {
        return None;
    }
    let addr = checklist::step_at(state, model.row)?;
    state.asked_again(&addr, state.at).then_some(addr)
}

fn on_step(model: &mut Model, state: &State, code: KeyCode, now: Time) -> Asked {
    if code == KeyCode::Char('r')
        && let Some(step) = asked_again(model, state)
    {
        return ask(Intent::Retry { step });
    }
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
            model.overlay = Overlay::Command { step, scroll: 0 };
            Asked::Nothing
        }
        (KeyCode::Char('y'), _) => Asked::Copy(detail::commands(state, &step).join("\n")),
        (KeyCode::Char('u'), _) => ask(Intent::Unclaim { step }),
        (KeyCode::Char('r'), _) => ask(Intent::Retry { step }),
        (KeyCode::Char('a'), _) => ask(Intent::Accept { step }),
        (KeyCode::Char('p'), _) => open_write(model, Writing::Poll(step)),
        (KeyCode::Char('s'), Status::Running) => open_write(model, Writing::EndSoak(step)),
        (KeyCode::Char('s'), _) => open_write(model, Writing::Skip(step)),
        _ => Asked::Nothing,
    }
}

/// The first way back whose condition holds, else the first one.
fn offered(state: &State) -> usize {
    state.runbook.ways_back().position(|p| state.offers.contains_key(&p.id)).unwrap_or(0)
}

/// Among the ways back.
pub(super) fn back_list(model: &mut Model, state: &State, code: KeyCode, at: usize) -> Asked {
    let ways: Vec<_> = state.runbook.ways_back().map(|p| p.id.clone()).collect();
    let last = ways.len().saturating_sub(1);
    model.overlay = match code {
        KeyCode::Char('j') => Overlay::Back { at: (at + 1).min(last) },
        KeyCode::Char('k') => Overlay::Back { at: at.saturating_sub(1) },
        KeyCode::Enter if at <= last => {
            return open_write(model, Writing::GoBack(ways[at].clone()));
        }
        _ => Overlay::None,
    };
    Asked::Nothing
}

/// Each time that another text was accepted: by whom and why, and what was another in it.
fn redlined(state: &State) -> Vec<String> {
    let accepted = state.redlined.iter().flat_map(|redlined| &redlined.accepted);
    let lines = accepted.flat_map(|a| {
        let head = format!("{} accepted at {}: {}", a.by, a.at, a.reason);
        let diff = a.diff.iter().map(|line| format!("  {line}"));
        std::iter::once(head).chain(diff).chain([String::new()])
    });
    lines.map(|line| crate::text::clean_line(&line)).collect()
}

fn help(model: &mut Model, state: &State) {
    let mut lines: Vec<String> =
        keys(model, state).iter().map(|k| format!(" {:<10} {}", k.keys, k.does)).collect();
    lines.push(String::new());
    lines.push(" These keys work now; others come with the step. What opens on top".into());
    lines.push(" names its own in the last line of the screen.".into());
    model.read(" Keys ".into(), lines);
}
