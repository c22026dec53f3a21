//! `holdpoint verify RUN`: is a journal whole?

use crate::cli::{UNDONE, refuse, site};
use crate::event::{Continues, Event};
use crate::journal::{Against, Read, Verdict, compare, read};
use crate::text::clean_line;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// A run's id or a unique part of it, or a path
    run: String,
    /// Another copy of the same journal
    #[arg(long, value_name = "COPY")]
    against: Option<PathBuf>,
    /// Directory of runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// A run by path, id, or unique part of its id.
pub(crate) fn locate(run: &str, state: Option<&Path>) -> Result<PathBuf, String> {
    let path = PathBuf::from(run);
    if path.exists() {
        return Ok(path);
    }
    let runs = site::runs(state);
    // What has a slash is a path: no directory of runs can have it.
    if run.contains('/') {
        return Err(format!("{run}: there is no such file or directory"));
    }
    let entries = std::fs::read_dir(&runs)
        .map_err(|e| format!("there is no run {run}: {}: {e}", runs.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().contains(run)))
        .collect();
    found.sort();
    // A later segment has the name of the first one in its own.
    if let Some(whole) = found.iter().find(|p| p.file_name().is_some_and(|n| n == run)) {
        return Ok(whole.clone());
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!("there is no run {run} in {}", runs.display())),
        many => {
            let names: Vec<_> = many.iter().map(|p| p.display().to_string()).collect();
            Err(format!("{run} could be any of\n  {}", names.join("\n  ")))
        }
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match verify(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNDONE),
        Err(why) => refuse(&why),
    }
}

fn verify(args: &Args) -> Result<bool, String> {
    let path = locate(&args.run, args.state.as_deref())?;
    let ours = read(&path).map_err(|e| e.to_string())?;
    outln!("{}", ours.verdict);
    outln!("{} entries, head {}", ours.entries.len(), ours.head);
    let mut fine = matches!(ours.verdict, Verdict::Complete | Verdict::Open);
    fine &= earlier(&path, &ours);
    if let Some(copy) = &args.against {
        let copy = read(copy).map_err(|e| e.to_string())?;
        let against = compare(&ours, &copy);
        outln!("{against}");
        fine &= matches!(against, Against::Same | Against::Longer { .. });
    }
    Ok(fine)
}

/// Follows a run through the segments that it continues, and says of each whether it ends as the
/// next one says; whether all do.
fn earlier(path: &Path, last: &Read) -> bool {
    let mut at = path.to_owned();
    let mut continues = of(last);
    let mut seen = std::collections::BTreeSet::new();
    while let Some(Continues { run, seq, hash, path }) = continues {
        let dir = path.map_or_else(|| beside(&at, &run), PathBuf::from);
        let says = |what: &str| {
            outln!(
                "continues {run} after entry {seq} in {}: {what}",
                clean_line(&dir.to_string_lossy())
            );
        };
        if !seen.insert(dir.clone()) {
            says("that leads round in a circle");
            return false;
        }
        let read = match read(&dir) {
            Ok(read) => read,
            Err(e) => {
                says(&format!("that segment cannot be read: {e}"));
                return false;
            }
        };
        match usize::try_from(seq).ok().and_then(|seq| read.hashes.get(seq)) {
            Some(there) if *there == hash => {
                says(&format!("it fits; that segment is {}", read.verdict))
            }
            Some(_) => {
                says("tampered: that entry is another one there");
                return false;
            }
            None => {
                says(&format!("that entry is not there; that segment is {}", read.verdict));
                return false;
            }
        }
        if let Verdict::Tampered { .. } = read.verdict {
            return false;
        }
        (at, continues) = (dir, of(&read));
    }
    true
}

/// What a journal's header says that it continues.
pub(crate) fn of(read: &Read) -> Option<Continues> {
    match &read.entries.first()?.event {
        Event::Opened { header } => header.continues.clone(),
        _ => None,
    }
}

fn beside(path: &Path, run: &str) -> PathBuf {
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    dir.with_file_name(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_what_is_named() {
        let state = Path::new("/nonexistent/state");
        for (typed, tells_of_state) in [("/nonexistent/journal", false), ("some-run", true)] {
            let why = locate(typed, Some(state)).unwrap_err();
            assert!(why.contains(typed), "{why}");
            assert_eq!(why.contains("/nonexistent/state"), tells_of_state, "{why}");
        }
    }
}
