//! Objects of the API as far as rows and descriptions need them. The rest of an object, its
//! managedFields first of all, is skipped as it is read: a gate may ask for every claim and
//! every pod of a cluster again and again. Names and nesting are the API's.

use crate::observe::watch::Kind;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A kind that is read so.
pub(super) trait Object: DeserializeOwned {
    /// Where it is asked for.
    const KIND: Kind;
}

/// A list that is there: Go writes null for an empty one.
pub(super) fn or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Objects of the API: fields are there or not, as in the API's own.
macro_rules! slim {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $of:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(super) struct $name { $($(#[$attr])* pub $field: Option<$of>,)* })*
    };
}

slim! {
    Meta {
        name: String,
        namespace: String,
        uid: String,
        generation: i64,
        creation_timestamp: Time,
        deletion_timestamp: Time,
        finalizers: Vec<String>,
        owner_references: Vec<Owner>,
    }
    Owner {
        kind: String,
        name: String,
        controller: bool,
    }

    Claim {
        metadata: Meta,
        spec: ClaimSpec,
        status: Phase,
    }
    ClaimSpec {
        storage_class_name: String,
        volume_name: String,
        resources: Requests,
    }
    Requests {
        requests: BTreeMap<String, Quantity>,
    }
    Phase {
        phase: String,
        message: String,
    }

    Volume {
        metadata: Meta,
        spec: VolumeSpec,
        status: Phase,
    }
    VolumeSpec {
        storage_class_name: String,
        persistent_volume_reclaim_policy: String,
        capacity: BTreeMap<String, Quantity>,
        claim_ref: ClaimRef,
        csi: VolumeCsi,
    }
    ClaimRef {
        namespace: String,
        name: String,
        uid: String,
    }
    VolumeCsi {
        driver: String,
        volume_handle: String,
    }

    Class {
        metadata: Meta,
        provisioner: String,
        parameters: BTreeMap<String, String>,
        reclaim_policy: String,
        volume_binding_mode: String,
        allow_volume_expansion: bool,
    }

    StatefulSet {
        metadata: Meta,
        spec: StatefulSetSpec,
        status: StatefulSetStatus,
    }
    StatefulSetSpec {
        replicas: i64,
        update_strategy: UpdateStrategy,
        persistent_volume_claim_retention_policy: Retention,
        volume_claim_templates: Vec<Claim>,
        template: Template,
    }
    StatefulSetStatus {
        ready_replicas: i64,
    }
    UpdateStrategy {
        r#type: String,
    }
    Retention {
        when_deleted: String,
        when_scaled: String,
    }
    Template {
        spec: TemplateSpec,
    }
    TemplateSpec {
        security_context: serde_json::Map<String, serde_json::Value>,
    }

    CronJob {
        metadata: Meta,
        spec: CronJobSpec,
        status: CronJobStatus,
    }
    CronJobSpec {
        schedule: String,
        time_zone: String,
        suspend: bool,
    }
    CronJobStatus {
        active: Vec<Nothing>,
        last_schedule_time: Time,
        last_successful_time: Time,
    }
    /// Of which only the existence counts.
    Nothing {}

    Node {
        metadata: Meta,
        spec: NodeSpec,
        status: NodeStatus,
    }
    NodeSpec {
        unschedulable: bool,
    }
    NodeStatus {
        conditions: Vec<Condition>,
    }
    Condition {
        r#type: String,
        status: String,
    }

    CsiNode {
        metadata: Meta,
        spec: CsiNodeSpec,
    }
    CsiNodeSpec {
        drivers: Vec<Driver>,
    }
    Driver {
        name: String,
        allocatable: Allocatable,
    }
    Allocatable {
        count: i64,
    }

    Attachment {
        metadata: Meta,
        spec: AttachmentSpec,
    }
    AttachmentSpec {
        attacher: String,
        node_name: String,
    }

    Pod {
        metadata: Meta,
        spec: PodSpec,
        status: PodStatus,
    }
    PodSpec {
        node_name: String,
        containers: Vec<Nothing>,
        volumes: Vec<PodVolume>,
    }
    PodVolume {
        persistent_volume_claim: ClaimSource,
    }
    ClaimSource {
        claim_name: String,
    }
    PodStatus {
        phase: String,
        reason: String,
        container_statuses: Vec<ContainerStatus>,
    }
    ContainerStatus {
        name: String,
        ready: bool,
        restart_count: i32,
        state: ContainerState,
        last_state: ContainerState,
    }
    ContainerState {
        waiting: Waiting,
        terminated: Terminated,
    }
    Waiting {
        reason: String,
    }
    Terminated {
        exit_code: i32,
        reason: String,
        message: String,
    }
}

macro_rules! objects {
    ($($name:ident: $kind:ident),*) => { $(impl Object for $name { const KIND: Kind = Kind::$kind; })* };
}
objects!(
    Claim: Claims, Volume: Volumes, Class: Classes, StatefulSet: Statefulsets, CronJob: Cronjobs,
    Node: Nodes, CsiNode: CsiNodes, Attachment: Attachments, Pod: Pods
);
