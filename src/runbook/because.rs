//! What an expression was judged on: of its tables the rows that decide, each with what is asked of it.

use crate::event::Verdict;
use crate::runbook::convert;
use crate::runbook::expr::conjuncts;
use crate::runbook::spell::{spell, walked};
use crate::runbook::walk::{self, Macro, decoded};
use crate::runbook::why::{self, holds, of_row, read_of, rows};
use cel::Context;
use cel::common::ast::{ComprehensionExpr, Expr as Ast, IdedExpr, operators};
use cel::common::value::Val;

/// Rows that are told one by one.
const TOLD: usize = 6;

/// Rows of one table, in words.
pub(crate) struct Decisive {
    /// The table: `claims`, `raft.others(voter)`.
    pub(crate) of: String,
    /// Its rows, or how many there are.
    pub(crate) rows: String,
}

/// A walk over a table, and what is asked of each row.
struct Walk<'e> {
    c: &'e ComprehensionExpr,
    asked: Vec<&'e IdedExpr>,
    how: How,
}

impl Walk<'_> {
    /// What is asked of a row is so.
    fn so<'v>(&self, row: &(dyn Val + 'v), context: &Context<'_, 'v>) -> bool {
        let inner = of_row(self.c, row, context);
        self.asked.iter().all(|p| holds(p, &inner))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Each row.
    All,
    /// A row for which it is so.
    Some,
    /// No row for which it is so.
    None,
    /// The rows for which it is so.
    Those,
}

/// The rows that decide where it is so; what is not so is told by `why`.
pub(crate) fn decisive(
    expr: &IdedExpr,
    context: &Context<'_, '_>,
    verdict: Verdict,
) -> Vec<Decisive> {
    // Where the whole is so, each part is, and is not asked again.
    let so = |part: &&IdedExpr| verdict == Verdict::Pass || holds(part, context);
    let parts: Vec<_> = conjuncts(expr).into_iter().filter(so).collect();
    let walks: Vec<Walk<'_>> = parts.iter().filter_map(|part| walk(part)).collect();
    // That there are rows says nothing beside what is asked of them.
    let again = |at: usize, walk: &Walk<'_>| {
        let list = spelled(walk);
        let same = |(other, w): (usize, &Walk<'_>)| {
            spelled(w) == list && (w.how != How::Those || other < at)
        };
        walk.how == How::Those && walks.iter().enumerate().any(same)
    };
    let told = walks.iter().enumerate().filter(|(at, walk)| !again(*at, walk));
    told.filter_map(|(_, walk)| told_of(walk, context)).collect()
}

/// The rows that it is about, as they are written.
fn spelled(walk: &Walk<'_>) -> String {
    match walk.how {
        How::Those => walked(walk.c),
        _ => spell(&walk.c.iter_range),
    }
}

fn walk(part: &IdedExpr) -> Option<Walk<'_>> {
    match &part.expr {
        Ast::Comprehension(c) => match decoded(c) {
            Macro::All(of) => Some(Walk { c, asked: conjuncts(of), how: How::All }),
            Macro::Exists(of) | Macro::One(of) => {
                Some(Walk { c, asked: conjuncts(of), how: How::Some })
            }
            _ => None,
        },
        Ast::Call(call) if call.func_name == operators::LOGICAL_NOT => {
            let walk = walk(call.args.first()?)?;
            (walk.how == How::Some).then_some(Walk { how: How::None, ..walk })
        }
        Ast::Call(_) => walk::sizes(part).into_iter().find_map(|size| {
            let of = walk::children(size).into_iter().next()?;
            let Ast::Comprehension(c) = &of.expr else { return None };
            let Macro::Filter(by) = decoded(c) else { return None };
            Some(Walk { c, asked: conjuncts(by), how: How::Those })
        }),
        _ => None,
    }
}

fn told_of(walk: &Walk<'_>, context: &Context<'_, '_>) -> Option<Decisive> {
    let of = base(&walk.c.iter_range);
    let all = rows(walk.c, context)?;
    let which: Vec<_> = match walk.how {
        How::All => all.iter().collect(),
        How::Some | How::Those => all.iter().filter(|row| walk.so(&***row, context)).collect(),
        How::None => Vec::new(),
    };
    let rows = match which.len() {
        0 if walk.how == How::None => format!("no exception among {}", all.len()),
        0 => return None,
        n if n > TOLD => format!("{n} of them"),
        _ => {
            let told = which.into_iter().map(|row| told(walk.c, &**row, &walk.asked, context));
            told.collect::<Vec<_>>().join(", ")
        }
    };
    Some(Decisive { of, rows })
}

/// The table from which rows are taken, without how they are chosen.
fn base(range: &IdedExpr) -> String {
    match &range.expr {
        Ast::Comprehension(c) => base(&c.iter_range),
        _ => spell(range),
    }
}

/// A row by its name, with what is asked of it, and of other tables the rows that answer that.
fn told<'v>(
    c: &ComprehensionExpr,
    row: &(dyn Val + 'v),
    asked: &[&IdedExpr],
    context: &Context<'_, 'v>,
) -> String {
    let inner = of_row(c, row, context);
    let mut facts: Vec<String> = Vec::new();
    for part in asked {
        let found = match walk(part) {
            Some(walk) if walk.how == How::Some => {
                let all = rows(walk.c, &inner);
                let found =
                    all.iter().flat_map(|all| all.iter()).find(|row| walk.so(&***row, &inner));
                found.map(|row| told(walk.c, &**row, &walk.asked, &inner)).into_iter().collect()
            }
            _ => read_of(c, &[part], &inner),
        };
        for fact in found {
            if !facts.contains(&fact) {
                facts.push(fact);
            }
        }
    }
    // Where it is was looked for.
    facts.retain(|fact| !fact.starts_with("namespace "));
    let facts: Vec<String> = facts.into_iter().map(plainly).collect();
    let row = why::told(row);
    let name = convert::field(&row, "name").unwrap_or(row);
    let name = convert::brief(&name);
    if facts.is_empty() { name } else { format!("{name} ({})", facts.join(", ")) }
}

/// `healthy` for `healthy true`, `not healthy` for `healthy false`.
fn plainly(fact: String) -> String {
    match (fact.strip_suffix(" true"), fact.strip_suffix(" false")) {
        (Some(field), _) => field.to_owned(),
        (_, Some(field)) => format!("not {field}"),
        _ => fact,
    }
}
