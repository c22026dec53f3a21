//! A run's beginning: its directory, its header, its first state; and folding it back.

use crate::event::{Entry, Event, Header};
use crate::journal::{Disk, FileDisk, JournalError, Kept, ReadError, Verdict, Writer};
use crate::remote::Clock;
use crate::run::{State, apply};
use crate::runbook::{self, model::Runbook};
use crate::text::clean_line;
use std::path::PathBuf;
use std::sync::Arc;

/// What a new run needs.
pub struct Opening {
    /// Directory of all runs.
    pub runs: PathBuf,
    /// Seq 0, without its run id.
    pub header: Header,
    /// The header's runbook.
    pub runbook: Arc<Runbook>,
    /// Four hex digits.
    pub nonce: String,
    /// Where time comes from.
    pub clock: Clock,
    /// How its journal is kept.
    pub keep: Keep,
}

/// How a journal is kept.
#[derive(Debug, Clone)]
pub enum Keep {
    /// Durable before anything follows from it, by a thread of its own.
    Durable,
    /// Written on the session's own thread, and left to the system's cache: for a rehearsal
    /// that nobody watches, whose time must not pass while a disk is slow.
    Loosely,
    /// In memory: for a rehearsal that only its report is wanted of.
    Memory(Kept),
}

/// A file that is left to the system's cache.
pub(super) struct Loose(pub(super) FileDisk);

impl Disk for Loose {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.append(bytes)
    }
    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Why a run cannot begin, or not be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be made.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its thread cannot be started.
    #[error("the journal's thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The first entry cannot be written.
    #[error("the journal cannot be written: {0}; use another directory with --state")]
    Write(String),
    /// The run goes on elsewhere, or may.
    #[error("{0}")]
    LeftBehind(String),
    /// Nothing can be read of its journal.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The very first entry is damaged.
    #[error("the journal is {0}; nothing stands before that")]
    Damaged(Verdict),
    /// A journal that this version cannot fold.
    #[error("the journal cannot be folded: {0}")]
    Fold(String),
}

/// Makes the run's directory and writes its header.
pub async fn open(opening: Opening) -> Result<(State, Writer, PathBuf), OpenError> {
    let Opening { runs, mut header, runbook, nonce, clock, keep } = opening;
    let now = clock();
    let stamp = now.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string();
    header.run = format!("{stamp}-{}-{nonce}", runbook.id);
    let dir = runs.join(&header.run);
    let theirs = Box::new(move || clock());
    let writer = match keep {
        Keep::Durable => {
            let disk = Box::new(FileDisk::create(&dir)?);
            Writer::start(disk, None, theirs).map_err(OpenError::Thread)?
        }
        Keep::Loosely => Writer::inline(Box::new(Loose(FileDisk::create(&dir)?)), None, theirs),
        Keep::Memory(entries) => Writer::kept(entries),
    };
    let entry = Entry {
        seq: 0,
        at: now,
        actor: header.opened_by.clone(),
        event: Event::Opened { header: Box::new(header.clone()) },
    };
    let (done, wait) = tokio::sync::oneshot::channel();
    // The receiver is gone only if this very future was dropped.
    writer.append(vec![entry], true, Box::new(move |r| drop(done.send(r))));
    match wait.await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(OpenError::Write(why)),
        Err(_) => return Err(OpenError::Write("its thread ended".into())),
    }
    Ok((State::new(header, runbook, now), writer, dir))
}

/// The state that entries lead to. Effects are not run: this is what reading does.
pub fn fold(entries: &[Entry]) -> Result<State, OpenError> {
    let Some((first, rest)) = entries.split_first() else {
        return Err(OpenError::Fold("it has no entries".into()));
    };
    let Event::Opened { header } = &first.event else {
        return Err(OpenError::Fold("it does not begin with a header".into()));
    };
    // Their header is the run's, and nothing else of it is there.
    if rest.iter().any(|e| matches!(e.event, Event::FollowedUp { .. })) {
        let why =
            "it is the record of a run's follow-ups, and no run; holdpoint runs --due shows it";
        return Err(OpenError::Fold(why.into()));
    }
    let begins = rest.first().is_some_and(|e| matches!(e.event, Event::Keyframe { .. }));
    if let Some(from) = header.continues.as_ref().filter(|_| !begins) {
        let place = from.path.as_deref().map(clean_line).unwrap_or_else(|| from.run.clone());
        let why = format!("it was to continue {place}, and has nothing of that; resume that one");
        return Err(OpenError::Fold(why));
    }
    let loaded = runbook::load(&header.runbook)
        .map_err(|p| OpenError::Fold(format!("its runbook has {} problems", p.len())))?;
    let mut state = State::new((**header).clone(), Arc::new(loaded.runbook), first.at);
    for entry in rest {
        apply(&mut state, entry).map_err(|e| OpenError::Fold(e.to_string()))?;
    }
    Ok(state)
}
