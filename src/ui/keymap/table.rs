//! The keys that work now.

use crate::event::{Probed, StepAddr, Way};
use crate::run::{Move, State, Status, StepState, legal};
use crate::runbook::model::Does;
use crate::ui::keymap::KeyCode;
use crate::ui::model::{Model, Overlay, Pane, Review};
use crate::ui::{detail, panes};

/// Keys, what they do, and the footer's word for it; one without such a word stands only
/// in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// With spaces between.
    pub keys: &'static str,
    /// For the help.
    pub does: &'static str,
    /// For the footer.
    pub short: &'static str,
    /// It asks for something that must be recorded.
    records: bool,
}

const fn key(keys: &'static str, does: &'static str, short: &'static str) -> Key {
    Key { keys, does, short, records: false }
}

/// One that asks for something that must be recorded: not where nothing can be.
const fn act(keys: &'static str, does: &'static str, short: &'static str) -> Key {
    Key { keys, does, short, records: true }
}

pub(crate) fn lists(keys: &[Key], code: KeyCode) -> bool {
    let name = match code {
        KeyCode::Char(c) => c.to_string(),
        KeyCode::F(n) => format!("F{n}"),
        KeyCode::PageDown => "PgDn".into(),
        KeyCode::PageUp => "PgUp".into(),
        KeyCode::BackTab => "S-Tab".into(),
        other => format!("{other:?}"),
    };
    keys.iter().any(|k| k.keys.split(' ').any(|k| k == name))
}

/// The keys that work now, in the order of likely use.
#[must_use]
pub fn keys(model: &Model, state: &State) -> Vec<Key> {
    let mut keys = recorded(model, state);
    keys.retain(|k| !(k.records && model.show_only));
    keys
}

/// The keys of a run that is recorded.
fn recorded(model: &Model, state: &State) -> Vec<Key> {
    if !model.fits() {
        return vec![key("q", "leave; the run stays open in its journal", "leave")];
    }
    match &model.overlay {
        Overlay::None => base(model, state),
        Overlay::Review(open) => review(open, state),
        Overlay::Command { step, .. } => command(step, state),
        Overlay::Write { .. } => {
            vec![key("Enter", "so be it", "so be it"), key("Esc", "not now", "not now")]
        }
        Overlay::Free { .. } => vec![
            act("Enter", "free the line", "free the line"),
            key("Esc", "not now: it stays held", "not now"),
        ],
        Overlay::Filter | Overlay::Text { typing: true, .. } => {
            vec![key("Enter", "keep it", "keep"), key("Esc", "clear it", "clear")]
        }
        Overlay::Back { .. } => vec![
            act("Enter", "go back by it, with a reason; nothing runs yet", "go back…"),
            key("j k", "the next, the one before", "move"),
            key("Esc", "not now", "not now"),
        ],
        Overlay::Choose { .. } => vec![
            key("Enter", "choose it", "choose"),
            key("j k", "the next, the one before", "move"),
            key("Esc", "not now", "not now"),
        ],
        Overlay::Text { text, .. } => {
            let mut keys = vec![
                key("j k g G PgDn PgUp", "scroll", "scroll"),
                key("/", "look for text", "find"),
            ];
            if !text.find.is_empty() {
                keys.push(key("n N", "the next match, the one before", "match"));
            }
            keys.push(key("Esc q", "close", "close"));
            keys
        }
    }
}

const WAYS_BACK: &str = "the ways back, and what each is for";

fn base(model: &Model, state: &State) -> Vec<Key> {
    let mut keys = Vec::new();
    let current = state.current().filter(|_| state.ended.is_none());
    if let Some(addr) = &current
        && let Some(s) = state.steps.get(addr)
    {
        step(&mut keys, state, addr, s);
    }
    // What is offered stands where the smallest footer has room for it; so does what is left to do
    // about a doubt.
    let goes_back = state.ended.is_none() && state.running.is_none();
    let doubted = |addr| state.steps.get(addr).is_some_and(|s| s.status == Status::InDoubt);
    let near = !state.offers.is_empty()
        || current.as_ref().is_some_and(doubted) && !state.ways_open().is_empty();
    if goes_back && near {
        keys.push(key("B", WAYS_BACK, "go back…"));
    }
    if let Some(row) = super::base::asked_again(model, state) {
        // On that row the key is about the row, not about the step in hand.
        keys.retain(|k| k.keys != "r");
        keys.push(match state.outdated(&row, state.at) {
            true => act("r", "run the row's step again: what it kept is too old", "run again"),
            false => act("r", "ask again whether the row's step is needed", "ask again"),
        });
    }
    if state.ended.is_none() {
        keys.push(match state.line_held {
            Some(_) if state.breached().next().is_some() => act(
                "h",
                "free the line; what is breached stays a gate of every step",
                "free the line",
            ),
            Some(_) => act("h", "free the line; asks once more", "free the line"),
            None => act("h", "hold the line: nothing new starts; with a reason", "hold the line"),
        });
    }
    pane(&mut keys, model, state);
    keys.push(key("Tab S-Tab", "the next pane, the one before", "pane"));
    keys.push(key("0 1 2 4 5", "checklist, raft, storage, pods, step", ""));
    keys.push(key("z", "this pane alone, with all its text; again: all of them", ""));
    if model.zoomed || !model.follows || !model.view(model.focus).filter.is_empty() {
        keys.push(key("Esc", "back: no filter, no zoom, to the step in hand", ""));
    }
    if goes_back {
        if !near {
            keys.push(key("B", WAYS_BACK, ""));
        }
        if state.going_back() {
            keys.push(act("F", "forward again, while nothing was done on the way back", ""));
        }
        keys.push(act("A", "abort the run, with a reason", ""));
    }
    if state.ended.is_none() {
        keys.push(act("W", "set the change window: when it starts and ends", ""));
        keys.push(key(":", "a command: take the cluster's lease over, move the journal", ""));
    }
    if state.redlined.is_some() {
        keys.push(key("R", "what of the runbook was changed since the run began", ""));
    }
    keys.push(key("?", "these keys", "help"));
    keys.push(match state.ended {
        None => key("q", "leave; the run stays open in its journal", "leave"),
        Some(_) => key("q", "leave; the run is closed", "leave"),
    });
    keys
}

/// What the step in hand allows.
fn step(keys: &mut Vec<Key>, state: &State, addr: &StepAddr, s: &StepState) {
    let does = state.step(addr).map(|d| &d.does);
    let asks = matches!(does, Some(Does::Choose { .. }));
    let soaks = matches!(does, Some(Does::Soak { .. }));
    match s.status {
        Status::Ready if asks => keys.push(act("Enter", "answer the question", "answer")),
        Status::Ready | Status::Blocked | Status::Confirming if !asks => {
            keys.push(key("Enter", "review the step; it runs nothing", "review"));
            if s.status != Status::Confirming && s.is_done_already() {
                keys.push(act("r", "ask again whether it is needed", "ask again"));
            }
        }
        Status::Shown => keys.push(act("Enter", "it is done; Holdpoint looks", "it is done")),
        Status::InDoubt => {
            if matches!(s.probed, Some((Probed::Done, _))) {
                keys.push(act("a", "accept that it is done, as its probe says", "accept"));
            }
            if !matches!(s.probed, None | Some((Probed::Running, _))) {
                keys.push(act("r", "try it again, from its gates", "retry"));
            }
        }
        Status::Failed => keys.push(act("r", "try it again, from its gates", "retry")),
        _ => {}
    }
    let asked = state.step(addr).is_some_and(|step| step.poll.is_some());
    if asked && legal(s.status, Move::Poll).is_ok() {
        keys.push(act("p", "write down who says go or no-go", "go/no-go…"));
    }
    if !detail::commands(state, addr).is_empty() {
        keys.push(key("c", "its commands, unwrapped", "command"));
        keys.push(key("y", "copy its commands", ""));
    }
    if s.status == Status::Shown || s.status == Status::Verifying && s.way == Way::Elsewhere {
        keys.push(act("u", "take back: it was not done elsewhere", "take back"));
    }
    match s.status {
        Status::Running if soaks => {
            keys.push(act("s", "end the soak early, with a reason", "end the soak…"));
        }
        // It is let end, or ended, before anything else.
        Status::InDoubt if matches!(s.probed, None | Some((Probed::Running, _))) => {}
        Status::Ready | Status::Blocked | Status::Failed | Status::InDoubt | Status::Shown => {
            keys.push(act("s", "skip the step, with a reason", "skip…"));
        }
        _ => {}
    }
}

/// What the focused pane allows.
fn pane(keys: &mut Vec<Key>, model: &Model, state: &State) {
    if let Some(entry) = panes::selected(model, state) {
        keys.push(key("d", "describe the row, with its events", "describe"));
        if entry.kind == "Pod" {
            keys.push(key("l L", "its log; of the container before", "logs"));
        }
    }
    keys.push(key("j k g G", "down, up, first, last (arrows too)", ""));
    match model.focus.is_table() {
        true => keys.push(key("/", "only rows with a text", "filter")),
        false => keys.push(key("/", "look for a text", "find")),
    }
    if !model.view(model.focus).filter.is_empty() {
        keys.push(key("n N", "the next match, the one before", "match"));
    }
    if matches!(model.focus, Pane::Storage | Pane::Pods) {
        keys.push(key("o", "the next order of rows", "order"));
    }
    if model.focus == Pane::Storage {
        keys.push(key("v", "to the volumes, and back to the claims", "volumes"));
    }
}

fn review(open: &Review, state: &State) -> Vec<Key> {
    let Some(s) = state.steps.get(&open.step) else { return Vec::new() };
    match s.status {
        Status::Confirming => {}
        Status::Released => return vec![key("Esc", "close; it goes on", "close; it goes on")],
        _ => {
            return vec![
                key("Enter", "review the step as it is now", "review it as it is now"),
                key("Esc", "not now", "not now"),
            ];
        }
    }
    let mut keys = Vec::new();
    if state.releasable(&open.step).is_ok() {
        keys.push(act("Enter", "release it, and run it", "release and run"));
    }
    if s.gates.iter().any(|g| s.lacks(g)) {
        keys.push(act("Tab", "override a gate, with a reason", "override a gate…"));
    }
    keys.push(key("Esc", "not now", "not now"));
    if state.confirm_text(&open.step).is_empty() {
        keys.push(key("F2 c", "its commands, unwrapped", "commands"));
    } else {
        keys.push(key("F2", "its commands, unwrapped", "commands"));
    }
    keys.push(key("PgDn PgUp", "read on", "read on"));
    keys
}

fn command(step: &StepAddr, state: &State) -> Vec<Key> {
    let mut keys = match state.steps.get(step).map(|s| s.status) {
        Some(Status::Confirming) if state.showable(step).is_ok() => {
            vec![act("m", "I run it myself", "I run it myself")]
        }
        Some(Status::Shown) => vec![act("D", "it is done; Holdpoint looks", "it is done")],
        _ => vec![],
    };
    if !detail::commands(state, step).is_empty() {
        keys.push(key("y", "copy them", "copy"));
    }
    keys.push(key("j k PgDn PgUp", "scroll", ""));
    keys.push(key("Esc q c", "back", "back"));
    keys
}
