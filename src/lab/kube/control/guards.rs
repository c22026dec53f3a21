//! Protection of what is in use: a finalizer that is taken off when the last user is gone.

use super::object::{
    CLAIMS, PODS, add_finalizer, all, has_finalizer, marked, name, namespace, remove_finalizer,
    text,
};
use super::{Again, faults, pods};
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::Value;

pub(super) const CLAIM: &str = "kubernetes.io/pvc-protection";
pub(super) const VOLUME: &str = "kubernetes.io/pv-protection";

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(object) = world.store.get(key) else { return Ok(()) };
    let claim = key.kind.id == CLAIMS;
    let finalizer = if claim { CLAIM } else { VOLUME };
    if !marked(&object) {
        // Whoever took it off early finds it back.
        if !has_finalizer(&object, finalizer) {
            let _gone = world.store.update(key, |o| add_finalizer(o, finalizer));
        }
        return Ok(());
    }
    let held = if claim {
        used(world, &object) || faults::on(world, faults::PVC_PROTECTION_RACE)
    } else {
        text(&object["status"]["phase"]) == "Bound"
    };
    if has_finalizer(&object, finalizer) && !held {
        let _gone = world.store.update(key, |o| remove_finalizer(o, finalizer));
    }
    Ok(())
}

/// Whether a pod that has a node names it. As with the real controller also a pod that ran to
/// its end counts, until it is deleted.
fn used(world: &World, claim: &Value) -> bool {
    all(world, PODS, Some(namespace(claim)))
        .iter()
        .any(|p| !text(&p["spec"]["nodeName"]).is_empty() && pods::uses(p, name(claim)))
}
