//! Walks over parsed expressions: what they name, and why they are false.

use crate::runbook::convert;
use crate::runbook::expr::conjuncts;
use cel::common::ast::{
    ComprehensionExpr, EntryExpr, Expr as Ast, IdedEntryExpr, IdedExpr, LiteralValue, operators,
};
use cel::{Context, Program, Value};
use std::collections::BTreeSet;

/// So many rows are told by name; a cluster has thousands.
const NAMED: usize = 20;

/// Dotted paths that an expression reads from its scope, without what macros bind.
pub(crate) fn paths(expr: &IdedExpr) -> Vec<String> {
    let mut found = BTreeSet::new();
    collect(expr, &mut Vec::new(), &mut found);
    found.into_iter().collect()
}

fn collect(expr: &IdedExpr, bound: &mut Vec<String>, found: &mut BTreeSet<String>) {
    match &expr.expr {
        Ast::Ident(_) | Ast::Select(_) => {
            if let Some(path) = dotted(expr) {
                if !bound.iter().any(|b| path.split('.').next() == Some(b)) {
                    found.insert(path);
                }
            } else if let Ast::Select(select) = &expr.expr {
                collect(&select.operand, bound, found);
            }
        }
        Ast::Comprehension(c) => {
            collect(&c.iter_range, bound, found);
            collect(&c.accu_init, bound, found);
            let depth = bound.len();
            bound.extend([c.iter_var.clone(), c.accu_var.clone()]);
            bound.extend(c.iter_var2.clone());
            for part in [&c.loop_cond, &c.loop_step, &c.result] {
                collect(part, bound, found);
            }
            bound.truncate(depth);
        }
        _ => children(expr).into_iter().for_each(|e| collect(e, bound, found)),
    }
}

/// Names that an expression reads from its scope.
pub(crate) fn roots(expr: &IdedExpr) -> BTreeSet<String> {
    let root = |path: &String| path.split('.').next().unwrap_or_default().to_owned();
    paths(expr).iter().map(root).collect()
}

/// What an expression names of a table in its scope.
#[derive(Default)]
pub(crate) struct Members {
    /// By name, also where it only asks whether there is one.
    pub(crate) named: BTreeSet<String>,
    /// It looks at the table in another way: at any of them.
    pub(crate) whole: bool,
}

/// The members of a table that an expression names.
pub(crate) fn members(expr: &IdedExpr, table: &str) -> Members {
    let mut members = Members::default();
    named(expr, table, &mut members);
    members
}

fn named(expr: &IdedExpr, table: &str, members: &mut Members) {
    let is_table = |e: &IdedExpr| matches!(&e.expr, Ast::Ident(name) if name == table);
    match &expr.expr {
        Ast::Select(select) if is_table(&select.operand) => {
            members.named.insert(select.field.clone());
        }
        Ast::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [of, IdedExpr { expr: Ast::Literal(LiteralValue::String(name)), .. }]
                if is_table(of) =>
            {
                members.named.insert(name.inner().to_string());
            }
            args => args.iter().for_each(|e| named(e, table, members)),
        },
        _ if is_table(expr) => members.whole = true,
        _ => children(expr).into_iter().for_each(|e| named(e, table, members)),
    }
}

/// The expressions right below one.
pub(crate) fn children(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Ast::Select(select) => vec![&select.operand],
        Ast::Call(call) => call.target.iter().map(|t| &**t).chain(&call.args).collect(),
        Ast::List(list) => list.elements.iter().collect(),
        Ast::Map(map) => entries(&map.entries),
        Ast::Struct(s) => entries(&s.entries),
        Ast::Comprehension(c) => {
            vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]
        }
        Ast::Ident(_) | Ast::Literal(_) | Ast::Unspecified => Vec::new(),
    }
}

fn entries(list: &[IdedEntryExpr]) -> Vec<&IdedExpr> {
    let mut found = Vec::new();
    for entry in list {
        match &entry.expr {
            EntryExpr::StructField(f) => found.push(&f.value),
            EntryExpr::MapEntry(e) => found.extend([&e.key, &e.value]),
        }
    }
    found
}

/// The `x` of `accumulated + [x]`.
fn added(expr: &IdedExpr) -> Option<&IdedExpr> {
    let Ast::Call(call) = &expr.expr else { return None };
    match &call.args.last()?.expr {
        Ast::List(list) => list.elements.first(),
        _ => None,
    }
}

/// What was written, before it became a comprehension.
#[derive(Clone, Copy)]
pub(crate) enum Macro<'a> {
    All(&'a IdedExpr),
    Exists(&'a IdedExpr),
    One(&'a IdedExpr),
    Filter(&'a IdedExpr),
    /// With its condition, if it has one.
    Map(Option<&'a IdedExpr>, &'a IdedExpr),
    /// None that is known.
    Other,
}

impl<'a> Macro<'a> {
    /// What is evaluated for each row.
    pub(crate) fn parts(self, c: &'a ComprehensionExpr) -> Vec<&'a IdedExpr> {
        match self {
            Self::All(of) | Self::Exists(of) | Self::One(of) | Self::Filter(of) => vec![of],
            Self::Map(of, gives) => of.into_iter().chain([gives]).collect(),
            Self::Other => vec![&c.loop_cond, &c.loop_step, &c.result],
        }
    }
}

pub(crate) fn decoded(c: &ComprehensionExpr) -> Macro<'_> {
    let Ast::Call(step) = &c.loop_step.expr else { return Macro::Other };
    let conditional = step.func_name == operators::CONDITIONAL;
    match (&c.accu_init.expr, step.args.as_slice()) {
        (Ast::Literal(LiteralValue::Boolean(b)), [_, of]) if *b.inner() => Macro::All(of),
        (Ast::Literal(LiteralValue::Boolean(_)), [_, of]) => Macro::Exists(of),
        (Ast::Literal(LiteralValue::Int(_)), [of, ..]) => Macro::One(of),
        (Ast::List(_), [of, then, _]) if conditional => match added(then) {
            Some(e) if matches!(&e.expr, Ast::Ident(n) if *n == c.iter_var) => Macro::Filter(of),
            Some(e) => Macro::Map(Some(of), e),
            None => Macro::Other,
        },
        (Ast::List(_), _) => added(&c.loop_step).map_or(Macro::Other, |e| Macro::Map(None, e)),
        _ => Macro::Other,
    }
}

/// `a.b.c` of a chain of selections from a name; `has(a.b)` counts as `a`.
fn dotted(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Ast::Ident(name) => Some(name.clone()),
        Ast::Select(select) if select.test => dotted(&select.operand),
        Ast::Select(select) => Some(format!("{}.{}", dotted(&select.operand)?, select.field)),
        _ => None,
    }
}

/// The conjuncts that are false; of an `all()` the rows that break it, of a denied `exists()`
/// those that there are.
pub(crate) fn why_false(expr: &IdedExpr, context: &Context<'_, '_>) -> String {
    let mut whys = Vec::new();
    for part in conjuncts(expr) {
        if Value::resolve(part, context) != Ok(Value::Bool(false)) {
            continue;
        }
        match breakers(part, context).or_else(|| found(part, context)) {
            Some(rows) => whys.push(rows),
            None => whys.extend(figures(part, context)),
        }
    }
    whys.join("; ")
}

/// The single values that an expression compares: `raft.unsealed is 1, raft.quorum is 2`.
fn figures(part: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    let figure = |path: &String| {
        let value = Program::compile(path).ok()?.execute(context).ok()?;
        let single = !matches!(value, Value::List(_) | Value::Map(_));
        single.then(|| format!("{path} is {}", convert::brief(&value)))
    };
    let known: Vec<_> = paths(part).iter().filter_map(figure).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// `all()` starts from true and ends at the first false.
pub(crate) fn is_all(c: &ComprehensionExpr) -> bool {
    matches!(&c.accu_init.expr, Ast::Literal(LiteralValue::Boolean(b)) if *b.inner())
}

fn breakers(part: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    let Ast::Comprehension(c) = &part.expr else { return None };
    if !is_all(c) {
        return None;
    }
    let broken =
        |inner: &Context<'_, '_>| Value::resolve(&c.loop_step, inner) != Ok(Value::Bool(true));
    rows(c, context, broken).map(|names| format!("not so for {names}"))
}

fn found(part: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    let Ast::Call(call) = &part.expr else { return None };
    let [IdedExpr { expr: Ast::Comprehension(c), .. }] = call.args.as_slice() else { return None };
    let Macro::Exists(of) = decoded(c) else { return None };
    if call.func_name != operators::LOGICAL_NOT {
        return None;
    }
    let there = |inner: &Context<'_, '_>| Value::resolve(of, inner) == Ok(Value::Bool(true));
    rows(c, context, there).map(|names| format!("there is {names}"))
}

/// Names of the rows for which something is so.
fn rows(
    c: &ComprehensionExpr,
    context: &Context<'_, '_>,
    so: impl Fn(&Context<'_, '_>) -> bool,
) -> Option<String> {
    let Ok(Value::List(rows)) = Value::resolve(&c.iter_range, context) else { return None };
    let mut names = Vec::new();
    for row in rows.iter() {
        let mut inner = context.new_inner_scope();
        inner.add_variable_from_value(c.iter_var.clone(), row.clone());
        inner.add_variable_from_value(c.accu_var.clone(), Value::Bool(true));
        if so(&inner) {
            names.push(convert::named(row).unwrap_or_else(|| convert::brief(row)));
        }
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    (!names.is_empty()).then(|| names.join(", "))
}
