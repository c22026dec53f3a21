//! Pods that are Vault's voters.

use super::super::object::{CLAIMS, get, list, name, namespace, text, uid};
use super::super::{attach, disks, pods, volumes};
use super::say;
use crate::event::{Span, Time};
use crate::lab::{World, vault};
use serde_json::Value;
use std::sync::Arc;

/// The first container's name.
pub(super) const CONTAINER: &str = "vault";
/// The volume with raft's data, named after its claim template.
const DATA: &str = "data";

/// Whether it is one: of a StatefulSet, its first container is Vault, and it lies where voters
/// do.
pub(in super::super) fn is(world: &World, pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    world.vault.namespace.as_ref().is_none_or(|n| n == namespace(pod))
        && !labels["statefulset.kubernetes.io/pod-name"].is_null()
        && list(&pod["spec"]["containers"]).first().is_some_and(|c| text(&c["name"]) == CONTAINER)
}

/// The claim of the volume with raft's data, and what it is bound to.
fn data(world: &World, pod: &Value) -> (Option<Arc<Value>>, Option<Arc<Value>>) {
    let claim = pods::claims(pod).find(|(volume, _)| *volume == DATA);
    let claim = claim.and_then(|(_, claim)| get(world, CLAIMS, namespace(pod), claim));
    let volume = claim.as_ref().and_then(|c| volumes::of_claim(world, c));
    (claim, volume)
}

/// What its disk is called; empty without a claim.
pub(in super::super) fn disk(world: &World, pod: &Value) -> String {
    let (claim, volume) = data(world, pod);
    // A volume that is bound again under another claim is still the same disk.
    let made_for = volume.as_ref().and_then(|v| name(v).strip_prefix("pvc-"));
    let disk = made_for.filter(|id| id.len() == 36).or(claim.as_deref().map(uid));
    disk.unwrap_or_default().to_owned()
}

/// Starts the voter. If it cannot work, when and how it ends.
pub(super) fn start(world: &mut World, pod: &Value) -> Option<(Time, i32)> {
    let (_, volume) = data(world, pod);
    let group = !pod["spec"]["securityContext"]["fsGroup"].is_null();
    let handle = volume.as_ref().map_or("", |v| text(&v["spec"]["csi"]["volumeHandle"]));
    // On NFS the server decides who may write; a fresh file system is root's alone.
    let writable = disks::mount(world, handle, group);
    if volume.as_ref().is_some_and(|v| attach::needed(v)) && !writable {
        let line = "Error initializing storage of type raft: failed to create fsm: failed to open bolt file: open /vault/data/vault.db: permission denied";
        say(world, namespace(pod), name(pod), CONTAINER, line);
        return Some((world.now + Span(world.chance.between(300, 900)), 1));
    }
    let disk = disk(world, pod);
    vault::started(world, name(pod), &disk);
    None
}

/// The voter's container ended.
pub(super) fn stop(world: &mut World, pod: &Value) {
    vault::stopped(world, name(pod));
}

/// Whether a container of it is ready: Vault and the sidecar that unseals it are when Vault
/// is unsealed, any other one always.
pub(super) fn ready(world: &World, pod: &Value, at: usize) -> bool {
    at > 1 || vault::ready(world, name(pod))
}
