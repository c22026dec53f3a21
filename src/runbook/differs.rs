//! What differs in a part of a runbook's text, line by line, and a text in which only some parts are
//! the new ones.

use crate::runbook::redline::{Difference, How, Part};
use crate::text::clean_line;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// The values that two parts do not share, each under its name: `- verify.that = …`, `+ …`.
pub(super) fn lines(was: Option<&Value>, is: Option<&Value>) -> Vec<String> {
    let flat = |value: Option<&Value>| {
        let mut leaves = BTreeMap::new();
        value.into_iter().for_each(|value| leaf(String::new(), value, &mut leaves));
        leaves
    };
    let (was, is) = (flat(was), flat(is));
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        let (old, new) = (was.get(name), is.get(name));
        if old == new {
            continue;
        }
        let said = |sign: &str, value: &String| {
            clean_line(&match name.as_str() {
                "" => format!("{sign} {value}"),
                name => format!("{sign} {name} = {value}"),
            })
        };
        lines.extend(old.map(|value| said("-", value)));
        lines.extend(new.map(|value| said("+", value)));
    }
    lines
}

/// Values by their dotted names; what has an id stands under it.
fn leaf(name: String, value: &Value, leaves: &mut BTreeMap<String, String>) {
    let dotted = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(key, value)| leaf(dotted(key), value, leaves));
        }
        Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_table) => {
            for (at, value) in (1..).zip(all) {
                let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
                let id = id.unwrap_or_else(|| at.to_string());
                leaf(format!("{name}[{id}]"), value, leaves);
            }
        }
        value => drop(leaves.insert(name, value.to_string())),
    }
}

/// What has to come along with the parts that are named: a step that is new or gone with the order
/// of its section, a phase that is new or gone with the order of phases.
#[must_use]
pub fn along(all: &[Difference], named: &BTreeSet<Part>) -> BTreeSet<Part> {
    let mut taken = named.clone();
    let moves = |d: &Difference| match (&d.part, d.how) {
        (Part::Step { section, .. }, How::New | How::Gone) => Some(Knot::Steps(section.clone())),
        (Part::Phase(_), How::New | How::Gone) | (Part::Order, _) => Some(Knot::Phases),
        _ => None,
    };
    let orders = |d: &Difference| match &d.part {
        Part::Phase(id) | Part::Back(id) => Some(Knot::Steps(id.clone())),
        _ => None,
    };
    loop {
        let knots: BTreeSet<Knot> = all
            .iter()
            .filter(|d| taken.contains(&d.part))
            .flat_map(|d| moves(d).into_iter().chain(orders(d)))
            .collect();
        let tied = |d: &&Difference| {
            moves(d).into_iter().chain(orders(d)).any(|knot| knots.contains(&knot))
        };
        let more: Vec<Part> = all.iter().filter(tied).map(|d| d.part.clone()).collect();
        let before = taken.len();
        taken.extend(more);
        if taken.len() == before {
            return taken;
        }
    }
}

/// What ties parts together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Knot {
    /// Which steps a section has, and in which order.
    Steps(String),
    /// The same of phases.
    Phases,
}

/// The old text, but for those parts, which are the new ones. Comments and shape are lost: it is the
/// meaning that the run goes by.
///
/// # Errors
/// In words, where one of them is no TOML.
pub fn merged(old: &str, new: &str, taken: &BTreeSet<Part>) -> Result<String, String> {
    let read = |text: &str| text.parse::<Table>().map_err(|e| e.message().to_owned());
    let (old, new) = (read(old)?, read(new)?);
    let mut text = Table::new();
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let is = |part: &dyn Fn(String) -> Part| {
            list(&old, &new, key, |id| taken.contains(&part(id.to_owned())))
        };
        let value = match key.as_str() {
            "phase" => {
                let mut all = is(&Part::Phase);
                sections(&mut all, (&old, &new), key, &|id| Part::Phase(id), taken);
                if taken.contains(&Part::Order) {
                    let at = ids(new.get(key));
                    all.sort_by_key(|phase| at.iter().position(|id| *id == of(phase)));
                }
                some(all)
            }
            "backout" => {
                let mut all = is(&Part::Back);
                sections(&mut all, (&old, &new), key, &|id| Part::Back(id), taken);
                some(all)
            }
            "guard" => some(is(&Part::Guard)),
            "followup" => some(is(&Part::Followup)),
            _ if taken.contains(&Part::Top(key.clone())) => new.get(key).cloned(),
            _ => old.get(key).cloned(),
        };
        text.extend(value.map(|value| (key.clone(), value)));
    }
    toml::to_string(&text).map_err(|e| e.to_string())
}

/// A list of parts; one that has none any more is not written.
fn some(all: Vec<Value>) -> Option<Value> {
    (!all.is_empty()).then_some(Value::Array(all))
}

fn of(value: &Value) -> String {
    value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn ids(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().map(of).collect()
}

fn named<'a>(text: &'a Table, key: &str, id: &str) -> Option<&'a Value> {
    text.get(key)?.as_array()?.iter().find(|value| of(value) == id)
}

/// What stands in a list by id: as it was, but those that are taken as they are now; what is new
/// comes last.
fn list(old: &Table, new: &Table, key: &str, taken: impl Fn(&str) -> bool) -> Vec<Value> {
    let mut all = ids(old.get(key));
    let more: Vec<_> = ids(new.get(key)).into_iter().filter(|id| !all.contains(id)).collect();
    all.extend(more);
    let text = |id: &String| named(if taken(id) { new } else { old }, key, id).cloned();
    all.iter().filter_map(text).collect()
}

/// The steps of sections that are in both texts: each by itself, and their order with the section.
fn sections(
    all: &mut [Value],
    (old, new): (&Table, &Table),
    key: &str,
    part: &dyn Fn(String) -> Part,
    taken: &BTreeSet<Part>,
) {
    for section in all {
        let id = of(section);
        let (Some(was), Some(is)) = (named(old, key, &id), named(new, key, &id)) else { continue };
        let (Some(was), Some(is)) = (was.as_table(), is.as_table()) else { continue };
        let step = |step: &str| {
            let (section, step) = (id.clone(), step.to_owned());
            taken.contains(&Part::Step { section, step })
        };
        let mut steps = list(was, is, "step", step);
        if taken.contains(&part(id.clone())) {
            let at = ids(is.get("step"));
            steps.sort_by_key(|step| at.iter().position(|id| *id == of(step)));
        }
        if let Some(table) = section.as_table_mut() {
            table.insert("step".into(), Value::Array(steps));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::redline::redline;

    const OLD: &str = r#"
title = "A"
[[guard]]
id = "quorum"
that = 'true'
[[followup]]
id = "old"
in = "1d"
[[phase]]
id = "roll"
title = "Roll"
[[phase.step]]
id = "claims"
title = "Delete"
[[phase.step.gate]]
id = "healthy"
that = 'a'
[[phase.step]]
id = "pod"
title = "Delete the pod"
[phase.step.verify]
that = 'status == 200'
[[phase]]
id = "final"
title = "Final"
[[phase.step]]
id = "http"
title = "It answers"
[[backout]]
id = "home"
[[backout.step]]
id = "hand"
title = "By hand"
"#;

    #[test]
    fn each_value_that_differs_stands_with_what_it_was() {
        let said = |from: &str, to: &str| {
            let found = redline(OLD, &OLD.replace(from, to));
            found.into_iter().map(|d| (d.part.to_string(), d.lines)).collect::<Vec<_>>()
        };
        let one = |part: &str, lines: &[&str]| {
            vec![(part.to_owned(), lines.iter().map(|&l| l.to_owned()).collect::<Vec<_>>())]
        };
        assert_eq!(
            said("== 200", "== 503"),
            one(
                "roll/pod",
                &["- verify.that = \"status == 200\"", "+ verify.that = \"status == 503\""]
            )
        );
        assert_eq!(
            said("that = 'a'\n", "that = 'b'\n"),
            one("roll/claims", &["- gate[healthy].that = \"a\"", "+ gate[healthy].that = \"b\""])
        );
        assert_eq!(said("title = \"A\"", "title = \"B\""), one("title", &["- \"A\"", "+ \"B\""]));
        assert_eq!(said("title = \"A\"", "title = []"), one("title", &["- \"A\"", "+ []"]));
        let gone = said("[[phase.step]]\nid = \"http\"\ntitle = \"It answers\"\n", "");
        assert_eq!(gone[0].1, ["- step = [\"http\"]"]);
        assert_eq!(gone[1].1, ["- id = \"http\"", "- title = \"It answers\""]);
    }

    /// The parts that are taken are the new ones, the others are as they were: nothing else.
    #[test]
    fn only_what_is_taken_is_another() {
        let step = "[[phase.step]]\nid = \"more\"\ntitle = \"More\"\n";
        let new = OLD
            .replace("\"Delete\"", "\"Keep\"")
            .replace("== 200", "== 503")
            .replace("title = \"A\"", "title = \"B\"")
            .replace("\"By hand\"", "\"Alone\"")
            .replace("that = 'true'", "that = 'false'")
            .replace("in = \"1d\"", "in = \"2d\"")
            .replace("[[phase]]\nid = \"final\"", &format!("{step}[[phase]]\nid = \"final\""));
        let all = redline(OLD, &new);
        assert!(all.len() > 5, "{all:?}");
        for wanted in &all {
            let taken = along(&all, &BTreeSet::from([wanted.part.clone()]));
            let text = merged(OLD, &new, &taken).unwrap();
            let left: BTreeSet<Part> = redline(OLD, &text).into_iter().map(|d| d.part).collect();
            assert_eq!(left, taken, "{text}");
            // And with the rest it is all of the new one.
            let rest = redline(&text, &new).into_iter().map(|d| d.part).collect();
            assert_eq!(redline(&merged(&text, &new, &rest).unwrap(), &new), []);
        }
        let more = Part::Step { section: "roll".into(), step: "more".into() };
        let taken = along(&all, &BTreeSet::from([more.clone()]));
        assert_eq!(taken, BTreeSet::from([Part::Phase("roll".into()), more]));
    }

    /// What phases there are, and in which order, is one question.
    #[test]
    fn a_phase_that_is_gone_or_new_takes_the_order_along() {
        let at = OLD.find("[[phase]]\nid = \"final\"").unwrap();
        let back = OLD.find("[[backout]]").unwrap();
        let gone = format!("{}{}", &OLD[..at], &OLD[back..]);
        for (old, new) in [(OLD, gone.as_str()), (gone.as_str(), OLD)] {
            let all = redline(old, new);
            let taken = along(&all, &BTreeSet::from([Part::Phase("final".into())]));
            assert_eq!(taken, all.iter().map(|d| d.part.clone()).collect());
            assert_eq!(redline(&merged(old, new, &taken).unwrap(), new), []);
        }
    }

    /// A part by the words that name it.
    fn named(all: &[Difference], part: &str) -> BTreeSet<Part> {
        all.iter().map(|d| d.part.clone()).filter(|p| p.to_string() == part).collect()
    }

    fn read(text: &str) -> Table {
        text.parse().unwrap()
    }

    /// In which order things come is one part, and what they say others.
    #[test]
    fn an_order_is_taken_by_itself() {
        let from = |text: &str| OLD.find(text).unwrap();
        let (claims, pod) =
            (from("[[phase.step]]\nid = \"claims\""), from("[[phase.step]]\nid = \"pod\""));
        let (roll, last) = (from("[[phase]]\nid = \"roll\""), from("[[phase]]\nid = \"final\""));
        let back = from("[[backout]]");
        let swapped = |a: usize, b: usize, end: usize| {
            format!("{}{}{}{}", &OLD[..a], &OLD[b..end], &OLD[a..b], &OLD[end..])
        };
        for (new, order) in [
            (swapped(roll, last, back), "the order of phases"),
            (swapped(claims, pod, last), "phase roll"),
        ] {
            let both = new.replace("title = \"A\"", "title = \"B\"");
            let all = redline(OLD, &both);
            let (order, title) = (named(&all, order), named(&all, "title"));
            assert_eq!((all.len(), order.len(), title.len()), (2, 1, 1), "{all:?}");
            assert_eq!(read(&merged(OLD, &both, &along(&all, &order)).unwrap()), read(&new));
            let titled = OLD.replace("title = \"A\"", "title = \"B\"");
            assert_eq!(read(&merged(OLD, &both, &along(&all, &title)).unwrap()), read(&titled));
        }
    }

    /// A phase that is new comes with the order of phases, also where it is one of its steps that is
    /// named.
    #[test]
    fn a_step_takes_along_what_its_phase_takes_along() {
        let (at, back) =
            (OLD.find("[[phase]]\nid = \"final\"").unwrap(), OLD.find("[[backout]]").unwrap());
        let gone = format!("{}{}", &OLD[..at], &OLD[back..]);
        let all = redline(&gone, OLD);
        let taken = along(&all, &named(&all, "final/http"));
        assert_eq!(taken, all.iter().map(|d| d.part.clone()).collect());
    }

    /// Nothing of a kind is no list of it; and what is an empty list is one.
    #[test]
    fn what_is_gone_leaves_no_empty_list() {
        let guard = "[[guard]]\nid = \"quorum\"\nthat = 'true'\n";
        let new = OLD.replace(guard, "").replace("title = \"A\"", "title = []");
        for (old, new) in [(OLD, new.as_str()), (new.as_str(), OLD)] {
            let all = redline(old, new).into_iter().map(|d| d.part).collect();
            assert_eq!(read(&merged(old, new, &all).unwrap()), read(new));
            assert_eq!(read(&merged(old, new, &BTreeSet::new()).unwrap()), read(old));
        }
    }
}
