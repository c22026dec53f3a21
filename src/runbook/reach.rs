//! Which namespaces an expression is about. A reading covers only some, and rows of the
//! others are not absent but unknown: `!pods.exists(…)` must not pass on them.
//!
//! The rule: a macro over rows is about the namespaces that its condition restricts it to,
//! by `row.namespace == VALUE` or `row.namespace in VALUES` as a part of its `&&` (of an
//! `all()`, `!=` as a part of its `||`). Where it looks at `namespace` otherwise it is about
//! all there are; where it does not, about those that the site shows.

use crate::event::Time;
use crate::runbook::Scope;
use crate::runbook::expr::conjuncts;
use crate::runbook::model::{Runbook, Step};
use crate::runbook::walk::{self, Macro};
use crate::world::{Reach, Reading, Source, World};
use cel::common::ast::operators as op;
use cel::common::ast::{ComprehensionExpr, Expr as Ast, IdedExpr};
use cel::{Context, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What is asked of one source.
#[derive(Clone, Default)]
pub(crate) struct Asks {
    shown: bool,
    every: bool,
    /// Expressions that give a namespace, or a list of them.
    named: Vec<IdedExpr>,
}

impl Asks {
    /// With the names that its expressions have in a context.
    pub(crate) fn reach(&self, context: &Context<'_, '_>) -> Result<Reach, String> {
        let mut reach = Reach { shown: self.shown, every: self.every, ..Reach::none() };
        for expr in &self.named {
            let mut name = |value: &Value| match value {
                Value::String(s) => {
                    reach.named.insert(s.to_string());
                    Ok(())
                }
                _ => Err("a namespace that it names is no text".to_owned()),
            };
            match Value::resolve(expr, context).map_err(|e| e.to_string())? {
                Value::List(list) => list.iter().try_for_each(name)?,
                value => name(&value)?,
            }
        }
        Ok(reach)
    }
}

/// The namespaces that a runbook's expressions name, as far as parameters and the site tell.
#[must_use]
pub fn namespaces(
    runbook: &Runbook,
    params: &BTreeMap<String, Json>,
    site: &BTreeMap<String, Json>,
) -> BTreeSet<String> {
    let (world, none, choice) = (World::default(), BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        world: &world,
        now: Time(0),
        params,
        site,
        evidence: &none,
        lost: &choice,
        kept: &BTreeMap::new(),
        choice: &choice,
        item: None,
        remaining: &[],
        before: None,
        result: None,
    };
    let mut reading = Reading::default();
    runbook.quiet.iter().for_each(|e| e.ask(&scope, &mut reading));
    runbook.guards.iter().for_each(|g| g.that.ask(&scope, &mut reading));
    runbook.backouts.iter().flat_map(|b| &b.when).for_each(|e| e.ask(&scope, &mut reading));
    for phase in runbook.sections() {
        let of_each = phase.each.iter().flat_map(|e| e.next.iter().chain([&e.of]));
        let of_steps = phase.steps.iter().flat_map(Step::conditions);
        of_each.chain(of_steps).for_each(|e| e.ask(&scope, &mut reading));
    }
    reading.iter().flat_map(|(_, reach)| reach.named.iter().cloned()).collect()
}

/// What an expression asks of each source that has namespaces.
pub(crate) fn asks(expr: &IdedExpr) -> BTreeMap<Source, Asks> {
    let mut visit = Visit { bound: Vec::new(), asks: BTreeMap::new() };
    visit.expr(expr);
    let mut asks = visit.asks;
    // Claims are read in all namespaces; only whose they are hangs on where pods are read.
    if let Some(of_claims) = asks.get_mut(&Source::Claims)
        && !["pods", "of_pod"].iter().any(|field| selects(expr, field))
    {
        *of_claims = Asks::default();
    }
    asks
}

struct Visit {
    bound: Vec<String>,
    asks: BTreeMap<Source, Asks>,
}

/// What a macro walks.
enum List {
    /// Rows of a source, of whichever namespaces.
    Open(Source),
    /// Something else, or rows whose namespaces have been asked for.
    Closed,
}

impl Visit {
    fn of(&mut self, source: Source) -> &mut Asks {
        self.asks.entry(source).or_default()
    }

    /// The source of that name with namespaces, unless a macro gave the name to something else.
    fn source(&self, name: &str) -> Option<Source> {
        let bound = self.bound.iter().any(|b| b == name);
        Source::of_name(name).filter(|s| s.has_reach() && !bound)
    }

    fn expr(&mut self, expr: &IdedExpr) {
        match &expr.expr {
            Ast::Ident(name) => {
                if let Some(source) = self.source(name) {
                    self.of(source).shown = true;
                }
            }
            Ast::Comprehension(c) => {
                if let List::Open(source) = self.walked(c) {
                    self.of(source).shown = true;
                }
            }
            _ => walk::children(expr).into_iter().for_each(|e| self.expr(e)),
        }
    }

    fn list(&mut self, expr: &IdedExpr) -> List {
        match &expr.expr {
            Ast::Ident(name) => self.source(name).map_or(List::Closed, List::Open),
            Ast::Comprehension(c) => self.walked(c),
            Ast::Select(_) => {
                self.expr(expr);
                List::Closed
            }
            // Rows that came through something else: which they are is not followed.
            _ => {
                for root in walk::roots(expr) {
                    if let Some(source) = self.source(&root) {
                        self.of(source).every = true;
                    }
                }
                self.expr(expr);
                List::Closed
            }
        }
    }

    /// A macro; what it gives is a list of rows only if it filters.
    fn walked(&mut self, c: &ComprehensionExpr) -> List {
        let list = self.list(&c.iter_range);
        let var = &c.iter_var;
        let kind = walk::decoded(c);
        self.bound.push(var.clone());
        let mut left = List::Closed;
        if let List::Open(source) = list {
            let restricted = match kind {
                Macro::All(of) => self.restricting(alternatives(of), var, op::NOT_EQUALS),
                Macro::Exists(of)
                | Macro::One(of)
                | Macro::Filter(of)
                | Macro::Map(Some(of), _) => self.restricting(conjuncts(of), var, op::EQUALS),
                Macro::Map(None, _) | Macro::Other => None,
            };
            let told = || kind.parts(c).into_iter().any(|e| tells(e, var));
            match (restricted, &kind) {
                (Some(named), _) => self.of(source).named.push(named),
                (None, _) if told() => self.of(source).every = true,
                (None, Macro::Filter(_)) => left = List::Open(source),
                (None, _) => self.of(source).shown = true,
            }
        }
        kind.parts(c).into_iter().for_each(|e| self.expr(e));
        self.bound.pop();
        left
    }

    /// What a row's namespace is compared with in one of these parts.
    fn restricting(&self, parts: Vec<&IdedExpr>, var: &str, operator: &str) -> Option<IdedExpr> {
        parts.into_iter().find_map(|part| {
            let Ast::Call(call) = &part.expr else { return None };
            let name = call.func_name.as_str();
            if name == op::LOGICAL_NOT {
                let turned = if operator == op::EQUALS { op::NOT_EQUALS } else { op::EQUALS };
                return self.restricting(call.args.iter().collect(), var, turned);
            }
            let [left, right] = call.args.as_slice() else { return None };
            let one_of = name == op::IN && operator == op::EQUALS;
            let other = match (is_namespace(left, var), is_namespace(right, var)) {
                (true, false) if name == operator || one_of => right,
                (false, true) if name == operator => left,
                _ => return None,
            };
            self.is_value(other).then(|| other.clone())
        })
    }

    /// It is known before any row is read.
    fn is_value(&self, expr: &IdedExpr) -> bool {
        let known = |root: &String| Source::of_name(root).is_none() && !self.bound.contains(root);
        walk::roots(expr).iter().all(known)
    }
}

/// `row.namespace`.
fn is_namespace(expr: &IdedExpr, var: &str) -> bool {
    let Ast::Select(select) = &expr.expr else { return false };
    let of_row = matches!(&select.operand.expr, Ast::Ident(name) if name == var);
    of_row && select.field == "namespace" && !select.test
}

/// Whether it looks at a row's namespace, or hands the row on as a whole.
fn tells(expr: &IdedExpr, var: &str) -> bool {
    match &expr.expr {
        Ast::Ident(name) => name == var,
        Ast::Select(select) if matches!(&select.operand.expr, Ast::Ident(name) if name == var) => {
            select.field == "namespace"
        }
        _ => walk::children(expr).into_iter().any(|e| tells(e, var)),
    }
}

fn selects(expr: &IdedExpr, field: &str) -> bool {
    matches!(&expr.expr, Ast::Select(select) if select.field == field)
        || walk::children(expr).into_iter().any(|e| selects(e, field))
}

/// Parts of `a || b || c`.
fn alternatives(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Ast::Call(call) if call.func_name == op::LOGICAL_OR => {
            call.args.iter().flat_map(alternatives).collect()
        }
        _ => vec![expr],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::Expr;

    /// What is asked of a source, in words.
    fn asked(text: &str, source: Source) -> String {
        let expr = Expr::new(text).unwrap();
        let Some(asks) = asks(expr.ast()).remove(&source) else { return "-".into() };
        let mut context = Context::default();
        context.add_variable_from_value("ns", Value::from("app"));
        context.add_variable_from_value("two", Value::from(vec!["a", "b"]));
        match asks.reach(&context) {
            Err(e) => e,
            Ok(reach) => {
                let names = reach.named.into_iter().collect::<Vec<_>>().join("+");
                let flags = [(reach.shown, "shown"), (reach.every, "every")];
                let flags = flags.iter().filter(|f| f.0).map(|f| f.1);
                flags
                    .chain([names.as_str()])
                    .filter(|w| !w.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        }
    }

    #[test]
    fn a_macro_is_about_the_namespaces_that_it_is_restricted_to() {
        for (text, wanted) in [
            ("!pods.exists(p, p.namespace == 'x')", "x"),
            ("pods.exists(p, p.ready > 0 && (ns == p.namespace && p.ok))", "app"),
            ("pods.filter(p, p.namespace in ['x', 'y'])[0].ready > 0", "x+y"),
            ("pods.filter(p, p.namespace in two).all(q, q.namespace != 'a')", "a+b"),
            ("pods.filter(p, p.ok).exists(q, q.namespace == 'x')", "x"),
            ("pods.all(p, p.namespace != 'x' || p.ok)", "x"),
            ("pods.all(p, !(p.namespace == 'x') || p.ok)", "x"),
            ("pods.exists(p, p.namespace == 'x') && !pods.exists(p, p.namespace == 'y')", "x+y"),
            ("pods.map(p, p.namespace == 'x', p.name) == []", "x"),
            ("[1].all(n, pods.exists_one(p, p.namespace == 'x' && p.ready == n))", "x"),
            // Without a word of namespaces: those of the site.
            ("size(pods) > 0", "shown"),
            ("!pods.exists(p, p.uid == ns)", "shown"),
            ("pods.filter(p, p.ok).map(p, p.name) == []", "shown"),
            ("size(pods.filter(p, p.ok)) > 0", "shown"),
            ("pods.exists(p, p.namespace == 'x') || size(pods) == 3", "shown x"),
            // Anything else about namespaces concerns them all.
            ("pods.exists(p, p.namespace != 'x')", "every"),
            ("!pods.exists(p, !(p.namespace == 'x'))", "every"),
            ("pods.all(p, p.namespace == 'x')", "every"),
            ("pods.exists(p, p.namespace == 'x' || p.ok)", "every"),
            ("pods.exists(p, p.namespace.startsWith('x'))", "every"),
            ("pods.exists(p, p.namespace + '/' + p.name == ns)", "every"),
            ("pods.map(p, p.namespace).exists(n, n == 'x')", "every"),
            ("pods.map(p, p).exists(q, q.namespace == 'x')", "every"),
            ("(ns == '' ? pods : []).exists(q, q.namespace == 'x')", "shown every"),
            ("claims.exists(c, !pods.exists(p, p.namespace == c.namespace))", "every"),
            ("pods.exists(p, p.namespace == raft.leader)", "every"),
            ("size(claims) > 0", "-"),
            // The name is bound to something else.
            ("two.exists(pods, pods == 'x')", "-"),
            ("pods.exists(p, p.namespace == nowhere)", "Undeclared reference to 'nowhere'"),
        ] {
            assert_eq!(asked(text, Source::Pods), wanted, "{text}");
        }
    }

    #[test]
    fn of_claims_only_their_pods_hang_on_namespaces() {
        let claims = |text| asked(text, Source::Claims);
        assert_eq!(claims("!claims.exists(c, c.namespace == 'x')"), "");
        assert_eq!(claims("!claims.exists(c, c.namespace == 'x' && size(c.pods) > 0)"), "x");
        assert_eq!(claims("claims.filter(c, c.namespace == ns).all(c, c.of_pod == '')"), "app");
        assert_eq!(claims("claims.all(c, size(c.pods) > 0)"), "shown");
    }
}
