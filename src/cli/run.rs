//! `holdpoint run` and `holdpoint watch`.

use crate::cli::check::read;
use crate::cli::conduct::{Begin, Conduct, conduct, stage};
use crate::cli::{ended, refuse, runtime, site};
use crate::event::{Actor, FORMAT, Header, Mode, Pins, Role, Slot, Time};
use crate::problem::render;
use crate::remote::Remote;
use crate::run::State;
use crate::runbook::model::{ParamKind, Runbook};
use crate::runbook::{check_param, load};
use crate::session::{Answers, Keep, parse_answers};
use crate::site::{KUBERNETES, is_lab, lacking, mismatch};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Args {
    /// Runbook file
    runbook: PathBuf,
    /// Site: a name of the configuration, or a file
    #[arg(long)]
    site: String,
    /// A parameter, NAME=VALUE; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// The change window, START or START/END: START is now, +30m or 2026-04-25T22:00:00Z, END is
    /// a time like that or a length; default: from now on, as long as the runbook says
    #[arg(long, value_name = "START[/END]")]
    window: Option<String>,
    /// Released steps are run; without it they can only be shown
    #[arg(long)]
    write: bool,
    /// The interface
    #[arg(long, value_enum, default_value = "tui")]
    ui: Ui,
    /// Draw with ASCII signs only; so it is too where the locale is not UTF-8
    #[arg(long)]
    ascii: bool,
    /// Answers for an unattended run, with --ui plain
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Directory for runs; default: $XDG_STATE_HOME/holdpoint/runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Arguments of `watch`.
#[derive(clap::Args)]
pub struct WatchArgs {
    /// Site: a name of the configuration, or a file
    #[arg(long)]
    site: String,
    /// The interface
    #[arg(long, value_enum, default_value = "tui")]
    ui: Ui,
    /// Draw with ASCII signs only; so it is too where the locale is not UTF-8
    #[arg(long)]
    ascii: bool,
    /// Directory for what was seen; default: $XDG_STATE_HOME/holdpoint/runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ui {
    /// Full screen
    Tui,
    /// Line by line
    Plain,
}

/// A run without a change: one step that a person ends.
const WATCH: &str = r#"
format = 1
id = "watch"
title = "Watching"
owner = "holdpoint"
[[phase]]
id = "watch"
title = "Watching"
[[phase.step]]
id = "watch"
title = "Nothing is changed; q leaves"
[phase.step.manual]
instruction = "Watch."
"#;

/// What stands for its path.
pub(crate) const WATCHED: &str = "watch";

struct Wanted<'a> {
    text: String,
    path: String,
    site: &'a str,
    params: &'a [String],
    window: Option<&'a str>,
    write: bool,
    /// Panes only: nothing is executed, whatever the site allows.
    watch: bool,
    ui: Ui,
    ascii: bool,
    answers: Option<&'a Path>,
    state: Option<&'a Path>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let text = match read(&args.runbook) {
        Ok(text) => text,
        Err(why) => return refuse(&why),
    };
    start(&Wanted {
        text,
        path: site::absolute(&args.runbook),
        site: &args.site,
        params: &args.params,
        window: args.window.as_deref(),
        write: args.write,
        watch: false,
        ui: args.ui,
        ascii: args.ascii,
        answers: args.answers.as_deref(),
        state: args.state.as_deref(),
    })
}

pub(crate) fn watch(args: &WatchArgs) -> ExitCode {
    start(&Wanted {
        text: WATCH.into(),
        path: WATCHED.into(),
        site: &args.site,
        params: &[],
        window: None,
        write: false,
        watch: true,
        ui: args.ui,
        ascii: args.ascii,
        answers: None,
        state: args.state.as_deref(),
    })
}

fn start(wanted: &Wanted<'_>) -> ExitCode {
    ended(runtime(), session(wanted))
}

async fn session(wanted: &Wanted<'_>) -> Result<bool, String> {
    let loaded = load(&wanted.text).map_err(|p| render(&wanted.path, &wanted.text, &p))?;
    let params = params(&loaded.runbook, wanted.params)?;
    let found = site::find(wanted.site)?;
    let lacks = lacking(&found.site, &loaded.runbook.needs);
    if !lacks.is_empty() {
        return Err(lacks.join("; "));
    }
    let write = !wanted.watch && (wanted.write || found.site.write.allow);
    let answers = answers(wanted.answers, wanted.ui, write, found.site.write.unattended)?;
    if let Some((path, answers)) = &answers
        && let [first, rest @ ..] = answers.lost(&loaded.runbook).as_slice()
    {
        let more = rest.iter().map(|why| format!("; {why}")).collect::<String>();
        return Err(format!("{path}: {first}{more}; holdpoint plan shows the steps' names"));
    }
    let actor = match &answers {
        Some((path, _)) => Actor::File { path: path.clone() },
        None => Actor::Person { name: site::user(), role: Role::Driver },
    };
    let clock = site::clock();
    let window = slot(&loaded.runbook, wanted.window, clock())?;
    let header = Header {
        format: FORMAT,
        window,
        run: String::new(),
        runbook: wanted.text.clone(),
        runbook_path: wanted.path.clone(),
        params,
        site: found.site.name.clone(),
        site_from: found.from.clone(),
        site_values: found.site.json_values(),
        shows: found.site.shows(),
        pins: found.pins.clone().unwrap_or_default(),
        mode: if write { Mode::Write } else { Mode::ReadOnly },
        version: env!("CARGO_PKG_VERSION").into(),
        opened_by: actor.clone(),
        continues: None,
        scheduled: found.site.listed(),
    };
    let runbook = Arc::new(loaded.runbook);
    let state = State::new(header.clone(), Arc::clone(&runbook), clock());
    // Drawn before anything is asked: whoever waits should see what for.
    let mut stage = match wanted.ui {
        Ui::Plain => None,
        Ui::Tui => Some(stage(&state, wanted.ascii, clock(), "--ui plain")?),
    };
    let opening = async {
        let remote = Remote::connect(found.site, &site::surroundings(), clock).await;
        let remote = remote.map_err(|e| e.to_string())?;
        let pins = pins(&remote, found.pins, write, wanted.site).await?;
        Ok::<_, String>((remote, pins))
    };
    let (remote, pins) = match &mut stage {
        None => opening.await?,
        Some(stage) => match stage.behind(opening).await {
            Some(opened) => opened?,
            // Nothing was begun, so nothing is left open.
            None => return Ok(false),
        },
    };
    if stage.is_none() {
        // The cockpit's panes say it; line by line it is said once.
        let lacks = [remote.kube.as_ref().err(), remote.token.as_ref().err()];
        let there = [remote.site.kubernetes.is_some(), remote.site.vault.is_some()];
        for (why, _) in lacks.into_iter().zip(there).filter(|(_, there)| *there) {
            why.into_iter().for_each(|why| errln!("holdpoint: not let in: {why}"));
        }
    }
    let header = Box::new(Header { pins, ..header });
    let runs = site::runs(wanted.state);
    let answers = answers.map(|(_, a)| a);
    let begun = Box::new(|_: &_, _: &Path| ());
    let begin = Begin::New { runbook, header, runs, keep: Keep::Durable };
    conduct(Conduct { remote, begin, actor, answers, stage, begun, notice: None }).await
}

/// The change window: as it was asked for, else from now on, as long as the runbook says.
pub(crate) fn slot(
    runbook: &Runbook,
    wanted: Option<&str>,
    now: Time,
) -> Result<Option<Slot>, String> {
    let length = runbook.window.map(|w| w.length);
    match wanted {
        Some(text) => {
            Slot::parse(text, now, length).map(Some).map_err(|e| format!("--window {text}: {e}"))
        }
        None => Ok(length.map(|length| Slot { start: now, end: now + length })),
    }
}

pub(crate) fn answers(
    file: Option<&Path>,
    ui: Ui,
    write: bool,
    allowed: bool,
) -> Result<Option<(String, Answers)>, String> {
    let Some(path) = file else { return Ok(None) };
    if ui != Ui::Plain {
        return Err("--answers goes with --ui plain".into());
    }
    let name = path.display().to_string();
    let text = read(path)?;
    let answers = parse_answers(&text).map_err(|p| render(&name, &text, &p))?;
    if write && !allowed {
        return Err(
            "the site does not allow unattended writes; add [write] unattended = true to its file"
                .into(),
        );
    }
    Ok(Some((name, answers)))
}

/// Identities to hold the run to. Writing needs them pinned beforehand, and unchanged.
pub(crate) async fn pins(
    remote: &Remote,
    pinned: Option<Pins>,
    write: bool,
    site: &str,
) -> Result<Pins, String> {
    let found = remote.identities().await;
    match pinned {
        Some(pinned) => {
            let wrong = mismatch(&pinned, &found);
            // The badge goes by the header's identities, which would be the file's.
            if is_lab(&pinned) != is_lab(&found) && found.contains_key(KUBERNETES) {
                return Err(format!("this is not the site that was pinned: {}", wrong.join("; ")));
            }
            // Panes of another site under this one's name would be believed, too.
            if wrong.is_empty() {
                return Ok(pinned);
            }
            Err(format!("this is not the site that was pinned: {}", wrong.join("; ")))
        }
        None if write => Err(format!(
            "the site is not pinned, so nothing proves that it is the right one; run: holdpoint doctor --site {site} --pin"
        )),
        None => Ok(found),
    }
}

/// Parameters given, with defaults; each of its kind.
pub(crate) fn params(
    runbook: &Runbook,
    given: &[String],
) -> Result<BTreeMap<String, Value>, String> {
    let mut params = BTreeMap::new();
    for text in given {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("--param {text}: write NAME=VALUE"))?;
        let param = runbook.params.get(name).ok_or_else(|| {
            let known: Vec<_> = runbook.params.keys().map(String::as_str).collect();
            match known.as_slice() {
                [] => format!("--param {name}: the runbook has no parameters; leave it out"),
                known => format!(
                    "--param {name}: the runbook has no such parameter; it has {}",
                    known.join(", ")
                ),
            }
        })?;
        let json = match param.kind {
            ParamKind::String | ParamKind::Duration => Value::String(value.into()),
            ParamKind::Int | ParamKind::Bool => {
                serde_json::from_str(value).unwrap_or(Value::String(value.into()))
            }
        };
        check_param(param.kind, &json).map_err(|e| format!("--param {name}: {e}"))?;
        params.insert(name.to_owned(), json);
    }
    let mut missing = Vec::new();
    for (name, param) in &runbook.params {
        if params.contains_key(name) {
            continue;
        }
        match &param.default {
            Some(value) => drop(params.insert(name.clone(), value.clone())),
            None => missing.push(format!("--param {name}=…   {}", param.says)),
        }
    }
    if missing.is_empty() {
        return Ok(params);
    }
    Err(format!("the runbook wants parameters:\n  {}", missing.join("\n  ")))
}

/// The same where what is missing stays as its name, as an `each` does.
pub(crate) fn params_or_names(
    runbook: &Runbook,
    given: &[String],
) -> Result<BTreeMap<String, Value>, String> {
    let mut named = runbook.clone();
    for (name, param) in &mut named.params {
        param.default.get_or_insert_with(|| Value::String(format!("<{name}>")));
    }
    params(&named, given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_not_known_is_answered_with_those_that_are() {
        let runbook = load(WATCH).unwrap().runbook;
        let given = ["x=1".to_owned()];
        assert_eq!(
            params(&runbook, &given).unwrap_err(),
            "--param x: the runbook has no parameters; leave it out"
        );
        let text = WATCH.replacen("[[phase]]", "[params.y]\ntype = \"int\"\n[[phase]]", 1);
        let runbook = load(&text).unwrap().runbook;
        assert!(params(&runbook, &given).unwrap_err().ends_with("; it has y"));
    }
}
