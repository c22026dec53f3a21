//! What a change of an object means to whom.

use super::object::{
    ATTACHMENTS, CLAIMS, CLASSES, CSI_NODES, DEPLOYMENTS, NODES, PODS, REPLICASETS, SETS, VOLUMES,
    all, get, key, key_of, marked, namespace, selects, text, uid,
};
use super::{Role, after, attach, binder, faults, kubelet, owners, pods, soon};
use crate::event::Span;
use crate::lab::World;
use crate::lab::kube::{KINDS, Key, Touched, gc};
use serde_json::Value;

/// Something changed.
pub fn look(world: &mut World, touched: &Touched) {
    faults::set_deleted(world, touched);
    gc::look(world, touched);
    match touched.key.kind.id {
        PODS => pod(world, touched),
        CLAIMS => claim(world, touched),
        VOLUMES => volume(world, touched),
        CLASSES => binder::unsettled(world).into_iter().for_each(|c| soon(world, Role::Control, c)),
        ATTACHMENTS => attachment(world, touched),
        NODES | CSI_NODES => try_scheduling(world),
        _ => {}
    }
    if matches!(touched.key.kind.group, "apps" | "batch") {
        if touched.new.is_some() {
            soon(world, Role::Control, touched.key.clone());
        }
        owner(world, touched);
    }
}

fn both(touched: &Touched) -> impl Iterator<Item = &Value> {
    touched.old.iter().chain(&touched.new).map(|o| &**o)
}

/// The controllers of it, as it was and as it is.
fn owner(world: &mut World, touched: &Touched) {
    for object in both(touched) {
        let Some(reference) = owners::controller(object) else { continue };
        let kind = KINDS.iter().find(|k| {
            k.kind == text(&reference["kind"]) && k.api_version() == text(&reference["apiVersion"])
        });
        if let Some(kind) = kind.filter(|k| matches!(k.group, "apps" | "batch")) {
            let key = Key::new(kind, &touched.key.namespace, text(&reference["name"]));
            soon(world, Role::Control, key);
        }
    }
}

fn pod(world: &mut World, touched: &Touched) {
    owner(world, touched);
    let orphan = touched.new.as_ref().filter(|p| owners::controller(p).is_none());
    if let Some(pod) = orphan {
        for id in [SETS, REPLICASETS] {
            let labels = &pod["metadata"]["labels"];
            let mut sets = all(world, id, Some(&touched.key.namespace));
            sets.retain(|s| selects(&s["spec"]["selector"], labels));
            for key in sets.iter().filter_map(|s| key_of(s)) {
                soon(world, Role::Control, key);
            }
        }
    }
    let waits = touched.new.as_ref().is_some_and(|p| text(&p["spec"]["nodeName"]).is_empty());
    if waits {
        world.control.unscheduled.insert(touched.key.clone());
        soon(world, Role::Schedule, touched.key.clone());
    } else {
        world.control.unscheduled.remove(&touched.key);
        kubelet::look(world, &touched.key);
    }
    let lasting = |p: &Value| !pods::ended(p) && !text(&p["spec"]["nodeName"]).is_empty();
    let was = touched.old.as_ref().is_some_and(|p| lasting(p));
    let is = touched.new.as_ref().is_some_and(|p| lasting(p));
    if !is && let Some(old) = touched.old.as_ref().filter(|_| was || touched.new.is_none()) {
        world.control.placed.remove(uid(old));
    }
    if was != is || touched.new.is_none() {
        for object in both(touched) {
            volumes_of(world, object);
        }
    }
    if touched.new.is_none() {
        owner_of_owner(world, touched);
    }
    if touched.new.is_none() || was && !is {
        try_scheduling(world);
    }
}

/// A Deployment that re-creates waits until the last of the old pods is gone.
fn owner_of_owner(world: &mut World, touched: &Touched) {
    let Some(reference) = touched.old.as_ref().and_then(|p| owners::controller(p).cloned()) else {
        return;
    };
    if text(&reference["kind"]) != "ReplicaSet" {
        return;
    }
    let set = get(world, REPLICASETS, &touched.key.namespace, text(&reference["name"]));
    if let Some(deployment) = set.as_ref().and_then(|s| owners::controller(s)) {
        let deployment = key(DEPLOYMENTS, &touched.key.namespace, text(&deployment["name"]));
        soon(world, Role::Control, deployment);
    }
}

/// A pod got a node or leaves it: its claims and volumes are used or free.
fn volumes_of(world: &mut World, pod: &Value) {
    for (_, claim) in pods::claims(pod) {
        let claim = key(CLAIMS, namespace(pod), claim);
        if world.store.get(&claim).is_some_and(|c| marked(&c)) {
            soon(world, Role::Guard, claim);
        }
    }
    for volume in attach::volumes_of(world, pod) {
        soon(world, Role::Attach, key(VOLUMES, "", &volume));
    }
}

fn claim(world: &mut World, touched: &Touched) {
    if touched.new.is_some() {
        soon(world, Role::Control, touched.key.clone());
        soon(world, Role::Guard, touched.key.clone());
    }
    for object in both(touched) {
        let volume = text(&object["spec"]["volumeName"]);
        if !volume.is_empty() {
            soon(world, Role::Control, key(VOLUMES, "", volume));
            soon(world, Role::Attach, key(VOLUMES, "", volume));
        }
    }
    let mut users = all(world, PODS, Some(&touched.key.namespace));
    users.retain(|p| pods::uses(p, &touched.key.name));
    for pod in users {
        let Some(key) = key_of(&pod) else { continue };
        if text(&pod["spec"]["nodeName"]).is_empty() {
            soon(world, Role::Schedule, key);
        } else {
            kubelet::look_if_waiting(world, &key);
        }
    }
}

fn volume(world: &mut World, touched: &Touched) {
    if touched.new.is_some() {
        soon(world, Role::Control, touched.key.clone());
        soon(world, Role::Guard, touched.key.clone());
    }
    for object in both(touched) {
        let claim = &object["spec"]["claimRef"];
        if !text(&claim["name"]).is_empty() {
            let claim = key(CLAIMS, text(&claim["namespace"]), text(&claim["name"]));
            soon(world, Role::Control, claim);
        }
    }
    let free = touched.new.as_ref().is_some_and(|v| v["spec"]["claimRef"].is_null());
    if free || touched.new.is_none() {
        for claim in binder::unsettled(world) {
            soon(world, Role::Control, claim);
        }
    }
}

fn attachment(world: &mut World, touched: &Touched) {
    for object in both(touched) {
        let volume = text(&object["spec"]["source"]["persistentVolumeName"]);
        soon(world, Role::Attach, key(VOLUMES, "", volume));
    }
    kubelet::look_at_waiting(world);
    if touched.new.as_ref().is_some_and(|a| marked(a)) {
        let wait = Span(world.chance.between(500, 1500));
        after(world, Role::Attacher, touched.key.clone(), wait);
    }
    if touched.new.is_none() {
        try_scheduling(world);
    }
}

/// Pods that found no node may find one now.
fn try_scheduling(world: &mut World) {
    for pod in world.control.unscheduled.clone() {
        soon(world, Role::Schedule, pod);
    }
}
