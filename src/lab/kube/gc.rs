//! The garbage collector: what belongs to something that goes, and namespaces.
//!
//! It looks at each change as it is, without a graph of its own: whose owner went goes too,
//! an owner with `orphan` is freed after its dependents no longer name it, one with
//! `foregroundDeletion` when those that block it are gone.

use super::{Deleting, KINDS, Key, Kind, Touched, kind};
use crate::lab::World;
use serde_json::{Value, json};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// Something changed.
pub fn look(world: &mut World, touched: &Touched) {
    match &touched.new {
        None => {
            let old = touched.old.as_deref();
            let last = old.cloned().unwrap_or_default();
            // Nothing belongs to an Event, and many go.
            if touched.key.kind.id != "events" {
                free_dependents(world, &touched.key, &last);
            }
            free_owners(world, &touched.key, &last);
            emptied(world, &touched.key.namespace);
        }
        Some(new) => {
            if touched.old.is_none() {
                unowned(world, &touched.key, new);
            }
            if new["metadata"]["deletionTimestamp"].is_null() {
                return;
            }
            if has(new, ORPHAN) {
                orphan(world, &touched.key, new);
            } else if has(new, FOREGROUND) {
                foreground(world, &touched.key, new);
            }
            if touched.key.kind.id == "namespaces" {
                empty(world, &touched.key);
            }
        }
    }
}

fn has(object: &Value, finalizer: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|f| f.contains(&json!(finalizer)))
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

/// Everything that names that owner. The texts are searched before they are parsed: there
/// may be many of them.
fn dependents(world: &World, owner: &Key, uid: &str) -> Vec<(Key, Value)> {
    let scope = owner.kind.namespaced.then_some(owner.namespace.as_str());
    let named = |object: &Value| owners(object).any(|o| o["uid"].as_str() == Some(uid));
    KINDS
        .iter()
        .filter(|kind| scope.is_none() || kind.namespaced)
        .flat_map(|kind| world.store.texts(kind, scope))
        .filter(|(_, text)| text.bare().contains(uid))
        .map(|(key, text)| (key.clone(), text.value(key.kind)))
        .filter(|(_, object)| named(object))
        .collect()
}

/// Where an owner lies that is named there.
fn place(owner: &Value, namespace: &str) -> Option<Key> {
    let version = owner["apiVersion"].as_str()?;
    let named = |k: &&Kind| k.api_version() == version && Some(k.kind) == owner["kind"].as_str();
    let kind = KINDS.iter().find(named)?;
    let namespace = if kind.namespaced { namespace } else { "" };
    Some(Key::new(kind, namespace, owner["name"].as_str()?))
}

/// Whether the owner is there and stays, as far as its dependents are concerned. One of a
/// kind that the lab does not know counts as there.
fn stays(world: &World, owner: &Value, namespace: &str) -> bool {
    let Some(key) = place(owner, namespace) else { return true };
    world.store.get(&key).is_some_and(|o| {
        owner["uid"].as_str() == Some(uid(&o)) && !(deleting(&o) && has(&o, FOREGROUND))
    })
}

fn deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// A dependent of what is gone goes, or forgets it if it has another owner.
fn release(world: &mut World, key: &Key, object: &Value, gone: &str) {
    let another =
        owners(object).any(|o| o["uid"].as_str() != Some(gone) && stays(world, o, &key.namespace));
    if another {
        disown(world, key, gone);
    } else if !deleting(object) {
        delete(world, key, object);
    }
}

fn delete(world: &mut World, key: &Key, object: &Value) {
    let running = object["spec"]["nodeName"].as_str().is_some_and(|n| !n.is_empty())
        && !matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let grace = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    let grace = if key.kind.id == "pods" && running { grace } else { 0 };
    // Gone meanwhile is what is wanted.
    let _ = world.store.delete(key, &Deleting { grace, ..Deleting::default() }, world.now);
}

fn disown(world: &mut World, key: &Key, owner: &str) {
    let _ = world.store.update(key, |object| {
        let list = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let rest: Vec<_> = list.into_iter().filter(|o| o["uid"].as_str() != Some(owner)).collect();
        let meta = super::store::metadata(object);
        if rest.is_empty() {
            meta.remove("ownerReferences");
        } else {
            meta.insert("ownerReferences".into(), json!(rest));
        }
    });
}

fn unfinalize(world: &mut World, key: &Key, finalizer: &str) {
    let _ = world.store.update(key, |object| {
        let list = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let rest: Vec<_> = list.into_iter().filter(|f| *f != json!(finalizer)).collect();
        let meta = super::store::metadata(object);
        if rest.is_empty() {
            meta.remove("finalizers");
        } else {
            meta.insert("finalizers".into(), json!(rest));
        }
    });
}

fn free_dependents(world: &mut World, key: &Key, last: &Value) {
    for (dependent, object) in dependents(world, key, uid(last)) {
        release(world, &dependent, &object, uid(last));
    }
}

/// Owners that wait in the foreground for what is gone.
fn free_owners(world: &mut World, key: &Key, last: &Value) {
    for owner in owners(last).filter_map(|o| place(o, &key.namespace)) {
        let Some(object) = world.store.get(&owner) else { continue };
        if deleting(&object) && has(&object, FOREGROUND) {
            foreground(world, &owner, &object);
        }
    }
}

/// What is created for an owner that is not there does not stay.
fn unowned(world: &mut World, key: &Key, object: &Value) {
    let mut all = owners(object).peekable();
    if all.peek().is_some() && !all.any(|o| there(world, o, &key.namespace)) {
        delete(world, key, object);
    }
}

fn there(world: &World, owner: &Value, namespace: &str) -> bool {
    let Some(key) = place(owner, namespace) else { return true };
    world.store.get(&key).is_some_and(|o| owner["uid"].as_str() == Some(uid(&o)))
}

fn orphan(world: &mut World, key: &Key, object: &Value) {
    for (dependent, _) in dependents(world, key, uid(object)) {
        disown(world, &dependent, uid(object));
    }
    unfinalize(world, key, ORPHAN);
}

fn foreground(world: &mut World, key: &Key, object: &Value) {
    let mut blocked = false;
    for (dependent, it) in dependents(world, key, uid(object)) {
        let mine = owners(&it).find(|o| o["uid"].as_str() == Some(uid(object)));
        let blocks = mine.is_some_and(|o| o["blockOwnerDeletion"] == json!(true));
        release(world, &dependent, &it, uid(object));
        let left = world.store.get(&dependent);
        blocked |=
            blocks && left.is_some_and(|o| owners(&o).any(|o| o["uid"] == json!(uid(object))));
    }
    if !blocked {
        unfinalize(world, key, FOREGROUND);
    }
}

/// A namespace that is deleted takes everything in it along.
fn empty(world: &mut World, key: &Key) {
    let _ = world.store.update(key, |o| o["status"]["phase"] = json!("Terminating"));
    let kinds = KINDS.iter().filter(|k| k.namespaced);
    let inside: Vec<(Key, Value)> = kinds
        .flat_map(|kind| world.store.texts(kind, Some(&key.name)))
        .map(|(key, text)| (key.clone(), text.value(key.kind)))
        .collect();
    for (key, object) in inside.iter().filter(|(_, object)| !deleting(object)) {
        delete(world, key, object);
    }
    emptied(world, &key.name);
}

/// A namespace that is deleted goes with the last that lies in it.
fn emptied(world: &mut World, namespace: &str) {
    let Some(namespaces) = kind("namespaces").filter(|_| !namespace.is_empty()) else { return };
    let key = Key::new(namespaces, "", namespace);
    let waits = world.store.get(&key).is_some_and(|o| deleting(&o));
    let mut kinds = KINDS.iter().filter(|k| k.namespaced);
    if waits && kinds.all(|kind| world.store.texts(kind, Some(namespace)).next().is_none()) {
        let _ = world.store.update(&key, |o| o["spec"] = json!({}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Time;

    fn world() -> World {
        World::new(1, Time(1_767_225_600_000))
    }

    fn make(world: &mut World, id: &str, name: &str, object: Value) -> Key {
        let kind = kind(id).unwrap();
        let key = Key::new(kind, if kind.namespaced { "a" } else { "" }, name);
        world.store.create(&key, object, world.now, &mut world.chance).unwrap();
        key
    }

    fn owned(world: &World, owner: &Key, blocks: bool) -> Value {
        let object = world.store.get(owner).unwrap();
        json!({"metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet",
            "name": owner.name, "uid": uid(&object), "controller": true, "blockOwnerDeletion": blocks}]}})
    }

    fn mark(world: &mut World, key: &Key, finalizers: &[&str]) {
        let list: Vec<String> = finalizers.iter().map(|&f| f.to_owned()).collect();
        world.store.mark(key, &list, &Deleting::default(), world.now).unwrap();
        world.settle();
    }

    fn alive(world: &World, key: &Key) -> bool {
        world.store.get(key).is_some()
    }

    #[test]
    fn dependents_go_are_orphaned_or_are_waited_for() {
        let mut w = world();
        let set = make(&mut w, "statefulsets.apps", "s", json!({}));
        let object = owned(&w, &set, true);
        let pod = make(&mut w, "pods", "p", object);
        mark(&mut w, &set, &[ORPHAN]);
        assert!(!alive(&w, &set) && alive(&w, &pod));
        assert!(w.store.get(&pod).unwrap()["metadata"]["ownerReferences"].is_null());

        let set = make(&mut w, "statefulsets.apps", "s", json!({}));
        let object = owned(&w, &set, true);
        let pod = make(&mut w, "pods", "q", object);
        let _ = w.store.delete(&set, &Deleting::default(), w.now);
        w.settle();
        assert!(!alive(&w, &set) && !alive(&w, &pod));

        let set = make(&mut w, "statefulsets.apps", "s", json!({}));
        let mut object = owned(&w, &set, true);
        object["metadata"]["finalizers"] = json!(["example.net/hold"]);
        let pod = make(&mut w, "pods", "r", object);
        mark(&mut w, &set, &[FOREGROUND]);
        assert!(alive(&w, &set) && deleting(&w.store.get(&pod).unwrap()));
        unfinalize(&mut w, &pod, "example.net/hold");
        w.settle();
        assert!(!alive(&w, &set) && !alive(&w, &pod));
    }

    #[test]
    fn what_belongs_to_nothing_and_what_lies_in_a_gone_namespace_goes() {
        let mut w = world();
        let set = make(&mut w, "statefulsets.apps", "s", json!({}));
        let object = owned(&w, &set, true);
        w.store.remove(&set);
        w.settle();
        let pod = make(&mut w, "pods", "late", object);
        w.settle();
        assert!(!alive(&w, &pod));
        let space =
            make(&mut w, "namespaces", "a", json!({"spec": {"finalizers": ["kubernetes"]}}));
        let held = json!({"metadata": {"finalizers": ["example.net/hold"]}});
        let map = make(&mut w, "configmaps", "m", held);
        mark(&mut w, &space, &[]);
        assert!(alive(&w, &space) && alive(&w, &map));
        unfinalize(&mut w, &map, "example.net/hold");
        w.settle();
        assert!(!alive(&w, &space));
    }
}
