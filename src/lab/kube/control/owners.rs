//! Who owns what: references, adoption of orphans, release of what no longer fits.

use super::object::{all, key_of, list, marked, name, namespace, retain, selects, text, uid};
use crate::lab::World;
use crate::lab::kube::store::metadata;
use serde_json::{Value, json};
use std::sync::Arc;

/// The reference to the controller.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    list(&object["metadata"]["ownerReferences"]).iter().find(|r| r["controller"] == true)
}

/// Whether that object is its controller.
pub(super) fn controls(owner: &Value, object: &Value) -> bool {
    controller(object).is_some_and(|r| text(&r["uid"]) == uid(owner))
}

/// A reference to a controller.
pub(super) fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner),
        "uid": uid(owner), "controller": true, "blockOwnerDeletion": true,
    })
}

/// Adds a reference, last.
pub(super) fn add(object: &mut Value, reference: Value) {
    let meta = metadata(object);
    match meta.get_mut("ownerReferences") {
        Some(Value::Array(all)) => all.push(reference),
        _ => {
            meta.insert("ownerReferences".into(), json!([reference]));
        }
    }
}

/// Removes the references to one owner.
pub(super) fn remove(object: &mut Value, owner: &str) {
    retain(object, "ownerReferences", |r| text(&r["uid"]) != owner);
}

/// Objects that the owner controls, after adopting orphans that it selects and that fit, and
/// releasing those that no longer do.
pub(super) fn claim(
    world: &mut World,
    owner: &Value,
    id: &str,
    fits: impl Fn(&Value) -> bool,
) -> Vec<Arc<Value>> {
    let mut mine = Vec::new();
    for object in all(world, id, Some(namespace(owner))) {
        let Some(key) = key_of(&object) else { continue };
        let selected =
            || selects(&owner["spec"]["selector"], &object["metadata"]["labels"]) && fits(&object);
        match controller(&object) {
            Some(other) if text(&other["uid"]) != uid(owner) => {}
            Some(_) if selected() => mine.push(object),
            Some(_) if marked(owner) => {}
            Some(_) => {
                let _gone = world.store.update(&key, |o| remove(o, uid(owner)));
            }
            None if marked(owner) || marked(&object) || !selected() => {}
            None => {
                if let Ok(adopted) = world.store.update(&key, |o| add(o, reference(owner))) {
                    mine.push(adopted);
                }
            }
        }
    }
    mine
}

/// Objects that the owner controls.
pub(super) fn owned(world: &World, owner: &Value, id: &str) -> Vec<Arc<Value>> {
    let mut mine = all(world, id, Some(namespace(owner)));
    mine.retain(|o| controls(owner, o));
    mine
}
