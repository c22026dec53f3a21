//! The manifest that a StatefulSet is re-created from, before the old one is deleted: a mistake
//! in it is harmless as long as the old one stands.

use crate::action::kube_apply;
use crate::remote::Remote;
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::Value;

/// What must be the same in the new one, where it is, and what the server takes for one that does
/// not say it.
const SAME: [(&str, &str, &str); 7] = [
    ("replicas", "/spec/replicas", "1"),
    ("update strategy", "/spec/updateStrategy/type", "\"RollingUpdate\""),
    ("pod management", "/spec/podManagementPolicy", "\"OrderedReady\""),
    (
        "retention of claims when it is deleted",
        "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted",
        "\"Retain\"",
    ),
    (
        "retention of claims when it is scaled",
        "/spec/persistentVolumeClaimRetentionPolicy/whenScaled",
        "\"Retain\"",
    ),
    ("selector", "/spec/selector", "null"),
    ("service", "/spec/serviceName", "\"\""),
];

/// Reads the manifest, and refuses one that is no successor of that set.
pub(crate) async fn check(remote: &Remote, path: &str, set: &StatefulSet) -> Result<(), String> {
    let new = kube_apply::object(remote, path).await?;
    let old = serde_json::to_value(set).map_err(|e| e.to_string())?;
    let differs = differs(&old, &new);
    if differs.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{path} is no manifest to re-create it from: {}; mend it, and nothing was deleted yet",
        differs.join("; ")
    ))
}

/// What is not as it must be.
fn differs(old: &Value, new: &Value) -> Vec<String> {
    if new["kind"] != "StatefulSet" {
        return vec![format!("it is a {}", new["kind"].as_str().unwrap_or("nothing known"))];
    }
    let mut differs = Vec::new();
    for at in ["name", "namespace"] {
        let (was, is) = (&old["metadata"][at], &new["metadata"][at]);
        // A namespace that is not said is the connection's own, which the apply shows.
        if was != is && !(at == "namespace" && is.is_null()) {
            differs.push(format!("its {at} is {is}, the set's is {was}"));
        }
    }
    for (what, at, default) in SAME {
        let default: Value = serde_json::from_str(default).unwrap_or_default();
        let of = |set: &Value| set.pointer(at).filter(|v| !v.is_null()).unwrap_or(&default).clone();
        let (was, is) = (of(old), of(new));
        if was != is {
            differs.push(format!("its {what}: {is}, the set's: {was}"));
        }
    }
    differs
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_successor_is_the_same_but_for_what_may_change() {
        let old = json!({
            "kind": "StatefulSet", "metadata": {"name": "vault", "namespace": "vault"},
            "spec": {
                "replicas": 3, "serviceName": "vault-internal",
                "selector": {"matchLabels": {"app": "vault"}},
                "updateStrategy": {"type": "OnDelete"}, "podManagementPolicy": "Parallel",
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
        });
        let with = |at: &str, value: Value| {
            let mut new = old.clone();
            // A manifest that a person wrote says what it must.
            new["spec"]["persistentVolumeClaimRetentionPolicy"] = Value::Null;
            new["spec"]["volumeClaimTemplates"] = json!([{"spec": {"storageClassName": "new"}}]);
            match at {
                "" => {}
                at => *new.pointer_mut(at).unwrap() = value,
            }
            differs(&old, &new).join("; ")
        };
        assert_eq!(with("", Value::Null), "");
        assert_eq!(with("/kind", json!("Deployment")), "it is a Deployment");
        assert_eq!(with("/metadata/namespace", Value::Null), "");
        for (at, value, says) in [
            ("/spec/replicas", json!(1), "its replicas: 1, the set's: 3"),
            ("/spec/replicas", Value::Null, "its replicas: 1, the set's: 3"),
            ("/spec/updateStrategy", Value::Null, "its update strategy: \"RollingUpdate\""),
            ("/spec/podManagementPolicy", json!("OrderedReady"), "its pod management"),
            ("/spec/selector/matchLabels/app", json!("other"), "its selector"),
            ("/spec/serviceName", json!("vault"), "its service"),
            ("/metadata/name", json!("vault-2"), "its name is \"vault-2\""),
            ("/metadata/namespace", json!("other"), "its namespace is \"other\""),
            (
                "/spec/persistentVolumeClaimRetentionPolicy",
                json!({"whenDeleted": "Delete"}),
                "its retention of claims when it is deleted: \"Delete\"",
            ),
            (
                "/spec/persistentVolumeClaimRetentionPolicy",
                json!({"whenScaled": "Delete"}),
                "its retention of claims when it is scaled: \"Delete\"",
            ),
        ] {
            let told = with(at, value);
            assert!(told.starts_with(says) && !told.contains("; "), "{at}: {told}");
        }
    }
}
