//! L1: the journal. One directory a run, `journal.jsonl` in it, append-only.
//!
//! A line is one [`crate::event::Entry`] as JSON, with its hash as the last field:
//! `{…,"hash":"<64 lower-case hex>"}` and a newline. The hash is SHA-256 over the hash of
//! the line before (64 hex digits; zeros before the first) and the bytes of this line up
//! to `,"hash"`. Seq 0 is the header (`opened`), `ended` closes the journal. Directory
//! 0700, file 0600.
//!
//! The writer has a thread of its own: a disk that hangs hangs nobody else, and its
//! health says since when; after half a minute it counts as failed. Any error of a write or an fdatasync poisons it for good,
//! since nobody knows what the disk then holds.
//!
//! May touch files and threads; no async runtime, no clock of its own.

mod disk;
mod format;
mod holder;
mod moved;
mod patience;
mod read;
mod tail;
mod write;

pub use disk::{Disk, FileDisk, JournalError, RunLock, is_written};
pub use format::{ZERO_HASH, line};
pub use holder::holder;
pub use moved::{ELSEWHERE, mark_moved, moved_to};
pub use read::{Against, Read, ReadError, Verdict, compare, read, read_bytes};
pub(crate) use tail::is_unwritten;
pub use write::{Done, Health, HealthState, Kept, Writer};

/// Name of the file in a run's directory.
pub const FILE: &str = "journal.jsonl";
