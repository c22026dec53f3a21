//! A voter's way from one class to the other, and what can be wrong about the order.

use super::super::faults;
use super::super::object::{ATTACHMENTS, CLAIMS, PODS, SETS, VOLUMES, has_finalizer, marked, text};
use super::{BLOCK, NEW, OLD, Site, brought_up, on_delete, set};
use serde_json::json;

/// Pods as before, and a set whose claims are of the new class.
fn with_new_set(seed: u64) -> Site {
    let mut site = brought_up(seed);
    site.orphan(SETS, "vault");
    site.until(2, "the set went", |s| s.get(SETS, "vault").is_none());
    site.create(SETS, "vault", "vault", set(3, NEW, "Parallel", on_delete()));
    site.until(5, "adopted", |s| s.ready(SETS, "vault") == 3);
    site.quiet();
    site
}

fn class_of(site: &Site, claim: &str) -> String {
    site.get(CLAIMS, claim).map_or(String::new(), |c| text(&c["spec"]["storageClassName"]).into())
}

#[test]
fn claims_before_the_pod_come_back_in_the_new_class() {
    for seed in 0..8 {
        let mut site = with_new_set(seed);
        let old = text(&site.the(CLAIMS, "data-vault-1")["spec"]["volumeName"]).to_owned();
        let before = site.uids(CLAIMS);
        site.delete(CLAIMS, "data-vault-1");
        site.delete(CLAIMS, "audit-vault-1");
        site.pass(3000);
        // They wait for the pod that uses them.
        assert!(marked(&site.the(CLAIMS, "data-vault-1")));
        site.delete(PODS, "vault-1");
        site.until(60, "it is back", |s| {
            // Never a pod that holds an old claim.
            let claim = s.get(CLAIMS, "data-vault-1");
            let pod = s.get(PODS, "vault-1").filter(|p| !marked(p));
            assert!(!(pod.is_some() && claim.is_some_and(|c| marked(&c))));
            s.is_ready("vault-1") && class_of(s, "data-vault-1") == NEW
        });
        site.quiet();
        assert!(!site.uids(CLAIMS).iter().any(|uid| *uid == before[1] || *uid == before[4]));
        let claim = site.the(CLAIMS, "data-vault-1");
        assert_eq!(claim["status"]["phase"], "Bound");
        let new = site.the(VOLUMES, text(&claim["spec"]["volumeName"]));
        let csi = &new["spec"]["csi"];
        assert_eq!(csi["driver"], BLOCK);
        let handle = text(&csi["volumeHandle"]);
        let end = format!("/local-lvm/vm-9999-pvc-{}", super::super::object::uid(&claim));
        assert!(handle.starts_with("pve/pve-") && handle.ends_with(&end), "{handle}");
        assert_eq!(csi["nodeStageSecretRef"]["name"], "proxmox-csi-encryption");
        let node = site.the(PODS, "vault-1")["spec"]["nodeName"].clone();
        assert_eq!(claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"], node);
        // The old volume is kept, and nobody's any more.
        let released = site.the(VOLUMES, &old);
        assert_eq!(released["status"]["phase"], "Released");
        assert!(!marked(&released));
        assert_eq!(site.names(ATTACHMENTS).len(), 2);
        assert!(site.heard("AttachVolume.Attach succeeded for volume"));
    }
}

#[test]
fn the_pod_before_its_claims_holds_the_old_ones_until_they_are_freed_by_hand() {
    let mut site = with_new_set(20);
    let before = site.uids(CLAIMS);
    site.delete(PODS, "vault-1");
    site.until(20, "it is back", |s| s.is_ready("vault-1"));
    site.delete(CLAIMS, "data-vault-1");
    site.delete(CLAIMS, "audit-vault-1");
    site.pass(60_000);
    let stuck = site.the(CLAIMS, "data-vault-1");
    assert!(marked(&stuck) && has_finalizer(&stuck, "kubernetes.io/pvc-protection"));
    assert_eq!(site.uids(CLAIMS), before);
    for claim in ["data-vault-1", "audit-vault-1"] {
        site.patch(CLAIMS, claim, |c| c["metadata"]["finalizers"] = json!([]));
    }
    assert!(site.get(CLAIMS, "data-vault-1").is_none());
    site.delete(PODS, "vault-1");
    site.until(60, "moved", |s| s.is_ready("vault-1") && class_of(s, "data-vault-1") == NEW);
}

#[test]
fn both_at_once_is_a_race_that_either_side_may_win() {
    let mut won = 0;
    for seed in 0..20 {
        let mut site = with_new_set(100 + seed);
        site.delete(PODS, "vault-1");
        // Somewhere about the moment at which the pod is made anew.
        site.pass(500 + 140 * seed);
        for claim in ["data-vault-1", "audit-vault-1"] {
            site.delete(CLAIMS, claim);
        }
        site.pass(60_000);
        let claim = site.the(CLAIMS, "data-vault-1");
        match class_of(&site, "data-vault-1").as_str() {
            NEW => won += 1,
            _ => assert!(marked(&claim) && class_of(&site, "data-vault-1") == OLD),
        }
    }
    assert!((1..20).contains(&won), "{won}");
}

#[test]
fn with_the_race_as_a_fault_protection_stays_until_it_is_patched_away() {
    let mut site = with_new_set(30);
    site.0.faults.insert(faults::PVC_PROTECTION_RACE.into());
    site.delete(CLAIMS, "data-vault-1");
    site.delete(CLAIMS, "audit-vault-1");
    site.delete(PODS, "vault-1");
    site.pass(30_000);
    assert!(site.get(PODS, "vault-1").is_none());
    assert!(site.heard(
        "create Pod vault-1 in StatefulSet vault failed error: [pvc data-vault-1 is being deleted, pvc audit-vault-1 is being deleted]"
    ));
    for claim in ["data-vault-1", "audit-vault-1"] {
        site.patch(CLAIMS, claim, |c| c["metadata"]["finalizers"] = json!([]));
    }
    site.until(120, "moved", |s| s.is_ready("vault-1"));
    assert_eq!(class_of(&site, "data-vault-1"), NEW);
}

#[test]
fn protection_that_is_taken_off_a_claim_in_use_comes_back() {
    let mut site = brought_up(40);
    site.patch(CLAIMS, "data-vault-0", |c| c["metadata"]["finalizers"] = json!([]));
    site.pass(200);
    assert!(has_finalizer(&site.the(CLAIMS, "data-vault-0"), "kubernetes.io/pvc-protection"));
}
