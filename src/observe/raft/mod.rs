//! Raft as each voter tells it, and what that adds up to.
//!
//! The order of questions matters for *caught up*: the leader's commit index is read
//! first, then every voter's own applied index. Autopilot's `last_index` is not used: it
//! comes with the standbys' echo and lags by seconds.

use crate::event::{Span, Time};
use crate::observe::judge::{Active, Probe, assemble, coarse, leading};
use crate::remote::{Asked, Remote, Secret, Silence, VoterClient};
use crate::world::{Answer, Change, Source, Status, Update, VoterVerdict};
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// Looks at a voter's applied index, and the pause between them: a bit over a heartbeat's
/// time of an unscaled raft (1 s) in all.
const CATCH_UP_LOOKS: u32 = 15;
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

/// A voter that is well has answered by then.
const SOON: Duration = Duration::from_millis(300);

pub(crate) async fn read(remote: &Remote) -> Change {
    if remote.voters.is_empty() {
        return Change {
            source: Source::Raft,
            status: Status::NotConfigured,
            as_of: None,
            reach: None,
            update: Update::Nothing,
        };
    }
    let at = remote.now();
    let kube = remote.kube.as_ref().ok();
    let asked = remote.voters.iter().map(|v| probe(v, kube));
    let mut probes = futures::future::join_all(asked).await;
    // The leader's commit index is known: now everybody's own applied index, and meanwhile
    // what only the active node can say.
    let leads = leading(&probes).filter(|p| p.health.0 == Answer::Answers).cloned();
    let committed = leads.as_ref().map_or(0, |p| p.committed);
    let again = remote.voters.iter().zip(&probes).map(|(v, p)| applied(v, p, kube, committed));
    let asked_active = async {
        match remote.voters.iter().find(|v| leads.as_ref().is_some_and(|l| l.name == v.name)) {
            Some(voter) => active(voter, remote, kube).await,
            None => Active { error: "no active node answers".into(), ..Active::default() },
        }
    };
    let (later, mut active) = tokio::join!(futures::future::join_all(again), asked_active);
    for (probe, applied) in probes.iter_mut().zip(later) {
        probe.applied = applied.unwrap_or(probe.applied);
    }
    if let Some(leader) = &leads {
        remote.note_leadership(&leader.name, &leader.active_since);
    }
    let redactor = remote.redactor();
    for probe in &mut probes {
        probe.error = redactor.redact(&probe.error);
    }
    active.error = redactor.redact(&active.error);
    let mut raft = assemble(&probes, &active, remote.elections());
    raft.rate = remote.index_rate(committed);
    let lost: Vec<_> = raft.voters.iter().filter(|v| v.verdict == VoterVerdict::PathLost).collect();
    // What cannot be reached at all tells nothing: not even that it is down.
    let status = if lost.len() == raft.voters.len() {
        Status::Unreachable { why: "no path to any voter".into() }
    } else {
        Status::Live
    };
    let as_of = (status == Status::Live).then_some(at);
    Change { source: Source::Raft, status, as_of, reach: None, update: Update::Raft(raft.into()) }
}

async fn probe(voter: &VoterClient, kube: Option<&kube::Client>) -> Probe {
    let mut probe =
        Probe { name: voter.name.clone(), address: voter.shown_address(), ..Probe::default() };
    let base = match voter.base(kube).await {
        Ok(base) => base,
        Err(silence) => {
            let answer = answer_of(&silence);
            probe.health.0 = answer;
            probe.leader = answer;
            return probe;
        }
    };
    let (health, leader, seal) = asked_openly(voter, &base).await;
    match health {
        Ok(asked) => {
            probe.health = (Answer::Answers, i64::from(asked.code));
            probe.latency_ms = coarse(asked.latency);
        }
        Err(e) => probe.health.0 = answer_of(&e),
    }
    match leader {
        Ok(asked) => {
            probe.leader = Answer::Answers;
            probe.error = error_of(&asked);
            probe.is_self = flag(&asked.body, "is_self");
            probe.active_since = text(&asked.body, "active_time");
            probe.committed = number(&asked.body, "raft_committed_index");
            probe.applied = number(&asked.body, "raft_applied_index");
        }
        Err(e) => {
            probe.leader = answer_of(&e);
            if e == Silence::Endless {
                probe.error = e.to_string();
            }
        }
    }
    if let Some(body) = seal {
        probe.seal = Some((flag(&body, "sealed"), flag(&body, "initialized")));
        probe.cluster_id = text(&body, "cluster_id");
    }
    probe
}

type Answered = Result<Asked, Silence>;

/// Health, leader and seal, which every voter tells without a token. Its health says how it is
/// sealed as well; one that hangs answers everything but that, and is asked for its seal too.
async fn asked_openly(voter: &VoterClient, base: &str) -> (Answered, Answered, Option<Value>) {
    let get = |path| voter.ask(base, Method::GET, path, None, None);
    let both = futures::future::join(get("sys/health"), get("sys/leader"));
    tokio::pin!(both);
    let says = |health: &Asked| health.body.get("sealed").is_some_and(Value::is_boolean);
    let soon = match tokio::time::timeout(SOON, &mut both).await {
        Ok((Ok(health), leader)) if says(&health) => {
            let seal = Some(health.body.clone());
            return (Ok(health), leader, seal);
        }
        soon => soon.ok(),
    };
    let rest = async {
        match soon {
            Some(both) => both,
            None => both.await,
        }
    };
    let ((health, leader), seal) = tokio::join!(rest, get("sys/seal-status"));
    let seal = seal.ok().filter(|asked| asked.code == 200).map(|asked| asked.body);
    (health, leader, seal)
}

/// What an answer says instead of what was asked for, in a line: `500: no decryption key`.
fn error_of(asked: &Asked) -> String {
    if asked.code == 200 {
        return String::new();
    }
    let said = asked.body.get("errors").and_then(Value::as_array).and_then(|e| e.first());
    let said = said.and_then(Value::as_str).unwrap_or("no reason given");
    crate::text::clean_line(&format!("{}: {said}", asked.code))
}

/// A voter's own applied index, asked until it has reached `committed`: a follower learns
/// of a commit with the next message of the leader, so one look under load is always late. Where
/// nothing is written the first look shows it already.
async fn applied(
    voter: &VoterClient,
    probe: &Probe,
    kube: Option<&kube::Client>,
    committed: i64,
) -> Option<i64> {
    if probe.leader != Answer::Answers {
        return None;
    }
    if probe.applied >= committed {
        return Some(probe.applied);
    }
    let base = voter.base(kube).await.ok()?;
    let mut applied = None;
    for _ in 0..CATCH_UP_LOOKS {
        let asked = voter.ask(&base, Method::GET, "sys/leader", None, None).await.ok()?;
        applied = Some(number(&asked.body, "raft_applied_index"));
        if applied >= Some(committed) || probe.health.0 != Answer::Answers {
            break;
        }
        tokio::time::sleep(CATCH_UP_PAUSE).await;
    }
    applied
}

/// Configuration, autopilot and a read that is audited: a hung audit device stops requests
/// while `sys/health` says 200.
async fn active(voter: &VoterClient, remote: &Remote, kube: Option<&kube::Client>) -> Active {
    let token: &Secret = match &remote.token {
        Ok(token) => token,
        Err(why) => return Active { error: why.clone(), ..Active::default() },
    };
    let base = match voter.base(kube).await {
        Ok(base) => base,
        Err(e) => return Active { error: e.to_string(), ..Active::default() },
    };
    let get = |path| voter.ask(&base, Method::GET, path, Some(token), None);
    let (peers, autopilot, audited, ha) = tokio::join!(
        get("sys/storage/raft/configuration"),
        get("sys/storage/raft/autopilot/state"),
        get("auth/token/lookup-self"),
        get("sys/ha-status")
    );
    let mut error = String::new();
    let mut ok = |what: &str, asked: Result<Asked, Silence>| match asked {
        Ok(Asked { code: 200, body, .. }) => Some(body),
        Ok(asked) => {
            let said = asked.body.pointer("/errors/0").and_then(Value::as_str).unwrap_or("");
            note(&mut error, format!("{what}: {} {}", asked.code, crate::text::clean_line(said)));
            None
        }
        Err(e) => {
            note(&mut error, format!("{what}: {e}"));
            None
        }
    };
    let configuration = ok("raft configuration", peers);
    let peers = configuration.as_ref().map(servers);
    let leads = configuration.as_ref().and_then(leads);
    let both = configuration.zip(ok("ha-status", ha));
    let heard = both.map(|(c, ha)| heard(&c, &ha, remote.now())).unwrap_or_default();
    let autopilot = ok("autopilot", autopilot).and_then(|b| b.pointer("/data/healthy")?.as_bool());
    let audited = ok("audited read", audited);
    let token_ends = audited.as_ref().and_then(|b| token_ends(b, remote.now()));
    Active { peers, leads, autopilot, audited: audited.is_some(), token_ends, error, heard }
}

/// When a token ends, to the minute, so that the figure is journalled once and not at
/// every look. By Vault's own word where it gives one: `now` plus what is left wavers.
pub(crate) fn token_ends(lookup: &Value, now: Time) -> Option<Time> {
    let told = lookup.pointer("/data/expire_time").and_then(Value::as_str);
    let left = lookup.pointer("/data/ttl").and_then(Value::as_u64).filter(|ttl| *ttl > 0);
    let ends = told.and_then(|t| t.parse().ok()).or_else(|| Some(now + Span::secs(left?)))?;
    Some(Time(ends.0 - ends.0.rem_euclid(60_000)))
}

/// A standby says hello every 5 s; six of them missed are no chance.
const OUT_OF_TOUCH: Span = Span::secs(30);

/// Nodes that the active one heard of lately, itself among them. It knows them by their
/// cluster addresses, the raft configuration knows those by node.
fn heard(configuration: &Value, ha: &Value, now: Time) -> Vec<String> {
    let lately = |node: &&Value| {
        let echo = node.get("last_echo").and_then(Value::as_str).and_then(|t| t.parse().ok());
        flag(node, "active_node") || echo.is_some_and(|t| now.since(t) < OUT_OF_TOUCH)
    };
    let nodes = ha.pointer("/data/nodes").and_then(Value::as_array);
    let addresses: Vec<String> =
        nodes.into_iter().flatten().filter(lately).map(|n| text(n, "cluster_address")).collect();
    let servers = configuration.pointer("/data/config/servers").and_then(Value::as_array);
    let at =
        |s: &&Value| addresses.iter().any(|a| a.ends_with(&format!("//{}", text(s, "address"))));
    servers.into_iter().flatten().filter(at).map(|s| text(s, "node_id")).collect()
}

fn note(error: &mut String, what: String) {
    if error.is_empty() {
        *error = what;
    }
}

fn servers(body: &Value) -> Vec<(String, bool)> {
    let list = body.pointer("/data/config/servers").and_then(Value::as_array);
    list.into_iter().flatten().map(|s| (text(s, "node_id"), flag(s, "voter"))).collect()
}

/// The node that leads, by the configuration.
fn leads(body: &Value) -> Option<String> {
    let list = body.pointer("/data/config/servers").and_then(Value::as_array);
    list.into_iter().flatten().find(|s| flag(s, "leader")).map(|s| text(s, "node_id"))
}

fn answer_of(silence: &Silence) -> Answer {
    match silence {
        // Connected, and nothing that answers the question.
        Silence::Silent | Silence::Endless => Answer::Silent,
        Silence::Refused => Answer::Refused,
        Silence::PathLost(_) => Answer::PathLost,
    }
}

fn flag(body: &Value, name: &str) -> bool {
    body.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn number(body: &Value, name: &str) -> i64 {
    body.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn text(body: &Value, name: &str) -> String {
    crate::text::clean_line(body.get(name).and_then(Value::as_str).unwrap_or(""))
}

#[cfg(test)]
mod tests;
