//! The file under a journal, behind a trait so that every failure can be injected.

use crate::journal::FILE;
use rustix::fs::{Mode, OFlags};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
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
    /// The journal's own file is not safe to write to.
    #[error(
        "{path}: {why}; look who did that, then copy the run's directory to one of your own and resume the copy by its path"
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another process writes this run.
    #[error(
        "{0}: another holdpoint has this run open; leave it there (q; quit, line by line) or end that process"
    )]
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
    dir: File,
}

impl RunLock {
    fn take(dir: &Path) -> Result<Self, JournalError> {
        Self::hold(File::open(dir).map_err(JournalError::io(dir))?, dir)
    }

    fn hold(file: File, dir: &Path) -> Result<Self, JournalError> {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Locked(dir.to_owned())),
            // Some network file systems have no locks; two writers would break the chain
            // and be seen.
            Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOLCK) => Ok(Self { dir: file }),
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

    /// A run's journal, to be written on: locked, and what stands in it.
    pub fn reopen(dir: &Path) -> Result<(Self, Vec<u8>), JournalError> {
        let foreign = |why| JournalError::Foreign { path: dir.to_owned(), why };
        let named = std::fs::symlink_metadata(dir).map_err(JournalError::io(dir))?;
        if let Some(why) = not_ours(&named) {
            return Err(foreign(why));
        }
        // Once more of what was opened, and the file in that very directory: by its name it may be
        // another one by now.
        let at = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed())
            .open(dir)
            .map_err(JournalError::io(dir))?;
        if let Some(why) = not_ours(&at.metadata().map_err(JournalError::io(dir))?) {
            return Err(foreign(why));
        }
        let lock = RunLock::hold(at, dir)?;
        let path = dir.join(FILE);
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&lock.dir, FILE, flags | OFlags::CLOEXEC, Mode::empty());
        let mut file = File::from(file.map_err(|e| JournalError::io(&path)(e.into()))?);
        check_file(&path, &file.metadata().map_err(JournalError::io(&path))?)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(JournalError::io(&path))?;
        Ok((Self { file, _lock: lock }, bytes))
    }

    /// Cuts what stands behind the last valid entry, after it was copied to a file beside it
    /// whose name comes back.
    pub fn set_aside(
        &mut self,
        dir: &Path,
        valid: u64,
        tail: &[u8],
    ) -> Result<String, JournalError> {
        let name = |n: u32| format!("torn-{valid}-{n}");
        let made = (1..=u32::MAX).find_map(|n| {
            let path = dir.join(name(n));
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match made {
                // It was torn at this very place before.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
                made => Some((name(n), path, made)),
            }
        });
        let Some((name, path, made)) = made else {
            return Err(JournalError::Io {
                path: dir.to_owned(),
                source: io::ErrorKind::AlreadyExists.into(),
            });
        };
        let copy = || -> io::Result<()> {
            let mut aside = made?;
            aside.write_all(tail)?;
            aside.sync_all()?;
            File::open(dir)?.sync_all()
        };
        if let Err(e) = copy() {
            // Half a copy is none; the journal still has all of it.
            let _ = std::fs::remove_file(&path);
            return Err(JournalError::io(&path)(e));
        }
        let cut = || -> io::Result<()> {
            self.file.set_len(valid)?;
            self.file.sync_all()
        };
        cut().map_err(JournalError::io(&dir.join(FILE)))?;
        Ok(name)
    }
}

/// Whether another process writes a run's journal now; `false` also where that cannot be told.
#[must_use]
pub fn is_written(dir: &Path) -> bool {
    matches!(RunLock::take(dir), Err(JournalError::Locked(_)))
}

/// A journal that is a link, a device, somebody else's or has a second name is not written to.
fn check_file(path: &Path, meta: &Metadata) -> Result<(), JournalError> {
    let bad = |why| Err(JournalError::Foreign { path: path.to_owned(), why });
    if !meta.is_file() {
        return bad("is no file");
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return bad("belongs to somebody else");
    }
    if meta.permissions().mode() & 0o022 != 0 {
        return bad("can be written by others");
    }
    if meta.nlink() != 1 {
        return bad("has a second name");
    }
    Ok(())
}

/// A directory that is a link, is somebody else's or can be written by others is no place
/// for a journal.
fn check_owner(dir: &Path) -> Result<(), JournalError> {
    let meta = std::fs::symlink_metadata(dir).map_err(JournalError::io(dir))?;
    match not_ours(&meta) {
        Some(why) => Err(JournalError::Unsafe { path: dir.to_owned(), why }),
        None => Ok(()),
    }
}

/// Why others may have a hand in it.
fn not_ours(meta: &Metadata) -> Option<&'static str> {
    if meta.file_type().is_symlink() {
        return Some("is a symbolic link");
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Some("belongs to somebody else");
    }
    (meta.permissions().mode() & 0o022 != 0).then_some("can be written by others")
}

impl Disk for FileDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
