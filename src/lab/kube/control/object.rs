//! Reading and writing objects as the API's JSON.

use crate::lab::World;
use crate::lab::kube::{KINDS, Key, Kind, kind};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const PODS: &str = "pods";
pub(super) const CLAIMS: &str = "persistentvolumeclaims";
pub(super) const VOLUMES: &str = "persistentvolumes";
pub(super) const NODES: &str = "nodes";
pub(super) const EVENTS: &str = "events";
pub(super) const SECRETS: &str = "secrets";
pub(super) const SETS: &str = "statefulsets.apps";
pub(super) const REVISIONS: &str = "controllerrevisions.apps";
pub(super) const REPLICASETS: &str = "replicasets.apps";
pub(super) const DEPLOYMENTS: &str = "deployments.apps";
pub(super) const JOBS: &str = "jobs.batch";
pub(super) const CRONJOBS: &str = "cronjobs.batch";
pub(super) const CLASSES: &str = "storageclasses.storage.k8s.io";
pub(super) const ATTACHMENTS: &str = "volumeattachments.storage.k8s.io";
pub(super) const CSI_NODES: &str = "csinodes.storage.k8s.io";

/// Changes an object's status, if it is there: `change` has nothing else of it. One whose status
/// stays, as most do whenever somebody looks, is not copied.
pub(super) fn report(world: &mut World, key: &Key, change: impl FnOnce(&mut Value)) {
    let Some(old) = world.store.get(key) else { return };
    let status = ("status".to_owned(), old["status"].clone());
    let mut part = Value::Object([status].into_iter().collect());
    change(&mut part);
    let status = part["status"].take();
    if status != old["status"] {
        let _gone = world.store.update(key, |object| object["status"] = status);
    }
}

/// A kind by one of the names above; a test holds them against the table.
pub(super) fn known(id: &str) -> &'static Kind {
    kind(id).unwrap_or(&KINDS[0])
}

/// The place of an object.
pub(super) fn key(id: &str, namespace: &str, name: &str) -> Key {
    Key::new(known(id), namespace, name)
}

/// The place of an object by the object itself.
pub(super) fn key_of(object: &Value) -> Option<Key> {
    let kind = KINDS.iter().find(|k| {
        k.kind == text(&object["kind"]) && k.api_version() == text(&object["apiVersion"])
    })?;
    Some(Key::new(kind, namespace(object), name(object)))
}

/// All objects of a kind, of one namespace or of all.
pub(super) fn all(world: &World, id: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
    world.store.list(known(id), namespace).map(|(_, o)| Arc::clone(o)).collect()
}

pub(super) fn get(world: &World, id: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
    world.store.get(&key(id, namespace, name))
}

/// A text, empty if it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list, none if it is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

pub(super) fn namespace(object: &Value) -> &str {
    text(&object["metadata"]["namespace"])
}

pub(super) fn uid(object: &Value) -> &str {
    text(&object["metadata"]["uid"])
}

/// Whether it is being deleted.
pub(super) fn marked(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(super) fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    text(&object["metadata"]["annotations"][name])
}

pub(super) fn has_finalizer(object: &Value, name: &str) -> bool {
    list(&object["metadata"]["finalizers"]).iter().any(|f| f == name)
}

/// Adds a finalizer, last.
pub(super) fn add_finalizer(object: &mut Value, name: &str) {
    match &mut object["metadata"]["finalizers"] {
        Value::Array(all) => all.push(json!(name)),
        none => *none = json!([name]),
    }
}

/// Removes a finalizer, and the list with the last one.
pub(super) fn remove_finalizer(object: &mut Value, name: &str) {
    retain(object, "finalizers", |f| f != name);
}

/// Keeps some items of a list in the metadata; an empty list is left out.
pub(super) fn retain(object: &mut Value, field: &str, keep: impl FnMut(&Value) -> bool) {
    if let Value::Object(meta) = &mut object["metadata"] {
        let empty = meta.get_mut(field).and_then(Value::as_array_mut).is_some_and(|all| {
            all.retain(keep);
            all.is_empty()
        });
        if empty {
            meta.remove(field);
        }
    }
}

/// Whether a label selector selects these labels. An empty one selects nothing here: no
/// controller has one.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let exact = selector["matchLabels"].as_object();
    let terms = list(&selector["matchExpressions"]);
    if exact.is_none_or(serde_json::Map::is_empty) && terms.is_empty() {
        return false;
    }
    let holds = |term: &Value| {
        let has = &labels[text(&term["key"])];
        let within = list(&term["values"]).contains(has);
        match text(&term["operator"]) {
            "In" => within,
            "NotIn" => !within,
            "Exists" => !has.is_null(),
            _ => has.is_null(),
        }
    };
    exact.into_iter().flatten().all(|(name, value)| labels[name] == *value)
        && terms.iter().all(holds)
}

/// The status of a condition, `True`, `False` or empty.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let all = list(&object["status"]["conditions"]);
    all.iter().find(|c| c["type"] == kind).map_or("", |c| text(&c["status"]))
}

/// Bytes of an amount: `2Gi`, `500M`, `1024`.
pub(super) fn bytes(amount: &Value) -> u64 {
    let amount = text(amount);
    let end = amount.find(|c: char| !c.is_ascii_digit()).unwrap_or(amount.len());
    let (number, unit) = amount.split_at(end);
    let size = match unit {
        "k" => 1000,
        "M" => 1000_u64.pow(2),
        "G" => 1000_u64.pow(3),
        "T" => 1000_u64.pow(4),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => 1,
    };
    number.parse::<u64>().unwrap_or(0).saturating_mul(size)
}

/// A short name for a value, as controllers append it: no vowels, so that it is no word.
pub(super) fn hash(value: &Value, collisions: i64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut sum: u32 = 0x811c_9dc5;
    let mut feed = |text: &str| {
        for byte in text.bytes() {
            sum = sum.wrapping_mul(0x0100_0193) ^ u32::from(byte);
        }
    };
    feed(&value.to_string());
    feed(&collisions.to_string());
    let letter = |b: u8| char::from(LETTERS[usize::from(b) % LETTERS.len()]);
    sum.to_string().bytes().map(letter).collect()
}
