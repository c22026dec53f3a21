//! A change window: from when to when steps may be released.

use crate::event::{Span, Time};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A change window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// From then on.
    pub start: Time,
    /// Up to then.
    pub end: Time,
}

/// Why a text is no change window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// It cannot be read.
    #[error(
        "`{0}` is no change window; write START or START/END: START is now, +30m or 2026-04-25T22:00:00Z, END is a time like that or a length like 4h"
    )]
    Shape(String),
    /// Nothing says how long it is.
    #[error("the runbook says nothing of how long its window is; write START/END, as now/4h")]
    Length,
    /// It ends before it begins.
    #[error("it would end at {end}, not after its start at {start}")]
    Backwards {
        /// When it would begin.
        start: Time,
        /// When it would end.
        end: Time,
    },
    /// It has ended.
    #[error("it ended at {0} already; name one that is to come, or now")]
    Over(Time),
}

impl Slot {
    /// What a person writes: START or START/END. Without END it is as long as `length`.
    pub fn parse(text: &str, now: Time, length: Option<Span>) -> Result<Self, SlotError> {
        let shape = || SlotError::Shape(text.to_owned());
        let (from, to) = match text.trim().split_once('/') {
            Some((from, to)) => (from.trim(), Some(to.trim())),
            None => (text.trim(), None),
        };
        let start = match (from, from.strip_prefix('+')) {
            ("now", _) => now,
            (_, Some(wait)) => now + wait.parse::<Span>().map_err(|_| shape())?,
            _ => from.parse::<Time>().map_err(|_| shape())?,
        };
        let end = match to {
            None => start + length.ok_or(SlotError::Length)?,
            Some(to) => match to.parse::<Span>() {
                Ok(length) => start + length,
                Err(_) => to.parse::<Time>().map_err(|_| shape())?,
            },
        };
        if end <= start {
            return Err(SlotError::Backwards { start, end });
        }
        if end <= now {
            return Err(SlotError::Over(end));
        }
        Ok(Self { start, end })
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_as_people_write_it() {
        let now: Time = "2026-04-25T20:00:00.000Z".parse().unwrap();
        let long = Some(Span::secs(4 * 3600));
        let read = |text| Slot::parse(text, now, long).unwrap().to_string();
        assert_eq!(read("now"), "2026-04-25T20:00:00.000Z to 2026-04-26T00:00:00.000Z");
        assert_eq!(read("+30m"), "2026-04-25T20:30:00.000Z to 2026-04-26T00:30:00.000Z");
        assert_eq!(read(" now / 90m "), "2026-04-25T20:00:00.000Z to 2026-04-25T21:30:00.000Z");
        let whole = "2026-04-25T22:00:00+02:00/2026-04-26T02:00:00+02:00";
        assert_eq!(read(whole), "2026-04-25T20:00:00.000Z to 2026-04-26T00:00:00.000Z");
        for (text, length, why) in [
            ("tonight", long, "is no change window"),
            ("22:00", long, "is no change window"),
            ("now/later", long, "is no change window"),
            ("now", None, "how long"),
            ("now/2026-04-25T19:00:00Z", long, "not after its start"),
            ("2026-04-25T10:00:00Z", long, "ended at 2026-04-25T14:00:00.000Z"),
        ] {
            let said = Slot::parse(text, now, length).unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
