//! TOML to model: every table by itself, so that one mistake does not hide the next.

use crate::event::Span;
use crate::problem::Problem;
use crate::runbook::Expr;
use crate::runbook::lint::{Lint, Names};
use crate::runbook::model::{
    Backout, Each, Followup, Guard, OnGuard, Param, ParamKind, Phase, Runbook, Step, Then, UNDO,
    Window,
};
use crate::runbook::raw::{RawEach, RawFollowup, RawGuard, RawParam, RawStep, RawWindow};
use crate::runbook::steps;
use crate::runbook::table::{Table, check_id, into_table, leftover, read, required, tables, take};
use crate::runbook::types::Ty;
use crate::runbook::undo::undoing;
use crate::runbook::walk;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Largest runbook, in bytes. The shipped ones have about 20 KB.
pub const LARGEST: usize = 1 << 20;
/// Version of the format that this Holdpoint reads.
const FORMAT: i64 = 1;

/// A runbook that can be used, with what may surprise.
#[derive(Debug)]
pub struct Loaded {
    /// The document.
    pub runbook: Runbook,
    /// Warnings.
    pub warnings: Vec<Problem>,
}

/// Reads a runbook. All its problems at once, errors and warnings, if there is an error.
pub fn load(text: &str) -> Result<Loaded, Vec<Problem>> {
    if text.len() > LARGEST {
        let message = format!("the file has {} bytes; a runbook has at most {LARGEST}", text.len());
        return Err(vec![Problem::error(0..0, message, "is this the right file?")]);
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut lint = Lint::new(errors.iter().map(|e| of_toml(e, 0..0)).collect());
    lint.problems.truncate(10);
    if !lint.problems.is_empty() {
        return Err(lint.problems);
    }
    let table = root.into_inner();
    steering(&table, &mut lint);
    let runbook = Reader { lint: &mut lint, table }.runbook();
    match runbook {
        Some(runbook) if lint.problems.iter().all(|p| p.warning) => {
            Ok(Loaded { runbook, warnings: lint.problems })
        }
        _ => Err(lint.problems),
    }
}

/// Text that would steer the terminal that shows it, or that nobody sees: a title that hides
/// what a step does.
fn steering(table: &DeTable<'_>, lint: &mut Lint) {
    for value in table.values() {
        steering_value(value, lint);
    }
}

fn steering_value(value: &Spanned<DeValue<'_>>, lint: &mut Lint) {
    match value.get_ref() {
        DeValue::String(text) => {
            let plain = text.replace(['\n', '\t'], " ");
            if crate::text::clean_line(&plain) != plain {
                lint.error(
                    value.span(),
                    "it holds control characters, or characters that nobody sees".to_owned(),
                    "take them out; what is shown must be what is meant",
                );
            }
        }
        DeValue::Array(list) => list.iter().for_each(|v| steering_value(v, lint)),
        DeValue::Table(table) => steering(table, lint),
        _ => {}
    }
}

/// A deserializer's error, with what it says about remedies split off.
pub(crate) fn of_toml(e: &toml::de::Error, fallback: Range<usize>) -> Problem {
    let message = e.message().replace('\n', "; ");
    let remedy = if message.contains("unknown field") {
        "correct the name, or take it out"
    } else if message.contains("missing field") {
        "add the field"
    } else if message.contains("invalid type") || message.contains("unknown variant") {
        "give a value of that kind"
    } else {
        "correct the TOML; see docs/runbooks.md for the shape"
    };
    Problem::error(e.span().unwrap_or(fallback), message, remedy)
}

struct Reader<'a, 'i> {
    lint: &'a mut Lint,
    table: Table<'i>,
}

const TOP: [&str; 12] = [
    "format", "id", "title", "owner", "needs", "params", "window", "quiet", "guard", "phase",
    "backout", "followup",
];

impl Reader<'_, '_> {
    fn runbook(mut self) -> Option<Runbook> {
        let format: Option<Spanned<i64>> = required(self.lint, &mut self.table, "format", &(0..0));
        if let Some(format) = format.filter(|f| *f.get_ref() != FORMAT) {
            self.lint.error(
                format.span(),
                format!("format {} is not known", format.get_ref()),
                "write format = 1, or use a newer Holdpoint",
            );
        }
        let id: Option<Spanned<String>> = required(self.lint, &mut self.table, "id", &(0..0));
        if let Some(id) = &id {
            check_id(self.lint, id, &mut BTreeSet::new(), "runbook");
        }
        let title = required(self.lint, &mut self.table, "title", &(0..0));
        let owner = required(self.lint, &mut self.table, "owner", &(0..0));
        let needs = self.needs();
        let params = self.params();
        let window = take(&mut self.table, "window");
        let at = window.as_ref().map_or(0..0, Spanned::span);
        let window: Option<RawWindow> = window.and_then(|v| read(self.lint, v));
        if let Some(w) = window.as_ref().filter(|w| w.backout_reserve >= w.length) {
            let message =
                format!("of a window of {} nothing is left beside {}", w.length, w.backout_reserve);
            self.lint.error(at.clone(), message, "make it longer than what is kept for going back");
        }
        let mut names = names(&params);
        let quiet = self.quiet(&names);
        let guards = self.guards(&names);
        let phases = self.phases(&mut names);
        let backouts = self.backouts(&names, &phases);
        let followups = self.followups(&names);
        leftover(self.lint, &self.table, &TOP);
        Some(Runbook {
            id: id?.into_inner(),
            title: title?,
            owner: owner?,
            needs,
            params,
            window: window.map(|w| Window { length: w.length, backout_reserve: w.backout_reserve }),
            quiet,
            guards,
            phases,
            backouts,
            undo: undoing(),
            followups,
        })
    }

    fn needs(&mut self) -> Vec<String> {
        let Some(value) = take(&mut self.table, "needs") else { return Vec::new() };
        let needs: Vec<Spanned<String>> = read(self.lint, value).unwrap_or_default();
        for need in &needs {
            if !["kubernetes", "vault"].contains(&need.get_ref().as_str()) {
                self.lint.error(
                    need.span(),
                    format!("`{}` is no system that a site can provide", need.get_ref()),
                    "known are kubernetes and vault",
                );
            }
        }
        needs.into_iter().map(Spanned::into_inner).collect()
    }

    fn params(&mut self) -> BTreeMap<String, Param> {
        let mut params = BTreeMap::new();
        let Some(value) = take(&mut self.table, "params") else { return params };
        let Some(table) = into_table(self.lint, value, "params") else { return params };
        for (name, value) in table {
            let Some(raw) = read::<RawParam>(self.lint, value) else { continue };
            let default = raw.default.as_ref().and_then(|d| {
                let json = serde_json::to_value(d.get_ref()).ok()?;
                if let Err(why) = check_param(raw.kind, &json) {
                    self.lint.error(d.span(), why, "give a default of the parameter's type");
                }
                Some(json)
            });
            params.insert(
                name.into_inner().into_owned(),
                Param { kind: raw.kind, default, says: raw.says },
            );
        }
        params
    }

    fn quiet(&mut self, names: &Names) -> Option<Expr> {
        let text: Spanned<String> = read(self.lint, take(&mut self.table, "quiet")?)?;
        let rows = names.0.get("cronjobs").cloned().unwrap_or(Ty::Any);
        self.lint.of_type(&text, names, &rows)
    }

    fn guards(&mut self, names: &Names) -> Vec<Guard> {
        let mut seen = BTreeSet::new();
        let mut guards = Vec::new();
        for value in tables(self.lint, &mut self.table, "guard") {
            let Some(raw) = read::<RawGuard>(self.lint, value) else { continue };
            check_id(self.lint, &raw.id, &mut seen, "guard");
            if let Some(that) = self.lint.condition(&raw.that, names) {
                guards.push(Guard {
                    id: raw.id.into_inner(),
                    that,
                    says: raw.says,
                    debounce: raw.debounce,
                });
            }
        }
        guards
    }

    /// Evidence and choices become known to later steps as they are met.
    fn phases(&mut self, names: &mut Names) -> Vec<Phase> {
        let mut seen = BTreeSet::new();
        let mut phases = Vec::new();
        let values = tables(self.lint, &mut self.table, "phase");
        if values.is_empty() {
            self.lint.error(
                0..0,
                "there is no phase",
                "add a [[phase]] with at least one [[phase.step]]",
            );
        }
        for value in values {
            let span = value.span();
            let Some(mut table) = into_table(self.lint, value, "a phase") else { continue };
            phases.extend(self.phase(&mut table, &span, ("phase", &[]), names, &mut seen));
        }
        phases
    }

    /// What a phase and a way back have in common; `also` is what else stands in its table.
    fn phase(
        &mut self,
        table: &mut Table<'_>,
        span: &Range<usize>,
        (what, also): (&str, &[&str]),
        names: &mut Names,
        seen: &mut BTreeSet<String>,
    ) -> Option<Phase> {
        let id: Option<Spanned<String>> = required(self.lint, table, "id", span);
        if let Some(id) = &id {
            check_id(self.lint, id, seen, what);
            if id.get_ref() == UNDO {
                let remedy = "give it another id";
                self.lint.error(id.span(), "`undo` is where steps are undone", remedy);
            }
        }
        let title: Option<String> = required(self.lint, table, "title", span);
        let each = take(table, "each").and_then(|v| self.each(v, names));
        let inner = match &each {
            Some(each) => names.with(&each.var, Ty::String).with("item", item_type()),
            None => names.clone(),
        };
        let steps = self.steps(table, span, inner, names);
        leftover(self.lint, table, &[&["id", "title", "each", "step"], also].concat());
        Some(Phase { id: id?.into_inner(), title: title?, each, steps })
    }

    fn each(&mut self, value: Spanned<DeValue<'_>>, names: &Names) -> Option<Each> {
        let span = value.span();
        let table = into_table(self.lint, value, "each")?;
        if table.len() != 1 {
            self.lint.error(span, "`each` has one name", "write [phase.each.NAME]");
            return None;
        }
        let (var, value) = table.into_iter().next()?;
        let raw: RawEach = read(self.lint, value)?;
        let list = Ty::List(Box::new(Ty::String));
        let of = self.lint.of_type(&raw.of, names, &list)?;
        let inner = names.with("remaining", list);
        let next = raw.next.as_ref().and_then(|n| self.lint.of_type(n, &inner, &Ty::String));
        Some(Each { var: var.into_inner().into_owned(), of, next })
    }

    fn steps(
        &mut self,
        table: &mut Table<'_>,
        span: &Range<usize>,
        mut inner: Names,
        names: &mut Names,
    ) -> Vec<Step> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let values = tables(self.lint, table, "step");
        if values.is_empty() {
            self.lint.error(span.clone(), "it has no step", "add a [[phase.step]]");
        }
        for value in values {
            let Some(raw) = read::<RawStep>(self.lint, value) else { continue };
            check_id(self.lint, &raw.id, &mut seen, "step");
            if let Some((step, learnt)) = steps::compile(self.lint, raw, &inner) {
                for (of, name, ty) in learnt {
                    for names in [&mut inner, &mut *names] {
                        steps::learn(names, of, &name, ty.clone());
                    }
                }
                found.push(step);
            }
        }
        found
    }

    /// What a way back learns stays in it.
    fn backouts(&mut self, names: &Names, phases: &[Phase]) -> Vec<Backout> {
        let mut seen = phases.iter().map(|p| p.id.clone()).collect();
        let mut backouts = Vec::new();
        for value in tables(self.lint, &mut self.table, "backout") {
            let span = value.span();
            let Some(mut table) = into_table(self.lint, value, "a back-out") else { continue };
            let when: Option<Spanned<String>> =
                take(&mut table, "when").and_then(|v| read(self.lint, v));
            let when = when.and_then(|w| self.lint.condition(&w, names));
            let then: Option<Then> = take(&mut table, "then").and_then(|v| read(self.lint, v));
            let then = then.unwrap_or(Then::End);
            let kind = ("back-out", ["when", "then"].as_slice());
            let phase = self.phase(&mut table, &span, kind, &mut names.clone(), &mut seen);
            let stops = |s: &&Step| s.on_breach == OnGuard::Stop;
            if let Some(step) = phase.as_ref().and_then(|p| p.steps.iter().find(stops)) {
                let what = format!("{} asks for an end that never comes", step.id);
                let remedy = "take its on_breach away: on a way back no breach ends anything";
                self.lint.error(span.clone(), what, remedy);
            }
            backouts.extend(phase.map(|phase| Backout { phase, when, then }));
        }
        backouts
    }

    /// What Holdpoint counts while it looks is nothing to one that looks for the first time.
    fn check(&mut self, text: &Spanned<String>, names: &Names) -> Option<Expr> {
        let check = self.lint.condition(text, names)?;
        let counted = ["raft.elections", "raft.rate"];
        let paths = walk::paths(check.ast());
        if let Some(path) = counted.into_iter().find(|path| paths.iter().any(|p| p == path)) {
            let what = format!("{path} is counted while a run is watched");
            self.lint.error(text.span(), what, "name what is so when the run is long over");
        }
        Some(check)
    }

    fn followups(&mut self, names: &Names) -> Vec<Followup> {
        let mut seen = BTreeSet::new();
        let mut followups = Vec::new();
        for value in tables(self.lint, &mut self.table, "followup") {
            let Some(raw) = read::<RawFollowup>(self.lint, value) else { continue };
            check_id(self.lint, &raw.id, &mut seen, "follow-up");
            let check = raw.check.and_then(|text| self.check(&text, names));
            followups.push(Followup {
                id: raw.id.into_inner(),
                title: raw.title,
                due: raw.due,
                owner: raw.owner,
                check,
            });
        }
        followups
    }
}

fn item_type() -> Ty {
    let fields = [("name".to_owned(), Ty::String), ("began".to_owned(), Ty::Time)];
    Ty::Object("item".into(), Arc::new(fields.into()))
}

/// What expressions may name before any step has run.
fn names(params: &BTreeMap<String, Param>) -> Names {
    let mut names = Ty::world();
    let params = params.iter().map(|(k, p)| (k.clone(), Ty::of_param(p.kind))).collect();
    names.insert("params".into(), Ty::Object("params".into(), Arc::new(params)));
    names.insert("site".into(), Ty::Map(Box::new(Ty::Any)));
    names.insert("now".into(), Ty::Time);
    for empty in ["evidence", "choice"] {
        names.insert(empty.into(), Ty::Object(empty.into(), Arc::default()));
    }
    Names(names)
}

/// Whether a value is of a parameter's kind; says why not.
pub fn check_param(kind: ParamKind, value: &Value) -> Result<(), String> {
    match (kind, value) {
        (ParamKind::String, Value::String(_))
        | (ParamKind::Int, Value::Number(_))
        | (ParamKind::Bool, Value::Bool(_)) => Ok(()),
        (ParamKind::Duration, Value::String(s)) => {
            s.parse::<Span>().map(|_| ()).map_err(|e| e.to_string())
        }
        (kind, other) => Err(format!("{other} is no {}", format!("{kind:?}").to_lowercase())),
    }
}
