//! Names of steps and effects, stable for the life of a run.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Number of one execution of an action within a run; counts up, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectId(pub u64);

/// A step's address, `phase[item]/step`; `[item]` only in a phase with `each`.
///
/// Events, answers files and replays use it; display numbers are never stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepAddr {
    /// Id of the phase.
    pub phase: String,
    /// The item of the phase's `each`, such as a voter's name.
    pub item: Option<String>,
    /// Id of the step within the phase.
    pub step: String,
}

impl StepAddr {
    /// The step in the runbook: the address without its item.
    #[must_use]
    pub fn place(&self) -> String {
        Self { item: None, ..self.clone() }.to_string()
    }
}

impl fmt::Display for StepAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.item {
            Some(item) => write!(f, "{}[{item}]/{}", self.phase, self.step),
            None => write!(f, "{}/{}", self.phase, self.step),
        }
    }
}

/// Why a text is no step address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no step address; write phase/step or phase[item]/step")]
pub struct AddressError(String);

impl FromStr for StepAddr {
    type Err = AddressError;
    fn from_str(s: &str) -> Result<Self, AddressError> {
        let bad = || AddressError(s.to_owned());
        // An item may hold a slash, an id may not: split after the bracket.
        let (phase, item, step) = match s.split_once('[') {
            Some((phase, rest)) => {
                let (item, step) = rest.rsplit_once("]/").ok_or_else(bad)?;
                (phase, Some(item.to_owned()), step)
            }
            None => s.split_once('/').map(|(p, s)| (p, None, s)).ok_or_else(bad)?,
        };
        if phase.is_empty() || step.is_empty() || step.contains('/') {
            return Err(bad());
        }
        Ok(Self { phase: phase.into(), item, step: step.into() })
    }
}

impl Serialize for StepAddr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepAddr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["roll[vault-0]/claims", "final/http", "roll[a/b]/x"] {
            assert_eq!(text.parse::<StepAddr>().unwrap().to_string(), text);
        }
        for bad in ["", "roll", "/x", "roll/", "roll[x/y", "a/b/c"] {
            assert!(bad.parse::<StepAddr>().is_err(), "{bad}");
        }
    }
}
