//! Types of expressions, inferred by walking them against the documented world.

use crate::runbook::model::ParamKind;
use crate::world::World;
use cel::common::ast::operators as op;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Ast, IdedExpr, LiteralValue,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A type. `Any` is what is not known and fits everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ty {
    /// Not known.
    Any,
    /// Nothing.
    Null,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A fraction.
    Float,
    /// Text.
    String,
    /// A point in time.
    Time,
    /// A span of time.
    Duration,
    /// A list.
    List(Box<Ty>),
    /// A table by name.
    Map(Box<Ty>),
    /// Named fields, shared: the world's are asked for by every expression.
    Object(String, Arc<BTreeMap<String, Ty>>),
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::String => f.write_str("string"),
            Self::Time => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(of) => write!(f, "list of {of}"),
            Self::Map(of) => write!(f, "map of {of}"),
            Self::Object(name, _) => f.write_str(name),
        }
    }
}

impl Ty {
    /// One fits where the other is wanted.
    #[must_use]
    pub fn fits(&self, other: &Ty) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            // Optional times are null until they are known.
            (Self::Null, Self::Time | Self::String) | (Self::Time | Self::String, Self::Null) => {
                true
            }
            (Self::Int | Self::Float, Self::Int | Self::Float) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.fits(b),
            (Self::Object(a, _), Self::Object(b, _)) => a == b,
            (Self::Object(..), Self::Map(_)) | (Self::Map(_), Self::Object(..)) => true,
            _ => self == other,
        }
    }

    /// The type of a parameter of that kind.
    #[must_use]
    pub fn of_param(kind: ParamKind) -> Self {
        match kind {
            ParamKind::Int => Self::Int,
            ParamKind::Bool => Self::Bool,
            ParamKind::String | ParamKind::Duration => Self::String,
        }
    }

    /// The world's types, from the schema of its Rust types.
    #[must_use]
    pub fn world() -> BTreeMap<String, Ty> {
        let schema = schemars::schema_for!(World);
        let root = schema.as_value();
        match from_schema(root, root, "world") {
            Self::Object(_, fields) => Arc::unwrap_or_clone(fields),
            _ => BTreeMap::new(),
        }
    }
}

fn from_schema(schema: &Value, root: &Value, name: &str) -> Ty {
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(path.trim_start_matches('#'));
        let name = path.rsplit('/').next().unwrap_or(name);
        return target.map_or(Ty::Any, |t| from_schema(t, root, name));
    }
    if let Some(options) =
        schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
    {
        let known = options.iter().map(|o| from_schema(o, root, name)).find(|t| *t != Ty::Null);
        return known.unwrap_or(Ty::Any);
    }
    let kind = match schema.get("type") {
        Some(Value::String(s)) => s.as_str(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or("")
        }
        _ if schema.get("const").is_some() || schema.get("enum").is_some() => "string",
        _ => "",
    };
    match kind {
        "null" => Ty::Null,
        "boolean" => Ty::Bool,
        "integer" => Ty::Int,
        "number" => Ty::Float,
        "string" if schema.get("format").and_then(Value::as_str) == Some("date-time") => Ty::Time,
        "string" => Ty::String,
        "array" => {
            let of = schema.get("items").map_or(Ty::Any, |i| from_schema(i, root, name));
            Ty::List(Box::new(of))
        }
        "object" => match schema.get("properties").and_then(Value::as_object) {
            Some(fields) => Ty::Object(
                name.to_lowercase(),
                Arc::new(
                    fields.iter().map(|(k, v)| (k.clone(), from_schema(v, root, k))).collect(),
                ),
            ),
            None => {
                let of = schema.get("additionalProperties").filter(|v| v.is_object());
                Ty::Map(Box::new(of.map_or(Ty::Any, |v| from_schema(v, root, name))))
            }
        },
        _ => Ty::Any,
    }
}

/// Something wrong in an expression: what, and what to do.
pub(crate) type Finding = (String, String);

/// Infers types and collects what is wrong on the way.
pub(crate) struct Inference {
    /// Names and their types.
    pub names: BTreeMap<String, Ty>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Inference {
    pub(crate) fn of(&mut self, expr: &IdedExpr) -> Ty {
        match &expr.expr {
            Ast::Literal(value) => literal(value),
            Ast::Ident(name) => self.name(name),
            Ast::Select(select) => {
                let of = self.of(&select.operand);
                let field = self.field(&of, &select.field);
                if select.test { Ty::Bool } else { field }
            }
            Ast::Call(call) => self.call(call),
            Ast::List(list) => {
                let mut of = Ty::Any;
                for e in &list.elements {
                    of = self.of(e);
                }
                Ty::List(Box::new(of))
            }
            Ast::Map(map) => {
                let mut of = Ty::Any;
                for e in &map.entries {
                    if let EntryExpr::MapEntry(e) = &e.expr {
                        self.of(&e.key);
                        of = self.of(&e.value);
                    }
                }
                Ty::Map(Box::new(of))
            }
            Ast::Comprehension(c) => self.comprehension(c),
            Ast::Struct(_) | Ast::Unspecified => Ty::Any,
        }
    }

    fn say(&mut self, message: String, remedy: String) -> Ty {
        self.findings.push((message, remedy));
        Ty::Any
    }

    fn name(&mut self, name: &str) -> Ty {
        if let Some(ty) = self.names.get(name) {
            return ty.clone();
        }
        let near = nearest(name, self.names.keys());
        self.say(format!("`{name}` is not known here"), near)
    }

    fn field(&mut self, of: &Ty, field: &str) -> Ty {
        match of {
            Ty::Any => Ty::Any,
            Ty::Map(of) => (**of).clone(),
            Ty::Object(name, fields) => match fields.get(field) {
                Some(ty) => ty.clone(),
                None => {
                    let near = nearest(field, fields.keys());
                    self.say(format!("{name} has no field `{field}`"), near)
                }
            },
            other => self.say(
                format!("`.{field}` is asked of a {other}, which has no fields"),
                "see docs/world.md for the fields there are".into(),
            ),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Ty {
        let target = call.target.as_ref().map(|t| self.of(t));
        let args: Vec<Ty> = call.args.iter().map(|a| self.of(a)).collect();
        let arg = |i: usize| args.get(i).cloned().unwrap_or(Ty::Any);
        match call.func_name.as_str() {
            op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT => {
                for a in &args {
                    self.want(&Ty::Bool, a);
                }
                Ty::Bool
            }
            op::CONDITIONAL => {
                self.want(&Ty::Bool, &arg(0));
                self.same(&arg(1), &arg(2), "the two branches of `? :`");
                if arg(1) == Ty::Any { arg(2) } else { arg(1) }
            }
            op::EQUALS | op::NOT_EQUALS => {
                self.same(&arg(0), &arg(1), "the two sides of a comparison");
                Ty::Bool
            }
            op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS => {
                self.same(&arg(0), &arg(1), "the two sides of a comparison");
                Ty::Bool
            }
            op::ADD | op::SUBSTRACT => arithmetic(&arg(0), &arg(1), call.func_name == op::SUBSTRACT),
            op::MULTIPLY | op::DIVIDE | op::MODULO | op::NEGATE => arg(0),
            op::INDEX => match arg(0) {
                Ty::List(of) => {
                    self.want(&Ty::Int, &arg(1));
                    *of
                }
                Ty::Map(of) => *of,
                Ty::Any => Ty::Any,
                other => self.say(format!("`[…]` is asked of a {other}"), "index a list or a map".into()),
            },
            op::IN => Ty::Bool,
            "size" => Ty::Int,
            "int" => Ty::Int,
            "double" => Ty::Float,
            "string" => Ty::String,
            "duration" => Ty::Duration,
            "timestamp" => Ty::Time,
            "bool" | "startsWith" | "endsWith" | "contains" | "matches" | op::NOT_STRICTLY_FALSE => Ty::Bool,
            "max" | "min" => arg(0),
            "others" => match target.and_then(|t| if let Ty::Object(_, f) = t { f.get("voters").cloned() } else { None }) {
                Some(voters) => voters,
                None => self.say("`others` is asked of something else than raft".into(), "write raft.others(name)".into()),
            },
            other => self.say(
                format!("there is no function `{other}`"),
                "use size, int, string, duration, timestamp, startsWith, endsWith, contains, matches, others, or the macros all, exists, exists_one, filter, map, has".into(),
            ),
        }
    }

    fn comprehension(&mut self, c: &ComprehensionExpr) -> Ty {
        let range = self.of(&c.iter_range);
        let of = match range {
            Ty::List(of) => *of,
            Ty::Map(_) => Ty::String,
            Ty::Any | Ty::Object(..) => Ty::Any,
            other => self.say(
                format!("a macro walks a {other}, which is no list"),
                "use it on a list or a map".into(),
            ),
        };
        let init = self.of(&c.accu_init);
        let saved = [&c.iter_var, &c.accu_var].map(|n| (n.clone(), self.names.get(n).cloned()));
        self.names.insert(c.iter_var.clone(), of);
        self.names.insert(c.accu_var.clone(), init);
        let step = self.of(&c.loop_step);
        self.names.insert(c.accu_var.clone(), step);
        let result = self.of(&c.result);
        for (name, ty) in saved {
            match ty {
                Some(ty) => self.names.insert(name, ty),
                None => self.names.remove(&name),
            };
        }
        result
    }

    fn want(&mut self, wanted: &Ty, got: &Ty) {
        if !wanted.fits(got) {
            self.say(
                format!("a {got} stands where a {wanted} is wanted"),
                "compare it with something".into(),
            );
        }
    }

    fn same(&mut self, a: &Ty, b: &Ty, what: &str) {
        if !a.fits(b) {
            self.say(
                format!("{what} are a {a} and a {b}"),
                "compare things of one type; int(), string(), duration() and timestamp() convert"
                    .into(),
            );
        }
    }
}

fn literal(value: &LiteralValue) -> Ty {
    match value {
        LiteralValue::Boolean(_) => Ty::Bool,
        LiteralValue::Int(_) | LiteralValue::UInt(_) => Ty::Int,
        LiteralValue::Double(_) => Ty::Float,
        LiteralValue::String(_) | LiteralValue::Bytes(_) => Ty::String,
        LiteralValue::Null => Ty::Null,
    }
}

fn arithmetic(a: &Ty, b: &Ty, minus: bool) -> Ty {
    match (a, b) {
        (Ty::Time, Ty::Time) if minus => Ty::Duration,
        (Ty::List(x), Ty::List(y)) => Ty::List(if **x == Ty::Any { y.clone() } else { x.clone() }),
        (Ty::Any, other) => other.clone(),
        _ => a.clone(),
    }
}

/// A remedy that names what was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&String> = known.filter(|k| !k.starts_with('@')).collect();
    let close = known
        .iter()
        .map(|k| (distance(name, k), k))
        .min()
        .filter(|(d, _)| *d <= 2.max(name.len() / 3));
    match close {
        Some((_, k)) => format!("did you mean `{k}`?"),
        None => {
            let mut names: Vec<_> = known.iter().map(|k| k.as_str()).collect();
            let more = names.len().saturating_sub(24);
            names.truncate(24);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("known are {}{more}", names.join(", "))
        }
    }
}

/// Edits from one name to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = before + usize::from(ca != *cb);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
