//! Kubernetes objects as rows: what people look at and gates read.

use crate::event::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID: the identity, where the name is none.
    pub uid: String,
    /// StorageClass name; empty if none.
    pub class: String,
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// Name of its volume; empty while unbound.
    pub volume: String,
    /// Requested size as written, `2Gi`.
    pub size: String,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// Since when it is being deleted.
    pub deleting_since: Option<Time>,
    /// Finalizers.
    pub finalizers: Vec<String>,
    /// Pods that use it, by name.
    pub pods: Vec<String>,
    /// The pod that it is for, there or not: of a claim named `TEMPLATE-POD` by a template of a
    /// StatefulSet that is there, that pod; of any other the one pod that uses it; else empty.
    #[serde(default)]
    pub of_pod: String,
    /// Created.
    pub created: Option<Time>,
}

/// A PersistentVolume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// StorageClass name.
    pub class: String,
    /// `Available`, `Bound`, `Released`, `Failed`.
    pub phase: String,
    /// `Retain` or `Delete`.
    pub policy: String,
    /// `namespace/name` of the claim it is or was bound to.
    pub claim: String,
    /// UID of that claim.
    pub claim_uid: String,
    /// CSI driver; empty for none.
    pub driver: String,
    /// CSI volume handle, `region/zone/storage/lv-name`.
    pub handle: String,
    /// Last segment of the handle: the logical volume, for block classes.
    pub lv: String,
    /// Capacity as written.
    pub size: String,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// Created.
    pub created: Option<Time>,
}

/// What uses a class, counted from claims and volumes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Consumers {
    /// Claims bound in it.
    pub bound: i64,
    /// Of these, those in the namespaces that the site names.
    pub ours: i64,
    /// Volumes of it that are Released.
    pub released: i64,
}

/// A StorageClass.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Provisioner.
    pub provisioner: String,
    /// `Retain` or `Delete`.
    pub policy: String,
    /// `Immediate` or `WaitForFirstConsumer`.
    pub binding: String,
    /// Claims may be grown.
    pub expansion: bool,
    /// Parameters, as the class has them.
    pub parameters: BTreeMap<String, String>,
    /// `namespace/name` of the secret that nodes stage with, as for LUKS; empty if none.
    pub stage_secret: String,
    /// What uses it.
    pub consumers: Consumers,
    /// Created.
    pub created: Option<Time>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// As kubectl prints it: `Running`, `Pending`, `CrashLoopBackOff`, `Terminating` …
    pub status: String,
    /// Containers ready.
    pub ready: i64,
    /// Containers in all.
    pub containers: i64,
    /// Restarts of all containers.
    pub restarts: i64,
    /// Why a container waits or ended last: `CrashLoopBackOff: permission denied`.
    pub reason: String,
    /// Node; empty while unscheduled.
    pub node: String,
    /// Name of the owning controller, `StatefulSet/vault`.
    pub owner: String,
    /// Names of its claims.
    pub claims: Vec<String>,
    /// It is being deleted.
    pub deleting: bool,
    /// Since when.
    pub deleting_since: Option<Time>,
    /// Created.
    pub created: Option<Time>,
}

/// A StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct StatefulSet {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Generation.
    pub generation: i64,
    /// Wanted replicas.
    pub replicas: i64,
    /// Ready replicas.
    pub ready: i64,
    /// `OnDelete` or `RollingUpdate`.
    pub strategy: String,
    /// What happens to claims when it is deleted: `Retain` or `Delete`.
    pub retention_when_deleted: String,
    /// What happens to claims when it is scaled down: `Retain` or `Delete`.
    pub retention_when_scaled: String,
    /// Class of each claim template, by the template's name.
    pub template_classes: BTreeMap<String, String>,
    /// The pod's security context; absent fields are absent. Numbers as text.
    pub security_context: BTreeMap<String, String>,
    /// Created.
    pub created: Option<Time>,
}

/// A CronJob.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CronJob {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Schedule as written.
    pub schedule: String,
    /// Time zone of the schedule; empty: the controllers' own, as a rule UTC.
    #[serde(default)]
    pub time_zone: String,
    /// It starts nothing new.
    pub suspended: bool,
    /// Jobs of it that run now.
    pub active: i64,
    /// Last start.
    pub last_scheduled: Option<Time>,
    /// Last success.
    pub last_success: Option<Time>,
    /// Created.
    pub created: Option<Time>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Condition Ready is True.
    pub ready: bool,
    /// No new pods are placed on it.
    pub cordoned: bool,
    /// VolumeAttachments on it.
    pub attached: i64,
    /// Its CSI drivers, each with what it has attached and may attach.
    #[serde(default)]
    pub drivers: Vec<NodeDriver>,
    /// The same in words.
    #[serde(default)]
    pub room: String,
}

/// A CSI driver on a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NodeDriver {
    /// As a class's `provisioner` names it.
    pub name: String,
    /// VolumeAttachments of it on the node.
    pub attached: i64,
    /// It states how many volumes the node takes.
    pub limit_known: bool,
    /// How many; 0, and no number at all, where that is not known.
    pub limit: i64,
}

/// A Secret's existence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Secret {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID; empty when it does not exist.
    pub uid: String,
    /// It was found.
    pub exists: bool,
    /// Names of the keys that it holds, never their values.
    pub keys: Vec<String>,
}
