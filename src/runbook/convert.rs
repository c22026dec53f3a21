//! Values of expressions, as JSON and in words.

use crate::event::{Span, Time};
use crate::text::counted;
use cel::objects::KeyRef;
use serde_json::Value;

/// What is told one by one.
const FEW: usize = 6;

/// A value of expressions as JSON.
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
            match many(list.len()) {
                None if names.len() == list.len() => format!("[{}]", names.join(", ")),
                _ => format!("{} items", list.len()),
            }
        }
        cel::Value::Map(map) => named(value).or_else(|| small(map)).unwrap_or_else(|| {
            let n = map.map.len();
            counted(n, "field")
        }),
        other => scalar(other).unwrap_or_default(),
    }
}

/// A map of a few texts and numbers, whole.
fn small(map: &cel::objects::Map) -> Option<String> {
    let field = |(k, v)| Some(format!("{k}: {}", scalar(v)?));
    let mut fields = map.map.iter().map(field).collect::<Option<Vec<_>>>()?;
    fields.sort();
    (!fields.is_empty() && fields.len() <= FEW).then(|| format!("{{{}}}", fields.join(", ")))
}

/// A list in a line, if it is too long to be named one by one.
pub(crate) fn many(length: usize) -> Option<String> {
    (length > FEW).then(|| format!("{length} items"))
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
    let how = ["verdict", "status", "policy", "phase", "class", "room"].into_iter();
    let mut how = how.filter_map(|f| scalar(&field(value, f)?));
    let how = how.find(|h| !h.is_empty());
    let uid = || scalar(&field(value, "uid")?).map(|uid| format!("uid {uid}"));
    let how = how.or_else(uid);
    Some(how.map_or_else(|| name.clone(), |how| format!("{name} ({how})")))
}
