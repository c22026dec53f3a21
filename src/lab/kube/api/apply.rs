//! Server-side apply: who applies a field owns it, and what one no longer applies goes.

use super::call::{Call, Done};
use super::error::{Cause, Refusal};
use super::fields::{self, Fields};
use super::merge::{ListKind, atomic_map, list_kind, same};
use super::{list, patch, typed, write};
use crate::lab::World;
use serde_json::{Value, json};

pub fn apply(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    if call.query.get("fieldManager").is_none() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::options("PatchOptions", cause));
    }
    // An apply's body is YAML by its name; JSON is YAML too.
    let yaml = Call { content: "application/yaml".into(), ..call.clone() };
    let mut wanted = yaml.object()?;
    let warning = typed::admit(call, &mut wanted)?;
    if !wanted["metadata"]["managedFields"].is_null() {
        return Err(Refusal::bad("metadata.managedFields must be nil"));
    }
    let done = |code, object| match warning {
        None => Done::Object(code, object),
        Some(warning) => Done::Warned(code, object, warning),
    };
    let owned = Fields::of(&wanted, false);
    let Ok(old) = list::found(world, call) else {
        return create(world, call, wanted, &owned).map(|object| done(201, object));
    };
    if wanted["metadata"]["name"].is_null() {
        wanted["metadata"]["name"] = json!(call.name());
    }
    patch::unchanged(call.place.kind, &old, &wanted)?;
    let conflicts = conflicts(call, &old, &wanted, &owned);
    if !conflicts.is_empty() && !call.query.flag("force") {
        return Err(refusal(&conflicts));
    }
    let new = merged(call, &old, &wanted, &owned);
    let now = world.now;
    let object = write::replace_as(world, call, &old, new, |old, new| {
        own(call, old, new, &owned, now);
    })?;
    Ok(done(200, object))
}

fn create(
    world: &mut World,
    call: &Call,
    mut wanted: Value,
    owned: &Fields,
) -> Result<Value, Refusal> {
    if !call.place.sub.is_empty() {
        return Err(Refusal::not_found(call.place.kind, call.name()));
    }
    if let Some(uid) = wanted["metadata"]["uid"].as_str().filter(|u| !u.is_empty()) {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Refusal::conflict(call.place.kind, call.name(), &why));
    }
    wanted["metadata"]["name"] = json!(call.name());
    write::make(world, call, wanted, |object, call, now| {
        fields::set(object, vec![fields::entry(&call.manager, "Apply", call, owned, now)]);
    })
}

fn is_mine(entry: &Value, call: &Call) -> bool {
    entry["manager"] == json!(call.manager)
        && entry["operation"] == json!("Apply")
        && entry["subresource"].as_str().unwrap_or_default() == call.place.sub
}

fn entries(object: &Value) -> Vec<Value> {
    object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
}

/// Fields that are another's and would change: in whose words, and which.
fn conflicts(call: &Call, old: &Value, wanted: &Value, owned: &Fields) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in entries(old).iter().filter(|e| !is_mine(e, call)) {
        let theirs = Fields::read(&entry["fieldsV1"]).both(owned);
        for path in theirs.paths() {
            let (is, to_be) = (fields::at(old, &path), fields::at(wanted, &path));
            // An item or a map that is there already is no matter of dispute.
            let inner = path.last().is_some_and(|s| s.starts_with("k:"));
            if is != to_be && !inner {
                found.push((whose(entry), fields::readable(&path)));
            }
        }
    }
    found.sort();
    found
}

fn whose(entry: &Value) -> String {
    let mut who = entry["manager"].to_string();
    if let Some(sub) = entry["subresource"].as_str() {
        who.push_str(&format!(" with subresource \"{sub}\""));
    }
    if entry["operation"] == json!("Update") {
        // The real server leaves the time out too, by clearing it before it compares.
        who.push_str(&format!(" using {}", entry["apiVersion"].as_str().unwrap_or_default()));
    }
    who
}

fn refusal(conflicts: &[(String, String)]) -> Refusal {
    let causes = conflicts.iter().map(|(who, field)| {
        json!({"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": field})
    });
    let message = match conflicts {
        [(who, field)] => format!("Apply failed with 1 conflict: conflict with {who}: {field}"),
        many => {
            let mut lines = Vec::new();
            let mut last = "";
            for (who, field) in many {
                if who != last {
                    lines.push(format!("conflicts with {who}:"));
                    last = who;
                }
                lines.push(format!("- {field}"));
            }
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    Refusal::apply_conflict(&message, causes.collect())
}

/// The object with what is wanted in it and without what its applier no longer wants.
fn merged(call: &Call, old: &Value, wanted: &Value, owned: &Fields) -> Value {
    let mut new = old.clone();
    let mut config = wanted.clone();
    if let Some(meta) = config["metadata"].as_object_mut() {
        let theirs = ["labels", "annotations", "finalizers", "ownerReferences"];
        meta.retain(|name, _| theirs.contains(&name.as_str()));
    }
    put(&mut new, &config, "", "");
    // Another object's is refused.
    if wanted["metadata"]["uid"].is_string() {
        new["metadata"]["uid"] = wanted["metadata"]["uid"].clone();
    }
    let version = wanted["metadata"]["resourceVersion"].clone();
    if !version.is_null() {
        new["metadata"]["resourceVersion"] = version;
    }
    let all = entries(old);
    let before = all.iter().find(|e| is_mine(e, call)).map(|e| Fields::read(&e["fieldsV1"]));
    let others = all
        .iter()
        .filter(|e| !is_mine(e, call))
        .fold(Fields::default(), |all, e| all.with(&Fields::read(&e["fieldsV1"])));
    let gone = before.unwrap_or_default().without(owned).without(&others);
    let mut paths = gone.paths();
    // Inner fields first, so that a list's item goes only after what is in it.
    paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
    for path in paths {
        remove(&mut new, &path, owned, &others);
    }
    new
}

fn put(into: &mut Value, wanted: &Value, parent: &str, name: &str) {
    match wanted {
        Value::Object(map) if !atomic_map(name) => {
            if !into.is_object() {
                *into = json!({});
            }
            for (field, value) in map {
                put(&mut into[field], value, name, field);
            }
        }
        Value::Array(items) if into.is_array() => {
            let kind = list_kind(parent, name);
            let Some(list) = into.as_array_mut() else { return };
            match kind {
                ListKind::Atomic => *list = items.clone(),
                ListKind::Set => {
                    for item in items.iter() {
                        if !list.contains(item) {
                            list.push(item.clone());
                        }
                    }
                }
                ListKind::Keyed(keys) => {
                    for item in items {
                        match same(list, item, keys) {
                            Some(i) => put(&mut list[i], item, "", name),
                            None => list.push(item.clone()),
                        }
                    }
                }
            }
        }
        other => *into = other.clone(),
    }
}

/// Takes away what is at the path, unless something below it is still someone's.
fn remove(object: &mut Value, path: &[String], owned: &Fields, others: &Fields) {
    let Some((last, above)) = path.split_last() else { return };
    let kept = |fields: &Fields| fields.paths().iter().any(|p| p.starts_with(path));
    if kept(owned) || kept(others) {
        return;
    }
    let Some(place) = at_mut(object, above) else { return };
    match last.split_at(2) {
        ("f:", name) => {
            if let Some(map) = place.as_object_mut() {
                map.remove(name);
            }
        }
        ("k:", key) => {
            let key: Value = serde_json::from_str(key).unwrap_or_default();
            if let Some(list) = place.as_array_mut() {
                list.retain(|item| !fields::is(item, &key));
            }
        }
        (_, value) => {
            let value: Value = serde_json::from_str(value).unwrap_or_default();
            if let Some(list) = place.as_array_mut() {
                list.retain(|item| *item != value);
            }
        }
    }
    // A map that nobody wanted for itself goes with its last field.
    let empty = place.as_object().is_some_and(serde_json::Map::is_empty)
        || place.as_array().is_some_and(Vec::is_empty);
    let part = above.len() == 1 && (above[0] == "f:spec" || above[0] == "f:metadata");
    if empty && !above.is_empty() && !part {
        remove(object, above, owned, others);
    }
}

fn at_mut<'a>(object: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(object, |value, step| match step.split_at(2) {
        ("f:", name) => value.get_mut(name),
        ("k:", key) => {
            let key: Value = serde_json::from_str(key).ok()?;
            value.as_array_mut()?.iter_mut().find(|item| fields::is(item, &key))
        }
        _ => None,
    })
}

/// Notes who owns what now. The time stays if nothing changed.
fn own(call: &Call, old: &Value, new: &mut Value, owned: &Fields, now: crate::event::Time) {
    let (mut kept, mut before) = (Vec::new(), None);
    for mut entry in entries(old) {
        if is_mine(&entry, call) {
            before = Some(entry);
            continue;
        }
        let theirs = Fields::read(&entry["fieldsV1"]);
        // What was taken by force, or shared with the same value, and changed now.
        let lost = theirs.both(owned);
        let lost = lost.paths().into_iter().filter(|p| {
            fields::at(old, p) != fields::at(new, p)
                && !p.last().is_some_and(|s| s.starts_with("k:"))
        });
        let lost = lost.fold(Fields::default(), |all, p| all.with(&Fields::read(&path_value(&p))));
        // What is gone is nobody's.
        let there = theirs.paths().into_iter().filter(|p| fields::at(new, p).is_none());
        let gone = there.fold(Fields::default(), |all, p| all.with(&Fields::read(&path_value(&p))));
        let left = theirs.without(&lost).without(&gone);
        if !left.is_empty() {
            entry["fieldsV1"] = left.write();
            kept.push(entry);
        }
    }
    if !owned.is_empty() {
        let mut mine = fields::entry(&call.manager, "Apply", call, owned, now);
        let same = |e: &Value| e["fieldsV1"] == mine["fieldsV1"];
        if let Some(before) = before.filter(same)
            && entries(new) == entries(old)
            && unchanged(old, new)
        {
            mine["time"] = before["time"].clone();
        }
        kept.push(mine);
    }
    fields::set(new, kept);
}

fn unchanged(old: &Value, new: &Value) -> bool {
    let bare = |o: &Value| {
        let mut o = o.clone();
        o["metadata"]["managedFields"] = Value::Null;
        o
    };
    bare(old) == bare(new)
}

/// A path as `fieldsV1` of one field.
fn path_value(path: &[String]) -> Value {
    path.iter().rev().fold(json!({}), |below, step| {
        let mut map = serde_json::Map::new();
        map.insert(step.clone(), below);
        Value::Object(map)
    })
}
