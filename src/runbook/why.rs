//! Why an expression is false, in a line: the rows and values that matter.

use crate::event::Span;
use crate::runbook::convert;
use crate::runbook::expr::conjuncts;
use crate::runbook::spell::spell;
use crate::runbook::walk::{self, Macro, decoded, is_all, paths};
use cel::common::ast::{ComprehensionExpr, Expr as Ast, IdedExpr, operators};
use cel::{Context, Program, Value};

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
        let value = Program::compile(path).ok()?.execute(context).ok()?;
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

/// The rows that a macro walks, if they are few enough.
pub(crate) fn rows(c: &ComprehensionExpr, context: &Context<'_, '_>) -> Option<Vec<Value>> {
    match Value::resolve(&c.iter_range, context) {
        Ok(Value::List(rows)) if rows.len() <= FEW => Some(rows.iter().cloned().collect()),
        _ => None,
    }
}

pub(crate) fn of_row<'a>(
    c: &ComprehensionExpr,
    row: &Value,
    context: &'a Context<'_, '_>,
) -> Context<'a, 'a> {
    let mut inner = context.new_inner_scope();
    inner.add_variable_from_value(c.iter_var.clone(), row.clone());
    inner
}

/// Of an `all()`, the rows for which it is not so.
fn breakers(c: &ComprehensionExpr, context: &Context<'_, '_>) -> Option<String> {
    let Ok(Value::List(rows)) = Value::resolve(&c.iter_range, context) else { return None };
    let mut names = Vec::new();
    for row in rows.iter() {
        let mut inner = of_row(c, row, context);
        inner.add_variable_from_value(c.accu_var.clone(), Value::Bool(true));
        if Value::resolve(&c.loop_step, &inner) != Ok(Value::Bool(true)) {
            let name = convert::named(row).unwrap_or_else(|| convert::brief(row));
            let mut facts = lacks(c, row, context);
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
fn lacks(c: &ComprehensionExpr, row: &Value, context: &Context<'_, '_>) -> Vec<String> {
    let (Macro::All(asked), Some(_)) = (decoded(c), convert::field(row, "uid")) else {
        return Vec::new();
    };
    let inner = of_row(c, row, context);
    let parts = conjuncts(asked).into_iter();
    let broken = parts.filter(|part| Value::resolve(part, &inner) != Ok(Value::Bool(true)));
    read_of(c, &broken.collect::<Vec<_>>(), &inner)
}

/// Of an `exists()` that should not be, the rows for which it is so.
fn holders(c: &ComprehensionExpr, context: &Context<'_, '_>) -> Option<String> {
    let Macro::Exists(predicate) = decoded(c) else { return None };
    let so =
        |row: &Value| Value::resolve(predicate, &of_row(c, row, context)) == Ok(Value::Bool(true));
    let so: Vec<Value> = rows(c, context)?.into_iter().filter(so).collect();
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
    let lacks = |row: &Value| -> Vec<usize> {
        let inner = of_row(c, row, context);
        // What cannot be told of a row is lacking, too.
        let lacking = |i: &usize| Value::resolve(parts[*i], &inner) != Ok(Value::Bool(true));
        (0..parts.len()).filter(lacking).collect()
    };
    let far = |lacks: &[usize]| (parts.len() - lacks.first().unwrap_or(&0), lacks.len());
    let all: Vec<_> = rows.iter().map(|row| (row, lacks(row))).collect();
    let Some(least) = all.iter().map(|(_, lacks)| far(lacks)).min() else {
        return Some((format!("{list} is empty"), vec![predicate]));
    };
    let near: Vec<_> = all.iter().filter(|(_, lacks)| far(lacks) == least).take(MOST).collect();
    let of = |lacks: &[usize]| lacks.iter().map(|i| parts[*i]).collect::<Vec<_>>();
    let told = near.iter().map(|(row, lacks)| one(c, row, &of(lacks), context));
    let told = told.collect::<Vec<_>>().join(", ");
    let what = format!("of {} in {list} none is so; nearest {told}", rows.len());
    Some((what, near.into_iter().flat_map(|(_, lacks)| of(lacks)).collect()))
}

/// A row with the values that some parts read of it: `backup (last_success null)`.
fn one(
    c: &ComprehensionExpr,
    row: &Value,
    parts: &[&IdedExpr],
    context: &Context<'_, '_>,
) -> String {
    let values = read_of(c, parts, &of_row(c, row, context));
    let name = convert::field(row, "name").map(|n| convert::brief(&n));
    let name = name.unwrap_or_else(|| convert::brief(row));
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
        let value = Program::compile(path).ok()?.execute(inner).ok()?;
        Some(format!("{field} {}{}", convert::brief(&value), ago(&value, inner)))
    };
    read.iter().filter_map(value).collect()
}

/// How long ago a time is: a limit is a length.
fn ago(value: &Value, context: &Context<'_, '_>) -> String {
    let now = Program::compile("now").ok().and_then(|p| p.execute(context).ok());
    let (Value::Timestamp(then), Some(Value::Timestamp(now))) = (value, now) else {
        return String::new();
    };
    let passed = u64::try_from((now - *then).num_milliseconds()).ok();
    passed.map(|ms| format!(", {} ago", Span(ms).brief())).unwrap_or_default()
}
