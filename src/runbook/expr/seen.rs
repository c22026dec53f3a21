//! What an expression sees, made as it is asked for: most expressions name two or three
//! names, and a cluster's tables are large.

use crate::event::Time;
use crate::runbook::convert;
use crate::runbook::expr::Scope;
use crate::runbook::valued::{Boxed, val};
use crate::world::{Raft, Source, World};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env};
use serde::Serialize;
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
    /// Instead of the one that was observed.
    raft: Option<&'a Raft>,
    found: [OnceLock<Option<Boxed>>; NAMES],
}

impl<'a> Seen<'a> {
    /// The world that it sees.
    pub(crate) fn world(&self) -> &World {
        self.scope.world
    }

    pub(crate) fn new(scope: &'a Scope<'a>) -> Self {
        Self { scope, raft: None, found: [const { OnceLock::new() }; NAMES] }
    }

    /// With that raft instead of the one observed.
    pub(super) fn supposing(scope: &'a Scope<'a>, raft: &'a Raft) -> Self {
        Self { scope, raft: Some(raft), found: [const { OnceLock::new() }; NAMES] }
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

    fn value(&self, name: &str) -> Option<Boxed> {
        let scope = self.scope;
        Some(match name {
            "before" => val(scope.before?),
            "result" => val(scope.result?),
            "item" => {
                let (_, name, began) = scope.item?;
                val(&Item { name, began })
            }
            _ if scope.item.is_some_and(|(var, ..)| var == name) => val(scope.item?.1),
            "params" => val(scope.params),
            "site" => val(scope.site),
            "evidence" => val(scope.evidence),
            "choice" => val(scope.choice),
            "remaining" => val(scope.remaining),
            "now" => val(&scope.now),
            _ => self.part(Source::of_name(name)?),
        })
    }

    fn part(&self, source: Source) -> Boxed {
        let world = self.scope.world;
        match source {
            Source::Raft => val(self.raft.unwrap_or(&world.raft)),
            Source::Claims => val(&world.claims),
            Source::Volumes => val(&world.volumes),
            Source::Classes => val(&world.classes),
            Source::Pods => val(&world.pods),
            Source::Statefulsets => val(&world.statefulsets),
            Source::Cronjobs => val(&world.cronjobs),
            Source::Nodes => val(&world.nodes),
            Source::Secrets => val(&world.secrets),
            Source::Http => val(&world.http),
        }
    }

    /// Raft as it was made a value once, where it is the one that was observed: it is looked at
    /// every second, by guards and gates.
    fn observed(&self, source: Option<Source>) -> Option<&(dyn Val + 'static)> {
        let raft = &self.scope.world.raft;
        let form: Option<&Boxed> = match (source, self.raft) {
            (Some(Source::Raft), None) => raft.form(val),
            _ => None,
        };
        form.map(|form| &**form)
    }
}

/// `item`, as expressions see it.
#[derive(Serialize)]
struct Item<'a> {
    name: &'a str,
    began: Time,
}

impl VariableResolver for Seen<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let place = self.place(name)?;
        if let Some(raft) = self.observed(Source::ALL.get(place).copied()) {
            return Some(CowVal::Borrowed(raft));
        }
        let found = self.found.get(place)?.get_or_init(|| self.value(name));
        found.as_deref().map(CowVal::Borrowed)
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
