//! What an administrator had applied.

use super::OLD_CLASS;
use crate::event::{Schedule, Span, Time, Zone};
use crate::lab::vault::UNSEAL_KEY;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The backup is not due so soon after the site begins, and was not so shortly before.
const BEFORE: Span = Span::secs(4 * 3600);
const BESIDE: Span = Span::secs(3600);

/// Namespaces of applications.
pub(super) const NAMESPACES: &[&str] = &[
    "authentication",
    "books",
    "calendar",
    "chat",
    "code",
    "dashboards",
    "dns",
    "documents",
    "feeds",
    "finance",
    "forms",
    "home",
    "ingress",
    "mail",
    "media",
    "metrics",
    "music",
    "notes",
    "photos",
    "recipes",
    "registry",
    "wiki",
];
const NODES: [&str; 6] = ["k8s-1", "k8s-2", "k8s-3", "k8s-4", "k8s-5", "k8s-6"];
/// Volumes that a node attaches at most.
const ATTACHED: i64 = 28;
const BLOCK: &str = "csi.proxmox.sinextra.dev";
const NFS: &str = "nfs.csi.k8s.io";

/// Namespaces, nodes, classes and secrets.
pub(super) fn cluster() -> Vec<Value> {
    let mut all = Vec::new();
    for name in ["default", "kube-system", "vault"].iter().chain(NAMESPACES) {
        all.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            "status": {"phase": "Active"}}));
    }
    for name in NODES {
        all.push(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name,
                "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "z1"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}],
                "capacity": {"cpu": "16", "memory": "64Gi", "pods": "110"},
                "allocatable": {"cpu": "16", "memory": "62Gi", "pods": "110"}}}));
        all.push(json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
            "metadata": {"name": name},
            "spec": {"drivers": [{"name": BLOCK, "nodeID": name, "allocatable": {"count": ATTACHED}},
                {"name": NFS, "nodeID": name}]}}));
    }
    for (name, encrypted) in [("proxmox-lvm", false), ("proxmox-lvm-encrypted", true)] {
        all.push(block_class(name, encrypted));
    }
    for name in [OLD_CLASS, "nfs-truenas"] {
        all.push(json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name}, "provisioner": NFS, "reclaimPolicy": "Retain",
            "volumeBindingMode": "Immediate",
            "mountOptions": ["soft", "timeo=30", "retrans=3"],
            "parameters": {"server": "nfs.example.net", "share": "/srv/nfs"}}));
    }
    all.push(secret("kube-system", "proxmox-csi-encryption", "encryption-passphrase"));
    let mut key = secret("vault", "vault-unseal-key", "unseal-key");
    key["data"]["unseal-key"] = json!(STANDARD.encode(UNSEAL_KEY));
    all.push(key);
    all
}

fn block_class(name: &str, encrypted: bool) -> Value {
    let mut parameters = json!({"storage": "data", "csi.storage.k8s.io/fstype": "ext4"});
    if encrypted {
        parameters["csi.storage.k8s.io/node-stage-secret-name"] = json!("proxmox-csi-encryption");
        parameters["csi.storage.k8s.io/node-stage-secret-namespace"] = json!("kube-system");
    }
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": BLOCK, "reclaimPolicy": "Retain", "allowVolumeExpansion": true,
        "volumeBindingMode": "WaitForFirstConsumer", "parameters": parameters})
}

fn secret(namespace: &str, name: &str, key: &str) -> Value {
    // What a secret of a lab holds says so.
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: "TEFCIG5vdCBhIHNlY3JldA=="}})
}

/// An application a row: its data on block, its files on NFS.
pub(super) fn applications() -> Vec<Value> {
    let mut all = Vec::new();
    for n in 0..95 {
        let namespace = NAMESPACES[n % NAMESPACES.len()];
        let part = ["server", "database", "worker", "index", "cache"][n / NAMESPACES.len() % 5];
        let class = if n % 4 == 3 { "proxmox-lvm-encrypted" } else { "proxmox-lvm" };
        let mut templates = vec![template("data", class, "8Gi", "ReadWriteOnce")];
        if n < 94 {
            let class = if n % 2 == 0 { OLD_CLASS } else { "nfs-truenas" };
            templates.push(template("files", class, "100Gi", "ReadWriteMany"));
        }
        all.push(application(namespace, &format!("{namespace}-{part}"), &templates));
    }
    all
}

fn application(namespace: &str, name: &str, templates: &[Value]) -> Value {
    let labels = json!({"app.kubernetes.io/name": name});
    let mounts: Vec<Value> = templates
        .iter()
        .map(|t| json!({"name": t["metadata"]["name"], "mountPath": "/srv"}))
        .collect();
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"replicas": 1, "serviceName": name, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [
                {"name": "main", "image": format!("registry.example.net/{namespace}:1"),
                    "volumeMounts": mounts}]}},
            "volumeClaimTemplates": templates}})
}

fn template(name: &str, class: &str, size: &str, mode: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": [mode], "storageClassName": class,
            "resources": {"requests": {"storage": size}}}})
}

/// Vault's StatefulSet with both claim templates in that class.
pub(super) fn vault(class: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": "vault", "component": "server"});
    let mode = if class == OLD_CLASS { "ReadWriteMany" } else { "ReadWriteOnce" };
    let mounts = json!([{"name": "data", "mountPath": "/vault/data"},
        {"name": "audit", "mountPath": "/vault/audit"}]);
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "vault", "namespace": "vault", "labels": labels},
        "spec": {"replicas": 3, "serviceName": "vault-internal",
            "podManagementPolicy": "Parallel", "updateStrategy": {"type": "OnDelete"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "securityContext": {"fsGroup": 1000, "runAsGroup": 1000, "runAsUser": 100,
                    "runAsNonRoot": true, "fsGroupChangePolicy": "OnRootMismatch"},
                "containers": [
                    {"name": "vault", "image": "registry.example.net/vault:1.18.3",
                        "volumeMounts": mounts},
                    {"name": "auto-unseal", "image": "registry.example.net/unseal:1"}]}},
            "volumeClaimTemplates": [template("data", class, "2Gi", mode),
                template("audit", class, "2Gi", mode)]}})
}

/// The weekly backup of raft: on Sundays, but where that is about to come or has just begun, on
/// Wednesdays. Whoever only tries something is not to wait for it.
pub(super) fn backup(now: Time) -> Value {
    let sundays = "30 2 * * 0";
    let next = Schedule::parse(sundays).and_then(|s| s.after(now - BESIDE, Zone::default()));
    let soon = next.is_some_and(|at| at <= now + BEFORE);
    let schedule = if soon { "30 2 * * 3" } else { sundays };
    json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "vault-raft-backup", "namespace": "vault"},
        "spec": {"schedule": schedule, "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
                {"name": "backup", "image": "registry.example.net/backup:1"}]}}}}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At no minute of a week.
    #[test]
    fn whoever_tries_something_does_not_meet_the_backup() {
        let from: Time = "2026-04-20T00:00:00Z".parse().unwrap();
        let mut lines = std::collections::BTreeSet::new();
        for minute in 0..7 * 24 * 60 {
            let now = from + Span::secs(60 * minute);
            let line = backup(now)["spec"]["schedule"].as_str().unwrap().to_owned();
            let next = Schedule::parse(&line).unwrap().after(now - BESIDE, Zone::default());
            assert!(next.unwrap() > now + BEFORE, "{now}: {line}");
            lines.insert(line);
        }
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}
