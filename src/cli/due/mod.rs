//! `holdpoint runs --due`: what finished runs left to be done, since or until when, and whether it
//! is by now.

mod look;

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
    let runs = site::runs(asked.state);
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
    rows.sort_by_key(|(row, _)| row.due.due);
    if asked.look {
        let looking = async {
            let mut sites = look::Sites::new(asked.site);
            for (row, state) in rows.iter_mut().filter(|(row, _)| row.due.done.is_none()) {
                row.now = sites.judged(state, &row.due.id).await;
            }
        };
        if let Err(why) = waited(runtime(), looking) {
            return refuse(&why);
        }
    }
    let mut rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
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

/// Of one run, by the name that it has here; nothing, where that was told by another name.
fn rows_of(dir: &Path, told: &mut Vec<PathBuf>) -> Result<Vec<(Row, Arc<State>)>, String> {
    let run = clean_line(&dir.file_name().map(|n| n.to_string_lossy()).unwrap_or_default());
    let first = opened(dir).map_err(|why| format!("{run}: {why}"))?;
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
    Ok(due.into_iter().map(|due| (row(due), Arc::clone(&state))).collect())
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
    let actor = Actor::Person { name: site::user(), role: Role::Driver };
    follow(&dir, (&read, &state), word, &actor, &site::clock())
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
    let mut lines = table.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.next().into_iter().for_each(|head| outln!("{head}"));
    for (row, line) in rows.iter().zip(lines) {
        outln!("{line}");
        if let Some(judged) = &row.now {
            let why = [judged.verdict.to_string(), clean_line(&judged.why)];
            let why = why.iter().filter(|part| !part.is_empty());
            outln!("  its check: {}", why.cloned().collect::<Vec<_>>().join(": "));
        }
    }
    outln!("holdpoint runs --due --done RUN FOLLOW-UP --reason TEXT says that one is done");
}
