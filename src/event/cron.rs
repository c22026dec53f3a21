//! When a cron line is due: minute, hour, day of month, month, day of week, in a time zone.
//! Kubernetes reads such lines for its CronJobs; `@every`, seconds and a zone within the line
//! are none.

use crate::event::{Span, Time};
use chrono::{Offset, TimeZone as _};
use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time zone, from the tables of this very program: what a machine has installed decides
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(chrono_tz::Tz);

impl Default for Zone {
    fn default() -> Self {
        Self(chrono_tz::UTC)
    }
}

impl std::str::FromStr for Zone {
    type Err = String;

    /// Nothing is UTC, as it is for a cluster's controllers.
    fn from_str(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Ok(Self::default());
        }
        let zone = name
            .parse()
            .map_err(|_| format!("`{name}` is no time zone; write one as Europe/Berlin"))?;
        Ok(Self(zone))
    }
}

impl Zone {
    /// The line of that minute alone, on that day of the year.
    #[must_use]
    pub fn line(self, at: Time) -> Option<String> {
        let shown = self.civil(at)?;
        let (minute, hour) = (shown.minute(), shown.hour());
        Some(format!("{minute} {hour} {} {} *", shown.day(), shown.month()))
    }

    /// What clocks there show.
    fn civil(self, time: Time) -> Option<DateTime> {
        let utc = chrono::DateTime::from_timestamp_millis(time.0)?.naive_utc();
        let shift = self.0.offset_from_utc_datetime(&utc).fix().local_minus_utc();
        let shown = Time(time.0 + i64::from(shift) * 1000);
        Some(shown.timestamp().to_zoned(TimeZone::UTC).datetime())
    }

    /// When clocks there show that: once, twice where they are set back, and, where they skip
    /// it, as if they had not yet been set.
    fn times(self, shown: DateTime) -> Vec<Time> {
        let Ok(zoned) = shown.to_zoned(TimeZone::UTC) else { return Vec::new() };
        let as_utc = Time::from(zoned.timestamp());
        let Some(naive) = chrono::DateTime::from_timestamp_millis(as_utc.0) else {
            return Vec::new();
        };
        let at = |t: chrono::DateTime<chrono_tz::Tz>| Time(t.timestamp_millis());
        match self.0.from_local_datetime(&naive.naive_utc()) {
            chrono::LocalResult::Single(t) => vec![at(t)],
            chrono::LocalResult::Ambiguous(early, late) => vec![at(early), at(late)],
            chrono::LocalResult::None => {
                let before = naive - chrono::TimeDelta::hours(3);
                let shift = self.0.offset_from_utc_datetime(&before.naive_utc()).fix();
                vec![Time(as_utc.0 - i64::from(shift.local_minus_utc()) * 1000)]
            }
        }
    }
}

/// A cron line, as sets of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of day are given: either will do.
    either: bool,
}

/// No clock is set back by more.
const BACK: Span = Span::secs(3 * 3600);

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// None for what is no cron line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
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
        // As in Kubernetes: every second day is no longer any day.
        let any =
            |field: &str| field.split(',').any(|part| matches!(part, "*" | "?" | "*/1" | "?/1"));
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
    #[must_use]
    pub fn after(&self, time: Time, zone: Zone) -> Option<Time> {
        // Clocks that are set back show the same twice: from before that on.
        let mut shown = zone.civil(time - BACK)?;
        loop {
            shown = self.shown_after(shown)?;
            let next = zone.times(shown).into_iter().filter(|at| *at > time).min();
            if next.is_some() {
                return next;
            }
        }
    }

    /// The same by a clock that is never set.
    fn shown_after(&self, from: DateTime) -> Option<DateTime> {
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
                return Some(at);
            };
        }
        None
    }

    /// The last time after `since` and not after `now`.
    #[must_use]
    pub fn last(&self, since: Time, now: Time, zone: Zone) -> Option<Time> {
        // From near to far, so that a line for every minute is not counted for years.
        for hours in [1, 24, 32 * 24, 366 * 24, 5 * 366 * 24] {
            let from = (now - Span::secs(hours * 3600)).max(since);
            let mut found = None;
            let mut next = self.after(from, zone);
            while let Some(at) = next.filter(|at| *at <= now) {
                found = Some(at);
                next = self.after(at, zone);
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
        if from > to {
            return None;
        }
        let mut at = Some(from);
        while let Some(number) = at.filter(|at| *at <= to) {
            set |= 1 << number;
            at = number.checked_add(step.unwrap_or(1));
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::{Schedule, Zone};
    use crate::event::Time;

    fn next(line: &str, after: &str) -> String {
        next_in(line, "", after)
    }

    fn next_in(line: &str, zone: &str, after: &str) -> String {
        let (after, zone): (Time, Zone) = (after.parse().unwrap(), zone.parse().unwrap());
        Schedule::parse(line).unwrap().after(after, zone).map_or("never".into(), |t| t.to_string())
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
            // Every second day is no longer any day: that one, or a Sunday.
            ("0 3 */2 * sun", "2026-04-26T03:00:00.000Z"),
            ("0 3 */2 * mon", "2026-04-27T03:00:00.000Z"),
            ("0 3 */1 * mon", "2026-04-27T03:00:00.000Z"),
            ("0 3 */1 * tue", "2026-04-28T03:00:00.000Z"),
            ("0 3 */2 * tue", "2026-04-27T03:00:00.000Z"),
            ("5/4294967295 * * * *", "2026-04-25T16:05:00.000Z"),
        ] {
            assert_eq!(next(line, "2026-04-25T16:00:00Z"), due, "{line}");
        }
        for bad in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "a * * * *", "0 22-2 * * *"]
        {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
    }

    /// Clocks in Berlin skip 02:00 to 03:00 on 2026-03-29, and show it twice on 2026-10-25.
    #[test]
    fn a_zone_sets_its_clocks() {
        for (line, after, due) in [
            ("0 3 * * *", "2026-01-10T12:00:00Z", "2026-01-11T02:00:00.000Z"),
            ("0 3 * * *", "2026-04-25T16:00:00Z", "2026-04-26T01:00:00.000Z"),
            ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00.000Z"),
            ("30 2 * * *", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00.000Z"),
            ("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z"),
            ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00.000Z"),
            ("30 2 * * *", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00.000Z"),
            ("*/10 * * * *", "2026-10-25T00:55:00Z", "2026-10-25T01:00:00.000Z"),
            ("0 0 31 2 *", "2026-10-25T00:55:00Z", "never"),
        ] {
            assert_eq!(next_in(line, "Europe/Berlin", after), due, "{line} after {after}");
        }
        let half = next_in("0 3 * * *", "Asia/Kolkata", "2026-04-25T16:00:00Z");
        assert_eq!(half, "2026-04-25T21:30:00.000Z");
        // Troll shows two hours twice.
        let twice = next_in("30 1 * * *", "Antarctica/Troll", "2026-10-25T01:00:00Z");
        assert_eq!(twice, "2026-10-25T01:30:00.000Z");
    }

    #[test]
    fn a_minute_has_a_line_of_its_own() {
        let at: Time = "2026-04-25T22:05:00Z".parse().unwrap();
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        assert_eq!(berlin.line(at).as_deref(), Some("5 0 26 4 *"));
    }

    #[test]
    fn the_last_time_is_the_latest_one() {
        let time = |t: &str| t.parse::<Time>().unwrap();
        let weekly = Schedule::parse("0 2 * * 0").unwrap();
        let now = time("2026-04-25T16:00:00Z");
        assert_eq!(
            weekly.last(time("2025-01-01T00:00:00Z"), now, Zone::default()),
            Some(time("2026-04-19T02:00:00Z"))
        );
        assert_eq!(weekly.last(time("2026-04-19T02:00:00Z"), now, Zone::default()), None);
        let each = Schedule::parse("* * * * *").unwrap();
        assert_eq!(each.last(time("2000-01-01T00:00:00Z"), now, Zone::default()), Some(now));
        // Years ago, but not more than five.
        let leap = Schedule::parse("0 0 29 2 *").unwrap();
        let last = |now: &str| leap.last(time("2000-01-01T00:00:00Z"), time(now), Zone::default());
        assert_eq!(last("2026-04-25T16:00:00Z"), Some(time("2024-02-29T00:00:00Z")));
        assert_eq!(last("2103-04-25T16:00:00Z"), None);
    }
}
