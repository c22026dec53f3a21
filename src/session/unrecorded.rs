//! What goes on when nothing can be recorded any more: the panes follow the world, and a
//! review may be opened for its plan and its command. It is folded in memory and forgotten
//! with the process; nothing that a reader of the journal would have to know happens here.

use crate::event::{Event, Outcome};
use crate::run::{Effect, Intent, Look, Purpose};

/// Whether it may still be asked for, or reported.
pub(super) fn goes_on(intent: &Intent) -> bool {
    matches!(
        intent,
        Intent::Tick
            | Intent::Observed { .. }
            | Intent::Output { .. }
            | Intent::Leased { .. }
            | Intent::Continued
            | Intent::ClockSetBack
            | Intent::Looked { look: Look::Gates(_), .. }
            | Intent::Review { .. }
            | Intent::CloseReview { .. }
            | Intent::Prepared { purpose: Purpose::Review, .. }
    )
}

/// Whether these events only say what is seen; one that does more takes the others with it.
pub(super) fn only_seen(events: &[Event]) -> bool {
    let seen = |event: &Event| {
        matches!(
            event,
            Event::Observed { .. }
                | Event::Output { .. }
                | Event::GuardJudged { .. }
                | Event::GuardBreached { .. }
                | Event::GuardHolds { .. }
                // By a breach: no person's hold comes here.
                | Event::LineHeld { .. }
                | Event::Stopping { .. }
                // What a person does about them waits for the journal.
                | Event::Offered { .. }
                | Event::Withdrawn { .. }
                | Event::Lease { .. }
                | Event::Continued
                | Event::ClockSetBack { .. }
                | Event::GatesJudged { .. }
                | Event::ReviewOpened { .. }
                | Event::ReviewClosed { .. }
                | Event::Proposed { .. }
                | Event::ProposalFailed { .. }
        )
    };
    events.iter().all(seen)
}

/// Whether it reads and does nothing else, or ends what would do more.
pub(super) fn harmless(effect: &Effect) -> bool {
    matches!(effect, Effect::Prepare { purpose: Purpose::Review, .. } | Effect::Stop { .. })
}

/// How an effect ended, in words.
pub(super) fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok => "was done".into(),
        Outcome::Failed(why) => format!("failed: {why}"),
        Outcome::Unknown(why) => format!("may or may not have happened: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EffectId, Judged, Time};

    /// A breach comes with the line that it holds, what it ends, and ways back that come and go: all
    /// are seen, or none would be.
    #[test]
    fn a_breach_is_seen_also_where_nothing_is_recorded() {
        let judged = Judged::inconclusive("no path", Time(0));
        let why = "guard quorum breached".to_owned();
        let mut events = vec![
            Event::GuardBreached { guard: "quorum".into(), judged: judged.clone() },
            Event::LineHeld { reason: why.clone() },
            Event::Stopping { step: "a/b".parse().unwrap(), effect: EffectId(1), why },
            Event::Offered { section: "back".into(), judged },
            Event::Withdrawn { section: "back".into() },
        ];
        assert!(only_seen(&events));
        events.push(Event::LineFreed);
        assert!(!only_seen(&events));
    }
}
