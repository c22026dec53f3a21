//! Binder, provisioners, protection, scheduler and attachments.

use super::super::faults;
use super::super::object::{
    ATTACHMENTS, CLAIMS, CLASSES, CSI_NODES, NODES, PODS, VOLUMES, annotation, key, marked, text,
    uid,
};
use super::{BLOCK, NEW, OLD, Site};
use crate::lab::kube::Deleting;
use serde_json::{Value, json};

fn phase(site: &Site, id: &str, name: &str) -> String {
    site.get(id, name).map_or("gone".into(), |o| text(&o["status"]["phase"]).to_owned())
}

/// A volume as a person makes it.
fn volume(site: &mut Site, name: &str, size: &str, claim: &Value) {
    let mut spec = json!({
        "storageClassName": OLD, "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "capacity": {"storage": size},
        "csi": {"driver": "nfs.csi.k8s.io", "volumeHandle": name},
    });
    if !claim.is_null() {
        spec["claimRef"] = claim.clone();
    }
    site.create(VOLUMES, "", name, json!({"spec": spec, "status": {"phase": "Pending"}}));
}

#[test]
fn immediate_claims_get_a_volume_and_release_it() {
    let mut site = Site::new(1);
    site.claim("kept", OLD);
    site.claim("gone", "throwaway");
    let took = site.until(5, "bound", |s| phase(s, CLAIMS, "kept") == "Bound");
    assert!((1000..3500).contains(&took.0), "{took}");
    site.quiet();
    let of = |s: &Site, c: &str| text(&s.the(CLAIMS, c)["spec"]["volumeName"]).to_owned();
    let (kept, gone) = (of(&site, "kept"), of(&site, "gone"));
    assert_eq!(kept, format!("pvc-{}", uid(&site.the(CLAIMS, "kept"))));
    assert!(site.heard(
        "Waiting for a volume to be created either by the external provisioner 'nfs.csi.k8s.io'"
    ));
    assert_eq!(site.0.disks().count(), 2);
    site.delete(CLAIMS, "kept");
    site.delete(CLAIMS, "gone");
    site.quiet();
    assert_eq!(phase(&site, VOLUMES, &kept), "Released");
    assert_eq!(phase(&site, VOLUMES, &gone), "gone");
    // A claim of the same name is another claim: it gets another volume.
    site.claim("kept", OLD);
    site.quiet();
    assert_ne!(of(&site, "kept"), kept);
    assert_eq!(phase(&site, VOLUMES, &kept), "Released");
    // Deleting a retained volume leaves what lies behind it.
    site.delete(VOLUMES, &kept);
    site.quiet();
    assert_eq!(phase(&site, VOLUMES, &kept), "gone");
    assert_eq!(site.0.disks().count(), 2);
}

#[test]
fn a_volume_without_the_uid_of_its_claim_is_bound_by_name_and_a_free_one_by_fit() {
    let mut site = Site::new(2);
    volume(&mut site, "meant", "5Gi", &json!({"namespace": "vault", "name": "back"}));
    volume(&mut site, "small", "1Gi", &Value::Null);
    volume(&mut site, "fits", "3Gi", &Value::Null);
    site.quiet();
    assert_eq!(phase(&site, VOLUMES, "meant"), "Available");
    site.claim("other", OLD);
    site.claim("back", OLD);
    site.quiet();
    let of = |s: &Site, c: &str| text(&s.the(CLAIMS, c)["spec"]["volumeName"]).to_owned();
    assert_eq!((of(&site, "back").as_str(), of(&site, "other").as_str()), ("meant", "fits"));
    assert_eq!(
        text(&site.the(VOLUMES, "meant")["spec"]["claimRef"]["uid"]),
        uid(&site.the(CLAIMS, "back"))
    );
    assert!(
        annotation(&site.the(VOLUMES, "meant"), "pv.kubernetes.io/bound-by-controller").is_empty()
    );
    assert_eq!(site.the(CLAIMS, "back")["status"]["capacity"]["storage"], "5Gi");
    // A claim that names its volume gets that one, or waits.
    let named = |s: &mut Site, claim: &str, volume: &str| {
        s.claim(claim, OLD);
        s.patch(CLAIMS, claim, |c| c["spec"]["volumeName"] = json!(volume));
    };
    named(&mut site, "late", "fits");
    named(&mut site, "early", "yet-to-come");
    site.quiet();
    assert_eq!(phase(&site, CLAIMS, "late"), "Pending");
    assert!(site.heard("volume \"fits\" already bound to a different claim."));
    volume(&mut site, "yet-to-come", "2Gi", &Value::Null);
    site.quiet();
    assert_eq!(phase(&site, CLAIMS, "early"), "Bound");
    // When the UID is taken out of a released volume, the next claim of the name gets it.
    site.delete(CLAIMS, "back");
    site.quiet();
    site.claim("back", OLD);
    site.patch(CLAIMS, "back", |c| c["spec"]["volumeName"] = json!("meant"));
    site.quiet();
    assert_eq!(
        (phase(&site, CLAIMS, "back"), phase(&site, VOLUMES, "meant")),
        ("Pending".into(), "Released".into())
    );
    site.patch(VOLUMES, "meant", |v| {
        v["spec"]["claimRef"] = json!({"namespace": "vault", "name": "back"})
    });
    site.quiet();
    assert_eq!(
        (phase(&site, CLAIMS, "back"), phase(&site, VOLUMES, "meant")),
        ("Bound".into(), "Bound".into())
    );
}

#[test]
fn a_claim_of_a_missing_class_waits_for_it_and_one_without_its_volume_is_lost() {
    let mut site = Site::new(3);
    site.claim("early", "none");
    site.quiet();
    assert!(site.heard("early ProvisioningFailed: storageclass.storage.k8s.io \"none\" not found"));
    site.create(CLASSES, "", "none", json!({"provisioner": "nfs.csi.k8s.io"}));
    site.quiet();
    assert_eq!(phase(&site, CLAIMS, "early"), "Bound");
    let volume = text(&site.the(CLAIMS, "early")["spec"]["volumeName"]).to_owned();
    // Protection holds a bound volume.
    site.delete(VOLUMES, &volume);
    site.quiet();
    assert!(marked(&site.the(VOLUMES, &volume)));
    site.patch(VOLUMES, &volume, |v| v["metadata"]["finalizers"] = json!([]));
    site.quiet();
    assert_eq!(phase(&site, CLAIMS, "early"), "Lost");
    site.pod("user", Some("early"));
    site.quiet();
    assert!(site.heard("bound to non-existent persistentvolume"));
}

#[test]
fn a_claim_that_waits_for_its_first_pod_gets_its_volume_where_that_runs() {
    let mut site = Site::new(4);
    site.claim("data", NEW);
    site.quiet();
    assert!(site.heard("data WaitForFirstConsumer: waiting for first consumer"));
    site.patch(NODES, "node-1", |n| n["spec"]["unschedulable"] = json!(true));
    site.pod("user", Some("data"));
    site.patch(PODS, "user", |p| {
        p["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": "node-1"})
    });
    site.quiet();
    let refused = "0/3 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    assert!(site.heard(refused), "{:#?}", site.said());
    let pod = site.the(PODS, "user");
    assert_eq!(pod["status"]["conditions"][0]["reason"], "Unschedulable");
    site.patch(NODES, "node-1", |n| n["spec"]["unschedulable"] = json!(false));
    // First the volume, then the node, then the attachment, then the container.
    site.until(5, "chosen", |s| {
        !annotation(&s.the(CLAIMS, "data"), "volume.kubernetes.io/selected-node").is_empty()
    });
    assert!(site.the(PODS, "user")["spec"]["nodeName"].is_null());
    site.until(5, "placed", |s| s.the(PODS, "user")["spec"]["nodeName"] == "node-1");
    assert_eq!(phase(&site, CLAIMS, "data"), "Bound");
    site.until(5, "attaching", |s| s.names(ATTACHMENTS).len() == 1);
    assert_eq!(site.state("user"), "waiting ContainerCreating");
    site.until(10, "running", |s| s.is_ready("user"));
    assert!(site.heard("user SuccessfulAttachVolume"));
    let at = site.the(ATTACHMENTS, &site.names(ATTACHMENTS)[0]);
    assert_eq!(
        (text(&at["spec"]["nodeName"]), &at["status"]["attached"]),
        ("node-1", &json!(true))
    );
    // It is detached when the pod is gone, and the volume is bound to its zone.
    site.delete(PODS, "user");
    site.until(10, "detached", |s| s.names(ATTACHMENTS).is_empty());
    site.pod("far", Some("data"));
    site.patch(PODS, "far", |p| {
        p["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": "node-2"})
    });
    site.quiet();
    assert!(site.heard("1 node(s) didn't match PersistentVolume's node affinity"));
}

#[test]
fn a_claim_in_use_goes_with_its_last_pod_and_new_pods_are_refused() {
    let mut site = Site::new(5);
    site.claim("data", OLD);
    site.pod("user", Some("data"));
    site.until(20, "running", |s| s.is_ready("user"));
    site.delete(CLAIMS, "data");
    site.quiet();
    assert!(marked(&site.the(CLAIMS, "data")));
    site.pod("second", Some("data"));
    site.pod("third", Some("nothing"));
    site.quiet();
    assert!(site.heard("second FailedScheduling: 0/3 nodes are available: persistentvolumeclaim \"data\" is being deleted."));
    assert!(site.heard("third FailedScheduling: 0/3 nodes are available: persistentvolumeclaim \"nothing\" not found."));
    site.delete(PODS, "user");
    site.until(10, "the claim went", |s| s.get(CLAIMS, "data").is_none());
    site.quiet();
    assert!(site.heard("second FailedScheduling: 0/3 nodes are available: persistentvolumeclaim \"data\" not found."));
}

#[test]
fn a_pod_that_ran_to_its_end_still_holds_its_claim() {
    let mut site = Site::new(8);
    site.claim("data", OLD);
    site.pod("user", Some("data"));
    site.patch(PODS, "user", |p| p["spec"]["restartPolicy"] = json!("Never"));
    site.until(40, "done", |s| phase(s, PODS, "user") == "Succeeded");
    site.delete(CLAIMS, "data");
    site.quiet();
    assert!(marked(&site.the(CLAIMS, "data")));
    site.delete(PODS, "user");
    site.quiet();
    assert!(site.get(CLAIMS, "data").is_none());
}

#[test]
fn a_full_node_is_avoided_or_leaves_the_pod_creating() {
    let mut site = Site::new(6);
    let crowd = |site: &mut Site, node: &str, count: usize| {
        for n in 0..count {
            let attachment = json!({
                "spec": {"attacher": BLOCK, "nodeName": node, "source": {"persistentVolumeName": format!("{node}-{n}")}},
                "status": {"attached": true},
            });
            site.create(ATTACHMENTS, "", &format!("{node}-{n}"), attachment);
        }
    };
    crowd(&mut site, "node-1", 28);
    crowd(&mut site, "node-2", 28);
    crowd(&mut site, "node-3", 27);
    for n in ["one", "two"] {
        site.claim(n, NEW);
        site.pod(n, Some(n));
        site.quiet();
    }
    assert_eq!(site.the(PODS, "one")["spec"]["nodeName"], "node-3");
    assert!(site.heard(
        "two FailedScheduling: 0/3 nodes are available: 3 node(s) exceed max volume count."
    ));
    // A node that takes less than it says.
    site.0.faults.insert(faults::ATTACH_LIMIT.into());
    site.patch(CSI_NODES, "node-1", |c| {
        c["spec"]["drivers"][0]["allocatable"]["count"] = json!(40)
    });
    site.until(30, "refused", |s| {
        s.heard("two FailedAttachVolume: AttachVolume.Attach failed for volume")
    });
    site.pass(200_000);
    assert_eq!(site.state("two"), "waiting ContainerCreating");
    assert_eq!(phase(&site, PODS, "two"), "Pending");
    assert!(
        site.heard("two FailedMount: Unable to attach or mount volumes: unmounted volumes=[data]")
    );
    site.0.faults.clear();
    site.until(400, "running", |s| s.is_ready("two"));
    let waits = key(ATTACHMENTS, "", "node-1-0");
    let now = site.0.now;
    site.0.store.delete(&waits, &Deleting::default(), now).unwrap();
    site.quiet();
}

#[test]
fn an_encrypted_volume_needs_its_secret_and_memory() {
    let mut site = Site::new(7);
    site.0.faults.insert(faults::LUKS_OOM.into());
    site.create(PODS, "vault", "plugin", json!({
        "spec": {"restartPolicy": "Always", "nodeName": "node-1", "containers": [{"name": "proxmox-csi-plugin-node", "image": "plugin"}]},
        "status": {"phase": "Pending"},
    }));
    site.claim("data", NEW);
    site.pod("user", Some("data"));
    site.patch(PODS, "user", |p| {
        p["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": "node-1"})
    });
    site.until(30, "refused", |s| s.heard("user FailedMount: MountVolume.MountDevice failed"));
    site.pass(30_000);
    assert_eq!(site.state("user"), "waiting ContainerCreating");
    let plugin = &site.the(PODS, "plugin")["status"]["containerStatuses"][0];
    assert_eq!(plugin["lastState"]["terminated"]["reason"], "OOMKilled");
    assert!(plugin["restartCount"].as_i64() > Some(0));
    site.0.faults.clear();
    site.until(150, "running", |s| s.is_ready("user"));
}
