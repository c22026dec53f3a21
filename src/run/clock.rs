//! The clock that a run goes by. It may be set, the machine may sleep, and another one may take the
//! run up: what is counted is what was looked at, and a clock that was set back is said.

use crate::event::{Event, Span, Time};
use crate::run::state::State;

/// Time between two looks counts as observed only up to this: what was not looked at was not
/// observed.
const LONGEST: Span = Span::secs(15);

/// What of the time since the last look counts as observed.
pub(super) fn observed(last: Option<Time>, now: Time) -> Span {
    last.map_or(Span(0), |last| now.since(last)).min(LONGEST)
}

/// The same for a guard, which may count as breached after less than the longest gap: one that is longer
/// counts as nothing.
pub(super) fn watched(last: Time, now: Time) -> Span {
    match now.since(last) {
        gap if gap <= LONGEST => gap,
        _ => Span(0),
    }
}

impl State {
    /// Now, by what the clock says: one that is a little behind the last entry waits for it, since
    /// entries' times never run back, but where one says that they do.
    #[must_use]
    pub fn now(&self, clock: Time) -> Time {
        if self.was_set_back(clock) { clock } else { clock.max(self.at) }
    }

    /// The clock is before the last entry by more than clocks differ.
    #[must_use]
    pub fn was_set_back(&self, clock: Time) -> bool {
        clock.age(self.at).is_none()
    }
}

/// It is said, and holds the line: a window, a poll, evidence and whatever else counts from a point in
/// time would last longer by as much, so somebody looks which time is right.
pub(super) fn set_back(state: &State, now: Time) -> Vec<Event> {
    if !state.was_set_back(now) {
        return Vec::new();
    }
    let mut events = vec![Event::ClockSetBack { before: state.at }];
    if state.line_held.is_none() {
        let by = state.at.since(now).brief();
        let reason = format!(
            "the clock was set back {by}: see which time is right, and whether the window is, then free the line"
        );
        events.push(Event::LineHeld { reason });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the longest gap all counts; of a longer one so much, or for a guard nothing.
    #[test]
    fn a_gap_counts_up_to_the_longest() {
        let after = |ms: i64| Time(1_000 + ms);
        let (long, longer) = (after(15_000), after(15_001));
        assert_eq!((watched(Time(1_000), long), watched(Time(1_000), longer)), (LONGEST, Span(0)));
        for now in [long, longer] {
            assert_eq!(observed(Some(Time(1_000)), now), LONGEST);
        }
        assert_eq!(
            (observed(None, long), observed(Some(Time(1_000)), after(7))),
            (Span(0), Span(7))
        );
    }
}
