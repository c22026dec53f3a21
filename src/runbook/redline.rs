//! What differs between two texts of one runbook, by the names of its parts.

use std::collections::BTreeMap;
use toml::{Table, Value};

/// The parts that were changed, added or removed: steps as `phase/step`, and everything else by
/// its table. Of a text that is no TOML: that it is none.
#[must_use]
pub fn redline(old: &str, new: &str) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let (Ok(old), Ok(new)) = (old.parse::<Table>(), new.parse::<Table>()) else {
        return vec!["the whole of it".into()];
    };
    let (old, new) = (parts(&old), parts(&new));
    let mut lines = Vec::new();
    for (name, part) in &old {
        match new.get(name) {
            None => lines.push(format!("{name} is gone")),
            Some(now) if now != part => lines.push(format!("{name} is another")),
            Some(_) => {}
        }
    }
    lines.extend(new.keys().filter(|n| !old.contains_key(*n)).map(|n| format!("{n} is new")));
    lines
}

/// Its parts by name; the order of steps is a part of their phase.
fn parts(text: &Table) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::new();
    for (key, value) in text {
        match (key.as_str(), value) {
            ("phase", Value::Array(phases)) => {
                let order = phases.iter().map(|p| id(p).into()).collect();
                parts.insert("the order of phases".into(), Value::Array(order));
                phases.iter().for_each(|p| phase(p, &mut parts));
            }
            ("guard", Value::Array(guards)) => {
                for guard in guards {
                    parts.insert(format!("guard {}", id(guard)), guard.clone());
                }
            }
            _ => drop(parts.insert(key.clone(), value.clone())),
        }
    }
    parts
}

fn phase(phase: &Value, parts: &mut BTreeMap<String, Value>) {
    let (name, Value::Table(table)) = (id(phase), phase) else { return };
    let mut own = table.clone();
    if let Some(Value::Array(steps)) = table.get("step") {
        for step in steps {
            parts.insert(format!("{name}/{}", id(step)), step.clone());
        }
        let order = steps.iter().map(|s| id(s).into()).collect();
        own.insert("step".into(), Value::Array(order));
    }
    parts.insert(format!("phase {name}"), Value::Table(own));
}

fn id(part: &Value) -> String {
    part.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"
title = "A"
[[guard]]
id = "quorum"
that = 'true'
[[phase]]
id = "roll"
[[phase.step]]
id = "claims"
title = "Delete"
[[phase.step]]
id = "pod"
title = "Delete the pod"
"#;

    #[test]
    fn what_differs_is_named() {
        assert!(redline(OLD, OLD).is_empty());
        // Another way to write the same is no difference.
        assert!(redline(OLD, &format!("# for tonight\n{OLD}")).is_empty());
        let named = |from: &str, to: &str| redline(OLD, &OLD.replace(from, to));
        assert_eq!(named("\"Delete\"", "\"Keep\""), ["roll/claims is another"]);
        assert_eq!(named("'true'", "'false'"), ["guard quorum is another"]);
        assert_eq!(named("\"A\"", "\"B\""), ["title is another"]);
        assert_eq!(
            named("\"claims\"", "\"claim\""),
            ["phase roll is another", "roll/claims is gone", "roll/claim is new"]
        );
        let (first, second) = OLD.split_once("[[phase.step]]\nid = \"pod\"").unwrap();
        let added =
            format!("{first}[[phase.step]]\nid = \"more\"\n[[phase.step]]\nid = \"pod\"{second}");
        assert_eq!(redline(OLD, &added), ["phase roll is another", "roll/more is new"]);
        assert_eq!(redline(OLD, "[[phase"), ["the whole of it"]);
    }
}
