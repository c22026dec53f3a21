//! What a run left to be done later, and what of it was done: a journal of its own in the run's
//! directory, since the run's is closed. Its header says which entry of the run it continues.

use crate::event::{self, Actor, Continues, Entry, Event, Judged, Span, Time};
use crate::journal::{FILE, FileDisk, JournalError, Read, Verdict, Writer, ZERO_HASH, read_bytes};
use crate::remote::Clock;
use crate::run::{State, reasonable};
use crate::runbook::model::Followup;
use crate::text::clean_line;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Name of its directory in the run's.
const DIR: &str = "followups";

/// Something to be done after a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Due {
    /// Its id in the runbook.
    pub id: String,
    /// For people.
    pub title: String,
    /// Who sees to it.
    pub owner: String,
    /// From when on.
    pub due: Time,
    /// What is true on the site once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// That it was done, if it was.
    pub done: Option<Followed>,
}

/// Who said that it was done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Followed {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Time,
    /// What they say of it.
    pub reason: String,
    /// What its check saw then, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

/// What a run left to be done, counted from its end. Nothing, where the change was not done: what
/// it would have left behind is not there, or still in use.
///
/// `head` is the hash of the run's last entry.
pub fn afterwards(dir: &Path, state: &State, head: &str) -> Result<Vec<Due>, String> {
    if state.ended != Some(true) || state.runbook.followups.is_empty() {
        return Ok(Vec::new());
    }
    let said = match std::fs::symlink_metadata(dir.join(DIR)) {
        Ok(_) => said(dir, state, head)?,
        Err(_) => Vec::new(),
    };
    let due = |f: &Followup| Due {
        id: f.id.clone(),
        title: f.title.clone(),
        owner: f.owner.clone(),
        due: state.at + Span(f.due.0),
        check: f.check.as_ref().map(|check| check.text.clone()),
        done: said.iter().find(|(id, _)| *id == f.id).map(|(_, followed)| followed.clone()),
    };
    Ok(state.runbook.followups.iter().map(due).collect())
}

/// What was written down. A header that is not whole was cut off by a crash: nothing was yet.
fn said(dir: &Path, state: &State, head: &str) -> Result<Vec<(String, Followed)>, String> {
    let place = dir.join(DIR);
    match crate::journal::read(&place) {
        Ok(read) => {
            whole(dir, &read.verdict)?;
            of_this_run(&place, &read, state, head)?;
            Ok(followed(&read))
        }
        Err(e) => match std::fs::read(place.join(FILE)) {
            Ok(bytes) if !bytes.contains(&b'\n') => Ok(Vec::new()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            _ => Err(format!("{}: {e}", place.display())),
        },
    }
}

/// What was said of another run, or of this one when it had another end, is not said of this.
fn of_this_run(place: &Path, read: &Read, state: &State, head: &str) -> Result<(), String> {
    let continues = read.entries.first().and_then(|first| match &first.event {
        Event::Opened { header } => header.continues.as_ref(),
        _ => None,
    });
    let fits = |c: &Continues| c.run == state.header.run && c.seq == state.seq && c.hash == head;
    if continues.is_some_and(fits) {
        return Ok(());
    }
    let whose =
        continues.map_or_else(|| "no run".to_owned(), |c| format!("{} at entry {}", c.run, c.seq));
    Err(format!(
        "{}: it continues {whose}, not {}; put it where it belongs",
        place.display(),
        state.header.run
    ))
}

fn whole(dir: &Path, verdict: &Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Tampered { .. } => Err(format!("{}: {verdict}", dir.join(DIR).display())),
        _ => Ok(()),
    }
}

fn followed(read: &Read) -> Vec<(String, Followed)> {
    let one = |e: &Entry| match &e.event {
        Event::FollowedUp { id, reason, judged } => {
            let (by, at) = (e.actor.clone(), e.at);
            let (reason, judged) = (reason.clone(), judged.clone());
            Some((id.clone(), Followed { by, at, reason, judged }))
        }
        _ => None,
    };
    read.entries.iter().filter_map(one).collect()
}

/// What a person says of something that was due.
pub struct Word<'a> {
    /// Its id in the runbook.
    pub id: &'a str,
    /// What they say of it.
    pub reason: &'a str,
    /// What its check saw.
    pub judged: Option<Judged>,
    /// It is done whatever the check saw.
    pub overrides: bool,
}

/// One that is left and nobody said is done, as the runbook has it.
pub fn left<'a>(
    dir: &Path,
    (run, state): (&Read, &'a State),
    id: &str,
) -> Result<(&'a Followup, Time), String> {
    let all = afterwards(dir, state, &run.head)?;
    let Some(due) = all.iter().find(|due| due.id == id) else {
        let known: Vec<_> = all.iter().map(|due| due.id.as_str()).collect();
        return Err(match known.as_slice() {
            [] => "this run left nothing to be done: it has no follow-ups, or was not done".into(),
            known => format!("this run left no {id}; it left {}", known.join(", ")),
        });
    };
    if let Some(done) = &due.done {
        let by = clean_line(&done.by.to_string());
        return Err(format!("{id} was done at {} by {by}: {}", done.at, clean_line(&done.reason)));
    }
    let found = state.runbook.followups.iter().find(|f| f.id == id);
    found.map(|f| (f, due.due)).ok_or_else(|| format!("this run left no {id}"))
}

/// Why it was not written down that something was done.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not done, as far as can be seen: to be overridden.
    NotDone(String),
    /// It cannot be.
    Cannot(String),
}

impl Refused {
    /// For people, with how they override it.
    #[must_use]
    pub fn told(&self, overrides: &str) -> String {
        match self {
            Self::NotDone(why) => format!(
                "it is not written down: {why}; {overrides} does it all the same, with what was seen"
            ),
            Self::Cannot(why) => why.clone(),
        }
    }
}

/// Writes down that something was done, durably. `run` is the closed run's journal, `state` what it
/// folds to. One that has a check is done when that is seen to pass, or by override.
pub fn follow(
    dir: &Path,
    (run, state): (&Read, &State),
    word: Word<'_>,
    actor: &Actor,
    clock: &Clock,
) -> Result<(), Refused> {
    reasonable(word.reason).map_err(|e| Refused::Cannot(e.to_string()))?;
    let (followup, due) = left(dir, (run, state), word.id).map_err(Refused::Cannot)?;
    if !word.overrides
        && let Some(why) = against(followup, due, &word, clock())
    {
        return Err(Refused::NotDone(format!("{}: {why}", word.id)));
    }
    let place = dir.join(DIR);
    let (disk, head, seq) = opened(&place).map_err(|e| Refused::Cannot(e.to_string()))?;
    let now = clock();
    let entry = |seq, event| Entry { seq, at: now, actor: actor.clone(), event };
    let mut entries = Vec::new();
    if seq == 0 {
        entries.push(entry(0, begun(dir, run, state, actor)));
    }
    let Word { id, reason, judged, .. } = word;
    let (id, reason) = (id.to_owned(), reason.to_owned());
    entries.push(entry(seq.max(1), Event::FollowedUp { id, reason, judged }));
    written(disk, head, entries, Arc::clone(clock)).map_err(Refused::Cannot)
}

/// Why it is not done, as far as can be seen: something that is kept for a week is not removed today.
fn against(followup: &Followup, due: Time, word: &Word<'_>, now: Time) -> Option<String> {
    if now < due {
        return Some(format!("it is due in {}, from {due} on", due.since(now).brief()));
    }
    followup.check.as_ref()?;
    match &word.judged {
        Some(judged) if judged.verdict == event::Verdict::Pass => None,
        Some(judged) => Some(format!("its check says {}: {}", judged.verdict, judged.why)),
        None => Some("nobody looked at its check".into()),
    }
}

/// Its header: the run's, with which entry it continues.
fn begun(dir: &Path, run: &Read, state: &State, actor: &Actor) -> Event {
    let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let path = Some(path.display().to_string());
    let (run, hash) = (state.header.run.clone(), run.head.clone());
    let mut header = (*state.header).clone();
    header.continues = Some(Continues { run, seq: state.seq, hash, path });
    header.opened_by = actor.clone();
    Event::Opened { header: Box::new(header) }
}

/// Locked, with the hash of its last entry and the seq of the next. A torn tail is set aside.
fn opened(place: &Path) -> Result<(FileDisk, String, u64), JournalError> {
    match FileDisk::create(place) {
        Ok(disk) => return Ok((disk, ZERO_HASH.to_owned(), 0)),
        Err(JournalError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    // A crash came between the directory and its file; only an empty one goes.
    if !place.join(FILE).exists() && std::fs::remove_dir(place).is_ok() {
        return Ok((FileDisk::create(place)?, ZERO_HASH.to_owned(), 0));
    }
    let (mut disk, bytes) = FileDisk::reopen(place)?;
    let Ok(read) = read_bytes(&bytes) else {
        // Cut before its header was whole: nothing was written down yet.
        if !bytes.is_empty() {
            disk.set_aside(place, 0, &bytes)?;
        }
        return Ok((disk, ZERO_HASH.to_owned(), 0));
    };
    let valid = usize::try_from(read.valid_bytes).unwrap_or(bytes.len()).min(bytes.len());
    if valid < bytes.len() {
        disk.set_aside(place, read.valid_bytes, &bytes[valid..])?;
    }
    let seq = read.entries.last().map_or(0, |e| e.seq + 1);
    Ok((disk, read.head, seq))
}

fn written(disk: FileDisk, head: String, entries: Vec<Entry>, clock: Clock) -> Result<(), String> {
    let writer = Writer::inline(Box::new(disk), Some(head), Box::new(move || clock()));
    let told = Arc::new(Mutex::new(Err("it was not written".to_owned())));
    let tells = Arc::clone(&told);
    let done = move |result| *tells.lock().unwrap_or_else(PoisonError::into_inner) = result;
    writer.append(entries, true, Box::new(done));
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.clone()
}
