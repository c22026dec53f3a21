//! Why no run can be taken up: how each that is not over stands, and what to do about it.

use crate::action::quoted;
use crate::cli::runs::{Row, Stands};
use crate::journal::holder;
use crate::text::clean_line;
use std::path::Path;

/// There is none of a directory's that could be taken up without being named.
pub(crate) fn none(runs: &Path, rows: &[Row]) -> String {
    let lines: Vec<String> = rows.iter().filter_map(|row| told(runs, row)).collect();
    if lines.is_empty() {
        return format!("there is no open run in {}", runs.display());
    }
    format!("there is no run in {} to be taken up:\n  {}", runs.display(), lines.join("\n  "))
}

/// Another process has it open.
pub(crate) fn held(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let pid = holder(dir).map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    format!(
        "{} is open in another process{pid}: leave it there (q; quit, line by line) or end that process, \
         then take it up; holdpoint runs says where it stands",
        clean_line(&name)
    )
}

/// What says more of a journal.
pub(crate) fn verify(dir: &Path) -> String {
    format!("holdpoint verify {}", quoted(&dir.display().to_string()))
}

fn told(runs: &Path, row: &Row) -> Option<String> {
    let (run, dir) = (&row.run, runs.join(&row.run));
    let (path, verify) = (quoted(&dir.display().to_string()), verify(&dir));
    let why = row.why.clone().unwrap_or_default();
    match row.stands {
        Stands::Running => Some(held(&dir)),
        Stands::Moved => Some(format!("{run} {why}; resume it there, by that path")),
        Stands::LeftBehind => Some(why),
        Stands::Damaged => Some(format!(
            "{run} is damaged: {why}; {verify} says where, holdpoint resume {path} shows \
             what stands before that"
        )),
        Stands::Unreadable => {
            Some(format!("{run} cannot be read: {why}; look at it with {verify}"))
        }
        Stands::NotBegun => Some(format!("{run}: {why}")),
        Stands::Open | Stands::Torn | Stands::Done | Stands::GivenUp | Stands::Watched => None,
    }
}
