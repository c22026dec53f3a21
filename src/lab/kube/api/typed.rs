//! Objects held against their types: wrong values are refused, unknown fields found.

use super::call::Call;
use super::error::{Cause, Refusal};
use crate::lab::kube::Kind;
use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, coordination::v1 as coordination, core::v1 as core,
    storage::v1 as storage,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a kind's type makes of an object; an error is a value of the wrong type.
fn read(kind: &Kind, object: &Value) -> Result<Option<Value>, String> {
    fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Option<Value>, String> {
        let typed: T = serde_json::from_value(object.clone()).map_err(|e| e.to_string())?;
        serde_json::to_value(typed).map(Some).map_err(|e| e.to_string())
    }
    match kind.kind {
        "ConfigMap" => through::<core::ConfigMap>(object),
        "Event" => through::<core::Event>(object),
        "Namespace" => through::<core::Namespace>(object),
        "Node" => through::<core::Node>(object),
        "PersistentVolumeClaim" => through::<core::PersistentVolumeClaim>(object),
        "PersistentVolume" => through::<core::PersistentVolume>(object),
        "Pod" => through::<core::Pod>(object),
        "Secret" => through::<core::Secret>(object),
        "ServiceAccount" => through::<core::ServiceAccount>(object),
        "Service" => through::<core::Service>(object),
        "Deployment" => through::<apps::Deployment>(object),
        "ReplicaSet" => through::<apps::ReplicaSet>(object),
        "StatefulSet" => through::<apps::StatefulSet>(object),
        "CronJob" => through::<batch::CronJob>(object),
        "Job" => through::<batch::Job>(object),
        "Lease" => through::<coordination::Lease>(object),
        "CSINode" => through::<storage::CSINode>(object),
        "StorageClass" => through::<storage::StorageClass>(object),
        "VolumeAttachment" => through::<storage::VolumeAttachment>(object),
        _ => Ok(None),
    }
}

/// A lease's times have six digits behind the point, no fewer and no more.
fn micro_time(kind: &Kind, object: &Value) -> Option<String> {
    if kind.kind != "Lease" {
        return None;
    }
    let times = ["acquireTime", "renewTime"].iter().filter_map(|f| object["spec"][f].as_str());
    for time in times {
        let (whole, rest) =
            time.split_at_checked("2006-01-02T15:04:05".len()).unwrap_or((time, ""));
        let digits =
            rest.strip_prefix('.').map_or(0, |r| r.bytes().take_while(u8::is_ascii_digit).count());
        let (part, wanted) = match format!("{whole}Z").parse::<crate::event::Time>() {
            Err(_) => (time, "2006"),
            Ok(_) if digits != 6 => (rest, ".000000"),
            Ok(_) => continue,
        };
        return Some(format!(
            "parsing time \"{time}\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"{part}\" as \"{wanted}\""
        ));
    }
    None
}

/// Looks at a new object: unknown fields are dropped and told, unless they are refused.
pub fn admit(call: &Call, object: &mut Value) -> Result<Option<String>, Refusal> {
    let kind = call.place.kind;
    let handled = |why: &str| {
        let name = kind.kind;
        let version = kind.version;
        Refusal::bad(&format!(
            "{name} in version \"{version}\" cannot be handled as a {name}: {why}"
        ))
    };
    if let Some(why) = micro_time(kind, object) {
        return Err(handled(&why));
    }
    let known = read(kind, object).map_err(|why| handled(&format!("json: {why}")))?;
    let Some(known) = known else { return Ok(None) };
    let mut unknown = Vec::new();
    prune(object, &known, "", &mut unknown);
    let Some(first) = unknown.first() else { return Ok(None) };
    match call.query.get("fieldValidation") {
        Some("Strict") => {
            let all: Vec<_> = unknown.iter().map(|f| format!("unknown field \"{f}\"")).collect();
            Err(handled(&format!("strict decoding error: {}", all.join(", "))))
        }
        Some("Ignore") => Ok(None),
        _ => Ok(Some(format!("unknown field \\\"{first}\\\""))),
    }
}

/// Looks at what a patch made.
pub fn patched(kind: &Kind, object: &mut Value) -> Result<(), Refusal> {
    let known = read(kind, object).map_err(|why| {
        let cause = Cause::new("FieldValueInvalid", "patch", format!("Invalid value: {why}"));
        Refusal::invalid_of("", "", "", &[cause])
    })?;
    if let Some(known) = known {
        prune(object, &known, "", &mut Vec::new());
    }
    Ok(())
}

/// Takes away what the type does not know.
fn prune(object: &mut Value, known: &Value, at: &str, unknown: &mut Vec<String>) {
    match (object, known) {
        (Value::Object(fields), Value::Object(known)) => {
            let place = |name: &str| {
                if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
            };
            fields.retain(|name, value| {
                // Nulls count as absent, as do empty lists that the type leaves out.
                let strange = !known.contains_key(name) && !empty(value);
                if strange {
                    unknown.push(place(name));
                }
                !strange
            });
            for (name, value) in fields.iter_mut() {
                if let Some(known) = known.get(name) {
                    prune(value, known, &place(name), unknown);
                }
            }
        }
        (Value::Array(items), Value::Array(known)) => {
            for (i, (item, known)) in items.iter_mut().zip(known).enumerate() {
                prune(item, known, &format!("{at}[{i}]"), unknown);
            }
        }
        _ => {}
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
