//! The CronJob controller: a job when it is time.

use super::events::{normal, warning};
use super::job::finished;
use super::object::{JOBS, condition, get, key, key_of, list, marked, name, namespace, text, uid};
use super::pods::erase;
use super::{Again, Role, after, owners};
use crate::event::{Schedule, Span, Time, Zone};
use crate::lab::World;
use crate::lab::kube::Key;
use crate::lab::kube::store::stamp;
use serde_json::{Value, json};
use std::sync::Arc;

const SOURCE: &str = "cronjob-controller";

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(cron) = world.store.get(key) else { return Ok(()) };
    let jobs = owners::owned(world, &cron, JOBS);
    let cron = observe(world, key, &cron, &jobs);
    forget(world, &cron, &jobs);
    if marked(&cron) || cron["spec"]["suspend"] == true {
        return Ok(());
    }
    let line = text(&cron["spec"]["schedule"]);
    let Some(schedule) = Schedule::parse(line) else {
        let said = format!("unparseable schedule: \"{line}\" : not a cron line");
        warning(world, &cron, SOURCE, "UnparseableSchedule", &said);
        return Ok(());
    };
    let zone = zone(&cron);
    if let Some(due) = missed(world, &cron, &schedule) {
        begin(world, key, &cron, due);
    }
    if let Some(next) = schedule.after(world.now, zone) {
        let wait = next.since(world.now).0 + 100;
        after(world, Role::Control, key.clone(), Span(wait));
    }
    Ok(())
}

/// One that is not known was refused by the API server.
fn zone(cron: &Value) -> Zone {
    text(&cron["spec"]["timeZone"]).parse().unwrap_or_default()
}

fn time(value: &Value) -> Option<Time> {
    text(value).parse().ok()
}

/// Takes finished jobs off the list of what is active, and notes the last success.
fn observe(world: &mut World, key: &Key, cron: &Arc<Value>, jobs: &[Arc<Value>]) -> Arc<Value> {
    let job = |reference: &Value| jobs.iter().find(|j| uid(j) == text(&reference["uid"]));
    let mut active = list(&cron["status"]["active"]).to_vec();
    active.retain(|reference| match job(reference).map(|j| (j, finished(j))) {
        Some((_, None)) => true,
        Some((job, Some(how))) => {
            let said = format!("Saw completed job: {}, condition: {how}", name(job));
            normal(world, cron, SOURCE, "SawCompletedJob", &said);
            false
        }
        None => {
            let said = format!("Active job went missing: {}", text(&reference["name"]));
            normal(world, cron, SOURCE, "MissingJob", &said);
            false
        }
    });
    let succeeded = jobs.iter().filter(|j| condition(j, "Complete") == "True");
    let last = succeeded
        .filter_map(|j| time(&j["status"]["completionTime"]))
        .chain(time(&cron["status"]["lastSuccessfulTime"]))
        .max();
    let updated = world.store.update(key, |c| {
        if let Some(last) = last {
            c["status"]["lastSuccessfulTime"] = json!(stamp(last));
        }
        set_active(c, active);
    });
    updated.unwrap_or_else(|_| Arc::clone(cron))
}

fn set_active(cron: &mut Value, active: Vec<Value>) {
    if !active.is_empty() {
        cron["status"]["active"] = json!(active);
    } else if let Value::Object(status) = &mut cron["status"] {
        status.remove("active");
    }
}

/// The latest time that it was due and did not begin.
fn missed(world: &mut World, cron: &Value, schedule: &Schedule) -> Option<Time> {
    let made = time(&cron["metadata"]["creationTimestamp"])?;
    let since = time(&cron["status"]["lastScheduleTime"]).unwrap_or(made);
    let due = schedule.last(since, world.now, zone(cron))?;
    let deadline = cron["spec"]["startingDeadlineSeconds"].as_u64();
    if deadline.is_some_and(|secs| due + Span::secs(secs) < world.now) {
        let said = format!("Missed scheduled time to start a job: {}", stamp(due));
        warning(world, cron, SOURCE, "MissSchedule", &said);
        return None;
    }
    Some(due)
}

fn begin(world: &mut World, key_of_cron: &Key, cron: &Value, due: Time) {
    let active = list(&cron["status"]["active"]);
    match text(&cron["spec"]["concurrencyPolicy"]) {
        "Forbid" if !active.is_empty() => {
            let said = "Not starting job because prior execution is running and concurrency policy is Forbid";
            normal(world, cron, SOURCE, "JobAlreadyActive", said);
            return;
        }
        "Replace" => {
            for reference in active {
                if let Some(job) = get(world, JOBS, namespace(cron), text(&reference["name"])) {
                    remove(world, cron, &job);
                }
            }
        }
        _ => {}
    }
    let template = &cron["spec"]["jobTemplate"];
    let job_name = format!("{}-{}", name(cron), due.0 / 60_000);
    let mut job = json!({"metadata": template["metadata"], "spec": template["spec"]});
    job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] =
        json!(stamp(due));
    job["metadata"]["ownerReferences"] = json!([owners::reference(cron)]);
    fill(&mut job["spec"]);
    let place = key(JOBS, namespace(cron), &job_name);
    let Ok(job) = world.store.create(&place, job, world.now, &mut world.chance) else { return };
    normal(world, cron, SOURCE, "SuccessfulCreate", &format!("Created job {job_name}"));
    let reference = json!({
        "kind": "Job", "apiVersion": "batch/v1", "namespace": namespace(cron), "name": job_name,
        "uid": uid(&job), "resourceVersion": job["metadata"]["resourceVersion"],
    });
    let replaces = text(&cron["spec"]["concurrencyPolicy"]) == "Replace";
    let _gone = world.store.update(key_of_cron, |c| {
        let before = list(&c["status"]["active"]).to_vec();
        let mut active = if replaces { Vec::new() } else { before };
        active.push(reference);
        set_active(c, active);
        c["status"]["lastScheduleTime"] = json!(stamp(due));
    });
}

/// The defaults that the API server fills in.
fn fill(spec: &mut Value) {
    let defaults = [
        ("parallelism", json!(1)),
        ("completions", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
    ];
    for (name, value) in defaults {
        if spec[name].is_null() {
            spec[name] = value;
        }
    }
}

fn remove(world: &mut World, cron: &Value, job: &Value) {
    if let Some(key) = key_of(job) {
        erase(world, &key, job);
        normal(world, cron, SOURCE, "SuccessfulDelete", &format!("Deleted job {}", name(job)));
    }
}

/// Finished jobs beyond the limits go, oldest first.
fn forget(world: &mut World, cron: &Value, jobs: &[Arc<Value>]) {
    let limits =
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)];
    for (how, limit, otherwise) in limits {
        let mut done: Vec<_> =
            jobs.iter().filter(|j| finished(j) == Some(how) && !marked(j)).collect();
        done.sort_by_key(|j| (text(&j["status"]["startTime"]).to_owned(), name(j).to_owned()));
        let keep = usize::try_from(cron["spec"][limit].as_u64().unwrap_or(otherwise)).unwrap_or(0);
        for job in done.iter().take(done.len().saturating_sub(keep)) {
            remove(world, cron, job);
        }
    }
}
