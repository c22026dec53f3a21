//! Volumes: whether each is free, bound or released, and what then becomes of it.

use super::binder::BY_CONTROLLER;
use super::object::{CLAIMS, VOLUMES, annotation, get, key, name, text, uid};
use super::provision::PROVISIONED_BY;
use super::{Again, Role, after, soon};
use crate::event::Span;
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::{Value, json};

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(volume) = world.store.get(key) else { return Ok(()) };
    let claim_ref = &volume["spec"]["claimRef"];
    if text(&claim_ref["uid"]).is_empty() {
        // Nobody's, or kept for a claim that is yet to come.
        phase(world, key, "Available");
        return Ok(());
    }
    let claim = get(world, CLAIMS, text(&claim_ref["namespace"]), text(&claim_ref["name"]))
        .filter(|c| uid(c) == text(&claim_ref["uid"]));
    match claim {
        None => release(world, key, &volume),
        Some(claim) => match text(&claim["spec"]["volumeName"]) {
            "" => soon(world, Role::Control, claim_key(claim_ref)),
            mine if mine == name(&volume) => phase(world, key, "Bound"),
            _ if policy(&volume) == "Delete" && !annotation(&volume, PROVISIONED_BY).is_empty() => {
                release(world, key, &volume);
            }
            _ => unbind(world, key),
        },
    }
    Ok(())
}

fn claim_key(claim_ref: &Value) -> Key {
    key(CLAIMS, text(&claim_ref["namespace"]), text(&claim_ref["name"]))
}

fn policy(volume: &Value) -> &str {
    text(&volume["spec"]["persistentVolumeReclaimPolicy"])
}

/// Its claim is gone. It is never bound again by itself: the claim's UID stays in it.
fn release(world: &mut World, key: &Key, volume: &Value) {
    if !matches!(text(&volume["status"]["phase"]), "Released" | "Failed") {
        phase(world, key, "Released");
    }
    if policy(volume) == "Delete" {
        let wait = Span(world.chance.between(500, 2000));
        after(world, Role::Reclaim, key.clone(), wait);
    }
}

fn unbind(world: &mut World, key: &Key) {
    let _gone = world.store.update(key, |v| {
        if annotation(v, BY_CONTROLLER).is_empty() {
            if let Value::Object(claim_ref) = &mut v["spec"]["claimRef"] {
                claim_ref.remove("uid");
                claim_ref.remove("resourceVersion");
            }
        } else {
            if let Value::Object(spec) = &mut v["spec"] {
                spec.remove("claimRef");
            }
            if let Value::Object(all) = &mut v["metadata"]["annotations"] {
                all.remove(BY_CONTROLLER);
            }
        }
    });
    phase(world, key, "Available");
}

pub(super) fn phase(world: &mut World, key: &Key, phase: &str) {
    let now = crate::lab::kube::store::stamp(world.now);
    let _gone = world.store.update(key, |v| {
        if v["status"]["phase"] != phase {
            v["status"]["phase"] = json!(phase);
            v["status"]["lastPhaseTransitionTime"] = json!(now);
        }
    });
}

/// The volume of a bound claim.
pub(super) fn of_claim(world: &World, claim: &Value) -> Option<std::sync::Arc<Value>> {
    get(world, VOLUMES, "", text(&claim["spec"]["volumeName"]))
        .filter(|v| text(&v["spec"]["claimRef"]["uid"]) == uid(claim))
}
