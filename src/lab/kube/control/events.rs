//! Events: what `kubectl describe` tells. The same again is counted, and an hour later it is
//! forgotten.

use super::object::{EVENTS, key, name, namespace, text, uid};
use crate::event::{Span, Time};
use crate::lab::World;
use crate::lab::kube::Key;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// How long an Event lives.
const LIFE: Span = Span::secs(3600);

/// The Events that there are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recorder {
    /// By what they say and about what.
    told: BTreeMap<String, Key>,
    made: VecDeque<(Time, String)>,
}

/// What happened.
pub(super) struct Note<'a> {
    pub warning: bool,
    pub reason: &'a str,
    /// Who says so.
    pub source: &'a str,
    pub message: &'a str,
    /// A kubelet's node.
    pub host: &'a str,
    /// A part of the object: `spec.containers{vault}`.
    pub field: &'a str,
}

/// Something went as it should.
pub(super) fn normal(world: &mut World, about: &Value, source: &str, reason: &str, message: &str) {
    emit(world, about, &Note { warning: false, reason, source, message, host: "", field: "" });
}

/// Something did not.
pub(super) fn warning(world: &mut World, about: &Value, source: &str, reason: &str, message: &str) {
    emit(world, about, &Note { warning: true, reason, source, message, host: "", field: "" });
}

/// Records an Event about an object.
pub(super) fn emit(world: &mut World, about: &Value, note: &Note<'_>) {
    forget(world);
    let saying = [uid(about), note.reason, note.message, note.field].join("\n");
    let now = crate::lab::kube::store::stamp(world.now);
    if let Some(told) = world.control.events.told.get(&saying) {
        let counted = world.store.update(told, |event| {
            event["count"] = json!(event["count"].as_i64().unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now);
        });
        if counted.is_ok() {
            return;
        }
    }
    let place = match namespace(about) {
        "" => "default",
        within => within,
    };
    // The real ones are named after the nanosecond.
    let nanos = u64::try_from(world.now.0).unwrap_or(0).saturating_mul(1_000_000);
    let id = nanos + world.chance.between(0, 999_999);
    let key = key(EVENTS, place, &format!("{}.{id:x}", name(about)));
    let mut source = json!({"component": note.source});
    if !note.host.is_empty() {
        source["host"] = json!(note.host);
    }
    let event = json!({
        "involvedObject": involved(about, note.field),
        "reason": note.reason, "message": note.message, "source": source,
        "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        "type": if note.warning { "Warning" } else { "Normal" },
        "eventTime": null, "reportingComponent": note.source, "reportingInstance": note.host,
    });
    if world.store.create(&key, event, world.now, &mut world.chance).is_ok() {
        world.control.events.told.insert(saying.clone(), key);
        world.control.events.made.push_back((world.now, saying));
    }
}

fn involved(about: &Value, field: &str) -> Value {
    let mut involved = json!({
        "kind": about["kind"], "name": name(about), "uid": uid(about),
        "apiVersion": about["apiVersion"], "resourceVersion": about["metadata"]["resourceVersion"],
    });
    if !text(&about["metadata"]["namespace"]).is_empty() {
        involved["namespace"] = json!(namespace(about));
    }
    if !field.is_empty() {
        involved["fieldPath"] = json!(field);
    }
    involved
}

/// Old Events go when a new one comes, so that a world in which nothing happens has nothing
/// to do.
fn forget(world: &mut World) {
    let recorder = &mut world.control.events;
    while recorder.made.front().is_some_and(|(at, _)| world.now.since(*at) >= LIFE) {
        let Some((_, saying)) = recorder.made.pop_front() else { return };
        if let Some(key) = recorder.told.remove(&saying) {
            world.store.remove(&key);
        }
    }
}
