//! In which form an answer is wanted: the object, a table of it, its metadata, protobuf.

use super::call::Call;
use super::error::Refusal;
use super::path::{Place, Query};
use super::{envelope, proto, table};
use crate::event::Time;
use bytes::Bytes;
use serde_json::{Value, json};

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    Table(Include),
    Metadata,
    Protobuf,
}

/// What of the object comes with a table's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    Nothing,
    Metadata,
    Object,
}

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The first form of the header that is known.
pub fn negotiated(accept: &str, place: &Place, query: &Query) -> Result<Form, Refusal> {
    let include = match query.get("includeObject") {
        Some("None") => Include::Nothing,
        Some("Object") => Include::Object,
        _ => Include::Metadata,
    };
    if accept.is_empty() {
        return Ok(Form::Json);
    }
    for wanted in accept.split(',') {
        let mut parts = wanted.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let shape = parts.find_map(|p| p.strip_prefix("as="));
        match (media, shape) {
            ("application/json", Some("Table")) if place.sub.is_empty() => {
                return Ok(Form::Table(include));
            }
            ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList")) => {
                return Ok(Form::Metadata);
            }
            ("application/json" | "*/*" | "application/*", None) => return Ok(Form::Json),
            // Only pods are encoded, and only in part: who takes JSON as well gets it whole.
            (PROTOBUF, None)
                if place.kind.id == "pods"
                    && place.sub.is_empty()
                    && !accept.contains(super::reply::JSON) =>
            {
                return Ok(Form::Protobuf);
            }
            // A log is text, whatever is asked.
            _ if place.sub == "log" => return Ok(Form::Json),
            _ => {}
        }
    }
    let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    Err(Refusal::new(406, "NotAcceptable", message, Some(json!({}))))
}

pub fn content_type(form: Form) -> &'static str {
    match form {
        Form::Protobuf => PROTOBUF,
        _ => super::reply::JSON,
    }
}

/// One object of the call's kind.
pub fn object(now: Time, call: &Call, object: &Value) -> Bytes {
    match call.form {
        Form::Json => object.to_string().into(),
        Form::Metadata => metadata(object).to_string().into(),
        Form::Table(include) => {
            let version = &object["metadata"]["resourceVersion"];
            let rows = json!([table::row(now, call.place.kind, object, include)]);
            let table = table::table(version, table::columns(call.place.kind), rows);
            table.to_string().into()
        }
        Form::Protobuf => envelope::enveloped("v1", "Pod", &proto::pod(object)).into(),
    }
}

/// `PartialObjectMetadata`.
pub fn metadata(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}
