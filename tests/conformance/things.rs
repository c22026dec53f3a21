//! Objects that cases make, and what they often look for.

use super::answer::{Answer, Wrong};
use super::world::{World, merge};
use serde_json::{Value, json};

/// Another object's UID.
pub const OTHER_UID: &str = "00000000-0000-4000-8000-000000000000";
pub const IMMEDIATE: &str = "nfs-proxmox";
pub const WAITING: &str = "proxmox-lvm";
pub const PROTECTION: &str = "kubernetes.io/pvc-protection";

pub fn config(name: &str, more: Value) -> Value {
    let mut it = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    merge(&mut it, more);
    it
}

/// A pod; with a claim, it uses that.
pub fn pod(name: &str, claim: Option<&str>) -> Value {
    let mut it = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "none"}],
        },
    });
    if let Some(claim) = claim {
        it["spec"]["volumes"] =
            json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
    }
    it
}

pub fn claim(name: &str, class: &str) -> Value {
    let mut it =
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}});
    it["spec"] = claim_spec(class);
    it
}

fn claim_spec(class: &str) -> Value {
    json!({
        "accessModes": ["ReadWriteOnce"], "storageClassName": class,
        "resources": {"requests": {"storage": "1Gi"}},
    })
}

/// A StatefulSet `w` whose pods carry the label `app: LABEL` and have a claim `data`.
pub fn set(replicas: u32, label: &str, class: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "w"},
        "spec": {
            "replicas": replicas, "serviceName": "w", "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": {"app": label}},
            "template": {
                "metadata": {"labels": {"app": label}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "c", "image": "none", "volumeMounts":
                        [{"name": "data", "mountPath": "/data"}]}],
                },
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim_spec(class)}],
        },
    })
}

impl World {
    pub async fn make(&self, resource: &str, body: &Value) -> Result<Answer, Wrong> {
        let path =
            if body["apiVersion"] == "apps/v1" { self.apps(resource) } else { self.core(resource) };
        self.kube.post(&path, body).await?.code(201)
    }

    /// Makes a pod and waits until it has a node: only then it is in anybody's way.
    pub async fn make_pod(&self, name: &str, claim: Option<&str>) -> Result<Answer, Wrong> {
        self.make("pods", &pod(name, claim)).await?;
        self.placed(name).await
    }

    pub async fn placed(&self, pod: &str) -> Result<Answer, Wrong> {
        self.becomes(&self.core(&format!("pods/{pod}")), json!({"spec": {"nodeName": "$any"}}))
            .await
    }

    pub async fn make_claim(&self, name: &str, class: &str) -> Result<Answer, Wrong> {
        self.make("persistentvolumeclaims", &claim(name, class)).await
    }

    pub async fn bound(&self, claim: &str) -> Result<Answer, Wrong> {
        let wanted = json!({"status": {"phase": "Bound"}, "spec": {"volumeName": "$any"}});
        self.becomes(&self.core(&format!("persistentvolumeclaims/{claim}")), wanted).await
    }

    /// Makes the StatefulSet and waits for its pods and claims.
    pub async fn make_set(&self, replicas: u32, label: &str) -> Result<Answer, Wrong> {
        let made = self.make("statefulsets", &set(replicas, label, IMMEDIATE)).await?;
        for n in 0..replicas {
            self.placed(&format!("w-{n}")).await?;
            self.bound(&format!("data-w-{n}")).await?;
        }
        Ok(made)
    }

    pub async fn uid(&self, path: &str) -> Result<String, Wrong> {
        Ok(self.kube.get(path).await?.code(200)?.uid())
    }

    /// Waits until there is another object under a name; it.
    pub async fn replaced(&self, path: &str, old: &str) -> Result<Answer, Wrong> {
        let look = async || {
            let it = self.kube.get(path).await?.code(200)?;
            super::answer::so(it.uid() != old, format!("another {path} than {old}"), it.uid())?;
            Ok(it)
        };
        self.eventually(&format!("another {path}"), look).await
    }
}
