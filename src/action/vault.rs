//! Vault: step-down of the node that really leads.
//!
//! Material: the cluster id and that this node leads. A step-down sent to a standby would
//! be forwarded and step down another node, so the node itself is asked first, twice.

use crate::action::args::Args;
use crate::action::kube::kubectl;
use crate::action::{Ended, Seen, quoted};
use crate::event::{Outcome, Probed, Proposal, Target};
use crate::remote::{Remote, Silence, VoterClient, WireError, root, whole};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn voter<'a>(remote: &'a Remote, name: &str) -> Result<&'a VoterClient, String> {
    let known: Vec<_> = remote.voters.iter().map(|v| v.name.as_str()).collect();
    remote
        .voters
        .iter()
        .find(|v| v.name == name)
        .ok_or_else(|| format!("the site file has no voter {name}; it has {}", known.join(", ")))
}

/// Whether a voter says that it leads, and its commit index.
pub(crate) async fn leads(
    remote: &Remote,
    voter: &VoterClient,
) -> Result<(bool, i64, String), Silence> {
    let base = voter.base(remote.kube.as_ref().ok()).await?;
    let asked = voter.ask(&base, Method::GET, "sys/leader", None, None).await?;
    let flag = asked.body.get("is_self").and_then(Value::as_bool).unwrap_or(false);
    let index = asked.body.get("raft_committed_index").and_then(Value::as_i64).unwrap_or(0);
    Ok((flag, index, base))
}

/// Refuses before the release what Vault would refuse afterwards.
pub(crate) async fn capable(
    remote: &Remote,
    voter: &VoterClient,
    base: &str,
    path: &str,
    wanted: &[&str],
) -> Result<(), String> {
    let token = remote.token.as_ref().map_err(Clone::clone)?;
    let body = json!({"paths": [path]});
    let asked = async {
        let path = "sys/capabilities-self";
        let response = voter.send(base, Method::POST, path, Some(token), Some(&body)).await?;
        let code = response.status().as_u16();
        Ok::<_, WireError>((code, whole(response).await?))
    };
    let (code, bytes) = match tokio::time::timeout(DEADLINE, asked).await {
        Err(_) => return Err("the token's rights cannot be asked: no answer".into()),
        Ok(Err(e)) => {
            return Err(format!("the token's rights cannot be asked: {}", root(e.as_ref())));
        }
        Ok(Ok(answer)) => answer,
    };
    if code == 403 {
        return Err("forbidden: the Vault token is not accepted; log in again".into());
    }
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let has: Vec<&str> = body
        .get(path)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if has.contains(&"root") || wanted.iter().all(|w| has.contains(w)) {
        return Ok(());
    }
    Err(format!(
        "forbidden: the Vault token lacks {} on {path}; it has {}",
        wanted.join(" and "),
        has.join(", ")
    ))
}

/// A `vault` command at a voter, with the token taken from where it lies.
pub(crate) fn command(remote: &Remote, voter: &VoterClient, words: &str) -> (String, Vec<String>) {
    let shown = |path: &std::path::Path| quoted(&path.display().to_string());
    let (token, ca) = (remote.vault_files.0.as_deref(), remote.vault_files.1.as_deref());
    match (&voter.address, remote.site.vault.as_ref()) {
        (Some(address), _) => {
            let token = token.map(|f| format!("VAULT_TOKEN=\"$(cat {})\" ", shown(f)));
            let ca = ca.map(|f| format!("VAULT_CACERT={} ", shown(f)));
            let (token, ca) = (token.unwrap_or_default(), ca.unwrap_or_default());
            (format!("VAULT_ADDR={} {ca}{token}vault {words}", quoted(address)), Vec::new())
        }
        (None, Some(site)) => {
            let inner = format!("read -r VAULT_TOKEN; export VAULT_TOKEN; exec vault {words}");
            let from = token.map_or_else(
                || "printf '%s\\n' \"$VAULT_TOKEN\"".to_owned(),
                |f| format!("sed -e '$a\\' {}", shown(f)),
            );
            let text = format!(
                "{from} | {} -n {} exec -i {} -c vault -- sh -c {}",
                kubectl(remote),
                quoted(&site.namespace),
                quoted(&voter.name),
                quoted(&inner)
            );
            (text, vec!["the command runs inside the pod, with the pod's own vault program".into()])
        }
        (None, None) => (String::new(), Vec::new()),
    }
}

pub(crate) async fn plan_step_down(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let name = args.text("node")?;
    let voter = voter(remote, name)?;
    let (leads, index, base) = leads(remote, voter).await.map_err(|e| format!("{name}: {e}"))?;
    if !leads {
        return Err(format!(
            "{name} does not lead now; a step-down sent there would step down another node"
        ));
    }
    capable(remote, voter, &base, "sys/step-down", &["update", "sudo"]).await?;
    let id = remote.identities().await.remove("vault.cluster-id");
    let (command, mut cautions) = command(remote, voter, "operator step-down");
    cautions.push(
        "the command does not check that this node still leads: Vault forwards it to whoever does"
            .into(),
    );
    Ok(Proposal {
        verb: "vault.step_down".into(),
        sentence: format!("STEP DOWN the leader {name}; another voter is elected"),
        targets: vec![Target {
            kind: "vault voter".into(),
            namespace: None,
            name: name.into(),
            uid: id.clone(),
            created: None,
            note: format!("leads at index {index}"),
        }],
        material: BTreeMap::from([("leader".into(), json!(name)), ("cluster".into(), json!(id))]),
        request: json!({"node": name, "put": "sys/step-down"}),
        commands: vec![command],
        cautions,
        before: json!({"leader": name}),
    })
}

pub(crate) async fn step_down(remote: &Remote, proposal: &Proposal) -> Ended {
    let name = proposal.request.get("node").and_then(Value::as_str).unwrap_or_default();
    let voter = match voter(remote, name) {
        Ok(voter) => voter,
        Err(e) => return (Outcome::Failed(e), Value::Null),
    };
    let base = match leads(remote, voter).await {
        Ok((true, _, base)) => base,
        Ok((false, ..)) => {
            return (
                Outcome::Failed(format!("{name} does not lead any more; nothing was sent")),
                Value::Null,
            );
        }
        Err(e) => return (Outcome::Failed(format!("{name}: {e}; nothing was sent")), Value::Null),
    };
    let Ok(token) = &remote.token else {
        return (Outcome::Failed("there is no Vault token".into()), Value::Null);
    };
    let outcome = match voter
        .ask(&base, Method::PUT, "sys/step-down", Some(token), Some(DEADLINE))
        .await
    {
        Ok(asked) if asked.code == 204 || asked.code == 200 => Outcome::Ok,
        Ok(asked) => {
            let said = asked.body.pointer("/errors/0").and_then(Value::as_str).unwrap_or("");
            Outcome::Failed(format!("Vault says {}: {}", asked.code, crate::text::clean_line(said)))
        }
        Err(e) => Outcome::Unknown(e.to_string()),
    };
    (outcome, json!({"at": remote.now()}))
}

pub(crate) async fn probe_step_down(remote: &Remote, proposal: &Proposal) -> Seen {
    let was = proposal.request.get("node").and_then(Value::as_str).unwrap_or_default();
    for voter in &remote.voters {
        if let Ok((true, ..)) = leads(remote, voter).await {
            return if voter.name == was {
                (Probed::NotDone, format!("{was} still leads"), Value::Null)
            } else {
                (Probed::Done, format!("{} leads now", voter.name), json!({"at": remote.now()}))
            };
        }
    }
    (Probed::Unknown, "no voter says that it leads".into(), Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Open, Reply, Responder};
    use crate::remote::rig;

    /// What answers at a voter's address may be anything, and have no end.
    #[tokio::test]
    async fn an_answer_without_an_end_is_refused_in_words() {
        let endless = Responder::start(|_, _| {
            Reply::Lines((0..9).map(|_| "x".repeat(1 << 20)).collect(), Open::Yes)
        })
        .await;
        let at = format!("address = {:?}", endless.url);
        let remote = rig::remote(None, &[("a", &at)], "").await;
        let wanted = "has more than 4 MiB; is this Vault?";
        let (voter, base) = (&remote.voters[0], endless.url.as_str());
        let why = leads(&remote, voter).await.unwrap_err().to_string();
        assert!(why.contains(wanted), "{why}");
        let why = capable(&remote, voter, base, "sys/step-down", &["update"]).await.unwrap_err();
        assert!(
            why.contains("the token's rights cannot be asked") && why.contains(wanted),
            "{why}"
        );
        // What asks for it was sent, whatever became of the answer.
        let token = remote.token.as_ref().unwrap();
        let asked =
            voter.ask(base, Method::PUT, "sys/step-down", Some(token), Some(DEADLINE)).await;
        assert_eq!(asked, Err(Silence::Endless));
    }
}
