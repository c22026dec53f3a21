//! CEL expressions and `{{ }}` templates.

use crate::event::{Judged, Time};
use crate::world::{Source, World};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// As the author wrote it.
    pub text: String,
    /// Sources whose data it names.
    pub sources: BTreeSet<Source>,
}

/// Text with `{{ expression }}` in it.
#[derive(Debug, Clone)]
pub struct Template {
    /// As the author wrote it.
    pub text: String,
}

/// What an expression sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Observations, with how fresh they are.
    pub world: &'a World,
    /// Now.
    pub now: Time,
    /// `params`.
    pub params: &'a BTreeMap<String, Value>,
    /// `site`.
    pub site: &'a BTreeMap<String, Value>,
    /// `evidence`.
    pub evidence: &'a BTreeMap<String, Value>,
    /// `choice`: answers of `choose` steps, by step id.
    pub choice: &'a BTreeMap<String, String>,
    /// Name and value of the phase's item, and since when it is worked on (`item.began`).
    pub item: Option<(&'a str, &'a str, Time)>,
    /// `remaining`: items not yet begun.
    pub remaining: &'a [String],
    /// `before`: what the plan saw.
    pub before: Option<&'a Value>,
    /// `result`: what the action returned.
    pub result: Option<&'a Value>,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub String);

impl Expr {
    /// Its value; freshness is not looked at.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, EvalError> {
        let _ = scope;
        Err(EvalError("not compiled".into()))
    }

    /// Its verdict: inconclusive, before evaluation, if a source that it names is not fresh.
    #[must_use]
    pub fn judge(&self, scope: &Scope<'_>) -> Judged {
        Judged::inconclusive("not compiled", scope.now)
    }
}

impl Template {
    /// The text with every expression replaced.
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, EvalError> {
        let _ = scope;
        Err(EvalError("not compiled".into()))
    }
}
