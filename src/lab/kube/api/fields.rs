//! Whose field is whose: sets of fields as `managedFields` keeps them.

use super::call::Call;
use super::merge::{ListKind, atomic_map, list_kind};
use crate::event::Time;
use crate::lab::kube::store::stamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Fields of an object, as a tree of steps: `f:spec`, `k:{"name":"a"}`, `v:"x"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    here: bool,
    below: BTreeMap<String, Self>,
}

impl Fields {
    /// The fields that an object sets. `maps`: a map counts itself as well, as it does for
    /// whoever updates; for whoever applies only what is in it counts.
    pub fn of(object: &Value, maps: bool) -> Self {
        let mut all = Self::default();
        for (name, value) in object.as_object().into_iter().flatten() {
            if matches!(name.as_str(), "apiVersion" | "kind") {
                continue;
            }
            let below =
                if name == "metadata" { meta(value, maps) } else { tree(value, "", name, maps) };
            all.put(format!("f:{name}"), below);
        }
        // Parts of an object are nobody's.
        for part in ["f:metadata", "f:spec", "f:status"] {
            if let Some(part) = all.below.get_mut(part)
                && !part.below.is_empty()
            {
                part.here = false;
            }
        }
        all
    }

    fn put(&mut self, step: String, below: Self) {
        if below.here || !below.below.is_empty() {
            self.below.insert(step, below);
        }
    }

    pub fn is_empty(&self) -> bool {
        !self.here && self.below.is_empty()
    }

    /// From `fieldsV1`.
    pub fn read(v1: &Value) -> Self {
        let mut fields = Self::default();
        let map = v1.as_object();
        fields.here = map.is_none_or(|m| m.is_empty() || m.contains_key("."));
        for (step, below) in map.into_iter().flatten().filter(|(step, _)| *step != ".") {
            fields.below.insert(step.clone(), Self::read(below));
        }
        fields
    }

    /// As `fieldsV1`.
    pub fn write(&self) -> Value {
        let mut map = Map::new();
        if self.here && !self.below.is_empty() {
            map.insert(".".into(), json!({}));
        }
        for (step, below) in &self.below {
            map.insert(step.clone(), below.write());
        }
        Value::Object(map)
    }

    /// Without those.
    pub fn without(&self, others: &Self) -> Self {
        let mut rest = Self { here: self.here && !others.here, ..Self::default() };
        for (step, below) in &self.below {
            let left = others.below.get(step).map_or_else(|| below.clone(), |o| below.without(o));
            rest.put(step.clone(), left);
        }
        rest
    }

    /// Those that are in both.
    pub fn both(&self, others: &Self) -> Self {
        let mut shared = Self { here: self.here && others.here, ..Self::default() };
        for (step, below) in &self.below {
            if let Some(other) = others.below.get(step) {
                shared.put(step.clone(), below.both(other));
            }
        }
        shared
    }

    /// With those.
    pub fn with(mut self, others: &Self) -> Self {
        self.here |= others.here;
        for (step, below) in &others.below {
            let own = self.below.remove(step).unwrap_or_default();
            self.below.insert(step.clone(), own.with(below));
        }
        self
    }

    /// Every field that is meant itself, as steps.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        if self.here {
            found.push(Vec::new());
        }
        for (step, below) in &self.below {
            found.extend(below.paths().into_iter().map(|mut path| {
                path.insert(0, step.clone());
                path
            }));
        }
        found
    }
}

fn leaf() -> Fields {
    Fields { here: true, ..Fields::default() }
}

/// Of metadata, only what people set.
fn meta(value: &Value, maps: bool) -> Fields {
    const PLAIN: [&str; 5] =
        ["labels", "annotations", "finalizers", "ownerReferences", "generateName"];
    let mut all = Fields::default();
    for name in PLAIN.iter().filter(|name| !value[**name].is_null()) {
        all.put(format!("f:{name}"), tree(&value[*name], "metadata", name, maps));
    }
    all
}

fn tree(value: &Value, parent: &str, name: &str, maps: bool) -> Fields {
    match value {
        Value::Object(map) if !map.is_empty() && !atomic_map(name) => {
            let mut all = Fields { here: maps, ..Fields::default() };
            for (field, value) in map {
                all.put(format!("f:{field}"), tree(value, name, field, maps));
            }
            all
        }
        Value::Array(list) if !list.is_empty() => match list_kind(parent, name) {
            ListKind::Atomic => leaf(),
            ListKind::Set => {
                let mut all = Fields { here: maps, ..Fields::default() };
                for item in list {
                    all.put(format!("v:{item}"), leaf());
                }
                all
            }
            ListKind::Keyed(keys) => {
                let mut all = Fields { here: maps, ..Fields::default() };
                for item in list {
                    let mut below = tree(item, "", name, maps);
                    below.here = true;
                    all.put(format!("k:{}", item_key(item, keys)), below);
                }
                all
            }
        },
        _ => leaf(),
    }
}

/// The key of an item: `{"name":"a"}`.
pub fn item_key(item: &Value, keys: &[&str]) -> Value {
    let key = |name: &&str| match (&item[*name], *name) {
        (Value::Null, "protocol") => ("protocol".to_owned(), json!("TCP")),
        (value, name) => (name.to_owned(), value.clone()),
    };
    Value::Object(keys.iter().map(key).collect())
}

/// The value that steps lead to.
pub fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step.split_at(2) {
        ("f:", name) => value.get(name),
        ("k:", key) => {
            let key: Value = serde_json::from_str(key).ok()?;
            value.as_array()?.iter().find(|item| is(item, &key))
        }
        ("v:", wanted) => {
            let wanted: Value = serde_json::from_str(wanted).ok()?;
            value.as_array()?.iter().find(|item| **item == wanted)
        }
        _ => None,
    })
}

/// Whether an item has that key.
pub fn is(item: &Value, key: &Value) -> bool {
    key.as_object().into_iter().flatten().all(|(name, value)| match &item[name] {
        Value::Null => name == "protocol" && *value == json!("TCP"),
        other => other == value,
    })
}

/// A path as a person reads it: `.spec.containers[name="a"].image`.
pub fn readable(path: &[String]) -> String {
    let step = |step: &String| match step.split_at(2) {
        ("k:", key) => {
            let key: Value = serde_json::from_str(key).unwrap_or_default();
            let pairs: Vec<String> =
                key.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", pairs.join(","))
        }
        ("v:", value) => format!("[={value}]"),
        (_, name) => format!(".{name}"),
    };
    path.iter().map(step).collect()
}

/// Notes that an update changed fields: they are the updater's now and nobody else's.
pub fn updated(old: &Value, new: &mut Value, call: &Call, now: Time) {
    let (was, is) = (Fields::of(old, true), Fields::of(new, true));
    let gone = was.without(&is);
    let changed: Vec<_> = is.paths().into_iter().filter(|path| differs(old, new, path)).collect();
    let mut entries = new["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    if changed.is_empty() && gone.is_empty() {
        return;
    }
    let taken = changed.iter().fold(Fields::default(), |all, path| all.with(&single(path)));
    let sub = call.place.sub.as_str();
    let mine = |e: &Value| {
        e["manager"] == json!(call.manager)
            && e["operation"] == json!("Update")
            && e["subresource"].as_str().unwrap_or_default() == sub
    };
    let own = entries.iter().find(|e| mine(e)).map(|e| Fields::read(&e["fieldsV1"]));
    let own = own.unwrap_or_default();
    for entry in entries.iter_mut().filter(|e| !mine(e)) {
        let left = Fields::read(&entry["fieldsV1"]).without(&taken).without(&gone);
        entry["fieldsV1"] = left.write();
    }
    entries.retain(|e| !mine(e) && e["fieldsV1"].as_object().is_some_and(|f| !f.is_empty()));
    let fields = own.without(&gone).with(&taken);
    if !fields.is_empty() {
        entries.push(entry(&call.manager, "Update", call, &fields, now));
    }
    set(new, entries);
}

/// Whether what is at the path changed; a map or an item by being there.
fn differs(old: &Value, new: &Value, path: &[String]) -> bool {
    match (at(old, path), at(new, path)) {
        (Some(Value::Object(a)), Some(Value::Object(b))) if !a.is_empty() && !b.is_empty() => {
            path.last().is_some_and(|s| s.strip_prefix("f:").is_some_and(atomic_map)) && a != b
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if !a.is_empty() && !b.is_empty() => {
            let name = |i: usize| {
                let step = path.len().checked_sub(i).and_then(|i| path.get(i));
                step.and_then(|s| s.strip_prefix("f:")).unwrap_or_default()
            };
            list_kind(name(2), name(1)) == ListKind::Atomic && a != b
        }
        (a, b) => a != b,
    }
}

fn single(path: &[String]) -> Fields {
    match path {
        [] => leaf(),
        [step, rest @ ..] => Fields { here: false, below: [(step.clone(), single(rest))].into() },
    }
}

/// An entry of `managedFields`.
pub fn entry(manager: &str, operation: &str, call: &Call, fields: &Fields, now: Time) -> Value {
    let mut entry = json!({
        "manager": manager, "operation": operation,
        "apiVersion": call.place.kind.api_version(), "time": stamp(now),
        "fieldsType": "FieldsV1", "fieldsV1": fields.write(),
    });
    if !call.place.sub.is_empty() {
        entry["subresource"] = json!(call.place.sub);
    }
    entry
}

/// Puts the entries there, in the order that the real server keeps.
pub fn set(object: &mut Value, mut entries: Vec<Value>) {
    let text = |e: &Value, field: &str| e[field].as_str().unwrap_or_default().to_owned();
    entries.sort_by_key(|e| (text(e, "operation"), text(e, "time"), text(e, "manager")));
    if entries.is_empty() {
        crate::lab::kube::store::metadata(object).remove("managedFields");
    } else {
        object["metadata"]["managedFields"] = json!(entries);
    }
}
