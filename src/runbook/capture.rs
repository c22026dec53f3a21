//! What a step keeps as evidence, and for how long that counts.

use crate::event::{Span, StepAddr, Time};
use crate::runbook::Expr;
use crate::runbook::lint::{Lint, Names};
use crate::runbook::types::Ty;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;

/// A value that a step keeps.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Its name in `evidence`.
    pub name: String,
    /// What it is; `result` in scope.
    pub of: Expr,
    /// How long it counts; without it as long as the run lasts.
    pub lasts: Option<Span>,
}

/// Until when evidence counts, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When it was kept.
    pub at: Time,
    /// How long it counts after that.
    pub lasts: Span,
    /// By which step.
    pub by: StepAddr,
}

impl Kept {
    /// Why it does not count any more, and what to do.
    #[must_use]
    pub fn outdated(&self, name: &str, now: Time) -> Option<String> {
        let how = match now.age(self.at) {
            Some(age) if age <= self.lasts => return None,
            Some(age) => format!("is {} old, it lasts {}", age.brief(), self.lasts),
            None => format!("was kept at {}, and the clock was set back since", self.at),
        };
        Some(format!("evidence.{name} {how}: take it again with retry {}", self.by))
    }
}

/// `NAME = 'CEL'`, or `NAME = { of = 'CEL', lasts = "4h" }`.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum RawCapture {
    /// It counts as long as the run lasts.
    Text(String),
    /// It counts for a while.
    Table(RawKept),
}

/// Evidence that does not count for ever.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawKept {
    /// What is kept.
    #[schemars(with = "String")]
    of: Spanned<String>,
    /// How long it counts: a gate that names it later is inconclusive, and the step may be run again.
    lasts: Option<Span>,
}

impl<'de> Deserialize<'de> for RawCapture {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawCapture;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or { of = 'expression', lasts = \"4h\" }")
            }
            fn visit_str<E>(self, text: &str) -> Result<RawCapture, E> {
                Ok(RawCapture::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawCapture, A::Error> {
                RawKept::deserialize(MapAccessDeserializer::new(map)).map(RawCapture::Table)
            }
        }
        d.deserialize_any(Either)
    }
}

/// A step's captures, each with its type.
pub(super) fn captures(
    lint: &mut Lint,
    raw: BTreeMap<String, Spanned<RawCapture>>,
    names: &Names,
) -> Vec<(Capture, Ty)> {
    let mut found = Vec::new();
    for (name, raw) in raw {
        let at = raw.span();
        let (text, lasts) = match raw.into_inner() {
            RawCapture::Text(text) => (Spanned::new(at.clone(), text), None),
            RawCapture::Table(RawKept { of, lasts }) => (of, lasts),
        };
        if lasts == Some(Span(0)) {
            let remedy = "write how long it counts, as in \"4h\", or take it out";
            lint.error(at, format!("evidence.{name} would never count"), remedy);
        }
        if let Some((of, ty)) = lint.typed(&text, names) {
            found.push((Capture { name, of, lasts }, ty));
        }
    }
    found
}
