//! The faults of a rehearsal, as far as each has come. They are a part of its world, so that a
//! run that is taken up again has them still.

use super::{Fault, Start, entries, fault};
use crate::event::{Span, Time};
use crate::lab::World;
use serde::{Deserialize, Serialize};

/// A fault that is to come or has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its kind's name.
    pub name: String,
    /// Its entry in the world: a second one of a kind is another.
    pub entry: String,
    /// When it begins, as it was asked for.
    pub start: String,
    /// How long it lasts; for good, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// The time that it begins at; without one it is something that happens in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Time>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Time>,
}

impl Planned {
    /// `NAME@START`.
    #[must_use]
    pub fn asked(&self) -> String {
        format!("{}@{}", self.name, self.start)
    }

    /// When something of it is due by the clock.
    fn next(&self) -> Option<Time> {
        match (self.began, self.over) {
            (None, _) => self.due,
            (Some(began), None) => self.lasts.map(|lasts| began + lasts),
            (Some(_), Some(_)) => None,
        }
    }
}

impl World {
    /// A rehearsal begins, with these faults to come.
    pub fn plan(&mut self, faults: &[Fault]) {
        let names = entries(faults.iter().map(|fault| fault.kind.name));
        let planned = faults.iter().zip(names).map(|(fault, entry)| Planned {
            name: fault.kind.name.to_owned(),
            entry,
            start: fault.start.to_string(),
            lasts: fault.lasts,
            due: match &fault.start {
                Start::After(span) => Some(self.now + *span),
                Start::Step(_) | Start::Event(_) => None,
            },
            began: None,
            over: None,
        });
        self.planned = planned.collect();
    }

    /// Begins and ends what is to; `happened`: whether something of the run has. When there is
    /// something to do next by the clock.
    pub fn strike(&mut self, happened: impl Fn(&Start) -> bool) -> Option<Time> {
        for n in 0..self.planned.len() {
            let one = &self.planned[n];
            let begins = one.began.is_none()
                && match one.due {
                    Some(at) => at <= self.now,
                    None => one.start.parse().is_ok_and(|start| happened(&start)),
                };
            let ends = one.began.is_some() && one.next().is_some_and(|at| at <= self.now);
            if !begins && !ends {
                continue;
            }
            let entry = one.entry.clone();
            fault(self, &entry, begins);
            let at = Some(self.now);
            let one = &mut self.planned[n];
            *(if begins { &mut one.began } else { &mut one.over }) = at;
        }
        self.planned.iter().filter_map(Planned::next).min()
    }
}
