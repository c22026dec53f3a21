//! Kubernetes objects to rows. Every text passes `clean_line` here, once.

use crate::event::Time;
use crate::observe::join::{Attachment, Csi};
use crate::observe::pod;
use crate::text::clean_line;
use crate::world::{Claim, Class, Consumers, CronJob, Node, StatefulSet, Volume};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::{apps::v1 as apps, batch::v1 as batch, storage::v1 as storage};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time as KubeTime};
use std::collections::BTreeMap;

pub(crate) fn time(t: Option<&KubeTime>) -> Option<Time> {
    t.map(|t| Time(t.0.as_millisecond()))
}

fn text(s: Option<&String>) -> String {
    s.map(|s| clean_line(s)).unwrap_or_default()
}

fn names(meta: &ObjectMeta) -> (String, String, String) {
    (text(meta.namespace.as_ref()), text(meta.name.as_ref()), text(meta.uid.as_ref()))
}

fn size(amounts: Option<&BTreeMap<String, Quantity>>) -> String {
    amounts.and_then(|a| a.get("storage")).map(|q| clean_line(&q.0)).unwrap_or_default()
}

pub(crate) fn claim(c: &core::PersistentVolumeClaim) -> Claim {
    let (namespace, name, uid) = names(&c.metadata);
    let spec = c.spec.clone().unwrap_or_default();
    Claim {
        namespace,
        name,
        uid,
        class: text(spec.storage_class_name.as_ref()),
        phase: text(c.status.as_ref().and_then(|s| s.phase.as_ref())),
        volume: text(spec.volume_name.as_ref()),
        size: size(spec.resources.as_ref().and_then(|r| r.requests.as_ref())),
        deleting: c.metadata.deletion_timestamp.is_some(),
        deleting_since: time(c.metadata.deletion_timestamp.as_ref()),
        finalizers: c.metadata.finalizers.iter().flatten().map(|f| clean_line(f)).collect(),
        pods: Vec::new(),
        of_pod: String::new(),
        created: time(c.metadata.creation_timestamp.as_ref()),
    }
}

pub(crate) fn volume(v: core::PersistentVolume) -> Volume {
    let (_, name, uid) = names(&v.metadata);
    let spec = v.spec.unwrap_or_default();
    let csi = spec.csi.as_ref();
    let handle = csi.map(|c| clean_line(&c.volume_handle)).unwrap_or_default();
    let claim = spec.claim_ref.as_ref();
    Volume {
        name,
        uid,
        class: text(spec.storage_class_name.as_ref()),
        phase: text(v.status.as_ref().and_then(|s| s.phase.as_ref())),
        policy: text(spec.persistent_volume_reclaim_policy.as_ref()),
        claim: claim
            .map(|c| format!("{}/{}", text(c.namespace.as_ref()), text(c.name.as_ref())))
            .unwrap_or_default(),
        claim_uid: text(claim.and_then(|c| c.uid.as_ref())),
        driver: csi.map(|c| clean_line(&c.driver)).unwrap_or_default(),
        lv: handle
            .rsplit('/')
            .next()
            .filter(|l| l.starts_with("vm-"))
            .unwrap_or_default()
            .to_owned(),
        handle,
        size: size(spec.capacity.as_ref()),
        deleting: v.metadata.deletion_timestamp.is_some(),
        created: time(v.metadata.creation_timestamp.as_ref()),
    }
}

pub(crate) fn class(c: storage::StorageClass) -> Class {
    let (_, name, uid) = names(&c.metadata);
    let parameters: BTreeMap<String, String> = c.parameters.unwrap_or_default();
    let stage = |what: &str| {
        parameters.get(&format!("csi.storage.k8s.io/node-stage-secret-{what}")).cloned()
    };
    Class {
        consumers: Consumers::default(),
        name,
        uid,
        provisioner: clean_line(&c.provisioner),
        policy: c.reclaim_policy.unwrap_or_else(|| "Delete".into()),
        binding: c.volume_binding_mode.unwrap_or_else(|| "Immediate".into()),
        expansion: c.allow_volume_expansion.unwrap_or(false),
        stage_secret: match (stage("namespace"), stage("name")) {
            (Some(namespace), Some(name)) => clean_line(&format!("{namespace}/{name}")),
            _ => String::new(),
        },
        created: time(c.metadata.creation_timestamp.as_ref()),
        parameters: parameters.into_iter().map(|(k, v)| (clean_line(&k), clean_line(&v))).collect(),
    }
}

pub(crate) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(crate) fn statefulset(s: apps::StatefulSet) -> StatefulSet {
    let (namespace, name, uid) = names(&s.metadata);
    let spec = s.spec.unwrap_or_default();
    let retention = spec.persistent_volume_claim_retention_policy.as_ref();
    let kept = |p: Option<&String>| p.map_or_else(|| "Retain".into(), |p| clean_line(p));
    let context = spec.template.spec.and_then(|p| p.security_context);
    let context = context.and_then(|c| serde_json::to_value(c).ok());
    let fields =
        context.as_ref().and_then(serde_json::Value::as_object).cloned().unwrap_or_default();
    let templates = spec.volume_claim_templates.unwrap_or_default();
    StatefulSet {
        namespace,
        name,
        uid,
        generation: s.metadata.generation.unwrap_or(0),
        replicas: i64::from(spec.replicas.unwrap_or(1)),
        ready: i64::from(s.status.and_then(|s| s.ready_replicas).unwrap_or(0)),
        strategy: spec
            .update_strategy
            .and_then(|u| u.type_)
            .unwrap_or_else(|| "RollingUpdate".into()),
        retention_when_deleted: kept(retention.and_then(|r| r.when_deleted.as_ref())),
        retention_when_scaled: kept(retention.and_then(|r| r.when_scaled.as_ref())),
        template_classes: templates
            .iter()
            .map(|t| {
                let class = t.spec.as_ref().and_then(|s| s.storage_class_name.as_ref());
                (text(t.metadata.name.as_ref()), text(class))
            })
            .collect(),
        security_context: fields
            .into_iter()
            .map(|(k, v)| (k, clean_line(v.as_str().unwrap_or(&v.to_string()))))
            .collect(),
        created: time(s.metadata.creation_timestamp.as_ref()),
    }
}

pub(crate) fn cronjob(j: batch::CronJob) -> CronJob {
    let (namespace, name, uid) = names(&j.metadata);
    let spec = j.spec.unwrap_or_default();
    let status = j.status.unwrap_or_default();
    CronJob {
        namespace,
        name,
        uid,
        schedule: clean_line(&spec.schedule),
        time_zone: clean_line(spec.time_zone.as_deref().unwrap_or_default()),
        suspended: spec.suspend.unwrap_or(false),
        active: count(status.active.map_or(0, |a| a.len())),
        last_scheduled: time(status.last_schedule_time.as_ref()),
        last_success: time(status.last_successful_time.as_ref()),
        created: time(j.metadata.creation_timestamp.as_ref()),
    }
}

pub(crate) fn node(n: core::Node) -> Node {
    let (_, name, uid) = names(&n.metadata);
    let conditions = n.status.and_then(|s| s.conditions).unwrap_or_default();
    Node {
        ready: conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"),
        cordoned: n.spec.and_then(|s| s.unschedulable).unwrap_or(false),
        name,
        uid,
        ..Node::default()
    }
}

pub(crate) fn csi(c: &storage::CSINode) -> Csi {
    let driver = |d: &storage::CSINodeDriver| {
        let limit = d.allocatable.as_ref().and_then(|a| a.count);
        (clean_line(&d.name), limit.map(i64::from))
    };
    Csi {
        name: text(c.metadata.name.as_ref()),
        drivers: c.spec.drivers.iter().map(driver).collect(),
    }
}

pub(crate) fn attachment(a: &storage::VolumeAttachment) -> Attachment {
    Attachment {
        name: text(a.metadata.name.as_ref()),
        node: clean_line(&a.spec.node_name),
        driver: clean_line(&a.spec.attacher),
    }
}

pub(crate) fn describe_pod(p: &core::Pod) -> Vec<String> {
    let row = pod::row(p.into());
    let mut lines = vec![
        format!("Pod {}/{}  uid {}", row.namespace, row.name, row.uid),
        format!("node {}  status {}  owner {}", row.node, row.status, row.owner),
        format!("claims {}", row.claims.join(", ")),
    ];
    for c in p.status.iter().flat_map(|s| s.container_statuses.iter().flatten()) {
        let ready = if c.ready { "ready" } else { "not ready" };
        lines.push(format!(
            "container {}: {ready}, {} restarts",
            clean_line(&c.name),
            c.restart_count
        ));
        if let Some(last) = c.last_state.as_ref().and_then(|s| s.terminated.as_ref()) {
            let why = last.message.as_deref().or(last.reason.as_deref()).unwrap_or("");
            lines.push(format!("  last state: exit {} {}", last.exit_code, clean_line(why)));
        }
    }
    lines
}

pub(crate) fn describe_volume(v: core::PersistentVolume) -> Vec<String> {
    let reason = text(v.status.as_ref().and_then(|s| s.message.as_ref()));
    let finalizers: Vec<_> =
        v.metadata.finalizers.iter().flatten().map(|f| clean_line(f)).collect();
    let row = volume(v);
    let what_then = match row.policy.as_str() {
        "Delete" => "its data is deleted once its claim is gone",
        _ => "its data stays when its claim goes",
    };
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let mut lines = vec![
        format!("PersistentVolume {}  uid {}", row.name, row.uid),
        format!("class {}  {}  {}", or_none(&row.class), row.size, row.phase),
        format!("reclaim policy {}: {what_then}", row.policy),
        format!("claim {}  uid {}", or_none(&row.claim), or_none(&row.claim_uid)),
        format!("driver {}  handle {}", or_none(&row.driver), or_none(&row.handle)),
        format!("finalizers {}", or_none(&finalizers.join(", "))),
    ];
    if row.deleting {
        lines.push("it is being deleted".into());
    }
    if !reason.is_empty() {
        lines.push(format!("message {reason}"));
    }
    lines
}

pub(crate) fn describe_claim(c: &core::PersistentVolumeClaim) -> Vec<String> {
    let row = claim(c);
    vec![
        format!("PersistentVolumeClaim {}/{}  uid {}", row.namespace, row.name, row.uid),
        format!("class {}  volume {}  {}  {}", row.class, row.volume, row.size, row.phase),
        format!("finalizers {}", row.finalizers.join(", ")),
    ]
}
