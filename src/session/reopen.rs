//! A run taken up again: its journal is locked, read and folded back; a torn tail is set aside,
//! and damage elsewhere is only looked at.

use crate::event::{Actor, Entry, Event};
use crate::journal::{Disk, FileDisk, Read, Verdict, Writer, is_unwritten, read_bytes};
use crate::remote::Clock;
use crate::run::{Intent, State, apply, decide};
use crate::session::earlier::settle;
use crate::session::open::{Keep, Loose, OpenError, fold};
use std::path::{Path, PathBuf};

/// A run whose journal is held.
pub struct Reopened {
    /// Its directory.
    pub dir: PathBuf,
    /// As the last process left it.
    pub state: State,
    /// What its journal is.
    pub verdict: Verdict,
    /// Seq of the entry that the last effect began with; 0 if none did.
    pub last_effect: u64,
    disk: FileDisk,
    head: String,
    valid: u64,
    tail: Vec<u8>,
}

/// A run that can go on.
pub struct Resumed {
    /// Where it stands.
    pub state: State,
    /// Of its journal.
    pub writer: Writer,
    /// Why nothing is recorded and so nothing executed, if that is so from the beginning.
    pub show_only: Option<String>,
    /// What is asked first.
    pub first: Option<(Actor, Intent)>,
    /// What is asked behind that, before anything happens by itself.
    pub then: Option<(Actor, Intent)>,
    /// Where its journal lies; none for one in memory.
    pub dir: Option<PathBuf>,
}

/// Locks a run's journal and folds it; nothing is changed yet.
pub fn reopen(dir: &Path) -> Result<Reopened, OpenError> {
    let (disk, bytes) = FileDisk::reopen(dir)?;
    let read = read_bytes(&bytes)?;
    if read.entries.is_empty() {
        return Err(OpenError::Damaged(read.verdict));
    }
    let state = fold(&read.entries)?;
    let began = |e: &&Entry| matches!(e.event, Event::EffectStarted { .. });
    let last_effect = read.entries.iter().rev().find(began).map_or(0, |e| e.seq);
    let Read { verdict, head, valid_bytes, .. } = read;
    let cut = usize::try_from(valid_bytes).unwrap_or(bytes.len()).min(bytes.len());
    let tail = bytes[cut..].to_vec();
    let (dir, valid) = (dir.to_owned(), valid_bytes);
    Ok(Reopened { dir, state, verdict, last_effect, disk, head, valid, tail })
}

impl Reopened {
    /// Sets a torn tail aside and begins to write, as durably as is wanted.
    pub fn resume(mut self, actor: Actor, clock: Clock, keep: &Keep) -> Result<Resumed, OpenError> {
        if let Verdict::Tampered { .. } = &self.verdict {
            return self.looked_at(actor, clock);
        }
        settle(&self.dir, &self.state).map_err(OpenError::LeftBehind)?;
        let (mut recovered, mut lost) = (None, false);
        if let Verdict::Torn { bytes, .. } = &self.verdict {
            // A line that does not end was never durable, so nothing followed from it.
            lost = is_unwritten(&self.tail);
            let name = self.disk.set_aside(&self.dir, self.valid, &self.tail)?;
            recovered = Some((*bytes, name));
        }
        let theirs = Box::new(move || clock());
        let head = Some(self.head);
        let writer = match keep {
            Keep::Loosely => Writer::inline(Box::new(Loose(self.disk)), head, theirs),
            // What was read from a file goes on in it.
            Keep::Durable | Keep::Memory(_) => {
                Writer::start(Box::new(self.disk), head, theirs).map_err(OpenError::Thread)?
            }
        };
        let version = env!("CARGO_PKG_VERSION").into();
        let first = Some((actor, Intent::Resume { recovered, lost, version }));
        let dir = Some(self.dir);
        Ok(Resumed { state: self.state, writer, show_only: None, first, then: None, dir })
    }

    /// What stands before the damage, as it would be taken up; nothing is written.
    fn looked_at(self, actor: Actor, clock: Clock) -> Result<Resumed, OpenError> {
        let why = format!("the journal is {}; nothing is written to it", self.verdict);
        let mut state = self.state;
        let now = clock();
        let version = env!("CARGO_PKG_VERSION").into();
        let again = Intent::Resume { recovered: None, lost: true, version };
        let events = decide(&state, &actor, &again, now);
        for event in events.unwrap_or_default() {
            let (seq, actor) = (state.seq + 1, actor.clone());
            apply(&mut state, &Entry { seq, at: now, actor, event })
                .map_err(|e| OpenError::Fold(e.to_string()))?;
        }
        let disk = Box::new(Untouched(why.clone(), self.disk));
        let writer = Writer::inline(disk, Some(self.head), Box::new(move || clock()));
        let dir = Some(self.dir);
        Ok(Resumed { state, writer, show_only: Some(why), first: None, then: None, dir })
    }
}

/// A journal that is held and not written to.
struct Untouched(String, #[allow(dead_code, reason = "its lock is held")] FileDisk);

impl Disk for Untouched {
    fn append(&mut self, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::Error::other(self.0.clone()))
    }
    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
