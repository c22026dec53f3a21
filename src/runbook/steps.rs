//! One step: from TOML to model, and what the lint asks of a step as a whole.

use crate::event::Span;
use crate::runbook::after::{before_type, result_type};
use crate::runbook::capture::captures;
use crate::runbook::lint::{Lint, Names};
use crate::runbook::model::{
    Arg, BUILT_IN, Call, Does, Gate, Hold, OnBreach, OnGuard, Poll, Risk, Step, Verify,
};
use crate::runbook::raw::{RawDo, RawGate, RawPoll, RawStep, RawVerify};
use crate::runbook::table::check_id;
use crate::runbook::types::{Ty, nearest};
use crate::runbook::undo::undo;
use crate::runbook::verbs::{ArgKind, VERBS, Verb, can_stop, seconds, verb};
use crate::runbook::{Expr, Template};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;

/// A name that later steps know: of `evidence` or `choice`.
pub(crate) type Learnt = (&'static str, String, Ty);

const WITHIN: Span = Span::secs(300);

pub(crate) fn compile(lint: &mut Lint, raw: RawStep, names: &Names) -> Option<(Step, Vec<Learnt>)> {
    let at = raw.id.span();
    let mut learnt = Vec::new();
    let title = lint.template(&raw.title, names)?;
    let why = raw.why.as_ref().and_then(|w| lint.template(w, names));
    let when = raw.when.as_ref().and_then(|w| lint.condition(w, names));
    let (does, spec) = does(lint, &raw, names, &at)?;
    if let Does::Choose { .. } = does {
        learnt.push(("choice", raw.id.get_ref().clone(), Ty::String));
    }
    let gates = gates(lint, &raw.gate, names);
    let after = names.with("before", before_type(spec)).with("result", result_type(spec));
    let verify = raw.verify.as_ref().and_then(|v| verify(lint, v, &after));
    let probe = raw.probe.as_ref().and_then(|p| lint.condition(p, &after));
    let captured = captures(lint, raw.capture, &after);
    learnt.extend(captured.iter().map(|(c, ty)| ("evidence", c.name.clone(), ty.clone())));
    let capture = captured.into_iter().map(|(c, _)| c).collect();
    let confirm = raw.confirm.as_ref().and_then(|c| lint.template(c, names));
    let mut known = names.clone();
    learnt.iter().for_each(|(of, name, ty)| learn(&mut known, of, name, ty.clone()));
    let undo = raw.undo.as_ref().and_then(|u| undo(lint, u, &title, &known, &at));
    let action = matches!(does, Does::Action(_));
    let step = Step {
        id: raw.id.get_ref().clone(),
        title,
        why,
        when,
        hold: raw.hold.unwrap_or(if action { Hold::Release } else { Hold::None }),
        risk: raw.risk.unwrap_or(Risk::Reversible),
        estimate: raw.estimate,
        does,
        poll: raw.poll.map(|p| poll(lint, p, &at)),
        gates,
        verify,
        probe,
        confirm,
        undo,
        capture,
        on_breach: raw.on_breach.as_ref().map(|b| *b.get_ref()).unwrap_or_default(),
    };
    whole(lint, &step, spec, &at);
    if let Some(b) = raw.on_breach.as_ref().filter(|b| *b.get_ref() == OnGuard::Stop) {
        stoppable(lint, spec, b.span());
    }
    Some((step, learnt))
}

/// Half of a deletion or of a restore is worse than either end.
fn stoppable(lint: &mut Lint, spec: Option<&Verb>, at: Range<usize>) {
    if spec.is_some_and(|verb| can_stop(verb.name)) {
        return;
    }
    let what = spec.map_or("nothing runs in it that".into(), |verb| {
        format!("{} is no action that", verb.name)
    });
    let those: Vec<_> = VERBS.iter().map(|v| v.name).filter(|name| can_stop(name)).collect();
    lint.error(
        at,
        format!("{what} can be ended in the middle"),
        format!("take on_breach away; {} can", those.join(", ")),
    );
}

/// What a step as a whole must have.
fn whole(lint: &mut Lint, step: &Step, spec: Option<&Verb>, at: &Range<usize>) {
    let destructive = step.risk != Risk::Reversible;
    if spec.is_some_and(|s| s.destructive) && !destructive {
        lint.error(
            at.clone(),
            "its action deletes something, but its risk says reversible",
            "write risk = \"destructive\"",
        );
    }
    if destructive {
        let missing = [
            ("gate", step.gates.is_empty()),
            ("verify", step.verify.is_none()),
            ("undo", step.undo.is_none()),
        ];
        for (what, _) in missing.iter().filter(|(_, missing)| *missing) {
            lint.error(
                at.clone(),
                format!("a {} step without a {what}", risk_word(step.risk)),
                format!("add a {what}; undo.none = \"why\" says that there is none"),
            );
        }
        if matches!(step.hold, Hold::None | Hold::Witness) {
            lint.error(
                at.clone(),
                "a destructive step would begin by itself",
                "write hold = \"release\" or \"two-person\"",
            );
        }
    }
    if matches!(step.does, Does::Check) && step.verify.is_none() {
        lint.error(
            at.clone(),
            "a step that neither does nor verifies anything",
            "add do, choose, manual, soak or verify",
        );
    }
    if step.probe.is_some() && !step.acts() {
        lint.warn(
            at.clone(),
            "a probe that nobody asks: this step is neither claimed nor ever in doubt",
            "write it as the step's verify, or take it out",
        );
    }
    if spec.is_some_and(|s| s.name == "shell.run") && step.probe.is_none() && step.verify.is_none()
    {
        lint.warn(
            at.clone(),
            "nobody can tell later whether this program did its work",
            "add a verify or a probe",
        );
    }
}

/// Who is asked before it.
fn poll(lint: &mut Lint, raw: RawPoll, at: &Range<usize>) -> Poll {
    if raw.of.is_empty() {
        lint.error(at.clone(), "a poll that asks nobody", "write poll.of = [\"NAME\", …]");
    }
    let mut seen = BTreeSet::new();
    raw.of.iter().for_each(|name| check_id(lint, name, &mut seen, "one who is asked"));
    Poll { of: raw.of.into_iter().map(Spanned::into_inner).collect(), lasts: raw.lasts }
}

/// Later steps may name it.
pub(crate) fn learn(names: &mut Names, of: &str, name: &str, ty: Ty) {
    if let Some(Ty::Object(_, fields)) = names.0.get_mut(of) {
        Arc::make_mut(fields).insert(name.to_owned(), ty);
    }
}

fn risk_word(risk: Risk) -> &'static str {
    match risk {
        Risk::Reversible => "reversible",
        Risk::Destructive => "destructive",
        Risk::PointOfNoReturn => "point-of-no-return",
    }
}

fn does(
    lint: &mut Lint,
    raw: &RawStep,
    names: &Names,
    at: &Range<usize>,
) -> Option<(Does, Option<&'static Verb>)> {
    let ways = [raw.does.is_some(), raw.choose.is_some(), raw.manual.is_some(), raw.soak.is_some()];
    if ways.iter().filter(|w| **w).count() > 1 {
        lint.error(at.clone(), "a step does one thing", "split it into several steps");
    }
    if let Some(raw) = &raw.does {
        let (call, spec) = call(lint, raw, names, at)?;
        return Some((Does::Action(call), Some(spec)));
    }
    if let Some(choose) = &raw.choose {
        if choose.branches.len() < 2 {
            lint.error(
                choose.question.span(),
                "a question with fewer than two branches",
                "add branches = { one = \"…\", other = \"…\" }",
            );
        }
        let mut branches: Vec<_> = choose.branches.iter().collect();
        branches.sort_by_key(|(_, title)| title.span().start);
        let branches = branches.into_iter().map(|(id, t)| (id.clone(), t.get_ref().clone()));
        let branches = branches.collect();
        return Some((
            Does::Choose { question: lint.template(&choose.question, names)?, branches },
            None,
        ));
    }
    if let Some(manual) = &raw.manual {
        let instruction = lint.template(&manual.instruction, names)?;
        let command = manual.command.as_ref().and_then(|c| lint.template(c, names));
        return Some((Does::Manual { instruction, command }, None));
    }
    if let Some(soak) = &raw.soak {
        let length = lint.template(&soak.length, names)?;
        if !soak.length.get_ref().contains("{{") && soak.length.get_ref().parse::<Span>().is_err() {
            lint.error(
                soak.length.span(),
                format!("`{}` is no duration", soak.length.get_ref()),
                "write for = \"24h\"",
            );
        }
        let watch = gates(lint, &soak.watch, names);
        let on_breach = soak.on_breach.unwrap_or(OnBreach::Restart);
        return Some((Does::Soak { length, watch, on_breach }, None));
    }
    Some((Does::Check, None))
}

pub(super) fn call(
    lint: &mut Lint,
    raw: &RawDo,
    names: &Names,
    at: &Range<usize>,
) -> Option<(Call<Template>, &'static Verb)> {
    let all: Vec<String> = VERBS.iter().map(|v| v.name.to_owned()).collect();
    let mut found = raw.iter().flat_map(|(family, verbs)| {
        verbs.iter().map(move |(name, args)| (format!("{family}.{name}"), args))
    });
    let (Some((name, args)), None) = (found.next(), found.next()) else {
        lint.error(at.clone(), "`do` names one action", "write do.FAMILY.ACTION = { … }");
        return None;
    };
    let Some(spec) = verb(&name) else {
        lint.error(args.span(), format!("there is no action `{name}`"), nearest(&name, all.iter()));
        return None;
    };
    let known: Vec<String> = spec.args.iter().map(|a| a.name.to_owned()).collect();
    let mut compiled = BTreeMap::new();
    for (key, value) in args.get_ref() {
        let Some(arg) = spec.args.iter().find(|a| a.name == key) else {
            lint.error(
                value.span(),
                format!("`{name}` has no argument `{key}`"),
                nearest(key, known.iter()),
            );
            continue;
        };
        if let Some(value) = argument(lint, arg.kind, key, value, names) {
            compiled.insert(key.clone(), value);
        }
    }
    for arg in spec.args.iter().filter(|a| a.required && !args.get_ref().contains_key(a.name)) {
        lint.error(
            args.span(),
            format!("`{name}` wants `{}`: {}", arg.name, arg.says),
            format!("add {} = …", arg.name),
        );
    }
    Some((Call { verb: name, args: compiled }, spec))
}

fn argument(
    lint: &mut Lint,
    kind: ArgKind,
    key: &str,
    value: &Spanned<toml::Value>,
    names: &Names,
) -> Option<Arg<Template>> {
    let text = |s: &String| Spanned::new(value.span(), s.clone());
    match (kind, value.get_ref()) {
        (ArgKind::Text, toml::Value::String(s)) => Some(Arg::Text(lint.template(&text(s), names)?)),
        (ArgKind::Seconds(least), toml::Value::String(s)) => {
            // What a parameter gives is judged when the action is resolved.
            if !s.contains("{{")
                && let Err(why) = seconds(s, least)
            {
                let remedy = format!("write whole seconds, {least} or more, as in \"30s\"");
                lint.error(value.span(), format!("`{key}`: {why}"), remedy);
            }
            Some(Arg::Text(lint.template(&text(s), names)?))
        }
        (ArgKind::Bool, toml::Value::Boolean(b)) => Some(Arg::Bool(*b)),
        (ArgKind::Int, toml::Value::Integer(i)) => Some(Arg::Int(*i)),
        (ArgKind::List, toml::Value::Array(list)) => {
            let mut items = Vec::new();
            for item in list {
                match item {
                    toml::Value::String(s) => items.push(lint.template(&text(s), names)?),
                    other => {
                        lint.error(
                            value.span(),
                            format!("`{key}` holds {other}, which is no text"),
                            "put it in quotes",
                        );
                    }
                }
            }
            if items.is_empty() {
                lint.error(value.span(), format!("`{key}` is empty"), "name at least the program");
            }
            Some(Arg::List(items))
        }
        (kind, _) => {
            let wanted = match kind {
                ArgKind::Seconds(_) => "duration in quotes, as in \"30s\"".to_owned(),
                kind => format!("{kind:?}").to_lowercase(),
            };
            lint.error(
                value.span(),
                format!("`{key}` is not of the right kind"),
                format!("give a {wanted}"),
            );
            None
        }
    }
}

pub(super) fn gates(lint: &mut Lint, raw: &[RawGate], names: &Names) -> Vec<Gate> {
    let mut seen = BTreeSet::new();
    let mut gates = Vec::new();
    for (i, gate) in raw.iter().enumerate() {
        let id = match &gate.id {
            Some(id) => {
                check_id(lint, id, &mut seen, "gate");
                id.get_ref().clone()
            }
            None => {
                // By its place, as a person counts. Another one may be called so already.
                let id = Spanned::new(gate.that.span(), format!("gate-{}", i + 1));
                check_id(lint, &id, &mut seen, "gate");
                id.into_inner()
            }
        };
        if BUILT_IN.contains(&id.as_str()) {
            lint.error(
                gate.that.span(),
                format!("`{id}` is a gate that Holdpoint adds by itself"),
                "give this one another id",
            );
        }
        let that = lint.condition(&gate.that, names);
        let says = lint.template(&gate.says, names);
        if let (Some(that), Some(says)) = (that, says) {
            gates.push(Gate { id, that, says });
        }
    }
    gates
}

pub(super) fn verify(lint: &mut Lint, raw: &RawVerify, names: &Names) -> Option<Verify> {
    let that: Expr = lint.condition(&raw.that, names)?;
    let says = raw.says.as_ref().and_then(|s| lint.template(s, names));
    let (passes, over) = match &raw.settle {
        None => (1, Span(0)),
        Some(text) => match settle(text.get_ref()) {
            Some(rule) => rule,
            None => {
                lint.error(
                    text.span(),
                    format!("`{}` is no settle rule", text.get_ref()),
                    "write settle = \"3 in 90s\": three passes in a row over 90 seconds",
                );
                (1, Span(0))
            }
        },
    };
    let within = raw.within.unwrap_or(WITHIN);
    if over >= within {
        lint.error(
            raw.that.span(),
            format!("it cannot settle over {over} within {within}"),
            "make `within` longer",
        );
    }
    Some(Verify { that, says, passes, over, within })
}

fn settle(text: &str) -> Option<(u32, Span)> {
    let (n, over) = text.split_once(" in ")?;
    let n = n.trim().parse().ok().filter(|n| *n > 0)?;
    Some((n, over.trim().parse().ok()?))
}
