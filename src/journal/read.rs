//! Reading a journal back, and what can be said of it.

use crate::event::{Entry, Event, FORMAT};
use crate::journal::FILE;
use crate::journal::format::{SEPARATOR, ZERO_HASH, hash};
use crate::journal::tail::{is_unwritten, torn};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a journal is. Never a bare "ok".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Closed by its end record.
    Complete,
    /// Whole, and not closed: running, or cut exactly between two entries.
    Open,
    /// What a crash leaves after the last valid entry: a line that does not end, or blocks that were
    /// not written.
    Torn {
        /// Seq of the last valid entry.
        after: u64,
        /// Where the damage begins, in bytes.
        offset: u64,
        /// Its length.
        bytes: u64,
    },
    /// Damage that no crash makes.
    Tampered {
        /// Seq that the damaged line should have.
        seq: u64,
        /// Where it begins, in bytes.
        offset: u64,
        /// What is wrong.
        why: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete: every entry fits, and the end record closes it"),
            Self::Open => f.write_str(
                "open: every entry fits, no end record; a cut between two entries would look the same",
            ),
            Self::Torn { after, offset, bytes } => {
                write!(f, "torn: {bytes} bytes after entry {after} (from byte {offset}) are no entry")
            }
            Self::Tampered { seq, offset, why } => {
                write!(f, "tampered: entry {seq} at byte {offset}: {why}")
            }
        }
    }
}

/// Why a journal cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's error.
    #[error("{path}: {source}; name a run's directory or its journal")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A pipe, a device.
    #[error("{path}: is no regular file; name a run's directory or its journal")]
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// Another format.
    #[error(
        "the journal has format {found}, this holdpoint reads {FORMAT}; use the version that wrote it"
    )]
    Format {
        /// Its version.
        found: u32,
    },
    /// It ended before its header was durable: nothing followed from it.
    #[error(
        "there is no valid header: {what}; nothing was begun in it, and its directory can be put away"
    )]
    NotBegun {
        /// What is there.
        what: &'static str,
    },
    /// No header, nor anything else that looks like an entry.
    #[error("there is no valid header: it is no journal, or a damaged one")]
    NoHeader,
}

/// A journal, read.
#[derive(Debug)]
pub struct Read {
    /// Valid entries before any damage.
    pub entries: Vec<Entry>,
    /// What it is.
    pub verdict: Verdict,
    /// Hash of the last valid entry.
    pub head: String,
    /// Hashes of all valid entries.
    pub hashes: Vec<String>,
    /// Length of the valid part.
    pub valid_bytes: u64,
}

/// Reads a run's directory or a journal file.
pub fn read(path: &Path) -> Result<Read, ReadError> {
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    // A pipe would be waited for, and a device may have no end.
    if std::fs::metadata(&file).is_ok_and(|meta| !meta.is_file()) {
        return Err(ReadError::NoFile { path: file });
    }
    let bytes = std::fs::read(&file).map_err(|source| ReadError::Io { path: file, source })?;
    read_bytes(&bytes)
}

/// Reads a journal's bytes.
pub fn read_bytes(bytes: &[u8]) -> Result<Read, ReadError> {
    let mut read = Read {
        entries: Vec::new(),
        verdict: Verdict::Open,
        head: ZERO_HASH.to_owned(),
        hashes: Vec::new(),
        valid_bytes: 0,
    };
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let length = rest.iter().position(|b| *b == b'\n');
        let line = &rest[..length.unwrap_or(rest.len())];
        let parsed = match length {
            Some(_) => parse(line, &read.head, read.entries.len() as u64),
            None => Err("it does not end as a line does".to_owned()),
        };
        match parsed {
            Ok(_) if matches!(read.entries.last().map(|e| &e.event), Some(Event::Ended { .. })) => {
                read.verdict = tampered(&read, offset, "it comes after the end record".into());
                return Ok(read);
            }
            Ok((entry, hash)) => {
                check_format(&entry)?;
                read.entries.push(entry);
                read.hashes.push(hash.clone());
                read.head = hash;
            }
            Err(why) => {
                read.verdict = match read.entries.is_empty() {
                    true if !any_entry(bytes) => return Err(no_header(bytes)),
                    true => tampered(&read, offset, why),
                    false => damage(&read, bytes, offset, why),
                };
                return Ok(read);
            }
        }
        offset += line.len() + 1;
        read.valid_bytes = offset as u64;
    }
    match read.entries.last() {
        None => Err(no_header(bytes)),
        Some(last) => {
            if matches!(last.event, Event::Ended { .. }) {
                read.verdict = Verdict::Complete;
            }
            Ok(read)
        }
    }
}

fn check_format(entry: &Entry) -> Result<(), ReadError> {
    match &entry.event {
        Event::Opened { header } if header.format != FORMAT => {
            Err(ReadError::Format { found: header.format })
        }
        _ => Ok(()),
    }
}

/// One line: its entry and hash, or what is wrong.
fn parse(line: &[u8], previous: &str, seq: u64) -> Result<(Entry, String), String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is no UTF-8 text".to_owned())?;
    let (body, stated) = split(text)?;
    if hash(previous, body.as_bytes()) != stated {
        return Err("its hash does not fit".into());
    }
    let entry: Entry =
        serde_json::from_str(&format!("{body}}}")).map_err(|e| format!("it is no entry: {e}"))?;
    if entry.seq != seq {
        return Err(format!("it says seq {}", entry.seq));
    }
    // The header opens, once.
    match (seq, matches!(entry.event, Event::Opened { .. })) {
        (0, false) => Err("it is no header, and a journal begins with one".into()),
        (1.., true) => Err("a header stands only at the beginning".into()),
        _ => Ok((entry, stated.to_owned())),
    }
}

/// The part that is hashed, and the stated hash.
fn split(text: &str) -> Result<(&str, &str), String> {
    let at = text.rfind(SEPARATOR).ok_or("it has no hash")?;
    let (body, tail) = text.split_at(at);
    let stated = tail[SEPARATOR.len()..].strip_suffix("\"}").ok_or("its end is damaged")?;
    let hex = stated.len() == 64
        && stated.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex { Ok((body, stated)) } else { Err("its hash is not 64 lower-case hex digits".into()) }
}

fn tampered(read: &Read, offset: usize, why: String) -> Verdict {
    Verdict::Tampered { seq: read.entries.len() as u64, offset: offset as u64, why }
}

/// Torn if a crash can have left it so, tampered otherwise.
fn damage(read: &Read, bytes: &[u8], offset: usize, why: String) -> Verdict {
    let ended = matches!(read.entries.last().map(|e| &e.event), Some(Event::Ended { .. }));
    let seq = read.entries.len() as u64;
    let fits = |line: &[u8]| parse(line, &read.head, seq).is_ok();
    if ended || !torn(bytes, offset, seq, fits) {
        return tampered(read, offset, why);
    }
    let bytes = (bytes.len() - offset) as u64;
    Verdict::Torn { after: seq.saturating_sub(1), offset: offset as u64, bytes }
}

/// Why there is none. Where blocks are missing, more than a header may be.
fn no_header(bytes: &[u8]) -> ReadError {
    let fits = |line: &[u8]| parse(line, ZERO_HASH, 0).is_ok();
    match bytes {
        [] => ReadError::NotBegun { what: "the journal is empty" },
        _ if torn(bytes, 0, 0, fits) && !is_unwritten(bytes) => {
            ReadError::NotBegun { what: "the journal's first line was cut" }
        }
        _ => ReadError::NoHeader,
    }
}

/// Some line of it begins or ends as an entry does: a journal, however damaged.
fn any_entry(bytes: &[u8]) -> bool {
    let lines = bytes.split_inclusive(|b| *b == b'\n').filter_map(|l| l.strip_suffix(b"\n"));
    let mut texts = lines.map(String::from_utf8_lossy);
    texts.any(|line| {
        let seq = line.strip_prefix("{\"seq\":");
        let begins = seq.is_some_and(|l| {
            l.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(",\"at\":\"")
        });
        begins || split(&line).is_ok()
    })
}

/// How two copies of one journal relate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// Entry for entry.
    Same,
    /// Ours goes on after the copy's last entry.
    Longer {
        /// Entries more.
        by: u64,
    },
    /// The copy has entries that ours lacks: ours was cut.
    Shorter {
        /// Entries fewer.
        by: u64,
    },
    /// They differ from this entry on.
    Differs {
        /// Seq.
        at: u64,
    },
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("the copy has the same entries"),
            Self::Longer { by } => write!(f, "it goes on {by} entries after the copy's last"),
            Self::Shorter { by } => write!(f, "it was cut: the copy has {by} entries more"),
            Self::Differs { at } => write!(f, "it differs from the copy from entry {at} on"),
        }
    }
}

/// Compares the hashes of two journals.
#[must_use]
pub fn compare(ours: &Read, copy: &Read) -> Against {
    let (a, b) = (&ours.hashes, &copy.hashes);
    if let Some(at) = a.iter().zip(b).position(|(x, y)| x != y) {
        return Against::Differs { at: at as u64 };
    }
    match a.len().cmp(&b.len()) {
        std::cmp::Ordering::Equal => Against::Same,
        std::cmp::Ordering::Greater => Against::Longer { by: (a.len() - b.len()) as u64 },
        std::cmp::Ordering::Less => Against::Shorter { by: (b.len() - a.len()) as u64 },
    }
}
