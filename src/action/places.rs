//! Where an anchor and its second copy go: two places, neither of which is gone when it is needed.

use crate::action::args::Args;
use crate::action::quoted;
use crate::event::{Probed, Proposal, Target};
use crate::remote::{FileMeta, Ground, Machine, Remote, apart_soon};
use serde_json::Value;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Directories that are emptied at a reboot or by age, unless the runbook names others.
const TEMPORARY: &str = "/tmp:/var/tmp:/dev/shm:/run";

/// A file and its second copy.
pub(super) struct Places {
    pub(super) path: PathBuf,
    pub(super) copy: PathBuf,
}

impl Places {
    /// Those that a call asks for, if they are fit, under a name that is free in both: so the same
    /// proposal names the same file until it exists.
    pub(super) async fn of(
        remote: &Remote,
        args: &Args<'_>,
        stem: &str,
        ending: &'static str,
    ) -> Result<Self, String> {
        let (dir, copy) = (PathBuf::from(args.text("dir")?), PathBuf::from(args.text("copy_to")?));
        let temporary = args.opt("temporary").unwrap_or(TEMPORARY).to_owned();
        let (machine, stem) = (Arc::clone(&remote.machine), stem.to_owned());
        let looked = apart_soon(&remote.machine, move || {
            let machine = machine.as_ref();
            if fit(machine, &dir, &temporary)? == fit(machine, &copy, &temporary)? {
                return Err("the second copy would lie beside the first; name another place".into());
            }
            let name = next_name(machine, [&dir, &copy], &stem, ending);
            Ok(Self { path: dir.join(&name), copy: copy.join(&name) })
        });
        looked.await?
    }

    /// Those that a proposal names.
    pub(super) fn named(proposal: &Proposal) -> Self {
        let text = |name: &str| {
            PathBuf::from(proposal.request.get(name).and_then(Value::as_str).unwrap_or_default())
        };
        Self { path: text("path"), copy: text("copy") }
    }

    /// The file's particulars, where it is there, nobody else can read either, and the copy is no
    /// other name of it; else how far it came, and why.
    pub(super) fn kept(&self, machine: &dyn Machine) -> Result<FileMeta, (Probed, String)> {
        let Self { path, copy } = self;
        if !machine.exists(path) {
            return Err((Probed::NotDone, format!("{} is not there", path.display())));
        }
        let meta = machine
            .meta(path)
            .map_err(|e| (Probed::Unknown, format!("{}: {e}", path.display())))?;
        let second = machine.meta(copy).ok();
        for (place, mode) in
            [(path, Some(meta.mode)), (copy, second.as_ref().map(|second| second.mode))]
        {
            if mode.is_some_and(|m| m & 0o077 != 0) {
                let why = format!("{} can be read by others; chmod 600 it", place.display());
                return Err((Probed::Partly, why));
            }
        }
        if meta.file.is_some() && second.and_then(|second| second.file) == meta.file {
            let why = format!("{} is the anchor by another name; copy it", copy.display());
            return Err((Probed::Partly, why));
        }
        Ok(meta)
    }

    /// Both, as words of a shell.
    pub(super) fn words(&self) -> (String, String) {
        (word(&self.path), word(&self.copy))
    }

    /// The command that makes both directories.
    pub(super) fn made(&self) -> String {
        let dir = |path: &Path| word(path.parent().unwrap_or(path));
        format!("mkdir -p {} {}", dir(&self.path), dir(&self.copy))
    }

    /// The command that makes the second copy, durable and compared.
    pub(super) fn copied(&self) -> String {
        let (path, copy) = self.words();
        format!("(umask 077 && cp {path} {copy}) && sync {copy} && cmp {path} {copy}")
    }

    pub(super) fn targets(&self, what: &str) -> Vec<Target> {
        vec![file(&self.path, what), file(&self.copy, "its second copy")]
    }
}

fn word(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn file(path: &Path, note: &str) -> Target {
    Target {
        kind: "file".into(),
        namespace: None,
        name: path.display().to_string(),
        uid: None,
        created: None,
        note: note.into(),
    }
}

/// What a directory is without symbolic links, also where it is not made yet.
fn resolved(machine: &dyn Machine, dir: &Path, real: PathBuf) -> Result<PathBuf, String> {
    let there = dir.ancestors().find(|d| machine.exists(d)).unwrap_or(dir);
    let rest = dir.strip_prefix(there).unwrap_or(Path::new(""));
    if rest.components().any(|c| matches!(c, Component::ParentDir)) {
        return Err(format!("{}: write it without `..`", dir.display()));
    }
    Ok(rest.components().fold(real, |path, part| path.join(part)))
}

/// Refuses places from which an anchor would be missing when it is needed.
fn fit(machine: &dyn Machine, dir: &Path, temporary: &str) -> Result<PathBuf, String> {
    let shown = dir.display();
    if !dir.is_absolute() {
        return Err(format!("{shown} is no absolute path"));
    }
    let (real, ground) = machine.ground(dir).map_err(|e| format!("{shown}: {e}"))?;
    let real = resolved(machine, dir, real)?;
    if temporary.split(':').any(|t| !t.is_empty() && real.starts_with(t)) {
        return Err(format!(
            "{shown} is a temporary directory; an anchor there is gone after a reboot. Name another"
        ));
    }
    match ground {
        Ground::Nfs => {
            Err(format!("{shown} lies on NFS, the storage that is being left. Name another"))
        }
        Ground::Memory => Err(format!("{shown} lies in memory. Name another")),
        Ground::Disk => Ok(real),
    }
}

fn next_name(machine: &dyn Machine, dirs: [&Path; 2], stem: &str, ending: &str) -> String {
    (1..100_000)
        .map(|n| format!("{stem}-{n:04}.{ending}"))
        .find(|name| dirs.iter().all(|d| !machine.exists(&d.join(name))))
        .unwrap_or_else(|| format!("{stem}.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Here;

    /// One directory by two names is one place, made already or not.
    #[test]
    fn a_second_copy_in_the_same_place_is_seen_by_whatever_name() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let at = |dir: PathBuf| {
            let (ground, _) = Here.ground(&dir).unwrap();
            resolved(&Here, &dir, ground)
        };
        assert_eq!(at(real.clone()), at(link.clone()));
        assert_eq!(at(real.join("new/a")), at(link.join("new/a")));
        assert_eq!(at(real.join("../real")), at(link.clone()));
        assert_ne!(at(real.join("new")), at(real.clone()));
        assert!(at(real.join("new/../a")).unwrap_err().contains("without `..`"));
    }
}
