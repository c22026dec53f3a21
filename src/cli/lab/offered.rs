//! The directory of a served lab: files for other tools, and a note of what was written there.
//! What a lab did not write, or somebody changed since, is not written over.

use crate::cli::site;
use crate::lab::real;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The note's name.
const NOTE: &str = ".holdpoint-lab.json";

/// What a lab wrote: each file's digest; and whose identities the labs of this directory have, so
/// that a pin of one is good for the next.
#[derive(Default, Serialize, Deserialize)]
struct Note {
    written: BTreeMap<String, String>,
    #[serde(default)]
    of: String,
    /// Which directory it is that has them: a copy of it is another.
    #[serde(default)]
    at: String,
}

/// A directory that a lab may write to.
pub(super) struct Offered {
    dir: PathBuf,
    note: Note,
    held: Option<File>,
    copied: bool,
}

impl Offered {
    /// Looks whether these files may be written there; makes nothing yet. Where it is stands in
    /// files that are read from other directories: the path is whole from here on.
    pub(super) fn at(dir: &Path, names: &[&str]) -> Result<Self, String> {
        let dir = std::path::absolute(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let held = hold(&dir)?;
        let path = dir.join(NOTE);
        let mut note: Note = match std::fs::symlink_metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Note::default(),
            _ => real(&path)
                .map_err(|e| e.to_string())
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()))
                .map_err(|e| format!("{}: {e}; name another --dir", path.display()))?,
        };
        // Two labs of one identity would both fit what was pinned of one of them.
        let copied = !note.at.is_empty() && note.at != place(&dir)?;
        if note.of.is_empty() || copied {
            note.of = [site::nonce(), site::nonce()].concat();
        }
        let offered = Self { dir, note, held, copied };
        names.iter().try_for_each(|name| offered.free(name))?;
        Ok(offered)
    }

    /// From the root.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What tells the labs of this directory from others of their seed.
    pub(super) fn of(&self) -> &str {
        &self.note.of
    }

    /// It is a copy of another lab's directory, and got identities of its own.
    pub(super) fn is_copied(&self) -> bool {
        self.copied
    }

    /// Nothing stands there, or what a lab wrote.
    fn free(&self, name: &str) -> Result<(), String> {
        let path = self.dir.join(name);
        let shown = path.display();
        let found = match std::fs::symlink_metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(|e| format!("{shown}: {e}"))?,
        };
        let wrote = self.note.written.get(name);
        let same = |wrote: &String| real(&path).is_ok_and(|bytes| digest(&bytes) == *wrote);
        if found.is_file() && wrote.is_some_and(same) {
            return Ok(());
        }
        let what = if wrote.is_some() { "was changed since a lab wrote it" } else { "is no lab's" };
        Err(format!("{shown} {what}, and is not written over; remove it, or name another --dir"))
    }

    /// Writes them all, in place of an earlier lab's; the directory is this one's for as long as
    /// what is given back is held.
    pub(super) fn write(mut self, files: &[(&str, String)]) -> Result<Option<File>, String> {
        let (dir, failed) =
            (self.dir.clone(), |path: &Path, e: std::io::Error| format!("{}: {e}", path.display()));
        std::fs::create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        if self.held.is_none() {
            self.held = hold(&dir)?;
        }
        for (name, text) in files {
            self.free(name)?;
            away(&dir.join(name))?;
            self.note.written.insert((*name).to_owned(), digest(text.as_bytes()));
        }
        self.note.at = place(&dir)?;
        // The note before the files: one that is cut short leaves none that nobody wrote.
        let note = serde_json::to_string_pretty(&self.note).map_err(|e| e.to_string())?;
        away(&dir.join(NOTE))?;
        for (name, text) in [(NOTE, &note)].into_iter().chain(files.iter().map(|(n, t)| (*n, t))) {
            let path = dir.join(name);
            // Who was quicker keeps what is theirs.
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            file.and_then(|mut f| f.write_all(text.as_bytes())).map_err(|e| failed(&path, e))?;
        }
        Ok(self.held)
    }
}

/// What a directory keeps where it is moved to another name, and its copy does not have.
fn place(dir: &Path) -> Result<String, String> {
    let found = std::fs::metadata(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    // A number may be given again once its directory is gone; not every file system knows since when.
    let since = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(format!("{}-{}", found.ino(), since.unwrap_or_default().as_nanos()))
}

/// Locks a directory, if it is there: two labs would write over each other's files.
fn hold(dir: &Path) -> Result<Option<File>, String> {
    let Ok(file) = File::open(dir) else { return Ok(None) };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(format!(
            "{}: another lab that is up has its files there; end it, or name another --dir",
            dir.display()
        )),
        // Not every file system locks directories.
        Err(_) => Ok(None),
        Ok(()) => Ok(Some(file)),
    }
}

fn away(path: &Path) -> Result<(), String> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(format!("{}: {e}", path.display())),
        _ => Ok(()),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["kubeconfig", "vault-token"];

    fn write(dir: &Path, text: &str) -> Result<(), String> {
        write_and_hold(dir, text).map(drop)
    }

    fn write_and_hold(dir: &Path, text: &str) -> Result<Option<File>, String> {
        Offered::at(dir, &NAMES)?.write(&NAMES.map(|name| (name, text.to_owned())))
    }

    #[test]
    fn a_directory_is_of_one_lab_at_a_time_and_of_one_identity() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("lab");
        let held = write_and_hold(&dir, "one").unwrap();
        assert!(held.is_some());
        let why = Offered::at(&dir, &NAMES).err().unwrap();
        assert!(why.contains("another lab that is up") && why.contains("--dir"), "{why}");
        drop(held);
        let of = |dir: &Path| Offered::at(dir, &NAMES).unwrap().of().to_owned();
        assert_eq!(of(&dir), of(&dir));
        assert_ne!(of(&dir), of(&home.path().join("other")));
    }

    /// One that is moved is the same lab; one that is copied is another, also beside it, and stays so.
    #[test]
    fn a_copy_has_identities_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let of = |name: &str| {
            let offered = Offered::at(&at(name), &NAMES).unwrap();
            (offered.of().to_owned(), offered.is_copied())
        };
        write(&at("lab"), "one").unwrap();
        let (first, copied) = of("lab");
        assert!(!copied);
        std::fs::rename(at("lab"), at("moved")).unwrap();
        assert_eq!(of("moved"), (first.clone(), false));
        std::fs::create_dir(at("lab")).unwrap();
        for file in std::fs::read_dir(at("moved")).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), at("lab").join(file.file_name())).unwrap();
        }
        let (second, copied) = of("lab");
        assert!(copied && second != first);
        write(&at("lab"), "two").unwrap();
        let (kept, copied) = of("lab");
        assert!(!copied && kept != first);
        assert_eq!((of("lab").0, of("moved").0), (kept, first));
    }

    #[test]
    fn its_own_is_written_anew_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(dir.path(), "one").unwrap();
        write(dir.path(), "two").unwrap();
        assert_eq!(std::fs::read_to_string(at("vault-token")).unwrap(), "two");
        std::fs::write(at("vault-token"), "mine now").unwrap();
        let why = write(dir.path(), "three").unwrap_err();
        assert!(why.contains("vault-token was changed") && why.contains("--dir"), "{why}");
        assert_eq!(std::fs::read_to_string(at("vault-token")).unwrap(), "mine now");
        assert_eq!(std::fs::read_to_string(at("kubeconfig")).unwrap(), "two", "none of them is");
    }

    #[test]
    fn what_stood_there_stays_even_a_link_that_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let goal = elsewhere.path().join("goal");
        std::os::unix::fs::symlink(&goal, dir.path().join("kubeconfig")).unwrap();
        let why = write(dir.path(), "one").unwrap_err();
        assert!(why.contains("kubeconfig is no lab's"), "{why}");
        assert!(!goal.exists() && !dir.path().join("vault-token").exists());
    }
}
