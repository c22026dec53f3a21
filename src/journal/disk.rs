//! The file under a journal, behind a trait so that every failure can be injected.

use crate::journal::FILE;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where lines go.
pub trait Disk: Send {
    /// Writes all of it at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes all that was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Why a journal cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory is not safe to write into.
    #[error("{path}: {why}; use another directory with --state")]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another process writes this run.
    #[error("{0}: another holdpoint has this run open; end it, or follow it")]
    Locked(PathBuf),
    /// Anything else.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl JournalError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// A lock on a run's directory, held while it is open.
#[derive(Debug)]
pub struct RunLock {
    _dir: File,
}

impl RunLock {
    fn take(dir: &Path) -> Result<Self, JournalError> {
        let file = File::open(dir).map_err(JournalError::io(dir))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _dir: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Locked(dir.to_owned())),
            // Some network file systems have no locks; two writers would break the chain
            // and be seen.
            Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOLCK) => Ok(Self { _dir: file }),
            Err(e) => Err(JournalError::Io { path: dir.to_owned(), source: e.into() }),
        }
    }
}

/// The real file.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    _lock: RunLock,
}

impl FileDisk {
    /// A new run's directory and file; neither may exist.
    pub fn create(dir: &Path) -> Result<Self, JournalError> {
        let parent = dir.parent().unwrap_or_else(|| Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(JournalError::io(parent))?;
        check_owner(parent)?;
        DirBuilder::new().mode(0o700).create(dir).map_err(JournalError::io(dir))?;
        check_owner(dir)?;
        let lock = RunLock::take(dir)?;
        let path = dir.join(FILE);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(JournalError::io(&path))?;
        for d in [dir, parent] {
            File::open(d).and_then(|d| d.sync_all()).map_err(JournalError::io(d))?;
        }
        Ok(Self { file, _lock: lock })
    }
}

/// A directory that is a link, is somebody else's or can be written by others is no place
/// for a journal.
fn check_owner(dir: &Path) -> Result<(), JournalError> {
    let meta = std::fs::symlink_metadata(dir).map_err(JournalError::io(dir))?;
    let bad = |why| Err(JournalError::Unsafe { path: dir.to_owned(), why });
    if meta.file_type().is_symlink() {
        return bad("is a symbolic link");
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return bad("belongs to somebody else");
    }
    if meta.permissions().mode() & 0o022 != 0 {
        return bad("can be written by others");
    }
    Ok(())
}

impl Disk for FileDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
