//! `raft/peers.json` on the disk of one voter: when that voter is unsealed the next time, Vault makes
//! of it the whole cluster and removes the file. For a quorum that does not come back.
//!
//! Material: the pod's UID, the file's text, and what lay there before. Who else may still lead a
//! cluster is asked of every voter, since two clusters of the same data are worse than none.

use crate::action::args::Args;
use crate::action::kube::{client, kubectl, namespace, within};
use crate::action::snapshot_read::check_snapshot;
use crate::action::vault::{leads, voter};
use crate::action::{Ended, Seen, failed, quoted};
use crate::event::{Outcome, Probed, Proposal, Target, Time};
use crate::remote::{Ran, Remote, Trouble, apart, review_access, run_in_pod};
use crate::text::clean_line;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where Vault's chart mounts the voters' data.
const DATA: &str = "/vault/data";
/// Writes its first word into the file of its second: the words are no part of the script.
const WRITE: &str = "printf '%s\\n' \"$0\" >\"$1\"";

/// A container, and the file in it.
struct Place {
    namespace: String,
    pod: String,
    container: String,
    file: String,
}

impl Place {
    async fn run(&self, remote: &Remote, argv: &[&str]) -> Result<Ran, Trouble> {
        let client = client(remote).map_err(Trouble::Unreachable)?;
        run_in_pod(client, (&self.namespace, &self.pod, &self.container), argv).await
    }

    /// What the file holds, if it is there.
    async fn read(&self, remote: &Remote) -> Result<Option<String>, Trouble> {
        let ran = self.run(remote, &["cat", &self.file]).await?;
        if ran.exit == 0 {
            return Ok(Some(ran.out.trim_end().to_owned()));
        }
        // There may be no cat, or no right to read: only a list without it says that it is not there.
        let (dir, name) = self.file.rsplit_once('/').unwrap_or(("", &self.file));
        let list = self.run(remote, &["ls", dir]).await?;
        match list.exit == 0 && !list.out.split_whitespace().any(|n| n == name) {
            true => Ok(None),
            false => Err(Trouble::Unreachable(format!(
                "{} cannot be read: {}",
                self.file,
                clean_line(ran.err.trim())
            ))),
        }
    }

    /// The pod as it is now: its UID.
    async fn uid(&self, remote: &Remote) -> Result<Option<String>, Trouble> {
        Ok(pod(remote, &self.namespace, &self.pod).await?.and_then(|p| p.metadata.uid))
    }

    fn of(proposal: &Proposal) -> Self {
        let text = |name: &str| {
            let text = proposal.request.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Self {
            namespace: text("namespace"),
            pod: text("pod"),
            container: text("container"),
            file: text("file"),
        }
    }
}

async fn pod(remote: &Remote, namespace: &str, name: &str) -> Result<Option<Pod>, Trouble> {
    let client = client(remote).map_err(Trouble::Unreachable)?;
    within(Api::<Pod>::namespaced(client.clone(), namespace).get_opt(name)).await
}

/// Refuses where somebody leads: that cluster would go on beside the one that is made.
async fn nobody_leads(remote: &Remote) -> Result<(), String> {
    let asked = remote.voters.iter().map(|v| async move { (v, leads(remote, v).await) });
    for (voter, said) in futures::future::join_all(asked).await {
        if let Ok((true, ..)) = said {
            return Err(format!(
                "{} says that it leads: peers.json would make a second cluster beside it",
                voter.name
            ));
        }
    }
    Ok(())
}

/// Where raft talked to a node, by the configuration in a snapshot.
async fn address(remote: &Remote, anchor: &str, node: &str) -> Result<String, String> {
    let (machine, file) = (Arc::clone(&remote.machine), PathBuf::from(anchor));
    let checked = apart(&remote.machine, move || check_snapshot(machine.as_ref(), &file)).await??;
    let known: Vec<_> = checked.peers.keys().map(String::as_str).collect();
    let none = || {
        let known = clean_line(&known.join(", "));
        format!("the raft configuration in {anchor} has no node {node}; it has {known}")
    };
    checked.peers.get(node).cloned().ok_or_else(none)
}

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (client, namespace, node) = (client(remote)?, namespace(remote, args), args.text("node")?);
    voter(remote, node)?;
    // The cockpit asks by `get`, and the command by `create`.
    for verb in ["get", "create"] {
        let may = review_access(client, verb, "", "pods/exec", Some(namespace)).await;
        may.map_err(|e| e.to_string())?;
    }
    nobody_leads(remote).await?;
    let address = address(remote, args.text("anchor")?, node).await?;
    let says = |e: Trouble| e.to_string();
    let pod = pod(remote, namespace, node).await.map_err(says)?;
    let pod = pod.ok_or_else(|| format!("there is no pod {namespace}/{node} to write it in"))?;
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let dir = args.opt("data_dir").unwrap_or(DATA).trim_end_matches('/');
    let place = Place {
        namespace: namespace.to_owned(),
        pod: node.to_owned(),
        container: args.opt("container").unwrap_or("vault").to_owned(),
        file: format!("{dir}/raft/peers.json"),
    };
    let store = format!("{dir}/raft");
    let listed = place.run(remote, &["ls", &store]).await.map_err(says)?;
    if !listed.out.split_whitespace().any(|name| name == "raft.db") {
        let said = clean_line(listed.err.trim());
        return Err(format!(
            "{store} in {node} holds no raft.db{}; name its data directory with `data_dir`",
            if said.is_empty() { said } else { format!(" ({said})") }
        ));
    }
    let before = place.read(remote).await.map_err(says)?;
    let text = json!([{"id": node, "address": address, "non_voter": false}]).to_string();
    let cautions = before.iter().map(|_| format!("{} is there and is overwritten", place.file));
    Ok(Proposal {
        verb: "vault.peers_file".into(),
        sentence: format!(
            "WRITE {} in {node}: when it is unsealed the next time, {node} at {address} is the whole cluster",
            place.file
        ),
        targets: vec![Target {
            kind: "Pod".into(),
            namespace: Some(namespace.to_owned()),
            name: node.to_owned(),
            uid: Some(uid.clone()),
            created: pod.metadata.creation_timestamp.as_ref().map(|t| Time(t.0.as_millisecond())),
            note: format!("container {}", place.container),
        }],
        material: BTreeMap::from([
            (format!("{node}.uid"), json!(uid)),
            ("text".to_owned(), json!(text)),
            ("before".to_owned(), json!(before)),
        ]),
        commands: vec![shell(remote, &place, &uid, &text)],
        cautions: cautions.collect(),
        before: json!([{"name": node, "uid": uid}]),
        request: json!({
            "namespace": place.namespace, "pod": place.pod, "container": place.container,
            "file": place.file, "text": text, "uid": uid,
        }),
    })
}

/// The command for it: an exec takes no precondition, so the pod is looked at first.
fn shell(remote: &Remote, place: &Place, uid: &str, text: &str) -> String {
    let at = format!("{} -n {}", kubectl(remote), quoted(&place.namespace));
    let pod = quoted(&place.pod);
    format!(
        "test \"$({at} get pod {pod} -o 'jsonpath={{.metadata.uid}}')\" = {} && \
         {at} exec {pod} -c {} -- sh -c {} {} {}",
        quoted(uid),
        quoted(&place.container),
        quoted(WRITE),
        quoted(text),
        quoted(&place.file)
    )
}

pub(crate) async fn execute(remote: &Remote, proposal: &Proposal) -> Ended {
    let place = Place::of(proposal);
    let text = |name: &str| proposal.request.get(name).and_then(Value::as_str).unwrap_or_default();
    let before = async {
        nobody_leads(remote).await?;
        match place.uid(remote).await {
            Ok(Some(uid)) if uid == text("uid") => Ok(()),
            Ok(_) => Err(format!("{} is another pod than the one that was released", place.pod)),
            Err(e) => Err(e.to_string()),
        }
    };
    if let Err(why) = before.await {
        return (Outcome::Failed(format!("{why}; nothing was written")), Value::Null);
    }
    let wrote = place.run(remote, &["sh", "-c", WRITE, text("text"), &place.file]).await;
    let outcome = match wrote {
        Err(e) => failed(&e),
        Ok(ran) if ran.exit != 0 => {
            Outcome::Failed(format!("exit status {}: {}", ran.exit, clean_line(ran.err.trim())))
        }
        Ok(_) => match place.read(remote).await {
            Ok(Some(found)) if found == text("text") => Outcome::Ok,
            Ok(_) => Outcome::Failed(format!("{} does not read back as written", place.file)),
            Err(e) => Outcome::Unknown(e.to_string()),
        },
    };
    (outcome, json!({"path": place.file, "at": remote.now()}))
}

/// The file is there. Where its node leads and it is not, it may have been read, or the node was
/// elected without it.
pub(crate) async fn probe(remote: &Remote, proposal: &Proposal) -> Seen {
    let place = Place::of(proposal);
    let text = |name: &str| proposal.request.get(name).and_then(Value::as_str).unwrap_or_default();
    let result = || json!({"path": place.file, "at": remote.now()});
    let leading = match voter(remote, &place.pod) {
        Ok(own) => matches!(leads(remote, own).await, Ok((true, ..))),
        Err(_) => false,
    };
    let (found, uid) = (place.read(remote).await, place.uid(remote).await);
    match (found, uid) {
        (Ok(Some(found)), _) if found == text("text") => {
            (Probed::Done, format!("{} is there", place.file), result())
        }
        (Ok(_), Ok(_)) if leading => {
            let why = format!("{} leads, with this file or without", place.pod);
            (Probed::Unknown, why, Value::Null)
        }
        (Ok(_), Ok(Some(uid))) if uid == text("uid") => {
            (Probed::NotDone, format!("{} is not there", place.file), Value::Null)
        }
        (Ok(_), Ok(_)) => {
            (Probed::Unknown, format!("{} is another pod by now", place.pod), Value::Null)
        }
        (Err(e), _) | (_, Err(e)) => (Probed::Unknown, e.to_string(), Value::Null),
    }
}
