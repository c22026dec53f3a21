//! The directory of a served lab: files for other tools, and a note of what was written there.
//! What a lab did not write, or somebody changed since, is not written over.

use crate::lab::real;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The note's name.
const NOTE: &str = ".holdpoint-lab.json";

/// What a lab wrote: each file's digest.
#[derive(Default, Serialize, Deserialize)]
struct Note {
    written: BTreeMap<String, String>,
}

/// A directory that a lab may write to.
pub(super) struct Offered {
    dir: PathBuf,
    note: Note,
}

impl Offered {
    /// Looks whether these files may be written there; makes nothing yet. Where it is stands in
    /// files that are read from other directories: the path is whole from here on.
    pub(super) fn at(dir: &Path, names: &[&str]) -> Result<Self, String> {
        let dir = std::path::absolute(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let path = dir.join(NOTE);
        let note = match std::fs::symlink_metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Note::default(),
            _ => real(&path)
                .map_err(|e| e.to_string())
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()))
                .map_err(|e| format!("{}: {e}; name another --dir", path.display()))?,
        };
        let offered = Self { dir, note };
        names.iter().try_for_each(|name| offered.free(name))?;
        Ok(offered)
    }

    /// From the root.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
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

    /// Writes them all, in place of an earlier lab's.
    pub(super) fn write(mut self, files: &[(&str, String)]) -> Result<(), String> {
        let (dir, failed) =
            (self.dir.clone(), |path: &Path, e: std::io::Error| format!("{}: {e}", path.display()));
        std::fs::create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        for (name, text) in files {
            self.free(name)?;
            away(&dir.join(name))?;
            self.note.written.insert((*name).to_owned(), digest(text.as_bytes()));
        }
        // The note before the files: one that is cut short leaves none that nobody wrote.
        let note = serde_json::to_string_pretty(&self.note).map_err(|e| e.to_string())?;
        away(&dir.join(NOTE))?;
        for (name, text) in [(NOTE, &note)].into_iter().chain(files.iter().map(|(n, t)| (*n, t))) {
            let path = dir.join(name);
            // Who was quicker keeps what is theirs.
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            file.and_then(|mut f| f.write_all(text.as_bytes())).map_err(|e| failed(&path, e))?;
        }
        Ok(())
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
        Offered::at(dir, &NAMES)?.write(&NAMES.map(|name| (name, text.to_owned())))
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
