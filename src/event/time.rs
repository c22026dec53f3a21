//! Points in time and spans of it, without a clock: values come from outside.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// Clocks are set by so much without anybody's hand, and two of one machine differ by less.
const CLOCKS_DIFFER: Span = Span::secs(5);

/// A point in time, milliseconds since the Unix epoch, UTC.
///
/// As text it is RFC 3339 with exactly three decimals, `2026-04-25T16:18:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// The time since `earlier`; zero where `earlier` lies in the future (clocks of
    /// two machines differ, and an age below zero would only alarm).
    #[must_use]
    pub fn since(self, earlier: Time) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How long ago `at` was; none where it lies ahead by more than clocks differ: then the clock was
    /// set back since, and nobody knows.
    #[must_use]
    pub fn age(self, at: Time) -> Option<Span> {
        (at.since(self) <= CLOCKS_DIFFER).then(|| self.since(at))
    }

    /// The calendar reading that jiff formats; the epoch for what jiff cannot hold.
    #[must_use]
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl From<jiff::Timestamp> for Time {
    fn from(t: jiff::Timestamp) -> Self {
        Self(t.as_millisecond())
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: times are written a thousand times as often as anything else.
        let at = jiff::tz::Offset::UTC.to_datetime(self.timestamp());
        let (year, month, day) = (at.year(), at.month(), at.day());
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        let sign = if year < 0 { "-" } else { "" };
        let (year, thousandths) = (year.unsigned_abs(), at.millisecond());
        write!(
            f,
            "{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{thousandths:03}Z"
        )
    }
}

impl FromStr for Time {
    type Err = jiff::Error;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse::<jiff::Timestamp>().map(Self::from)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "format": "date-time",
            "description": "a point in time, RFC 3339, UTC"
        })
    }
}

/// A span of time in milliseconds.
///
/// As text: one or more of `ms`, `s`, `m`, `h`, as in `90s`, `2h30m`. There is no day
/// unit, because CEL has none either: a week is `168h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

impl Span {
    /// Whole seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// For timers of the async runtime.
    #[must_use]
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// As a person reads an age: `0s`, `59s`, `4m12`, `1h42`, `23d`.
    #[must_use]
    pub fn brief(self) -> String {
        let s = self.0 / 1000;
        match s {
            0..60 => format!("{s}s"),
            60..3600 => format!("{}m{:02}", s / 60, s % 60),
            3600..172_800 => format!("{}h{:02}", s / 3600, s % 3600 / 60),
            _ => format!("{}d", s / 86_400),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut written) = (self.0, false);
        for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
                written = true;
            }
        }
        if written { Ok(()) } else { f.write_str("0s") }
    }
}

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Nothing there.
    #[error("a duration is empty; write for example 90s, 15m or 24h")]
    Empty,
    /// A number without its unit.
    #[error("`{0}` has no unit; write for example {0}s or {0}m")]
    NoUnit(String),
    /// A unit that is not known.
    #[error("`{0}` is no unit of time; use ms, s, m or h (a day is 24h, a week 168h)")]
    Unit(String),
    /// More than can be held.
    #[error("`{0}` is too long a duration")]
    TooLong(String),
}

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(s: &str) -> Result<Self, SpanError> {
        let mut rest = s.trim();
        if rest.is_empty() {
            return Err(SpanError::Empty);
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit());
            let (number, tail) =
                rest.split_at(digits.ok_or_else(|| SpanError::NoUnit(rest.into()))?);
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, next) = tail.split_at(end);
            let size: u64 = match unit {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                other => return Err(SpanError::Unit(other.into())),
            };
            if number.is_empty() {
                return Err(SpanError::Unit(s.into()));
            }
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|n| n.checked_mul(size))
                .and_then(|n| n.checked_add(total))
                .ok_or_else(|| SpanError::TooLong(s.into()))?;
            rest = next;
        }
        Ok(Self(total))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "format": "duration", "pattern": "^([0-9]+(ms|s|m|h))+$",
            "description": "a span of time: 90s, 15m, 2h30m; no day unit, a week is 168h"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_what_they_write() {
        for (text, ms) in
            [("90s", 90_000), ("2h30m", 9_000_000), ("24h", 86_400_000), ("250ms", 250)]
        {
            assert_eq!(text.parse::<Span>(), Ok(Span(ms)), "{text}");
            assert_eq!(Span(ms).to_string().parse::<Span>(), Ok(Span(ms)));
        }
        for bad in ["", "7d", "90", "h", "-1s", "99999999999999999999h"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_utc_with_three_decimals() {
        let t: Time = "2026-04-25T18:18:00.5+02:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-04-25T16:18:00.500Z");
        assert_eq!(serde_json::to_string(&t).unwrap(), "\"2026-04-25T16:18:00.500Z\"");
        assert_eq!(Time(0).since(Time(5000)), Span(0));
    }

    #[test]
    fn what_lies_ahead_has_no_age() {
        let ages = [9000, 0, 5000, 5001].map(|at| Time(0).age(Time(at)));
        assert_eq!(ages, [None, Some(Span(0)), Some(Span(0)), None]);
        assert_eq!(Time(9000).age(Time(1000)), Some(Span(8000)));
    }
}
