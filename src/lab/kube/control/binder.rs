//! Claims: which volume each is bound to.

use super::events::{normal, warning};
use super::object::{
    CLAIMS, CLASSES, PODS, VOLUMES, add_finalizer, all, annotation, bytes, get, has_finalizer,
    key_of, list, marked, name, namespace, text, uid,
};
use super::{Again, Role, after, guards, pods, volumes};
use crate::event::Span;
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::{Value, json};
use std::sync::Arc;

const SOURCE: &str = "persistentvolume-controller";
const COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// The controller chose the other side, nobody asked for it.
pub(super) const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// The node that the scheduler chose for a claim's first pod.
pub(super) const NODE: &str = "volume.kubernetes.io/selected-node";

/// What the API server fills in for a claim.
pub(super) fn fill(claim: &mut Value) {
    if claim["spec"]["volumeMode"].is_null() {
        claim["spec"]["volumeMode"] = json!("Filesystem");
    }
    claim["status"] = json!({"phase": "Pending"});
    if !has_finalizer(claim, guards::CLAIM) {
        add_finalizer(claim, guards::CLAIM);
    }
}

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(claim) = world.store.get(key) else { return Ok(()) };
    if annotation(&claim, COMPLETED).is_empty() {
        unbound(world, key, &claim);
    } else {
        bound(world, key, &claim);
    }
    Ok(())
}

/// The claim's class, if there is one.
pub(super) fn class(world: &World, claim: &Value) -> Option<Arc<Value>> {
    get(world, CLASSES, "", text(&claim["spec"]["storageClassName"]))
}

/// Whether its class waits for the first pod.
pub(super) fn waits(world: &World, claim: &Value) -> bool {
    class(world, claim).is_some_and(|c| c["volumeBindingMode"] == "WaitForFirstConsumer")
}

fn unbound(world: &mut World, key: &Key, claim: &Value) {
    let wanted = text(&claim["spec"]["volumeName"]);
    if wanted.is_empty() {
        let delayed = waits(world, claim) && annotation(claim, NODE).is_empty();
        if let Some(volume) = best(world, claim, delayed) {
            bind(world, key, claim, &volume);
        } else if delayed {
            tell_waiting(world, claim);
            phase(world, key, "Pending");
        } else {
            provide(world, key, claim);
        }
        return;
    }
    match get(world, VOLUMES, "", wanted) {
        Some(volume) if free(&volume) && !satisfies(&volume, claim) => {
            let said =
                format!("Cannot bind to requested volume \"{wanted}\": requested PV is too small");
            warning(world, claim, SOURCE, "VolumeMismatch", &said);
            phase(world, key, "Pending");
        }
        Some(volume) if free(&volume) || refers(&volume, claim) => bind(world, key, claim, &volume),
        Some(_) => {
            let said = format!("volume \"{wanted}\" already bound to a different claim.");
            warning(world, claim, SOURCE, "FailedBinding", &said);
            phase(world, key, "Pending");
        }
        None => phase(world, key, "Pending"),
    }
}

/// A claim that was bound once is never bound to another volume.
fn bound(world: &mut World, key: &Key, claim: &Value) {
    let wanted = text(&claim["spec"]["volumeName"]);
    let (reason, said) = match get(world, VOLUMES, "", wanted) {
        _ if wanted.is_empty() => (
            "ClaimLost",
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        ),
        None => {
            ("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        }
        Some(volume) if free(&volume) || text(&volume["spec"]["claimRef"]["uid"]) == uid(claim) => {
            bind(world, key, claim, &volume);
            return;
        }
        Some(_) => (
            "ClaimMisbound",
            "Two claims are bound to the same volume, this one is bound incorrectly",
        ),
    };
    if text(&claim["status"]["phase"]) != "Lost" {
        warning(world, claim, SOURCE, reason, said);
        phase(world, key, "Lost");
    }
}

fn free(volume: &Value) -> bool {
    volume["spec"]["claimRef"].is_null()
}

/// Whether the volume is meant for this claim: by name, and by UID if it names one.
pub(super) fn refers(volume: &Value, claim: &Value) -> bool {
    let claim_ref = &volume["spec"]["claimRef"];
    let of = text(&claim_ref["uid"]);
    text(&claim_ref["namespace"]) == namespace(claim)
        && text(&claim_ref["name"]) == name(claim)
        && (of.is_empty() || of == uid(claim))
}

fn satisfies(volume: &Value, claim: &Value) -> bool {
    let modes = list(&volume["spec"]["accessModes"]);
    bytes(&volume["spec"]["capacity"]["storage"])
        >= bytes(&claim["spec"]["resources"]["requests"]["storage"])
        && text(&volume["spec"]["storageClassName"]) == text(&claim["spec"]["storageClassName"])
        && list(&claim["spec"]["accessModes"]).iter().all(|m| modes.contains(m))
}

/// The volume that is meant for it, else the smallest that nobody has and that is enough.
fn best(world: &World, claim: &Value, delayed: bool) -> Option<Arc<Value>> {
    let mut found: Vec<_> = all(world, VOLUMES, None);
    found
        .retain(|v| !marked(v) && (refers(v, claim) || !delayed && free(v) && satisfies(v, claim)));
    found.sort_by_key(|v| (free(v), bytes(&v["spec"]["capacity"]["storage"])));
    found.into_iter().next()
}

fn bind(world: &mut World, key: &Key, claim: &Value, volume: &Value) {
    let Some(place) = key_of(volume) else { return };
    let chosen = free(volume);
    let bound = world.store.update(&place, |v| {
        if text(&v["spec"]["claimRef"]["uid"]) != uid(claim) {
            v["spec"]["claimRef"] = json!({
                "kind": "PersistentVolumeClaim", "apiVersion": "v1", "uid": uid(claim),
                "namespace": namespace(claim), "name": name(claim),
                "resourceVersion": claim["metadata"]["resourceVersion"],
            });
            if chosen {
                v["metadata"]["annotations"][BY_CONTROLLER] = json!("yes");
            }
        }
    });
    let Ok(volume) = bound else { return };
    volumes::phase(world, &place, "Bound");
    let _gone = world.store.update(key, |c| {
        if c["spec"]["volumeName"] != json!(place.name) {
            c["spec"]["volumeName"] = json!(place.name);
            c["metadata"]["annotations"][BY_CONTROLLER] = json!("yes");
        }
        c["metadata"]["annotations"][COMPLETED] = json!("yes");
        c["status"] = json!({
            "phase": "Bound", "accessModes": volume["spec"]["accessModes"],
            "capacity": volume["spec"]["capacity"],
        });
    });
}

fn tell_waiting(world: &mut World, claim: &Value) {
    let mut waiting = all(world, PODS, Some(namespace(claim)));
    waiting.retain(|p| text(&p["spec"]["nodeName"]).is_empty() && pods::uses(p, name(claim)));
    let names: Vec<&str> = waiting.iter().map(|p| name(p)).collect();
    let (reason, said) = match names.as_slice() {
        [] => (
            "WaitForFirstConsumer",
            "waiting for first consumer to be created before binding".to_owned(),
        ),
        [one] => ("WaitForPodScheduled", format!("waiting for pod {one} to be scheduled")),
        many => {
            ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", many.join(",")))
        }
    };
    normal(world, claim, SOURCE, reason, &said);
}

/// Asks the class' provisioner for a volume.
fn provide(world: &mut World, key: &Key, claim: &Value) {
    let wanted = text(&claim["spec"]["storageClassName"]);
    if wanted.is_empty() {
        let said = "no persistent volumes available for this claim and no storage class is set";
        normal(world, claim, SOURCE, "FailedBinding", said);
        phase(world, key, "Pending");
        return;
    }
    let Some(class) = class(world, claim) else {
        let said = format!("storageclass.storage.k8s.io \"{wanted}\" not found");
        warning(world, claim, SOURCE, "ProvisioningFailed", &said);
        phase(world, key, "Pending");
        return;
    };
    let provisioner = &class["provisioner"];
    let asked = world.store.update(key, |c| {
        for name in ["volume.beta.kubernetes.io", "volume.kubernetes.io"] {
            c["metadata"]["annotations"][format!("{name}/storage-provisioner")] =
                provisioner.clone();
        }
    });
    if let Ok(asked) = asked {
        let said = format!(
            "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
            text(provisioner)
        );
        if asked.as_ref() != claim {
            normal(world, &asked, SOURCE, "ExternalProvisioning", &said);
        }
    }
    let wait = Span(world.chance.between(1000, 3000));
    after(world, Role::Provision, key.clone(), wait);
}

fn phase(world: &mut World, key: &Key, phase: &str) {
    let _gone = world.store.update(key, |c| c["status"]["phase"] = json!(phase));
}

/// Claims that wait for a volume or lost theirs.
pub(super) fn unsettled(world: &World) -> Vec<Key> {
    let mut found = all(world, CLAIMS, None);
    found.retain(|c| text(&c["status"]["phase"]) != "Bound");
    found.iter().filter_map(|c| key_of(c)).collect()
}
