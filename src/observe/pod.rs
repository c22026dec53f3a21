//! A pod as far as a row needs it: the fields of the API's protobuf message that are
//! wanted. Decoding skips every other field without looking inside, managedFields first of
//! all, which are half of a pod.

use crate::observe::rows::count;
use crate::observe::slim;
use crate::text::clean_line;
use crate::world;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

/// A point in time.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Time {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Owner {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(bool, tag = "6")]
    pub controller: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Meta {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub namespace: String,
    #[prost(string, tag = "5")]
    pub uid: String,
    #[prost(string, tag = "6")]
    pub resource_version: String,
    #[prost(message, optional, tag = "8")]
    pub created: Option<Time>,
    #[prost(message, optional, tag = "9")]
    pub deleted: Option<Time>,
    #[prost(message, repeated, tag = "13")]
    pub owners: Vec<Owner>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClaimSource {
    #[prost(string, tag = "1")]
    pub claim_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VolumeSource {
    #[prost(message, optional, tag = "10")]
    pub claim: Option<ClaimSource>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Volume {
    #[prost(message, optional, tag = "2")]
    pub source: Option<VolumeSource>,
}

/// A container of which only the existence counts.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Container {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Spec {
    #[prost(message, repeated, tag = "1")]
    pub volumes: Vec<Volume>,
    #[prost(message, repeated, tag = "2")]
    pub containers: Vec<Container>,
    #[prost(string, tag = "10")]
    pub node: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Waiting {
    #[prost(string, tag = "1")]
    pub reason: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Terminated {
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
    #[prost(string, tag = "3")]
    pub reason: String,
    #[prost(string, tag = "4")]
    pub message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerState {
    #[prost(message, optional, tag = "1")]
    pub waiting: Option<Waiting>,
    #[prost(message, optional, tag = "3")]
    pub terminated: Option<Terminated>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerStatus {
    #[prost(message, optional, tag = "2")]
    pub state: Option<ContainerState>,
    #[prost(message, optional, tag = "3")]
    pub last: Option<ContainerState>,
    #[prost(bool, tag = "4")]
    pub ready: bool,
    #[prost(int32, tag = "5")]
    pub restarts: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(string, tag = "1")]
    pub phase: String,
    #[prost(string, tag = "4")]
    pub reason: String,
    #[prost(message, repeated, tag = "8")]
    pub containers: Vec<ContainerStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Pod {
    #[prost(message, optional, tag = "1")]
    pub meta: Option<Meta>,
    #[prost(message, optional, tag = "2")]
    pub spec: Option<Spec>,
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
}

impl Time {
    fn of(self) -> crate::event::Time {
        crate::event::Time(self.seconds * 1000 + i64::from(self.nanos) / 1_000_000)
    }
}

/// The row.
pub(crate) fn row(pod: Pod) -> world::Pod {
    let (meta, spec, status) = (
        pod.meta.unwrap_or_default(),
        pod.spec.unwrap_or_default(),
        pod.status.unwrap_or_default(),
    );
    let deleting = meta.deleted.is_some();
    let shown = shown(&status, deleting);
    let owner = meta.owners.iter().find(|o| o.controller);
    let claims = spec.volumes.iter().filter_map(|v| v.source.as_ref()?.claim.as_ref());
    world::Pod {
        namespace: clean_line(&meta.namespace),
        name: clean_line(&meta.name),
        uid: clean_line(&meta.uid),
        ready: count(status.containers.iter().filter(|c| c.ready).count()),
        containers: count(spec.containers.len()),
        restarts: status.containers.iter().map(|c| i64::from(c.restarts)).sum(),
        reason: clean_line(&last(&status, &shown)),
        status: clean_line(&shown),
        node: clean_line(&spec.node),
        owner: owner.map(|o| clean_line(&format!("{}/{}", o.kind, o.name))).unwrap_or_default(),
        claims: claims.map(|c| clean_line(&c.claim_name)).collect(),
        deleting,
        deleting_since: meta.deleted.map(Time::of),
        created: meta.created.map(Time::of),
    }
}

/// The status in one word, as kubectl prints it.
fn shown(status: &Status, deleting: bool) -> String {
    if deleting {
        return "Terminating".into();
    }
    let now = || status.containers.iter().filter_map(|c| c.state.as_ref());
    let waiting = now().filter_map(|s| s.waiting.as_ref()).find(|w| !w.reason.is_empty());
    let ended = now().filter_map(|s| s.terminated.as_ref()).find(|t| !t.reason.is_empty());
    let word = match (waiting, ended) {
        (Some(waiting), _) => &waiting.reason,
        (None, Some(ended)) if status.containers.iter().all(|c| !c.ready) => &ended.reason,
        _ if !status.reason.is_empty() => &status.reason,
        _ => &status.phase,
    };
    word.clone()
}

/// Why a container ended last, for a pod that is not simply running.
fn last(status: &Status, shown: &str) -> String {
    let waits =
        status.containers.iter().any(|c| c.state.as_ref().is_some_and(|s| s.waiting.is_some()));
    let ended = status.containers.iter().find_map(|c| c.last.as_ref()?.terminated.as_ref());
    match ended {
        Some(ended) if waits || shown != "Running" => match ended.message.as_str() {
            "" => format!("{}: exit {}", ended.reason, ended.exit_code),
            message => format!("{}: {message}", ended.reason),
        },
        _ => String::new(),
    }
}

fn of_time(t: &meta::Time) -> Time {
    Time { seconds: t.0.as_second(), nanos: t.0.subsec_nanosecond() }
}

impl From<&slim::Meta> for Meta {
    fn from(m: &slim::Meta) -> Self {
        let owner = |o: &slim::Owner| Owner {
            kind: o.kind.clone().unwrap_or_default(),
            name: o.name.clone().unwrap_or_default(),
            controller: o.controller == Some(true),
        };
        Self {
            name: m.name.clone().unwrap_or_default(),
            namespace: m.namespace.clone().unwrap_or_default(),
            uid: m.uid.clone().unwrap_or_default(),
            created: m.creation_timestamp.as_ref().map(of_time),
            deleted: m.deletion_timestamp.as_ref().map(of_time),
            owners: m.owner_references.iter().flatten().map(owner).collect(),
            ..Self::default()
        }
    }
}

impl From<&slim::PodSpec> for Spec {
    fn from(s: &slim::PodSpec) -> Self {
        let volume = |v: &slim::PodVolume| {
            let claim_name = v.persistent_volume_claim.as_ref()?.claim_name.clone()?;
            let claim = Some(ClaimSource { claim_name });
            Some(Volume { source: Some(VolumeSource { claim }) })
        };
        Self {
            volumes: s.volumes.iter().flatten().filter_map(volume).collect(),
            containers: s.containers.iter().flatten().map(|_| Container {}).collect(),
            node: s.node_name.clone().unwrap_or_default(),
        }
    }
}

impl From<&slim::ContainerState> for ContainerState {
    fn from(s: &slim::ContainerState) -> Self {
        let waiting = |w: &slim::Waiting| Waiting { reason: w.reason.clone().unwrap_or_default() };
        let terminated = |t: &slim::Terminated| Terminated {
            exit_code: t.exit_code.unwrap_or(0),
            reason: t.reason.clone().unwrap_or_default(),
            message: t.message.clone().unwrap_or_default(),
        };
        Self {
            waiting: s.waiting.as_ref().map(waiting),
            terminated: s.terminated.as_ref().map(terminated),
        }
    }
}

/// For what comes as JSON: the same row from the same fields.
impl From<&slim::Pod> for Pod {
    fn from(p: &slim::Pod) -> Self {
        let container = |c: &slim::ContainerStatus| ContainerStatus {
            state: c.state.as_ref().map(Into::into),
            last: c.last_state.as_ref().map(Into::into),
            ready: c.ready == Some(true),
            restarts: c.restart_count.unwrap_or(0),
        };
        Self {
            meta: p.metadata.as_ref().map(Into::into),
            spec: p.spec.as_ref().map(Into::into),
            status: p.status.as_ref().map(|s| Status {
                phase: s.phase.clone().unwrap_or_default(),
                reason: s.reason.clone().unwrap_or_default(),
                containers: s.container_statuses.iter().flatten().map(container).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use serde_json::json;

    fn of_json(status: serde_json::Value) -> world::Pod {
        let pod: slim::Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "vault-0", "namespace": "vault", "uid": "u1",
                "creationTimestamp": "2026-01-01T00:00:01Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet",
                    "name": "vault", "uid": "o", "controller": true}],
            },
            "spec": {
                "nodeName": "pve1", "containers": [{"name": "vault"}, {"name": "sidecar"}],
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data-vault-0"}},
                    {"name": "tmp", "emptyDir": {}}],
            },
            "status": status,
        }))
        .unwrap();
        let message = Pod::from(&pod);
        // What the wire carries is the same message.
        let over = Pod::decode(message.encode_to_vec().as_slice()).unwrap();
        assert_eq!(over, message);
        row(over)
    }

    #[test]
    fn a_row_says_what_kubectl_says() {
        let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "denied"}});
        let status = |phase: &str, ready: bool, now: &serde_json::Value| {
            json!({"phase": phase, "containerStatuses": [{"name": "vault", "image": "i",
                "imageID": "", "ready": ready, "restartCount": 3, "state": now, "lastState": ended}]})
        };
        let running = json!({"running": {}});
        let crashing = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        for (phase, ready, now, word, reason) in [
            ("Running", true, &running, "Running", ""),
            ("Running", false, &crashing, "CrashLoopBackOff", "Error: denied"),
            ("Failed", false, &ended, "Error", "Error: denied"),
            ("Pending", false, &json!({}), "Pending", "Error: denied"),
        ] {
            let row = of_json(status(phase, ready, now));
            assert_eq!((row.status.as_str(), row.reason.as_str()), (word, reason));
            assert_eq!((row.ready, row.containers, row.restarts), (i64::from(ready), 2, 3));
        }
        let row = of_json(status("Running", true, &running));
        assert_eq!((row.owner.as_str(), row.node.as_str()), ("StatefulSet/vault", "pve1"));
        assert_eq!(row.claims, ["data-vault-0"]);
        assert_eq!(row.created.map(|t| t.0), Some(1_767_225_601_000));
    }
}
