//! `holdpoint resume`: a run that was left, or whose process ended, is taken up again.

use crate::cli::changed::{self, Changed, Wish};
use crate::cli::conduct::{Begin, Conduct, conduct, stage};
use crate::cli::run::{Ui, answers, pins};
use crate::cli::runs::{Row, is_watch, list};
use crate::cli::verify::locate;
use crate::cli::{ended, lab, refuse, runtime, site, standing};
use crate::event::{Actor, Mode, Role, StepAddr};
use crate::journal::{JournalError, ReadError, Verdict};
use crate::remote::Remote;
use crate::run::{State, Status, StepState, over};
use crate::runbook::model::Does;
use crate::session::{Answers, OpenError, Reopened, goes_on, left_behind, reopen};
use crate::site::{Site, VAULT, is_lab, lacking};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// A run's id or a unique part of it, or a path; left out, the only open run
    run: Option<String>,
    /// Site: a name of the configuration, or a file; left out, as the run was opened
    #[arg(long)]
    site: Option<String>,
    /// The interface
    #[arg(long, value_enum, default_value = "tui")]
    ui: Ui,
    /// The same as --ui plain
    #[arg(long, conflicts_with = "ui")]
    headless: bool,
    /// Draw with ASCII signs only; so it is too where the locale is not UTF-8
    #[arg(long)]
    ascii: bool,
    /// Answers for an unattended run, with --ui plain
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Go by the runbook's file as it is now, where only what has not begun is another in it: why
    #[arg(long, value_name = "REASON", conflicts_with = "answers")]
    accept_changes: Option<String>,
    /// With --accept-changes: only this part of what is another there (final/http); the others stay
    /// as the run has them. May be given several times
    #[arg(long, value_name = "PART", requires = "accept_changes")]
    accept: Vec<String>,
    /// Directory of runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Only its soak is watched
    #[arg(skip)]
    soaks: bool,
}

impl Args {
    fn ui(&self) -> Ui {
        if self.headless { Ui::Plain } else { self.ui }
    }

    /// What of a changed runbook is accepted.
    fn wish(&self) -> Wish {
        Wish { reason: self.accept_changes.clone(), parts: self.accept.clone() }
    }
}

/// Arguments of `soak`.
#[derive(clap::Args)]
pub struct SoakArgs {
    /// A run's id or a unique part of it, or a path; left out, the only open run
    run: Option<String>,
    /// Site: a name of the configuration, or a file; left out, as the run was opened
    #[arg(long)]
    site: Option<String>,
    /// Directory of runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Takes a run up only to watch its soak: it holds the line, and answers nothing.
pub(crate) fn soak(args: &SoakArgs) -> ExitCode {
    let args = Args {
        run: args.run.clone(),
        site: args.site.clone(),
        ui: Ui::Plain,
        headless: true,
        ascii: false,
        answers: None,
        accept_changes: None,
        accept: Vec::new(),
        state: args.state.clone(),
        soaks: true,
    };
    run(&args)
}

/// The step in hand is a soak that has begun.
fn soaks(state: &State) -> Result<(), String> {
    let addr = state.current();
    let status = addr.as_ref().and_then(|a| state.steps.get(a)).map(|s| s.status);
    let does = addr.as_ref().and_then(|a| state.step(a)).map(|s| &s.does);
    match (status, does) {
        (Some(Status::Running), Some(Does::Soak { .. })) => Ok(()),
        _ => {
            let at = addr.map_or("between steps".to_owned(), |a| format!("at {a}"));
            Err(format!("no soak runs: this run stands {at}; holdpoint resume takes it up"))
        }
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let dir = match which(args) {
        Ok(dir) => dir,
        Err(why) => return refuse(&why),
    };
    let reopened = match open(&dir) {
        Ok(reopened) => reopened,
        Err(why) => return refuse(&why),
    };
    if args.soaks
        && let Err(why) = soaks(&reopened.state)
    {
        return refuse(&why);
    }
    let header = &reopened.state.header;
    if is_lab(&header.pins) && header.site_from.is_empty() {
        if args.ui() == Ui::Plain || args.site.is_some() {
            return refuse(
                "this run is a lab's own; it goes on in the cockpit only, and on its own site",
            );
        }
        return lab::resume(Box::new(reopened), args.ascii, args.wish());
    }
    ended(runtime(), session(args, reopened))
}

/// The run that is meant.
fn which(args: &Args) -> Result<PathBuf, String> {
    if let Some(run) = &args.run {
        return locate(run, args.state.as_deref());
    }
    let runs = site::runs(args.state.as_deref());
    let (open, others): (Vec<Row>, Vec<Row>) = list(&runs)?.into_iter().partition(Row::resumable);
    match open.as_slice() {
        [one] => Ok(runs.join(&one.run)),
        [] => Err(standing::none(&runs, &others)),
        many => {
            let line = |row: &Row| format!("{}  {}", row.run, row.at.clone().unwrap_or_default());
            let lines: Vec<String> = many.iter().map(line).collect();
            Err(format!("there are several open runs; say which:\n  {}", lines.join("\n  ")))
        }
    }
}

/// Locks it and folds it back; what is over stays so.
fn open(dir: &Path) -> Result<Reopened, String> {
    let dir = match dir.file_name() {
        Some(name) if name == crate::journal::FILE => dir.parent().unwrap_or(dir),
        _ => dir,
    };
    let reopened = reopen(dir).map_err(|e| match e {
        OpenError::Journal(JournalError::Locked(_)) => standing::held(dir),
        OpenError::Damaged(_) | OpenError::Read(ReadError::NoHeader) => {
            format!("{e}; {}", standing::verify(dir))
        }
        e => e.to_string(),
    })?;
    let state = &reopened.state;
    if is_watch(&state.header) {
        return Err("this run only watched; holdpoint watch begins another".into());
    }
    if let Some(to) = goes_on(dir, state) {
        return Err(format!("this run goes on in {to}; resume it there"));
    }
    // Damage is only looked at.
    let damaged = matches!(reopened.verdict, Verdict::Tampered { .. });
    if let Some(why) = left_behind(dir, state).filter(|_| !damaged) {
        return Err(why);
    }
    match (&reopened.verdict, state.ended) {
        (Verdict::Complete, Some(true)) => Err(format!("this run is over: {}", over(state))),
        (Verdict::Complete, _) => Err(format!(
            "this run is over: it was given up ({}); begin another with holdpoint run",
            state.aborted.clone().unwrap_or_else(|| "no reason was given".into())
        )),
        _ => Ok(reopened),
    }
}

async fn session(args: &Args, reopened: Reopened) -> Result<bool, String> {
    let header = reopened.state.header.clone();
    let named = args.site.clone().unwrap_or_else(|| header.site_from.clone());
    if named.is_empty() {
        return Err("the journal does not say how its site is reached; name it with --site".into());
    }
    let found = site::find(&named)?;
    if found.site.name != header.site {
        return Err(format!("{named} is site {}, the run is on {}", found.site.name, header.site));
    }
    all_shown(&found.site, &header.shows, &named)?;
    let lacks = lacking(&found.site, &reopened.state.runbook.needs);
    if !lacks.is_empty() {
        return Err(lacks.join("; "));
    }
    let write = header.mode == Mode::Write;
    let ui = args.ui();
    let answers = answers(args.answers.as_deref(), ui, write, found.site.write.unattended)?;
    let actor = match &answers {
        Some((path, _)) => Actor::File { path: path.clone() },
        None => Actor::Person { name: site::user(), role: Role::Driver },
    };
    let wish = answers
        .as_ref()
        .map(|(_, a)| Wish { reason: a.accept_changes.clone(), parts: a.accept.clone() });
    let wish = wish.unwrap_or_else(|| args.wish());
    // Before the terminal is taken, and before anything begins by itself. Who only watches a soak
    // is asked nothing.
    let asks = answers.is_none() && !args.soaks;
    let Changed { then, notice } = changed::settled(&reopened, wish, asks)?;
    let clock = site::clock();
    let mut stage = match ui {
        Ui::Plain => None,
        Ui::Tui => Some(stage(&reopened.state, args.ascii, clock(), "--ui plain")?),
    };
    let opening = async {
        let remote = Remote::connect(found.site, &site::surroundings(), clock).await;
        let remote = remote.map_err(|e| e.to_string())?;
        // What the run was opened on, not what the site's file says by now.
        let left = same_site(&remote, &reopened.state, write, &named).await?;
        Ok::<_, String>((remote, left))
    };
    let (remote, left) = match &mut stage {
        None => opening.await?,
        Some(stage) => match stage.behind(opening).await {
            Some(opened) => opened?,
            None => return Ok(false),
        },
    };
    let watch = args.soaks.then(Answers::soaks);
    let answers = answers.map(|(_, a)| a).or(watch);
    let notice = [left, notice].into_iter().flatten().reduce(|a, b| format!("{a}\n{b}"));
    let begun = Box::new(|_: &_, _: &Path| ());
    let begin = Begin::Again(Box::new(reopened), then);
    conduct(Conduct { remote, begin, actor, answers, stage, begun, notice }).await
}

/// The site file names all that it named when the run was opened: what it hides would be taken for gone.
pub(crate) fn all_shown(site: &Site, named: &BTreeSet<String>, file: &str) -> Result<(), String> {
    let hidden = site.hides(named);
    if hidden.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{file} does not name {} any more, as when the run was opened, so nothing would be known of it; \
         put it back, or name another file with --site",
        hidden.join(", ")
    ))
}

/// The site is the one that the run was opened on. Vault alone may be another where this very run was
/// making its cluster anew and did not come to the end: what it left is told, since whoever is refused
/// sees no probe. Nothing is written there meanwhile; every proposal asks for the identities again.
pub async fn same_site(
    remote: &Remote,
    state: &State,
    write: bool,
    named: &str,
) -> Result<Option<String>, String> {
    let pinned = &state.header.pins;
    let Err(why) = pins(remote, Some(pinned.clone()), write, named).await else { return Ok(None) };
    let Some(step) = rebuilding(state) else { return Err(why) };
    let mut others = pinned.clone();
    let saved = others.remove(VAULT).unwrap_or_default();
    // That the rest is as it was has to be seen, not only not to be contradicted.
    let found = remote.identities().await;
    if others.iter().any(|(name, pin)| found.get(name) != Some(pin)) {
        return Err(why);
    }
    let now = found.get(VAULT).cloned().unwrap_or_default();
    Ok(Some(format!(
        "{VAULT} is {now}, and {saved} is pinned: {step} was making the cluster anew, and this may be the \
         empty one that it left, whose keys nobody has. Where it is, delete the claims and the pod of its \
         voter, and retry the step when every voter says that it is not initialised; where it may be \
         anything else, change nothing and look at the site file's addresses. Until then nothing is written"
    )))
}

/// The step in hand, if it began to make Vault's cluster anew and nobody knows how far it came. One
/// that was skipped or is done explains no other cluster.
fn rebuilding(state: &State) -> Option<StepAddr> {
    let addr = state.current()?;
    let rebuilds = match state.step(&addr).map(|s| &s.does) {
        Some(Does::Action(call)) => call.verb == "vault.rebuild",
        _ => false,
    };
    let begun = |s: &StepState| {
        s.acted && !matches!(s.status, Status::Done | Status::Skipped | Status::NotNeeded)
    };
    state.steps.get(&addr).is_some_and(|s| rebuilds && begun(s)).then_some(addr)
}
