//! One request for objects, read.

use super::error::{Cause, Refusal};
use super::form::{self, Form};
use super::path::{Place, Query};
use crate::lab::kube::{Key, User};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use serde_json::{Value, json};

/// A request for objects.
#[derive(Debug, Clone)]
pub struct Call {
    pub user: User,
    pub method: Method,
    pub place: Place,
    pub query: Query,
    pub form: Form,
    pub body: Bytes,
    /// Of the body.
    pub content: String,
    /// Whose fields are written.
    pub manager: String,
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// An object of the kind.
    Object(u16, Value),
    /// The same, with something to say in a header.
    Warned(u16, Value, String),
    /// Something else as it is.
    Status(u16, Value),
}

impl Call {
    pub fn new(user: &User, place: Place, request: &Request<Bytes>) -> Result<Self, Refusal> {
        let query = super::query(request);
        let headers = request.headers();
        let form = form::negotiated(header(headers, header::ACCEPT), &place, &query)?;
        let agent = header(headers, header::USER_AGENT).split('/').next().unwrap_or_default();
        let manager = query.get("fieldManager").unwrap_or(agent);
        let call = Self {
            user: user.clone(),
            method: request.method().clone(),
            form,
            body: request.body().clone(),
            content: header(headers, header::CONTENT_TYPE).to_owned(),
            manager: if manager.is_empty() { "unknown".into() } else { manager.to_owned() },
            place,
            query,
        };
        call.dry_run()?;
        Ok(call)
    }

    /// The object that the request is bound to by its precondition; empty without one.
    pub fn bound_to(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["preconditions"]["uid"].as_str().unwrap_or_default().to_owned()
    }

    pub fn watches(&self) -> bool {
        self.method == Method::GET && self.place.name.is_none() && self.query.flag("watch")
    }

    /// The verb that rights are about.
    pub fn verb(&self) -> &'static str {
        match (&self.method, self.place.name.is_some()) {
            (&Method::GET, true) => "get",
            (&Method::GET, false) if self.watches() => "watch",
            (&Method::GET, false) => "list",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, true) => "delete",
            _ => "deletecollection",
        }
    }

    pub fn key(&self) -> Key {
        Key::new(self.place.kind, &self.place.namespace, self.name())
    }

    pub fn name(&self) -> &str {
        self.place.name.as_deref().unwrap_or_default()
    }

    /// The namespace that a list is about.
    pub fn scope(&self) -> Option<&str> {
        Some(self.place.namespace.as_str()).filter(|n| !n.is_empty())
    }

    /// Whether nothing is to be done in fact.
    pub fn dry_run(&self) -> Result<bool, Refusal> {
        let options = match self.method {
            Method::POST => "CreateOptions",
            Method::PUT => "UpdateOptions",
            Method::PATCH => "PatchOptions",
            Method::DELETE => "DeleteOptions",
            _ => return Ok(false),
        };
        dry(self.query.all("dryRun"), options)
    }

    /// The body as an object of this kind.
    pub fn object(&self) -> Result<Value, Refusal> {
        let kind = self.place.kind;
        let text = String::from_utf8_lossy(&self.body);
        let unrecognised = |e: &str| {
            Refusal::bad(&format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {e} ({text})",
                kind.kind
            ))
        };
        let mut object = match parse(&self.content, &self.body) {
            Err(why) if self.content.contains("protobuf") => {
                return Err(Refusal::new(415, "UnsupportedMediaType", &why, Some(json!({}))));
            }
            other => other.map_err(|e| unrecognised(&e))?,
        };
        if !object.is_object() {
            return Err(unrecognised("json: cannot unmarshal into Go value"));
        }
        let (version, name) = (kind.api_version(), kind.kind);
        let is = |field: &str, wanted: &str| {
            object[field].as_str().is_none_or(|v| v.is_empty() || v == wanted)
        };
        if !is("kind", name) || !is("apiVersion", &version) {
            let (version, other) = (
                object["apiVersion"].as_str().unwrap_or_default(),
                object["kind"].as_str().unwrap_or_default(),
            );
            let short = version.rsplit('/').next().unwrap_or_default();
            return Err(Refusal::bad(&format!(
                "{other} in version \"{short}\" cannot be handled as a {name}: converting ({short}.{other}) to (core.{name}): unknown conversion"
            )));
        }
        object["apiVersion"] = json!(version);
        object["kind"] = json!(name);
        if let Some(fields) = object.as_object_mut() {
            // Go leaves empty values out, and so do our texts.
            fields.retain(|_, v| !v.is_null());
        }
        Ok(object)
    }
}

/// JSON, or what it is said to be.
pub fn parse(content: &str, body: &[u8]) -> Result<Value, String> {
    if body.is_empty() {
        return Err("unexpected end of JSON input".into());
    }
    if content.contains("protobuf") {
        return super::proto_in::json(body);
    }
    if content.contains("yaml") {
        return serde_yaml_ng::from_slice(body).map_err(|e| e.to_string());
    }
    serde_json::from_slice(body)
        .map_err(|e| if e.is_eof() { "unexpected end of JSON input".into() } else { e.to_string() })
}

pub fn dry(values: &[String], options: &str) -> Result<bool, Refusal> {
    let values: Vec<_> = values.iter().filter(|v| !v.is_empty()).collect();
    if values.iter().any(|v| v.as_str() != "All") {
        let named: Vec<_> = values.iter().map(|v| format!("\"{v}\"")).collect();
        let why = format!("Unsupported value: [{}]: supported values: \"All\"", named.join(","));
        return Err(Refusal::options(options, Cause::new("FieldValueNotSupported", "dryRun", why)));
    }
    Ok(!values.is_empty())
}

pub fn header(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}
