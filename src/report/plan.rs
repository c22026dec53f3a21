//! A runbook as a Markdown plan: what a reviewer reads before the window.

use crate::event::Time;
use crate::report::commands::{Resolved, command_lines};
use crate::runbook::model::{
    Arg, Call, Does, Hold, OnGuard, Phase, Risk, Runbook, Step, Then, Undo,
};
use crate::runbook::{Scope, Template};
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What of a site goes into a plan.
#[derive(Debug, Default)]
pub struct OfSite {
    /// Its name; empty for none.
    pub name: String,
    /// `site` in expressions.
    pub values: BTreeMap<String, Value>,
    /// Commands of actions, by phase and step.
    pub commands: BTreeMap<(String, String), Vec<Resolved>>,
}

/// The plan. Templates are filled in from parameters; what only the live site knows, such
/// as the items of an `each`, stays symbolic but in the commands of a site that was asked.
#[must_use]
pub fn plan(runbook: &Runbook, params: &BTreeMap<String, Value>, site: &OfSite) -> String {
    let mut out =
        format!("# {}\n\nRunbook `{}`, kept by {}.\n", runbook.title, runbook.id, runbook.owner);
    if let Some(window) = runbook.window {
        let _ = writeln!(
            out,
            "Change window {}, of which {} are kept for going back.",
            window.length, window.backout_reserve
        );
    }
    if let Some(quiet) = &runbook.quiet {
        let _ = writeln!(
            out,
            "No step that acts and has an estimate begins when one of `{}` would come in between.",
            quiet.text
        );
    }
    if !site.name.is_empty() {
        let _ = writeln!(
            out,
            "Commands are those of the site {} as it is now; UIDs in them are today's.",
            site.name
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
        steps_of(&mut out, phase, params, item.as_ref(), site);
    }
    back(&mut out, runbook, params, site);
    out
}

fn back(out: &mut String, runbook: &Runbook, params: &BTreeMap<String, Value>, site: &OfSite) {
    if !runbook.backouts.is_empty() {
        out.push_str("\n## Back-outs\n");
        for backout in &runbook.backouts {
            let phase = &backout.phase;
            let _ = writeln!(out, "\n### {} (`{}`)\n", phase.title, phase.id);
            if let Some(when) = &backout.when {
                let _ = writeln!(out, "Offered when `{}`.", when.text);
            }
            let then = match backout.then {
                Then::End => "The run ends with it.",
                Then::Return => "The run goes on where it stood.",
            };
            let _ = writeln!(out, "{then}\n");
            if let Some(each) = &phase.each {
                let _ = writeln!(out, "For each `{}` of `{}`:\n", each.var, each.of.text);
            }
            let item = phase.each.as_ref().map(|e| (e.var.clone(), format!("<{}>", e.var)));
            steps_of(out, phase, params, item.as_ref(), site);
        }
    }
    if !runbook.followups.is_empty() {
        out.push_str("\n## Afterwards\n\n");
        for f in &runbook.followups {
            let _ = writeln!(out, "- [ ] after {}: {} ({})", f.due, f.title, f.owner);
            if let Some(check) = &f.check {
                let _ = writeln!(out, "  - done when `{}`", check.text);
            }
        }
    }
}

fn steps_of(
    out: &mut String,
    phase: &Phase,
    params: &BTreeMap<String, Value>,
    item: Option<&(String, String)>,
    site: &OfSite,
) {
    for step in &phase.steps {
        let key = (phase.id.clone(), step.id.clone());
        let resolved = site.commands.get(&key).map(Vec::as_slice).unwrap_or_default();
        step_lines(out, step, params, item, site, resolved);
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
    site: &OfSite,
    resolved: &[Resolved],
) {
    let unanswered = BTreeMap::new();
    let fill = |t: &Template| filled(t, params, &site.values, (item, &unanswered));
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
    does_lines(out, step, &fill, resolved);
    if let Some(poll) = &step.poll {
        let lasts = poll.lasts.map(|l| format!(", which counts for {l}")).unwrap_or_default();
        let _ = writeln!(out, "  - gate: go from each of {}{lasts}", poll.of.join(", "));
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
    if step.on_breach == OnGuard::Stop {
        let _ = writeln!(out, "  - a guard's breach ends it while it runs");
    }
    match &step.undo {
        Some(undo) => undo_line(out, undo, &fill),
        None if step.acts() => drop(writeln!(out, "  - undo: {}", Step::NO_UNDO)),
        None => {}
    }
}

fn undo_line(out: &mut String, undo: &Undo, fill: &dyn Fn(&Template) -> String) {
    let _ = match (&undo.none, &undo.step.does) {
        (Some(why), _) => writeln!(out, "  - undo: none; {why}"),
        (None, Does::Manual { instruction, .. }) => {
            writeln!(out, "  - undo by hand: {}", fill(instruction))
        }
        (None, Does::Action(call)) => writeln!(out, "  - undo: `{}`", call_line(call, fill)),
        (None, _) => Ok(()),
    };
}

fn does_lines(
    out: &mut String,
    step: &Step,
    fill: &dyn Fn(&Template) -> String,
    resolved: &[Resolved],
) {
    match &step.does {
        Does::Action(call) => {
            let _ = writeln!(out, "  - does: `{}`", call_line(call, fill));
            command_lines(out, resolved);
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
}

/// A call with what is known of its arguments filled in; the rest stays as it was written.
#[must_use]
pub fn known(
    call: &Call<Template>,
    params: &BTreeMap<String, Value>,
    site: &BTreeMap<String, Value>,
    (item, choice): (Option<&(String, String)>, &BTreeMap<String, String>),
) -> Call<String> {
    let fill = |t: &Template| filled(t, params, site, (item, choice));
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
    (item, choice): (Option<&(String, String)>, &BTreeMap<String, String>),
) -> String {
    let (world, none, lost) = (World::default(), BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        world: &world,
        now: Time(0),
        params,
        site,
        evidence: &none,
        lost: &lost,
        kept: &BTreeMap::new(),
        choice,
        item: item.map(|(var, name)| (var.as_str(), name.as_str(), Time(0))),
        remaining: &[],
        before: None,
        result: None,
    };
    template.render(&scope).unwrap_or_else(|_| template.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::load;

    const RUNBOOK: &str = r#"
format = 1
id = "x"
title = "A change"
owner = "o"
[[phase]]
id = "roll"
title = "Roll"
[phase.each.voter]
of = 'raft.voters.map(v, v.name)'
[[phase.step]]
id = "wait"
title = "Wait for {{ voter }}"
do.kube.wait = { pod = "{{ voter }}", namespace = "{{ site.where }}", until = "ready", within = "5s" }
"#;

    #[test]
    fn commands_stand_with_their_step_and_the_rest_stays_symbolic() {
        let runbook = load(RUNBOOK).unwrap_or_else(|p| panic!("{p:?}")).runbook;
        let without = plan(&runbook, &BTreeMap::new(), &OfSite::default());
        assert!(without.contains("- [ ] **Wait for <voter>**") && !without.contains("command"));
        let resolved = |item: &str, commands: Result<&str, &str>| Resolved {
            of: Some(item.into()),
            commands: commands.map(|c| vec![c.to_owned()]).map_err(str::to_owned),
            refused: (item == "d").then(|| "it is there".to_owned()),
        };
        let list = vec![
            resolved("a", Ok("kubectl wait a")),
            resolved("b", Err("no such pod")),
            resolved("c", Err("no such pod")),
            resolved("d", Ok("echo `x`")),
        ];
        let site = OfSite {
            name: "lab".into(),
            values: BTreeMap::from([("where".to_owned(), Value::from("app"))]),
            commands: BTreeMap::from([(("roll".to_owned(), "wait".to_owned()), list)]),
        };
        let with = plan(&runbook, &BTreeMap::new(), &site);
        for line in [
            "Commands are those of the site lab as it is now; UIDs in them are today's.",
            "- [ ] **Wait for <voter>** (`wait`; released by a person)",
            "  - does: `kube.wait namespace=app pod=<voter> until=ready within=5s`",
            "  - command for a: `kubectl wait a`",
            "  - command for b, c: not known now: no such pod",
            "  - command for d: `` echo `x` ``",
            "  - as things are now, before the steps above it: it is there",
        ] {
            assert!(with.lines().any(|l| l == line), "{line}\n{with}");
        }
    }
}
