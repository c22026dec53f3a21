//! The StatefulSet controller.

use super::super::object::{
    CLAIMS, PODS, REVISIONS, SETS, VOLUMES, annotation, list, marked, name, text, uid,
};
use super::super::{faults, owners};
use super::{NEW, OLD, Site, brought_up, on_delete, rolling, set};
use crate::event::Span;
use crate::lab::World;
use serde_json::json;

#[test]
fn a_set_comes_up_with_identities_claims_and_status_and_then_nothing_is_due() {
    let site = brought_up(1);
    assert_eq!(site.names(PODS), ["vault-0", "vault-1", "vault-2"]);
    assert_eq!(site.names(CLAIMS).len(), 6);
    let (pod, set) = (site.the(PODS, "vault-1"), site.the(SETS, "vault"));
    let labels = &pod["metadata"]["labels"];
    assert_eq!(labels["statefulset.kubernetes.io/pod-name"], "vault-1");
    assert_eq!(labels["apps.kubernetes.io/pod-index"], "1");
    assert_eq!(labels["controller-revision-hash"], set["status"]["updateRevision"]);
    assert_eq!(site.names(REVISIONS), [text(&set["status"]["updateRevision"])]);
    assert_eq!(pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-vault-1");
    assert!(owners::controls(&set, &pod));
    assert_eq!(set["status"]["observedGeneration"], 1);
    assert_eq!(set["status"]["replicas"], 3);
    for claim in site.names(CLAIMS) {
        let claim = site.the(CLAIMS, &claim);
        assert_eq!(claim["status"]["phase"], "Bound");
        assert_eq!(annotation(&claim, "pv.kubernetes.io/bind-completed"), "yes");
        assert_eq!(list(&claim["metadata"]["finalizers"]), ["kubernetes.io/pvc-protection"]);
        let volume = site.the(VOLUMES, text(&claim["spec"]["volumeName"]));
        assert_eq!(text(&volume["spec"]["claimRef"]["uid"]), uid(&claim));
        assert_eq!(volume["status"]["phase"], "Bound");
    }
    // One on each node, and each with its address.
    let mut nodes: Vec<_> =
        (0..3).map(|n| site.the(PODS, &format!("vault-{n}"))["spec"]["nodeName"].clone()).collect();
    nodes.sort_by_key(ToString::to_string);
    assert_eq!(nodes, ["node-1", "node-2", "node-3"]);
    assert!(site.heard("create Pod vault-2 in StatefulSet vault successful"));
    assert!(site.heard("create Claim data-vault-2 Pod vault-2 in StatefulSet vault success"));
    assert!(site.heard("Successfully assigned vault/vault-0 to node-"));
    assert!(site.0.next().is_none(), "{:?}", site.0.next());
}

#[test]
fn the_same_seed_lives_the_same_and_a_world_that_was_written_down_goes_on_the_same() {
    let mut one = Site::new(9);
    one.create(SETS, "vault", "vault", set(3, NEW, "OrderedReady", on_delete()));
    one.pass(4000);
    let text = serde_json::to_string(&one.0).unwrap();
    let mut two = Site(serde_json::from_str::<World>(&text).unwrap());
    one.quiet();
    two.quiet();
    assert_eq!(serde_json::to_string(&one.0).unwrap(), serde_json::to_string(&two.0).unwrap());
    let mut three = Site::new(9);
    three.create(SETS, "vault", "vault", set(3, NEW, "OrderedReady", on_delete()));
    three.quiet();
    assert_eq!(one.uids(PODS), three.uids(PODS));
}

#[test]
fn in_order_each_pod_waits_for_the_one_before() {
    let mut site = Site::new(2);
    site.create(SETS, "vault", "vault", set(3, OLD, "OrderedReady", rolling(0)));
    for n in 0..3 {
        let next = format!("vault-{}", n + 1);
        let this = format!("vault-{n}");
        site.until(30, &this, |s| {
            assert!(s.is_ready(&this) || s.get(PODS, &next).is_none(), "{next} before {this}");
            s.is_ready(&this)
        });
    }
    // And down again from the last one.
    site.patch(SETS, "vault", |s| s["spec"]["replicas"] = json!(1));
    site.until(30, "one left", |s| {
        assert!(
            s.get(PODS, "vault-2").is_none() || !s.get(PODS, "vault-1").is_some_and(|p| marked(&p))
        );
        s.names(PODS) == ["vault-0"]
    });
    assert_eq!(site.names(CLAIMS).len(), 6, "claims are retained");
    assert!(site.heard("delete Pod vault-2 in StatefulSet vault successful"));
}

#[test]
fn an_orphaned_set_leaves_its_pods_and_a_new_one_adopts_them() {
    let mut site = brought_up(3);
    let before = site.uids(PODS);
    let revision = site.the(SETS, "vault")["status"]["updateRevision"].clone();
    site.orphan(SETS, "vault");
    site.until(2, "the set went", |s| s.get(SETS, "vault").is_none());
    site.quiet();
    assert_eq!(site.uids(PODS), before);
    assert!(owners::controller(&site.the(PODS, "vault-0")).is_none());
    // A pod of another name is none of its own, whatever its labels.
    site.pod("vault-extra", None);
    site.patch(PODS, "vault-extra", |p| p["metadata"]["labels"] = json!({"app": "vault"}));
    site.create(SETS, "vault", "vault", set(3, NEW, "Parallel", on_delete()));
    site.until(2, "three ready", |s| s.ready(SETS, "vault") == 3);
    site.quiet();
    let set = site.the(SETS, "vault");
    for n in 0..3 {
        assert!(owners::controls(&set, &site.the(PODS, &format!("vault-{n}"))));
    }
    assert!(owners::controller(&site.the(PODS, "vault-extra")).is_none());
    assert!(before.iter().all(|uid| site.uids(PODS).contains(uid)), "nothing moved");
    assert_eq!(set["status"]["updateRevision"], revision, "the class is no part of the template");
    assert_eq!(site.names(REVISIONS).len(), 1);
    // What no longer matches is let go, and replaced.
    site.patch(PODS, "vault-1", |p| p["metadata"]["labels"]["app"] = json!("other"));
    site.pass(5000);
    assert!(owners::controller(&site.the(PODS, "vault-1")).is_none());
    assert!(site.heard("already exists"));
}

#[test]
fn a_rolling_update_goes_from_the_last_to_the_partition_and_waits_for_each() {
    let mut site = Site::new(4);
    site.create(SETS, "vault", "vault", set(3, OLD, "Parallel", rolling(1)));
    site.until(60, "up", |s| s.ready(SETS, "vault") == 3);
    site.quiet();
    let before = site.uids(PODS);
    site.patch(SETS, "vault", |s| {
        s["spec"]["template"]["spec"]["containers"][0]["image"] = json!("vault:1.19.0");
    });
    site.until(60, "two moved", |s| {
        let ready = (0..3).filter(|n| s.is_ready(&format!("vault-{n}"))).count();
        assert!(ready >= 2);
        s.the(SETS, "vault")["status"]["updatedReplicas"] == 2 && ready == 3
    });
    site.quiet();
    let after = site.uids(PODS);
    assert_eq!(before[0], after[0], "below the partition");
    assert!(before[1] != after[1] && before[2] != after[2]);
    let set = site.the(SETS, "vault");
    assert_ne!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
    site.patch(SETS, "vault", |s| s["spec"]["updateStrategy"] = rolling(0));
    site.quiet();
    let set = site.the(SETS, "vault");
    assert_eq!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
    assert_eq!(set["status"]["currentReplicas"], 3);
    assert_eq!(site.the(PODS, "vault-0")["spec"]["containers"][0]["image"], "vault:1.19.0");
}

#[test]
fn on_delete_changes_nothing_until_a_pod_is_deleted() {
    let mut site = brought_up(5);
    let before = site.uids(PODS);
    site.patch(SETS, "vault", |s| {
        s["spec"]["template"]["spec"]["containers"][0]["image"] = json!("vault:1.19.0");
    });
    site.quiet();
    assert_eq!(site.uids(PODS), before);
    assert_eq!(site.names(REVISIONS).len(), 2);
    site.delete(PODS, "vault-1");
    site.until(30, "it is back", |s| s.uids(PODS)[1..2] != before[1..2] && s.is_ready("vault-1"));
    assert_eq!(site.the(PODS, "vault-1")["spec"]["containers"][0]["image"], "vault:1.19.0");
    assert_eq!(site.the(PODS, "vault-0")["spec"]["containers"][0]["image"], "vault:1.18.1");
}

#[test]
fn what_becomes_of_claims_follows_from_the_retention_policy() {
    let mut site = Site::new(6);
    let mut deleting = set(2, OLD, "Parallel", on_delete());
    deleting["spec"]["persistentVolumeClaimRetentionPolicy"] =
        json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    site.create(SETS, "vault", "vault", deleting);
    site.until(60, "up", |s| s.ready(SETS, "vault") == 2);
    site.quiet();
    site.patch(SETS, "vault", |s| s["spec"]["replicas"] = json!(1));
    site.quiet();
    assert_eq!(site.names(CLAIMS), ["audit-vault-0", "data-vault-0"]);
    site.delete(SETS, "vault");
    site.quiet();
    assert!(site.names(PODS).is_empty() && site.names(CLAIMS).is_empty());
    assert!(site.names(VOLUMES).len() == 4, "volumes are retained by their own policy");
}

#[test]
fn a_deleted_set_takes_its_pods_along_and_leaves_its_claims() {
    let mut site = brought_up(7);
    site.delete(SETS, "vault");
    site.until(20, "its pods went", |s| s.names(PODS).is_empty());
    site.quiet();
    assert!(site.names(REVISIONS).is_empty());
    assert_eq!(site.names(CLAIMS).len(), 6);
}

#[test]
fn something_with_the_old_manifest_brings_a_deleted_set_back() {
    let mut site = brought_up(8);
    site.0.faults.insert(faults::STS_RECREATED.into());
    let uid_before = site.uids(SETS);
    site.orphan(SETS, "vault");
    site.pass(400);
    assert!(site.names(SETS).is_empty());
    let waited = site.until(2, "it is back", |s| !s.names(SETS).is_empty());
    assert!(waited > Span::secs(0));
    site.quiet();
    assert_ne!(site.uids(SETS), uid_before);
    let set = site.the(SETS, "vault");
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"], OLD);
    assert_eq!(name(&set), "vault");
    assert_eq!(site.ready(SETS, "vault"), 3);
}
