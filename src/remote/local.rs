//! The machine that Holdpoint runs on, as far as actions need it: anchors' files, manifests,
//! programs. A lab puts its own machine here, on which nothing is started.

use crate::event::Time;
use crate::remote::marked::{Running, marked};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// `f_type` of NFS (statfs(2)).
const NFS: i64 = 0x6969;
/// `f_type` of tmpfs.
const TMPFS: i64 = 0x0102_1994;

/// What a directory lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A disk of this machine.
    Disk,
    /// A server's.
    Nfs,
    /// Memory.
    Memory,
}

/// A file's particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last written.
    pub modified: Option<Time>,
    /// Device and number: two names with the same are one file.
    pub file: Option<(u64, u64)>,
}

/// A file that is being written; `finish` makes it durable.
pub trait Sink: Write + Send {
    /// Everything that was written is on the disk.
    fn finish(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn finish(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A file that is read, once or again: what it was opened as stays, whatever its name is given to.
pub trait Opened: Read + Seek + Send {}

impl<T: Read + Seek + Send> Opened for T {}

/// A machine.
pub trait Machine: Send + Sync {
    /// Whether there is such a file or directory.
    fn exists(&self, path: &Path) -> bool;
    /// The nearest directory that exists, without symbolic links, and what it lies on.
    fn ground(&self, dir: &Path) -> io::Result<(PathBuf, Ground)>;
    /// Makes a directory, 0700, and those above it.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes a file, 0600, or empties it.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>>;
    /// Reads a file.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>>;
    /// Its particulars.
    fn meta(&self, path: &Path) -> io::Result<FileMeta>;
    /// Gives a file its name; durable.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Copies a file, with its mode; durable.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Its files are in memory: nothing is waited for, so no thread is needed to wait.
    fn quick(&self) -> bool {
        false
    }
    /// Why programs are not started here, if they are not. What the machine says itself to
    /// that command stands in `Ok`: status and output.
    fn scripted(&self, argv: &[&str]) -> Option<Result<(i32, String), String>>;
    /// Programs that were started here with that mark and still run.
    fn marked(&self, mark: &str) -> io::Result<Vec<Running>>;
}

/// Does something with files where it holds up nobody else: a disk can hang.
pub(crate) async fn apart<T: Send + 'static>(
    machine: &Arc<dyn Machine>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    if machine.quick() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())
}

/// What should be over in a moment, told if it is not.
pub(crate) async fn apart_soon<T: Send + 'static>(
    machine: &Arc<dyn Machine>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let soon = tokio::time::timeout(SOON, apart(machine, work)).await;
    soon.unwrap_or_else(|_| {
        Err(format!("the file system has not answered for {} s; is it mounted?", SOON.as_secs()))
    })
}

/// A disk that takes longer hangs.
const SOON: Duration = Duration::from_secs(15);

/// This very machine.
pub(crate) struct Here;

impl Here {
    pub(crate) fn machine() -> Arc<dyn Machine> {
        Arc::new(Self)
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

impl Machine for Here {
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn ground(&self, dir: &Path) -> io::Result<(PathBuf, Ground)> {
        let real = dir.ancestors().find(|d| d.exists()).unwrap_or(dir).canonicalize()?;
        let ground = match rustix::fs::statfs(&real)?.f_type {
            NFS => Ground::Nfs,
            TMPFS => Ground::Memory,
            _ => Ground::Disk,
        };
        Ok((real, ground))
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        Ok(Box::new(options.open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        Ok(Box::new(File::open(path)?))
    }

    fn meta(&self, path: &Path) -> io::Result<FileMeta> {
        let meta = std::fs::metadata(path)?;
        let since = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = since.and_then(|d| i64::try_from(d.as_millis()).ok()).map(Time);
        let file = Some((meta.dev(), meta.ino()));
        Ok(FileMeta { size: meta.len(), mode: meta.permissions().mode() & 0o7777, modified, file })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        sync_dir(to)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::copy(from, to)?;
        File::open(to)?.sync_all()?;
        sync_dir(to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn scripted(&self, _: &[&str]) -> Option<Result<(i32, String), String>> {
        None
    }

    fn marked(&self, mark: &str) -> io::Result<Vec<Running>> {
        marked(Path::new("/proc"), mark)
    }
}
