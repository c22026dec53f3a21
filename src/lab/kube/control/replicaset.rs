//! The ReplicaSet controller: so many pods, whichever.

use super::events::normal;
use super::object::{PODS, condition, key, key_of, name, namespace, report, text};
use super::{Again, owners, pods};
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const SOURCE: &str = "replicaset-controller";

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(set) = world.store.get(key) else { return Ok(()) };
    let mut mine = owners::claim(world, &set, PODS, |_| true);
    mine.retain(|p| pods::active(p));
    if !super::object::marked(&set) {
        let wanted = wanted(&set);
        for _ in mine.len()..wanted {
            create(world, &set, SOURCE);
        }
        mine.sort_by_key(|p| rank(p));
        for pod in mine.iter().take(mine.len().saturating_sub(wanted)) {
            delete(world, &set, pod, SOURCE);
        }
    }
    write_status(world, key);
    Ok(())
}

/// Replicas of the spec.
pub(super) fn wanted(set: &Value) -> usize {
    usize::try_from(set["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap_or(0)
}

/// Who goes first: what does not run, what is not ready, what is youngest.
fn rank(pod: &Value) -> (bool, bool, bool, std::cmp::Reverse<String>) {
    let age = text(&pod["metadata"]["creationTimestamp"]).to_owned();
    let placed = !text(&pod["spec"]["nodeName"]).is_empty();
    let runs = pods::phase(pod) == "Running";
    (placed, runs, condition(pod, "Ready") == "True", std::cmp::Reverse(age))
}

/// Makes a pod with a name of chance from the owner's template.
pub(super) fn create(world: &mut World, owner: &Value, source: &str) {
    let mut pod = pods::of_template(&owner["spec"]["template"], owner);
    pod["metadata"]["generateName"] = json!(format!("{}-", name(owner)));
    let pod_name = format!("{}-{}", name(owner), world.chance.suffix(5));
    let place = key(PODS, namespace(owner), &pod_name);
    if world.store.create(&place, pod, world.now, &mut world.chance).is_ok() {
        normal(world, owner, source, "SuccessfulCreate", &format!("Created pod: {pod_name}"));
    }
}

pub(super) fn delete(world: &mut World, owner: &Value, pod: &Value, source: &str) {
    if let Some(key) = key_of(pod) {
        pods::delete(world, &key, pod);
        normal(world, owner, source, "SuccessfulDelete", &format!("Deleted pod: {}", name(pod)));
    }
}

fn write_status(world: &mut World, key: &Key) {
    let Some(set) = world.store.get(key) else { return };
    let mut mine = owners::owned(world, &set, PODS);
    mine.retain(|p| pods::active(p));
    let labels = set["spec"]["template"]["metadata"]["labels"].as_object();
    let labelled = |p: &&Arc<Value>| {
        let has = &p["metadata"]["labels"];
        labels.into_iter().flatten().all(|(name, value)| has[name] == *value)
    };
    let ready = mine.iter().filter(|p| pods::ready(p)).count();
    let counts = [
        ("fullyLabeledReplicas", mine.iter().filter(labelled).count()),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
    ];
    let mut status = Map::new();
    status.insert("replicas".into(), json!(mine.len()));
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status.insert(name.into(), json!(count));
    }
    status.insert("observedGeneration".into(), set["metadata"]["generation"].clone());
    report(world, key, |s| s["status"] = Value::Object(status));
}
