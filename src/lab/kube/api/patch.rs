//! Patches of every kind.

use super::call::{Call, Done};
use super::error::{Cause, Refusal};
use super::{apply, list, merge, scale, typed, write};
use crate::lab::World;
use crate::lab::kube::Kind;
use json_patch::{AddOperation, PatchOperation};
use serde_json::{Value, json};

pub fn patch(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    let content = call.content.split(';').next().unwrap_or_default();
    if content.starts_with("application/apply-patch+") {
        return apply::apply(world, call);
    }
    if call.query.flag("force") {
        let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(Refusal::options("PatchOptions", cause));
    }
    let old = list::found(world, call)?;
    let subject = if call.place.sub == "scale" { scale::of(call, &old) } else { old.clone() };
    let mut new = patched(call, content, &subject)?;
    if call.place.sub == "scale" {
        return scale::set(world, call, &old, &new);
    }
    unchanged(call.place.kind, &old, &new)?;
    typed::patched(call.place.kind, &mut new)?;
    write::replace(world, call, &old, new).map(|object| Done::Object(200, object))
}

fn patched(call: &Call, content: &str, old: &Value) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|e| Refusal::bad(&format!("error decoding patch: {e}")))?;
    let mut new = old.clone();
    match content {
        "application/json-patch+json" => {
            let kind = if body.is_object() { "object" } else { "value" };
            let operations: json_patch::Patch = serde_json::from_value(body).map_err(|_| {
                Refusal::bad(&format!(
                    "error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
                ))
            })?;
            operate(&mut new, operations).map_err(|_| {
                let message = "the server rejected our request due to an error in our request";
                Refusal::new(422, "Invalid", message, Some(json!({})))
            })?;
        }
        "application/merge-patch+json" => merge::json_merge(&mut new, &body),
        "application/strategic-merge-patch+json" => {
            merge::strategic(&mut new, &body).map_err(|e| Refusal::bad(&e))?;
        }
        _ => {
            let message = "415: Unsupported Media Type";
            return Err(Refusal::new(415, "UnsupportedMediaType", message, Some(json!({}))));
        }
    }
    Ok(new)
}

/// One operation after the other. To replace what a map does not have is to add it.
fn operate(new: &mut Value, all: json_patch::Patch) -> Result<(), json_patch::PatchError> {
    for operation in all.0 {
        let operation = match operation {
            PatchOperation::Replace(it) if lacks(new, it.path.as_str()) => {
                PatchOperation::Add(AddOperation { path: it.path, value: it.value })
            }
            other => other,
        };
        json_patch::patch(new, &[operation])?;
    }
    Ok(())
}

/// Whether there is a map, and nothing of that name in it.
fn lacks(object: &Value, path: &str) -> bool {
    let parent = path.rsplit_once('/').and_then(|(parent, _)| object.pointer(parent));
    parent.is_some_and(Value::is_object) && object.pointer(path).is_none()
}

/// What a patch may not change: what the object is.
pub fn unchanged(kind: &Kind, old: &Value, new: &Value) -> Result<(), Refusal> {
    let name = |o: &Value| o["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if name(old) != name(new) {
        return Err(Refusal::bad(&format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            name(new),
            name(old)
        )));
    }
    if old["kind"] != new["kind"] || old["apiVersion"] != new["apiVersion"] {
        return Err(Refusal::bad(&format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            new["apiVersion"].as_str().unwrap_or_default(),
            kind.api_version()
        )));
    }
    Ok(())
}
