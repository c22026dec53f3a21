//! What differs between two texts of one runbook, by the names of its parts.

use crate::runbook::differs::lines;
use std::collections::BTreeMap;
use std::fmt;
use toml::{Table, Value};

/// A part of a runbook's text that is compared as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it: one of the two is no TOML.
    Whole,
    /// What stands by itself: `title`, `params`, `window`.
    Top(String),
    /// In which order phases come.
    Order,
    /// A guard.
    Guard(String),
    /// What is due after the run.
    Followup(String),
    /// A phase but for what its steps say: title, items, and which steps come when.
    Phase(String),
    /// The same of a way back, with when it is offered and what follows it.
    Back(String),
    /// A step of a phase or a way back.
    Step {
        /// Of which.
        section: String,
        /// Its id.
        step: String,
    },
}

/// How a part differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is in both, and not the same.
    Another,
    /// The new text does not have it.
    Gone,
    /// The old text does not have it.
    New,
}

/// A part that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub part: Part,
    /// How.
    pub how: How,
    /// What of it, where it is in both and is a table: `title`, `gate`.
    pub fields: Vec<String>,
    /// Value by value what it was (`- title = …`) and what it is (`+ title = …`).
    pub lines: Vec<String>,
}

/// The parts that were changed, added or removed. Of a text that is no TOML: all of it.
#[must_use]
pub fn redline(old: &str, new: &str) -> Vec<Difference> {
    if old == new {
        return Vec::new();
    }
    let (Ok(old), Ok(new)) = (old.parse::<Table>(), new.parse::<Table>()) else {
        let (part, how) = (Part::Whole, How::Another);
        return vec![Difference { part, how, fields: Vec::new(), lines: Vec::new() }];
    };
    let (old, mut new) = (parts(&old), parts(&new));
    let mut found = Vec::new();
    for (part, was) in old {
        let is = new.remove(&part);
        let (how, fields) = match &is {
            Some(is) if *is == was => continue,
            Some(is) => (How::Another, fields(&was, is)),
            None => (How::Gone, Vec::new()),
        };
        let lines = lines(Some(&was), is.as_ref());
        found.push(Difference { part, how, fields, lines });
    }
    found.extend(new.into_iter().map(|(part, is)| {
        let lines = lines(None, Some(&is));
        Difference { part, how: How::New, fields: Vec::new(), lines }
    }));
    found
}

/// The fields that two tables do not share.
fn fields(was: &Value, is: &Value) -> Vec<String> {
    let (Value::Table(was), Value::Table(is)) = (was, is) else { return Vec::new() };
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| was.get(*name) != is.get(*name)).cloned().collect()
}

/// Its parts; the order of steps belongs to their phase.
fn parts(text: &Table) -> BTreeMap<Part, Value> {
    let mut parts = BTreeMap::new();
    for (key, value) in text {
        match (key.as_str(), value) {
            ("phase", Value::Array(phases)) => {
                let order = phases.iter().map(|p| id(p).into()).collect();
                parts.insert(Part::Order, Value::Array(order));
                phases.iter().for_each(|p| section(p, Part::Phase(id(p)), &mut parts));
            }
            ("backout", Value::Array(ways)) => {
                ways.iter().for_each(|way| section(way, Part::Back(id(way)), &mut parts));
            }
            ("guard", Value::Array(guards)) => {
                parts.extend(guards.iter().map(|g| (Part::Guard(id(g)), g.clone())));
            }
            ("followup", Value::Array(due)) => {
                parts.extend(due.iter().map(|d| (Part::Followup(id(d)), d.clone())));
            }
            _ => drop(parts.insert(Part::Top(key.clone()), value.clone())),
        }
    }
    parts
}

fn section(value: &Value, part: Part, parts: &mut BTreeMap<Part, Value>) {
    let (name, Value::Table(table)) = (id(value), value) else { return };
    let mut own = table.clone();
    if let Some(Value::Array(steps)) = table.get("step") {
        for step in steps {
            parts.insert(Part::Step { section: name.clone(), step: id(step) }, step.clone());
        }
        let order = steps.iter().map(|s| id(s).into()).collect();
        own.insert("step".into(), Value::Array(order));
    }
    parts.insert(part, Value::Table(own));
}

fn id(part: &Value) -> String {
    part.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("the whole of it"),
            Self::Top(name) => f.write_str(name),
            Self::Order => f.write_str("the order of phases"),
            Self::Guard(id) => write!(f, "guard {id}"),
            Self::Followup(id) => write!(f, "follow-up {id}"),
            Self::Phase(id) => write!(f, "phase {id}"),
            Self::Back(id) => write!(f, "way back {id}"),
            Self::Step { section, step } => write!(f, "{section}/{step}"),
        }
    }
}

impl Difference {
    /// For people: what it is, and behind it value by value what it was and what it is.
    pub fn told(&self) -> impl Iterator<Item = String> {
        let lines = self.lines.iter().map(|line| format!("  {line}"));
        std::iter::once(self.to_string()).chain(lines)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.how, self.fields.as_slice()) {
            (How::New, _) => write!(f, "{} is new", self.part),
            (How::Gone, _) => write!(f, "{} is gone", self.part),
            (How::Another, []) => write!(f, "{} is another", self.part),
            (How::Another, fields) => write!(f, "{} is another ({})", self.part, fields.join(", ")),
        }
    }
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
[[backout]]
id = "home"
[[backout.step]]
id = "hand"
title = "By hand"
"#;

    #[test]
    fn what_differs_is_named() {
        let said =
            |new: &str| redline(OLD, new).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(said(OLD).is_empty());
        // Another way to write the same is no difference.
        assert!(said(&format!("# for tonight\n{OLD}")).is_empty());
        let named = |from: &str, to: &str| said(&OLD.replace(from, to));
        assert_eq!(named("\"Delete\"", "\"Keep\""), ["roll/claims is another (title)"]);
        assert_eq!(named("'true'", "'false'"), ["guard quorum is another (that)"]);
        assert_eq!(named("title = \"A\"", "title = \"B\""), ["title is another"]);
        assert_eq!(named("\"By hand\"", "\"Alone\""), ["home/hand is another (title)"]);
        assert_eq!(
            named("\"claims\"", "\"claim\""),
            ["phase roll is another (step)", "roll/claims is gone", "roll/claim is new"]
        );
        let (first, second) = OLD.split_once("[[phase.step]]\nid = \"pod\"").unwrap();
        let added =
            format!("{first}[[phase.step]]\nid = \"more\"\n[[phase.step]]\nid = \"pod\"{second}");
        assert_eq!(said(&added), ["phase roll is another (step)", "roll/more is new"]);
        assert_eq!(said("[[phase"), ["the whole of it is another"]);
    }
}
