//! What goes wrong with the backup's CronJob.

use super::each;
use crate::event::{Span, Time, Zone};
use crate::lab::{World, kube};
use serde_json::{Map, Value, json};

/// For a month every run of the backup was begun and failed; over, the last one succeeded.
pub(super) fn stale(world: &mut World, fail: bool) {
    let namespace = world.stage.namespace.clone();
    each(world, "jobs.batch", &namespace, |job, _| {
        let (now, was) = if fail { ("Failed", "Complete") } else { ("Complete", "Failed") };
        let conditions = job["status"]["conditions"].as_array_mut();
        for condition in conditions.into_iter().flatten().filter(|c| c["type"] == was) {
            condition["type"] = json!(now);
        }
    });
    let age = Span::secs(if fail { 31 } else { 2 } * 86_400);
    each(world, "cronjobs.batch", &namespace, |job, now| {
        let at = json!(kube::stamp(now - age));
        job["status"]["lastSuccessfulTime"] = at;
    });
}

/// It is due in the next minute, in its own time zone; over, when it was before.
pub(super) fn due(world: &mut World, fault: &str, on: bool) {
    let namespace = world.stage.namespace.clone();
    if on && world.stage.before.contains_key(fault) {
        return;
    }
    let before = world.stage.before.remove(fault).unwrap_or_default();
    let was = std::cell::RefCell::new(Map::new());
    each(world, "cronjobs.batch", &namespace, |job, now| {
        let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let spec = &mut job["spec"];
        if !on {
            if before[&name].is_string() {
                spec["schedule"] = before[&name].clone();
            }
            return;
        }
        let zone: Zone = spec["timeZone"].as_str().unwrap_or_default().parse().unwrap_or_default();
        let next = Time(now.0 - now.0.rem_euclid(60_000) + 60_000);
        let Some(line) = zone.line(next) else { return };
        let old = std::mem::replace(&mut spec["schedule"], json!(line));
        was.borrow_mut().insert(name, old);
    });
    if on {
        world.stage.before.insert(fault.to_owned(), Value::Object(was.into_inner()));
    }
}
