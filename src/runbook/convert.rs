//! Values between JSON and CEL.
//!
//! A text in exactly the form that [`Time`] writes is a timestamp in expressions: the
//! world's own times are always of that form, and servers' times (without milliseconds)
//! never are.

use crate::event::{Span, Time};
use cel::objects::{Key, KeyRef, Map};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(b) => cel::Value::Bool(*b),
        Value::Number(n) => n
            .as_i64()
            .map_or_else(|| cel::Value::Float(n.as_f64().unwrap_or(f64::NAN)), cel::Value::Int),
        Value::String(s) => time(s).unwrap_or_else(|| cel::Value::String(Arc::new(s.clone()))),
        Value::Array(list) => cel::Value::List(Arc::new(list.iter().map(to_cel).collect())),
        Value::Object(map) => {
            let map: HashMap<Key, cel::Value> =
                map.iter().map(|(k, v)| (Key::String(Arc::new(k.clone())), to_cel(v))).collect();
            cel::Value::Map(Map { map: Arc::new(map) })
        }
    }
}

fn time(s: &str) -> Option<cel::Value> {
    if s.len() != 24 || !s.ends_with('Z') || s.as_bytes()[10] != b'T' || s.as_bytes()[19] != b'.' {
        return None;
    }
    chrono::DateTime::parse_from_rfc3339(s).ok().map(cel::Value::Timestamp)
}

pub(crate) fn to_json(value: &cel::Value) -> Value {
    match value {
        cel::Value::Bool(b) => Value::Bool(*b),
        cel::Value::Int(i) => Value::from(*i),
        cel::Value::UInt(u) => Value::from(*u),
        cel::Value::Float(f) => Value::from(*f),
        cel::Value::String(s) => Value::String(s.to_string()),
        cel::Value::Timestamp(t) => Value::String(Time(t.timestamp_millis()).to_string()),
        cel::Value::Duration(d) => {
            Value::String(Span(u64::try_from(d.num_milliseconds()).unwrap_or(0)).to_string())
        }
        cel::Value::List(list) => Value::Array(list.iter().map(to_json).collect()),
        cel::Value::Map(map) => {
            Value::Object(map.map.iter().map(|(k, v)| (k.to_string(), to_json(v))).collect())
        }
        _ => Value::Null,
    }
}

/// A value in a line.
pub(crate) fn brief(value: &cel::Value) -> String {
    match value {
        cel::Value::List(list) => {
            let names: Vec<_> =
                list.iter().filter_map(|v| named(v).or_else(|| scalar(v))).collect();
            if names.len() == list.len() && names.len() <= 6 {
                format!("[{}]", names.join(", "))
            } else {
                format!("{} items", list.len())
            }
        }
        cel::Value::Map(map) => named(value).unwrap_or_else(|| format!("{} fields", map.map.len())),
        other => scalar(other).unwrap_or_default(),
    }
}

fn scalar(value: &cel::Value) -> Option<String> {
    match to_json(value) {
        Value::String(s) => Some(s),
        Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

/// A field of a map.
pub(crate) fn field(value: &cel::Value, name: &str) -> Option<cel::Value> {
    match value {
        cel::Value::Map(map) => map.get(&KeyRef::String(name)).cloned(),
        _ => None,
    }
}

/// A row by its name, with the one word that says how it is; without one, by its UID, which
/// tells the object from another of that name.
pub(crate) fn named(value: &cel::Value) -> Option<String> {
    let name = scalar(&field(value, "name")?)?;
    let how = ["verdict", "status", "policy", "phase", "class"].into_iter();
    let mut how = how.filter_map(|f| scalar(&field(value, f)?));
    let how = how.find(|h| !h.is_empty());
    let uid = || scalar(&field(value, "uid")?).map(|uid| format!("uid {uid}"));
    let how = how.or_else(uid);
    Some(how.map_or_else(|| name.clone(), |how| format!("{name} ({how})")))
}
