//! What the server refuses as invalid.

use super::admission;
use super::error::{Cause, Refusal};
use crate::lab::World;
use crate::lab::kube::Kind;
use serde_json::{Value, json};

/// A new object.
pub fn created(kind: &Kind, object: &Value) -> Result<(), Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        causes.extend(bad_name(kind, name));
    }
    causes.extend(bad_labels(object));
    let spec = &object["spec"];
    match kind.id {
        "pods" if is_empty(&spec["containers"]) => {
            causes.push(Cause::required("spec.containers", ""));
        }
        "persistentvolumeclaims" => causes.extend(claim(spec)),
        "statefulsets.apps" | "deployments.apps" | "replicasets.apps" => {
            causes.extend(selecting(spec));
        }
        "storageclasses.storage.k8s.io" if object["provisioner"].is_null() => {
            causes.push(Cause::required("provisioner", ""));
        }
        "leases.coordination.k8s.io" => causes.extend(lease(spec)),
        _ => {}
    }
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(kind, name, &causes)) }
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

fn bad_name(kind: &Kind, name: &str) -> Option<Cause> {
    let ends = |s: &str| {
        let edge =
            |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(s.chars().next()) && edge(s.chars().last())
    };
    let inner =
        |s: &str| s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let label = matches!(kind.id, "namespaces" | "services");
    let good = if label {
        name.len() <= 63 && ends(name) && inner(name)
    } else {
        name.len() <= 253 && name.split('.').all(|part| ends(part) && inner(part))
    };
    let why = if label {
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    } else {
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    };
    (!good).then(|| Cause::invalid("metadata.name", &json!(name), why))
}

fn bad_labels(object: &Value) -> Vec<Cause> {
    let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    let good = |text: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let edge = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        bytes.len() <= 63
            && bytes.iter().all(|b| inner(*b))
            && edge(bytes.first())
            && edge(bytes.last())
    };
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let bad = labels.filter(|(_, value)| value.as_str().is_some_and(|text| !good(text)));
    bad.map(|(_, value)| Cause::invalid("metadata.labels", value, why)).collect()
}

fn claim(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if is_empty(&spec["accessModes"]) {
        let why = "at least 1 access mode is required";
        causes.push(Cause::required("spec.accessModes", why));
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
    causes
}

fn lease(spec: &Value) -> Vec<Cause> {
    let below = |field: &str, least: i64, why: &str| {
        let value = spec.get(field).filter(|v| v.as_i64().is_some_and(|n| n < least))?;
        Some(Cause::invalid(&format!("spec.{field}"), value, why))
    };
    let lasts = below("leaseDurationSeconds", 1, "must be greater than 0");
    let hands = below("leaseTransitions", 0, "must be greater than or equal to 0");
    lasts.into_iter().chain(hands).collect()
}

fn selecting(spec: &Value) -> Vec<Cause> {
    let selector = &spec["selector"];
    if selector.is_null() {
        return vec![Cause::required("spec.selector", "")];
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let wanted = selector["matchLabels"].as_object();
    if wanted.into_iter().flatten().any(|(key, value)| labels[key] != *value) {
        let why = "`selector` does not match template `labels`";
        return vec![Cause::invalid("spec.template.metadata.labels", labels, why)];
    }
    if is_empty(&spec["template"]["spec"]["containers"]) {
        return vec![Cause::required("spec.template.spec.containers", "")];
    }
    Vec::new()
}

/// A change.
pub fn updated(
    world: &World,
    kind: &Kind,
    old: &Value,
    new: &Value,
    wanted_uid: &Value,
) -> Result<(), Refusal> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let mut causes = Vec::new();
    if wanted_uid.as_str().is_some_and(|u| !u.is_empty() && old["metadata"]["uid"] != json!(u)) {
        let cause = Cause::invalid("metadata.uid", wanted_uid, "field is immutable");
        causes.push(cause.twice());
    }
    causes.extend(new_finalizers(old, new));
    causes.extend(bad_labels(new));
    causes.extend(immutable(kind, old, new));
    if kind.id == "leases.coordination.k8s.io" {
        causes.extend(lease(&new["spec"]));
    }
    if !causes.is_empty() {
        return Err(Refusal::invalid(kind, name, &causes));
    }
    let asked = |o: &Value| quantity(&o["spec"]["resources"]["requests"]["storage"]);
    if kind.id == "persistentvolumeclaims" && asked(new) > asked(old) {
        admission::may_grow(world, new)?;
    }
    Ok(())
}

fn new_finalizers(old: &Value, new: &Value) -> Option<Cause> {
    if old["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let list = |o: &Value| o["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let had = list(old);
    let added: Vec<_> =
        list(new).into_iter().filter(|f| !had.contains(f)).map(|f| f.to_string()).collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    (!added.is_empty()).then(|| Cause::forbidden("metadata.finalizers", &why).twice())
}

fn immutable(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let (was, is) = (&old["spec"], &new["spec"]);
    match kind.id {
        "statefulsets.apps" => {
            const FREE: [&str; 7] = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
            let differs = differs_besides(was, is, &FREE);
            differs.then(|| Cause::forbidden("spec", why)).into_iter().collect()
        }
        "persistentvolumeclaims" => claim_change(was, is, &old["status"]),
        "persistentvolumes" => {
            let source = |v: &Value| [v["csi"].clone(), v["nfs"].clone(), v["hostPath"].clone()];
            let why = "spec.persistentvolumesource is immutable after creation";
            let changed = source(was) != source(is);
            let cause = || Cause::forbidden("spec.persistentvolumesource", why);
            changed.then(cause).into_iter().collect()
        }
        "pods" => pod_change(was, is),
        "deployments.apps" | "replicasets.apps" | "jobs.batch" => {
            let cause = || Cause::invalid("spec.selector", &is["selector"], "field is immutable");
            (was["selector"] != is["selector"]).then(cause).into_iter().collect()
        }
        "storageclasses.storage.k8s.io" => ["parameters", "provisioner", "reclaimPolicy"]
            .into_iter()
            .filter(|field| old[*field] != new[*field])
            .map(|f| Cause::forbidden(f, &format!("updates to {f} are forbidden.")))
            .collect(),
        _ => Vec::new(),
    }
}

fn differs_besides(old: &Value, new: &Value, free: &[&str]) -> bool {
    let rest = |v: &Value| {
        let mut map = v.as_object().cloned().unwrap_or_default();
        map.retain(|key, _| !free.contains(&key.as_str()));
        map
    };
    rest(old) != rest(new)
}

/// The real message goes on with a difference in Go's words.
fn claim_change(was: &Value, is: &Value, status: &Value) -> Vec<Cause> {
    let mut free = vec!["resources"];
    if was["volumeName"].as_str().unwrap_or_default().is_empty() {
        free.extend(["volumeName", "storageClassName"]);
    }
    let bound = status["phase"] == json!("Bound");
    let size = |v: &Value| quantity(&v["resources"]["requests"]["storage"]);
    if differs_besides(was, is, &free) || size(was) != size(is) && !bound {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        return vec![Cause::forbidden("spec", why)];
    }
    if size(is) < size(was) && size(is) < quantity(&status["capacity"]["storage"]) {
        let why = "field can not be less than status.capacity";
        return vec![Cause::forbidden("spec.resources.requests.storage", why)];
    }
    Vec::new()
}

fn pod_change(was: &Value, is: &Value) -> Vec<Cause> {
    let names = |v: &Value| -> Vec<Value> {
        v["containers"].as_array().into_iter().flatten().map(|c| c["name"].clone()).collect()
    };
    if names(was) != names(is) {
        let why = "pod updates may not add or remove containers";
        return vec![Cause::forbidden("spec.containers", why)];
    }
    let fixed = |v: &Value| {
        let mut v = v.clone();
        for list in ["containers", "initContainers"] {
            for container in v[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        for free in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
            v[free] = Value::Null;
        }
        // Setting the node is the binding's way, which the lab's scheduler takes itself.
        v
    };
    if fixed(was) == fixed(is) {
        return Vec::new();
    }
    let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    vec![Cause::forbidden("spec", why)]
}

/// A quantity of bytes, as in `2Gi`; what cannot be read is nothing.
pub fn quantity(value: &Value) -> u128 {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u128 = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => 0,
    };
    number.parse::<u128>().unwrap_or(0) * factor
}
