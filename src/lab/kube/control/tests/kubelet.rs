//! Pods on their nodes.

use super::super::object::{CLAIMS, PODS, SETS, list, text};
use super::super::{faults, kill, logs, say};
use super::{NEW, OLD, Site, on_delete, set};
use serde_json::{Value, json};

fn status(site: &Site, pod: &str) -> Value {
    site.the(PODS, pod)["status"].clone()
}

#[test]
fn a_pod_runs_and_ends_in_time() {
    let mut site = Site::new(1);
    site.pod("one", None);
    site.until(2, "placed", |s| !s.the(PODS, "one")["spec"]["nodeName"].is_null());
    assert_eq!(status(&site, "one")["phase"], "Pending");
    site.until(2, "creating", |s| s.state("one") == "waiting ContainerCreating");
    site.until(6, "running", |s| s.is_ready("one"));
    let now = status(&site, "one");
    assert_eq!(now["phase"], "Running");
    assert_eq!(now["hostIP"], "127.0.0.1");
    assert!(text(&now["podIP"]).starts_with("127.20."));
    assert_eq!(now["containerStatuses"][0]["started"], true);
    let conditions: Vec<&str> = list(&now["conditions"]).iter().map(|c| text(&c["type"])).collect();
    assert_eq!(
        conditions,
        ["PodScheduled", "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"]
    );
    for said in [
        "Pulled: Container image \"main:1\"",
        "Created: Created container: main",
        "Started: Started container main",
    ] {
        assert!(site.heard(said), "{said}");
    }
    site.quiet();
    assert!(site.0.next().is_none());
    site.delete(PODS, "one");
    assert_eq!(site.the(PODS, "one")["metadata"]["deletionGracePeriodSeconds"], 30);
    let took = site.until(5, "gone", |s| s.get(PODS, "one").is_none());
    assert!(took.0 >= 500, "{took}");
    assert!(site.heard("Killing: Stopping container main"));
    site.quiet();
    assert!(site.0.control.runs.is_empty());
}

#[test]
fn a_pod_with_a_finalizer_ends_and_stays() {
    let mut site = Site::new(2);
    site.pod("one", None);
    site.patch(PODS, "one", |p| p["metadata"]["finalizers"] = json!(["example.net/hold"]));
    site.until(10, "running", |s| s.is_ready("one"));
    site.delete(PODS, "one");
    site.quiet();
    assert_eq!(status(&site, "one")["phase"], "Succeeded");
    site.patch(PODS, "one", |p| p["metadata"]["finalizers"] = json!([]));
    assert!(site.get(PODS, "one").is_none());
}

#[test]
fn a_pod_that_somebody_else_speaks_for_is_left_alone_until_it_is_deleted() {
    let mut site = Site::new(9);
    site.pod("one", None);
    site.patch(PODS, "one", |p| {
        p["spec"]["nodeName"] = json!("node-1");
        p["status"] =
            json!({"phase": "Running", "containerStatuses": [{"name": "main", "restartCount": 3}]});
    });
    let before = site.the(PODS, "one");
    site.quiet();
    assert_eq!(site.the(PODS, "one"), before);
    site.delete(PODS, "one");
    site.until(5, "gone", |s| s.get(PODS, "one").is_none());
}

#[test]
fn one_that_crashes_is_started_at_once_and_then_ever_more_slowly() {
    let mut site = Site::new(3);
    site.pod("one", None);
    site.patch(PODS, "one", |p| p["metadata"]["annotations"] = json!({"lab/exit-code": "3"}));
    let restarts =
        |s: &Site| status(s, "one")["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(0);
    site.until(10, "ended", |s| s.state("one") == "terminated Error");
    site.until(10, "again", |s| restarts(s) == 1 && s.state("one").starts_with("running"));
    site.until(10, "backing off", |s| s.state("one") == "waiting CrashLoopBackOff");
    let now = &status(&site, "one")["containerStatuses"][0];
    assert_eq!(now["lastState"]["terminated"]["exitCode"], 3);
    assert!(
        text(&now["state"]["waiting"]["message"])
            .starts_with("back-off 10s restarting failed container=main pod=one_vault(")
    );
    assert_eq!(status(&site, "one")["phase"], "Running");
    assert!(site.heard("BackOff: Back-off restarting failed container main in pod one_vault("));
    let mut last = 10_000;
    for n in 2..5 {
        let took = site.until(100, "again", |s| restarts(s) == n);
        assert!(took.0 >= last - 1000, "{took}");
        site.until(20, "back off", |s| s.state("one") == "waiting CrashLoopBackOff");
        last *= 2;
    }
    site.patch(PODS, "one", |p| p["metadata"]["annotations"] = json!({}));
    site.until(200, "well", |s| s.is_ready("one"));
    site.quiet();
    kill(&mut site.0, "vault", "one", "main", 137, "OOMKilled");
    site.until(10, "killed", |s| {
        status(s, "one")["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "OOMKilled"
    });
}

#[test]
fn a_voter_on_a_fresh_block_volume_needs_its_group() {
    let mut site = Site::new(4);
    let mut bare = set(1, NEW, "Parallel", on_delete());
    bare["spec"]["template"]["spec"]["containers"][0]["name"] = json!("vault");
    bare["spec"]["template"]["spec"]["securityContext"] = json!({"runAsUser": 100});
    site.create(SETS, "vault", "vault", bare);
    site.until(30, "crashing", |s| s.state("vault-0") == "waiting CrashLoopBackOff");
    for previous in [true, false] {
        let said = logs(&site.0, "vault", "vault-0", "vault", previous).unwrap();
        assert!(said.contains("open /vault/data/vault.db: permission denied\n"), "{said}");
    }
    assert_eq!(logs(&site.0, "vault", "vault-0", "auto-unseal", true), None);
    assert_eq!(logs(&site.0, "vault", "vault-0", "auto-unseal", false).as_deref(), Some(""));
    assert_eq!(logs(&site.0, "vault", "vault-0", "none", false), None);
    // With the group it can; and a disk that was the group's once stays so.
    site.patch(SETS, "vault", |s| {
        s["spec"]["template"]["spec"]["securityContext"] = json!({"fsGroup": 1000})
    });
    site.delete(PODS, "vault-0");
    site.until(60, "running", |s| s.state("vault-0").starts_with("running"));
    site.pass(60_000);
    assert_eq!(status(&site, "vault-0")["containerStatuses"][0]["restartCount"], 0);
    assert!(site.0.disks().any(|d| d.shared));
}

#[test]
fn on_nfs_it_needs_none_and_the_log_is_bounded() {
    let mut site = Site::new(5);
    let mut bare = set(1, OLD, "Parallel", on_delete());
    bare["spec"]["template"]["spec"]["containers"][0]["name"] = json!("vault");
    bare["spec"]["template"]["spec"]["securityContext"] = json!({});
    site.create(SETS, "vault", "vault", bare);
    site.until(30, "running", |s| s.state("vault-0").starts_with("running"));
    site.pass(20_000);
    assert_eq!(status(&site, "vault-0")["containerStatuses"][0]["restartCount"], 0);
    for n in 0..3000 {
        say(&mut site.0, "vault", "vault-0", "vault", &format!("line {n}"));
    }
    let said = logs(&site.0, "vault", "vault-0", "vault", false).unwrap();
    assert_eq!((said.lines().count(), said.lines().last()), (2000, Some("line 2999")));
    assert_eq!(site.names(CLAIMS).len(), 2);
}

#[test]
fn init_containers_come_first_and_a_slow_start_is_slow() {
    let mut site = Site::new(6);
    site.0.faults.insert(faults::SLOW_REJOIN.into());
    site.pod("one", None);
    site.patch(PODS, "one", |p| {
        p["spec"]["initContainers"] =
            json!([{"name": "first", "image": "i"}, {"name": "second", "image": "i"}])
    });
    site.until(5, "initializing", |s| s.state("one") == "waiting PodInitializing");
    site.until(10, "done", |s| {
        list(&status(s, "one")["initContainerStatuses"]).iter().all(|c| c["ready"] == true)
    });
    site.pass(590_000);
    assert_eq!(site.state("one"), "waiting ContainerCreating");
    site.until(20, "running", |s| s.is_ready("one"));
}
