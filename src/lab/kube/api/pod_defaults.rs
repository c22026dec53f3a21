//! Defaults of pods and of what holds a pod's template.

use super::admission::set;
use serde_json::{Value, json};

/// A template of pods.
pub fn template(template: &mut Value) {
    if template.is_object() {
        common(&mut template["spec"]);
    }
}

/// A pod's own specification.
pub fn spec(spec: &mut Value) {
    common(spec);
    set(
        spec,
        &json!({
            "enableServiceLinks": true, "priority": 0, "preemptionPolicy": "PreemptLowerPriority",
        }),
    );
    let wanted = ["not-ready", "unreachable"].map(|what| {
        json!({"key": format!("node.kubernetes.io/{what}"), "operator": "Exists",
            "effect": "NoExecute", "tolerationSeconds": 300})
    });
    let mut list = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for toleration in wanted {
        let everything = |t: &Value| t["key"].is_null() && t["operator"] == json!("Exists");
        if !list.iter().any(|t| t["key"] == toleration["key"] || everything(t)) {
            list.push(toleration);
        }
    }
    spec["tolerations"] = json!(list);
}

fn common(spec: &mut Value) {
    set(
        spec,
        &json!({
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst", "securityContext": {}, "schedulerName": "default-scheduler",
        }),
    );
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container_defaults(container);
        }
    }
    // Looking for a list that is not there has left a null.
    if let Value::Object(fields) = spec {
        fields.retain(|_, v| !v.is_null());
    }
}

fn container_defaults(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let fixed = image.contains('@') || tag.is_some_and(|t| t != "latest");
    set(
        container,
        &json!({
            "resources": {}, "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": if fixed { "IfNotPresent" } else { "Always" },
        }),
    );
    for port in container["ports"].as_array_mut().into_iter().flatten() {
        set(port, &json!({"protocol": "TCP"}));
    }
    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
        if container[probe].is_object() {
            set(
                &mut container[probe],
                &json!({
                    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1,
                    "failureThreshold": 3,
                }),
            );
        }
    }
    if let Value::Object(fields) = container {
        fields.retain(|_, v| !v.is_null());
    }
}

/// What is said of a pod that is not to be scheduled yet.
pub fn gated(spec: &Value) -> Option<Value> {
    spec["schedulingGates"].as_array().filter(|gates| !gates.is_empty())?;
    Some(json!({
        "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
        "lastProbeTime": null, "lastTransitionTime": null,
    }))
}

/// The class of service of a pod, by what its containers ask and may have.
pub fn qos(spec: &Value) -> &'static str {
    let containers: Vec<&Value> = ["containers", "initContainers"]
        .iter()
        .filter_map(|list| spec[*list].as_array())
        .flatten()
        .map(|c| &c["resources"])
        .collect();
    let named = |r: &Value, part: &str| r[part].as_object().is_some_and(|o| !o.is_empty());
    if !containers.iter().any(|r| named(r, "requests") || named(r, "limits")) {
        return "BestEffort";
    }
    let guaranteed = |r: &&Value| {
        ["cpu", "memory"].iter().all(|what| {
            let (asked, most) = (&r["requests"][*what], &r["limits"][*what]);
            !most.is_null() && (asked.is_null() || asked == most)
        })
    };
    if containers.iter().all(guaranteed) { "Guaranteed" } else { "Burstable" }
}
