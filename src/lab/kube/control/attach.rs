//! Attachments of block volumes to nodes.

use super::events::{normal, warning};
use super::object::{
    ATTACHMENTS, CLAIMS, CSI_NODES, PODS, all, get, key, key_of, list, marked, name, namespace,
    retain, text, uid,
};
use super::provision::NFS;
use super::{Again, Role, after, faults, pods};
use crate::event::Span;
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

const SOURCE: &str = "attachdetach-controller";

/// Whether a volume has to be attached before it is mounted.
pub(super) fn needed(volume: &Value) -> bool {
    !matches!(text(&volume["spec"]["csi"]["driver"]), "" | NFS)
}

/// Attachments of one volume.
fn of(world: &World, volume: &str) -> Vec<Arc<Value>> {
    let mut found = all(world, ATTACHMENTS, None);
    found.retain(|a| text(&a["spec"]["source"]["persistentVolumeName"]) == volume);
    found
}

/// Whether the volume is attached to that node.
pub(super) fn attached(world: &World, volume: &str, node: &str) -> bool {
    of(world, volume)
        .iter()
        .any(|a| text(&a["spec"]["nodeName"]) == node && a["status"]["attached"] == true)
}

/// One volume: attachments where pods need it, none elsewhere.
pub(super) fn reconcile(world: &mut World, volume_key: &Key) -> Result<(), Again> {
    let volume = world.store.get(volume_key);
    let users = volume.as_ref().map(|v| users(world, v)).unwrap_or_default();
    let there = of(world, &volume_key.name);
    for attachment in &there {
        let node = text(&attachment["spec"]["nodeName"]);
        // Those that nobody here made may have users that are not known here.
        let ours = name(attachment).len() == 68;
        if ours && !users.contains_key(node) && !marked(attachment) {
            erase(world, attachment);
        }
    }
    let Some(volume) = volume else { return Ok(()) };
    for (node, pod) in users {
        let at = |a: &&Arc<Value>| text(&a["spec"]["nodeName"]) == node;
        if there.iter().any(|a| at(&a)) {
            continue;
        }
        if !there.is_empty() && shared(&volume).is_none() {
            let said = format!(
                "Multi-Attach error for volume \"{}\" Volume is already exclusively attached to one node and can't be attached to another",
                name(&volume)
            );
            warning(world, &pod, SOURCE, "FailedAttachVolume", &said);
            // Looked at again when the other attachment is gone.
            continue;
        }
        attach(world, &volume, &node);
    }
    Ok(())
}

fn erase(world: &mut World, attachment: &Value) {
    if let Some(key) = key_of(attachment) {
        super::pods::erase(world, &key, attachment);
    }
}

fn shared(volume: &Value) -> Option<&Value> {
    list(&volume["spec"]["accessModes"]).iter().find(|m| text(m).ends_with("Many"))
}

/// Nodes with pods that use the volume, and one pod of each.
fn users(world: &World, volume: &Value) -> BTreeMap<String, Arc<Value>> {
    let claim_ref = &volume["spec"]["claimRef"];
    let (within, claim) = (text(&claim_ref["namespace"]), text(&claim_ref["name"]));
    let bound =
        get(world, CLAIMS, within, claim).is_some_and(|c| uid(&c) == text(&claim_ref["uid"]));
    if !needed(volume) || !bound {
        return BTreeMap::new();
    }
    let pods = all(world, PODS, Some(within)).into_iter();
    pods.filter(|p| !pods::ended(p) && pods::uses(p, claim))
        .map(|p| (text(&p["spec"]["nodeName"]).to_owned(), p))
        .filter(|(node, _)| !node.is_empty())
        .collect()
}

fn attach(world: &mut World, volume: &Value, node: &str) {
    let csi = &volume["spec"]["csi"];
    let id = Sha256::digest([text(&csi["volumeHandle"]), text(&csi["driver"]), node].concat());
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let place = key(ATTACHMENTS, "", &format!("csi-{id}"));
    let finalizer = format!("external-attacher/{}", text(&csi["driver"]).replace('.', "-"));
    let attachment = json!({
        "metadata": {"finalizers": [finalizer]},
        "spec": {
            "attacher": volume["spec"]["csi"]["driver"], "nodeName": node,
            "source": {"persistentVolumeName": name(volume)},
        },
        "status": {"attached": false},
    });
    if world.store.create(&place, attachment, world.now, &mut world.chance).is_ok() {
        let wait = Span(world.chance.between(1000, 2000));
        after(world, Role::Attacher, place, wait);
    }
}

/// Attaches, unless the node is full; detaches what is being deleted.
pub(super) fn work(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(attachment) = world.store.get(key) else { return Ok(()) };
    if marked(&attachment) {
        let _gone = world.store.update(key, |a| retain(a, "finalizers", |_| false));
        return Ok(());
    }
    if attachment["status"]["attached"] == true {
        return Ok(());
    }
    let volume_name = text(&attachment["spec"]["source"]["persistentVolumeName"]);
    let node = text(&attachment["spec"]["nodeName"]);
    let volume = get(world, super::object::VOLUMES, "", volume_name);
    let pod = volume.and_then(|v| users(world, &v).remove(node));
    if full(world, &attachment) {
        let why = format!("rpc error: code = Internal desc = no free lun found on node {node}");
        let now = crate::lab::kube::store::stamp(world.now);
        let _gone = world.store.update(key, |a| {
            a["status"]["attachError"] = json!({"message": why, "time": now});
        });
        if let Some(pod) = pod {
            let said = format!("AttachVolume.Attach failed for volume \"{volume_name}\" : {why}");
            warning(world, &pod, SOURCE, "FailedAttachVolume", &said);
        }
        return Err(Again);
    }
    let _gone = world.store.update(key, |a| a["status"] = json!({"attached": true}));
    if let Some(pod) = pod {
        let said = format!("AttachVolume.Attach succeeded for volume \"{volume_name}\" ");
        normal(world, &pod, SOURCE, "SuccessfulAttachVolume", &said);
    }
    Ok(())
}

fn full(world: &World, attachment: &Value) -> bool {
    let (driver, node) = (text(&attachment["spec"]["attacher"]), &attachment["spec"]["nodeName"]);
    let there = all(world, ATTACHMENTS, None);
    let there = there.iter().filter(|a| {
        a["spec"]["nodeName"] == *node
            && a["spec"]["attacher"] == driver
            && a["status"]["attached"] == true
    });
    faults::on(world, faults::ATTACH_LIMIT)
        || limit(world, text(node), driver).is_some_and(|limit| there.count() >= limit)
}

/// Whether a driver runs on some nodes and that is none of them.
pub(super) fn elsewhere(world: &World, node: &str, driver: &str) -> bool {
    let runs =
        |csi: &Value| list(&csi["spec"]["drivers"]).iter().any(|d| text(&d["name"]) == driver);
    let here = get(world, CSI_NODES, "", node).is_some_and(|csi| runs(&csi));
    !here && all(world, CSI_NODES, None).iter().any(|csi| runs(csi))
}

/// How many volumes of a driver a node takes, if it says so.
pub(super) fn limit(world: &World, node: &str, driver: &str) -> Option<usize> {
    let csi = get(world, CSI_NODES, "", node)?;
    let driver = list(&csi["spec"]["drivers"]).iter().find(|d| text(&d["name"]) == driver)?;
    usize::try_from(driver["allocatable"]["count"].as_u64()?).ok()
}

/// The volumes that a pod's claims are bound to.
pub(super) fn volumes_of(world: &World, pod: &Value) -> Vec<String> {
    let bound = |claim: &str| {
        let claim = get(world, CLAIMS, namespace(pod), claim)?;
        Some(text(&claim["spec"]["volumeName"]).to_owned())
    };
    let found = pods::claims(pod).filter_map(|(_, claim)| bound(claim));
    found.filter(|v| !v.is_empty()).collect()
}
