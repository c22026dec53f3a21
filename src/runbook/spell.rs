//! A parsed expression back in words. Two expressions that are spelled alike are the same:
//! spaces, superfluous brackets and the parser's numbering are gone.

use crate::runbook::walk::{self, Macro};
use cel::common::ast::operators as op;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Ast, IdedExpr, LiteralValue,
};

/// As an author would write it, on a line.
pub(crate) fn spell(expr: &IdedExpr) -> String {
    match &expr.expr {
        Ast::Literal(value) => literal(value),
        Ast::Ident(name) => name.clone(),
        Ast::Select(s) if s.test => format!("has({}.{})", held(&s.operand), s.field),
        Ast::Select(s) => format!("{}.{}", held(&s.operand), s.field),
        Ast::Call(call) => spell_call(call),
        Ast::List(list) => format!("[{}]", several(&list.elements)),
        Ast::Map(map) => {
            let entries = map.entries.iter().map(|e| entry(&e.expr));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Ast::Struct(s) => {
            let entries = s.entries.iter().map(|e| entry(&e.expr));
            format!("{}{{{}}}", s.type_name, entries.collect::<Vec<_>>().join(", "))
        }
        Ast::Comprehension(c) => walked(c),
        Ast::Unspecified => "…".into(),
    }
}

/// In brackets where an operator binds less than what stands beside it.
fn held(expr: &IdedExpr) -> String {
    let text = spell(expr);
    let operator = matches!(&expr.expr, Ast::Call(c)
        if c.func_name != op::INDEX && (c.func_name.starts_with('_') || c.func_name == op::IN));
    if operator { format!("({text})") } else { text }
}

fn several(exprs: &[IdedExpr]) -> String {
    exprs.iter().map(spell).collect::<Vec<_>>().join(", ")
}

fn entry(entry: &EntryExpr) -> String {
    match entry {
        EntryExpr::StructField(f) => format!("{}: {}", f.field, spell(&f.value)),
        EntryExpr::MapEntry(e) => format!("{}: {}", spell(&e.key), spell(&e.value)),
    }
}

fn literal(value: &LiteralValue) -> String {
    match value {
        LiteralValue::Boolean(b) => b.inner().to_string(),
        LiteralValue::Int(i) => i.inner().to_string(),
        LiteralValue::UInt(u) => format!("{}u", u.inner()),
        LiteralValue::Double(d) => format!("{:?}", d.inner()),
        LiteralValue::String(s) => format!("{:?}", s.inner()),
        LiteralValue::Bytes(b) => format!("b{:?}", b.inner()),
        LiteralValue::Null => "null".into(),
    }
}

fn spell_call(call: &CallExpr) -> String {
    let name = call.func_name.as_str();
    match (name, call.args.as_slice()) {
        (op::CONDITIONAL, [c, a, b]) => format!("{} ? {} : {}", held(c), held(a), held(b)),
        (op::INDEX, [list, at]) => format!("{}[{}]", held(list), spell(at)),
        (op::LOGICAL_NOT | op::NEGATE, [of]) => format!("{}{}", &name[..1], held(of)),
        (op::IN, [a, b]) => format!("{} in {}", held(a), held(b)),
        (_, args @ [_, ..]) if name.starts_with('_') => {
            let sign = format!(" {} ", name.trim_matches('_'));
            args.iter().map(held).collect::<Vec<_>>().join(&sign)
        }
        (_, args) => {
            let of = call.target.as_ref().map(|t| held(t) + ".").unwrap_or_default();
            format!("{of}{name}({})", several(args))
        }
    }
}

/// What a macro was written as, from what it became.
pub(crate) fn walked(c: &ComprehensionExpr) -> String {
    let (list, var) = (held(&c.iter_range), &c.iter_var);
    match walk::decoded(c) {
        Macro::All(of) => format!("{list}.all({var}, {})", spell(of)),
        Macro::Exists(of) => format!("{list}.exists({var}, {})", spell(of)),
        Macro::One(of) => format!("{list}.exists_one({var}, {})", spell(of)),
        Macro::Filter(of) => format!("{list}.filter({var}, {})", spell(of)),
        Macro::Map(Some(of), e) => format!("{list}.map({var}, {}, {})", spell(of), spell(e)),
        Macro::Map(None, e) => format!("{list}.map({var}, {})", spell(e)),
        Macro::Other => unknown(c),
    }
}

/// No macro that is known; spelled out, so that it is still told from any other.
fn unknown(c: &ComprehensionExpr) -> String {
    let parts = [&c.accu_init, &c.loop_cond, &c.loop_step, &c.result].map(spell);
    format!("{}.walk({}, {})", held(&c.iter_range), c.iter_var, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::Expr;

    fn spelled(text: &str) -> String {
        spell(Expr::new(text).unwrap().ast())
    }

    #[test]
    fn what_is_written_is_spelled() {
        for text in [
            "raft.others(voter)",
            "volumes.filter(v, v.claim.startsWith(\"x/\") && !v.deleting)",
            "a.map(x, x.b, x.c)[0].d",
            "a.map(x, -x)",
            "(a + b).exists_one(x, x == 1)",
            "a.all(x, b.exists(y, y in x.c))",
            "has(a.b) ? [1, 2u, 1.5] : [null, true]",
            "{\"a\": 1}[\"a\"] == size(b)",
        ] {
            assert_eq!(spelled(text), text);
        }
    }

    #[test]
    fn spaces_and_brackets_are_no_difference_and_all_else_is() {
        assert_eq!(spelled("( a.b ).filter(x,(x.c)=='d')"), spelled("a.b.filter(x, x.c == \"d\")"));
        for (a, b) in [
            ("a.filter(x, x.b)", "a.filter(x, x.c)"),
            ("a.filter(x, x.b)", "a.map(x, x.b)"),
            ("a - (b - c)", "a - b - c"),
            ("1", "\"1\""),
            ("a.b", "has(a.b)"),
        ] {
            assert_ne!(spelled(a), spelled(b));
        }
    }
}
