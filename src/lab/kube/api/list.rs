//! Reading: one object, and lists in pages that belong together.

use super::call::{Call, Done};
use super::error::{Cause, Refusal};
use super::form::{self, Form};
use super::select::Selector;
use super::{Body, proto, reply, table};
use crate::lab::World;
use crate::lab::kube::{Key, Text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use serde_json::{Value, json};

pub fn get(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    if let Some(version) = call.query.version()?
        && version > world.store.version()
    {
        return Err(Refusal::too_large_version(version, world.store.version()));
    }
    found(world, call).map(|object| Done::Object(200, object))
}

/// The object that the call names.
pub fn found(world: &World, call: &Call) -> Result<Value, Refusal> {
    let text = world.store.text(&call.key());
    let text = text.ok_or_else(|| Refusal::not_found(call.place.kind, call.name()))?;
    Ok(text.value(call.place.kind))
}

/// Objects of a list, and where to go on.
struct Page {
    items: Vec<(Key, Text)>,
    version: u64,
    more: Option<String>,
    remaining: Option<usize>,
}

pub fn list(world: &mut World, call: &Call) -> Result<Response<Body>, Refusal> {
    let page = page(world, call)?;
    let kind = call.place.kind;
    let mut meta = json!({"resourceVersion": page.version.to_string()});
    if let Some(more) = &page.more {
        meta["continue"] = json!(more);
    }
    if let Some(remaining) = page.remaining {
        meta["remainingItemCount"] = json!(remaining);
    }
    let parsed = page.items.iter().map(|(_, text)| text.value(kind));
    let body: bytes::Bytes = match call.form {
        Form::Json => {
            let head = format!(
                r#"{{"kind":"{}List","apiVersion":"{}","metadata":{meta},"items":["#,
                kind.kind,
                kind.api_version()
            );
            joined(head, page.items.iter().map(|(_, text)| text.bare())).into()
        }
        Form::Metadata => {
            let head = format!(
                r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{meta},"items":["#
            );
            joined(head, parsed.map(|o| form::metadata(&o).to_string())).into()
        }
        Form::Table(include) => {
            // Rows are written one by one: all of them parsed at once would be large.
            let columns = table::columns(kind);
            let head = format!(
                r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{meta},"columnDefinitions":{columns},"rows":["#
            );
            let now = world.now;
            joined(head, parsed.map(|o| table::row(now, kind, &o, include).to_string())).into()
        }
        Form::Protobuf => proto::list(&meta, parsed).into(),
    };
    Ok(reply::bytes(200, form::content_type(call.form), body))
}

fn joined<S: AsRef<str>>(head: String, items: impl Iterator<Item = S>) -> String {
    let mut text = head;
    for (i, item) in items.enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(item.as_ref());
    }
    text.push_str("]}");
    text
}

pub fn selector(call: &Call) -> Result<Selector, Refusal> {
    let query = &call.query;
    Selector::read(call.place.kind, query.get("labelSelector"), query.get("fieldSelector"))
}

fn page(world: &World, call: &Call) -> Result<Page, Refusal> {
    let selector = selector(call)?;
    let current = world.store.version();
    let asked = call.query.version()?;
    let exact = matching(call, asked)?;
    let token = call.query.get("continue").map(Token::read).transpose()?;
    if token.is_some() && asked.is_some_and(|v| v > 0) {
        return Err(Refusal::bad("specifying resource version is not allowed when using continue"));
    }
    if let Some(asked) = asked.filter(|v| *v > current) {
        return Err(Refusal::too_large_version(asked, current));
    }
    let then = token.as_ref().and_then(|t| t.version).or(asked.filter(|_| exact));
    let version = then.unwrap_or(current);
    let start = token.as_ref().map(|t| {
        let namespace = call.scope().unwrap_or(&t.namespace);
        (namespace.to_owned(), t.name.clone())
    });
    let start = start.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    // From the cache everything comes at once, whatever the limit.
    let cached = asked == Some(0) && start.is_none();
    let limit = call.query.number("limit").filter(|l| *l > 0 && !cached);
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX);
    let wanted = |key: &Key, text: &Text| {
        selector.is_empty() || !selector.excludes(key) && selector.matches(&text.value(key.kind))
    };
    let (kind, scope) = (call.place.kind, call.scope());
    let (items, rest) = match then.filter(|v| *v < current) {
        None => {
            let all = world.store.texts_behind(kind, scope, start);
            cut(all.filter(|(key, text)| wanted(key, text)), limit, selector.is_empty())
        }
        Some(then) => {
            let all = world.store.at(kind, scope, then).ok_or_else(|| forgotten(token.clone()))?;
            let behind =
                |key: &Key| start.is_none_or(|at| (key.namespace.as_str(), key.name.as_str()) > at);
            let all = all.iter().filter(|(key, text)| behind(key) && wanted(key, text));
            cut(all, limit, selector.is_empty())
        }
    };
    let more = items.last().filter(|_| rest > 0).map(|(key, _)| Token::after(key, call, version));
    Ok(Page { items, version, more, remaining: (rest > 0 && selector.is_empty()).then_some(rest) })
}

/// As many as wanted, and how many follow; only whether any does if nobody asks.
fn cut<'a>(
    mut all: impl Iterator<Item = (&'a Key, &'a Text)>,
    limit: usize,
    count: bool,
) -> (Vec<(Key, Text)>, usize) {
    let items = all.by_ref().take(limit).map(|(k, t)| (k.clone(), t.clone())).collect();
    let rest = if count { all.count() } else { usize::from(all.next().is_some()) };
    (items, rest)
}

/// Whether exactly the version that is named is wanted.
fn matching(call: &Call, asked: Option<u64>) -> Result<bool, Refusal> {
    let field = "resourceVersionMatch";
    match call.query.get(field) {
        None => Ok(false),
        Some(_) if asked.is_none() => {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            Err(Refusal::options("ListOptions", Cause::forbidden(field, why)))
        }
        Some("Exact") => Ok(true),
        Some("NotOlderThan") => Ok(false),
        Some(other) => {
            let why = format!(
                "Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\", \"\""
            );
            let cause = Cause::new("FieldValueNotSupported", field, why);
            Err(Refusal::options("ListOptions", cause))
        }
    }
}

fn forgotten(token: Option<Token>) -> Refusal {
    let Some(token) = token else {
        return Refusal::expired("The resourceVersion for the provided list is too old.");
    };
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
    Refusal::expired(message).with_continue(&Token { version: None, ..token }.write())
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    /// None: at whatever version there is then.
    version: Option<u64>,
    namespace: String,
    name: String,
}

impl Token {
    fn after(key: &Key, call: &Call, version: u64) -> String {
        let namespace = if call.scope().is_some() { "" } else { key.namespace.as_str() };
        Self { version: Some(version), namespace: namespace.to_owned(), name: key.name.clone() }
            .write()
    }

    fn write(&self) -> String {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        let start = format!("/{}{slash}{}\0", self.namespace, self.name);
        let version = self.version.and_then(|v| i64::try_from(v).ok()).unwrap_or(-1);
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": start});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn read(text: &str) -> Result<Self, Refusal> {
        let wrong = |why: &str| {
            Refusal::bad(&format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|_| wrong("illegal base64 data"))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let first = bytes.first().map_or('?', |b| char::from(*b));
            wrong(&format!("invalid character '{first}' looking for beginning of value"))
        })?;
        let start = token["start"].as_str().unwrap_or_default();
        let start = start.trim_start_matches('/').trim_end_matches('\0');
        let (namespace, name) = start.split_once('/').unwrap_or(("", start));
        Ok(Self {
            version: token["rv"].as_u64().filter(|v| *v > 0),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}
