//! What comes by itself at its times, and that Kubernetes does not know of.

use crate::event::{Schedule, Span, Time, Zone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a site's own clockwork does: the pool's snapshots at 03:00.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// What it is, for people.
    pub name: String,
    /// When it begins, as a cron line: `0 3 * * *`.
    pub schedule: String,
    /// The zone of that line, as in `Europe/Berlin`; UTC if nothing is said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// How long it takes; nothing begins meanwhile.
    #[serde(default)]
    pub takes: Span,
}

impl Scheduled {
    /// Its line and zone, or why they cannot be read.
    pub fn read(&self) -> Result<(Schedule, Zone), String> {
        read(&self.schedule, &self.zone)
    }

    /// When it began, if it may still go on.
    #[must_use]
    pub fn goes_on(&self, schedule: &Schedule, zone: Zone, now: Time) -> Option<Time> {
        let began = schedule.after(now - self.takes, zone)?;
        (began <= now).then_some(began)
    }
}

/// A cron line with its zone.
pub fn read(schedule: &str, zone: &str) -> Result<(Schedule, Zone), String> {
    let line = Schedule::parse(schedule);
    let line = line.ok_or_else(|| format!("`{schedule}` is no cron line of five fields"))?;
    Ok((line, zone.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_as_long_as_it_takes() {
        let takes = Span::secs(1200);
        let (name, schedule, zone) = ("x".into(), "0 3 * * *".into(), "Europe/Berlin".into());
        let snapshots = Scheduled { name, schedule, zone, takes };
        let (line, zone) = snapshots.read().unwrap();
        let at = |text: &str| snapshots.goes_on(&line, zone, text.parse().unwrap());
        assert_eq!(at("2026-04-25T00:59:59Z"), None);
        assert!(at("2026-04-25T01:00:00Z").is_some() && at("2026-04-25T01:19:59Z").is_some());
        assert_eq!(at("2026-04-25T01:20:00Z"), None);
        let at_once = Scheduled { takes: Span(0), ..snapshots.clone() };
        assert_eq!(at_once.goes_on(&line, zone, "2026-04-25T01:00:00Z".parse().unwrap()), None);
        let wrong = |schedule: &str, zone: &str| read(schedule, zone).unwrap_err();
        assert!(wrong("@reboot", "").contains("no cron line"));
        assert!(wrong("0 3 * * *", "Berlin").contains("no time zone"));
    }
}
