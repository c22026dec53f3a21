//! The Job controller: pods until enough of them succeeded.

use super::events::{normal, warning};
use super::object::{PODS, condition, list, marked, name, report, text, uid};
use super::replicaset::{create, delete};
use super::{Again, Role, after, owners, pods};
use crate::event::{Span, Time};
use crate::lab::World;
use crate::lab::kube::Key;
use crate::lab::kube::store::stamp;
use serde_json::{Value, json};
use std::sync::Arc;

const SOURCE: &str = "job-controller";

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    identify(world, key);
    let Some(job) = world.store.get(key) else { return Ok(()) };
    let mine = owners::claim(world, &job, PODS, |_| true);
    if finished(&job).is_some() {
        expire(world, key, &job);
        return Ok(());
    }
    if marked(&job) {
        return Ok(());
    }
    let active: Vec<Arc<Value>> = mine.iter().filter(|p| pods::active(p)).cloned().collect();
    if job["spec"]["suspend"] == true {
        active.iter().for_each(|p| delete(world, &job, p, SOURCE));
        write_status(world, key, None);
        return Ok(());
    }
    let verdict = verdict(world, &job, &mine);
    if verdict.is_some() {
        active.iter().for_each(|p| delete(world, &job, p, SOURCE));
    } else {
        let succeeded = mine.iter().filter(|p| pods::phase(p) == "Succeeded").count();
        let wanted = number(&job, "parallelism", 1)
            .min(number(&job, "completions", 1).saturating_sub(succeeded));
        match not_before(&mine).filter(|at| *at > world.now) {
            Some(at) => after(world, Role::Control, key.clone(), at.since(world.now)),
            None => (active.len()..wanted).for_each(|_| create(world, &job, SOURCE)),
        }
    }
    write_status(world, key, verdict);
    Ok(())
}

fn number(job: &Value, field: &str, otherwise: u64) -> usize {
    usize::try_from(job["spec"][field].as_u64().unwrap_or(otherwise)).unwrap_or(0)
}

/// Labels and a selector by its UID, as the API server makes them.
fn identify(world: &mut World, key: &Key) {
    let _gone = world.store.update(key, |job| {
        if !job["spec"]["selector"].is_null() {
            return;
        }
        let (id, of) = (uid(job).to_owned(), name(job).to_owned());
        job["spec"]["selector"] =
            json!({"matchLabels": {"batch.kubernetes.io/controller-uid": id}});
        let labels = &mut job["spec"]["template"]["metadata"]["labels"];
        for prefix in ["", "batch.kubernetes.io/"] {
            labels[format!("{prefix}controller-uid")] = json!(id);
            labels[format!("{prefix}job-name")] = json!(of);
        }
    });
}

/// `Complete` or `Failed`, if it is.
pub(super) fn finished(job: &Value) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|kind| condition(job, kind) == "True")
}

/// Why it is over.
struct Verdict {
    complete: bool,
    reason: &'static str,
    message: &'static str,
}

fn verdict(world: &mut World, job: &Value, mine: &[Arc<Value>]) -> Option<Verdict> {
    let count = |phase: &str| mine.iter().filter(|p| pods::phase(p) == phase).count();
    if count("Succeeded") >= number(job, "completions", 1) {
        let message = "Reached expected number of succeeded pods";
        return Some(Verdict { complete: true, reason: "CompletionsReached", message });
    }
    let limit = number(job, "backoffLimit", 6);
    let restarts: u64 = mine
        .iter()
        .flat_map(|p| list(&p["status"]["containerStatuses"]))
        .map(|c| c["restartCount"].as_u64().unwrap_or(0))
        .sum();
    let in_place = text(&job["spec"]["template"]["spec"]["restartPolicy"]) == "OnFailure";
    let restarted = in_place && usize::try_from(restarts).is_ok_and(|n| n > limit);
    if count("Failed") > limit || restarted {
        let message = "Job has reached the specified backoff limit";
        return Some(Verdict { complete: false, reason: "BackoffLimitExceeded", message });
    }
    let deadline = job["spec"]["activeDeadlineSeconds"].as_u64()?;
    let began: Time = text(&job["status"]["startTime"]).parse().unwrap_or(world.now);
    let due = began + Span::secs(deadline);
    if due <= world.now {
        let message = "Job was active longer than specified deadline";
        return Some(Verdict { complete: false, reason: "DeadlineExceeded", message });
    }
    if let Some(key) = super::object::key_of(job) {
        after(world, Role::Control, key, due.since(world.now));
    }
    None
}

/// After a failure the next pod waits, ever longer.
fn not_before(mine: &[Arc<Value>]) -> Option<Time> {
    let failed: Vec<_> = mine.iter().filter(|p| pods::phase(p) == "Failed").collect();
    let ends = failed.iter().flat_map(|p| list(&p["status"]["containerStatuses"]));
    let last: Time =
        ends.filter_map(|c| text(&c["state"]["terminated"]["finishedAt"]).parse().ok()).max()?;
    let wait = Span::secs((10 << (failed.len() - 1).min(6)).min(600));
    Some(last + wait)
}

fn write_status(world: &mut World, key: &Key, verdict: Option<Verdict>) {
    let Some(job) = world.store.get(key) else { return };
    let mine = owners::owned(world, &job, PODS);
    let count = |test: &dyn Fn(&Value) -> bool| mine.iter().filter(|p| test(p)).count();
    let now = stamp(world.now);
    let mut status = json!({
        "uncountedTerminatedPods": {},
        "ready": count(&|p| pods::ready(p) && pods::active(p)),
        "terminating": count(&|p| marked(p) && !pods::ended(p)),
    });
    let counts = [
        ("active", count(&pods::active)),
        ("succeeded", count(&|p| pods::phase(p) == "Succeeded")),
        ("failed", count(&|p| pods::phase(p) == "Failed")),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    if job["spec"]["suspend"] != true {
        let began = &job["status"]["startTime"];
        status["startTime"] = if began.is_null() { json!(now) } else { began.clone() };
    }
    if let Some(verdict) = &verdict {
        let kinds = if verdict.complete {
            ["SuccessCriteriaMet", "Complete"]
        } else {
            ["FailureTarget", "Failed"]
        };
        status["conditions"] = json!(kinds.map(|kind| json!({
            "type": kind, "status": "True", "reason": verdict.reason,
            "message": verdict.message, "lastProbeTime": now, "lastTransitionTime": now,
        })));
        if verdict.complete {
            status["completionTime"] = json!(now);
            normal(world, &job, SOURCE, "Completed", "Job completed");
        } else {
            warning(world, &job, SOURCE, verdict.reason, verdict.message);
        }
    }
    report(world, key, |j| j["status"] = status);
}

/// A finished job with a time to live goes after it.
fn expire(world: &mut World, key: &Key, job: &Value) {
    let Some(life) = job["spec"]["ttlSecondsAfterFinished"].as_u64() else { return };
    let last = list(&job["status"]["conditions"]).last();
    let ended = last.and_then(|c| text(&c["lastTransitionTime"]).parse().ok());
    let due = ended.unwrap_or(world.now) + Span::secs(life);
    if due <= world.now {
        pods::erase(world, key, job);
    } else {
        after(world, Role::Control, key.clone(), due.since(world.now));
    }
}
