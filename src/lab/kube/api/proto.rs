//! Pods as protobuf: the messages of Kubernetes' `generated.proto`, as far as rows and
//! status need them. Fields that are left out here are missing on the wire.

use super::envelope::enveloped;
use prost::Message;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Owner {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    uid: String,
    #[prost(string, tag = "5")]
    api_version: String,
    #[prost(bool, optional, tag = "6")]
    controller: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    blocks: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct Meta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    version: String,
    #[prost(int64, tag = "7")]
    generation: i64,
    #[prost(message, optional, tag = "8")]
    created: Option<Time>,
    #[prost(message, optional, tag = "9")]
    deleted: Option<Time>,
    #[prost(int64, optional, tag = "10")]
    grace: Option<i64>,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    owners: Vec<Owner>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Claim {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Source {
    #[prost(message, optional, tag = "10")]
    claim: Option<Claim>,
}

#[derive(Clone, PartialEq, Message)]
struct Volume {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    source: Option<Source>,
}

#[derive(Clone, PartialEq, Message)]
struct Container {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct Spec {
    #[prost(message, repeated, tag = "1")]
    volumes: Vec<Volume>,
    #[prost(message, repeated, tag = "2")]
    containers: Vec<Container>,
    #[prost(string, tag = "3")]
    restart_policy: String,
    #[prost(int64, optional, tag = "4")]
    grace: Option<i64>,
    #[prost(string, tag = "10")]
    node: String,
}

#[derive(Clone, PartialEq, Message)]
struct Condition {
    #[prost(string, tag = "1")]
    what: String,
    #[prost(string, tag = "2")]
    status: String,
    #[prost(message, optional, tag = "4")]
    changed: Option<Time>,
    #[prost(string, tag = "5")]
    reason: String,
    #[prost(string, tag = "6")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Waiting {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Running {
    #[prost(message, optional, tag = "1")]
    started: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct Terminated {
    #[prost(int32, tag = "1")]
    exit_code: i32,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(string, tag = "4")]
    message: String,
    #[prost(message, optional, tag = "5")]
    started: Option<Time>,
    #[prost(message, optional, tag = "6")]
    finished: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct State {
    #[prost(message, optional, tag = "1")]
    waiting: Option<Waiting>,
    #[prost(message, optional, tag = "2")]
    running: Option<Running>,
    #[prost(message, optional, tag = "3")]
    terminated: Option<Terminated>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerStatus {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    state: Option<State>,
    #[prost(message, optional, tag = "3")]
    last: Option<State>,
    #[prost(bool, tag = "4")]
    ready: bool,
    #[prost(int32, tag = "5")]
    restarts: i32,
    #[prost(string, tag = "6")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct PodStatus {
    #[prost(string, tag = "1")]
    phase: String,
    #[prost(message, repeated, tag = "2")]
    conditions: Vec<Condition>,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(string, tag = "6")]
    address: String,
    #[prost(message, optional, tag = "7")]
    started: Option<Time>,
    #[prost(message, repeated, tag = "8")]
    containers: Vec<ContainerStatus>,
    #[prost(string, tag = "9")]
    qos: String,
}

#[derive(Clone, PartialEq, Message)]
struct Pod {
    #[prost(message, optional, tag = "1")]
    meta: Option<Meta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<Spec>,
    #[prost(message, optional, tag = "3")]
    status: Option<PodStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct ListMeta {
    #[prost(string, tag = "2")]
    version: String,
    #[prost(string, tag = "3")]
    more: String,
    #[prost(int64, optional, tag = "4")]
    remaining: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(message, optional, tag = "1")]
    meta: Option<ListMeta>,
    #[prost(message, repeated, tag = "2")]
    items: Vec<Pod>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    status: String,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(int32, tag = "6")]
    code: i32,
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

fn small(v: &Value) -> i32 {
    v.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(0)
}

fn time(v: &Value) -> Option<Time> {
    let at: jiff::Timestamp = v.as_str()?.parse().ok()?;
    Some(Time { seconds: at.as_second(), nanos: at.subsec_nanosecond() })
}

fn each<T>(v: &Value, of: impl Fn(&Value) -> T) -> Vec<T> {
    v.as_array().into_iter().flatten().map(of).collect()
}

fn texts(v: &Value) -> BTreeMap<String, String> {
    v.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect()
}

fn meta(m: &Value) -> Meta {
    Meta {
        name: text(&m["name"]),
        generate_name: text(&m["generateName"]),
        namespace: text(&m["namespace"]),
        uid: text(&m["uid"]),
        version: text(&m["resourceVersion"]),
        generation: m["generation"].as_i64().unwrap_or(0),
        created: time(&m["creationTimestamp"]),
        deleted: time(&m["deletionTimestamp"]),
        grace: m["deletionGracePeriodSeconds"].as_i64(),
        labels: texts(&m["labels"]),
        annotations: texts(&m["annotations"]),
        owners: each(&m["ownerReferences"], |o| Owner {
            kind: text(&o["kind"]),
            name: text(&o["name"]),
            uid: text(&o["uid"]),
            api_version: text(&o["apiVersion"]),
            controller: o["controller"].as_bool(),
            blocks: o["blockOwnerDeletion"].as_bool(),
        }),
        finalizers: each(&m["finalizers"], text),
    }
}

fn spec(s: &Value) -> Spec {
    let source = |v: &Value| {
        let claim = v["persistentVolumeClaim"].as_object()?;
        Some(Source { claim: Some(Claim { name: claim.get("claimName").map(text)? }) })
    };
    Spec {
        volumes: each(&s["volumes"], |v| Volume { name: text(&v["name"]), source: source(v) }),
        containers: each(&s["containers"], |c| Container {
            name: text(&c["name"]),
            image: text(&c["image"]),
        }),
        restart_policy: text(&s["restartPolicy"]),
        grace: s["terminationGracePeriodSeconds"].as_i64(),
        node: text(&s["nodeName"]),
    }
}

fn state(s: &Value) -> Option<State> {
    let is = |name: &str| s.get(name).filter(|v| v.is_object());
    s.as_object()?;
    Some(State {
        waiting: is("waiting")
            .map(|w| Waiting { reason: text(&w["reason"]), message: text(&w["message"]) }),
        running: is("running").map(|r| Running { started: time(&r["startedAt"]) }),
        terminated: is("terminated").map(|t| Terminated {
            exit_code: small(&t["exitCode"]),
            reason: text(&t["reason"]),
            message: text(&t["message"]),
            started: time(&t["startedAt"]),
            finished: time(&t["finishedAt"]),
        }),
    })
}

fn pod_status(s: &Value) -> PodStatus {
    PodStatus {
        phase: text(&s["phase"]),
        conditions: each(&s["conditions"], |c| Condition {
            what: text(&c["type"]),
            status: text(&c["status"]),
            changed: time(&c["lastTransitionTime"]),
            reason: text(&c["reason"]),
            message: text(&c["message"]),
        }),
        message: text(&s["message"]),
        reason: text(&s["reason"]),
        address: text(&s["podIP"]),
        started: time(&s["startTime"]),
        containers: each(&s["containerStatuses"], |c| ContainerStatus {
            name: text(&c["name"]),
            state: state(&c["state"]),
            last: state(&c["lastState"]),
            ready: c["ready"] == Value::Bool(true),
            restarts: small(&c["restartCount"]),
            image: text(&c["image"]),
        }),
        qos: text(&s["qosClass"]),
    }
}

fn message(object: &Value) -> Pod {
    Pod {
        meta: Some(meta(&object["metadata"])),
        spec: Some(spec(&object["spec"])),
        status: Some(pod_status(&object["status"])),
    }
}

/// A pod.
pub fn pod(object: &Value) -> Vec<u8> {
    message(object).encode_to_vec()
}

/// A list of pods, in its envelope.
pub fn list(meta: &Value, items: impl Iterator<Item = Value>) -> Vec<u8> {
    let list = List {
        meta: Some(ListMeta {
            version: text(&meta["resourceVersion"]),
            more: text(&meta["continue"]),
            remaining: meta["remainingItemCount"].as_i64(),
        }),
        items: items.map(|o| message(&o)).collect(),
    };
    enveloped("v1", "PodList", &list.encode_to_vec())
}

/// A `Status`.
pub fn status(s: &Value) -> Vec<u8> {
    let status = Status {
        status: text(&s["status"]),
        message: text(&s["message"]),
        reason: text(&s["reason"]),
        code: small(&s["code"]),
    };
    status.encode_to_vec()
}
