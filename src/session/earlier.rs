//! Two directories of one run, and which of them goes on. A journal that is moved begins in the new
//! place before the old one can say so; a process may end in between, and of both at most one is
//! taken up again.

use crate::action::quoted;
use crate::event::{Entry, Event};
use crate::journal::{ELSEWHERE, FileDisk, JournalError, mark_moved, moved_to, read, read_bytes};
use crate::run::State;
use crate::text::clean_line;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// An old place that does not answer within this cannot be read.
const ANSWERS: Duration = Duration::from_secs(5);
/// A segment whose last entry is its keyframe: nothing happened in it yet.
const KEYFRAME: u64 = 1;

/// Where a run says that it goes on: in a mark beside its journal, or in its last entry. The mark is the
/// later word, if it has any.
#[must_use]
pub fn goes_on(dir: &Path, state: &State) -> Option<String> {
    later_word(moved_to(dir), state.moved.as_deref())
}

fn later_word(mark: Option<String>, entry: Option<&str>) -> Option<String> {
    let entry = entry.map(clean_line);
    match mark {
        Some(mark) if mark == ELSEWHERE => entry.or(Some(mark)),
        mark => mark.or(entry),
    }
}

/// What the place before this one says.
#[derive(Debug, PartialEq, Eq)]
enum Before {
    /// Nothing is known of it: there is none, or it cannot be read.
    Unknown,
    /// The run goes on here.
    Here,
    /// The run goes on there.
    There(String),
    /// It was taken up again after this segment began.
    TakenUp,
    /// Nothing.
    Silent,
}

/// Why this segment is not to be taken up, as far as can be told by looking; nothing is changed.
#[must_use]
pub fn left_behind(dir: &Path, state: &State) -> Option<String> {
    let old = earlier(state)?;
    let (here, seq, last) = (whole(dir), continued(state), state.seq);
    let looked = soon({
        let (here, old) = (here.clone(), old.clone());
        move || looked(&here, &old, seq)
    });
    refusal(&here, &old, &looked?, last)
}

/// The same for one that is about to be taken up and is locked: what could not be told to the old
/// place when the run left it is told now, so that only one of both goes on.
pub(super) fn settle(dir: &Path, state: &State) -> Result<(), String> {
    let Some(old) = earlier(state) else { return Ok(()) };
    let (here, seq, last) = (whole(dir), continued(state), state.seq);
    let settled = move || {
        let seen = looked(&here, &old, seq);
        match refusal(&here, &old, &seen, last) {
            Some(why) => Err(why),
            None if seen == Before::Silent => told(&here, &old, seq),
            None => Ok(()),
        }
    };
    // What hangs was left for that very reason.
    soon(settled).unwrap_or(Ok(()))
}

fn refusal(here: &Path, old: &Path, seen: &Before, last: u64) -> Option<String> {
    let (here_at, old_at) = (shown(here), shown(old));
    match seen {
        Before::Unknown | Before::Here => None,
        Before::There(to) => Some(format!(
            "{here_at} continues {old_at}, which goes on in {to}; resume that one. If {to} was renamed or \
             copied to {here_at}, say so: printf %s {} > {}",
            quoted(&here.display().to_string()),
            quoted(&old.join("moved-to").display().to_string())
        )),
        Before::TakenUp => Some(format!(
            "{here_at} continues {old_at}, which was taken up again after that, so the run went on there; \
             resume {old_at}, and look at what was recorded here before anything is released"
        )),
        Before::Silent if last <= KEYFRAME => Some(format!(
            "the move to {here_at} was not finished: nothing happened here, and {old_at} does not say that \
             the run goes on here; resume {old_at}, and remove {here_at}"
        )),
        Before::Silent => None,
    }
}

/// Tells a place that can be written to; one that cannot is not taken up either.
fn told(here: &Path, old: &Path, seq: u64) -> Result<(), String> {
    // Its lock is held until it is told.
    let (_held, bytes) = match FileDisk::reopen(old) {
        Ok(open) => open,
        Err(JournalError::Locked(_)) => {
            return Err(format!(
                "{} continues {}, which another holdpoint has open; end that one",
                shown(here),
                shown(old)
            ));
        }
        Err(_) => return Ok(()),
    };
    let entries = read_bytes(&bytes).map(|read| read.entries).unwrap_or_default();
    if entries.iter().any(|e| matches!(e.event, Event::Ended { .. })) {
        return Err(format!("{} is over; nothing goes on from there", shown(old)));
    }
    let seen = says(here, moved_to(old), &entries, seq);
    if seen != Before::Silent {
        return refusal(here, old, &seen, u64::MAX).map_or(Ok(()), Err);
    }
    mark_moved(old, &here.display().to_string()).or_else(|e| {
        // A full disk takes the mark's name, and that is enough.
        if moved_to(old).is_some() {
            return Ok(());
        }
        Err(format!(
            "{} can be resumed as well, and cannot be told that the run goes on in {}: {e}; make room \
             there, and resume again",
            shown(old),
            shown(here)
        ))
    })
}

fn looked(here: &Path, old: &Path, seq: u64) -> Before {
    match read(old) {
        Ok(read) => says(here, moved_to(old), &read.entries, seq),
        Err(_) => Before::Unknown,
    }
}

fn says(here: &Path, mark: Option<String>, entries: &[Entry], seq: u64) -> Before {
    let entry = entries.iter().rev().find_map(|e| match &e.event {
        Event::Moved { to } => Some(to.as_str()),
        _ => None,
    });
    let up = |e: &Entry| e.seq > seq && matches!(e.event, Event::Resumed { .. });
    match later_word(mark, entry) {
        Some(to) if to == ELSEWHERE || is_here(&to, here) => Before::Here,
        Some(to) => Before::There(to),
        None if entries.iter().any(up) => Before::TakenUp,
        None => Before::Silent,
    }
}

fn is_here(to: &str, here: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    to == shown(here) || real(Path::new(to)).is_some_and(|to| real(here) == Some(to))
}

/// The directory that a segment continues; none where the run has only this one.
fn earlier(state: &State) -> Option<PathBuf> {
    state.header.continues.as_ref()?.path.as_ref().map(PathBuf::from)
}

/// The last entry of it that this one knows of.
fn continued(state: &State) -> u64 {
    state.header.continues.as_ref().map_or(0, |c| c.seq)
}

fn shown(path: &Path) -> String {
    clean_line(&path.display().to_string())
}

/// As it is found from anywhere.
pub(super) fn whole(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

/// Does something that may hang; nothing if it does.
fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, wait) = mpsc::channel();
    let work = move || drop(done.send(work()));
    std::thread::Builder::new().name("earlier".into()).spawn(work).ok()?;
    wait.recv_timeout(ANSWERS).ok()
}
