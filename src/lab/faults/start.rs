//! When a fault begins: a time, a step's turn, or an event of the run.

use crate::event::Span;
use std::fmt;
use std::str::FromStr;

/// When a fault begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// So long after the run did.
    After(Span),
    /// When that step's turn comes; `phase/step` in the first item where there are items,
    /// `phase[item]/step` in that one.
    Step(String),
    /// When that happens first.
    Event(Moment),
}

/// An event of the run; steps as in [`Start::Step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The run sees another voter lead than the one before.
    Election,
    /// A soak begins to count.
    Soak,
    /// That step is released; where nobody has to release it, it begins.
    Released(String),
    /// That step is done: its verify settled.
    Done(String),
}

/// Every event, as it is written, and what it is.
pub const MOMENTS: [(&str, &str); 4] = [
    ("election", "another voter leads than before"),
    ("soak", "a soak begins"),
    ("released:phase/step", "that step is released"),
    ("done:phase/step", "that step is done and verified"),
];

impl Start {
    /// The step that it is about, if it is about one.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Step(step) | Self::Event(Moment::Released(step) | Moment::Done(step)) => {
                Some(step)
            }
            Self::After(_) | Self::Event(Moment::Election | Moment::Soak) => None,
        }
    }
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |c: char| c.is_ascii_lowercase() || c == '-';
        let event = |what: &str| {
            let known = MOMENTS.map(|(name, _)| name).join(", ");
            format!("{what}; write 90s, phase/step or one of {known} behind @")
        };
        // An item may have a colon in its name, and then stands behind a bracket.
        if let Some((name, step)) = text.split_once(':').filter(|(name, _)| name.chars().all(word))
        {
            return match name {
                "released" | "done" if !step.contains('/') => {
                    Err(format!("{text} names no step; write {name}:phase/step"))
                }
                "released" => Ok(Self::Event(Moment::Released(step.to_owned()))),
                "done" => Ok(Self::Event(Moment::Done(step.to_owned()))),
                _ => Err(event(&format!("no event of a step is called {name}"))),
            };
        }
        match text {
            "election" => Ok(Self::Event(Moment::Election)),
            "soak" => Ok(Self::Event(Moment::Soak)),
            _ if text.contains('/') => Ok(Self::Step(text.to_owned())),
            _ => text
                .parse()
                .map(Self::After)
                .map_err(|_| event(&format!("{text} is no time, no step and no event of a run"))),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(span) => span.fmt(f),
            Self::Step(step) => f.write_str(step),
            Self::Event(Moment::Election) => f.write_str("election"),
            Self::Event(Moment::Soak) => f.write_str("soak"),
            Self::Event(Moment::Released(step)) => write!(f, "released:{step}"),
            Self::Event(Moment::Done(step)) => write!(f, "done:{step}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_it_says_and_nothing_else_is_taken() {
        let all = ["45s", "roll/claims", "roll[a:b]/claims", "election", "soak"];
        for text in all.into_iter().chain(["released:roll/pod", "done:roll[vault-0]/claims"]) {
            assert_eq!(text.parse::<Start>().unwrap().to_string(), text);
        }
        for text in ["", "later", "elections", "begun:roll/pod", "election:roll/pod", "soak:"] {
            let why = text.parse::<Start>().unwrap_err();
            assert!(MOMENTS.iter().all(|(name, _)| why.contains(name)), "{text}: {why}");
        }
        let why = "done".parse::<Start>().unwrap_err();
        assert!(why.contains("done:phase/step"), "{why}");
        assert!("done:roll".parse::<Start>().unwrap_err().contains("names no step"));
    }

    /// The list of events is of those that there are.
    #[test]
    fn every_event_of_the_list_is_one() {
        for (name, _) in MOMENTS {
            assert!(matches!(name.parse(), Ok(Start::Event(_))), "{name}");
        }
    }
}
