//! When a cron line is due: minute, hour, day of month, month, day of week, in UTC.

use crate::event::{Span, Time};
use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A cron line, as sets of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of day are given: either will do.
    either: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// None for what is no cron line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = match line.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
        let weekdays = set(weekday, 0, 7, &WEEKDAYS, 0)?;
        let any = |field: &str| field.starts_with(['*', '?']);
        Some(Self {
            minutes: set(minute, 0, 59, &[], 0)?,
            hours: set(hour, 0, 23, &[], 0)?,
            days: set(day, 1, 31, &[], 0)?,
            months: set(month, 1, 12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | weekdays >> 7 & 1,
            either: !any(day) && !any(weekday),
        })
    }

    /// The first time after that one; none if there is none within five years.
    pub(super) fn after(&self, time: Time) -> Option<Time> {
        let from = time.timestamp().to_zoned(TimeZone::UTC).datetime();
        let last = from.checked_add(5.years()).ok()?;
        let mut at = from.with().second(0).subsec_nanosecond(0).build().ok()?;
        at = at.checked_add(1.minute()).ok()?;
        while at < last {
            let midnight = || at.with().hour(0).minute(0).build();
            at = if !has(self.months, at.month()) {
                midnight().ok()?.first_of_month().checked_add(1.month()).ok()?
            } else if !self.day(at) {
                midnight().ok()?.checked_add(1.day()).ok()?
            } else if !has(self.hours, at.hour()) {
                at.with().minute(0).build().ok()?.checked_add(1.hour()).ok()?
            } else if !has(self.minutes, at.minute()) {
                at.checked_add(1.minute()).ok()?
            } else {
                return at.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp().into());
            };
        }
        None
    }

    /// The last time after `since` and not after `now`.
    pub(super) fn last(&self, since: Time, now: Time) -> Option<Time> {
        // From near to far, so that a line for every minute is not counted for years.
        for hours in [1, 24, 32 * 24, 366 * 24, 5 * 366 * 24] {
            let from = (now - Span::secs(hours * 3600)).max(since);
            let mut found = None;
            let mut next = self.after(from);
            while let Some(at) = next.filter(|at| *at <= now) {
                found = Some(at);
                next = self.after(at);
            }
            if found.is_some() || from == since {
                return found;
            }
        }
        None
    }

    fn day(&self, at: DateTime) -> bool {
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, at.weekday().to_sunday_zero_offset());
        if self.either { day || weekday } else { day && weekday }
    }
}

fn has(set: u64, number: i8) -> bool {
    set >> number & 1 == 1
}

/// `*`, `?`, numbers, names, ranges, steps and lists of these.
fn set(field: &str, low: u32, high: u32, names: &[&str], first: u32) -> Option<u64> {
    let number = |text: &str| {
        let named = names.iter().position(|n| text.eq_ignore_ascii_case(n));
        let named = named.and_then(|at| u32::try_from(at).ok()).map(|at| at + first);
        named.or_else(|| text.parse().ok()).filter(|n| (low..=high).contains(n))
    };
    let mut set = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|s| *s > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/10` goes on to the end.
            None => (number(range)?, if step.is_some() { high } else { number(range)? }),
        };
        let mut at = from;
        while at <= to {
            set |= 1 << at;
            at += step.unwrap_or(1);
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::event::Time;

    fn next(line: &str, after: &str) -> String {
        let after: Time = after.parse().unwrap();
        Schedule::parse(line).unwrap().after(after).map_or("never".into(), |t| t.to_string())
    }

    #[test]
    fn lines_are_due_when_they_say() {
        // 2026-04-25 is a Saturday.
        for (line, due) in [
            ("0 2 * * 0", "2026-04-26T02:00:00.000Z"),
            ("0 2 * * 7", "2026-04-26T02:00:00.000Z"),
            ("0 0 * * *", "2026-04-26T00:00:00.000Z"),
            ("0 3 * * *", "2026-04-26T03:00:00.000Z"),
            ("*/15 * * * *", "2026-04-25T16:15:00.000Z"),
            ("5/20 16 * * *", "2026-04-25T16:05:00.000Z"),
            ("30 6-8,20 * * mon-fri", "2026-04-27T06:30:00.000Z"),
            ("0 0 29 feb *", "2028-02-29T00:00:00.000Z"),
            ("0 12 13 * fri", "2026-05-01T12:00:00.000Z"),
            ("@monthly", "2026-05-01T00:00:00.000Z"),
            ("0 0 31 2 *", "never"),
        ] {
            assert_eq!(next(line, "2026-04-25T16:00:00Z"), due, "{line}");
        }
        for bad in ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "a * * * *"] {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_last_time_is_the_latest_one() {
        let time = |t: &str| t.parse::<Time>().unwrap();
        let weekly = Schedule::parse("0 2 * * 0").unwrap();
        let now = time("2026-04-25T16:00:00Z");
        assert_eq!(
            weekly.last(time("2025-01-01T00:00:00Z"), now),
            Some(time("2026-04-19T02:00:00Z"))
        );
        assert_eq!(weekly.last(time("2026-04-19T02:00:00Z"), now), None);
        let each = Schedule::parse("* * * * *").unwrap();
        assert_eq!(each.last(time("2000-01-01T00:00:00Z"), now), Some(now));
    }
}
