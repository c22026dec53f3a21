//! Vault's part: what every voter says of itself without a token, and the raft configuration
//! that the leader tells.

use super::mask::Shape;
use super::{Lack, Peer, Vault, VoterSeen};
use crate::remote::{Asked, Remote, Silence, VoterClient};
use reqwest::Method;
use serde_json::Value;

/// Asks every voter, all at once.
pub(super) async fn take(remote: &Remote, lacks: &mut Vec<Lack>) -> Vault {
    let asked = remote.voters.iter().map(|voter| one(voter, remote));
    let mut vault = Vault::default();
    for (seen, why) in futures::future::join_all(asked).await {
        if let Some(why) = why {
            lacks.push(Lack::new(format!("voter {}", seen.name), why));
        }
        vault.voters.push(seen);
    }
    match peers(remote, &vault).await {
        Ok(peers) => vault.peers = Some(peers),
        Err(why) => lacks.push(Lack::new("Vault's raft configuration", why)),
    }
    vault
}

async fn one(voter: &VoterClient, remote: &Remote) -> (VoterSeen, Option<String>) {
    let mut seen = VoterSeen { name: voter.name.clone(), ..VoterSeen::default() };
    let base = match voter.base(remote.kube.as_ref().ok()).await {
        Ok(base) => base,
        Err(silence) => return (seen, Some(silent(&silence))),
    };
    let get = |path| voter.ask(&base, Method::GET, path, None, None);
    let (seal, leader, health) =
        tokio::join!(get("sys/seal-status"), get("sys/leader"), get("sys/health"));
    let seal = match seal {
        Ok(Asked { code: 200, body, .. }) => body,
        Ok(asked) => return (seen, Some(format!("sys/seal-status answers {}", asked.code))),
        Err(silence) => return (seen, Some(format!("sys/seal-status: {}", silent(&silence)))),
    };
    seen.answers = true;
    seen.version = word(&seal, "version");
    seen.seal = word(&seal, "type");
    seen.initialized = flag(&seal, "initialized");
    seen.sealed = flag(&seal, "sealed");
    // A sealed one has no answer to that, which is no lack.
    if let Ok(Asked { code: 200, body, .. }) = &leader {
        seen.leads = flag(body, "is_self");
        seen.committed = number(body, "raft_committed_index");
        seen.applied = number(body, "raft_applied_index");
    } else if !seen.sealed {
        seen.answers = false;
        return (seen, Some("sys/leader does not answer".into()));
    }
    let hangs = "sys/health does not answer: a rehearsal begins as if it did";
    (seen, health.is_err().then(|| hangs.to_owned()))
}

/// In words of our own; what an error holds may be anything.
fn silent(silence: &Silence) -> String {
    match silence {
        Silence::Silent => "connected, and no answer",
        Silence::Refused => "connections are refused",
        Silence::Endless => "answers with more than was asked for; it may be no Vault",
        Silence::PathLost(_) => "there is no way to it from here",
    }
    .to_owned()
}

async fn peers(remote: &Remote, vault: &Vault) -> Result<Vec<Peer>, String> {
    let leads = |v: &&VoterClient| vault.voters.iter().any(|s| s.name == v.name && s.leads);
    let leader = remote.voters.iter().find(leads).ok_or("no voter says that it leads")?;
    let token = remote.token.as_ref().map_err(|_| "there is no token to ask with")?;
    let base = leader.base(remote.kube.as_ref().ok()).await.map_err(|s| silent(&s))?;
    let path = "sys/storage/raft/configuration";
    let asked = leader.ask(&base, Method::GET, path, Some(token), None).await;
    let body = match asked {
        Ok(Asked { code: 200, body, .. }) => body,
        Ok(Asked { code: 403, .. }) => {
            return Err(format!("forbidden: the token may not read {path}"));
        }
        Ok(asked) => return Err(format!("{path} answers {}", asked.code)),
        Err(silence) => return Err(silent(&silence)),
    };
    let servers = body.pointer("/data/config/servers").and_then(Value::as_array);
    let peer = |s: &Value| Peer { name: word(s, "node_id"), votes: flag(s, "voter") };
    Ok(servers.into_iter().flatten().map(peer).filter(|p| !p.name.is_empty()).collect())
}

fn flag(body: &Value, name: &str) -> bool {
    body.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn number(body: &Value, name: &str) -> u64 {
    body.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn word(body: &Value, name: &str) -> String {
    let text = body.get(name).and_then(Value::as_str).unwrap_or_default();
    if Shape::Word.fits(text) { text.to_owned() } else { String::new() }
}
