//! The subresource `scale`.

use super::call::{Call, Done};
use super::error::Refusal;
use super::{list, write};
use crate::lab::World;
use serde_json::{Value, json};

/// The `Scale` of an object.
pub fn of(call: &Call, object: &Value) -> Value {
    let meta = &object["metadata"];
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": call.name(), "namespace": call.place.namespace},
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0)},
    });
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        scale["metadata"][field] = meta[field].clone();
    }
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let terms: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    if !terms.is_empty() {
        scale["status"]["selector"] = json!(terms.join(","));
    }
    scale
}

pub fn get(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    list::found(world, call).map(|object| Done::Status(200, of(call, &object)))
}

pub fn put(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    let wanted: Value =
        super::call::parse(&call.content, &call.body).map_err(|e| Refusal::bad(&e))?;
    let old = list::found(world, call)?;
    set(world, call, &old, &wanted)
}

/// Does what a `Scale` says.
pub fn set(world: &mut World, call: &Call, old: &Value, wanted: &Value) -> Result<Done, Refusal> {
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    if i32::try_from(replicas).is_err() && replicas > 0 {
        let why = format!("spec.replicas is no 32-bit number: {replicas}");
        return Err(Refusal::bad(&why));
    }
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let cause = super::error::Cause::invalid("spec.replicas", &json!(replicas), why);
        return Err(Refusal::invalid_of("Scale", "autoscaling", call.name(), &[cause]));
    }
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(replicas);
    let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !version.is_empty() {
        new["metadata"]["resourceVersion"] = json!(version);
    }
    let object = write::replace(world, call, old, new)?;
    Ok(Done::Status(200, of(call, &object)))
}
