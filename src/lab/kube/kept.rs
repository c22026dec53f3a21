//! Objects as the store keeps them.

use super::{Key, Kind};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// An object as it is kept: compact JSON without `apiVersion` and `kind`, which its key
/// knows. Parsed objects take ten times as much, and a lab may hold 20,000 pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Arc<str>);

impl Text {
    pub(super) fn of(object: &Value) -> Self {
        let mut text = String::from("{");
        for (name, value) in object.as_object().into_iter().flatten() {
            if name != "apiVersion" && name != "kind" {
                if text.len() > 1 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                text.push_str(&value.to_string());
            }
        }
        text.push('}');
        Self(text.into())
    }

    /// The object, of that kind.
    #[must_use]
    pub fn value(&self, kind: &Kind) -> Value {
        let mut object: Value = self.0.parse().unwrap_or_else(|_| json!({}));
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        object
    }

    /// Its JSON as a list holds it: without `apiVersion` and `kind`.
    #[must_use]
    pub fn bare(&self) -> &str {
        &self.0
    }

    /// Its whole JSON.
    #[must_use]
    pub fn whole(&self, kind: &Kind) -> String {
        let (version, name) = (kind.api_version(), kind.kind);
        let comma = if self.0.len() > 2 { "," } else { "" };
        format!(r#"{{"kind":"{name}","apiVersion":"{version}"{comma}{}"#, &self.0[1..])
    }
}

/// An object in its place, and parsed if a controller has looked at it lately.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub text: Text,
    pub parsed: OnceLock<Arc<Value>>,
}

impl Slot {
    pub fn new(text: Text) -> Self {
        Self { text, parsed: OnceLock::new() }
    }
}

/// A map with keys that are no strings, as a list of pairs.
pub(super) mod pairs {
    use super::{BTreeMap, Deserialize, Deserializer, Key, Serializer, Slot, Text, Value};

    pub fn serialize<S: Serializer>(map: &BTreeMap<Key, Slot>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(map.iter().map(|(key, slot)| (key, slot.text.value(key.kind))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<Key, Slot>, D::Error> {
        let pairs = Vec::<(Key, Value)>::deserialize(d)?.into_iter();
        Ok(pairs.map(|(key, object)| (key, Slot::new(Text::of(&object)))).collect())
    }
}
