//! Bodies as protobuf: what kubectl's typed commands send. Only kinds whose messages are
//! short; the others are told that JSON is wanted.

use super::envelope;
use base64::Engine;
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
}

/// Metadata, and what lies behind it where it is known.
#[derive(Clone, PartialEq, Message)]
struct Bare {
    #[prost(message, optional, tag = "1")]
    meta: Option<Meta>,
}

#[derive(Clone, PartialEq, Message)]
struct ConfigMap {
    #[prost(message, optional, tag = "1")]
    meta: Option<Meta>,
    #[prost(btree_map = "string, string", tag = "2")]
    data: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Secret {
    #[prost(message, optional, tag = "1")]
    meta: Option<Meta>,
    #[prost(btree_map = "string, bytes", tag = "2")]
    data: BTreeMap<String, Vec<u8>>,
    #[prost(string, tag = "3")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReviewSpec {
    #[prost(message, optional, tag = "1")]
    resource: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
struct Review {
    #[prost(message, optional, tag = "2")]
    spec: Option<ReviewSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct RulesSpec {
    #[prost(string, tag = "1")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct Rules {
    #[prost(message, optional, tag = "2")]
    spec: Option<RulesSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct Preconditions {
    #[prost(string, optional, tag = "1")]
    uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    version: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteOptions {
    #[prost(int64, optional, tag = "1")]
    grace: Option<i64>,
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(string, optional, tag = "4")]
    policy: Option<String>,
    #[prost(string, repeated, tag = "5")]
    dry: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Eviction {
    #[prost(message, optional, tag = "1")]
    meta: Option<Meta>,
    #[prost(message, optional, tag = "2")]
    options: Option<DeleteOptions>,
}

/// The same as JSON.
pub fn json(body: &[u8]) -> Result<Value, String> {
    let unknown = envelope::opened(body)?;
    let kind = unknown.kind.unwrap_or_default();
    let object = read(&kind.kind, &unknown.raw).map_err(|e| e.to_string())?;
    let Some(mut object) = object else {
        return Err(format!("the lab reads a {} only as JSON", kind.kind));
    };
    object["apiVersion"] = json!(kind.api_version);
    object["kind"] = json!(kind.kind);
    Ok(object)
}

fn read(kind: &str, raw: &[u8]) -> Result<Option<Value>, prost::DecodeError> {
    Ok(Some(match kind {
        "Namespace" | "ServiceAccount" => json!({"metadata": meta(Bare::decode(raw)?.meta)}),
        "ConfigMap" => {
            let map = ConfigMap::decode(raw)?;
            json!({"metadata": meta(map.meta), "data": map.data})
        }
        "Secret" => {
            let secret = Secret::decode(raw)?;
            let text = |bytes: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(bytes);
            let data: BTreeMap<_, _> = secret.data.iter().map(|(k, v)| (k, text(v))).collect();
            json!({"metadata": meta(secret.meta), "data": data, "type": secret.kind})
        }
        "SelfSubjectReview" => json!({}),
        "SelfSubjectAccessReview" => {
            let asked = Review::decode(raw)?.spec.unwrap_or_default().resource;
            json!({"spec": asked.map(|a| json!({"resourceAttributes": {
                "namespace": a.namespace, "verb": a.verb, "group": a.group,
                "version": a.version, "resource": a.resource, "subresource": a.subresource,
                "name": a.name,
            }}))})
        }
        "SelfSubjectRulesReview" => {
            let spec = Rules::decode(raw)?.spec.unwrap_or_default();
            json!({"spec": {"namespace": spec.namespace}})
        }
        "DeleteOptions" => options(DeleteOptions::decode(raw)?),
        "Eviction" => {
            let eviction = Eviction::decode(raw)?;
            json!({"metadata": meta(eviction.meta), "deleteOptions": eviction.options.map(options)})
        }
        _ => return Ok(None),
    }))
}

fn meta(meta: Option<Meta>) -> Value {
    let m = meta.unwrap_or_default();
    let mut object = json!({});
    for (name, text) in [
        ("name", m.name),
        ("generateName", m.generate_name),
        ("namespace", m.namespace),
        ("uid", m.uid),
        ("resourceVersion", m.version),
    ] {
        if !text.is_empty() {
            object[name] = json!(text);
        }
    }
    for (name, map) in [("labels", m.labels), ("annotations", m.annotations)] {
        if !map.is_empty() {
            object[name] = json!(map);
        }
    }
    object
}

fn options(o: DeleteOptions) -> Value {
    let before = o.preconditions.map(|p| json!({"uid": p.uid, "resourceVersion": p.version}));
    json!({"gracePeriodSeconds": o.grace, "preconditions": before,
        "propagationPolicy": o.policy, "dryRun": o.dry})
}
