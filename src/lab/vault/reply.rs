//! Answers in Vault's form.

use super::text::{Text, object};
use crate::lab::{Chance, World};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

/// A complete answer.
pub(super) type Reply = Response<Bytes>;

/// JSON as Vault writes it, with a newline.
pub(super) fn json(code: u16, body: &Value) -> Reply {
    text(code, body.to_string())
}

/// The same of what is text already.
pub(super) fn text(code: u16, mut body: String) -> Reply {
    body.push('\n');
    bytes(code, "application/json", Bytes::from(body))
}

pub(super) fn bytes(code: u16, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000; includeSubDomains"),
    );
    reply
}

/// Done, nothing to say.
pub(super) fn done() -> Reply {
    bytes(204, "application/json", Bytes::new())
}

/// Ask there instead.
pub(super) fn elsewhere(location: &str) -> Reply {
    let mut reply = bytes(307, "application/json", Bytes::new());
    reply.headers_mut().remove(header::CONTENT_TYPE);
    if let Ok(location) = HeaderValue::from_str(location) {
        reply.headers_mut().insert(header::LOCATION, location);
    }
    reply
}

/// Errors; an empty one is a code alone.
pub(super) fn error(code: u16, says: &str) -> Reply {
    let said = if says.is_empty() { Vec::new() } else { vec![says] };
    json(code, &json!({"errors": said}))
}

/// An error as it comes from a list of them with one entry.
pub(super) fn listed(code: u16, says: &str) -> Reply {
    error(code, &format!("1 error occurred:\n\t* {says}\n\n"))
}

/// Data in Vault's envelope. `flat`: what is in it also stands beside it, as in older
/// endpoints.
pub(super) fn wrapped(world: &mut World, data: &Value, mount: &str, flat: bool) -> Reply {
    match flat {
        true => json(200, &Value::Object(envelope(world, data, mount, true))),
        false => told(world, &data.to_string(), mount, false),
    }
}

/// The same of an object that is text already, and has no field of the envelope's.
pub(super) fn told(world: &mut World, data: &str, mount: &str, flat: bool) -> Reply {
    let around = object! {
        "request_id": request_id(world), "lease_id": "", "renewable": false,
        "lease_duration": 0, "data": Text(data.to_owned()), "wrap_info": (), "warnings": (), "auth": (),
        "mount_type": mount,
    };
    let beside = data.strip_suffix('}').filter(|fields| flat && *fields != "{");
    match (beside, around.strip_prefix('{')) {
        (Some(fields), Some(rest)) => text(200, format!("{fields},{rest}")),
        _ => text(200, around),
    }
}

pub(super) fn envelope(
    world: &mut World,
    data: &Value,
    mount: &str,
    flat: bool,
) -> Map<String, Value> {
    let mut body = Map::new();
    if let (true, Value::Object(data)) = (flat, data) {
        body.extend(data.clone());
    }
    let around = json!({
        "request_id": request_id(world), "lease_id": "", "renewable": false,
        "lease_duration": 0, "wrap_info": null, "warnings": null, "auth": null,
        "mount_type": mount,
    });
    if let Value::Object(around) = around {
        body.extend(around);
    }
    body.insert("data".into(), data.clone());
    body
}

fn request_id(world: &mut World) -> String {
    world.vault.requests += 1;
    Chance::new(world.vault.requests).uuid()
}
