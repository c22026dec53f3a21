//! Objects that were not made here but put there as they were found: what controllers,
//! kubelets and drivers would remember of them had they made them.
//!
//! Nothing of it is a change. What is settled must stay as it is: a pod that runs goes on,
//! and a controller that finds what it wants does nothing.

use super::disks::{self, Disk};
use super::object::{
    CLAIMS, CRONJOBS, DEPLOYMENTS, JOBS, PODS, REPLICASETS, SETS, VOLUMES, all, bytes, key_of,
    list, marked, name, namespace, text, uid,
};
use super::schedule::Placed;
use super::{Role, kubelet, owners, pods, revisions, soon};
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::{Value, json};
use std::sync::Arc;

/// Takes over what the store holds. Workloads of namespaces that are not `whole` are left
/// as they are: whoever does not see the pods that there are would make them again.
pub fn adopt(world: &mut World, whole: &dyn Fn(&str) -> bool) {
    for volume in all(world, VOLUMES, None) {
        let made = text(&volume["metadata"]["creationTimestamp"]).parse().unwrap_or(world.now);
        let handle = text(&volume["spec"]["csi"]["volumeHandle"]).to_owned();
        let disk = Disk {
            bytes: bytes(&volume["spec"]["capacity"]["storage"]),
            class: text(&volume["spec"]["storageClassName"]).to_owned(),
            // What was mounted can be written to, or its pod would not run.
            shared: true,
            handle,
            made,
        };
        if !disk.handle.is_empty() {
            disks::make(world, disk);
        }
    }
    for deployment in all(world, DEPLOYMENTS, None) {
        templates(world, &deployment);
    }
    for pod in all(world, PODS, None) {
        running(world, &pod);
    }
    for set in all(world, SETS, None) {
        revisions::adopt(world, &set);
    }
    for claim in all(world, CLAIMS, None) {
        let Some(key) = key_of(&claim) else { continue };
        if marked(&claim) {
            soon(world, Role::Guard, key.clone());
        }
        if text(&claim["status"]["phase"]) != "Bound" {
            soon(world, Role::Control, key);
        }
    }
    for id in [SETS, DEPLOYMENTS, REPLICASETS, JOBS, CRONJOBS] {
        for workload in all(world, id, None) {
            if whole(namespace(&workload)) && controlled(world, &workload) {
                key_of(&workload).into_iter().for_each(|key| soon(world, Role::Control, key));
            }
        }
    }
}

/// A Deployment of which no ReplicaSet is known would begin anew.
fn controlled(world: &World, workload: &Value) -> bool {
    text(&workload["kind"]) != "Deployment"
        || !owners::owned(world, workload, REPLICASETS).is_empty()
}

fn running(world: &mut World, pod: &Value) {
    let Some(key) = key_of(pod) else { return };
    if pods::ended(pod) {
        return;
    }
    let node = text(&pod["spec"]["nodeName"]).to_owned();
    if node.is_empty() {
        world.control.unscheduled.insert(key.clone());
        soon(world, Role::Schedule, key);
        return;
    }
    let owner = owners::controller(pod).map_or("", |r| text(&r["uid"])).to_owned();
    world.control.placed.insert(uid(pod).to_owned(), Placed { node, owner });
    kubelet::adopt(world, &key, pod);
}

/// A Deployment's own ReplicaSet is the one of its revision, and has its template; of the
/// others what is left out may have been all the difference.
fn templates(world: &mut World, deployment: &Value) {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    const HASH: &str = "pod-template-hash";
    let revision = |o: &Value| text(&o["metadata"]["annotations"][REVISION]).to_owned();
    for set in owners::owned(world, deployment, REPLICASETS) {
        let mut template = deployment["spec"]["template"].clone();
        if revision(&set) == revision(deployment) {
            let hash = set["metadata"]["labels"][HASH].clone();
            if !hash.is_null() {
                template["metadata"]["labels"][HASH] = hash;
            }
        } else {
            template["metadata"]["annotations"] = json!({"lab/revision": revision(&set)});
        }
        change(world, &set, |s| s["spec"]["template"] = template);
    }
}

/// Changes what was just put there, before anybody looks.
fn change(world: &mut World, object: &Arc<Value>, edit: impl FnOnce(&mut Value)) {
    let Some(key) = key_of(object) else { return };
    let mut object = Value::clone(object);
    edit(&mut object);
    world.store.adopt(&key, &object);
}

/// What lies behind the volume with a voter's data: the disk's name, as a voter has it that
/// is started here. None where there is no such pod.
#[must_use]
pub fn voter_disk(world: &World, namespace: &str, pod: &str) -> Option<String> {
    let pod = super::object::get(world, PODS, namespace, pod)?;
    Some(kubelet::voter_disk(world, &pod))
}

/// Why a pod cannot be a voter here, if it cannot.
#[must_use]
pub fn no_voter(world: &World, key: &Key) -> Option<String> {
    let pod = world.store.get(key)?;
    let first = list(&pod["spec"]["containers"]).first().map_or("", |c| text(&c["name"]));
    (!kubelet::is_voter(world, &pod)).then(|| {
        format!(
            "{} is of no StatefulSet or its first container is {first:?}; the lab takes only pods \
             of a StatefulSet whose first container is \"vault\" for voters",
            name(&pod)
        )
    })
}
