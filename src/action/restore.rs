//! A raft snapshot brought back onto the cluster that wrote it, or with `force` onto a fresh one.
//!
//! Material: the cluster id and the file's sum: what was read for the review is what is sent.
//! Whether it was done Vault does not tell afterwards; only what it holds does.

use crate::action::args::Args;
use crate::action::snapshot::leader;
use crate::action::snapshot_read::{check_snapshot, sha256};
use crate::action::vault::{capable, command};
use crate::action::{Ended, Say, quoted};
use crate::event::{Outcome, Proposal, Stream, Target};
use crate::remote::{Remote, Secret, VoterClient, apart, root};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for Vault to take all of it in.
const DEADLINE: Duration = Duration::from_secs(900);
const PIECE: usize = 256 << 10;

fn place(force: bool) -> &'static str {
    if force { "sys/storage/raft/snapshot-force" } else { "sys/storage/raft/snapshot" }
}

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (path, force) = (PathBuf::from(args.text("path")?), args.flag("force"));
    let (machine, file) = (Arc::clone(&remote.machine), path.clone());
    let checked = apart(&remote.machine, move || check_snapshot(machine.as_ref(), &file)).await??;
    let (voter, index, base) = leader(remote).await?;
    capable(remote, voter, &base, place(force), &["update"]).await?;
    let id = remote.identities().await.remove("vault.cluster-id");
    let shown = quoted(&path.display().to_string());
    let forced = if force { " -force" } else { "" };
    let (restore, mut cautions) =
        command(remote, voter, &format!("operator raft snapshot restore{forced} {shown}"));
    cautions.push("everything that was written since the snapshot is lost".into());
    let commands = if voter.only_forwarded() {
        cautions.push("there is no command: the file would have to be copied into the pod".into());
        Vec::new()
    } else {
        vec![format!("echo '{}  '{shown} | sha256sum -c && {restore}", checked.sha256)]
    };
    let name = path.display().to_string();
    Ok(Proposal {
        verb: "vault.snapshot_restore".into(),
        sentence: format!(
            "RESTORE the snapshot of index {} through {}, which is at index {index}",
            checked.index, voter.name
        ),
        targets: vec![
            Target {
                kind: "file".into(),
                namespace: None,
                name: name.clone(),
                uid: None,
                created: None,
                note: format!("sha256 {}", checked.sha256),
            },
            Target {
                kind: "vault cluster".into(),
                namespace: None,
                name: id.clone().unwrap_or_default(),
                uid: id.clone(),
                created: None,
                note: format!("led by {}", voter.name),
            },
        ],
        material: BTreeMap::from([
            ("cluster".into(), json!(id)),
            ("sha256".into(), json!(checked.sha256)),
        ]),
        request: json!({"path": name, "sha256": checked.sha256, "force": force}),
        commands,
        cautions,
        before: json!({"index": index}),
    })
}

pub(crate) async fn execute(remote: &Remote, proposal: &Proposal, say: &Say) -> Ended {
    match restore(remote, proposal, say).await {
        Ok(outcome) => (outcome, json!({"at": remote.now()})),
        Err(why) => (Outcome::Failed(format!("{why}; nothing was sent")), Value::Null),
    }
}

async fn restore(remote: &Remote, proposal: &Proposal, say: &Say) -> Result<Outcome, String> {
    let text = |name: &str| proposal.request.get(name).and_then(Value::as_str).unwrap_or_default();
    let (path, wanted) = (PathBuf::from(text("path")), text("sha256").to_owned());
    let force = proposal.request.get("force").and_then(Value::as_bool).unwrap_or(false);
    let (machine, file) = (Arc::clone(&remote.machine), path.clone());
    let sum = apart(&remote.machine, move || sha256(machine.as_ref(), &file)).await??;
    if sum != wanted {
        return Err(format!("{} is another file than the one that was released", path.display()));
    }
    let (voter, _, base) = leader(remote).await?;
    let token = remote.token.as_ref().map_err(Clone::clone)?;
    let file = remote.machine.open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    say(Stream::Note, format!("sending {} to {}", path.display(), voter.name));
    Ok(send(voter, &base, token, place(force), pieces(remote, file)).await)
}

/// Sends a snapshot, and waits until Vault has taken it in.
pub(crate) async fn send(
    voter: &VoterClient,
    base: &str,
    token: &Secret,
    place: &str,
    body: Body,
) -> Outcome {
    let asked = async {
        let answer = voter.send_body(base, Method::PUT, place, token, body).await?;
        let code = answer.status().as_u16();
        Ok::<_, crate::remote::WireError>((code, answer.bytes().await?))
    };
    match tokio::time::timeout(DEADLINE, asked).await {
        Err(_) => Outcome::Unknown(format!("no answer in {} s", DEADLINE.as_secs())),
        Ok(Err(e)) => Outcome::Unknown(root(e.as_ref())),
        Ok(Ok((200 | 204, _))) => Outcome::Ok,
        Ok(Ok((code, bytes))) => {
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let said = body.pointer("/errors/0").and_then(Value::as_str).unwrap_or_default();
            let why = format!("Vault says {code}: {}", crate::text::clean_line(said));
            // What breaks on Vault's side may have begun.
            if code >= 500 { Outcome::Unknown(why) } else { Outcome::Failed(why) }
        }
    }
}

/// A file piece by piece, read where a disk that hangs holds up nobody else.
pub(crate) fn pieces(remote: &Remote, file: Box<dyn Read + Send>) -> Body {
    let machine = Arc::clone(&remote.machine);
    let read = futures::stream::try_unfold(file, move |mut file| {
        let machine = Arc::clone(&machine);
        async move {
            let piece = apart(&machine, move || {
                let mut piece = vec![0; PIECE];
                let n = file.read(&mut piece)?;
                piece.truncate(n);
                Ok::<_, std::io::Error>((piece, file))
            });
            let (piece, file) = piece.await.map_err(std::io::Error::other)??;
            Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, file)))
        }
    });
    Body::wrap_stream(read)
}
