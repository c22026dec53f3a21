//! `holdpoint runs --due`: what finished runs left to be done, and since or until when.

use crate::cli::verify::locate;
use crate::cli::{UNDONE, refuse, site};
use crate::event::{Actor, Role, Time};
use crate::journal::{Read, Verdict, read};
use crate::run::State;
use crate::session::{Due, afterwards, fold, follow, goes_on};
use crate::site::is_lab;
use crate::text::clean_line;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One line of the list.
#[derive(Serialize)]
struct Row {
    run: String,
    site: String,
    lab: bool,
    #[serde(flatten)]
    due: Due,
}

/// Lists what is left to be done, the earliest first; as JSON also what was done. Exit status 1
/// where a run's list cannot be read.
pub(crate) fn list(state: Option<&Path>, json: bool) -> ExitCode {
    let runs = site::runs(state);
    let dirs = match super::runs::dirs(&runs) {
        Ok(dirs) => dirs,
        Err(why) => return refuse(&why),
    };
    let (mut rows, mut told, mut lost) = (Vec::new(), Vec::new(), false);
    for dir in dirs {
        match rows_of(&dir, &mut told) {
            Ok(of) => rows.extend(of),
            Err(why) => {
                errln!("holdpoint: {}", clean_line(&why));
                lost = true;
            }
        }
    }
    rows.sort_by_key(|row| row.due.due);
    if json {
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

/// Of one run, by the name that it has here; nothing, where that was told by another name.
fn rows_of(dir: &Path, told: &mut Vec<PathBuf>) -> Result<Vec<Row>, String> {
    let run = clean_line(&dir.file_name().map(|n| n.to_string_lossy()).unwrap_or_default());
    let first = opened(dir).map_err(|why| format!("{run}: {why}"))?;
    let Segment { dir, state, .. } = last(first)?;
    let place = real(&dir);
    if told.contains(&place) {
        return Ok(Vec::new());
    }
    told.push(place);
    let due = afterwards(&dir, &state)?;
    let row = |due| Row {
        run: run.clone(),
        site: clean_line(&state.header.site),
        lab: is_lab(&state.header.pins),
        due,
    };
    Ok(due.into_iter().map(row).collect())
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

/// Writes down that something is done.
pub(crate) fn done(run: &str, id: &str, reason: &str, state: Option<&Path>) -> ExitCode {
    let said = || -> Result<(), String> {
        let dir: PathBuf = locate(run, state)?;
        let Segment { dir, read, state } = last(opened(&dir)?)?;
        let actor = Actor::Person { name: site::user(), role: Role::Driver };
        follow(&dir, (&read, &state), (id, reason), &actor, &site::clock())
    };
    match said() {
        Ok(()) => {
            outln!("{id} of {run} is done; it is on record with the run");
            ExitCode::SUCCESS
        }
        Err(why) => refuse(&why),
    }
}

fn print(rows: &[Row], now: Time) {
    if rows.is_empty() {
        outln!("nothing is left to be done");
        return;
    }
    let when = |row: &Row| match now {
        // A lab has a clock of its own.
        _ if row.lab => "by its lab's clock".into(),
        now if now >= row.due.due => format!("DUE for {}", now.since(row.due.due).brief()),
        now => format!("in {}", row.due.due.since(now).brief()),
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
    for row in &table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        outln!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    outln!("holdpoint runs --due --done RUN FOLLOW-UP --reason TEXT says that one is done");
}
