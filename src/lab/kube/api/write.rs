//! Creating and replacing.

use super::call::{Call, Done};
use super::error::Refusal;
use super::{admission, fields, list, typed, validate};
use crate::lab::World;
use crate::lab::kube::store::{metadata, stamp};
use crate::lab::kube::{Denied, Key};
use serde_json::{Value, json};

pub fn create(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    let mut object = call.object()?;
    let warning = typed::admit(call, &mut object)?;
    let object = make(world, call, object, |object, call, now| {
        fields::updated(&json!({}), object, call, now);
    })?;
    Ok(match warning {
        None => Done::Object(201, object),
        Some(warning) => Done::Warned(201, object, warning),
    })
}

/// Creates what a POST or an apply brings; `own` notes whose fields they are.
pub fn make(
    world: &mut World,
    call: &Call,
    mut object: Value,
    own: impl FnOnce(&mut Value, &Call, crate::event::Time),
) -> Result<Value, Refusal> {
    let kind = call.place.kind;
    if !object["metadata"]["resourceVersion"].as_str().unwrap_or_default().is_empty() {
        return Err(Refusal::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let key = named(world, call, &mut object)?;
    admission::namespace(world, &key)?;
    admission::admit(world, kind, &mut object);
    validate::created(kind, &object)?;
    own(&mut object, call, world.now);
    if call.dry_run()? {
        if world.store.text(&key).is_some() {
            return Err(Refusal::exists(kind, &key.name));
        }
        let meta = metadata(&mut object);
        meta.insert("uid".into(), json!(world.chance.uuid()));
        meta.insert("creationTimestamp".into(), json!(stamp(world.now)));
        return Ok(object);
    }
    match world.store.create(&key, object, world.now, &mut world.chance) {
        Ok(object) => Ok((*object).clone()),
        Err(_) => Err(Refusal::exists(kind, &key.name)),
    }
}

/// Where a new object will lie; its name is made up if it is to be.
fn named(world: &mut World, call: &Call, object: &mut Value) -> Result<Key, Refusal> {
    let kind = call.place.kind;
    if kind.namespaced && call.place.namespace.is_empty() {
        return Err(Refusal::not_allowed());
    }
    let text = |object: &Value, field: &str| {
        object["metadata"][field].as_str().unwrap_or_default().to_owned()
    };
    let namespace = text(object, "namespace");
    if kind.namespaced && !namespace.is_empty() && namespace != call.place.namespace {
        return Err(Refusal::bad(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let (mut name, prefix) = (text(object, "name"), text(object, "generateName"));
    let mut key = Key::new(kind, &call.place.namespace, &name);
    if name.is_empty() && !prefix.is_empty() {
        loop {
            key.name = format!("{}{}", &prefix[..prefix.len().min(58)], world.chance.suffix(5));
            if world.store.text(&key).is_none() {
                break;
            }
        }
        name.clone_from(&key.name);
    }
    let meta = metadata(object);
    meta.insert("name".into(), json!(name));
    if kind.namespaced {
        meta.insert("namespace".into(), json!(call.place.namespace));
    }
    Ok(key)
}

pub fn put(world: &mut World, call: &Call) -> Result<Done, Refusal> {
    let mut object = call.object()?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name != call.name() {
        let message = format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        );
        return Err(Refusal::bad(&message));
    }
    let warning = typed::admit(call, &mut object)?;
    let old = list::found(world, call)?;
    let uid = |o: &Value| o["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    if !uid(&object).is_empty() && uid(&object) != uid(&old) {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {}, UID in object meta: {}",
            call.place.kind.plural,
            call.place.namespace,
            call.name(),
            uid(&object),
            uid(&old)
        );
        return Err(Refusal::conflict(call.place.kind, call.name(), &why));
    }
    let object = replace(world, call, &old, object)?;
    Ok(match warning {
        None => Done::Object(200, object),
        Some(warning) => Done::Warned(200, object, warning),
    })
}

/// Puts something new in an object's place, as far as the call may, and notes whose it is.
pub fn replace(
    world: &mut World,
    call: &Call,
    old: &Value,
    proposed: Value,
) -> Result<Value, Refusal> {
    let now = world.now;
    replace_as(world, call, old, proposed, |old, new| fields::updated(old, new, call, now))
}

pub fn replace_as(
    world: &mut World,
    call: &Call,
    old: &Value,
    mut proposed: Value,
    own: impl FnOnce(&Value, &mut Value),
) -> Result<Value, Refusal> {
    let kind = call.place.kind;
    let version = proposed["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !version.is_empty() && old["metadata"]["resourceVersion"] != json!(version) {
        return Err(Refusal::modified(kind, call.name()));
    }
    let wanted_uid = proposed["metadata"]["uid"].clone();
    if call.place.sub.is_empty() {
        admission::default(kind, &mut proposed);
    }
    let mut new = separated(call, old, proposed);
    preserve(old, &mut new);
    tidy(&mut new);
    validate::updated(world, kind, old, &new, &wanted_uid)?;
    own(old, &mut new);
    if new == *old || call.dry_run()? {
        return Ok(new);
    }
    match world.store.update(&call.key(), |object| *object = new) {
        Ok(object) => {
            let mut object = (*object).clone();
            if world.store.text(&call.key()).is_none() {
                // What went with this change keeps its last version in the answer.
                object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
            }
            Ok(object)
        }
        Err(Denied::NotFound | Denied::Exists | Denied::Conflict(_)) => {
            Err(Refusal::not_found(kind, call.name()))
        }
    }
}

/// The main resource does not change the status; the status changes nothing else.
fn separated(call: &Call, old: &Value, mut proposed: Value) -> Value {
    let has_status = call.place.kind.sub.contains(&"status");
    if call.place.sub == "status" {
        let mut new = old.clone();
        new["status"] = proposed["status"].take();
        for field in ["labels", "annotations", "finalizers"] {
            new["metadata"][field] = proposed["metadata"][field].take();
        }
        return new;
    }
    if has_status {
        proposed["status"] = old["status"].clone();
    }
    proposed
}

/// What only the server writes stays as it was.
fn preserve(old: &Value, new: &mut Value) {
    const OURS: [&str; 11] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
        "generateName",
    ];
    let meta = metadata(new);
    for field in OURS {
        match &old["metadata"][field] {
            Value::Null => meta.remove(field),
            value => meta.insert(field.into(), value.clone()),
        };
    }
}

/// Empty lists and maps of metadata, and nulls of the first levels, are left out as Go does.
fn tidy(object: &mut Value) {
    let empty = |v: &Value| match v {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    metadata(object).retain(|_, v| !empty(v));
    for part in object.as_object_mut().into_iter().flat_map(|o| o.values_mut()) {
        if let Value::Object(map) = part {
            map.retain(|_, v| !v.is_null());
        }
    }
    if let Value::Object(map) = object {
        map.retain(|_, v| !v.is_null());
    }
}
