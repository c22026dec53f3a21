//! Raft as each voter tells it, and what that adds up to.
//!
//! The order of questions matters for *caught up*: the leader's commit index is read
//! first, then every voter's own applied index. Autopilot's `last_index` is not used: it
//! comes with the standbys' echo and lags by seconds.

use crate::remote::{Asked, Remote, Secret, Silence, VoterClient};
use crate::world::{Answer, Change, Raft, Source, Status, Update, Voter, VoterVerdict};
use reqwest::Method;
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Looks at a voter's applied index, and the pause between them: a bit over a heartbeat's
/// time of an unscaled raft (1 s) in all.
const CATCH_UP_LOOKS: u32 = 15;
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

/// What one voter answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probe {
    /// Raft node id.
    pub name: String,
    /// Where it was asked.
    pub address: String,
    /// How `sys/health` went, and its code.
    pub health: (Answer, i64),
    /// Milliseconds of `sys/health`, coarse.
    pub latency_ms: i64,
    /// How `sys/leader` went.
    pub leader: Answer,
    /// It says that it leads.
    pub is_self: bool,
    /// Its own indexes.
    pub committed: i64,
    /// Its own applied index, read after the leader's commit index.
    pub applied: i64,
    /// Sealed, initialised.
    pub seal: Option<(bool, bool)>,
    /// Its cluster's id.
    pub cluster_id: String,
}

/// What the active node said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Active {
    /// Raft configuration: node and whether it votes.
    pub peers: Option<Vec<(String, bool)>>,
    /// Autopilot's verdict.
    pub autopilot: Option<bool>,
    /// The audited read came back.
    pub audited: bool,
    /// What went wrong first.
    pub error: String,
}

/// Milliseconds in steps, so that a figure does not flicker.
pub(crate) fn coarse(latency: Duration) -> i64 {
    let ms = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX);
    match ms {
        0..=4 => ms.max(1),
        5..=49 => ms / 5 * 5,
        50..=499 => ms / 50 * 50,
        _ => ms / 500 * 500,
    }
}

/// What a voter's answers add up to; `other_leads`: another voter says that it leads.
#[must_use]
pub fn verdict(probe: &Probe, other_leads: bool) -> VoterVerdict {
    match (probe.health.0, probe.leader) {
        (Answer::Refused, _) | (_, Answer::Refused) => VoterVerdict::Down,
        (Answer::PathLost | Answer::Unasked, _) => VoterVerdict::PathLost,
        (Answer::Answers, _) => match (probe.health.1, probe.seal) {
            (200 | 429 | 472 | 473, Some((false, true))) => VoterVerdict::Healthy,
            (503, _) | (_, Some((true, true))) => VoterVerdict::Sealed,
            (200 | 429, None) => VoterVerdict::Healthy,
            _ => VoterVerdict::Joining,
        },
        (Answer::Silent, Answer::Answers) => VoterVerdict::Hung,
        (Answer::Silent, _) if other_leads => VoterVerdict::Stopped,
        (Answer::Silent, _) => VoterVerdict::Silent,
    }
}

/// The cluster from its voters' answers.
#[must_use]
pub fn assemble(probes: &[Probe], active: &Active, elections: i64) -> Raft {
    let leaders: Vec<&Probe> =
        probes.iter().filter(|p| p.is_self && p.leader == Answer::Answers).collect();
    // Of two that say so, one is a deadlocked leader of an older term: it is silent.
    let alive: Vec<&&Probe> = leaders.iter().filter(|p| p.health.0 == Answer::Answers).collect();
    let leader = match (alive.as_slice(), leaders.as_slice()) {
        ([one], _) => Some(**one),
        ([], [one]) => Some(*one),
        _ => None,
    };
    let committed = leader.map_or(0, |l| l.committed);
    let voters: Vec<Voter> =
        probes.iter().map(|p| voter(p, probes, active, leader, committed)).collect();
    let configured = active.peers.as_ref().map(|p| p.iter().filter(|(_, votes)| *votes).count());
    let configured = i64::try_from(configured.unwrap_or(probes.len())).unwrap_or(0);
    let led = leader.and_then(|l| voters.iter().find(|v| v.name == l.name));
    Raft {
        leader: leader.map(|l| l.name.clone()).unwrap_or_default(),
        leader_answers: led.is_some_and(|l| l.healthy),
        hung_leader: voters
            .iter()
            .find(|v| v.verdict == VoterVerdict::Hung && v.is_self)
            .map(|v| v.name.clone())
            .unwrap_or_default(),
        unsealed: i64::try_from(voters.iter().filter(|v| v.healthy).count()).unwrap_or(0),
        quorum: configured / 2 + 1,
        configured,
        committed,
        autopilot_healthy: active.autopilot.unwrap_or(false),
        audited_read: active.audited,
        active_error: active.error.clone(),
        cluster_id: probes
            .iter()
            .map(|p| p.cluster_id.clone())
            .find(|c| !c.is_empty())
            .unwrap_or_default(),
        elections,
        voters,
    }
}

fn voter(
    p: &Probe,
    all: &[Probe],
    active: &Active,
    leader: Option<&Probe>,
    committed: i64,
) -> Voter {
    let other_leads =
        all.iter().any(|o| o.name != p.name && o.is_self && o.leader == Answer::Answers);
    let verdict = verdict(p, other_leads);
    let healthy = verdict == VoterVerdict::Healthy;
    let peer = active.peers.iter().flatten().find(|(name, _)| *name == p.name);
    Voter {
        name: p.name.clone(),
        address: p.address.clone(),
        verdict,
        healthy,
        health: p.health.0,
        leader_answer: p.leader,
        code: p.health.1,
        latency_ms: p.latency_ms,
        is_self: p.is_self,
        sealed: p.seal.is_none_or(|(sealed, _)| sealed),
        initialized: p.seal.is_some_and(|(_, initialized)| initialized),
        applied: p.applied,
        committed: p.committed,
        behind: (committed - p.applied).max(0),
        // Without a leader there is nothing to have caught up with.
        caught_up: healthy && leader.is_some() && committed > 0 && p.applied >= committed,
        is_voter: peer.is_some_and(|(_, votes)| *votes),
        is_peer: peer.is_some(),
    }
}

pub(crate) async fn read(remote: &Remote) -> Change {
    if remote.voters.is_empty() {
        return Change {
            source: Source::Raft,
            status: Status::NotConfigured,
            as_of: None,
            update: Update::Nothing,
        };
    }
    let at = remote.now();
    let kube = remote.kube.as_ref().ok();
    let asked = remote.voters.iter().map(|v| probe(v, kube));
    let mut probes = futures::future::join_all(asked).await;
    // The leader's commit index is known: now everybody's own applied index.
    let leads = |p: &&Probe| p.is_self && p.health.0 == Answer::Answers;
    let committed = probes.iter().find(leads).map_or(0, |p| p.committed);
    let again = remote.voters.iter().zip(&probes).map(|(v, p)| applied(v, p, kube, committed));
    let later = futures::future::join_all(again).await;
    for (probe, applied) in probes.iter_mut().zip(later) {
        probe.applied = applied.unwrap_or(probe.applied);
    }
    let active = match probes.iter().position(|p| p.is_self && p.health.0 == Answer::Answers) {
        Some(i) => active(&remote.voters[i], remote, kube).await,
        None => Active { error: "no active node answers".into(), ..Active::default() },
    };
    let raft = assemble(&probes, &active, remote.elections.load(Ordering::Relaxed));
    let lost: Vec<_> = raft.voters.iter().filter(|v| v.verdict == VoterVerdict::PathLost).collect();
    // What cannot be reached at all tells nothing: not even that it is down.
    let status = if lost.len() == raft.voters.len() {
        Status::Unreachable { why: "no path to any voter".into() }
    } else {
        Status::Live
    };
    let as_of = (status == Status::Live).then_some(at);
    Change { source: Source::Raft, status, as_of, update: Update::Raft(Box::new(raft)) }
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
    let get = |path| voter.ask(&base, Method::GET, path, None, None);
    let (health, leader, seal) =
        tokio::join!(get("sys/health"), get("sys/leader"), get("sys/seal-status"));
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
            probe.is_self = flag(&asked.body, "is_self");
            probe.committed = number(&asked.body, "raft_committed_index");
            probe.applied = number(&asked.body, "raft_applied_index");
        }
        Err(e) => probe.leader = answer_of(&e),
    }
    if let Ok(Asked { body, code: 200, .. }) = seal {
        probe.seal = Some((flag(&body, "sealed"), flag(&body, "initialized")));
        probe.cluster_id = text(&body, "cluster_id");
    }
    probe
}

/// A voter's own applied index, asked until it has reached `committed`: a follower learns
/// of a commit with the next message of the leader, so one look under load is always late.
async fn applied(
    voter: &VoterClient,
    probe: &Probe,
    kube: Option<&kube::Client>,
    committed: i64,
) -> Option<i64> {
    if probe.leader != Answer::Answers {
        return None;
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
    let (peers, autopilot, audited) = tokio::join!(
        get("sys/storage/raft/configuration"),
        get("sys/storage/raft/autopilot/state"),
        get("auth/token/lookup-self")
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
    let peers = ok("raft configuration", peers).map(|b| servers(&b));
    let autopilot = ok("autopilot", autopilot).and_then(|b| b.pointer("/data/healthy")?.as_bool());
    let audited = ok("audited read", audited).is_some();
    Active { peers, autopilot, audited, error }
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

fn answer_of(silence: &Silence) -> Answer {
    match silence {
        Silence::Silent => Answer::Silent,
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
mod tests {
    use super::*;
    use Answer::{Answers, PathLost, Refused, Silent};

    fn voter(
        name: &str,
        health: (Answer, i64),
        leader: Answer,
        is_self: bool,
        index: i64,
    ) -> Probe {
        Probe {
            name: name.into(),
            health,
            leader,
            is_self,
            committed: index,
            applied: index,
            seal: (leader == Answers).then_some((false, true)),
            ..Probe::default()
        }
    }

    /// The observers' table: health, leader, another leads, verdict.
    #[test]
    fn answers_add_up_as_the_table_says() {
        use VoterVerdict as V;
        for (health, code, leader, other, wanted) in [
            (Answers, 200, Answers, false, V::Healthy),
            (Answers, 429, Answers, true, V::Healthy),
            (Silent, 0, Answers, false, V::Hung),
            (Silent, 0, Answers, true, V::Hung),
            (Silent, 0, Silent, true, V::Stopped),
            (Silent, 0, Silent, false, V::Silent),
            (Refused, 0, Refused, true, V::Down),
            (PathLost, 0, PathLost, true, V::PathLost),
            (PathLost, 0, PathLost, false, V::PathLost),
        ] {
            let probe = voter("a", (health, code), leader, false, 7);
            assert_eq!(verdict(&probe, other), wanted, "{health:?} {leader:?} {other}");
        }
        let mut sealed = voter("a", (Answers, 503), Answers, false, 0);
        sealed.seal = Some((true, true));
        assert_eq!(verdict(&sealed, true), V::Sealed);
        let mut joining = voter("a", (Answers, 501), Answers, false, 0);
        joining.seal = Some((true, false));
        assert_eq!(verdict(&joining, true), V::Joining);
    }

    #[test]
    fn a_hung_leader_is_named_and_does_not_count() {
        let probes = [
            voter("a", (Answers, 429), Answers, false, 90),
            voter("b", (Answers, 429), Answers, false, 80),
            voter("c", (Silent, 0), Answers, true, 90),
        ];
        let raft = assemble(&probes, &Active::default(), 0);
        assert_eq!((raft.leader.as_str(), raft.hung_leader.as_str()), ("c", "c"));
        assert!(!raft.leader_answers);
        assert_eq!((raft.unsealed, raft.quorum), (2, 2));
        // One that lags has not caught up; the hung one is not healthy, whatever it applied.
        let caught: Vec<_> = raft.voters.iter().map(|v| v.caught_up).collect();
        assert_eq!(caught, [true, false, false]);
    }

    #[test]
    fn an_old_leader_that_is_silent_does_not_hide_the_new_one() {
        let probes = [
            voter("a", (Answers, 200), Answers, true, 95),
            voter("b", (Answers, 429), Answers, false, 95),
            voter("c", (Silent, 0), Answers, true, 90),
        ];
        let raft = assemble(&probes, &Active::default(), 1);
        assert_eq!(raft.leader, "a");
        assert!(raft.leader_answers);
        assert_eq!(raft.hung_leader, "c");
        let none = [voter("a", (Answers, 429), Answers, false, 95)];
        let raft = assemble(&none, &Active::default(), 1);
        assert_eq!(raft.leader, "");
        assert!(!raft.voters[0].caught_up);
    }
}
