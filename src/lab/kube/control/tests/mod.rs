//! A world with three nodes and the site's classes, driven by hand.

mod claims;
mod kubelet;
mod roll;
mod sets;
mod work;

use super::object::{CLAIMS, NODES, PODS, SECRETS, SETS, all, key, list, marked, name, text};
use crate::event::{Span, Time};
use crate::lab::World;
use crate::lab::kube::{Deleting, Key};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const OLD: &str = "nfs-proxmox";
pub(super) const NEW: &str = "proxmox-lvm-encrypted";
pub(super) const BLOCK: &str = "csi.proxmox.sinextra.dev";

pub(super) struct Site(pub World);

impl Site {
    pub(super) fn new(seed: u64) -> Self {
        let now: Time = "2026-04-25T16:00:00Z".parse().unwrap();
        let mut site = Self(World::new(seed, now));
        for n in 1..=3 {
            let node = format!("node-{n}");
            site.create(
                NODES,
                "",
                &node,
                json!({
                    "metadata": {"labels": {
                        "kubernetes.io/hostname": node, "topology.kubernetes.io/region": "pve",
                        "topology.kubernetes.io/zone": format!("pve-{n}"),
                    }},
                    "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]},
                }),
            );
            let csi = json!({"spec": {"drivers": [
                {"name": BLOCK, "nodeID": node, "allocatable": {"count": 28}}
            ]}});
            site.create(super::object::CSI_NODES, "", &node, csi);
        }
        site.class(
            OLD,
            "nfs.csi.k8s.io",
            "Immediate",
            "Retain",
            json!({"server": "nfs.example.net", "share": "/srv/nfs"}),
        );
        site.class("throwaway", "nfs.csi.k8s.io", "Immediate", "Delete", json!({}));
        site.class(
            "proxmox-lvm",
            BLOCK,
            "WaitForFirstConsumer",
            "Retain",
            json!({"storage": "local-lvm"}),
        );
        let encrypted = json!({
            "storage": "local-lvm", "csi.storage.k8s.io/fstype": "ext4",
            "csi.storage.k8s.io/node-stage-secret-name": "proxmox-csi-encryption",
            "csi.storage.k8s.io/node-stage-secret-namespace": "kube-system",
        });
        site.class(NEW, BLOCK, "WaitForFirstConsumer", "Retain", encrypted);
        site.create(SECRETS, "kube-system", "proxmox-csi-encryption", json!({}));
        site
    }

    fn class(
        &mut self,
        name: &str,
        provisioner: &str,
        mode: &str,
        policy: &str,
        parameters: Value,
    ) {
        let class = json!({
            "provisioner": provisioner, "volumeBindingMode": mode, "reclaimPolicy": policy,
            "parameters": parameters,
        });
        self.create(super::object::CLASSES, "", name, class);
    }

    pub(super) fn create(&mut self, id: &str, namespace: &str, name: &str, object: Value) {
        let key = key(id, namespace, name);
        let world = &mut self.0;
        world.store.create(&key, object, world.now, &mut world.chance).unwrap();
    }

    /// A pod as a person makes it: with a claim of the same name.
    pub(super) fn pod(&mut self, name: &str, claim: Option<&str>) {
        let volumes =
            claim.map(|c| json!([{"name": "data", "persistentVolumeClaim": {"claimName": c}}]));
        self.create(
            PODS,
            "vault",
            name,
            json!({
                "spec": {
                    "restartPolicy": "Always", "containers": [{"name": "main", "image": "main:1"}],
                    "terminationGracePeriodSeconds": 30, "volumes": volumes.unwrap_or_default(),
                },
                "status": {"phase": "Pending"},
            }),
        );
    }

    pub(super) fn claim(&mut self, name: &str, class: &str) {
        let claim = json!({
            "metadata": {"finalizers": ["kubernetes.io/pvc-protection"]},
            "spec": {
                "storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "2Gi"}},
            },
            "status": {"phase": "Pending"},
        });
        self.create(CLAIMS, "vault", name, claim);
    }

    pub(super) fn get(&self, id: &str, name: &str) -> Option<Arc<Value>> {
        let namespaced = super::object::known(id).namespaced;
        self.0.store.get(&key(id, if namespaced { "vault" } else { "" }, name))
    }

    pub(super) fn the(&self, id: &str, name: &str) -> Arc<Value> {
        self.get(id, name).unwrap_or_else(|| panic!("{id} {name}"))
    }

    pub(super) fn names(&self, id: &str) -> Vec<String> {
        all(&self.0, id, None).iter().map(|o| name(o).to_owned()).collect()
    }

    /// As a client deletes: pods with their grace, if they run.
    pub(super) fn delete(&mut self, id: &str, name: &str) {
        let key = self.place(id, name);
        let object = self.0.store.get(&key).unwrap();
        super::pods::erase(&mut self.0, &key, &object);
    }

    pub(super) fn place(&self, id: &str, name: &str) -> Key {
        let namespaced = super::object::known(id).namespaced;
        key(id, if namespaced { "vault" } else { "" }, name)
    }

    /// With `--cascade=orphan`, as the API server does it.
    pub(super) fn orphan(&mut self, id: &str, name: &str) {
        let key = self.place(id, name);
        self.0.store.update(&key, |o| o["metadata"]["finalizers"] = json!(["orphan"])).unwrap();
        let now = self.0.now;
        self.0.store.delete(&key, &Deleting::default(), now).unwrap();
    }

    pub(super) fn patch(&mut self, id: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let key = self.place(id, name);
        self.0.store.update(&key, change).unwrap();
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let to = self.0.now + Span(ms);
        self.0.advance(to);
    }

    /// Lives until it is so; fails after that many seconds.
    pub(super) fn until(&mut self, secs: u64, what: &str, so: impl Fn(&Site) -> bool) -> Span {
        let began = self.0.now;
        while !so(self) {
            assert!(self.0.now.since(began) < Span::secs(secs), "{what}: {:#?}", self.said());
            self.pass(50);
        }
        self.0.now.since(began)
    }

    /// Lives until nothing is due for an hour.
    pub(super) fn quiet(&mut self) {
        let began = self.0.now;
        self.0.settle();
        while let Some(next) = self.0.next().filter(|n| n.since(self.0.now) < Span::secs(3600)) {
            assert!(self.0.now.since(began) < Span::secs(7200), "it does not come to rest");
            self.0.advance(next);
        }
    }

    /// Every Event: what about, why, what.
    pub(super) fn said(&self) -> Vec<String> {
        let line = |e: &Arc<Value>| {
            let (about, why) = (text(&e["involvedObject"]["name"]), text(&e["reason"]));
            format!("{about} {why}: {}", text(&e["message"]))
        };
        all(&self.0, super::object::EVENTS, None).iter().map(line).collect()
    }

    pub(super) fn heard(&self, what: &str) -> bool {
        self.said().iter().any(|line| line.contains(what))
    }

    pub(super) fn ready(&self, id: &str, name: &str) -> i64 {
        self.get(id, name).map_or(0, |s| s["status"]["readyReplicas"].as_i64().unwrap_or(0))
    }

    pub(super) fn is_ready(&self, pod: &str) -> bool {
        self.get(PODS, pod).is_some_and(|p| super::pods::ready(&p) && !marked(&p))
    }

    /// UIDs of a kind's objects, by name.
    pub(super) fn uids(&self, id: &str) -> Vec<String> {
        all(&self.0, id, None).iter().map(|o| super::object::uid(o).to_owned()).collect()
    }

    /// The first container's state: its one key and the reason.
    pub(super) fn state(&self, pod: &str) -> String {
        let Some(pod) = self.get(PODS, pod) else { return "gone".into() };
        let first = list(&pod["status"]["containerStatuses"]).first().cloned().unwrap_or_default();
        let state = first["state"].as_object().and_then(|s| s.iter().next());
        state.map_or("none".into(), |(k, v)| format!("{k} {}", text(&v["reason"])))
    }
}

/// A StatefulSet as the chart makes it; its first container is no Vault, so it is ready.
pub(super) fn set(replicas: i64, class: &str, policy: &str, strategy: Value) -> Value {
    let claim = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "2Gi"}},
        }})
    };
    json!({"spec": {
        "replicas": replicas, "serviceName": "vault-internal", "podManagementPolicy": policy,
        "selector": {"matchLabels": {"app": "vault"}}, "updateStrategy": strategy,
        "template": {
            "metadata": {"labels": {"app": "vault"}},
            "spec": {
                "terminationGracePeriodSeconds": 10, "securityContext": {"fsGroup": 1000},
                "containers": [
                    {"name": "server", "image": "vault:1.18.1"},
                    {"name": "auto-unseal", "image": "vault:1.18.1"},
                ],
            },
        },
        "volumeClaimTemplates": [claim("data"), claim("audit")],
    }})
}

pub(super) fn on_delete() -> Value {
    json!({"type": "OnDelete"})
}

pub(super) fn rolling(partition: i64) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}})
}

/// Three voters on the old class, all ready.
pub(super) fn brought_up(seed: u64) -> Site {
    let mut site = Site::new(seed);
    site.create(SETS, "vault", "vault", set(3, OLD, "Parallel", on_delete()));
    site.until(60, "three ready", |s| s.ready(SETS, "vault") == 3);
    site.quiet();
    site
}

#[test]
fn every_name_of_a_kind_is_one() {
    use super::object::*;
    for id in [
        PODS,
        CLAIMS,
        VOLUMES,
        NODES,
        EVENTS,
        SECRETS,
        SETS,
        REVISIONS,
        REPLICASETS,
        DEPLOYMENTS,
        JOBS,
        CRONJOBS,
        CLASSES,
        ATTACHMENTS,
        CSI_NODES,
    ] {
        assert_eq!(known(id).id, id);
    }
}
