//! `holdpoint doctor`: what could stop the change, before the window.

mod clocks;
mod places;
mod rights;
mod tokens;
mod tools;
mod voters;

use crate::cli::check::read;
use crate::cli::run::params_or_names;
use crate::cli::{UNDONE, refuse, runtime, site};
use crate::event::Pins;
use crate::observe;
use crate::remote::{Remote, review_access};
use crate::runbook::model::Runbook;
use crate::runbook::{load, namespaces};
use crate::site::{VAULT, lacking, mismatch, render_pins, unread};
use crate::world::{Reading, Status, Update};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Runbook whose actions' rights are checked as well, and whose window tokens must outlive
    runbook: Option<PathBuf>,
    /// Site: a name of the configuration, or a file
    #[arg(long)]
    site: String,
    /// A parameter of the runbook, NAME=VALUE; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", requires = "runbook")]
    params: Vec<String>,
    /// Write the identities that are found as the right ones
    #[arg(long)]
    pin: bool,
    /// Directory for runs, checked for NFS
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Bad,
}

/// Prints findings as they come; true once one of them is bad.
#[derive(Default)]
struct Report {
    bad: bool,
    /// What is said of it is text from outside.
    remote: Option<Arc<Remote>>,
}

impl Report {
    fn say(&mut self, level: Level, what: &str, detail: &str) {
        let mark = match level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Bad => "BAD ",
        };
        self.bad |= level == Level::Bad;
        let safe = self.remote.as_ref().map(|r| r.redactor().redact(detail));
        outln!("{mark} {what}: {}", safe.as_deref().unwrap_or(detail));
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(why) => return refuse(&why),
    };
    let code = match runtime.block_on(examine(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNDONE),
        Err(why) => refuse(&why),
    };
    // A file system that hangs must not hang the exit.
    runtime.shutdown_background();
    code
}

async fn examine(args: &Args) -> Result<bool, String> {
    let runbook = match &args.runbook {
        Some(path) => Some(runbook(path)?),
        None => None,
    };
    let params = match &runbook {
        Some(runbook) => params_or_names(runbook, &args.params)?,
        None => BTreeMap::new(),
    };
    let found = site::find(&args.site)?;
    let mut report = Report::default();
    for lack in runbook.iter().flat_map(|r| lacking(&found.site, &r.needs)) {
        report.say(Level::Bad, "site", &lack);
    }
    if !places::examine(&found.site, args.state.as_deref(), &mut report).await {
        return Ok(false);
    }
    let remote = Remote::connect(found.site, &site::surroundings(), site::clock())
        .await
        .map_err(|e| e.to_string())?;
    let remote = Arc::new(remote);
    report.remote = Some(Arc::clone(&remote));
    reach(&remote, &mut report).await;
    voters::examine(&remote, &mut report).await;
    let values = remote.site.json_values();
    let mut named = runbook.as_ref().map(|r| namespaces(r, &params, &values)).unwrap_or_default();
    // A parameter that is not given stands as its name.
    named.retain(|n| !n.starts_with('<'));
    watches(&remote, &named, &mut report).await;
    let now = remote.identities().await;
    for (name, value) in &now {
        report.say(Level::Ok, name, value);
    }
    let mut unread = unread(&remote.site, &now);
    unread.extend(several(&now));
    for why in &unread {
        report.say(Level::Bad, "identity", why);
    }
    match (&found.pins, args.pin) {
        (_, true) if now.is_empty() || !unread.is_empty() => {
            report.say(Level::Bad, "pins", "not written: an identity is not known")
        }
        // Whoever was refused for another cluster must not approve it by pinning once more.
        (Some(pins), true) if !mismatch(pins, &now).is_empty() => {
            let wrong = mismatch(pins, &now).join("; ");
            let file = found.pins_path.display();
            let detail = format!(
                "not written: {wrong}; this is not the site that was pinned. If it is meant, remove \
                 {file} and pin anew"
            );
            report.say(Level::Bad, "pins", &detail);
        }
        (_, true) => match write_private(&found.pins_path, &render_pins(&now)) {
            Ok(()) => {
                report.say(Level::Ok, "pins", &format!("written to {}", found.pins_path.display()))
            }
            Err(e) => report.say(Level::Bad, "pins", &e),
        },
        (None, false) => {
            report.say(Level::Warn, "pins", "not pinned; --write is refused until doctor --pin")
        }
        (Some(pins), false) => match mismatch(pins, &now).as_slice() {
            [] if unread.is_empty() => report.say(Level::Ok, "pins", "as pinned"),
            [] => report.say(Level::Bad, "pins", "not all could be compared"),
            wrong => report.say(Level::Bad, "pins", &wrong.join("; ")),
        },
    }
    scheduled(&remote, &mut report);
    clocks::examine(&remote, &mut report).await;
    let window = runbook.as_ref().and_then(|r| r.window).map(|w| w.length);
    tokens::examine(&remote, window, &mut report).await;
    if let Some(runbook) = &runbook {
        rights::examine(&remote, runbook, &params, &mut report).await;
    }
    tools::examine(&remote, &mut report).await;
    Ok(!report.bad)
}

/// What comes by itself, and when next.
fn scheduled(remote: &Remote, report: &mut Report) {
    for own in remote.site.listed() {
        let next = own.read().ok().and_then(|(line, zone)| line.after(remote.now(), zone));
        let (level, detail) = match next {
            Some(at) => (Level::Ok, format!("{} next at {at}", own.name)),
            None => (Level::Warn, format!("{} is never due", own.name)),
        };
        report.say(level, "scheduled", &detail);
    }
}

/// Voters of more than one Vault: no identity is theirs.
fn several(now: &Pins) -> Option<String> {
    let ids = now.get(VAULT).filter(|ids| ids.contains(" and "))?;
    Some(format!(
        "the voters belong to several Vault clusters ({ids}); mend the site file's addresses"
    ))
}

fn runbook(path: &Path) -> Result<Runbook, String> {
    let name = path.display().to_string();
    let text = read(path)?;
    load(&text).map(|l| l.runbook).map_err(|p| crate::problem::render(&name, &text, &p))
}

async fn reach(remote: &Arc<Remote>, report: &mut Report) {
    for change in observe::read(remote, &Reading::everything()).await {
        let name = change.source.name();
        match &change.status {
            Status::Live => report.say(Level::Ok, name, "answers"),
            Status::NotConfigured => report.say(Level::Ok, name, "not configured"),
            // A read that answers tells everything.
            Status::Arriving { .. } => report.say(Level::Warn, name, "answers in part"),
            Status::Unreachable { why } => {
                report.say(Level::Bad, name, &format!("unreachable: {why}"))
            }
            Status::Forbidden { right } => {
                report.say(Level::Bad, name, &format!("forbidden: {right}"))
            }
        }
        if let Update::Raft(raft) = &change.update {
            for v in &raft.voters {
                let level = if v.healthy { Level::Ok } else { Level::Bad };
                report.say(level, &v.name, &format!("{} at {}", v.verdict, v.address));
            }
            if !raft.active_error.is_empty() {
                report.say(Level::Bad, "active node", &raft.active_error);
            }
        }
    }
}

/// Panes are fed by watches, which lists do not imply. Only what is missing is named.
async fn watches(remote: &Remote, named: &BTreeSet<String>, report: &mut Report) {
    let Ok(client) = &remote.kube else { return };
    let wanted = observe::watched(remote, named);
    let mut missing = false;
    for (group, resource, namespace) in &wanted {
        let answer = review_access(client, "watch", group, resource, namespace.as_deref()).await;
        if let Err(e) = answer {
            missing = true;
            report.say(Level::Bad, &format!("right to watch {resource}"), &e.to_string());
        }
    }
    if !missing && !wanted.is_empty() {
        report.say(Level::Ok, "rights to watch", "yes");
    }
}

/// Writes a file for its owner only, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let part = path.with_extension("part");
    let io = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    std::fs::rename(&part, path).map_err(io)
}
