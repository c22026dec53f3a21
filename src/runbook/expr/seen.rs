//! What an expression sees, made as it is asked for: most expressions name two or three
//! names, and a cluster's tables are large.

use crate::runbook::convert;
use crate::runbook::expr::Scope;
use crate::world::{Raft, Source, World};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock, OnceLock};

/// Names beside the sources' own.
const OTHERS: [&str; 9] =
    ["params", "site", "evidence", "choice", "remaining", "now", "item", "before", "result"];
/// Places of the names: the sources, the others, and last the phase's own item.
const NAMES: usize = Source::ALL.len() + OTHERS.len() + 1;

static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A scope's values, each converted when it is first named.
pub(crate) struct Seen<'a> {
    pub(super) scope: &'a Scope<'a>,
    raft: &'a Raft,
    found: [OnceLock<Option<Box<dyn Val>>>; NAMES],
}

impl<'a> Seen<'a> {
    /// The world that it sees.
    pub(crate) fn world(&self) -> &World {
        self.scope.world
    }

    pub(crate) fn new(scope: &'a Scope<'a>) -> Self {
        Self::supposing(scope, &scope.world.raft)
    }

    /// With that raft instead of the one observed.
    pub(super) fn supposing(scope: &'a Scope<'a>, raft: &'a Raft) -> Self {
        Self { scope, raft, found: [const { OnceLock::new() }; NAMES] }
    }

    /// For programs.
    pub(super) fn context(&self) -> Context<'_, '_> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        // Fails only where the name is taken, and the context is new.
        let _ = context.add_function("others", others);
        context.set_variable_resolver(self);
        context
    }

    fn place(&self, name: &str) -> Option<usize> {
        let source = || Source::ALL.iter().position(|s| s.name() == name);
        let other = || OTHERS.iter().position(|o| *o == name).map(|i| Source::ALL.len() + i);
        let item = || self.scope.item.filter(|(var, ..)| *var == name).map(|_| NAMES - 1);
        // As a later value took the place of an earlier one of the same name.
        match name {
            "before" | "result" | "item" => other(),
            _ => item().or_else(other).or_else(source),
        }
    }

    fn value(&self, name: &str) -> Option<Value> {
        let scope = self.scope;
        let of = |v: Result<Value, serde_json::Error>| Some(v.unwrap_or(Value::Null));
        match name {
            "before" => scope.before.cloned(),
            "result" => scope.result.cloned(),
            "item" => scope.item.map(|(_, value, began)| json!({"name": value, "began": began})),
            _ if scope.item.is_some_and(|(var, ..)| var == name) => {
                scope.item.map(|(_, value, _)| json!(value))
            }
            "params" => of(serde_json::to_value(scope.params)),
            "site" => of(serde_json::to_value(scope.site)),
            "evidence" => of(serde_json::to_value(scope.evidence)),
            "choice" => of(serde_json::to_value(scope.choice)),
            "remaining" => of(serde_json::to_value(scope.remaining)),
            "now" => Some(json!(scope.now.to_string())),
            _ => Source::of_name(name).and_then(|s| of(part(scope.world, self.raft, s))),
        }
    }
}

impl VariableResolver for Seen<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let cell = self.found.get(self.place(name)?)?;
        let found = cell.get_or_init(|| self.value(name).map(|v| convert::to_val(&v)));
        found.as_deref().map(CowVal::Borrowed)
    }
}

fn part(world: &World, raft: &Raft, source: Source) -> Result<Value, serde_json::Error> {
    match source {
        Source::Raft => serde_json::to_value(raft),
        Source::Claims => serde_json::to_value(&world.claims),
        Source::Volumes => serde_json::to_value(&world.volumes),
        Source::Classes => serde_json::to_value(&world.classes),
        Source::Pods => serde_json::to_value(&world.pods),
        Source::Statefulsets => serde_json::to_value(&world.statefulsets),
        Source::Cronjobs => serde_json::to_value(&world.cronjobs),
        Source::Nodes => serde_json::to_value(&world.nodes),
        Source::Secrets => serde_json::to_value(&world.secrets),
        Source::Http => serde_json::to_value(&world.http),
    }
}

/// How many rows a source has that is a table.
pub(super) fn rows(world: &World, source: Source) -> Option<usize> {
    match source {
        Source::Raft | Source::Http => None,
        Source::Claims => Some(world.claims.len()),
        Source::Volumes => Some(world.volumes.len()),
        Source::Classes => Some(world.classes.len()),
        Source::Pods => Some(world.pods.len()),
        Source::Statefulsets => Some(world.statefulsets.len()),
        Source::Cronjobs => Some(world.cronjobs.len()),
        Source::Nodes => Some(world.nodes.len()),
        Source::Secrets => Some(world.secrets.len()),
    }
}

/// `raft.others("vault-0")`: every voter but that one.
fn others(
    cel::extractors::This(raft): cel::extractors::This<cel::Value>,
    name: Arc<String>,
) -> Result<cel::Value, cel::ExecutionError> {
    let unfit =
        || cel::ExecutionError::function_error("others", "it is asked of raft: raft.others(name)");
    let cel::Value::Map(raft) = &raft else { return Err(unfit()) };
    let Some(cel::Value::List(voters)) = raft.get(&cel::objects::KeyRef::String("voters")) else {
        return Err(unfit());
    };
    let kept = voters
        .iter()
        .filter(|v| convert::field(v, "name") != Some(cel::Value::String(name.clone())));
    Ok(cel::Value::List(Arc::new(kept.cloned().collect())))
}
