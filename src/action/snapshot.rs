//! A recovery anchor: a raft snapshot that was read back and lies in two places.
//!
//! Material: the cluster id and both paths. The file's number is the next free one, so
//! that the same proposal names the same file until it exists.

use crate::action::args::Args;
use crate::action::snapshot_keep::{Kept, result};
use crate::action::snapshot_read::{check_snapshot, sha256};
use crate::action::vault::{capable, command, leads};
use crate::action::{Ended, Say, Seen, Stop, quoted};
use crate::event::{Outcome, Probed, Proposal, Stream, Target, Time};
use crate::remote::{Ground, Machine, Remote, Secret, VoterClient, apart, apart_soon, root};
use futures::TryStreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait between two pieces of a snapshot.
const QUIET: Duration = Duration::from_secs(30);
/// An entry is committed a moment before it is applied, and a snapshot has what was applied: one that
/// lacks the last entry that was committed before it is taken again.
const TIMES: u32 = 3;
const APPLIED: Duration = Duration::from_secs(1);
/// Directories that are emptied at a reboot or by age, unless the runbook names others.
const TEMPORARY: &str = "/tmp:/var/tmp:/dev/shm:/run";

pub(crate) async fn leader(remote: &Remote) -> Result<(&VoterClient, i64, String), String> {
    let mut says = Vec::new();
    for voter in &remote.voters {
        if let Ok((true, index, base)) = leads(remote, voter).await {
            says.push((voter, index, base));
        }
    }
    if says.len() > 1 {
        // A leader that hangs goes on saying so beside its successor; it is not healthy.
        let mut well = Vec::new();
        for one in says {
            let health = one.0.ask(&one.2, Method::GET, "sys/health", None, None).await;
            if health.is_ok_and(|h| h.code == 200) {
                well.push(one);
            }
        }
        if well.len() != 1 {
            return Err(format!(
                "more than one voter says that it leads, and {} of them are well; wait until one does",
                well.len()
            ));
        }
        says = well;
    }
    if let Some(one) = says.pop() {
        return Ok(one);
    }
    Err("no voter says that it leads; without a leader Vault can neither be asked nor told".into())
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

fn next_name(machine: &dyn Machine, dirs: [&Path; 2]) -> String {
    (1..100_000)
        .map(|n| format!("vault-raft-{n:04}.snap"))
        .find(|name| dirs.iter().all(|d| !machine.exists(&d.join(name))))
        .unwrap_or_else(|| "vault-raft.snap".into())
}

/// Looks whether both places are fit; the name that is free in both.
async fn places(
    remote: &Remote,
    dir: &Path,
    copy: &Path,
    temporary: &str,
) -> Result<String, String> {
    let machine = Arc::clone(&remote.machine);
    let (dir, copy, temporary) = (dir.to_owned(), copy.to_owned(), temporary.to_owned());
    let looked = apart_soon(&remote.machine, move || {
        let machine = machine.as_ref();
        if fit(machine, &dir, &temporary)? == fit(machine, &copy, &temporary)? {
            return Err("the second copy would lie beside the first; name another place".into());
        }
        Ok(next_name(machine, [&dir, &copy]))
    });
    looked.await?
}

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (dir, copy) = (PathBuf::from(args.text("dir")?), PathBuf::from(args.text("copy_to")?));
    let temporary = args.opt("temporary").unwrap_or(TEMPORARY);
    let name = places(remote, &dir, &copy, temporary).await?;
    let (voter, index, base) = leader(remote).await?;
    capable(remote, voter, &base, "sys/storage/raft/snapshot", &["read"]).await?;
    let id = remote.identities().await.remove("vault.cluster-id");
    let (path, second) = (dir.join(&name), copy.join(&name));
    let (p, s) = (quoted(&path.display().to_string()), quoted(&second.display().to_string()));
    let target = if voter.only_forwarded() { "/dev/stdout".to_owned() } else { p.clone() };
    let (mut save, mut cautions) =
        command(remote, voter, &format!("operator raft snapshot save {target}"));
    if voter.only_forwarded() {
        save = format!("{save} > {p}");
    }
    cautions.push(
        "the command does not compare the snapshot's index with the commit index before it".into(),
    );
    let make = format!(
        "mkdir -p {} {}",
        quoted(&dir.display().to_string()),
        quoted(&copy.display().to_string())
    );
    Ok(Proposal {
        verb: "vault.snapshot_save".into(),
        sentence: format!(
            "save a raft snapshot to {} and copy it to {}",
            path.display(),
            second.display()
        ),
        targets: vec![file(&path, "the anchor"), file(&second, "its second copy")],
        material: BTreeMap::from([("cluster".into(), json!(id))]),
        request: json!({"path": path, "copy": second}),
        commands: vec![format!(
            "(umask 077 && {make} && {save}) && sync {p} && (umask 077 && cp {p} {s}) && sync {s} && cmp {p} {s} && tar -tzf {p}"
        )],
        cautions,
        before: json!({"index": index}),
    })
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

fn paths(proposal: &Proposal) -> (PathBuf, PathBuf) {
    let text = |name: &str| {
        PathBuf::from(proposal.request.get(name).and_then(Value::as_str).unwrap_or_default())
    };
    (text("path"), text("copy"))
}

pub(crate) async fn execute(
    remote: &Remote,
    proposal: &Proposal,
    say: &Say,
    mut stop: Stop,
) -> Ended {
    let (path, copy) = paths(proposal);
    match save(remote, &path, &copy, say, &mut stop).await {
        Ok(result) => (Outcome::Ok, result),
        // Nothing in Vault changed, whatever went wrong: trying again is safe.
        Err(why) => (Outcome::Failed(why), Value::Null),
    }
}

async fn save(
    remote: &Remote,
    path: &Path,
    copy: &Path,
    say: &Say,
    stop: &mut Stop,
) -> Result<Value, String> {
    let (voter, index, base) = leader(remote).await?;
    let token = remote.token.as_ref().map_err(Clone::clone)?;
    say(Stream::Note, format!("commit index before: {index}"));
    let part = path.with_extension("part");
    let machine = &remote.machine;
    for dir in [path, copy].iter().filter_map(|p| p.parent()) {
        machine.make_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    let kept = (path.to_owned(), copy.to_owned());
    for left in (0..TIMES).rev() {
        // Only while it comes: what is here is checked and named to the end.
        let bytes = tokio::select! {
            bytes = fetched(voter, &base, token, machine, &part) => bytes?,
            why = stop.asked() => {
                // A part that cannot be removed is overwritten next time.
                let _ = machine.remove(&part);
                return Err(format!("stopped, no snapshot was taken: {why}"));
            }
        };
        let ((path, copy), part, say) = (kept.clone(), part.clone(), say.clone());
        let (now, machine) = (remote.now(), Arc::clone(machine));
        let done = apart(&remote.machine, move || {
            let kept = Kept { machine: machine.as_ref(), path: &path, copy: &copy };
            kept.keep(&part, (index, left > 0), bytes, now, &say)
        });
        if let Some(result) = done.await?? {
            return Ok(result);
        }
        tokio::time::sleep(APPLIED).await;
    }
    Err("no snapshot was taken".into())
}

/// One snapshot, as it comes; how many bytes.
async fn fetched(
    voter: &VoterClient,
    base: &str,
    token: &Secret,
    machine: &Arc<dyn Machine>,
    part: &Path,
) -> Result<u64, String> {
    let path_there = "sys/storage/raft/snapshot";
    let sent = voter.send(base, Method::GET, path_there, Some(token), None);
    let response = match tokio::time::timeout(QUIET, sent).await {
        Ok(answer) => answer.map_err(|e| root(e.as_ref()))?,
        Err(_) => return Err(format!("no answer in {} s", QUIET.as_secs())),
    };
    if !response.status().is_success() {
        return Err(format!("Vault says {} to the snapshot request", response.status().as_u16()));
    }
    stream(machine, response, part).await.inspect_err(|_| {
        // A part that cannot be removed is overwritten next time.
        let _ = machine.remove(part);
    })
}

async fn stream(
    machine: &Arc<dyn Machine>,
    response: reqwest::Response,
    part: &Path,
) -> Result<u64, String> {
    let io = |e: std::io::Error| format!("{}: {e}", part.display());
    let mut file = machine.create(part).map_err(io)?;
    let mut pieces = response.bytes_stream();
    let mut bytes = 0;
    loop {
        match tokio::time::timeout(QUIET, pieces.try_next()).await {
            Ok(Ok(Some(piece))) => {
                bytes += piece.len() as u64;
                // A disk that hangs must hold up nobody else.
                let written = apart(machine, move || {
                    file.write_all(&piece)?;
                    Ok(file)
                });
                file = written.await?.map_err(io)?;
            }
            Ok(Ok(None)) => break,
            Ok(Err(e)) => {
                return Err(format!(
                    "the snapshot broke off after {bytes} bytes: {}",
                    e.without_url()
                ));
            }
            Err(_) => return Err(format!("the snapshot stood still after {bytes} bytes")),
        }
    }
    apart(machine, move || file.finish()).await?.map_err(io)?;
    Ok(bytes)
}

/// Reads both copies, on a thread of its own: they may be large, and their disk may hang.
pub(crate) async fn probe(remote: &Remote, proposal: &Proposal) -> Seen {
    let (machine, proposal, now) = (Arc::clone(&remote.machine), proposal.clone(), remote.now());
    let seen = apart(&remote.machine, move || seen(machine.as_ref(), &proposal, now)).await;
    seen.unwrap_or_else(|why| (Probed::Unknown, why, Value::Null))
}

fn seen(machine: &dyn Machine, proposal: &Proposal, now: Time) -> Seen {
    let (path, copy) = paths(proposal);
    if !machine.exists(&path) {
        return (Probed::NotDone, format!("{} is not there", path.display()), Value::Null);
    }
    let meta = match machine.meta(&path) {
        Ok(meta) => meta,
        Err(e) => return (Probed::Unknown, format!("{}: {e}", path.display()), Value::Null),
    };
    for (place, mode) in
        [(&path, Some(meta.mode)), (&copy, machine.meta(&copy).ok().map(|m| m.mode))]
    {
        if mode.is_some_and(|m| m & 0o077 != 0) {
            let why = format!("{} can be read by others; chmod 600 it", place.display());
            return (Probed::Partly, why, Value::Null);
        }
    }
    if meta.file.is_some() && machine.meta(&copy).ok().and_then(|m| m.file) == meta.file {
        let why = format!("{} is the anchor by another name; copy it", copy.display());
        return (Probed::Partly, why, Value::Null);
    }
    let checked = match check_snapshot(machine, &path) {
        Ok(checked) => checked,
        Err(why) => return (Probed::Partly, why, Value::Null),
    };
    // Journals of before have no index here: then the file's own is all there is.
    let wanted = proposal.before.get("index").and_then(Value::as_i64).unwrap_or(0);
    if checked.index < wanted {
        let why = format!(
            "{} ends at index {}, before the commit index {wanted} that was read for the plan; save \
             a newer one",
            path.display(),
            checked.index
        );
        return (Probed::Partly, why, Value::Null);
    }
    match sha256(machine, &copy) {
        Ok(sum) if sum == checked.sha256 => {
            let at = meta.modified.unwrap_or(now);
            (
                Probed::Done,
                "both copies are there and the same".into(),
                result(&path, meta.size, &checked, 2, at),
            )
        }
        Ok(_) => {
            (Probed::Partly, format!("{} differs from the anchor", copy.display()), Value::Null)
        }
        Err(why) => (Probed::Partly, format!("no second copy: {why}"), Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Here;

    /// A copy that goes when the anchor's file is spoiled is none.
    #[test]
    fn a_hard_link_is_no_second_copy() {
        let root = tempfile::tempdir().unwrap();
        let (path, copy) = (root.path().join("a.snap"), root.path().join("b.snap"));
        std::fs::write(&path, b"x").unwrap();
        std::fs::hard_link(&path, &copy).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let proposal = Proposal {
            verb: "vault.snapshot_save".into(),
            sentence: String::new(),
            targets: Vec::new(),
            material: BTreeMap::new(),
            request: json!({"path": path, "copy": copy}),
            commands: Vec::new(),
            cautions: Vec::new(),
            before: Value::Null,
        };
        let (verdict, why, _) = seen(&Here, &proposal, Time(0));
        assert_eq!(verdict, Probed::Partly);
        assert!(why.contains("by another name"), "{why}");
    }

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
