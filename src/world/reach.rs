//! Which namespaces a reading is asked for, and which it covers: rows of a namespace that
//! nobody looked into are not absent, but not known.

use crate::event::Span;
use crate::world::Source;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Namespaces; by default those that the site shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reach {
    /// Those that the site shows.
    pub shown: bool,
    /// All there are.
    pub every: bool,
    /// These, by name.
    pub named: BTreeSet<String>,
}

impl Default for Reach {
    fn default() -> Self {
        Self { shown: true, ..Self::none() }
    }
}

impl Reach {
    /// No namespace at all.
    #[must_use]
    pub fn none() -> Self {
        Self { shown: false, every: false, named: BTreeSet::new() }
    }

    /// Every namespace.
    #[must_use]
    pub fn every() -> Self {
        Self { every: true, ..Self::none() }
    }

    /// These namespaces and no others.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self { named: names.into_iter().collect(), ..Self::none() }
    }

    /// Both.
    pub fn join(&mut self, other: Self) {
        self.shown |= other.shown;
        self.every |= other.every;
        self.named.extend(other.named);
    }

    /// In words, what was asked for and is not covered.
    #[must_use]
    pub fn lacks(&self, asked: &Self) -> Option<String> {
        if self.every {
            return None;
        }
        if asked.every {
            return Some("all namespaces".into());
        }
        if asked.shown && !self.shown {
            return Some("the namespaces of the site".into());
        }
        let lacking: Vec<_> = asked.named.difference(&self.named).map(String::as_str).collect();
        (!lacking.is_empty()).then(|| format!("namespace {}", lacking.join(", ")))
    }
}

/// Data that is stale earlier is read last.
const SOON: Span = Span::secs(20);

/// What is to be read: sources, and of those with namespaces which.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reading(BTreeMap<Source, Reach>);

impl Reading {
    /// Every source, as far as the site shows it.
    #[must_use]
    pub fn everything() -> Self {
        Self(Source::ALL.into_iter().map(|s| (s, Reach::default())).collect())
    }

    /// That as well.
    pub fn add(&mut self, source: Source, reach: Reach) {
        self.0.entry(source).or_insert_with(Reach::none).join(reach);
    }

    /// Whether a source is read.
    #[must_use]
    pub fn contains(&self, source: &Source) -> bool {
        self.0.contains_key(source)
    }

    /// What is read first, and what is read after it because its data is stale so soon: where
    /// the first takes its time, the second would be too old when that is there.
    #[must_use]
    pub fn parted(&self) -> (Self, Self) {
        let soon = |source: &Source| source.stale_after() < SOON;
        let (fleeting, lasting) = self.0.clone().into_iter().partition(|(s, _)| soon(s));
        (Self(lasting), Self(fleeting))
    }

    /// Sources, each with its namespaces.
    pub fn iter(&self) -> impl Iterator<Item = (Source, &Reach)> {
        self.0.iter().map(|(source, reach)| (*source, reach))
    }
}

/// Sources, with namespaces only where they are not simply those of the site.
impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        for (source, reach) in self.iter() {
            if *reach == Reach::default() || *reach == Reach::none() {
                set.entry(&source);
            } else {
                set.entry(&(source, reach));
            }
        }
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stale_soon_is_read_last() {
        let (first, last) = Reading::everything().parted();
        assert_eq!(last.iter().map(|(s, _)| s).collect::<Vec<_>>(), [Source::Raft]);
        assert_eq!(first.iter().count() + 1, Source::ALL.len());
    }

    #[test]
    fn what_was_not_looked_into_is_lacking() {
        let of = |names: &[&str]| Reach::of(names.iter().map(|&n| n.to_owned()));
        let shown = Reach { shown: true, ..of(&["a"]) };
        for (covers, asked, lacks) in [
            (&shown, of(&["a"]), None),
            (&shown, Reach::default(), None),
            (&shown, of(&["a", "b", "c"]), Some("namespace b, c")),
            (&shown, Reach::every(), Some("all namespaces")),
            (&Reach::every(), of(&["x"]), None),
            (&Reach::every(), Reach::default(), None),
            (&of(&["a"]), Reach::default(), Some("the namespaces of the site")),
            (&of(&["a"]), Reach::none(), None),
        ] {
            assert_eq!(covers.lacks(&asked).as_deref(), lacks, "{covers:?} {asked:?}");
        }
    }
}
