//! `all()` over an empty list is true: which lists may be empty where an expression passes.

use crate::runbook::expr::conjuncts;
use crate::runbook::spell::spell;
use crate::runbook::walk::{self, Macro};
use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr as Ast, IdedExpr, LiteralValue};

/// An `all()` that an empty list makes true.
pub(crate) struct Vacuous {
    /// Its list, as it is written.
    pub list: String,
    /// Its place is turned around, by `!` or a comparison: a size beside it there would
    /// turn around with it.
    pub turned: bool,
}

/// Every `all()` whose list nothing proves to have a row.
///
/// Proof is a conjunct of the `&&` that it stands in, or of one around that: where the whole
/// is true, so is each conjunct. Below a `!` or a comparison that is not so.
pub(crate) fn vacuous(expr: &IdedExpr) -> Vec<Vacuous> {
    let mut found = Vec::new();
    visit(expr, &Place { filled: Vec::new(), upright: true }, &mut found);
    found
}

/// Where in an expression.
#[derive(Clone)]
struct Place<'a> {
    /// Lists that have a row if what stands here matters at all.
    filled: Vec<&'a IdedExpr>,
    /// True here makes the whole more likely to be true.
    upright: bool,
}

impl<'a> Place<'a> {
    fn turned(&self) -> Self {
        Self { upright: false, ..self.clone() }
    }

    fn beside(&self, parts: &[&'a IdedExpr]) -> Self {
        let mut place = self.clone();
        if self.upright {
            place.filled.extend(parts.iter().filter_map(|p| proven(p)));
        }
        place
    }
}

fn visit<'a>(expr: &'a IdedExpr, place: &Place<'a>, found: &mut Vec<Vacuous>) {
    match &expr.expr {
        Ast::Call(call) => visit_call(expr, call, place, found),
        Ast::Comprehension(c) => visit_macro(c, place, found),
        _ => walk::children(expr).into_iter().for_each(|e| visit(e, &place.turned(), found)),
    }
}

fn visit_call<'a>(
    expr: &'a IdedExpr,
    call: &'a CallExpr,
    place: &Place<'a>,
    found: &mut Vec<Vacuous>,
) {
    match (call.func_name.as_str(), call.args.as_slice()) {
        (op::LOGICAL_AND, _) => {
            let parts = conjuncts(expr);
            let inner = place.beside(&parts);
            parts.into_iter().for_each(|p| visit(p, &inner, found));
        }
        (op::LOGICAL_OR, parts) => parts.iter().for_each(|p| visit(p, place, found)),
        (op::CONDITIONAL, [condition, then, other]) => {
            // A condition is a question of its own; what it proves holds where it is true.
            let own = Place { upright: true, ..place.clone() };
            visit(condition, &own, found);
            let proves = own.beside(&conjuncts(condition)).filled;
            visit(then, &Place { filled: proves, ..place.clone() }, found);
            visit(other, place, found);
        }
        (_, args) => {
            let inner = place.turned();
            call.target.iter().for_each(|t| visit(t, &inner, found));
            args.iter().for_each(|a| visit(a, &inner, found));
        }
    }
}

fn visit_macro<'a>(c: &'a ComprehensionExpr, place: &Place<'a>, found: &mut Vec<Vacuous>) {
    let list = spell(&c.iter_range);
    if walk::is_all(c) && !has_elements(&c.iter_range) {
        let proven = place.filled.iter().any(|f| spell(f) == list);
        if !proven {
            found.push(Vacuous { list, turned: !place.upright });
        }
    }
    visit(&c.iter_range, &place.turned(), found);
    let mut inner = place.clone();
    // What `filter` keeps and `map` makes is a question of its own.
    inner.upright |= !matches!(walk::decoded(c), Macro::All(_) | Macro::Exists(_));
    // Inside, the name is another thing than outside.
    inner.filled.retain(|f| !walk::roots(f).contains(&c.iter_var));
    visit(&c.loop_step, &inner, found);
}

/// A list that is written out.
fn has_elements(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Ast::List(list) if !list.elements.is_empty())
}

/// The list that has a row if this is true.
fn proven(expr: &IdedExpr) -> Option<&IdedExpr> {
    match &expr.expr {
        Ast::Comprehension(c) => match walk::decoded(c) {
            Macro::Exists(_) | Macro::One(_) => Some(&c.iter_range),
            _ => None,
        },
        Ast::Call(call) => {
            let [left, right] = call.args.as_slice() else { return None };
            if let (Some(list), Some(n)) = (sized(left), number(right)) {
                return excludes_none(&call.func_name, n).then_some(list);
            }
            let (n, list) = (number(left)?, sized(right)?);
            excludes_none(mirrored(&call.func_name), n).then_some(list)
        }
        _ => None,
    }
}

/// Whether `size OPERATOR n` cannot be true of a size of 0.
fn excludes_none(operator: &str, n: i64) -> bool {
    match operator {
        op::GREATER => n >= 0,
        op::GREATER_EQUALS | op::EQUALS => n > 0,
        op::NOT_EQUALS => n == 0,
        _ => false,
    }
}

fn mirrored(operator: &str) -> &str {
    match operator {
        op::LESS => op::GREATER,
        op::LESS_EQUALS => op::GREATER_EQUALS,
        op::EQUALS | op::NOT_EQUALS => operator,
        _ => "",
    }
}

/// The list of `size(LIST)`.
fn sized(expr: &IdedExpr) -> Option<&IdedExpr> {
    let Ast::Call(call) = &expr.expr else { return None };
    match (&call.target, call.args.as_slice()) {
        (None, [list]) if call.func_name == "size" => Some(list),
        (Some(list), []) if call.func_name == "size" => Some(list),
        _ => None,
    }
}

fn number(expr: &IdedExpr) -> Option<i64> {
    match &expr.expr {
        Ast::Literal(LiteralValue::Int(n)) => Some(*n.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::Expr;

    fn lists(text: &str) -> Vec<String> {
        vacuous(Expr::new(text).unwrap().ast()).into_iter().map(|v| v.list).collect()
    }

    #[test]
    fn what_proves_that_the_very_list_has_a_row_is_enough() {
        for text in [
            "size(l) > 0 && l.all(v, v.ok)",
            "l.all(v, v.ok) && x && size(l) >= 1",
            "size(l) != 0 && l.all(v, v.ok)",
            "0 < size(l) && l.all(v, v.ok)",
            "3 == size(l) && l.all(v, v.ok)",
            "l.size() > 0 && l.all(v, v.ok)",
            "l.exists(v, v.big) && l.all(v, v.ok)",
            "l.exists_one(v, v.big) && l.all(v, v.ok)",
            "['a', 'b'].all(f, f in l)",
            // Of the filtered list, however it is spaced.
            "size(l.filter(v, v.a)) > 0 && l.filter( v, (v.a) ).all(w, w.ok)",
            // A side of an or that has its own; an or beside what proves it.
            "x || (size(l) > 0 && l.all(v, v.ok))",
            "size(l) > 0 && (x || l.all(v, v.ok))",
            "size(l) > 0 && !l.all(v, v.ok)",
            "size(l) > 0 ? l.all(v, v.ok) : x",
            // In macros, of a list of the row and of one outside.
            "ls.exists(s, size(s.t) > 0 && s.t.all(k, s.t[k] == 'x'))",
            "size(l) > 0 && ls.exists(s, l.all(v, v.ok))",
            "size(ls.filter(s, size(s.t) > 0 && s.t.all(k, k.ok))) == 0",
        ] {
            assert_eq!(lists(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_proves_something_else_or_nothing_is_not() {
        for (text, list) in [
            ("l.all(v, v.ok)", "l"),
            ("[].all(v, v.ok)", "[]"),
            ("size(l) >= 0 && l.all(v, v.ok)", "l"),
            ("size(l) > -1 && l.all(v, v.ok)", "l"),
            ("size(l) == 0 && l.all(v, v.ok)", "l"),
            ("size(l) < 1 && l.all(v, v.ok)", "l"),
            ("size(l) >= n && l.all(v, v.ok)", "l"),
            ("0 > size(l) && l.all(v, v.ok)", "l"),
            ("size(l) > 0 || l.all(v, v.ok)", "l"),
            ("(size(l) > 0 || x) && l.all(v, v.ok)", "l"),
            ("!(size(l) > 0) && l.all(v, v.ok)", "l"),
            ("!l.exists(v, v.big) && l.all(v, v.ok)", "l"),
            ("size(l) > 0 && l.filter(v, v.a).all(v, v.ok)", "l.filter(v, v.a)"),
            ("size(l.filter(v, v.b)) > 0 && l.filter(v, v.a).all(v, v.ok)", "l.filter(v, v.a)"),
            ("size(l.filter(v, v.a)) > 0 && l.all(v, v.ok)", "l"),
            ("size(m) > 0 && l.all(v, v.ok)", "l"),
            ("m.exists(v, v.big) && l.all(v, v.ok)", "l"),
            ("m.exists(v, l.exists(w, w.big)) && l.all(v, v.ok)", "l"),
            ("m.exists(v, size(l) > 0) && l.all(v, v.ok)", "l"),
            ("size(l.a) > 0 && l.all(v, v.ok)", "l"),
            ("\"size(l) > 0\" == x && l.all(v, v.ok)", "l"),
            ("!l.all(v, v.ok)", "l"),
            ("!(size(l) > 0 && l.all(v, v.ok))", "l"),
            ("(size(l) > 0 && l.all(v, v.ok)) == false", "l"),
            ("x ? l.all(v, v.ok) : size(l) > 0", "l"),
            ("ls.exists(s, s.t.all(k, k.ok))", "s.t"),
            ("ls.all(s, s.t.exists(k, k.ok)) && size(ls) > 0 && l.all(v, v.ok)", "l"),
            ("!ls.exists(s, size(s.t) > 0 && s.t.all(k, k.ok))", "s.t"),
            // The same name, another thing.
            ("size(s.t) > 0 && ls.exists(s, s.t.all(k, k.ok))", "s.t"),
            ("size(ls.map(s, s.t.all(k, k.ok))) > 0", "s.t"),
            ("f(l.all(v, v.ok))", "l"),
            ("[l.all(v, v.ok)][0]", "l"),
        ] {
            assert_eq!(lists(text), [list], "{text}");
        }
    }
}
