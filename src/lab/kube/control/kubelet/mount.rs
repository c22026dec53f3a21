//! A pod's volumes on its node: containers start when all are there.

use super::super::object::{
    CLAIMS, PODS, SECRETS, all, get, has_finalizer, list, marked, name, namespace, text,
};
use super::super::{attach, faults, guards, pods, volumes};
use super::{Run, kill, tell};
use crate::event::{Span, Time};
use crate::lab::World;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kubelet says so when it has waited so long.
const PATIENCE: Span = Span::secs(123);

/// What was tried.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Tries {
    failed: u32,
    /// Not before then again.
    next: Option<Time>,
    warned: Option<Time>,
}

pub(super) enum Mounts {
    Done,
    /// What it waits for is heard of; then at the latest, if at all.
    Waiting(Option<Time>),
}

enum Hindrance {
    /// It will come by itself.
    NotYet(String),
    Failed(String),
}

pub(super) fn mount(world: &mut World, pod: &Value, run: &mut Run) -> Mounts {
    let now = world.now;
    if let Some(next) = run.mounting.next.filter(|next| *next > now) {
        return Mounts::Waiting(Some(next));
    }
    let mut waiting = Vec::new();
    let mut why = String::new();
    for (volume, claim) in pods::claims(pod) {
        match hindrance(world, pod, claim, &run.node) {
            None => {}
            Some(Hindrance::NotYet(reason)) => {
                waiting.push(volume);
                if !reason.is_empty() {
                    why = reason;
                }
            }
            Some(Hindrance::Failed(said)) => {
                tell(world, pod, "", true, "FailedMount", &said);
                killed(world, &run.node);
                let wait = Span((500 << run.mounting.failed.min(8)).min(122_000));
                run.mounting.failed += 1;
                run.mounting.next = Some(now + wait);
                return Mounts::Waiting(run.mounting.next);
            }
        }
    }
    if waiting.is_empty() {
        return Mounts::Done;
    }
    let since = *run.mounting.warned.get_or_insert(now);
    if now.since(since) >= PATIENCE {
        run.mounting.warned = Some(now);
        let why = if why.is_empty() { "timed out waiting for the condition".into() } else { why };
        let said = format!(
            "Unable to attach or mount volumes: unmounted volumes=[{0}], unattached volumes=[{0}], failed to process volumes=[]: {why}",
            waiting.join(" ")
        );
        tell(world, pod, "", true, "FailedMount", &said);
    }
    Mounts::Waiting(run.mounting.warned.map(|at| at + PATIENCE))
}

fn hindrance(world: &World, pod: &Value, claim: &str, node: &str) -> Option<Hindrance> {
    let not_yet = |why: &str| {
        let within = namespace(pod);
        Some(Hindrance::NotYet(format!("error processing PVC {within}/{claim}: {why}")))
    };
    let Some(found) = get(world, CLAIMS, namespace(pod), claim) else {
        let said = format!(
            "error processing PVC {}/{claim}: failed to fetch PVC from API server: persistentvolumeclaims \"{claim}\" not found",
            namespace(pod)
        );
        return Some(Hindrance::NotYet(said));
    };
    if marked(&found) && !has_finalizer(&found, guards::CLAIM) {
        return not_yet("PVC is being deleted");
    }
    let Some(source) = volumes::of_claim(world, &found) else {
        return not_yet("PVC is not bound");
    };
    if attach::needed(&source) && !attach::attached(world, name(&source), node) {
        return Some(Hindrance::NotYet(String::new()));
    }
    staged(world, &source).map(|why| {
        let what = name(&source);
        Hindrance::Failed(format!("MountVolume.MountDevice failed for volume \"{what}\" : {why}"))
    })
}

/// What keeps an encrypted volume shut.
fn staged(world: &World, volume: &Value) -> Option<String> {
    let secret = &volume["spec"]["csi"]["nodeStageSecretRef"];
    let (within, wanted) = (text(&secret["namespace"]), text(&secret["name"]));
    if wanted.is_empty() {
        return None;
    }
    if get(world, SECRETS, within, wanted).is_none() {
        return Some(format!(
            "fetching NodeStageSecretRef {within}/{wanted} failed: kubernetes.io/csi: failed to find the secret {wanted} in the namespace {within} with error: secrets \"{wanted}\" not found"
        ));
    }
    faults::on(world, faults::LUKS_OOM)
        .then(|| "rpc error: code = Unavailable desc = error reading from server: EOF".into())
}

/// The node's plugin, if it is there as a pod, is killed for want of memory.
fn killed(world: &mut World, node: &str) {
    const PLUGIN: &str = "proxmox-csi-plugin-node";
    if !faults::on(world, faults::LUKS_OOM) {
        return;
    }
    let mut plugins = all(world, PODS, None);
    plugins.retain(|p| {
        text(&p["spec"]["nodeName"]) == node
            && list(&p["spec"]["containers"]).iter().any(|c| text(&c["name"]) == PLUGIN)
    });
    for plugin in plugins {
        kill(world, namespace(&plugin), name(&plugin), PLUGIN, 137, "OOMKilled");
    }
}
