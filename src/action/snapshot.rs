//! A recovery anchor: a raft snapshot that was read back and lies in two places.
//!
//! Material: the cluster id and both paths. The file's number is the next free one, so
//! that the same proposal names the same file until it exists.

use crate::action::args::Args;
use crate::action::places::Places;
use crate::action::snapshot_keep::{Kept, result};
use crate::action::snapshot_read::{check_snapshot, sha256};
use crate::action::vault::{capable, command, leads};
use crate::action::{Ended, Say, Seen, Stop};
use crate::event::{Outcome, Probed, Proposal, Stream, Time};
use crate::remote::{Machine, Remote, Secret, VoterClient, apart, root};
use futures::TryStreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait between two pieces of a snapshot.
const QUIET: Duration = Duration::from_secs(30);
/// An entry is committed a moment before it is applied, and a snapshot has what was applied: one that
/// lacks the last entry that was committed before it is taken again.
const TIMES: u32 = 3;
const APPLIED: Duration = Duration::from_secs(1);

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

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let places = Places::of(remote, args, "vault-raft", "snap").await?;
    let (voter, index, base) = leader(remote).await?;
    capable(remote, voter, &base, "sys/storage/raft/snapshot", &["read"]).await?;
    let id = remote.identities().await.remove("vault.cluster-id");
    let Places { path, copy: second } = &places;
    let (p, _) = places.words();
    let target = if voter.only_forwarded() { "/dev/stdout".to_owned() } else { p.clone() };
    let (mut save, mut cautions) =
        command(remote, voter, &format!("operator raft snapshot save {target}"));
    if voter.only_forwarded() {
        save = format!("{save} > {p}");
    }
    cautions.push(
        "the command does not compare the snapshot's index with the commit index before it".into(),
    );
    let make = places.made();
    Ok(Proposal {
        verb: "vault.snapshot_save".into(),
        sentence: format!(
            "save a raft snapshot to {} and copy it to {}",
            path.display(),
            second.display()
        ),
        targets: places.targets("the anchor"),
        material: BTreeMap::from([("cluster".into(), json!(id))]),
        request: json!({"path": path, "copy": second}),
        commands: vec![format!(
            "(umask 077 && {make} && {save}) && sync {p} && {} && tar -tzf {p}",
            places.copied()
        )],
        cautions,
        before: json!({"index": index}),
    })
}

pub(crate) async fn execute(
    remote: &Remote,
    proposal: &Proposal,
    say: &Say,
    mut stop: Stop,
) -> Ended {
    let Places { path, copy } = Places::named(proposal);
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
    let places = Places::named(proposal);
    let meta = match places.kept(machine) {
        Ok(meta) => meta,
        Err((verdict, why)) => return (verdict, why, Value::Null),
    };
    let Places { path, copy } = places;
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
}
