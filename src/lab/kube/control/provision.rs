//! The CSI provisioners: volumes for claims, and their end.

use super::Again;
use super::binder::{self, NODE};
use super::disks::{self, Disk};
use super::events::normal;
use super::guards;
use super::object::{
    NODES, VOLUMES, annotation, bytes, get, has_finalizer, key, marked, name, namespace,
    remove_finalizer, text, uid,
};
use crate::lab::World;
use crate::lab::kube::{Deleting, Key};
use serde_json::{Map, Value, json};

pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Holds a volume until what lies behind it is gone.
pub(super) const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";
/// The driver whose volumes are mounted without being attached.
pub(super) const NFS: &str = "nfs.csi.k8s.io";
const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// Makes a claim's volume, if it still wants one.
pub(super) fn make(world: &mut World, claim_key: &Key) -> Result<(), Again> {
    let Some(claim) = world.store.get(claim_key) else { return Ok(()) };
    let Some(class) = binder::class(world, &claim) else { return Ok(()) };
    let undecided = binder::waits(world, &claim) && annotation(&claim, NODE).is_empty();
    if marked(&claim) || undecided || !text(&claim["spec"]["volumeName"]).is_empty() {
        return Ok(());
    }
    let volume_name = format!("pvc-{}", uid(&claim));
    let place = key(VOLUMES, "", &volume_name);
    if world.store.get(&place).is_some() {
        return Ok(());
    }
    let provisioner = text(&class["provisioner"]);
    let controller = format!("{provisioner}_csi-controller");
    let asked = format!(
        "External provisioner is provisioning volume for claim \"{}/{}\"",
        namespace(&claim),
        name(&claim)
    );
    normal(world, &claim, &controller, "Provisioning", &asked);
    let volume = volume(world, &claim, &class);
    disks::make(
        world,
        Disk {
            handle: text(&volume["spec"]["csi"]["volumeHandle"]).to_owned(),
            bytes: bytes(&volume["spec"]["capacity"]["storage"]),
            class: name(&class).to_owned(),
            made: world.now,
            shared: provisioner == NFS,
        },
    );
    let _made = world.store.create(&place, volume, world.now, &mut world.chance);
    let said = format!("Successfully provisioned volume {volume_name}");
    normal(world, &claim, &controller, "ProvisioningSucceeded", &said);
    Ok(())
}

fn volume(world: &World, claim: &Value, class: &Value) -> Value {
    let provisioner = text(&class["provisioner"]);
    let node = get(world, NODES, "", annotation(claim, NODE));
    let at = |label: &str| {
        let found = node.as_ref().map(|n| text(&n["metadata"]["labels"][label]).to_owned());
        found.unwrap_or_default()
    };
    let volume_name = format!("pvc-{}", uid(claim));
    let parameters = &class["parameters"];
    let csi = source(parameters, provisioner, &volume_name, &TOPOLOGY.map(at));
    let policy = class["reclaimPolicy"].as_str().unwrap_or("Delete");
    let mut finalizers = vec![guards::VOLUME];
    if policy == "Delete" {
        finalizers.push(FINALIZER);
    }
    let mut spec = json!({
        "storageClassName": name(class), "persistentVolumeReclaimPolicy": policy,
        "accessModes": claim["spec"]["accessModes"], "volumeMode": "Filesystem",
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "claimRef": {
            "kind": "PersistentVolumeClaim", "apiVersion": "v1", "uid": uid(claim),
            "namespace": namespace(claim), "name": name(claim),
            "resourceVersion": claim["metadata"]["resourceVersion"],
        },
        "csi": csi,
    });
    if !class["mountOptions"].is_null() {
        spec["mountOptions"] = class["mountOptions"].clone();
    }
    let expressions: Vec<Value> = TOPOLOGY
        .into_iter()
        .filter(|label| provisioner != NFS && !at(label).is_empty())
        .map(|label| json!({"key": label, "operator": "In", "values": [at(label)]}))
        .collect();
    if !expressions.is_empty() {
        spec["nodeAffinity"] =
            json!({"required": {"nodeSelectorTerms": [{"matchExpressions": expressions}]}});
    }
    json!({
        "metadata": {"annotations": {PROVISIONED_BY: provisioner}, "finalizers": finalizers},
        "spec": spec,
        "status": {"phase": "Pending"},
    })
}

/// The `csi` part: where it lies and which secrets open it.
fn source(parameters: &Value, driver: &str, volume: &str, place: &[String; 2]) -> Value {
    if driver == NFS {
        let (server, share) = (text(&parameters["server"]), text(&parameters["share"]));
        let share = share.trim_matches('/');
        return json!({
            "driver": driver, "volumeHandle": format!("{server}#{share}#{volume}##"),
            "volumeAttributes": {"server": server, "share": share, "subdir": volume},
        });
    }
    let [region, zone] = place;
    let storage = parameters["storage"].as_str().unwrap_or("local-lvm");
    let mut csi = Map::new();
    csi.insert("driver".into(), json!(driver));
    csi.insert("volumeHandle".into(), json!(format!("{region}/{zone}/{storage}/vm-9999-{volume}")));
    csi.insert("volumeAttributes".into(), json!({"storage": storage}));
    if let Some(kind) = parameters["csi.storage.k8s.io/fstype"].as_str() {
        csi.insert("fsType".into(), json!(kind));
    }
    let secret = |what: &str| {
        text(&parameters[format!("csi.storage.k8s.io/node-stage-secret-{what}")]).to_owned()
    };
    if !secret("name").is_empty() {
        let staged = json!({"name": secret("name"), "namespace": secret("namespace")});
        csi.insert("nodeStageSecretRef".into(), staged);
    }
    Value::Object(csi)
}

/// Deletes a released volume whose policy says so, and what lies behind it. A volume that is
/// retained leaves its disk.
pub(super) fn take(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(volume) = world.store.get(key) else { return Ok(()) };
    let released = matches!(text(&volume["status"]["phase"]), "Released" | "Failed");
    if !released || text(&volume["spec"]["persistentVolumeReclaimPolicy"]) != "Delete" {
        return Ok(());
    }
    disks::take(world, text(&volume["spec"]["csi"]["volumeHandle"]));
    if has_finalizer(&volume, FINALIZER) {
        let _gone = world.store.update(key, |v| remove_finalizer(v, FINALIZER));
    }
    let how = Deleting { uid: Some(uid(&volume).into()), ..Deleting::default() };
    let _gone = world.store.delete(key, &how, world.now);
    Ok(())
}
