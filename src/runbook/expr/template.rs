//! Text with expressions in it.

use crate::runbook::expr::{EvalError, Expr, Scope, Seen};
use serde_json::Value;

/// Text with `{{ expression }}` in it.
#[derive(Debug, Clone)]
pub struct Template {
    /// As the author wrote it.
    pub text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Expr(Expr),
}

impl Template {
    /// Splits and compiles.
    pub fn new(text: &str) -> Result<Self, EvalError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let (before, after) = rest.split_at(open);
            let Some(close) = after.find("}}") else {
                return Err(EvalError("a {{ has no }}".into()));
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Expr(Expr::known(after[2..close].trim())?));
            rest = &after[close + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Text without any expression.
    pub(crate) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), parts: vec![Part::Text(text.to_owned())] }
    }

    /// The same behind a text.
    pub(crate) fn headed(&self, head: &str) -> Self {
        let mut parts = vec![Part::Text(head.to_owned())];
        parts.extend(self.parts.iter().cloned());
        Self { text: format!("{head}{}", self.text), parts }
    }

    /// The text with every expression replaced.
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, EvalError> {
        self.render_seen(&Seen::new(scope))
    }

    /// The same beside expressions that see the same.
    pub(crate) fn render_seen(&self, seen: &Seen<'_>) -> Result<String, EvalError> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expr(expr) => match expr.eval_seen(seen)? {
                    Value::String(s) => out.push_str(&s),
                    other => out.push_str(&other.to_string()),
                },
            }
        }
        Ok(out)
    }

    /// Its expressions.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|p| match p {
            Part::Expr(e) => Some(e),
            Part::Text(_) => None,
        })
    }
}
