//! Deployments, ReplicaSets, Jobs and CronJobs.

use super::super::object::{
    CRONJOBS, DEPLOYMENTS, JOBS, PODS, REPLICASETS, condition, list, marked, name, text,
};
use super::super::{owners, pods};
use super::Site;
use crate::event::{Span, Time};
use serde_json::{Value, json};

fn deployment(replicas: i64, strategy: Value) -> Value {
    json!({"spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy,
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    }})
}

fn next_image(site: &mut Site, image: &str) {
    let image = image.to_owned();
    site.patch(DEPLOYMENTS, "web", |d| {
        d["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    });
}

fn images(site: &Site) -> Vec<String> {
    let pods = site.names(PODS).into_iter().map(|p| site.the(PODS, &p));
    pods.filter(|p| !marked(p))
        .map(|p| text(&p["spec"]["containers"][0]["image"]).to_owned())
        .collect()
}

#[test]
fn re_creating_ends_every_old_pod_before_a_new_one_is_made() {
    let mut site = Site::new(1);
    site.create(DEPLOYMENTS, "vault", "web", deployment(2, json!({"type": "Recreate"})));
    site.until(20, "two", |s| s.ready(DEPLOYMENTS, "web") == 2);
    site.quiet();
    let set = site.names(REPLICASETS).remove(0);
    let hash = set.strip_prefix("web-").unwrap();
    for pod in site.names(PODS) {
        let pod = site.the(PODS, &pod);
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], hash);
        assert!(name(&pod).starts_with(&format!("{set}-")) && name(&pod).len() == set.len() + 6);
        assert!(owners::controls(&site.the(REPLICASETS, &set), &pod));
    }
    let now = site.the(DEPLOYMENTS, "web");
    assert_eq!(condition(&now, "Available"), "True");
    assert_eq!(now["status"]["conditions"][1]["reason"], "NewReplicaSetAvailable");
    assert_eq!(now["status"]["observedGeneration"], 1);
    assert!(site.heard(&format!("web ScalingReplicaSet: Scaled up replica set {set} from 0 to 2")));
    assert!(site.heard("SuccessfulCreate: Created pod: web-"));
    next_image(&mut site, "web:2");
    site.until(30, "moved", |s| {
        let all: Vec<_> = s.names(PODS).iter().map(|p| s.the(PODS, p)).collect();
        let of = |i: &str| all.iter().filter(|p| p["spec"]["containers"][0]["image"] == i).count();
        assert!(of("web:1") == 0 || of("web:2") == 0, "also one that is still ending counts");
        s.ready(DEPLOYMENTS, "web") == 2 && of("web:2") == 2
    });
    site.quiet();
    assert_eq!(site.names(REPLICASETS).len(), 2);
    let now = site.the(DEPLOYMENTS, "web");
    assert_eq!(now["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    assert!(site.0.next().is_none());
    // Quiescing and back.
    site.patch(DEPLOYMENTS, "web", |d| d["spec"]["replicas"] = json!(0));
    site.until(20, "none", |s| s.names(PODS).is_empty());
    site.patch(DEPLOYMENTS, "web", |d| d["spec"]["replicas"] = json!(1));
    site.until(20, "one", |s| s.ready(DEPLOYMENTS, "web") == 1);
    site.delete(DEPLOYMENTS, "web");
    site.until(20, "all gone", |s| s.names(PODS).is_empty() && s.names(REPLICASETS).is_empty());
}

#[test]
fn rolling_keeps_what_must_be_there_and_rolls_back_to_the_set_that_there_was() {
    let mut site = Site::new(2);
    let strategy =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    site.create(DEPLOYMENTS, "vault", "web", deployment(3, strategy));
    site.until(20, "three", |s| s.ready(DEPLOYMENTS, "web") == 3);
    site.quiet();
    let first = site.names(REPLICASETS);
    next_image(&mut site, "web:2");
    site.until(90, "moved", |s| {
        let all = s.names(PODS).into_iter().map(|p| s.the(PODS, &p));
        assert!(all.filter(|p| !marked(p) && pods::ready(p)).count() >= 3);
        let sets = s.names(REPLICASETS).into_iter().map(|r| s.the(REPLICASETS, &r));
        assert!(sets.filter_map(|r| r["spec"]["replicas"].as_u64()).sum::<u64>() <= 4);
        images(s) == ["web:2", "web:2", "web:2"] && s.ready(DEPLOYMENTS, "web") == 3
    });
    site.quiet();
    next_image(&mut site, "web:1");
    site.until(90, "back", |s| images(s) == ["web:1", "web:1", "web:1"]);
    site.quiet();
    assert_eq!(site.names(REPLICASETS).len(), 2);
    let set = site.the(REPLICASETS, &first[0]);
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(set["status"]["readyReplicas"], 3);
    // One that never works takes nothing away.
    site.patch(DEPLOYMENTS, "web", |d| {
        d["spec"]["template"]["metadata"]["annotations"] = json!({"lab/exit-code": "1"});
        let probe = json!({"initialDelaySeconds": 30});
        d["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe;
    });
    site.pass(60_000);
    assert_eq!(site.the(REPLICASETS, &first[0])["status"]["readyReplicas"], 3);
    assert_eq!(
        site.the(DEPLOYMENTS, "web")["status"]["conditions"][1]["reason"],
        "ReplicaSetUpdated"
    );
}

#[test]
fn a_pod_that_is_deleted_is_replaced() {
    let mut site = Site::new(3);
    site.create(DEPLOYMENTS, "vault", "web", deployment(1, json!({"type": "Recreate"})));
    site.until(20, "one", |s| s.ready(DEPLOYMENTS, "web") == 1);
    let pod = site.names(PODS).remove(0);
    site.delete(PODS, &pod);
    site.until(20, "another", |s| s.names(PODS).len() == 1 && s.names(PODS)[0] != pod);
    site.until(20, "ready", |s| s.ready(DEPLOYMENTS, "web") == 1);
}

fn job(policy: &str) -> Value {
    json!({"spec": {"template": {"spec": {
        "restartPolicy": policy, "containers": [{"name": "backup", "image": "vault"}],
    }}}})
}

#[test]
fn a_job_runs_its_pod_to_the_end() {
    let mut site = Site::new(4);
    site.create(JOBS, "vault", "once", job("Never"));
    site.until(5, "active", |s| s.the(JOBS, "once")["status"]["active"] == 1);
    let took = site.until(40, "done", |s| condition(&s.the(JOBS, "once"), "Complete") == "True");
    assert!(took >= Span::secs(2), "{took}");
    site.quiet();
    let now = site.the(JOBS, "once");
    assert_eq!(now["status"]["succeeded"], 1);
    assert!(!now["status"]["completionTime"].is_null());
    let pod = site.the(PODS, &site.names(PODS)[0]);
    assert_eq!(pods::phase(&pod), "Succeeded");
    assert_eq!(pod["metadata"]["labels"]["job-name"], "once");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
    assert!(site.heard("once Completed: Job completed"));
    assert!(site.0.next().is_none());
}

#[test]
fn a_job_that_fails_is_tried_again_and_given_up() {
    let mut site = Site::new(5);
    let mut failing = job("Never");
    failing["spec"]["backoffLimit"] = json!(2);
    failing["spec"]["template"]["metadata"] = json!({"annotations": {"lab/exit-code": "1"}});
    site.create(JOBS, "vault", "bad", failing);
    let took = site.until(120, "failed", |s| condition(&s.the(JOBS, "bad"), "Failed") == "True");
    assert!(took >= Span::secs(30), "10 s, then 20: {took}");
    assert_eq!(site.names(PODS).len(), 3);
    assert!(site.heard("bad BackoffLimitExceeded: Job has reached the specified backoff limit"));
    site.quiet();
}

#[test]
fn a_cron_job_begins_jobs_when_due_and_keeps_the_last_ones() {
    let mut site = Site::new(6);
    let cron = json!({
        "spec": {"schedule": "0 2 * * 0", "concurrencyPolicy": "Forbid", "jobTemplate": job("OnFailure")},
        "status": {"lastScheduleTime": "2026-04-19T02:00:00Z", "lastSuccessfulTime": "2026-04-19T02:00:09Z"},
    });
    site.create(CRONJOBS, "vault", "backup", cron);
    site.quiet();
    assert!(site.names(JOBS).is_empty(), "nothing was missed");
    let due: Time = "2026-04-26T02:00:00Z".parse().unwrap();
    assert!(site.0.next().is_some_and(|at| at >= due), "{:?}", site.0.next());
    let wait = due.since(site.0.now);
    site.pass(wait.0 - 100);
    assert!(site.names(JOBS).is_empty());
    site.pass(2000);
    let only = format!("backup-{}", due.0 / 60_000);
    assert_eq!(site.names(JOBS), [only.as_str()]);
    let now = site.the(CRONJOBS, "backup");
    assert_eq!(now["status"]["lastScheduleTime"], "2026-04-26T02:00:00Z");
    assert_eq!(now["status"]["active"][0]["name"], only);
    site.until(60, "done", |s| s.the(CRONJOBS, "backup")["status"]["active"].is_null());
    let now = site.the(CRONJOBS, "backup");
    assert!(text(&now["status"]["lastSuccessfulTime"]) > "2026-04-26T02:00:00Z");
    assert!(
        site.heard(&format!(
            "backup SawCompletedJob: Saw completed job: {only}, condition: Complete"
        ))
    );
    // Suspended it rests; a year of weeks leaves three.
    site.patch(CRONJOBS, "backup", |c| c["spec"]["suspend"] = json!(true));
    site.pass(14 * 86_400_000);
    assert_eq!(site.names(JOBS), [only.as_str()]);
    site.patch(CRONJOBS, "backup", |c| c["spec"]["suspend"] = json!(false));
    site.pass(35 * 86_400_000);
    assert_eq!(site.names(JOBS).len(), 3);
    assert_eq!(site.names(PODS).len(), 3);
    assert!(list(&site.the(CRONJOBS, "backup")["status"]["active"]).is_empty());
}
