//! Kubernetes objects to rows. Every text passes `clean_line` here, once.

use crate::event::Time;
use crate::observe::join::{Attachment, Csi};
use crate::observe::{pod, slim};
use crate::text::clean_line;
use crate::world::{Claim, Class, Consumers, CronJob, Node, StatefulSet, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time as KubeTime;
use std::collections::BTreeMap;

pub(crate) fn time(t: Option<&KubeTime>) -> Option<Time> {
    t.map(|t| Time(t.0.as_millisecond()))
}

fn text(s: Option<&String>) -> String {
    s.map(|s| clean_line(s)).unwrap_or_default()
}

fn names(meta: &slim::Meta) -> (String, String, String) {
    (text(meta.namespace.as_ref()), text(meta.name.as_ref()), text(meta.uid.as_ref()))
}

fn size(amounts: Option<&BTreeMap<String, Quantity>>) -> String {
    text(amounts.and_then(|a| a.get("storage")).map(|q| &q.0))
}

pub(super) fn claim(c: slim::Claim) -> Claim {
    let (meta, spec) = (c.metadata.unwrap_or_default(), c.spec.unwrap_or_default());
    let (namespace, name, uid) = names(&meta);
    Claim {
        namespace,
        name,
        uid,
        class: text(spec.storage_class_name.as_ref()),
        phase: text(c.status.as_ref().and_then(|s| s.phase.as_ref())),
        volume: text(spec.volume_name.as_ref()),
        size: size(spec.resources.as_ref().and_then(|r| r.requests.as_ref())),
        deleting: meta.deletion_timestamp.is_some(),
        deleting_since: time(meta.deletion_timestamp.as_ref()),
        finalizers: meta.finalizers.iter().flatten().map(|f| clean_line(f)).collect(),
        pods: Vec::new(),
        of_pod: String::new(),
        created: time(meta.creation_timestamp.as_ref()),
    }
}

pub(super) fn volume(v: slim::Volume) -> Volume {
    let (meta, spec) = (v.metadata.unwrap_or_default(), v.spec.unwrap_or_default());
    let (_, name, uid) = names(&meta);
    let csi = spec.csi.unwrap_or_default();
    let handle = text(csi.volume_handle.as_ref());
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
        driver: text(csi.driver.as_ref()),
        lv: handle
            .rsplit('/')
            .next()
            .filter(|l| l.starts_with("vm-"))
            .unwrap_or_default()
            .to_owned(),
        handle,
        size: size(spec.capacity.as_ref()),
        deleting: meta.deletion_timestamp.is_some(),
        created: time(meta.creation_timestamp.as_ref()),
    }
}

pub(super) fn class(c: slim::Class) -> Class {
    let meta = c.metadata.unwrap_or_default();
    let (_, name, uid) = names(&meta);
    let parameters = c.parameters.unwrap_or_default();
    let stage = |what: &str| {
        parameters.get(&format!("csi.storage.k8s.io/node-stage-secret-{what}")).cloned()
    };
    Class {
        consumers: Consumers::default(),
        name,
        uid,
        provisioner: text(c.provisioner.as_ref()),
        policy: c.reclaim_policy.unwrap_or_else(|| "Delete".into()),
        binding: c.volume_binding_mode.unwrap_or_else(|| "Immediate".into()),
        expansion: c.allow_volume_expansion.unwrap_or(false),
        stage_secret: match (stage("namespace"), stage("name")) {
            (Some(namespace), Some(name)) => clean_line(&format!("{namespace}/{name}")),
            _ => String::new(),
        },
        created: time(meta.creation_timestamp.as_ref()),
        parameters: parameters.into_iter().map(|(k, v)| (clean_line(&k), clean_line(&v))).collect(),
    }
}

pub(crate) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn statefulset(s: slim::StatefulSet) -> StatefulSet {
    let (meta, spec) = (s.metadata.unwrap_or_default(), s.spec.unwrap_or_default());
    let (namespace, name, uid) = names(&meta);
    let retention = spec.persistent_volume_claim_retention_policy.unwrap_or_default();
    let kept = |p: Option<&String>| p.map_or_else(|| "Retain".into(), |p| clean_line(p));
    let pods = spec.template.and_then(|t| t.spec).unwrap_or_default();
    let context = pods.security_context.unwrap_or_default();
    let class = |t: slim::Claim| {
        let (meta, spec) = (t.metadata.unwrap_or_default(), t.spec.unwrap_or_default());
        (text(meta.name.as_ref()), text(spec.storage_class_name.as_ref()))
    };
    StatefulSet {
        namespace,
        name,
        uid,
        generation: meta.generation.unwrap_or(0),
        replicas: spec.replicas.unwrap_or(1),
        ready: s.status.and_then(|s| s.ready_replicas).unwrap_or(0),
        strategy: spec
            .update_strategy
            .and_then(|u| u.r#type)
            .unwrap_or_else(|| "RollingUpdate".into()),
        retention_when_deleted: kept(retention.when_deleted.as_ref()),
        retention_when_scaled: kept(retention.when_scaled.as_ref()),
        template_classes: spec.volume_claim_templates.into_iter().flatten().map(class).collect(),
        security_context: context
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, clean_line(v.as_str().unwrap_or(&v.to_string()))))
            .collect(),
        created: time(meta.creation_timestamp.as_ref()),
    }
}

pub(super) fn cronjob(j: slim::CronJob) -> CronJob {
    let (meta, spec) = (j.metadata.unwrap_or_default(), j.spec.unwrap_or_default());
    let (namespace, name, uid) = names(&meta);
    let status = j.status.unwrap_or_default();
    CronJob {
        namespace,
        name,
        uid,
        schedule: text(spec.schedule.as_ref()),
        time_zone: text(spec.time_zone.as_ref()),
        suspended: spec.suspend.unwrap_or(false),
        active: count(status.active.map_or(0, |a| a.len())),
        last_scheduled: time(status.last_schedule_time.as_ref()),
        last_success: time(status.last_successful_time.as_ref()),
        created: time(meta.creation_timestamp.as_ref()),
    }
}

pub(super) fn node(n: slim::Node) -> Node {
    let (_, name, uid) = names(&n.metadata.unwrap_or_default());
    let is = |text: &Option<String>, word: &str| text.as_deref() == Some(word);
    let conditions = n.status.and_then(|s| s.conditions).unwrap_or_default();
    Node {
        ready: conditions.iter().any(|c| is(&c.r#type, "Ready") && is(&c.status, "True")),
        cordoned: n.spec.and_then(|s| s.unschedulable).unwrap_or(false),
        name,
        uid,
        ..Node::default()
    }
}

pub(super) fn csi(c: slim::CsiNode) -> Csi {
    let driver = |d: slim::Driver| {
        let limit = d.allocatable.and_then(|a| a.count);
        (text(d.name.as_ref()), limit)
    };
    Csi {
        name: text(c.metadata.unwrap_or_default().name.as_ref()),
        drivers: c.spec.and_then(|s| s.drivers).into_iter().flatten().map(driver).collect(),
    }
}

pub(super) fn attachment(a: slim::Attachment) -> Attachment {
    let spec = a.spec.unwrap_or_default();
    Attachment {
        name: text(a.metadata.unwrap_or_default().name.as_ref()),
        node: text(spec.node_name.as_ref()),
        driver: text(spec.attacher.as_ref()),
    }
}

pub(super) fn describe_pod(p: slim::Pod) -> Vec<String> {
    let row = pod::row((&p).into());
    let mut lines = vec![
        format!("Pod {}/{}  uid {}", row.namespace, row.name, row.uid),
        format!("node {}  status {}  owner {}", row.node, row.status, row.owner),
        format!("claims {}", row.claims.join(", ")),
    ];
    let status = p.status.unwrap_or_default();
    for c in status.container_statuses.into_iter().flatten() {
        let ready = if c.ready == Some(true) { "ready" } else { "not ready" };
        lines.push(format!(
            "container {}: {ready}, {} restarts",
            text(c.name.as_ref()),
            c.restart_count.unwrap_or(0)
        ));
        if let Some(last) = c.last_state.and_then(|s| s.terminated) {
            let why = last.message.or(last.reason).unwrap_or_default();
            let code = last.exit_code.unwrap_or(0);
            lines.push(format!("  last state: exit {code} {}", clean_line(&why)));
        }
    }
    lines
}

pub(super) fn describe_volume(v: slim::Volume) -> Vec<String> {
    let reason = text(v.status.as_ref().and_then(|s| s.message.as_ref()));
    let finalizers = v.metadata.as_ref().and_then(|m| m.finalizers.as_ref());
    let finalizers: Vec<_> = finalizers.into_iter().flatten().map(|f| clean_line(f)).collect();
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

pub(super) fn describe_claim(c: slim::Claim) -> Vec<String> {
    let row = claim(c);
    vec![
        format!("PersistentVolumeClaim {}/{}  uid {}", row.namespace, row.name, row.uid),
        format!("class {}  volume {}  {}  {}", row.class, row.volume, row.size, row.phase),
        format!("finalizers {}", row.finalizers.join(", ")),
    ]
}
