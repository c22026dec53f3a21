//! The StatefulSet controller.

mod identity;

use self::identity::{Member, missing_claims, ordinal, pod_name, start};
use super::events::{normal, warning};
use super::object::{PODS, key, key_of, marked, name, namespace, report, text};
use super::revisions::{self, Revisions};
use super::{Again, owners, pods};
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

const SOURCE: &str = "statefulset-controller";

/// Go on with the next pod, or wait for this one.
type Step = ControlFlow<()>;

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(set) = world.store.get(key) else { return Ok(()) };
    let members = owners::claim(world, &set, PODS, |pod| ordinal(&set, pod).is_some());
    let revisions = revisions::of(world, &set).ok_or(Again)?;
    let done = if marked(&set) { Ok(()) } else { act(world, &set, &members, &revisions) };
    revisions::truncate(world, &set, &members, &revisions);
    write_status(world, key, &revisions);
    done
}

fn replicas(set: &Value) -> i64 {
    // A lab of more is nobody's, and each is made at once.
    set["spec"]["replicas"].as_i64().unwrap_or(1).min(10_000)
}

fn monotonic(set: &Value) -> bool {
    text(&set["spec"]["podManagementPolicy"]) != "Parallel"
}

fn act(
    world: &mut World,
    set: &Value,
    members: &[Arc<Value>],
    revisions: &Revisions,
) -> Result<(), Again> {
    let first = start(set);
    let wanted = first..first + replicas(set);
    let mut kept = BTreeMap::new();
    let mut condemned = Vec::new();
    for pod in members {
        match ordinal(set, pod) {
            Some(at) if wanted.contains(&at) => {
                kept.insert(at, Arc::clone(pod));
            }
            Some(at) => condemned.push((at, Arc::clone(pod))),
            None => {}
        }
    }
    condemned.sort_by_key(|(at, _)| -at);
    let unready = |p: &&Arc<Value>| !pods::ready(p) || marked(p);
    let unhealthy = match wanted.clone().find(|at| !kept.contains_key(at)) {
        Some(at) => Some(pod_name(set, at)),
        None => {
            let all = kept.values().chain(condemned.iter().rev().map(|(_, p)| p));
            { all }.find(unready).map(|p| name(p).to_owned())
        }
    };
    let ordinals: Vec<i64> = wanted.collect();
    if each_replica(world, set, &ordinals, &kept, revisions)?.is_break() {
        return Ok(());
    }
    for (at, pod) in &condemned {
        identity::keep_claims(world, set, *at, Some(pod));
    }
    for (_, pod) in &condemned {
        if condemn(world, set, pod, unhealthy.as_deref()).is_break() && monotonic(set) {
            return Ok(());
        }
    }
    roll(world, set, &ordinals, revisions);
    Ok(())
}

fn each_replica(
    world: &mut World,
    set: &Value,
    ordinals: &[i64],
    kept: &BTreeMap<i64, Arc<Value>>,
    revisions: &Revisions,
) -> Result<Step, Again> {
    if monotonic(set) {
        for at in ordinals {
            if replica(world, set, *at, kept.get(at), revisions)?.is_break() {
                return Ok(Step::Break(()));
            }
        }
        return Ok(Step::Continue(()));
    }
    // All at once, but a failure stops it before many have failed.
    let (mut rest, mut batch) = (ordinals, 1);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(batch.min(rest.len()));
        let mut failed = false;
        for at in now {
            failed |= replica(world, set, *at, kept.get(at), revisions).is_err();
        }
        if failed {
            return Err(Again);
        }
        (rest, batch) = (later, batch * 2);
    }
    Ok(Step::Continue(()))
}

fn replica(
    world: &mut World,
    set: &Value,
    at: i64,
    pod: Option<&Arc<Value>>,
    revisions: &Revisions,
) -> Result<Step, Again> {
    let Some(pod) = pod else {
        create(world, set, at, revisions)?;
        return Ok(if monotonic(set) { Step::Break(()) } else { Step::Continue(()) });
    };
    if pods::ended(pod) {
        if !marked(pod) {
            delete(world, set, pod);
        }
        return Ok(Step::Break(()));
    }
    if pods::phase(pod) == "Pending" {
        missing_claims(world, set, at).map_err(|_| Again)?;
    }
    if monotonic(set) && (marked(pod) || !pods::ready(pod)) {
        return Ok(Step::Break(()));
    }
    identity::keep_claims(world, set, at, Some(pod));
    if let Some(key) = key_of(pod).filter(|_| !identity::is_labelled(pod, at)) {
        let _gone = world.store.update(&key, |p| identity::label(p, name(pod), at));
    }
    Ok(Step::Continue(()))
}

fn create(world: &mut World, set: &Value, at: i64, revisions: &Revisions) -> Result<(), Again> {
    let place = key(PODS, namespace(set), &pod_name(set, at));
    let failed = |world: &mut World, why: &str| {
        let (pod, set_name) = (&place.name, name(set));
        let said = format!("create Pod {pod} in StatefulSet {set_name} failed error: {why}");
        warning(world, set, SOURCE, "FailedCreate", &said);
        Err(Again)
    };
    if let Err(why) = missing_claims(world, set, at) {
        return failed(world, &why);
    }
    let revision = if old_revision(set, at) { &revisions.current } else { &revisions.update };
    let pod = Member { set, at, revision }.pod();
    if world.store.create(&place, pod, world.now, &mut world.chance).is_err() {
        let there = format!("pods \"{}\" already exists", place.name);
        return failed(world, &there);
    }
    let pod = world.store.get(&place);
    identity::keep_claims(world, set, at, pod.as_ref());
    let said = format!("create Pod {} in StatefulSet {} successful", place.name, name(set));
    normal(world, set, SOURCE, "SuccessfulCreate", &said);
    Ok(())
}

/// Below the partition of a rolling update pods are made as they were.
fn old_revision(set: &Value, at: i64) -> bool {
    let strategy = &set["spec"]["updateStrategy"];
    let rolling = !matches!(text(&strategy["type"]), "OnDelete");
    match strategy["rollingUpdate"]["partition"].as_i64() {
        Some(partition) => at < start(set) + partition,
        None if rolling && strategy["rollingUpdate"].is_null() => {
            at < start(set) + set["status"]["currentReplicas"].as_i64().unwrap_or(0)
        }
        None => false,
    }
}

fn delete(world: &mut World, set: &Value, pod: &Value) {
    if let Some(key) = key_of(pod) {
        pods::delete(world, &key, pod);
    }
    let said = format!("delete Pod {} in StatefulSet {} successful", name(pod), name(set));
    normal(world, set, SOURCE, "SuccessfulDelete", &said);
}

fn condemn(world: &mut World, set: &Value, pod: &Value, unhealthy: Option<&str>) -> Step {
    if !marked(pod) {
        let waits = monotonic(set) && !pods::ready(pod) && unhealthy != Some(name(pod));
        if !waits {
            delete(world, set, pod);
        }
    }
    Step::Break(())
}

/// One pod at a time, the last first, each ready before the next.
fn roll(world: &mut World, set: &Value, ordinals: &[i64], revisions: &Revisions) {
    let strategy = &set["spec"]["updateStrategy"];
    if text(&strategy["type"]) == "OnDelete" {
        return;
    }
    let least = strategy["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    let least = usize::try_from(least).unwrap_or(0).min(ordinals.len());
    for at in ordinals[least..].iter().rev() {
        let found = world.store.get(&key(PODS, namespace(set), &pod_name(set, *at)));
        let Some(pod) = found else { return };
        if revisions::of_pod(&pod) != name(&revisions.update) && !marked(&pod) {
            delete(world, set, &pod);
            return;
        }
        if !pods::ready(&pod) || marked(&pod) {
            return;
        }
    }
}

fn write_status(world: &mut World, key: &Key, revisions: &Revisions) {
    let Some(set) = world.store.get(key) else { return };
    let members = owners::owned(world, &set, PODS);
    let count = |test: &dyn Fn(&Value) -> bool| members.iter().filter(|p| test(p)).count();
    let of = |revision: &Value, p: &Value| !marked(p) && revisions::of_pod(p) == name(revision);
    let ready = count(&pods::ready);
    let updated = count(&|p| of(&revisions.update, p));
    let mut current = count(&|p| of(&revisions.current, p));
    let mut current_name = name(&revisions.current);
    let wanted = usize::try_from(replicas(&set)).unwrap_or(0);
    let rolling = text(&set["spec"]["updateStrategy"]["type"]) != "OnDelete";
    if rolling && [updated, ready, members.len()] == [wanted; 3] {
        (current, current_name) = (updated, name(&revisions.update));
    }
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": members.len(),
        "currentRevision": current_name, "updateRevision": name(&revisions.update),
        "collisionCount": revisions.collisions, "availableReplicas": ready,
    });
    let counts =
        [("readyReplicas", ready), ("currentReplicas", current), ("updatedReplicas", updated)];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    report(world, key, |s| s["status"] = status);
}
