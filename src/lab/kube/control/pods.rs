//! Pods as controllers make, read and delete them.

use super::object::{PODS, condition, list, marked, text, uid};
use super::owners;
use crate::lab::World;
use crate::lab::kube::{Deleting, Key};
use serde_json::{Value, json};

/// A pod of a template, with the defaults that the API server would fill in.
pub(super) fn of_template(template: &Value, owner: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"ownerReferences": [owners::reference(owner)]},
        "spec": template["spec"],
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            pod["metadata"][field] = template["metadata"][field].clone();
        }
    }
    fill(&mut pod["spec"]);
    pod
}

fn fill(spec: &mut Value) {
    let toleration = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let defaults = [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
        (
            "tolerations",
            json!([
                toleration("node.kubernetes.io/not-ready"),
                toleration("node.kubernetes.io/unreachable")
            ]),
        ),
        ("priority", json!(0)),
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
    ];
    for (name, value) in defaults {
        if spec[name].is_null() {
            spec[name] = value;
        }
    }
}

/// Deletes an object as a client would who names its UID; a pod with its own grace.
pub(super) fn erase(world: &mut World, key: &Key, object: &Value) {
    if key.kind.id == PODS {
        delete(world, key, object);
        return;
    }
    let how = Deleting { uid: Some(uid(object).into()), ..Deleting::default() };
    let _gone = world.store.delete(key, &how, world.now);
}

/// Deletes a pod with its own grace; one that runs nowhere needs none.
pub(super) fn delete(world: &mut World, key: &Key, pod: &Value) {
    let idle = text(&pod["spec"]["nodeName"]).is_empty() || ended(pod);
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    let grace = if idle { 0 } else { grace };
    let how = Deleting { uid: Some(uid(pod).into()), version: None, grace };
    let _gone = world.store.delete(key, &how, world.now);
}

pub(super) fn phase(pod: &Value) -> &str {
    text(&pod["status"]["phase"])
}

/// It ran to its end.
pub(super) fn ended(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// It counts for its controller.
pub(super) fn active(pod: &Value) -> bool {
    !ended(pod) && !marked(pod)
}

pub(super) fn ready(pod: &Value) -> bool {
    phase(pod) == "Running" && condition(pod, "Ready") == "True"
}

/// The claims that it mounts, by the names of its volumes.
pub(super) fn claims(pod: &Value) -> impl Iterator<Item = (&str, &str)> {
    list(&pod["spec"]["volumes"])
        .iter()
        .filter_map(|v| Some((text(&v["name"]), v["persistentVolumeClaim"]["claimName"].as_str()?)))
}

/// Whether it mounts that claim.
pub(super) fn uses(pod: &Value, claim: &str) -> bool {
    claims(pod).any(|(_, name)| name == claim)
}
