//! Refusals in the words of the real server.

use super::Body;
use super::reply;
use crate::lab::kube::Kind;
use http::Response;
use serde_json::{Value, json};

/// A `Status` of failure.
#[derive(Debug, Clone)]
pub struct Refusal(Box<Value>);

/// What is wrong with one field.
#[derive(Debug, Clone)]
pub struct Cause {
    reason: &'static str,
    message: String,
    field: String,
    /// Told twice, since the real server checks metadata twice.
    twice: bool,
}

impl Cause {
    pub fn new(reason: &'static str, field: &str, message: String) -> Self {
        Self { reason, message, field: field.to_owned(), twice: false }
    }

    pub fn required(field: &str, more: &str) -> Self {
        let colon = if more.is_empty() { "" } else { ": " };
        Self::new("FieldValueRequired", field, format!("Required value{colon}{more}"))
    }

    pub fn invalid(field: &str, value: &Value, why: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {value}: {why}"))
    }

    pub fn forbidden(field: &str, why: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {why}"))
    }

    pub fn twice(self) -> Self {
        Self { twice: true, ..self }
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut details = json!({});
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details[key] = json!(value);
        }
    }
    details
}

impl Refusal {
    pub fn new(code: u16, reason: &str, message: &str, details: Option<Value>) -> Self {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "code": code,
        });
        if !reason.is_empty() {
            status["reason"] = json!(reason);
        }
        if let Some(details) = details {
            status["details"] = details;
        }
        Self(Box::new(status))
    }

    pub fn bad(message: &str) -> Self {
        Self::new(400, "BadRequest", message, None)
    }

    pub fn too_large() -> Self {
        let message = "Request entity too large: limit is 3145728";
        Self::new(413, "RequestEntityTooLarge", message, None)
    }

    pub fn internal(message: &str) -> Self {
        Self::new(500, "", message, None)
    }

    pub fn no_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, "NotFound", message, Some(json!({})))
    }

    pub fn not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message, Some(json!({})))
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", None)
    }

    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.id);
        Self::new(404, "NotFound", &message, Some(details(name, kind.group, kind.plural)))
    }

    pub fn exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.id);
        Self::new(409, "AlreadyExists", &message, Some(details(name, kind.group, kind.plural)))
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.id);
        Self::new(409, "Conflict", &message, Some(details(name, kind.group, kind.plural)))
    }

    pub fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// A precondition of a delete; there the real server names the kind, not the resource.
    pub fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let what = qualified(kind.kind, kind.group);
        let message = format!("Operation cannot be fulfilled on {what} \"{name}\": {why}");
        Self::new(409, "Conflict", &message, Some(details(name, kind.group, kind.kind)))
    }

    pub fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_of(kind.kind, kind.group, name, causes)
    }

    pub fn invalid_of(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let what = qualified(kind, group);
        let said: Vec<_> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let said = match said.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = details(name, group, kind);
        let times = |c: &Cause| if c.twice { 2 } else { 1 };
        let listed = causes.iter().flat_map(|c| {
            let one = json!({"reason": c.reason, "message": c.message, "field": c.field});
            std::iter::repeat_n(one, times(c))
        });
        details["causes"] = listed.collect();
        let message = format!("{what} \"{name}\" is invalid: {said}");
        Self::new(422, "Invalid", &message, Some(details))
    }

    /// Wrong options of a request: `ListOptions`, `PatchOptions`.
    pub fn options(what: &str, cause: Cause) -> Self {
        Self::invalid_of(what, "meta.k8s.io", "", &[cause])
    }

    pub fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let what = qualified(plural, group);
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = format!("{what}{named} is forbidden: {why}");
        Self::new(403, "Forbidden", &message, Some(details(name, group, plural)))
    }

    pub fn expired(message: &str) -> Self {
        Self::new(410, "Expired", message, None)
    }

    pub fn too_large_version(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let details = json!({"causes": [{
            "reason": "ResourceVersionTooLarge", "message": "Too large resource version"
        }], "retryAfterSeconds": 1});
        Self::new(504, "Timeout", &message, Some(details))
    }

    pub fn apply_conflict(message: &str, causes: Vec<Value>) -> Self {
        Self::new(409, "Conflict", message, Some(json!({ "causes": causes })))
    }

    /// With a note in the list's metadata.
    pub fn with_continue(mut self, token: &str) -> Self {
        self.0["metadata"] = json!({ "continue": token });
        self
    }

    /// With further causes in the details.
    pub fn with_causes(mut self, causes: Value) -> Self {
        self.0["details"]["causes"] = causes;
        self
    }

    /// The `Status`.
    pub fn status(&self) -> &Value {
        &self.0
    }

    pub fn code(&self) -> u16 {
        self.0["code"].as_u64().and_then(|c| u16::try_from(c).ok()).unwrap_or(500)
    }

    pub fn response(&self) -> Response<Body> {
        reply::bytes(self.code(), reply::JSON, self.0.to_string())
    }
}
