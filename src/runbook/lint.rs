//! Compiling texts into expressions and templates, and what the lint says of them.

use crate::problem::Problem;
use crate::runbook::empty::{Vacuous, vacuous};
use crate::runbook::types::{Inference, Ty};
use crate::runbook::{Expr, Template};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;

/// Which names an expression may use, with their types.
#[derive(Clone)]
pub(crate) struct Names(pub BTreeMap<String, Ty>);

impl Names {
    pub(crate) fn with(&self, name: &str, ty: Ty) -> Self {
        let mut names = self.0.clone();
        names.insert(name.to_owned(), ty);
        Self(names)
    }
}

/// Collects problems while compiling.
pub(crate) struct Lint {
    pub problems: Vec<Problem>,
}

impl Lint {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    pub(crate) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Problem::error(span, message, remedy));
    }

    pub(crate) fn warn(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Problem::warning(span, message, remedy));
    }

    /// Compiles an expression and checks names and types; its type comes with it.
    pub(crate) fn typed(&mut self, text: &Spanned<String>, names: &Names) -> Option<(Expr, Ty)> {
        match Expr::known(text.get_ref()) {
            Ok(expr) => {
                let ty = self.infer(&expr, text.span(), names);
                self.empty_all(&expr, &text.span());
                Some((expr, ty))
            }
            Err(e) => {
                self.error(
                    text.span(),
                    e.to_string(),
                    "write a CEL expression in a 'literal' string; see docs/runbooks.md",
                );
                None
            }
        }
    }

    fn infer(&mut self, expr: &Expr, span: Range<usize>, names: &Names) -> Ty {
        let mut inference = Inference { names: names.0.clone(), findings: Vec::new() };
        let ty = inference.of(expr.ast());
        for (message, remedy) in inference.findings {
            self.error(span.clone(), message, remedy);
        }
        ty
    }

    /// An expression that must be true or false.
    pub(crate) fn condition(&mut self, text: &Spanned<String>, names: &Names) -> Option<Expr> {
        let (expr, ty) = self.typed(text, names)?;
        if !Ty::Bool.fits(&ty) {
            self.error(
                text.span(),
                format!("it is a {ty}, not true or false"),
                "compare it with something",
            );
        }
        Some(expr)
    }

    /// An expression that must give a certain type.
    pub(crate) fn of_type(
        &mut self,
        text: &Spanned<String>,
        names: &Names,
        wanted: &Ty,
    ) -> Option<Expr> {
        let (expr, ty) = self.typed(text, names)?;
        if !wanted.fits(&ty) {
            self.error(
                text.span(),
                format!("it gives a {ty}, not a {wanted}"),
                format!("make it a {wanted}"),
            );
        }
        Some(expr)
    }

    pub(crate) fn template(&mut self, text: &Spanned<String>, names: &Names) -> Option<Template> {
        match Template::new(text.get_ref()) {
            Ok(template) => {
                for expr in template.expressions() {
                    self.infer(expr, text.span(), names);
                    self.empty_all(expr, &text.span());
                }
                if let Some(what) = secret_in(text.get_ref()) {
                    self.error(
                        text.span(),
                        format!("{what} stands here in plain text"),
                        "take secrets out of runbooks; tools keep their own",
                    );
                }
                Some(template)
            }
            Err(e) => {
                self.error(
                    text.span(),
                    e.to_string(),
                    "templates are text with {{ expression }} in it",
                );
                None
            }
        }
    }

    /// `all()` over an empty list is true: something beside it must prove a row.
    fn empty_all(&mut self, expr: &Expr, span: &Range<usize>) {
        for Vacuous { list, turned } in vacuous(expr.ast()) {
            let remedy = if turned {
                format!("write {list}.exists(…) with what an all() denies, not all() below a `!`")
            } else {
                format!("write size({list}) > 0 && … beside it, of this very list")
            };
            let message = format!("all() over `{list}` is true when the list is empty");
            self.error(span.clone(), message, remedy);
        }
    }
}

/// What looks like a secret: a Vault token, a private key, a password in an argument.
fn secret_in(text: &str) -> Option<&'static str> {
    let token = |prefix: &str| {
        text.match_indices(prefix).any(|(i, _)| {
            let rest = &text[i + prefix.len()..];
            rest.bytes()
                .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-')
                .count()
                >= 20
        })
    };
    if token("hvs.") || token("s.") {
        Some("a Vault token")
    } else if text.contains("PRIVATE KEY-----") {
        Some("a private key")
    } else if ["--password=", "PGPASSWORD=", "password="].iter().any(|p| {
        text.find(p).is_some_and(|i| {
            let rest = &text[i + p.len()..];
            !rest.is_empty() && !rest.starts_with("{{") && !rest.starts_with('$')
        })
    }) {
        Some("a password")
    } else {
        None
    }
}
