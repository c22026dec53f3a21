//! Walks over parsed expressions: what they name.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Ast, IdedEntryExpr, IdedExpr, LiteralValue,
    operators,
};
use std::collections::{BTreeMap, BTreeSet};

/// Paths that an expression reads from its scope, `raft.leader` and `http["page"].status`, without what
/// macros bind.
pub(crate) fn paths(expr: &IdedExpr) -> Vec<String> {
    counted(expr).into_keys().collect()
}

/// The same, each with whether nothing but its size is asked for.
pub(crate) fn counted(expr: &IdedExpr) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    collect(expr, &mut Vec::new(), &mut found);
    found
}

fn collect(expr: &IdedExpr, bound: &mut Vec<String>, found: &mut BTreeMap<String, bool>) {
    let free = |bound: &[String], path: &str| !bound.iter().any(|b| root(path) == b);
    if let Some(path) = dotted(expr) {
        if free(bound, &path) {
            found.insert(path, false);
        }
        return;
    }
    match &expr.expr {
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
        Ast::Call(call) => match sized(call).and_then(dotted) {
            Some(path) if free(bound, &path) => {
                found.entry(path).or_insert(true);
            }
            _ => children(expr).into_iter().for_each(|e| collect(e, bound, found)),
        },
        _ => children(expr).into_iter().for_each(|e| collect(e, bound, found)),
    }
}

/// The `xs` of `size(xs)` and of `xs.size()`.
fn sized(call: &CallExpr) -> Option<&IdedExpr> {
    match (call.func_name.as_str(), &call.target, call.args.as_slice()) {
        ("size", None, [of]) => Some(of),
        ("size", Some(of), []) => Some(of),
        _ => None,
    }
}

/// Every `size(…)` of an expression that is no row's.
pub(crate) fn sizes(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Ast::Call(call) if sized(call).is_some() => vec![expr],
        Ast::Comprehension(c) => sizes(&c.iter_range),
        _ => children(expr).into_iter().flat_map(sizes).collect(),
    }
}

/// Names that an expression reads from its scope.
pub(crate) fn roots(expr: &IdedExpr) -> BTreeSet<String> {
    paths(expr).iter().map(|path| root(path).to_owned()).collect()
}

/// The name with which a path begins.
pub(crate) fn root(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
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
        Ast::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [of, IdedExpr { expr: Ast::Literal(LiteralValue::String(name)), .. }] => {
                Some(format!("{}[{:?}]", dotted(of)?, name.inner()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// `all()` starts from true and ends at the first false.
pub(crate) fn is_all(c: &ComprehensionExpr) -> bool {
    matches!(&c.accu_init.expr, Ast::Literal(LiteralValue::Boolean(b)) if *b.inner())
}
