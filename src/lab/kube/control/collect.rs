//! The garbage collector: what lost its owners goes too, and whoever is deleted with
//! `orphan` or in the foreground waits for it.

use super::object::{
    CLAIMS, CRONJOBS, DEPLOYMENTS, JOBS, PODS, REPLICASETS, REVISIONS, SETS, all, has_finalizer,
    key_of, list, marked, remove_finalizer, text, uid,
};
use super::{Again, Role, owners, pods, soon};
use crate::lab::World;
use crate::lab::kube::{Deleting, KINDS, Key, Touched};
use serde_json::Value;
use std::sync::Arc;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// What can have an owner here.
const OWNED: [&str; 6] = [PODS, CLAIMS, REPLICASETS, REVISIONS, JOBS, SETS];

/// What a change means to the collector.
pub(super) fn concerns(world: &mut World, touched: &Touched) {
    if let Some(new) = &touched.new {
        let waits = has_finalizer(new, ORPHAN) || has_finalizer(new, FOREGROUND);
        let owned = !list(&new["metadata"]["ownerReferences"]).is_empty();
        if marked(new) && waits || owned && touched.old.is_none() {
            soon(world, Role::Collect, touched.key.clone());
        }
    }
    let Some(old) = &touched.old else { return };
    if touched.new.is_none() {
        for dependent in dependents(world, &touched.key, old) {
            soon(world, Role::Collect, dependent);
        }
        // A foreground deletion waits for this one.
        for reference in list(&old["metadata"]["ownerReferences"]) {
            if let Some(owner) = owner(&touched.key, reference) {
                soon(world, Role::Collect, owner);
            }
        }
    }
}

fn dependents(world: &World, key: &Key, owner: &Value) -> Vec<Key> {
    let kinds: &[&str] = match key.kind.id {
        PODS => &[CLAIMS],
        SETS | DEPLOYMENTS | REPLICASETS | JOBS | CRONJOBS => &OWNED,
        _ => &[],
    };
    let refers = |o: &Arc<Value>| {
        list(&o["metadata"]["ownerReferences"]).iter().any(|r| text(&r["uid"]) == uid(owner))
    };
    let within = Some(key.namespace.as_str());
    let found = kinds.iter().flat_map(|id| all(world, id, within));
    found.filter(refers).filter_map(|o| key_of(&o)).collect()
}

/// The place of an owner by a reference to it.
fn owner(key: &Key, reference: &Value) -> Option<Key> {
    let kind = KINDS.iter().find(|k| {
        k.kind == text(&reference["kind"]) && k.api_version() == text(&reference["apiVersion"])
    })?;
    let namespace = if kind.namespaced { key.namespace.as_str() } else { "" };
    Some(Key::new(kind, namespace, text(&reference["name"])))
}

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(object) = world.store.get(key) else { return Ok(()) };
    if marked(&object) {
        wait_for(world, key, &object);
        return Ok(());
    }
    let references = list(&object["metadata"]["ownerReferences"]);
    let lives = |reference: &Value| {
        // An owner of a kind that is not known here is taken to live.
        owner(key, reference).is_none_or(|owner| {
            world.store.get(&owner).is_some_and(|o| uid(&o) == text(&reference["uid"]))
        })
    };
    let dead: Vec<String> =
        references.iter().filter(|r| !lives(r)).map(|r| text(&r["uid"]).to_owned()).collect();
    if dead.is_empty() {
        return Ok(());
    }
    if dead.len() == references.len() {
        erase(world, key, &object);
    } else {
        let _gone = world.store.update(key, |o| dead.iter().for_each(|uid| owners::remove(o, uid)));
    }
    Ok(())
}

/// Deletes an object as a client would who names its UID.
pub(super) fn erase(world: &mut World, key: &Key, object: &Value) {
    if key.kind.id == PODS {
        pods::delete(world, key, object);
        return;
    }
    let how = Deleting { uid: Some(uid(object).into()), ..Deleting::default() };
    let _gone = world.store.delete(key, &how, world.now);
}

fn wait_for(world: &mut World, key: &Key, object: &Value) {
    let dependents = dependents(world, key, object);
    if has_finalizer(object, ORPHAN) {
        for dependent in &dependents {
            let _gone = world.store.update(dependent, |o| owners::remove(o, uid(object)));
        }
        let _gone = world.store.update(key, |o| remove_finalizer(o, ORPHAN));
    } else if has_finalizer(object, FOREGROUND) {
        for dependent in &dependents {
            if let Some(found) = world.store.get(dependent).filter(|o| !marked(o)) {
                erase(world, dependent, &found);
            }
        }
        if dependents.is_empty() {
            let _gone = world.store.update(key, |o| remove_finalizer(o, FOREGROUND));
        }
    }
}
