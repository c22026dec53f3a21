//! Why an expression is false, in a line: the rows and values that matter.

use crate::event::Span;
use crate::runbook::expr::conjuncts;
use crate::runbook::spell::spell;
use crate::runbook::walk::{self, Macro, decoded, is_all, paths};
use crate::runbook::{Expr, convert};
use cel::common::ast::{ComprehensionExpr, Expr as Ast, IdedExpr, operators};
use cel::common::types::{CelBool, CelList};
use cel::common::value::{CowVal, Val};
use cel::{Context, Value};
use std::ops::Deref;

/// Rows that are named one by one.
const MOST: usize = 3;
/// Rows that are named where it is so: an override is of these and no others.
const NAMED: usize = 20;
/// Of more rows the nearest is not looked for: guards are judged every second.
const FEW: usize = 1000;

/// The conjuncts that are false: of an `all()` the rows that break it, of an `exists()` those
/// that are nearest to it, of a size the size.
pub(crate) fn why_false(expr: &IdedExpr, context: &Context<'_, '_>) -> String {
    let mut whys = Vec::new();
    for part in conjuncts(expr) {
        if Value::resolve(part, context) != Ok(Value::Bool(false)) {
            continue;
        }
        match (&part.expr, negated(part)) {
            (Ast::Comprehension(c), _) if is_all(c) => {
                whys.extend(breakers(c, context).or_else(|| figures(&[part], context)));
            }
            (Ast::Comprehension(c), _) => match nearest(c, context) {
                Some((rows, reads)) => {
                    whys.extend([Some(rows), figures(&reads, context)].into_iter().flatten())
                }
                None => whys.extend(figures(&[part], context)),
            },
            (_, Some(c)) => {
                whys.extend(holders(c, context).or_else(|| figures(&[part], context)));
            }
            _ => whys.extend(figures(&[part], context)),
        }
    }
    whys.join("; ")
}

/// The comprehension of `!xs.exists(…)`.
fn negated(part: &IdedExpr) -> Option<&ComprehensionExpr> {
    match &part.expr {
        Ast::Call(call) if call.func_name == operators::LOGICAL_NOT => {
            match &call.args.first()?.expr {
                Ast::Comprehension(c) => Some(c),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The single values that expressions compare, and the sizes of lists:
/// `raft.unsealed is 1, size(raft.voters) is 2`.
fn figures(parts: &[&IdedExpr], context: &Context<'_, '_>) -> Option<String> {
    let figure = |path: &String| {
        let value = value_of(path, context)?;
        let single = !matches!(value, Value::List(_) | Value::Map(_));
        single.then(|| format!("{path} is {}", convert::brief(&value)))
    };
    let size = |call: &&IdedExpr| {
        let value = Value::resolve(call, context).ok()?;
        Some(format!("{} is {}", spell(call), convert::brief(&value)))
    };
    let mut known: Vec<String> = Vec::new();
    for part in parts {
        let figures = paths(part).iter().filter_map(figure).collect::<Vec<_>>();
        let sizes = walk::sizes(part).iter().filter_map(size).collect::<Vec<_>>();
        for figure in figures.into_iter().chain(sizes) {
            if !known.contains(&figure) {
                known.push(figure);
            }
        }
    }
    (!known.is_empty()).then(|| known.join(", "))
}

/// A list that a macro walks, where it lies: a table is large, and few of its rows are told.
pub(crate) struct Rows<'e, 'v>(CowVal<'e, 'v>);

impl<'v> Deref for Rows<'_, 'v> {
    type Target = [Box<dyn Val + 'v>];

    fn deref(&self) -> &Self::Target {
        self.0.downcast_ref::<CelList<'v>>().map_or(&[], CelList::inner)
    }
}

/// The rows that a macro walks; none of what is no list.
fn walked<'e, 'v>(c: &'e ComprehensionExpr, context: &'e Context<'_, 'v>) -> Option<Rows<'e, 'v>> {
    let list = Value::resolve_val(&c.iter_range, context).ok()?;
    list.downcast_ref::<CelList<'v>>().is_some().then_some(Rows(list))
}

/// The same, if they are few enough.
pub(crate) fn rows<'e, 'v>(
    c: &'e ComprehensionExpr,
    context: &'e Context<'_, 'v>,
) -> Option<Rows<'e, 'v>> {
    walked(c, context).filter(|rows| rows.len() <= FEW)
}

pub(crate) fn of_row<'b, 'v>(
    c: &ComprehensionExpr,
    row: &(dyn Val + 'v),
    context: &'b Context<'_, 'v>,
) -> Context<'b, 'v> {
    let mut inner = context.new_inner_scope();
    inner.add_variable_as_val(c.iter_var.clone(), row.clone_as_boxed());
    inner
}

/// A row to be told.
pub(crate) fn told(row: &dyn Val) -> Value {
    row.try_into().unwrap_or(Value::Null)
}

/// It is true.
pub(crate) fn holds(part: &IdedExpr, context: &Context<'_, '_>) -> bool {
    let found = Value::resolve_val(part, context).ok();
    found.is_some_and(|v| v.downcast_ref::<CelBool>().is_some_and(|b| *b.inner()))
}

/// The value of a path, which is compiled once.
fn value_of(path: &str, context: &Context<'_, '_>) -> Option<Value> {
    Value::resolve(Expr::known(path).ok()?.ast(), context).ok()
}

/// Of an `all()`, the rows for which it is not so.
fn breakers(c: &ComprehensionExpr, context: &Context<'_, '_>) -> Option<String> {
    let mut names = Vec::new();
    for row in walked(c, context)?.iter() {
        let mut inner = of_row(c, &**row, context);
        inner.add_variable_as_val(c.accu_var.clone(), Box::new(CelBool::from(true)));
        if !holds(&c.loop_step, &inner) {
            let told = told(&**row);
            let name = convert::named(&told).unwrap_or_else(|| convert::brief(&told));
            let mut facts = match convert::field(&told, "uid") {
                Some(_) => lacks(c, &**row, context),
                None => Vec::new(),
            };
            facts.retain(|fact| !name.contains(fact.as_str()));
            names.push(match facts {
                facts if facts.is_empty() => name,
                facts => match name.strip_suffix(')') {
                    Some(open) => format!("{open}, {})", facts.join(", ")),
                    None => format!("{name} ({})", facts.join(", ")),
                },
            });
        }
    }
    (!names.is_empty()).then(|| format!("not so for {}", names.join(", ")))
}

/// What an object has where it lacks: one word says how a voter is, and not how a claim is that is
/// Bound, and the old one.
fn lacks<'v>(
    c: &ComprehensionExpr,
    row: &(dyn Val + 'v),
    context: &Context<'_, 'v>,
) -> Vec<String> {
    let Macro::All(asked) = decoded(c) else { return Vec::new() };
    let inner = of_row(c, row, context);
    let broken = conjuncts(asked).into_iter().filter(|part| !holds(part, &inner));
    read_of(c, &broken.collect::<Vec<_>>(), &inner)
}

/// Of an `exists()` that should not be, the rows for which it is so.
fn holders(c: &ComprehensionExpr, context: &Context<'_, '_>) -> Option<String> {
    let Macro::Exists(predicate) = decoded(c) else { return None };
    let rows = rows(c, context)?;
    let so = rows.iter().filter(|row| holds(predicate, &of_row(c, &***row, context)));
    let so: Vec<Value> = so.map(|row| told(&**row)).collect();
    let name = |row: &Value| convert::named(row).unwrap_or_else(|| convert::brief(row));
    let names: Vec<_> = so.iter().take(NAMED).map(name).collect();
    let more = so.len().checked_sub(NAMED + 1).map(|n| format!(" and {} more", n + 1));
    let more = more.unwrap_or_default();
    (!names.is_empty()).then(|| format!("so for {}{more}", names.join(", ")))
}

/// Of an `exists()` that is not, the rows that come nearest to it, each with what it has where
/// it lacks; and the parts that these rows lack.
///
/// What says which row is meant is written first: nearest is what holds longest, and then
/// what lacks least.
fn nearest<'e>(
    c: &'e ComprehensionExpr,
    context: &Context<'_, '_>,
) -> Option<(String, Vec<&'e IdedExpr>)> {
    let Macro::Exists(predicate) = decoded(c) else { return None };
    let parts = conjuncts(predicate);
    let (list, rows) = (spell(&c.iter_range), rows(c, context)?);
    let lacks = |row| -> Vec<usize> {
        let inner = of_row(c, row, context);
        // What cannot be told of a row is lacking, too.
        let lacking = |i: &usize| !holds(parts[*i], &inner);
        (0..parts.len()).filter(lacking).collect()
    };
    let far = |lacks: &[usize]| (parts.len() - lacks.first().unwrap_or(&0), lacks.len());
    let all: Vec<_> = rows.iter().map(|row| (row, lacks(&**row))).collect();
    let Some(least) = all.iter().map(|(_, lacks)| far(lacks)).min() else {
        return Some((format!("{list} is empty"), vec![predicate]));
    };
    let near: Vec<_> = all.iter().filter(|(_, lacks)| far(lacks) == least).take(MOST).collect();
    let of = |lacks: &[usize]| lacks.iter().map(|i| parts[*i]).collect::<Vec<_>>();
    let told = near.iter().map(|(row, lacks)| one(c, &***row, &of(lacks), context));
    let told = told.collect::<Vec<_>>().join(", ");
    let what = format!("of {} in {list} none is so; nearest {told}", rows.len());
    Some((what, near.into_iter().flat_map(|(_, lacks)| of(lacks)).collect()))
}

/// A row with the values that some parts read of it: `backup (last_success null)`.
fn one<'v>(
    c: &ComprehensionExpr,
    row: &(dyn Val + 'v),
    parts: &[&IdedExpr],
    context: &Context<'_, 'v>,
) -> String {
    let values = read_of(c, parts, &of_row(c, row, context));
    let row = told(row);
    let name = convert::field(&row, "name").map(|n| convert::brief(&n));
    let name = name.unwrap_or_else(|| convert::brief(&row));
    if values.is_empty() { name } else { format!("{name} ({})", values.join(", ")) }
}

/// What some parts read of the row that is bound, but for its name.
pub(crate) fn read_of(
    c: &ComprehensionExpr,
    parts: &[&IdedExpr],
    inner: &Context<'_, '_>,
) -> Vec<String> {
    let prefix = format!("{}.", c.iter_var);
    let mut read: Vec<String> = parts.iter().flat_map(|p| paths(p)).collect();
    read.sort();
    read.dedup();
    let value = |path: &String| {
        let field = path.strip_prefix(&prefix).filter(|f| *f != "name")?;
        let value = value_of(path, inner)?;
        Some(format!("{field} {}{}", convert::brief(&value), ago(&value, inner)))
    };
    read.iter().filter_map(value).collect()
}

/// How long ago a time is: a limit is a length.
fn ago(value: &Value, context: &Context<'_, '_>) -> String {
    let Value::Timestamp(then) = value else { return String::new() };
    let Some(Value::Timestamp(now)) = value_of("now", context) else { return String::new() };
    let passed = u64::try_from((now - *then).num_milliseconds()).ok();
    passed.map(|ms| format!(", {} ago", Span(ms).brief())).unwrap_or_default()
}
