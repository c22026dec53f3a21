//! Deleting: one object, many, and eviction.

use super::call::{self, Call, Done};
use super::error::Refusal;
use super::{Body, list, reply};
use crate::lab::World;
use crate::lab::kube::{Deleting, Key, Kind, faults};
use http::Response;
use serde_json::{Value, json};

/// What a `DeleteOptions` says.
#[derive(Debug, Default)]
struct Options {
    grace: Option<i64>,
    policy: Option<String>,
    uid: Option<String>,
    version: Option<String>,
    dry: bool,
}

impl Options {
    fn read(call: &Call) -> Result<Self, Refusal> {
        let body = if call.body.is_empty() {
            json!({})
        } else {
            call::parse(&call.content, &call.body).map_err(|e| Refusal::bad(&e))?
        };
        for field in ["uid", "resourceVersion"] {
            let given = &body["preconditions"][field];
            if !given.is_null() && !given.is_string() {
                let why = format!("preconditions.{field} is no string: {given}");
                return Err(Refusal::bad(&why));
            }
        }
        let text = |v: &Value| v.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
        let query = |name: &str| call.query.get(name).map(str::to_owned);
        let dry: Vec<String> = body["dryRun"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect();
        let policy = text(&body["propagationPolicy"]).or_else(|| query("propagationPolicy"));
        // The old form, which old tools still send.
        let policy = policy.or_else(|| match body["orphanDependents"].as_bool() {
            Some(true) => Some("Orphan".to_owned()),
            Some(false) => Some("Background".to_owned()),
            None => None,
        });
        if let Some(other) = policy.as_deref()
            && !matches!(other, "Orphan" | "Background" | "Foreground")
        {
            let why = format!(
                "Unsupported value: \"{other}\": supported values: \"Background\", \"Foreground\", \"Orphan\""
            );
            let cause =
                super::error::Cause::new("FieldValueNotSupported", "propagationPolicy", why);
            return Err(Refusal::options("DeleteOptions", cause));
        }
        let seconds = query("gracePeriodSeconds").and_then(|g| g.parse().ok());
        Ok(Self {
            grace: body["gracePeriodSeconds"].as_i64().or(seconds),
            policy,
            uid: text(&body["preconditions"]["uid"]),
            version: text(&body["preconditions"]["resourceVersion"]),
            dry: call.dry_run()? || call::dry(&dry, "DeleteOptions")?,
        })
    }
}

pub fn one(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    let options = Options::read(call)?;
    let old = list::found(world, call)?;
    preconditions(call.place.kind, &old, &options)?;
    let last = delete(world, &call.key(), &old, &options)?;
    let gone = options.dry || world.store.text(&call.key()).is_none();
    if returned(call.place.kind) || !gone {
        return Ok(Done::Object(200, last));
    }
    let kind = call.place.kind;
    let mut details = json!({"name": call.name(), "kind": kind.plural});
    details["uid"] = old["metadata"]["uid"].clone();
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    Ok(Done::Status(200, success(Some(details))))
}

fn success(details: Option<Value>) -> Value {
    let mut status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if let Some(details) = details {
        status["details"] = details;
    }
    status
}

/// Kinds whose last state is the answer to their deletion.
fn returned(kind: &Kind) -> bool {
    kind.group == "storage.k8s.io"
        || matches!(
            kind.id,
            "pods"
                | "persistentvolumes"
                | "persistentvolumeclaims"
                | "serviceaccounts"
                | "services"
        )
}

fn preconditions(kind: &Kind, old: &Value, options: &Options) -> Result<(), Refusal> {
    let is = |field: &str| old["metadata"][field].as_str().unwrap_or_default();
    let name = is("name");
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != is("uid")) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            is("uid")
        );
        return Err(Refusal::precondition(kind, name, &why));
    }
    if let Some(version) = options.version.as_deref().filter(|v| *v != is("resourceVersion")) {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            is("resourceVersion")
        );
        return Err(Refusal::precondition(kind, name, &why));
    }
    Ok(())
}

fn delete(world: &mut World, key: &Key, old: &Value, options: &Options) -> Result<Value, Refusal> {
    let how = Deleting { grace: grace(key.kind, old, options), ..Deleting::default() };
    if options.dry {
        return Ok(old.clone());
    }
    if old["metadata"]["deletionTimestamp"].is_null()
        && let Some(list) = collecting(key.kind, old, options)
    {
        // The finalizer and the mark come with one change, or the collector would look
        // at an object that holds for nothing.
        let marked = world.store.mark(key, &list, &how, world.now);
        return marked.map(|o| (*o).clone()).map_err(|_| Refusal::not_found(key.kind, &key.name));
    }
    let deleted = world.store.delete(key, &how, world.now);
    deleted.map(|o| (*o).clone()).map_err(|_| Refusal::not_found(key.kind, &key.name))
}

/// Seconds that a pod gets. One that no node has, or that is over, gets none.
fn grace(kind: &Kind, object: &Value, options: &Options) -> i64 {
    if kind.id != "pods" {
        return 0;
    }
    let over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if over || object["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        return 0;
    }
    let own = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    options.grace.unwrap_or(own).max(0)
}

/// The finalizers for the garbage collector, if they change.
fn collecting(kind: &Kind, object: &Value, options: &Options) -> Option<Vec<String>> {
    let list: Vec<String> = object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|f| f.as_str().map(str::to_owned))
        .collect();
    let default = if kind.id == "jobs.batch" { Some("Orphan") } else { None };
    let wanted = match options.policy.as_deref().or(default)? {
        "Orphan" => Some("orphan"),
        "Foreground" => Some("foregroundDeletion"),
        _ => None,
    };
    let mut new: Vec<String> =
        list.iter().filter(|f| *f != "orphan" && *f != "foregroundDeletion").cloned().collect();
    new.extend(wanted.map(str::to_owned));
    (new != list).then_some(new)
}

pub fn collection(world: &mut World, call: &Call) -> Result<Response<Body>, Refusal> {
    let options = Options::read(call)?;
    let kind = call.place.kind;
    if matches!(kind.id, "namespaces" | "services") {
        return Err(Refusal::not_allowed());
    }
    let selector = list::selector(call)?;
    let all: Vec<(Key, Value)> = world
        .store
        .texts(kind, call.scope())
        .map(|(key, text)| (key.clone(), text.value(kind)))
        .filter(|(_, object)| selector.matches(object))
        .collect();
    let mut items = Vec::new();
    for (key, old) in all {
        let mut last = delete(world, &key, &old, &options)?;
        if let Value::Object(fields) = &mut last {
            fields.retain(|name, _| name != "kind" && name != "apiVersion");
        }
        items.push(last);
    }
    let list = json!({
        "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": world.store.version().to_string()}, "items": items,
    });
    Ok(reply::bytes(200, reply::JSON, list.to_string()))
}

/// An eviction is a deletion here: the lab has no disruption budgets.
pub fn evict(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    let body = call::parse(&call.content, &call.body).map_err(|e| Refusal::bad(&e))?;
    let nested = Call { body: body["deleteOptions"].to_string().into(), ..call.clone() };
    let options = if body["deleteOptions"].is_object() {
        Options::read(&nested)?
    } else {
        Options { dry: call.dry_run()?, ..Options::default() }
    };
    let old = list::found(world, call)?;
    preconditions(call.place.kind, &old, &options)?;
    delete(world, &call.key(), &old, &options)?;
    let mut status = success(None);
    status["code"] = json!(201);
    Ok(Done::Status(201, status))
}

/// Whether the fault [`faults::FORBIDDEN`] is about that.
pub fn withheld(world: &World, verb: &str, resource: &str) -> bool {
    world.suffers(faults::FORBIDDEN)
        && matches!(verb, "delete" | "deletecollection")
        && matches!(resource, "pods" | "persistentvolumeclaims")
}
