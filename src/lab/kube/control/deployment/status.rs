//! What a Deployment says of itself.

use super::super::object::{list, name, report, text};
use super::super::replicaset::wanted;
use super::{Sets, rollout};
use crate::lab::World;
use crate::lab::kube::Key;
use crate::lab::kube::store::stamp;
use serde_json::{Map, Value, json};

fn count(set: &Value, field: &str) -> usize {
    usize::try_from(set["status"][field].as_u64().unwrap_or(0)).unwrap_or(0)
}

pub(super) fn write(world: &mut World, key: &Key) {
    let Some(deployment) = world.store.get(key) else { return };
    let sets = Sets::of(world, &deployment);
    let sum = |field: &str| sets.all().map(|s| count(s, field)).sum::<usize>();
    let size = wanted(&deployment);
    let (replicas, available) = (sum("replicas"), sum("availableReplicas"));
    let updated = sets.new.as_ref().map_or(0, |s| count(s, "replicas"));
    let asked: usize = sets.all().map(|s| wanted(s)).sum();
    let mut status = Map::new();
    status.insert("observedGeneration".into(), deployment["metadata"]["generation"].clone());
    let counts = [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", asked.saturating_sub(available)),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status.insert(name.into(), json!(count));
    }
    let complete = updated == size && replicas == size && available == size;
    let enough = available >= size - rollout::unavailable(&deployment).min(size);
    let (reason, message) = if enough {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let set = sets.new.as_ref().map_or("", |s| name(s));
    let was = list(&deployment["status"]["conditions"]);
    let done = |c: &Value| c["type"] == "Progressing" && c["reason"] == "NewReplicaSetAvailable";
    // What was rolled out once stays so, until another template comes.
    let rolled = complete || replicas == updated && was.iter().any(done);
    let (progress, said) = if rolled {
        ("NewReplicaSetAvailable", format!("ReplicaSet \"{set}\" has successfully progressed."))
    } else {
        ("ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."))
    };
    let now = stamp(world.now);
    let conditions = [
        condition(was, "Available", enough, reason, message, &now),
        condition(was, "Progressing", true, progress, &said, &now),
    ];
    status.insert("conditions".into(), json!(conditions));
    if let Some(collisions) = deployment["status"]["collisionCount"].as_u64() {
        status.insert("collisionCount".into(), json!(collisions));
    }
    report(world, key, |d| d["status"] = Value::Object(status));
}

fn condition(
    was: &[Value],
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
    now: &str,
) -> Value {
    let status = if holds { "True" } else { "False" };
    let before = was.iter().find(|c| c["type"] == kind);
    let same = before.filter(|c| c["status"] == status);
    let unchanged = same.filter(|c| c["reason"] == reason && c["message"] == message);
    let time = |from: Option<&Value>, field: &str| {
        from.map_or(now.to_owned(), |c| text(&c[field]).to_owned())
    };
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": time(unchanged, "lastUpdateTime"),
        "lastTransitionTime": time(same, "lastTransitionTime"),
    })
}
