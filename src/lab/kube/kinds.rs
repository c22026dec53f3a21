//! The kinds that the lab's API server knows.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::cmp::Ordering;

/// A kind. No two have the same id.
#[derive(Debug)]
pub struct Kind {
    /// Plural, with the group behind a dot where it has one: `statefulsets.apps`.
    pub id: &'static str,
    /// Group; empty for the core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// `StatefulSet`.
    pub kind: &'static str,
    /// `statefulsets`.
    pub plural: &'static str,
    /// `statefulset`.
    pub singular: &'static str,
    /// `sts`.
    pub short: &'static [&'static str],
    /// Whether objects lie in a namespace.
    pub namespaced: bool,
    /// Subresources: `status`, `scale`.
    pub sub: &'static [&'static str],
}

impl Kind {
    /// `apps/v1`, or `v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Kind {}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(other.id)
    }
}

impl Serialize for &'static Kind {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.id)
    }
}

/// The kind of that id, as in `statefulsets.apps`.
#[must_use]
pub fn kind(id: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.id == id)
}

pub(super) fn read<'de, D: Deserializer<'de>>(d: D) -> Result<&'static Kind, D::Error> {
    let id = String::deserialize(d)?;
    kind(&id).ok_or_else(|| de::Error::custom(format!("no kind {id}")))
}

macro_rules! kinds {
    ($($id:literal $group:literal $version:literal $kind:literal $singular:literal [$($short:literal),*] $namespaced:literal [$($sub:literal),*];)*) => {
        /// Every kind, in the order of discovery.
        pub static KINDS: &[Kind] = &[$(Kind {
            id: $id, group: $group, version: $version, kind: $kind,
            plural: plural($id), singular: $singular,
            short: &[$($short),*], namespaced: $namespaced, sub: &[$($sub),*],
        }),*];
    };
}

const fn plural(id: &'static str) -> &'static str {
    let bytes = id.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b'.' {
        end += 1;
    }
    id.split_at(end).0
}

kinds! {
    "configmaps" "" "v1" "ConfigMap" "configmap" ["cm"] true [];
    "events" "" "v1" "Event" "event" ["ev"] true [];
    "namespaces" "" "v1" "Namespace" "namespace" ["ns"] false ["status"];
    "nodes" "" "v1" "Node" "node" ["no"] false ["status"];
    "persistentvolumeclaims" "" "v1" "PersistentVolumeClaim" "persistentvolumeclaim" ["pvc"] true ["status"];
    "persistentvolumes" "" "v1" "PersistentVolume" "persistentvolume" ["pv"] false ["status"];
    "pods" "" "v1" "Pod" "pod" ["po"] true ["status"];
    "secrets" "" "v1" "Secret" "secret" [] true [];
    "serviceaccounts" "" "v1" "ServiceAccount" "serviceaccount" ["sa"] true [];
    "services" "" "v1" "Service" "service" ["svc"] true ["status"];
    "controllerrevisions.apps" "apps" "v1" "ControllerRevision" "controllerrevision" [] true [];
    "deployments.apps" "apps" "v1" "Deployment" "deployment" ["deploy"] true ["status", "scale"];
    "replicasets.apps" "apps" "v1" "ReplicaSet" "replicaset" ["rs"] true ["status", "scale"];
    "statefulsets.apps" "apps" "v1" "StatefulSet" "statefulset" ["sts"] true ["status", "scale"];
    "cronjobs.batch" "batch" "v1" "CronJob" "cronjob" ["cj"] true ["status"];
    "jobs.batch" "batch" "v1" "Job" "job" [] true ["status"];
    "leases.coordination.k8s.io" "coordination.k8s.io" "v1" "Lease" "lease" [] true [];
    "csinodes.storage.k8s.io" "storage.k8s.io" "v1" "CSINode" "csinode" [] false [];
    "storageclasses.storage.k8s.io" "storage.k8s.io" "v1" "StorageClass" "storageclass" ["sc"] false [];
    "volumeattachments.storage.k8s.io" "storage.k8s.io" "v1" "VolumeAttachment" "volumeattachment" [] false ["status"];
}
