//! The change window as a gate of every step that acts. It bounds releases, not soaks: a run
//! may span several windows, each set by a person.

use crate::event::{Event, GateJudged, Judged, Observed, Slot, Span, StepAddr, Time, Verdict};
use crate::run::decide::reasonable;
use crate::run::intent::Refusal;
use crate::run::state::State;

/// The gate's id.
pub const WINDOW: &str = "window";
/// How it says that it has not begun.
const OPENS: &str = "it opens in";

/// Another window, from now on. One that takes the place of another opens or closes it early or late,
/// as an override would: it has its reason.
pub(super) fn set(
    state: &State,
    window: Slot,
    reason: &str,
    now: Time,
) -> Result<Vec<Event>, Refusal> {
    if window.end <= window.start || window.end <= now {
        return Err(Refusal::new("that window is over already; name one that is to come, or now"));
    }
    if let Some(until_now) = state.window.filter(|_| reason.trim().is_empty()) {
        return Err(Refusal::new(format!(
            "the change window is {until_now}; say why another one takes its place"
        )));
    }
    if !reason.is_empty() {
        reasonable(reason)?;
    }
    Ok(vec![Event::WindowSet { window, reason: reason.to_owned() }])
}

/// Judged for a step that acts and goes forward: the reserve is there for going back.
pub(super) fn gate(state: &State, addr: &StepAddr, now: Time) -> Option<GateJudged> {
    let window = state.window?;
    let acts = state.step(addr)?.acts();
    if !acts || state.going_back() {
        return None;
    }
    let why = match now < window.start {
        true => format!(
            "{OPENS} {}: wait, or set another with a reason",
            window.start.since(now).brief()
        ),
        false => lacks(state, window, now).unwrap_or_default(),
    };
    let verdict = if why.is_empty() { Verdict::Pass } else { Verdict::Fail };
    Some(GateJudged {
        gate: WINDOW.into(),
        says: "the change window has time for it".into(),
        judged: Judged { verdict, why, values: values(state, window, now), at: now },
    })
}

/// Why it has no time for going forward, once it has begun.
fn lacks(state: &State, window: Slot, now: Time) -> Option<String> {
    let reserve = state.runbook.window.map_or(Span(0), |w| w.backout_reserve);
    let (left, needed) = (window.end.since(now), state.up_to_soak(now));
    let lacks = if left == Span(0) {
        format!("it ended {} ago: set the next one, or go back", now.since(window.end).brief())
    } else if left < reserve {
        format!("{} left, {reserve} are kept for going back: go back, or override", left.brief())
    } else if left < needed {
        format!(
            "{} left, the steps up to the next soak or the end take {needed} or more: go back, or override",
            left.brief()
        )
    } else {
        return None;
    };
    Some(lacks)
}

fn values(state: &State, window: Slot, now: Time) -> Vec<Observed> {
    let value = |name: &str, value: String| Observed { name: name.into(), value, at: None };
    let mut values = vec![
        value("window.start", window.start.to_string()),
        value("window.end", window.end.to_string()),
        value("window.left", window.end.since(now).brief()),
    ];
    let set = state.window_why.as_ref();
    values.extend(set.map(|(why, by)| value("window.set", format!("by {by}: {why}"))));
    values
}

/// What offers a way back: the window has begun, and has no time for what is left to do.
pub(super) fn short(state: &State, now: Time) -> Option<Judged> {
    let window = state.window.filter(|w| now >= w.start)?;
    let why = lacks(state, window, now)?;
    Some(Judged { verdict: Verdict::Pass, why, values: values(state, window, now), at: now })
}

/// Nothing covers a window that has not begun: also not what was overridden while another was set, or
/// before the clock went back.
pub(super) fn is_early(gate: &GateJudged) -> bool {
    gate.gate == WINDOW && gate.judged.why.starts_with(OPENS)
}

/// Why its gate is not overridden: before its start a window is waited for, or another is set.
pub(super) fn early(state: &State, gate: &str, now: Time) -> Option<Refusal> {
    let window = state.window.filter(|w| gate == WINDOW && now < w.start)?;
    Some(Refusal::new(format!(
        "the change window opens at {}; nothing starts early: wait, or set another window with a reason",
        window.start
    )))
}
