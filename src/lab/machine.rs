//! The lab's own machine: files in memory, programs that are never started.

use crate::event::Time;
use crate::lab::Lab;
use crate::remote::{FileMeta, Ground, Machine, Opened, Running, Sink};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files that exist in a world.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Files(BTreeMap<PathBuf, Stored>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    #[serde(with = "text")]
    bytes: Vec<u8>,
    modified: Time,
}

impl Files {
    /// Puts a file there.
    pub fn put(&mut self, path: &Path, bytes: Vec<u8>, modified: Time) {
        self.0.insert(path.to_owned(), Stored { bytes, modified });
    }

    /// Something that differs once a file was written, renamed or removed.
    pub(super) fn mark(&self) -> String {
        let one = |(path, f): (&PathBuf, &Stored)| {
            format!("{} {} {};", path.display(), f.bytes.len(), f.modified)
        };
        self.0.iter().map(one).collect()
    }

    /// What is in a file.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&[u8]> {
        self.0.get(path).map(|f| f.bytes.as_slice())
    }
}

/// Largest file of the real machine that is read; no manifest is larger.
const LARGEST: u64 = 3 << 20;

/// What is in a file of the real machine, if it is a file and not too large: anything else may
/// never end, or hang whoever opens it.
///
/// # Errors
/// In words, with what to do.
pub fn real(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe without a writer would be waited for.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let refused = |why: String| Err(io::Error::new(ErrorKind::InvalidInput, why));
    if !file.metadata()?.is_file() {
        return refused("on this machine it is no regular file; name one".into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return refused(format!("it has more than {LARGEST} bytes; name a manifest"));
    }
    Ok(bytes)
}

impl Lab {
    fn file<R>(&self, path: &Path, of: impl FnOnce(&Stored) -> R) -> io::Result<R> {
        self.with(|world| world.files.0.get(path).map(of)).ok_or(ErrorKind::NotFound.into())
    }
}

/// A file that is written to a world when it is finished.
struct Page {
    lab: Lab,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Page {
    fn finish(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        self.lab.with(|world| world.files.put(&self.path, bytes, world.now));
        Ok(())
    }
}

impl Machine for Lab {
    fn exists(&self, path: &Path) -> bool {
        self.with(|world| world.files.0.keys().any(|p| p.starts_with(path)))
    }

    fn ground(&self, dir: &Path) -> io::Result<(PathBuf, Ground)> {
        Ok((dir.to_owned(), Ground::Disk))
    }

    fn make_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(Page { lab: self.clone(), path: path.to_owned(), bytes: Vec::new() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        match self.file(path, |f| f.bytes.clone()) {
            Ok(bytes) => Ok(Box::new(Cursor::new(bytes))),
            // A manifest of the real machine may be rehearsed; reading changes nothing, and the
            // report says it.
            Err(_) => {
                let bytes = real(path)?;
                self.with(|world| world.read.insert(path.to_owned()));
                Ok(Box::new(Cursor::new(bytes)))
            }
        }
    }

    fn meta(&self, path: &Path) -> io::Result<FileMeta> {
        self.file(path, |f| FileMeta {
            size: f.bytes.len() as u64,
            mode: 0o600,
            modified: Some(f.modified),
            file: None,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|world| {
            let stored = world.files.0.remove(from).ok_or(ErrorKind::NotFound)?;
            world.files.0.insert(to.to_owned(), stored);
            Ok(())
        })
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|world| {
            let mut stored = world.files.0.get(from).cloned().ok_or(ErrorKind::NotFound)?;
            if world.suffers(SECOND_COPY_DIFFERS) {
                // One bit, in the middle: as a bad disk or cable does it.
                let middle = stored.bytes.len() / 2;
                if let Some(byte) = stored.bytes.get_mut(middle) {
                    *byte ^= 1;
                }
            }
            world.files.0.insert(to.to_owned(), stored);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|world| world.files.0.remove(path).map(drop).ok_or(ErrorKind::NotFound.into()))
    }

    fn quick(&self) -> bool {
        true
    }

    fn scripted(&self, argv: &[&str]) -> Option<Result<(i32, String), String>> {
        let program = argv.first().copied().unwrap_or_default();
        Some(Err(format!(
            "not simulated: a lab starts no program, so {program} was not run; show this step instead, or leave it out"
        )))
    }

    /// Nothing is started, so nothing runs.
    fn marked(&self, _: &str) -> io::Result<Vec<Running>> {
        Ok(Vec::new())
    }
}

/// The fault by which every copy of a file differs from it.
pub const SECOND_COPY_DIFFERS: &str = "second-copy-differs";

/// Bytes as base64.
mod text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(d)?).map_err(de::Error::custom)
    }
}
