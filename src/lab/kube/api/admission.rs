//! What the server adds to what is created, and where it refuses to.

use super::error::Refusal;
use super::pod_defaults as pods;
use crate::lab::World;
use crate::lab::kube::{Key, Kind, kind};
use serde_json::{Value, json};

pub const PVC_PROTECTION: &str = "kubernetes.io/pvc-protection";
pub const PV_PROTECTION: &str = "kubernetes.io/pv-protection";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// The namespace of a new object must be there and stay.
pub fn namespace(world: &World, key: &Key) -> Result<(), Refusal> {
    let Some(namespaces) = kind("namespaces").filter(|_| key.kind.namespaced) else {
        return Ok(());
    };
    let Some(found) = world.store.get(&Key::new(namespaces, "", &key.namespace)) else {
        return Err(Refusal::not_found(namespaces, &key.namespace));
    };
    if found["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {} because it is being terminated",
        key.namespace
    );
    let causes = json!([{
        "reason": "NamespaceTerminating", "field": "metadata.namespace",
        "message": format!("namespace {} is being terminated", key.namespace),
    }]);
    let refusal = Refusal::forbidden(key.kind.group, key.kind.plural, &key.name, &why);
    Err(refusal.with_causes(causes))
}

/// Everything that is added to a new object.
pub fn admit(world: &World, kind: &Kind, object: &mut Value) {
    // Kubelets bring their nodes' status with them.
    if kind.sub.contains(&"status") && kind.id != "nodes" {
        object.as_object_mut().map(|o| o.remove("status"));
    }
    default(kind, object);
    match kind.id {
        "persistentvolumeclaims" => {
            finalizer(object, PVC_PROTECTION);
            if object["spec"]["storageClassName"].is_null()
                && let Some(class) = default_class(world)
            {
                object["spec"]["storageClassName"] = json!(class);
            }
            object["status"] = json!({"phase": "Pending"});
        }
        "persistentvolumes" => {
            finalizer(object, PV_PROTECTION);
            object["status"] = json!({"phase": "Pending"});
        }
        "pods" => {
            object["status"] = json!({"phase": "Pending", "qosClass": pods::qos(&object["spec"])});
            if let Some(gated) = pods::gated(&object["spec"]) {
                object["status"]["conditions"] = json!([gated]);
            }
        }
        "namespaces" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        "statefulsets.apps" => object["status"] = json!({"replicas": 0, "availableReplicas": 0}),
        "replicasets.apps" => object["status"] = json!({"replicas": 0}),
        "deployments.apps" | "jobs.batch" | "cronjobs.batch" => object["status"] = json!({}),
        "services" => {
            cluster_address(world, object);
            object["status"] = json!({"loadBalancer": {}});
        }
        "nodes" | "volumeattachments.storage.k8s.io" => {}
        _ => {}
    }
}

fn finalizer(object: &mut Value, name: &str) {
    let list = &mut object["metadata"]["finalizers"];
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut().filter(|l| !l.contains(&json!(name))) {
        list.push(json!(name));
    }
}

fn default_class(world: &World) -> Option<String> {
    let classes = world.store.list(kind("storageclasses.storage.k8s.io")?, None);
    let newest = classes
        .filter(|(_, c)| c["metadata"]["annotations"][DEFAULT_CLASS] == json!("true"))
        .max_by_key(|(_, c)| c["metadata"]["creationTimestamp"].as_str().unwrap_or("").to_owned());
    newest.map(|(key, _)| key.name.clone())
}

/// The first address of 10.96.0.0/16 that no service has.
fn cluster_address(world: &World, object: &mut Value) {
    let asked = object["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
    let external = object["spec"]["type"] == json!("ExternalName");
    let address = if external || !asked.is_empty() {
        asked
    } else {
        let Some(services) = kind("services") else { return };
        let taken: std::collections::BTreeSet<String> = world
            .store
            .list(services, None)
            .filter_map(|(_, s)| s["spec"]["clusterIP"].as_str().map(str::to_owned))
            .collect();
        let all = (1..65_535_u32).map(|n| format!("10.96.{}.{}", n / 256, n % 256));
        all.into_iter().find(|a| !taken.contains(a)).unwrap_or_default()
    };
    if !address.is_empty() {
        object["spec"]["clusterIP"] = json!(address);
        object["spec"]["clusterIPs"] = json!([address]);
        set(&mut object["spec"], &json!({"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}));
    }
}

/// Defaults where nothing is.
pub fn set(into: &mut Value, defaults: &Value) {
    for (name, value) in defaults.as_object().into_iter().flatten() {
        if into[name].is_null() {
            into[name] = value.clone();
        }
    }
}

/// Defaults of a kind; they hold for updates too.
pub fn default(kind: &Kind, object: &mut Value) {
    let spec = &mut object["spec"];
    match kind.id {
        "persistentvolumeclaims" => set(spec, &json!({"volumeMode": "Filesystem"})),
        "persistentvolumes" => set(
            spec,
            &json!({"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"}),
        ),
        "pods" => pods::spec(spec),
        "statefulsets.apps" => stateful_set(spec),
        "deployments.apps" => {
            set(
                spec,
                &json!({
                    "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                    "strategy": {"type": "RollingUpdate"},
                }),
            );
            if spec["strategy"]["type"] == json!("RollingUpdate") {
                let percent = json!({"maxUnavailable": "25%", "maxSurge": "25%"});
                set(&mut spec["strategy"]["rollingUpdate"], &percent);
            }
            pods::template(&mut spec["template"]);
        }
        "replicasets.apps" => {
            set(spec, &json!({"replicas": 1}));
            pods::template(&mut spec["template"]);
        }
        "jobs.batch" => job(spec),
        "cronjobs.batch" => {
            set(
                spec,
                &json!({
                    "concurrencyPolicy": "Allow", "suspend": false,
                    "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
                }),
            );
            pods::template(&mut spec["jobTemplate"]["spec"]["template"]);
        }
        "services" => service(spec),
        "storageclasses.storage.k8s.io" => {
            set(object, &json!({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}));
        }
        "secrets" => secret(object),
        _ => {}
    }
    // Looking for lists that are not there has left nulls.
    if let Value::Object(fields) = &mut object["spec"] {
        fields.retain(|_, v| !v.is_null());
    }
    if object["spec"].is_null() {
        object.as_object_mut().map(|o| o.remove("spec"));
    }
}

fn stateful_set(spec: &mut Value) {
    set(
        spec,
        &json!({
            "replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        }),
    );
    if spec["updateStrategy"]["type"] == json!("RollingUpdate") {
        set(&mut spec["updateStrategy"]["rollingUpdate"], &json!({"partition": 0}));
    }
    pods::template(&mut spec["template"]);
    for claim in spec["volumeClaimTemplates"].as_array_mut().into_iter().flatten() {
        set(claim, &json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim"}));
        set(&mut claim["spec"], &json!({"volumeMode": "Filesystem"}));
        set(claim, &json!({"status": {"phase": "Pending"}}));
    }
}

fn job(spec: &mut Value) {
    set(
        spec,
        &json!({
            "parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed",
            "suspend": false, "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": false,
        }),
    );
    pods::template(&mut spec["template"]);
}

fn service(spec: &mut Value) {
    set(
        spec,
        &json!({
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        }),
    );
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        let number = port["port"].clone();
        set(port, &json!({"protocol": "TCP", "targetPort": number}));
    }
}

fn secret(object: &mut Value) {
    use base64::Engine;
    set(object, &json!({"type": "Opaque"}));
    let plain = object.as_object_mut().and_then(|o| o.remove("stringData"));
    for (name, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        object["data"][name] = json!(base64::engine::general_purpose::STANDARD.encode(text));
    }
}

/// Whether a claim may grow: its class must allow it.
pub fn may_grow(world: &World, claim: &Value) -> Result<(), Refusal> {
    let class = claim["spec"]["storageClassName"].as_str().unwrap_or_default();
    let allows = kind("storageclasses.storage.k8s.io")
        .and_then(|classes| world.store.get(&Key::new(classes, "", class)))
        .is_some_and(|c| c["allowVolumeExpansion"] == json!(true));
    if allows {
        return Ok(());
    }
    let name = claim["metadata"]["name"].as_str().unwrap_or_default();
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    Err(Refusal::forbidden("", "persistentvolumeclaims", name, why))
}
