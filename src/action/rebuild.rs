//! A cluster whose disks are all gone, made again from a snapshot: one voter with an empty disk is
//! initialised, opened, and given the snapshot by force. What it holds then is what was saved: the
//! identity, the tokens and the unseal keys of the cluster that was.
//!
//! Material: the file's sum, and that no voter has anything that could be lost. The keys and the root
//! token of the cluster in between open nothing afterwards: they stay in memory and are dropped.

use crate::action::args::Args;
use crate::action::restore::{pieces, send};
use crate::action::snapshot_read::{check_snapshot, summed};
use crate::action::vault::{command, voter};
use crate::action::{Ended, Say, Seen, quoted};
use crate::event::{Outcome, Probed, Proposal, Stream, Target};
use crate::remote::{Opened, Remote, Secret, VoterClient, WireError, apart, root, whole};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// Longest wait until it leads, and until it has read what was restored.
const PATIENCE: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_millis(500);
const FORCE: &str = "sys/storage/raft/snapshot-force";
/// What became of the keys of a cluster in between.
const GONE: &str = "nobody has the keys of that cluster";
/// The way out of what is left where it ended half-way.
const AGAIN_FROM: &str = "delete its claims and its pod, then do this step again";

/// What makes another site of the right one, where this ended half-way.
pub(super) const LEFT: &str =
    "; an empty cluster that an earlier try left goes with its claims and its pod";

/// What a voter says of its seal: whether it is initialised, whether sealed, and its cluster.
async fn status(remote: &Remote, voter: &VoterClient) -> Result<(bool, bool, String), String> {
    let base = voter.base(remote.kube.as_ref().ok()).await.map_err(|e| e.to_string())?;
    let asked = voter.ask(&base, Method::GET, "sys/seal-status", None, None).await;
    let body = asked.map_err(|e| e.to_string())?.body;
    let flag = |name: &str| body.get(name).and_then(Value::as_bool);
    let id = body.get("cluster_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    match (flag("initialized"), flag("sealed")) {
        (Some(initialised), Some(sealed)) => Ok((initialised, sealed, id)),
        _ => Err("its seal is not told".into()),
    }
}

/// Refuses where any voter has data, or the one that is meant does not answer.
async fn nothing_is_there(remote: &Remote, node: &str) -> Result<(), String> {
    let asked = remote.voters.iter().map(|v| async move { (v, status(remote, v).await) });
    for (voter, said) in futures::future::join_all(asked).await {
        match said {
            Ok((true, ..)) => {
                return Err(format!(
                    "{} is initialised: it has data, and another cluster beside it would be a second one{LEFT}",
                    voter.name
                ));
            }
            Err(why) if voter.name == node => return Err(format!("{node}: {why}")),
            _ => {}
        }
    }
    Ok(())
}

pub(crate) async fn plan(
    remote: &Remote,
    args: &Args<'_>,
    cluster: Option<&String>,
) -> Result<Proposal, String> {
    let (node, path) = (args.text("node")?, PathBuf::from(args.text("path")?));
    let own = voter(remote, node)?;
    let (machine, file) = (Arc::clone(&remote.machine), path.clone());
    let checked = apart(&remote.machine, move || check_snapshot(machine.as_ref(), &file)).await??;
    nothing_is_there(remote, node).await?;
    let name = path.display().to_string();
    let (commands, mut cautions) = shell(remote, own, &name, &checked.sha256);
    cautions.push("everything that was written since the snapshot is lost".into());
    let target = |kind: &str, name: &str, note: String| Target {
        kind: kind.into(),
        namespace: None,
        name: name.into(),
        uid: None,
        created: None,
        note,
    };
    Ok(Proposal {
        verb: "vault.rebuild".into(),
        sentence: format!(
            "MAKE A NEW CLUSTER of {node}, which is empty, and restore the snapshot of index {} into it; \
             the keys of the cluster that was saved unseal it",
            checked.index
        ),
        targets: vec![
            target("file", &name, format!("sha256 {}", checked.sha256)),
            target("vault voter", node, "not initialised".into()),
        ],
        material: BTreeMap::from([
            ("node".into(), json!(node)),
            ("sha256".into(), json!(checked.sha256)),
        ]),
        request: json!({
            "node": node, "path": name, "sha256": checked.sha256, "cluster": cluster,
        }),
        commands,
        cautions,
        before: Value::Null,
    })
}

/// The same by hand. Key and token go through pipes and the environment, never into arguments.
fn shell(remote: &Remote, own: &VoterClient, path: &str, sum: &str) -> (Vec<String>, Vec<String>) {
    if own.only_forwarded() {
        let why = "there is no command: the file would have to be copied into the pod";
        return (Vec::new(), vec![why.into()]);
    }
    let path = quoted(path);
    let (init, cautions) =
        command(remote, own, "operator init -key-shares=1 -key-threshold=1 -format=json");
    let at = |words: &str| command(remote, own, words).0;
    // Whose token is asked for is the new cluster's: the one at hand is not known to it yet.
    let with = |words: &str| {
        let (text, own) = (at(words), format!("vault {words}"));
        let before = text.strip_suffix(&own).unwrap_or_default();
        format!("{before}VAULT_TOKEN=\"$token\" {own}")
    };
    let text = format!(
        "echo '{sum}  '{path} | sha256sum -c && made=$({init}) && \
         key=$(printf '%s' \"$made\" | sed -n '/unseal_keys_b64/{{n;s/[\", ]//g;p;}}') && \
         token=$(printf '%s' \"$made\" | sed -n 's/.*\"root_token\": \"\\(.*\\)\".*/\\1/p') && \
         printf '%s' \"$key\" | {} && until {} >/dev/null 2>&1; do sleep 1; done && {}",
        at("write sys/unseal key=-"),
        with("operator raft list-peers"),
        with(&format!("operator raft snapshot restore -force {path}")),
    );
    (vec![text], cautions)
}

/// A request to a voter that is not to be asked for long.
async fn put(
    voter: &VoterClient,
    base: &str,
    path: &str,
    token: Option<&Secret>,
    body: &Value,
) -> Result<Value, Outcome> {
    let asked = async {
        let answer = voter.send(base, Method::PUT, path, token, Some(body)).await?;
        let code = answer.status().as_u16();
        Ok::<_, WireError>((code, whole(answer).await?))
    };
    let (code, bytes) = match tokio::time::timeout(DEADLINE, asked).await {
        Err(_) => return Err(Outcome::Unknown(format!("{path}: no answer"))),
        Ok(Err(e)) => return Err(Outcome::Unknown(format!("{path}: {}", root(e.as_ref())))),
        Ok(Ok(answer)) => answer,
    };
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if code < 300 {
        return Ok(body);
    }
    let said = body.pointer("/errors/0").and_then(Value::as_str).unwrap_or_default();
    let said = crate::text::clean_line(said);
    Err(Outcome::Failed(format!("{path}: Vault says {code}: {said}")))
}

/// Waits until it is so.
async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if so().await {
            return true;
        }
        tokio::time::sleep(AGAIN).await;
    }
    false
}

pub(crate) async fn execute(remote: &Remote, proposal: &Proposal, say: &Say) -> Ended {
    let text = |name: &str| proposal.request.get(name).and_then(Value::as_str).unwrap_or_default();
    let ready = async {
        nothing_is_there(remote, text("node")).await?;
        let own = voter(remote, text("node"))?;
        let base = own.base(remote.kube.as_ref().ok()).await.map_err(|e| e.to_string())?;
        let (machine, file) = (Arc::clone(&remote.machine), PathBuf::from(text("path")));
        let (file, sum) = apart(&remote.machine, move || summed(machine.as_ref(), &file)).await??;
        match sum == text("sha256") {
            true => Ok((own, base, file)),
            false => Err(format!("{} is another file than the one released", text("path"))),
        }
    };
    let (own, base, file) = match ready.await {
        Ok(ready) => ready,
        Err(why) => {
            return (Outcome::Failed(format!("{why}; nothing was sent")), Value::Null);
        }
    };
    let one = json!({"secret_shares": 1, "secret_threshold": 1});
    let made = match put(own, &base, "sys/init", None, &one).await {
        Ok(made) => made,
        Err(outcome) => return (outcome, Value::Null),
    };
    say(Stream::Note, format!("{} is initialised; its keys are not kept", own.name));
    let secret = |at: &str| {
        Secret::new(made.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    let (key, token) = (secret("/keys_base64/0"), secret("/root_token"));
    let outcome = match fill(remote, own, &base, (&key, &token), (file, proposal), say).await {
        Ok(()) => Outcome::Ok,
        Err(outcome) => {
            // An empty cluster that nobody can open says nothing of itself either.
            let _ = put(own, &base, "sys/seal", Some(&token), &json!({})).await;
            let left =
                format!("{} holds an empty cluster whose keys are gone: {AGAIN_FROM}", own.name);
            match outcome {
                Outcome::Failed(why) => Outcome::Failed(format!("{why}; {left}")),
                Outcome::Unknown(why) => Outcome::Unknown(format!("{why}; unless it was: {left}")),
                Outcome::Ok => Outcome::Ok,
            }
        }
    };
    (outcome, json!({"at": remote.now()}))
}

/// Opens the new cluster, restores into it, and waits until it is the old one.
async fn fill(
    remote: &Remote,
    own: &VoterClient,
    base: &str,
    (key, token): (&Secret, &Secret),
    (file, proposal): (Box<dyn Opened>, &Proposal),
    say: &Say,
) -> Result<(), Outcome> {
    let text = |name: &str| proposal.request.get(name).and_then(Value::as_str).unwrap_or_default();
    put(own, base, "sys/unseal", None, &json!({"key": key.reveal()})).await?;
    let leads = || async {
        let asked = own.ask(base, Method::GET, "sys/health", None, None).await;
        asked.is_ok_and(|health| health.code == 200)
    };
    if !until(leads).await {
        return Err(Outcome::Failed(format!("{} does not lead", own.name)));
    }
    let (_, _, fresh) = status(remote, own).await.map_err(Outcome::Failed)?;
    say(Stream::Note, format!("sending {} to {}", text("path"), own.name));
    match send(own, base, token, FORCE, pieces(remote, file, text("sha256").to_owned())).await {
        Outcome::Ok => {}
        other => return Err(other),
    }
    // Some seconds later Vault reads what it has now, finds that its key does not open that, and
    // seals itself; whoever holds the old keys may have unsealed it by the time of the next look.
    let over = || async {
        let said = status(remote, own).await;
        said.is_ok_and(|(_, sealed, id)| sealed || (!id.is_empty() && id != fresh))
    };
    match until(over).await {
        true => Ok(()),
        false => Err(Outcome::Unknown("it goes on as it was before the restore".into())),
    }
}

/// Whose cluster it is tells; of one that is sealed nobody knows.
pub(crate) async fn probe(remote: &Remote, proposal: &Proposal) -> Seen {
    let text = |name: &str| proposal.request.get(name).and_then(Value::as_str).unwrap_or_default();
    let (node, saved) = (text("node"), text("cluster"));
    let said = match voter(remote, node) {
        Ok(own) => status(remote, own).await,
        Err(why) => Err(why),
    };
    let (verdict, why) = match said {
        Err(why) => (Probed::Unknown, format!("{node}: {why}")),
        Ok((false, ..)) => (Probed::NotDone, format!("{node} is not initialised")),
        Ok((true, true, _)) => (
            Probed::Unknown,
            format!(
                "{node} is initialised and sealed, so it does not say of which cluster it is: if it was \
                 restored, the old keys open it; if they do not, it is empty and {GONE}: {AGAIN_FROM}"
            ),
        ),
        Ok((true, false, id)) if id.is_empty() => (
            Probed::Unknown,
            format!("{node} is unsealed and does not say yet of which cluster it is"),
        ),
        // Without a pin nobody knows which one it was.
        Ok((true, false, id)) if saved.is_empty() => (
            Probed::Unknown,
            format!("{node} is of cluster {id}; which one was saved is not pinned"),
        ),
        Ok((true, false, id)) if id == saved => {
            (Probed::Done, format!("{node} is of cluster {id}, the one that was saved"))
        }
        Ok((true, false, id)) => (
            Probed::Partly,
            format!(
                "{node} is initialised and unsealed as cluster {id}, and {saved} was saved: the snapshot \
                 is not restored, or was sent a moment ago. If it stays so, {GONE}: {AGAIN_FROM}"
            ),
        ),
    };
    let result = if verdict == Probed::Done { json!({"at": remote.now()}) } else { Value::Null };
    (verdict, why, result)
}
