//! Merging: JSON merge patches, strategic ones, and what both they and apply know of
//! lists: by which keys their items are the same.

use serde_json::{Map, Value, json};

/// RFC 7396.
pub fn json_merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Value::Object(fields) = into else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            json_merge(fields.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// What a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// One value: replaced as a whole.
    Atomic,
    /// Values, each once.
    Set,
    /// Objects, the same by these fields.
    Keyed(&'static [&'static str]),
}

/// What the list under that name is, inside of something under `parent`.
pub fn list_kind(parent: &str, name: &str) -> ListKind {
    use ListKind::{Keyed, Set};
    match (parent, name) {
        (_, "finalizers") => Set,
        (_, "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env") => {
            Keyed(&["name"])
        }
        (_, "imagePullSecrets" | "schedulingGates" | "resourceClaims") => Keyed(&["name"]),
        ("secrets", _) => ListKind::Atomic,
        (_, "volumeMounts") => Keyed(&["mountPath"]),
        (_, "volumeDevices") => Keyed(&["devicePath"]),
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => {
            Keyed(&["containerPort", "protocol"])
        }
        ("spec", "ports") => Keyed(&["port", "protocol"]),
        (_, "conditions" | "addresses") => Keyed(&["type"]),
        (_, "ownerReferences") => Keyed(&["uid"]),
        (_, "hostAliases") => Keyed(&["ip"]),
        (_, "topologySpreadConstraints") => Keyed(&["topologyKey", "whenUnsatisfiable"]),
        _ => ListKind::Atomic,
    }
}

/// Maps that are one value.
pub fn atomic_map(name: &str) -> bool {
    matches!(
        name,
        "selector"
            | "nodeSelector"
            | "labelSelector"
            | "secretKeyRef"
            | "configMapKeyRef"
            | "fieldRef"
            | "resourceFieldRef"
            | "nodeAffinity"
            | "involvedObject"
    )
}

/// Where the item that is the same as that one lies.
pub fn same(list: &[Value], item: &Value, keys: &[&str]) -> Option<usize> {
    let key = |v: &Value, name: &str| match (&v[name], name) {
        // The only key that has a default.
        (Value::Null, "protocol") => json!("TCP"),
        (value, _) => value.clone(),
    };
    list.iter().position(|other| keys.iter().all(|name| key(other, name) == key(item, name)))
}

/// A strategic merge patch.
pub fn strategic(into: &mut Value, patch: &Value) -> Result<(), String> {
    object(into, patch, "")
}

fn object(into: &mut Value, patch: &Value, at: &str) -> Result<(), String> {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return Ok(());
    };
    match patch["$patch"].as_str() {
        None | Some("merge") => {}
        Some("replace") => {
            *into = without_directives(fields);
            return Ok(());
        }
        Some("delete") => {
            *into = json!({});
            return Ok(());
        }
        Some(other) => {
            return Err(format!("Unrecognized directive \"{other}\": {patch}"));
        }
    }
    if !into.is_object() {
        *into = json!({});
    }
    let Value::Object(target) = into else { return Ok(()) };
    if let Some(kept) = patch["$retainKeys"].as_array() {
        target.retain(|name, _| kept.contains(&json!(name)));
    }
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with('$')) {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(_) => {
                object(target.entry(name.as_str()).or_insert(json!({})), value, name)?;
            }
            Value::Array(items) => {
                list(target.entry(name.as_str()).or_insert(json!([])), items, at, name)?;
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
    directives(target, fields, at)
}

/// `$deleteFromPrimitiveList/x` and `$setElementOrder/x`.
fn directives(
    target: &mut Map<String, Value>,
    fields: &Map<String, Value>,
    at: &str,
) -> Result<(), String> {
    for (name, value) in fields {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(items)) = target.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
        } else if let Some(list) = name.strip_prefix("$setElementOrder/") {
            let order = value.as_array().cloned().unwrap_or_default();
            let keys: &[&str] = match list_kind(at, list) {
                ListKind::Keyed(keys) => &keys[..1],
                _ => &[],
            };
            let place = |item: &Value| {
                order.iter().position(|o| match keys {
                    [] => o == item,
                    keys => keys.iter().all(|k| o[*k] == item[*k]),
                })
            };
            if let Some(Value::Array(items)) = target.get_mut(list) {
                // Those that the order does not name stay behind.
                items.sort_by_key(|item| place(item).unwrap_or(usize::MAX));
            }
        }
    }
    Ok(())
}

fn list(into: &mut Value, patch: &[Value], parent: &str, name: &str) -> Result<(), String> {
    let Some(items) = into.as_array_mut() else {
        *into = json!(patch);
        return Ok(());
    };
    if patch.iter().any(|p| p["$patch"] == json!("replace")) {
        let kept = patch.iter().filter(|p| p["$patch"] != json!("replace"));
        *items = kept.cloned().collect();
        return Ok(());
    }
    match list_kind(parent, name) {
        ListKind::Atomic => *items = patch.to_vec(),
        ListKind::Set => {
            for item in patch {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
        }
        ListKind::Keyed(keys) => {
            // Strategic patches know only the first key.
            let keys = &keys[..1];
            for item in patch {
                if item[keys[0]].is_null() {
                    return Err(format!(
                        "map: {item} does not contain declared merge key: {}",
                        keys[0]
                    ));
                }
                let found = same(items, item, keys);
                match (found, item["$patch"].as_str()) {
                    (Some(i), Some("delete")) => drop(items.remove(i)),
                    (None, Some("delete")) => {}
                    (Some(i), _) => object(&mut items[i], item, name)?,
                    (None, _) => items.push(item.clone()),
                }
            }
        }
    }
    Ok(())
}

fn without_directives(fields: &Map<String, Value>) -> Value {
    let kept = fields.iter().filter(|(name, _)| !name.starts_with('$'));
    Value::Object(kept.map(|(n, v)| (n.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategic_patches_merge_lists_by_their_keys() {
        for (from, patch, to) in [
            (
                json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]}}),
                json!({"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "c"}]}}),
                json!({"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "b"}, {"name": "c"}]}}),
            ),
            (
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "$patch": "delete"}]}),
                json!({"containers": [{"name": "b"}]}),
            ),
            (
                json!({"metadata": {"finalizers": ["x"]}}),
                json!({"metadata": {"finalizers": ["y", "x"]}}),
                json!({"metadata": {"finalizers": ["x", "y"]}}),
            ),
            (
                json!({"metadata": {"finalizers": ["x", "y"]}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}}),
                json!({"metadata": {"finalizers": ["y"]}}),
            ),
            (
                json!({"metadata": {"finalizers": ["x"], "labels": {"a": "1"}}}),
                json!({"metadata": {"finalizers": null, "labels": {"b": "2"}}}),
                json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
            ),
            (
                json!({"args": ["a", "b"], "m": {"x": 1}}),
                json!({"args": ["c"], "m": {"$patch": "replace", "y": 2}}),
                json!({"args": ["c"], "m": {"y": 2}}),
            ),
            (
                json!({"env": [{"name": "a"}, {"name": "b"}]}),
                json!({"$setElementOrder/env": [{"name": "b"}, {"name": "a"}]}),
                json!({"env": [{"name": "b"}, {"name": "a"}]}),
            ),
        ] {
            let mut object = from;
            strategic(&mut object, &patch).unwrap();
            assert_eq!(object, to, "{patch}");
        }
    }
}
