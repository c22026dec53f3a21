//! `holdpoint runs --due`: what finished runs left to be done, since or until when, and whether it
//! is by now.

mod look;
mod walk;

pub(crate) use walk::walk;

use crate::cli::verify::locate;
use crate::cli::{UNDONE, refuse, runtime, site, waited};
use crate::event::{Actor, Judged, Role, Time};
use crate::journal::{Read, Verdict, read};
use crate::run::{State, reasonable};
use crate::session::{Due, Word, afterwards, fold, follow, goes_on, left};
use crate::site::is_lab;
use crate::text::clean_line;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// One line of the list.
#[derive(Serialize)]
struct Row {
    run: String,
    site: String,
    lab: bool,
    #[serde(flatten)]
    due: Due,
    /// What its check sees now.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Judged>,
}

/// Where that stands.
struct Left {
    row: Row,
    /// The run's directory, or the first of them.
    dir: PathBuf,
    state: Arc<State>,
}

/// What the list is asked for.
pub(crate) struct Asked<'a> {
    /// Directory of runs.
    pub(crate) state: Option<&'a Path>,
    /// The site, if not as each run was opened.
    pub(crate) site: Option<&'a str>,
    pub(crate) json: bool,
    /// Checks are looked at.
    pub(crate) look: bool,
}

/// Lists what is left to be done, the earliest first; as JSON also what was done. Exit status 1
/// where a run's list cannot be read.
pub(crate) fn list(asked: &Asked<'_>) -> ExitCode {
    let (mut all, lost) = match gathered(asked.state) {
        Ok(gathered) => gathered,
        Err(why) => return refuse(&why),
    };
    if asked.look {
        let looking = async {
            let mut sites = look::Sites::new(asked.site);
            for left in all.iter_mut().filter(|left| left.row.due.done.is_none()) {
                left.row.now = sites.judged(&left.state, &left.row.due.id).await;
            }
        };
        if let Err(why) = waited(runtime(), looking) {
            return refuse(&why);
        }
    }
    let mut rows: Vec<Row> = all.into_iter().map(|left| left.row).collect();
    if asked.json {
        match serde_json::to_string_pretty(&rows) {
            Ok(text) => outln!("{text}"),
            Err(e) => return refuse(&e.to_string()),
        }
    } else {
        rows.retain(|row| row.due.done.is_none());
        // Of a run that cannot be read nobody knows.
        if !(rows.is_empty() && lost) {
            print(&rows, site::clock()());
        }
    }
    if lost { ExitCode::from(UNDONE) } else { ExitCode::SUCCESS }
}

/// What all runs left, the earliest first, and whether a run's list cannot be read.
fn gathered(state: Option<&Path>) -> Result<(Vec<Left>, bool), String> {
    let (mut all, mut told, mut lost) = (Vec::new(), Vec::new(), false);
    for dir in super::runs::dirs(&site::runs(state))? {
        match left_by(&dir, &mut told) {
            Ok(of) => all.extend(of),
            Err(why) => {
                errln!("holdpoint: {}", clean_line(&why));
                lost = true;
            }
        }
    }
    all.sort_by_key(|left: &Left| left.row.due.due);
    Ok((all, lost))
}

/// Of one run, by the name that it has here; nothing, where that was told by another name.
fn left_by(began: &Path, told: &mut Vec<PathBuf>) -> Result<Vec<Left>, String> {
    let run = clean_line(&began.file_name().map(|n| n.to_string_lossy()).unwrap_or_default());
    let first = opened(began).map_err(|why| format!("{run}: {why}"))?;
    let Segment { dir, read, state } = last(first)?;
    let place = real(&dir);
    if told.contains(&place) {
        return Ok(Vec::new());
    }
    told.push(place);
    let (due, state) = (afterwards(&dir, &state, &read.head)?, Arc::new(state));
    let row = |due| Row {
        run: run.clone(),
        site: clean_line(&state.header.site),
        lab: is_lab(&state.header.pins),
        due,
        now: None,
    };
    let left = |due| Left { row: row(due), dir: began.to_owned(), state: Arc::clone(&state) };
    Ok(due.into_iter().map(left).collect())
}

/// A run's journal, or what of it lies in one place.
struct Segment {
    dir: PathBuf,
    read: Read,
    state: State,
}

/// Where a journal that was moved ends: each segment says where the next one is, and a place that
/// was seen before is none.
fn last(first: Segment) -> Result<Segment, String> {
    let (mut at, mut seen) = (first, Vec::new());
    while let Some(to) = goes_on(&at.dir, &at.state) {
        let from = format!("{} goes on in {to}", at.dir.display());
        let next = opened(Path::new(&to)).map_err(|why| format!("{from}: {why}"))?;
        seen.push(real(&at.dir));
        if seen.contains(&real(&next.dir)) {
            return Err(format!("{from}, where it came from"));
        }
        if next.state.header.run != at.state.header.run {
            return Err(format!("{from}, and another run is there"));
        }
        at = next;
    }
    Ok(at)
}

fn real(dir: &Path) -> PathBuf {
    dir.canonicalize().unwrap_or_else(|_| dir.to_owned())
}

/// What is damaged says neither whether the run is over nor where it goes on.
fn opened(dir: &Path) -> Result<Segment, String> {
    let read = read(dir).map_err(|e| e.to_string())?;
    if matches!(read.verdict, Verdict::Tampered { .. }) {
        return Err(read.verdict.to_string());
    }
    let state = fold(&read.entries).map_err(|e| e.to_string())?;
    Ok(Segment { dir: dir.to_owned(), read, state })
}

/// That something is done, as it was said.
pub(crate) struct Done<'a> {
    pub(crate) run: &'a str,
    pub(crate) id: &'a str,
    pub(crate) reason: &'a str,
    /// Whatever its check sees.
    pub(crate) overrides: bool,
}

/// Looks at its check, if it has one, and writes it down.
pub(crate) fn done(done: &Done<'_>, asked: &Asked<'_>) -> ExitCode {
    match said(done, asked) {
        Ok(()) => {
            outln!("{} of {} is done; it is on record with the run", done.id, done.run);
            ExitCode::SUCCESS
        }
        Err(why) => refuse(&why),
    }
}

fn said(done: &Done<'_>, asked: &Asked<'_>) -> Result<(), String> {
    let dir: PathBuf = locate(done.run, asked.state)?;
    let Segment { dir, read, state } = last(opened(&dir)?)?;
    reasonable(done.reason).map_err(|e| e.to_string())?;
    // A word that is not taken anyway asks no site.
    left(&dir, (&read, &state), done.id)?;
    let judged =
        waited(runtime(), async { look::Sites::new(asked.site).judged(&state, done.id).await })?;
    let word = Word { id: done.id, reason: done.reason, judged, overrides: done.overrides };
    follow(&dir, (&read, &state), word, &person(), &site::clock())
        .map_err(|why| why.told("--override"))
}

fn person() -> Actor {
    Actor::Person { name: site::user(), role: Role::Driver }
}

fn print(rows: &[Row], now: Time) {
    if rows.is_empty() {
        outln!("nothing is left to be done");
        return;
    }
    // A lab has a clock of its own.
    let when = |row: &Row| match row.lab {
        true => "by its lab's clock".into(),
        false => when(row.due.due, now),
    };
    let head = ["DUE", "", "RUN", "FOLLOW-UP", "OWNER", "WHAT"].map(str::to_owned);
    let mut table = vec![head];
    table.extend(rows.iter().map(|row| {
        let date = row.due.due.to_string()[..16].replace('T', " ");
        let (id, owner) = (row.due.id.clone(), clean_line(&row.due.owner));
        [date, when(row), row.run.clone(), id, owner, clean_line(&row.due.title)]
    }));
    let widths: Vec<usize> =
        (0..6).map(|i| table.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let mut lines = table.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.next().into_iter().for_each(|head| outln!("{head}"));
    for (row, line) in rows.iter().zip(lines) {
        outln!("{line}");
        if let Some(judged) = &row.now {
            outln!("  its check: {}", seen(judged));
        }
    }
    outln!("holdpoint runs --due --done RUN FOLLOW-UP --reason TEXT says that one is done");
    outln!("holdpoint runs --due --walk goes through those that are due");
}

fn when(due: Time, now: Time) -> String {
    match now >= due {
        true => format!("DUE for {}", now.since(due).brief()),
        false => format!("in {}", due.since(now).brief()),
    }
}

fn seen(judged: &Judged) -> String {
    let why = [judged.verdict.to_string(), clean_line(&judged.why)];
    why.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}
