//! A runbook as a Markdown plan: what a reviewer reads before the window.

use crate::event::Time;
use crate::runbook::model::{Arg, Call, Does, Hold, Risk, Runbook, Step, Undo};
use crate::runbook::{Scope, Template};
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The plan. Templates are filled in from parameters; what only the live site knows, such
/// as the items of an `each`, stays symbolic.
#[must_use]
pub fn plan(runbook: &Runbook, params: &BTreeMap<String, Value>) -> String {
    let mut out =
        format!("# {}\n\nRunbook `{}`, kept by {}.\n", runbook.title, runbook.id, runbook.owner);
    if let Some(window) = runbook.window {
        let _ = writeln!(
            out,
            "Change window {}, of which {} are kept for going back.",
            window.length, window.backout_reserve
        );
    }
    if !params.is_empty() {
        out.push_str("\n| parameter | value | for |\n|---|---|---|\n");
        for (name, value) in params {
            let says = runbook.params.get(name).map(|p| p.says.as_str()).unwrap_or_default();
            let _ = writeln!(out, "| `{name}` | {} | {says} |", shown(value));
        }
    }
    if !runbook.guards.is_empty() {
        out.push_str("\nWatched all through:\n\n");
        for guard in &runbook.guards {
            let _ =
                writeln!(out, "- {} (`{}`, for {})", guard.says, guard.that.text, guard.debounce);
        }
    }
    for (n, phase) in runbook.phases.iter().enumerate() {
        let _ = writeln!(out, "\n## Phase {}: {}\n", n + 1, phase.title);
        let item = phase.each.as_ref().map(|each| {
            let _ = writeln!(
                out,
                "For each `{}` of `{}`; next is `{}`.\n",
                each.var,
                each.of.text,
                each.next.as_ref().map_or("the first that remains", |n| &n.text)
            );
            (each.var.clone(), format!("<{}>", each.var))
        });
        for step in &phase.steps {
            step_lines(&mut out, step, params, item.as_ref());
        }
    }
    back(&mut out, runbook, params);
    out
}

fn back(out: &mut String, runbook: &Runbook, params: &BTreeMap<String, Value>) {
    if !runbook.backouts.is_empty() {
        out.push_str("\n## Back-outs\n");
        for backout in &runbook.backouts {
            let _ = writeln!(out, "\n### {}\n", backout.title);
            if let Some(when) = &backout.when {
                let _ = writeln!(out, "Offered when `{}`.\n", when.text);
            }
            for step in &backout.steps {
                step_lines(out, step, params, None);
            }
        }
    }
    if !runbook.followups.is_empty() {
        out.push_str("\n## Afterwards\n\n");
        for f in &runbook.followups {
            let _ = writeln!(out, "- [ ] after {}: {} ({})", f.due, f.title, f.owner);
        }
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn step_lines(
    out: &mut String,
    step: &Step,
    params: &BTreeMap<String, Value>,
    item: Option<&(String, String)>,
) {
    let site = BTreeMap::new();
    let fill = |t: &Template| filled(t, params, &site, item);
    let hold = match step.hold {
        Hold::Release => "released by a person",
        Hold::TwoPerson => "released by two people",
        Hold::Witness => "begins by itself, the partner is told",
        Hold::None => "by itself",
    };
    let risk = match step.risk {
        Risk::Reversible => "",
        Risk::Destructive => ", **destructive**",
        Risk::PointOfNoReturn => ", **point of no return**",
    };
    let estimate = step.estimate.map(|e| format!(", about {e}")).unwrap_or_default();
    let _ =
        writeln!(out, "- [ ] **{}** (`{}`; {hold}{risk}{estimate})", fill(&step.title), step.id);
    if let Some(why) = &step.why {
        let _ = writeln!(out, "  - why: {}", fill(why));
    }
    if let Some(when) = &step.when {
        let _ = writeln!(out, "  - only when `{}`", when.text);
    }
    match &step.does {
        Does::Action(call) => {
            let _ = writeln!(out, "  - does: `{}`", call_line(call, &fill));
        }
        Does::Choose { question, branches } => {
            let _ = writeln!(out, "  - asks: {}", fill(question));
            for (id, title) in branches {
                let _ = writeln!(out, "    - `{id}`: {title}");
            }
        }
        Does::Manual { instruction, command } => {
            let _ = writeln!(out, "  - by hand: {}", fill(instruction));
            if let Some(command) = command {
                let _ = writeln!(out, "    `{}`", fill(command));
            }
        }
        Does::Soak { length, watch, .. } => {
            let _ = writeln!(out, "  - watches for {}", fill(length));
            for gate in watch {
                let _ = writeln!(out, "    - {}", fill(&gate.says));
            }
        }
        Does::Check => {}
    }
    for gate in &step.gates {
        let _ = writeln!(out, "  - gate: {} (`{}`)", fill(&gate.says), gate.that.text);
    }
    if let Some(verify) = &step.verify {
        let _ = writeln!(
            out,
            "  - verified by `{}`, {} in {}, within {}",
            verify.that.text, verify.passes, verify.over, verify.within
        );
    }
    match &step.undo {
        Some(Undo::None(why)) => {
            let _ = writeln!(out, "  - undo: none; {why}");
        }
        Some(Undo::Manual(how)) => {
            let _ = writeln!(out, "  - undo by hand: {how}");
        }
        Some(Undo::Action(call)) => {
            let _ = writeln!(out, "  - undo: `{}`", call_line(call, &fill));
        }
        None => {}
    }
}

/// A call with what is known of its arguments filled in; the rest stays as it was written.
#[must_use]
pub fn known(
    call: &Call<Template>,
    params: &BTreeMap<String, Value>,
    site: &BTreeMap<String, Value>,
    item: Option<&(String, String)>,
) -> Call<String> {
    let fill = |t: &Template| filled(t, params, site, item);
    let arg = |arg: &Arg<Template>| match arg {
        Arg::Bool(b) => Arg::Bool(*b),
        Arg::Int(i) => Arg::Int(*i),
        Arg::Text(t) => Arg::Text(fill(t)),
        Arg::List(l) => Arg::List(l.iter().map(fill).collect()),
    };
    let args = call.args.iter().map(|(name, a)| (name.clone(), arg(a))).collect();
    Call { verb: call.verb.clone(), args }
}

fn call_line(call: &Call<Template>, fill: &dyn Fn(&Template) -> String) -> String {
    let args: Vec<_> = call
        .args
        .iter()
        .map(|(name, arg)| match arg {
            Arg::Bool(b) => format!("{name}={b}"),
            Arg::Int(i) => format!("{name}={i}"),
            Arg::Text(t) => format!("{name}={}", fill(t)),
            Arg::List(l) => {
                format!("{name}=[{}]", l.iter().map(fill).collect::<Vec<_>>().join(" "))
            }
        })
        .collect();
    format!("{} {}", call.verb, args.join(" "))
}

fn filled(
    template: &Template,
    params: &BTreeMap<String, Value>,
    site: &BTreeMap<String, Value>,
    item: Option<&(String, String)>,
) -> String {
    let (world, none, choice) = (World::default(), BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        world: &world,
        now: Time(0),
        params,
        site,
        evidence: &none,
        choice: &choice,
        item: item.map(|(var, name)| (var.as_str(), name.as_str(), Time(0))),
        remaining: &[],
        before: None,
        result: None,
    };
    template.render(&scope).unwrap_or_else(|_| template.text.clone())
}
