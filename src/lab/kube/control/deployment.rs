//! The Deployment controller: a ReplicaSet for each template, and the way from one to the
//! next.

mod rollout;
mod status;

use super::events::normal;
use super::object::{REPLICASETS, annotation, hash, key, key_of, marked, name, namespace, text};
use super::replicaset::wanted;
use super::{Again, owners, pods};
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::{Value, json};
use std::sync::Arc;

const SOURCE: &str = "deployment-controller";
const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

/// A Deployment with its ReplicaSets.
struct Sets {
    new: Option<Arc<Value>>,
    old: Vec<Arc<Value>>,
}

impl Sets {
    fn of(world: &World, deployment: &Value) -> Self {
        let mut old = owners::owned(world, deployment, REPLICASETS);
        old.sort_by_key(|s| revision(s));
        let at = old.iter().position(|s| same_template(deployment, s));
        let new = at.map(|at| old.remove(at));
        Self { new, old }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.new.iter().chain(&self.old)
    }
}

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(deployment) = world.store.get(key) else { return Ok(()) };
    owners::claim(world, &deployment, REPLICASETS, |_| true);
    if !marked(&deployment) {
        if deployment["spec"]["paused"] == true {
            // Only its size follows.
            if let Some(new) = Sets::of(world, &deployment).new {
                scale(world, &deployment, &new, wanted(&deployment));
            }
        } else if text(&deployment["spec"]["strategy"]["type"]) == "Recreate" {
            rollout::recreate(world, &deployment);
        } else {
            rollout::roll(world, &deployment);
        }
        forget(world, &deployment);
    }
    status::write(world, key);
    Ok(())
}

fn revision(object: &Value) -> u64 {
    annotation(object, REVISION).parse().unwrap_or(0)
}

fn same_template(deployment: &Value, set: &Value) -> bool {
    let mut theirs = set["spec"]["template"].clone();
    if let Value::Object(labels) = &mut theirs["metadata"]["labels"] {
        labels.remove(HASH);
    }
    theirs == deployment["spec"]["template"]
}

/// The set of the template as it is now: found, moved to the front of the history, or made
/// with that many replicas.
fn new_set(world: &mut World, deployment: &Value, replicas: usize) -> Option<Arc<Value>> {
    let sets = Sets::of(world, deployment);
    let number = sets.old.iter().map(|s| revision(s)).max().unwrap_or(0) + 1;
    let set = match sets.new {
        Some(set) if revision(&set) >= number => set,
        Some(set) => world
            .store
            .update(&key_of(&set)?, |s| {
                s["metadata"]["annotations"][REVISION] = json!(number.to_string());
            })
            .ok()?,
        None => make(world, deployment, number, replicas)?,
    };
    let _gone = world.store.update(&key_of(deployment)?, |d| {
        d["metadata"]["annotations"][REVISION] = json!(revision(&set).to_string());
    });
    Some(set)
}

fn make(world: &mut World, deployment: &Value, number: u64, replicas: usize) -> Option<Arc<Value>> {
    let mut template = deployment["spec"]["template"].clone();
    let collisions = deployment["status"]["collisionCount"].as_i64().unwrap_or(0);
    let hash = hash(&template, collisions);
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let set_name = format!("{}-{hash}", name(deployment));
    let mut set = json!({
        "metadata": {
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: number.to_string()},
            "ownerReferences": [owners::reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    note_size(deployment, &mut set);
    let place = key(REPLICASETS, namespace(deployment), &set_name);
    let made = world.store.create(&place, set, world.now, &mut world.chance).ok()?;
    if replicas > 0 {
        let said = format!("Scaled up replica set {set_name} from 0 to {replicas}");
        normal(world, deployment, SOURCE, "ScalingReplicaSet", &said);
    }
    Some(made)
}

fn note_size(deployment: &Value, set: &mut Value) {
    let wanted = wanted(deployment);
    let most = wanted + rollout::surge(deployment);
    let notes = &mut set["metadata"]["annotations"];
    notes["deployment.kubernetes.io/desired-replicas"] = json!(wanted.to_string());
    notes["deployment.kubernetes.io/max-replicas"] = json!(most.to_string());
}

/// Whether that changed its size.
fn scale(world: &mut World, deployment: &Value, set: &Value, to: usize) -> bool {
    let (Some(place), from) = (key_of(set), wanted(set)) else { return false };
    let _gone = world.store.update(&place, |s| {
        s["spec"]["replicas"] = json!(to);
        note_size(deployment, s);
    });
    if from != to {
        let way = if from < to { "up" } else { "down" };
        let said = format!("Scaled {way} replica set {} from {from} to {to}", name(set));
        normal(world, deployment, SOURCE, "ScalingReplicaSet", &said);
    }
    from != to
}

/// Old sets without pods go, beyond the limit, oldest first.
fn forget(world: &mut World, deployment: &Value) {
    let mut idle = Sets::of(world, deployment).old;
    idle.retain(|s| {
        !marked(s) && wanted(s) == 0 && s["status"]["replicas"].as_u64().unwrap_or(0) == 0
    });
    let limit = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let over = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for set in &idle[..over] {
        if let Some(key) = key_of(set) {
            pods::erase(world, &key, set);
        }
    }
}
