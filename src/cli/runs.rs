//! `holdpoint runs`: which runs there are, how each stands, and where.

use crate::cli::{due, refuse, site, standing};
use crate::event::{Event, Header, Time};
use crate::journal::{Read, ReadError, Verdict, is_written, read};
use crate::run::State;
use crate::session::{fold, goes_on, left_behind};
use crate::site::is_lab;
use crate::text::clean_line;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long, conflicts_with = "done")]
    json: bool,
    /// What finished runs left to be done, and when it is due
    #[arg(long)]
    due: bool,
    /// Whether that is done by now: their checks, on the site of each run
    #[arg(long, requires = "due", conflicts_with = "done")]
    look: bool,
    /// One after another that is due: its check, and then a word of yours
    #[arg(long, requires = "due", conflicts_with_all = ["done", "look", "json"])]
    walk: bool,
    /// One of those is done
    #[arg(long, num_args = 2, value_names = ["RUN", "FOLLOW-UP"], requires_all = ["due", "reason"])]
    done: Option<Vec<String>>,
    /// What is to be said of that
    #[arg(long, value_name = "TEXT", requires = "done")]
    reason: Option<String>,
    /// Whatever its check says
    #[arg(long = "override", requires = "done")]
    overrides: bool,
    /// Site: a name of the configuration, or a file; left out, as each run was opened
    #[arg(long, requires = "due")]
    site: Option<String>,
    /// Directory of runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stands {
    /// A process has it open.
    Running,
    /// It can be resumed.
    Open,
    /// The same; what a crash left half written is set aside then.
    Torn,
    /// Every step is done.
    Done,
    /// Its person gave it up.
    GivenUp,
    /// It goes on in another directory.
    Moved,
    /// It continues another directory, in which the run went on.
    LeftBehind,
    /// Only watched: there is nothing to resume.
    Watched,
    /// Its journal is damaged; it can be looked at.
    Damaged,
    /// Its process ended before anything began.
    NotBegun,
    /// It cannot be read.
    Unreadable,
}

/// A run, in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) run: String,
    pub(crate) stands: Stands,
    /// The step whose turn it is, and where it is in its life.
    pub(crate) at: Option<String>,
    /// What is wrong with its journal.
    pub(crate) why: Option<String>,
    title: String,
    site: String,
    lab: bool,
    opened: Option<Time>,
    last: Option<Time>,
}

impl Row {
    /// It can be taken up again.
    pub(crate) fn resumable(&self) -> bool {
        matches!(self.stands, Stands::Open | Stands::Torn)
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let (state, site) = (args.state.as_deref(), args.site.as_deref());
    let asked = due::Asked { state, site, json: args.json, look: args.look };
    if let (Some([run, id]), Some(reason)) = (args.done.as_deref(), &args.reason) {
        return due::done(&due::Done { run, id, reason, overrides: args.overrides }, &asked);
    }
    if args.walk {
        return due::walk(&asked);
    }
    if args.due && args.site.is_some() && !args.look {
        return refuse("--site says where checks are looked at; the list alone asks no site");
    }
    if args.due {
        return due::list(&asked);
    }
    let runs = site::runs(args.state.as_deref());
    let rows = match list(&runs) {
        Ok(rows) => rows,
        Err(why) => return refuse(&why),
    };
    if args.json {
        match serde_json::to_string_pretty(&rows) {
            Ok(text) => outln!("{text}"),
            Err(e) => return refuse(&e.to_string()),
        }
        return ExitCode::SUCCESS;
    }
    if rows.is_empty() {
        outln!("there are no runs in {}", runs.display());
    }
    print(&runs, &rows, site::clock()());
    ExitCode::SUCCESS
}

/// Every run of a directory, the newest last.
pub(crate) fn list(runs: &Path) -> Result<Vec<Row>, String> {
    Ok(dirs(runs)?.iter().map(|dir| row(dir)).collect())
}

/// Their directories.
pub(crate) fn dirs(runs: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(format!("{}: {e}", runs.display())),
    };
    let mut dirs: Vec<PathBuf> =
        entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_dir()).collect();
    dirs.sort();
    Ok(dirs)
}

fn row(dir: &Path) -> Row {
    let run = dir.file_name().map(|n| clean_line(&n.to_string_lossy())).unwrap_or_default();
    let nothing = |why: String| Row {
        run: run.clone(),
        stands: Stands::Unreadable,
        at: None,
        why: Some(why),
        title: String::new(),
        site: String::new(),
        lab: false,
        opened: None,
        last: None,
    };
    let read = match read(dir) {
        Ok(read) => read,
        // Another process may be about to write that very line.
        Err(ReadError::NotBegun { .. }) if is_written(dir) => {
            return Row { stands: Stands::Running, why: None, ..nothing(String::new()) };
        }
        Err(e @ ReadError::NotBegun { .. }) => {
            return Row { stands: Stands::NotBegun, ..nothing(e.to_string()) };
        }
        Err(e) => return nothing(e.to_string()),
    };
    if read.entries.is_empty() {
        let stands = Stands::Damaged;
        return Row { stands, ..nothing(read.verdict.to_string()) };
    }
    let state = match fold(&read.entries) {
        Ok(state) => state,
        Err(e) => return nothing(e.to_string()),
    };
    let (stands, why) = stands(dir, &read, &state);
    let opened = read.entries.first().map(|e| e.at);
    let title = match read.entries.first().map(|e| &e.event) {
        Some(Event::Opened { .. }) => clean_line(&state.runbook.title),
        _ => String::new(),
    };
    Row {
        run,
        // Where it stood then is not where it stands.
        at: at(&state).filter(|_| !matches!(stands, Stands::Moved | Stands::LeftBehind)),
        why,
        title,
        site: clean_line(&state.header.site),
        lab: is_lab(&state.header.pins),
        opened,
        last: read.entries.last().map(|e| e.at),
        stands,
    }
}

fn stands(dir: &Path, read: &Read, state: &State) -> (Stands, Option<String>) {
    let whole = match &read.verdict {
        Verdict::Tampered { .. } => {
            return (Stands::Damaged, Some(read.verdict.to_string()));
        }
        _ if let Some(to) = goes_on(dir, state) => {
            return (Stands::Moved, Some(format!("goes on in {to}")));
        }
        // Another process may be writing the very line that looks torn.
        _ if is_written(dir) => Stands::Running,
        Verdict::Open | Verdict::Torn { .. } if let Some(why) = left_behind(dir, state) => {
            return (Stands::LeftBehind, Some(why));
        }
        Verdict::Torn { .. } => return (Stands::Torn, Some(read.verdict.to_string())),
        Verdict::Complete if state.ended == Some(true) => Stands::Done,
        Verdict::Complete => Stands::GivenUp,
        Verdict::Open if is_watch(&state.header) => Stands::Watched,
        Verdict::Open => Stands::Open,
    };
    (whole, None)
}

/// Nothing was to be changed there.
pub(crate) fn is_watch(header: &Header) -> bool {
    header.runbook_path == super::run::WATCHED
}

/// Where it stands.
pub(crate) fn at(state: &State) -> Option<String> {
    let addr = state.current()?;
    let status = state.steps.get(&addr)?.status;
    Some(format!("{addr} {status}"))
}

fn print(runs: &Path, rows: &[Row], now: Time) {
    let word = |row: &Row| {
        let word = match row.stands {
            Stands::Running => "running",
            Stands::Open => "open",
            Stands::Torn => "open, torn",
            Stands::Done => "done",
            Stands::GivenUp => "given up",
            Stands::Watched => "watched",
            Stands::Moved => "moved",
            Stands::LeftBehind => "left behind",
            Stands::Damaged => "damaged",
            Stands::NotBegun => "not begun",
            Stands::Unreadable => "unreadable",
        };
        word.to_owned()
    };
    let why = |row: &Row| {
        let why = row.why.clone()?;
        let more = matches!(row.stands, Stands::Damaged | Stands::Unreadable);
        let verify = more.then(|| format!("; {}", standing::verify(&runs.join(&row.run))));
        Some(why + &verify.unwrap_or_default())
    };
    // A lab has a clock of its own.
    let age = |row: &Row, at: Option<Time>| match at {
        None => "-".into(),
        Some(at) if row.lab => at.to_string()[..16].replace('T', " "),
        Some(at) => now.since(at).brief(),
    };
    let site = |row: &Row| match row.lab {
        true => format!("{} (lab)", row.site),
        false => row.site.clone(),
    };
    let mut table = vec![["RUN", "STANDS", "AT", "OPENED", "LAST", "SITE"].map(str::to_owned)];
    table.extend(rows.iter().map(|row| {
        let at = row.at.clone().or_else(|| why(row)).unwrap_or_else(|| "-".into());
        let (opened, last) = (age(row, row.opened), age(row, row.last));
        [row.run.clone(), word(row), at, opened, last, site(row)]
    }));
    let widths: Vec<usize> =
        (0..6).map(|i| table.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    // A list without rows needs no head.
    for row in table.iter().filter(|_| !rows.is_empty()) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        outln!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
