//! What holds for all objects, whatever their kind.

use super::Kind;
use super::store::{Deleting, Denied};
use crate::event::Time;
use serde_json::{Map, Value, json};

/// The object's `metadata`, made if it is missing.
pub fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

/// A time as Kubernetes writes it: whole seconds.
#[must_use]
pub fn stamp(at: Time) -> String {
    at.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn has_generation(kind: &Kind) -> bool {
    matches!(kind.group, "apps" | "batch") || kind.id == "pods"
}

/// Marked, and nothing holds it any more.
pub(super) fn goes(object: &Value) -> bool {
    let meta = &object["metadata"];
    let free = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    !meta["deletionTimestamp"].is_null()
        && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && free(&meta["finalizers"])
        // A namespace is held by what lies in it.
        && free(&object["spec"]["finalizers"])
}

pub(super) fn preconditions(object: &Value, how: &Deleting) -> Result<(), Denied> {
    let meta = &object["metadata"];
    let is = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
    if let Some(uid) = how.uid.as_ref().filter(|u| **u != is("uid")) {
        return Err(Denied::Conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            is("uid")
        )));
    }
    if let Some(version) = how.version.as_ref().filter(|v| **v != is("resourceVersion")) {
        return Err(Denied::Conflict(format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
            is("resourceVersion")
        )));
    }
    Ok(())
}
