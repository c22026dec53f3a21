//! `holdpoint plan RUNBOOK`: the change as a Markdown document; with a site also the commands
//! that its actions would be now.

use crate::action;
use crate::cli::check::read;
use crate::cli::{refuse, run::params_or_names, runtime, site};
use crate::event::{Pins, Time};
use crate::observe;
use crate::problem::render;
use crate::remote::Remote;
use crate::report::{OfSite, Resolved, known, plan};
use crate::runbook::model::{Arg, Call, Does, Phase, Runbook};
use crate::runbook::{Scope, Template, load};
use crate::site::mismatch;
use crate::text::clean_line;
use crate::world::{Reading, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

type Params = BTreeMap<String, Value>;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Runbook file
    runbook: PathBuf,
    /// A parameter, NAME=VALUE; one that is not given stays as its name
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Site that is asked what the actions' commands would be now; nothing is changed there
    #[arg(long)]
    site: Option<String>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match document(args) {
        Ok(text) => {
            out!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => refuse(&why),
    }
}

fn document(args: &Args) -> Result<String, String> {
    let name = args.runbook.display().to_string();
    let text = read(&args.runbook)?;
    let runbook = load(&text).map_err(|problems| render(&name, &text, &problems))?.runbook;
    let params = params_or_names(&runbook, &args.params)?;
    let Some(wanted) = &args.site else {
        return Ok(plan(&runbook, &params, &OfSite::default()));
    };
    let runtime = runtime()?;
    let of_site = runtime.block_on(async {
        let found = site::find(wanted)?;
        let remote = Remote::connect(found.site, &site::surroundings(), site::clock())
            .await
            .map_err(|e| e.to_string())?;
        let now = remote.identities().await;
        // Commands of another site would be copied into this one's change.
        let wrong = found.pins.as_ref().map(|pins| mismatch(pins, &now)).unwrap_or_default();
        if !wrong.is_empty() {
            return Err(format!("this is not the site that was pinned: {}", wrong.join("; ")));
        }
        Ok(ask(&Arc::new(remote), &found.pins.unwrap_or(now), &runbook, &params).await)
    });
    // A file system that hangs must not hang the exit.
    runtime.shutdown_background();
    Ok(plan(&runbook, &params, &of_site?))
}

async fn ask(remote: &Arc<Remote>, pins: &Pins, runbook: &Runbook, params: &Params) -> OfSite {
    let values = remote.site.json_values();
    let mut commands = BTreeMap::new();
    for phase in runbook.sections() {
        let acts = phase.steps.iter().any(|s| matches!(s.does, Does::Action(_)));
        let items = if acts { items(remote, phase, params, &values).await } else { Ok(Vec::new()) };
        for step in &phase.steps {
            let Does::Action(call) = &step.does else { continue };
            let named: Vec<Option<(String, String)>> = match (&phase.each, &items) {
                (None, _) => vec![None],
                (Some(each), Ok(items)) => {
                    items.iter().map(|item| Some((each.var.clone(), item.clone()))).collect()
                }
                (Some(_), Err(why)) => {
                    let commands_of = vec![Resolved::unknown(why.clone())];
                    commands.insert((phase.id.clone(), step.id.clone()), commands_of);
                    continue;
                }
            };
            let mut resolved = Vec::new();
            for item in &named {
                let known = |choice: &_| known(call, params, &values, (item.as_ref(), choice));
                let item = item.as_ref().map(|(_, item)| item.as_str());
                resolved.extend(
                    at_each_answer(remote, pins, answers(runbook, call), item, known).await,
                );
            }
            commands.insert((phase.id.clone(), step.id.clone()), resolved);
        }
    }
    OfSite { name: remote.site.name.clone(), values, commands }
}

/// The answers to the question that a call depends on; none, where it depends on none.
fn answers(runbook: &Runbook, call: &Call<Template>) -> Vec<(String, String)> {
    let texts = call.args.values().flat_map(|arg| match arg {
        Arg::Text(text) => vec![text],
        Arg::List(list) => list.iter().collect(),
        Arg::Bool(_) | Arg::Int(_) => Vec::new(),
    });
    let text = texts.map(|t| t.text.as_str()).collect::<Vec<_>>().join(" ");
    let steps = runbook.phases.iter().flat_map(|phase| &phase.steps);
    let asked = steps.filter(|step| text.contains(&format!("choice.{}", step.id)));
    let answers = asked.flat_map(|step| match &step.does {
        Does::Choose { branches, .. } => {
            branches.iter().map(|(branch, _)| (step.id.clone(), branch.clone())).collect()
        }
        _ => Vec::new(),
    });
    answers.collect()
}

/// The commands for each answer, where they differ by it.
async fn at_each_answer(
    remote: &Remote,
    pins: &Pins,
    answers: Vec<(String, String)>,
    item: Option<&str>,
    known: impl Fn(&BTreeMap<String, String>) -> Call<String>,
) -> Vec<Resolved> {
    let of = item.map(str::to_owned);
    if answers.is_empty() {
        return vec![Resolved { of, ..resolve(remote, pins, &known(&BTreeMap::new())).await }];
    }
    let mut all = Vec::new();
    for (question, answer) in answers {
        let call = known(&BTreeMap::from([(question.clone(), answer.clone())]));
        let answered = format!("the answer {answer} to {question}");
        let of = of.iter().cloned().chain([answered]).collect::<Vec<_>>().join(" at ");
        all.push(Resolved { of: Some(of), ..resolve(remote, pins, &call).await });
    }
    let same = all
        .windows(2)
        .all(|pair| (&pair[0].commands, &pair[0].refused) == (&pair[1].commands, &pair[1].refused));
    if same {
        all.truncate(1);
        all.iter_mut().for_each(|one| one.of.clone_from(&of));
    }
    all
}

/// The items of a phase as they would be if it opened now.
async fn items(
    remote: &Arc<Remote>,
    phase: &Phase,
    params: &Params,
    site: &Params,
) -> Result<Vec<String>, String> {
    let Some(each) = &phase.each else { return Ok(Vec::new()) };
    let (nothing, none, choice) = (World::default(), BTreeMap::new(), BTreeMap::new());
    let kept = BTreeMap::new();
    let scope = |world, now: Time| Scope {
        world,
        now,
        params,
        site,
        evidence: &none,
        lost: &choice,
        kept: &kept,
        choice: &choice,
        item: None,
        remaining: &[],
        before: None,
        result: None,
    };
    let mut reading = Reading::default();
    each.of.ask(&scope(&nothing, remote.now()), &mut reading);
    let mut world = World::default();
    for change in observe::read(remote, &reading).await {
        world.apply(&change);
    }
    let scope = scope(&world, remote.now());
    let unknown = |why: String| format!("its items are not known: {why}");
    if let Some(stale) = each.of.stale(&scope) {
        return Err(unknown(stale));
    }
    match each.of.eval(&scope).map_err(|e| unknown(e.to_string()))? {
        Value::Array(list) => {
            Ok(list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
        }
        _ => Err(unknown(format!("`{}` gives no list", each.of.text))),
    }
}

/// The commands of an action, where all its arguments are known.
async fn resolve(remote: &Remote, pins: &Pins, call: &Call<String>) -> Resolved {
    let open =
        |text: &String| text.contains("{{") || (text.starts_with('<') && text.ends_with('>'));
    let texts = call.args.iter().flat_map(|(name, arg)| match arg {
        Arg::Text(text) => vec![(name, text)],
        Arg::List(list) => list.iter().map(|text| (name, text)).collect(),
        Arg::Bool(_) | Arg::Int(_) => Vec::new(),
    });
    if let Some((name, text)) = texts.into_iter().find(|(_, text)| open(text)) {
        return Resolved::unknown(format!("{name} is {text}"));
    }
    match action::resolve(remote, pins, call).await {
        Ok(proposal) => Resolved { of: None, commands: Ok(proposal.commands), refused: None },
        Err(why) => {
            let why = clean_line(&why);
            match action::later(remote, call).await {
                Some(command) => {
                    Resolved { of: None, commands: Ok(vec![command]), refused: Some(why) }
                }
                None => Resolved::unknown(why),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::json;

    const RUNBOOK: &str = r#"
format = 1
id = "x"
title = "A change"
owner = "o"
[params.manifest]
type = "string"
[[phase]]
id = "roll"
title = "Roll"
[phase.each.pod]
of = 'pods.filter(p, p.namespace == "app").map(p, p.name)'
[[phase.step]]
id = "wait"
title = "Wait for {{ pod }}"
do.kube.wait = { pod = "{{ pod }}", namespace = "app", until = "ready", within = "5s" }
[[phase]]
id = "end"
title = "End"
[[phase.step]]
id = "apply"
title = "Apply"
do.kube.apply = { manifest = "{{ params.manifest }}" }
"#;

    #[tokio::test]
    async fn commands_of_live_items_are_shown_and_what_is_open_is_named() {
        let api = Responder::start(|asked, _| match asked {
            a if a.ends_with("/kube-system") => {
                Reply::Json(200, json!({"metadata": {"name": "kube-system", "uid": "u"}}))
            }
            a if a.starts_with("GET /api/v1/namespaces/app/pods") => Reply::Json(
                200,
                json!({"metadata": {}, "items": [
                    {"metadata": {"namespace": "app", "name": "b"}},
                    {"metadata": {"namespace": "app", "name": "a"}}]}),
            ),
            _ => Reply::Json(404, json!({})),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let runbook = load(RUNBOOK).unwrap_or_else(|p| panic!("{p:?}")).runbook;
        let params = params_or_names(&runbook, &[]).unwrap();
        let pins = remote.identities().await;
        let of_site = ask(&remote, &pins, &runbook, &params).await;
        let text = plan(&runbook, &params, &of_site);
        for part in [
            "  - command for a: `kubectl --kubeconfig /",
            " -n app wait pod/b --for=condition=Ready --timeout=5s`",
            "  - command: not known now: manifest is <manifest>",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(api.seen().iter().all(|a| a.starts_with("GET ")), "{:?}", api.seen());
        let gone = rig::remote(Some(&Responder::nobody().await), &[], "").await;
        let text = plan(&runbook, &params, &ask(&gone, &pins, &runbook, &params).await);
        assert!(text.contains("command: not known now: its items are not known: pods"), "{text}");
    }
}
