//! Label and field selectors.

use super::error::Refusal;
use crate::lab::kube::{Key, Kind};
use serde_json::Value;

/// Both selectors of a request.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<(String, Wants)>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Wants {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    More(i64),
    Less(i64),
}

impl Selector {
    pub fn read(kind: &Kind, labels: Option<&str>, fields: Option<&str>) -> Result<Self, Refusal> {
        Ok(Self {
            labels: terms(labels.unwrap_or_default())
                .into_iter()
                .map(|t| requirement(t).ok_or_else(|| unreadable(t)))
                .collect::<Result<_, _>>()?,
            fields: fields
                .unwrap_or_default()
                .split(',')
                .filter(|t| !t.is_empty())
                .map(|t| field(kind, t))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether everything is wanted.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object's place alone tells that it is not wanted; spares to parse it.
    pub fn excludes(&self, key: &Key) -> bool {
        self.fields.iter().any(|(path, value, equal)| match path.as_str() {
            "metadata.name" => (key.name == *value) != *equal,
            "metadata.namespace" => (key.namespace == *value) != *equal,
            _ => false,
        })
    }

    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|(key, wants)| wants.met(labels[key].as_str()))
            && self.fields.iter().all(|(path, value, equal)| {
                let at = path.split('.').fold(object, |o, part| &o[part]);
                let is = match at {
                    Value::String(text) => text.clone(),
                    Value::Null => default_of(path).to_owned(),
                    other => other.to_string(),
                };
                (is == *value) == *equal
            })
    }
}

fn default_of(path: &str) -> &'static str {
    if path == "spec.unschedulable" || path == "spec.hostNetwork" { "false" } else { "" }
}

impl Wants {
    fn met(&self, label: Option<&str>) -> bool {
        let number = || label.and_then(|l| l.parse::<i64>().ok());
        match self {
            Self::In(values) => label.is_some_and(|l| values.iter().any(|v| v == l)),
            // What has no such label is not in the list either.
            Self::NotIn(values) => label.is_none_or(|l| values.iter().all(|v| v != l)),
            Self::Exists => label.is_some(),
            Self::Missing => label.is_none(),
            Self::More(n) => number().is_some_and(|l| l > *n),
            Self::Less(n) => number().is_some_and(|l| l < *n),
        }
    }
}

/// Terms between commas that are not in parentheses.
fn terms(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    found.push(text[start..].trim());
    found.retain(|t| !t.is_empty());
    found
}

fn requirement(term: &str) -> Option<(String, Wants)> {
    let named = |key: &str, wants| {
        let key = key.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!key.is_empty() && key.chars().all(plain)).then(|| (key.to_owned(), wants))
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(list) = term.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let values = list.split(',').map(|v| v.trim().to_owned()).collect();
        let (key, word) = head.trim().rsplit_once(char::is_whitespace)?;
        return match word {
            "in" => named(key, Wants::In(values)),
            "notin" => named(key, Wants::NotIn(values)),
            _ => None,
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return named(key, Wants::NotIn(one(value)));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return named(key, Wants::In(one(value)));
    }
    if let Some((key, value)) = term.split_once('>') {
        return named(key, Wants::More(value.trim().parse().ok()?));
    }
    if let Some((key, value)) = term.split_once('<') {
        return named(key, Wants::Less(value.trim().parse().ok()?));
    }
    match term.strip_prefix('!') {
        Some(key) => named(key, Wants::Missing),
        None => named(term, Wants::Exists),
    }
}

fn unreadable(term: &str) -> Refusal {
    let sign = if term.starts_with("==") { "==" } else { &term[..term.len().min(1)] };
    Refusal::bad(&format!("found '{sign}', expected: !, identifier, or 'end of string'"))
}

/// Fields that a kind can be selected by besides name and namespace.
fn known(kind: &Kind) -> &'static [&'static str] {
    match kind.id {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "nodes" => &["spec.unschedulable"],
        "namespaces" => &["status.phase"],
        "secrets" => &["type"],
        "jobs.batch" => &["status.successful"],
        "replicasets.apps" => &["status.replicas"],
        _ => &[],
    }
}

fn field(kind: &Kind, term: &str) -> Result<(String, String, bool), Refusal> {
    let (key, value, equal) = if let Some((key, value)) = term.split_once("!=") {
        (key, value, false)
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (key, value, true)
    } else {
        return Err(Refusal::bad(&format!(
            "invalid selector: '{term}'; can't understand '{term}'"
        )));
    };
    if !matches!(key, "metadata.name" | "metadata.namespace") && !known(kind).contains(&key) {
        let message = if known(kind).is_empty() {
            format!(
                "\"{key}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )
        } else {
            format!("field label not supported: {key}")
        };
        return Err(Refusal::bad(&message));
    }
    Ok((key.to_owned(), value.to_owned(), equal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::kube::kind;
    use serde_json::json;

    #[test]
    fn selectors_choose() {
        let pods = kind("pods").unwrap();
        let pod = json!({"metadata": {"name": "p", "labels": {"app": "vault", "n": "3"}},
            "spec": {"nodeName": "a"}, "status": {"phase": "Running"}});
        for (labels, fields, expected) in [
            ("app=vault", "", true),
            ("app==vault,n", "", true),
            ("app!=vault", "", false),
            ("app in (x, vault),!gone", "", true),
            ("app notin (x,y),other notin (a)", "", true),
            ("n>2,n<4", "", true),
            ("n>3", "", false),
            ("", "metadata.name=p,spec.nodeName=a", true),
            ("", "status.phase!=Running", false),
        ] {
            let s = Selector::read(pods, Some(labels), Some(fields)).unwrap();
            assert_eq!(s.matches(&pod), expected, "{labels} {fields}");
        }
        assert!(Selector::read(pods, Some("=="), None).is_err());
        let maps = kind("configmaps").unwrap();
        let why = Selector::read(maps, None, Some("data.x=1")).unwrap_err();
        assert!(why.status()["message"].as_str().unwrap().contains("not a known field selector"));
    }
}
