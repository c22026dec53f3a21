//! CEL expressions and `{{ }}` templates: compiled once, judged on fresh data only.

mod hangs;
mod known;
mod seen;
mod template;

pub(crate) use self::seen::Seen;
pub use self::template::Template;
use crate::event::{Judged, Observed, Time, Verdict};
use crate::runbook::capture::Kept;
use crate::runbook::reach::{self, Asks};
use crate::runbook::walk::Members;
use crate::runbook::{because, convert, walk, why};
use crate::world::{Raft, Reach, Reading, Source, World};
use cel::common::ast::{Expr as Ast, IdedExpr, operators};
use cel::{Context, Program};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Longest expression, in bytes: a much longer one could overflow the parser's stack.
pub const LONGEST: usize = 4000;
/// What is said of an expression that is false and names neither rows nor figures.
pub(crate) const NOTHING_SAID: &str = "it is false";

/// A compiled expression.
#[derive(Clone)]
pub struct Expr {
    /// As the author wrote it.
    pub text: String,
    /// Sources whose data it names.
    pub sources: BTreeSet<Source>,
    /// Of those with namespaces, which.
    asks: Arc<BTreeMap<Source, Asks>>,
    /// What it names of `evidence`.
    evidence: Arc<Members>,
    program: Arc<Program>,
    /// What of the world it names: judging shows their values.
    paths: Vec<Shown>,
}

/// A path that an expression names, or its size where nothing else of it is asked for.
#[derive(Clone)]
struct Shown {
    /// As it is shown, `size(raft.voters)`.
    name: String,
    path: String,
    /// Compiled when it is shown first: many never are.
    program: Arc<OnceLock<Option<Program>>>,
}

impl Shown {
    fn new((path, sized): (String, bool)) -> Self {
        let name = if sized { format!("size({path})") } else { path.clone() };
        Self { name, path, program: Arc::default() }
    }

    fn value(&self, context: &Context<'_, '_>) -> Option<cel::Value> {
        let program = self.program.get_or_init(|| Program::compile(&self.name).ok());
        program.as_ref()?.execute(context).ok()
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({})", self.text)
    }
}

/// What an expression sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Observations, with how fresh they are.
    pub world: &'a World,
    /// Now.
    pub now: Time,
    /// `params`.
    pub params: &'a BTreeMap<String, Value>,
    /// `site`.
    pub site: &'a BTreeMap<String, Value>,
    /// `evidence`.
    pub evidence: &'a BTreeMap<String, Value>,
    /// Names of evidence that was to be kept and was not, each with the reason.
    pub lost: &'a BTreeMap<String, String>,
    /// Evidence that counts for a while only.
    pub kept: &'a BTreeMap<String, Kept>,
    /// `choice`: answers of `choose` steps, by step id.
    pub choice: &'a BTreeMap<String, String>,
    /// Name and value of the phase's item, and since when it is worked on (`item.began`).
    pub item: Option<(&'a str, &'a str, Time)>,
    /// `remaining`: items not yet begun.
    pub remaining: &'a [String],
    /// `before`: what the plan saw.
    pub before: Option<&'a Value>,
    /// `result`: what the action returned.
    pub result: Option<&'a Value>,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub String);

impl Expr {
    /// Compiles; the error is the parser's, in a line.
    pub fn new(text: &str) -> Result<Self, EvalError> {
        if text.len() > LONGEST {
            return Err(EvalError(format!(
                "the expression has {} bytes; {LONGEST} is the most",
                text.len()
            )));
        }
        if nesting(text) > 60 {
            return Err(EvalError("the expression is nested deeper than 60 brackets".into()));
        }
        let program = Program::compile(text).map_err(|e| {
            let first = e.to_string();
            EvalError(first.lines().next().unwrap_or("it is no expression").to_owned())
        })?;
        let paths = walk::counted(program.expression());
        let sources = paths.keys().filter_map(|p| Source::of_name(walk::root(p))).collect();
        // Of a table whose rows are named it says nothing how many there are.
        let named = |table: &str| paths.keys().any(|p| p.starts_with(&format!("{table}[")));
        let shown = paths.iter().filter(|(path, _)| !named(path));
        let paths = shown.map(|(path, sized)| Shown::new((path.clone(), *sized))).collect();
        let asks = Arc::new(reach::asks(program.expression()));
        let evidence = Arc::new(walk::members(program.expression(), "evidence"));
        Ok(Self {
            text: text.to_owned(),
            sources,
            asks,
            evidence,
            program: Arc::new(program),
            paths,
        })
    }

    pub(crate) fn ast(&self) -> &IdedExpr {
        self.program.expression()
    }

    /// Its value; freshness is not looked at.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, EvalError> {
        self.eval_seen(&Seen::new(scope))
    }

    fn eval_seen(&self, seen: &Seen<'_>) -> Result<Value, EvalError> {
        if let Some(why) = self.lost(seen.scope) {
            return Err(EvalError(why));
        }
        let value = self.program.execute(&seen.context()).map_err(|e| EvalError(e.to_string()))?;
        Ok(convert::to_json(&value))
    }

    /// In words, the first source that it names and that is not fresh.
    #[must_use]
    pub fn stale(&self, scope: &Scope<'_>) -> Option<String> {
        let seen = Seen::new(scope);
        self.not_fresh(scope, &seen.context())
    }

    fn not_fresh(&self, scope: &Scope<'_>, context: &Context<'_, '_>) -> Option<String> {
        self.sources
            .iter()
            .find_map(|source| {
                let heard = scope.world.sources.get(source);
                if heard.is_some_and(|standing| standing.fresh(scope.now)) {
                    return None;
                }
                Some(format!("{source} is {}", scope.world.standing(*source).words(scope.now)))
            })
            .or_else(|| self.unlooked(scope, context))
            .or_else(|| self.unanswered(scope))
    }

    /// Evidence that it names and that was to be kept: that there is none proves nothing.
    fn lost(&self, scope: &Scope<'_>) -> Option<String> {
        let (name, why) = scope.lost.iter().find(|(name, _)| self.names_evidence(name))?;
        Some(format!("evidence.{name} is not known: {why}"))
    }

    /// Evidence that it names and that does not count any more: nothing is decided on that. What
    /// is filled in from it is as it was.
    fn outdated(&self, scope: &Scope<'_>) -> Option<String> {
        let mut named = scope.kept.iter().filter(|(name, _)| self.names_evidence(name));
        named.find_map(|(name, kept)| kept.outdated(name, scope.now))
    }

    /// Whether it looks at evidence of that name.
    pub(crate) fn names_evidence(&self, name: &str) -> bool {
        self.evidence.whole || self.evidence.named.contains(name)
    }

    /// What must be read for it. A namespace whose name is not known yet is left out; judging
    /// finds it missing.
    pub fn ask(&self, scope: &Scope<'_>, reading: &mut Reading) {
        self.ask_seen(&Seen::new(scope), reading);
    }

    /// The same beside expressions that see the same.
    pub(crate) fn ask_seen(&self, seen: &Seen<'_>, reading: &mut Reading) {
        let context = seen.context();
        for source in &self.sources {
            let reach = match self.asks.get(source) {
                Some(asks) => asks.reach(&context).unwrap_or_else(|_| Reach::none()),
                None => Reach::none(),
            };
            reading.add(*source, reach);
        }
    }

    /// A namespace that it is about and that was not looked into.
    fn unlooked(&self, scope: &Scope<'_>, context: &Context<'_, '_>) -> Option<String> {
        self.asks.iter().find_map(|(source, asks)| match asks.reach(context) {
            Ok(asked) => {
                let lacking = match scope.world.sources.get(source) {
                    Some(standing) => standing.reach.lacks(&asked)?,
                    None => Reach::default().lacks(&asked)?,
                };
                Some(format!(
                    "{source} of {lacking} are not looked at; name them in the site's `namespaces`"
                ))
            }
            Err(e) => Some(format!("which namespaces of {source} it is about is not known: {e}")),
        })
    }

    /// An endpoint that it names and that gave no answer; of one that names none, any.
    fn unanswered(&self, scope: &Scope<'_>) -> Option<String> {
        if !self.sources.contains(&Source::Http) {
            return None;
        }
        let endpoints = &scope.world.http;
        let named = |name: &str| self.text.contains(name);
        let any = !endpoints.keys().any(|name| named(name));
        let (name, silent) =
            endpoints.iter().find(|(name, h)| !h.error.is_empty() && (any || named(name)))?;
        Some(format!("http {name} gives no answer: {}", silent.error))
    }

    /// In words, what it names of raft that only the active node can say and that could not
    /// be read: not false, but not known.
    fn unread(&self, raft: &Raft) -> Option<String> {
        let names = |fields: &[&str]| fields.iter().any(|f| self.text.contains(f));
        let configuration = names(&["quorum", "configured", "is_voter", "is_peer"]);
        let autopilot = names(&["autopilot_healthy"]);
        let what = match (raft.configuration_read, raft.autopilot_read) {
            (false, _) if configuration => "the raft configuration",
            (_, false) if autopilot => "autopilot's state",
            _ => return None,
        };
        Some(format!("{what} could not be read: {}", raft.active_error))
    }

    /// Its verdict: inconclusive, before evaluation, if a source that it names is not fresh.
    #[must_use]
    pub fn judge(&self, scope: &Scope<'_>) -> Judged {
        self.judge_seen(&Seen::new(scope))
    }

    /// The same where several expressions see one thing: what they name is converted once.
    pub(crate) fn judge_seen(&self, seen: &Seen<'_>) -> Judged {
        let judged = self.judge_briefly(seen);
        let values = self.values(seen.scope, &seen.context(), judged.verdict);
        Judged { values, ..judged }
    }

    /// The same without what it was judged on, which takes longer than to judge it, unless that is
    /// all there is to say why not.
    pub(crate) fn judge_briefly(&self, seen: &Seen<'_>) -> Judged {
        let (scope, context) = (seen.scope, seen.context());
        let (verdict, why) = match self.holds(scope, &context) {
            Ok(true) => (Verdict::Pass, String::new()),
            Ok(false) => (Verdict::Fail, self.why_false(scope, &context)),
            Err(why) => (Verdict::Inconclusive, why),
        };
        let values = match why == NOTHING_SAID {
            true => self.values(scope, &context, verdict),
            false => Vec::new(),
        };
        Judged { verdict, why, values, at: scope.now }
    }

    /// The verdict alone, for whoever tells nobody why.
    pub(crate) fn verdict_seen(&self, seen: &Seen<'_>) -> Verdict {
        match self.holds(seen.scope, &seen.context()) {
            Ok(true) => Verdict::Pass,
            Ok(false) => Verdict::Fail,
            Err(_) => Verdict::Inconclusive,
        }
    }

    /// Whether it is so, or why that is not known.
    fn holds(&self, scope: &Scope<'_>, context: &Context<'_, '_>) -> Result<bool, String> {
        let known = || self.lost(scope).or_else(|| self.outdated(scope));
        let unknown = self.not_fresh(scope, context).or_else(known);
        if let Some(why) = unknown {
            return Err(why);
        }
        let found = self.program.execute(context);
        if let Some(why) = self.hangs_on_a_lost_path(scope, found.as_ref().ok()) {
            return Err(why);
        }
        if let Some(why) = self.hangs_on_untold_figures(scope, found.as_ref().ok()) {
            return Err(why);
        }
        let unread = self.sources.contains(&Source::Raft).then(|| self.unread(&scope.world.raft));
        match found {
            Ok(cel::Value::Bool(true)) => unread.flatten().map_or(Ok(true), Err),
            Ok(cel::Value::Bool(false)) => Ok(false),
            Ok(other) => Err(format!("it gives {}, not true or false", convert::brief(&other))),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Which part is false, and where raft is named which voters are not well, and how.
    fn why_false(&self, scope: &Scope<'_>, context: &Context<'_, '_>) -> String {
        let mut whys = vec![why::why_false(self.ast(), context)];
        if self.sources.contains(&Source::Raft) {
            whys.extend(scope.world.raft.unwell_beside(&whys[0]));
        }
        whys.retain(|w| !w.is_empty());
        if whys.is_empty() { NOTHING_SAID.into() } else { whys.join("; ") }
    }

    /// What it was judged on, for people: rows that decide, and values that it names.
    fn values(
        &self,
        scope: &Scope<'_>,
        context: &Context<'_, '_>,
        verdict: Verdict,
    ) -> Vec<Observed> {
        let at = |path: &str| {
            let source = Source::of_name(walk::root(path));
            source.and_then(|s| scope.world.sources.get(&s)?.as_of)
        };
        let rows = because::decisive(self.ast(), context, verdict);
        let told = |path: &str| {
            let inside =
                |of: &str| of.strip_prefix(path).is_some_and(|rest| !rest.starts_with('.'));
            rows.iter().any(|row| inside(&row.of))
                || (!rows.is_empty() && Source::of_name(path).is_some())
        };
        let named = self.paths.iter().filter(|shown| !told(&shown.path));
        let named = named.filter_map(|shown| {
            let Shown { name, path, .. } = shown;
            let source = Source::of_name(walk::root(path));
            // A long table is told by its length: it need not be looked at.
            let whole = source.filter(|s| s.name() == path.as_str());
            let rows = whole.and_then(|s| seen::rows(scope.world, s));
            let sized = rows.filter(|_| name != path).map(|n| n.to_string());
            let value = match sized.or_else(|| rows.and_then(convert::many)) {
                Some(value) => value,
                None => convert::brief(&shown.value(context)?),
            };
            Some(Observed { name: name.clone(), value, at: at(path) })
        });
        let named: Vec<_> = named.collect();
        let rows = rows.into_iter().map(|row| {
            let at = at(&row.of);
            Observed { name: row.of, value: row.rows, at }
        });
        rows.chain(named).collect()
    }
}

fn nesting(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut most = 0;
    for b in text.bytes() {
        match b {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'!' | b'-' => {}
            _ => continue,
        }
        most = most.max(depth);
    }
    most
}

/// Conjuncts of an expression: `a && b && c`.
pub(crate) fn conjuncts(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Ast::Call(call) if call.func_name == operators::LOGICAL_AND => {
            call.args.iter().flat_map(conjuncts).collect()
        }
        _ => vec![expr],
    }
}

#[cfg(test)]
mod tests;
