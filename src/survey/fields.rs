//! The list of what is kept, kind by kind: what the lab's controllers act on, what panes
//! show and what gates read, and nothing else.

use super::handle::{unaddressed, unserved};
use super::mask::{Common, Mask, Shape};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A kind that is surveyed.
pub struct Kept {
    /// The lab's name of it, and the name in the file: `statefulsets.apps`.
    pub id: &'static str,
    /// Where its API is: `/apis/apps/v1`.
    pub api: &'static str,
    /// `statefulsets`.
    pub plural: &'static str,
    /// In which namespaces it is listed.
    pub scope: Scope,
    fields: &'static str,
}

/// Where a kind is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole cluster at once: consumers of a class and attachments of a node count
    /// wherever they are.
    Everywhere,
    /// The namespaces that the site shows, and Vault's.
    Shown,
}

const COMMON: &Common = &[
    (
        "meta",
        "name:name namespace:name uid:uid generation:number creationTimestamp:time \
         deletionTimestamp:time deletionGracePeriodSeconds:number finalizers[]:word \
         ownerReferences[]{apiVersion:word kind:word name:name uid:uid controller:flag \
         blockOwnerDeletion:flag} labels:labels",
    ),
    ("selector", "matchLabels:selector matchExpressions[]{key:key operator:word values[]:label}"),
    ("resources", "resources{requests{cpu:amount memory:amount storage:amount}}"),
    (
        "container",
        "name:name image:image @resources readinessProbe{initialDelaySeconds:number \
         periodSeconds:number failureThreshold:number}",
    ),
    (
        "pod",
        "nodeName:name restartPolicy:word terminationGracePeriodSeconds:number hostname:name \
         subdomain:name schedulerName:name nodeSelector:selector \
         securityContext{fsGroup:number runAsGroup:number runAsUser:number runAsNonRoot:flag \
         fsGroupChangePolicy:word} tolerations[]{key:key operator:word value:label effect:word \
         tolerationSeconds:number} schedulingGates[]{name:word} \
         volumes[+persistentVolumeClaim]{name:name \
         persistentVolumeClaim{claimName:name readOnly:flag}} \
         initContainers[]{@container restartPolicy:word} containers[]{@container}",
    ),
    ("template", "template{metadata{labels:labels} spec{@pod}}"),
    (
        "claim",
        "accessModes[]:word storageClassName:name volumeMode:word volumeName:name @resources",
    ),
    ("condition", "type:word status:word reason:word lastTransitionTime:time"),
    ("ended", "terminated{exitCode:number reason:word startedAt:time finishedAt:time}"),
    (
        "container-status",
        "name:name ready:flag started:flag restartCount:number image:image \
         state{running{startedAt:time} waiting{reason:word} @ended} lastState{@ended}",
    ),
    (
        "job",
        "parallelism:number completions:number backoffLimit:number completionMode:word \
         activeDeadlineSeconds:number ttlSecondsAfterFinished:number suspend:flag \
         selector{@selector} @template",
    ),
];

/// Annotations that the lab's controllers steer by.
const CLAIM_NOTES: &str = "annotations{pv.kubernetes.io/bind-completed:word \
    pv.kubernetes.io/bound-by-controller:word volume.kubernetes.io/selected-node:name \
    volume.kubernetes.io/storage-provisioner:word \
    volume.beta.kubernetes.io/storage-provisioner:word}";

/// Every kind, owners before what they own.
pub static KINDS: &[Kept] = &[
    Kept {
        id: "namespaces",
        api: "/api/v1",
        plural: "namespaces",
        scope: Scope::Everywhere,
        fields: "metadata{@meta} spec{finalizers[]:word} status{phase:word}",
    },
    Kept {
        id: "nodes",
        api: "/api/v1",
        plural: "nodes",
        scope: Scope::Everywhere,
        fields: "metadata{@meta} spec{unschedulable:flag taints[]{key:key value:label \
            effect:word}} status{conditions[]{@condition} nodeInfo{kubeletVersion:label} \
            capacity{cpu:amount memory:amount pods:amount} \
            allocatable{cpu:amount memory:amount pods:amount}}",
    },
    Kept {
        id: "csinodes.storage.k8s.io",
        api: "/apis/storage.k8s.io/v1",
        plural: "csinodes",
        scope: Scope::Everywhere,
        fields: "metadata{@meta} spec{drivers[]{name:name nodeID:name topologyKeys[]:key \
            allocatable{count:number}}}",
    },
    Kept {
        id: "storageclasses.storage.k8s.io",
        api: "/apis/storage.k8s.io/v1",
        plural: "storageclasses",
        scope: Scope::Everywhere,
        // Of a class' parameters only what says which Secrets its volumes are opened with:
        // some drivers take passwords there.
        fields: "metadata{@meta annotations{storageclass.kubernetes.io/is-default-class:word}} \
            provisioner:word reclaimPolicy:word volumeBindingMode:word allowVolumeExpansion:flag \
            parameters{storage:name csi.storage.k8s.io/fstype:word \
            csi.storage.k8s.io/node-stage-secret-name:name \
            csi.storage.k8s.io/node-stage-secret-namespace:name}",
    },
    Kept {
        id: "persistentvolumes",
        api: "/api/v1",
        plural: "persistentvolumes",
        scope: Scope::Everywhere,
        fields: "metadata{@meta annotations{pv.kubernetes.io/provisioned-by:word \
            pv.kubernetes.io/bound-by-controller:word}} \
            spec{storageClassName:name persistentVolumeReclaimPolicy:word accessModes[]:word \
            volumeMode:word capacity{storage:amount} \
            claimRef{kind:word apiVersion:word namespace:name name:name uid:uid} \
            csi{driver:word volumeHandle:handle fsType:word \
            nodeStageSecretRef{namespace:name name:name}} \
            nodeAffinity{required{nodeSelectorTerms[]{matchExpressions[]{key:key operator:word \
            values[]:label}}}}} status{phase:word lastPhaseTransitionTime:time}",
    },
    Kept {
        id: "volumeattachments.storage.k8s.io",
        api: "/apis/storage.k8s.io/v1",
        plural: "volumeattachments",
        scope: Scope::Everywhere,
        fields: "metadata{@meta} spec{attacher:word nodeName:name \
            source{persistentVolumeName:name}} status{attached:flag}",
    },
    Kept {
        id: "persistentvolumeclaims",
        api: "/api/v1",
        plural: "persistentvolumeclaims",
        scope: Scope::Everywhere,
        fields: "metadata{@meta @claim-notes} spec{@claim} \
            status{phase:word accessModes[]:word capacity{storage:amount}}",
    },
    Kept {
        id: "statefulsets.apps",
        api: "/apis/apps/v1",
        plural: "statefulsets",
        scope: Scope::Shown,
        fields: "metadata{@meta} spec{replicas:number serviceName:name podManagementPolicy:word \
            revisionHistoryLimit:number ordinals{start:number} \
            updateStrategy{type:word rollingUpdate{partition:number}} \
            persistentVolumeClaimRetentionPolicy{whenDeleted:word whenScaled:word} \
            selector{@selector} @template \
            volumeClaimTemplates[]{metadata{name:name} spec{@claim}}} \
            status{observedGeneration:number replicas:number readyReplicas:number \
            availableReplicas:number currentReplicas:number updatedReplicas:number \
            currentRevision:name updateRevision:name collisionCount:number}",
    },
    Kept {
        id: "deployments.apps",
        api: "/apis/apps/v1",
        plural: "deployments",
        scope: Scope::Shown,
        fields: "metadata{@meta annotations{deployment.kubernetes.io/revision:amount}} \
            spec{replicas:number paused:flag revisionHistoryLimit:number \
            progressDeadlineSeconds:number \
            strategy{type:word rollingUpdate{maxSurge:amount maxUnavailable:amount}} \
            selector{@selector} @template} \
            status{observedGeneration:number replicas:number updatedReplicas:number \
            readyReplicas:number availableReplicas:number unavailableReplicas:number \
            collisionCount:number conditions[]{@condition lastUpdateTime:time}}",
    },
    Kept {
        id: "replicasets.apps",
        api: "/apis/apps/v1",
        plural: "replicasets",
        scope: Scope::Shown,
        fields: "metadata{@meta annotations{deployment.kubernetes.io/revision:amount \
            deployment.kubernetes.io/desired-replicas:amount \
            deployment.kubernetes.io/max-replicas:amount}} \
            spec{replicas:number selector{@selector} @template} \
            status{observedGeneration:number replicas:number fullyLabeledReplicas:number \
            readyReplicas:number availableReplicas:number}",
    },
    Kept {
        id: "cronjobs.batch",
        api: "/apis/batch/v1",
        plural: "cronjobs",
        scope: Scope::Shown,
        fields: "metadata{@meta} spec{schedule:cron timeZone:zone suspend:flag concurrencyPolicy:word \
            startingDeadlineSeconds:number successfulJobsHistoryLimit:number \
            failedJobsHistoryLimit:number jobTemplate{spec{@job}}} \
            status{lastScheduleTime:time lastSuccessfulTime:time \
            active[]{kind:word apiVersion:word namespace:name name:name uid:uid}}",
    },
    Kept {
        id: "jobs.batch",
        api: "/apis/batch/v1",
        plural: "jobs",
        scope: Scope::Shown,
        fields: "metadata{@meta} spec{@job} status{startTime:time completionTime:time \
            active:number ready:number terminating:number succeeded:number failed:number \
            conditions[]{@condition}}",
    },
    Kept {
        id: "pods",
        api: "/api/v1",
        plural: "pods",
        scope: Scope::Shown,
        fields: "metadata{@meta} spec{@pod} status{phase:word reason:word startTime:time \
            qosClass:word conditions[]{@condition} \
            initContainerStatuses[]{@container-status} containerStatuses[]{@container-status}}",
    },
];

/// The kind of that name.
#[must_use]
pub fn kept(id: &str) -> Option<&'static Kept> {
    KINDS.iter().find(|k| k.id == id)
}

static MASKS: LazyLock<Vec<Option<Mask>>> = LazyLock::new(|| {
    let mut common = COMMON.to_vec();
    common.push(("claim-notes", CLAIM_NOTES));
    KINDS.iter().map(|k| Mask::read(k.fields, &common)).collect()
});

impl Kept {
    /// What of an object is kept; none if nothing of it is known.
    pub(super) fn mask(&self) -> Option<&'static Mask> {
        let at = KINDS.iter().position(|k| std::ptr::eq(k, self))?;
        MASKS.get(at)?.as_ref()
    }
}

/// Labels that controllers and drivers go by everywhere.
const LABELS: [&str; 10] = [
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-revision-hash",
    "pod-template-hash",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "kubernetes.io/hostname",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "kubernetes.io/metadata.name",
];

/// Names of the labels that an object selects others by: anywhere in it, since workloads
/// select pods, and pods and volumes select nodes.
#[must_use]
pub fn labels_of(object: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let spec = &object["spec"];
    let pods = [
        spec,
        &spec["template"]["spec"],
        &spec["jobTemplate"]["spec"],
        &spec["jobTemplate"]["spec"]["template"]["spec"],
    ];
    for within in pods {
        for map in [&within["nodeSelector"], &within["selector"]["matchLabels"]] {
            names.extend(map.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
        expressions(&within["selector"]["matchExpressions"], &mut names);
    }
    let terms = &spec["nodeAffinity"]["required"]["nodeSelectorTerms"];
    for term in terms.as_array().into_iter().flatten() {
        expressions(&term["matchExpressions"], &mut names);
    }
    names
}

fn expressions(list: &Value, names: &mut BTreeSet<String>) {
    let keys = list.as_array().into_iter().flatten().filter_map(|e| e["key"].as_str());
    names.extend(keys.map(str::to_owned));
}

/// What of an object is kept. `labels` are those that something selects by; `misshapen`
/// counts texts that have not the form they should have.
#[must_use]
pub fn prune(
    kind: &Kept,
    object: &Value,
    labels: &BTreeSet<String>,
    misshapen: &mut u64,
) -> Option<Value> {
    let mut leaf = |shape: Shape, label: &str, text: &str| {
        let wanted = label.is_empty() || LABELS.contains(&label) || labels.contains(label);
        if wanted && !shape.fits(text) && !text.is_empty() {
            *misshapen += 1;
        }
        let fits = wanted && shape.fits(text);
        fits.then(|| if shape == Shape::Handle { unaddressed(text) } else { text.to_owned() })
    };
    let mut kept = kind.mask()?.keep(object, &mut leaf)?;
    if kept["spec"]["csi"].is_object() {
        unserved(&mut kept);
    }
    // What has no name is nowhere.
    kept["metadata"]["name"].as_str().filter(|name| !name.is_empty())?;
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_can_be_read() {
        for kind in KINDS {
            assert!(kind.mask().is_some(), "{}", kind.id);
        }
    }

    /// The words behind which people and programs put what nobody else should read.
    #[test]
    fn no_list_names_a_place_for_secrets() {
        let common: String = COMMON.iter().map(|(_, text)| *text).collect();
        let all: String = KINDS.iter().map(|k| k.fields).collect::<String>() + &common;
        for word in [
            "env",
            "args",
            "command",
            "data",
            "message",
            "managedFields",
            "volumeAttributes",
            "last-applied",
            "mountOptions",
            "imagePullSecrets",
            "podIP",
            "hostIP",
            "addresses",
        ] {
            let named = |c: char| c.is_whitespace() || "{}[]:".contains(c);
            assert!(!all.split(named).any(|w| w == word), "{word}");
        }
    }
}
