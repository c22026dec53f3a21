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
    let (later, active) = tokio::join!(futures::future::join_all(again), asked_active);
    for (probe, applied) in probes.iter_mut().zip(later) {
        probe.applied = applied.unwrap_or(probe.applied);
    }
    if let Some(leader) = &leads {
        remote.note_leadership(&leader.name, &leader.active_since);
    }
    let raft = assemble(&probes, &active, remote.elections());
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
            probe.error = error_of(&asked);
            probe.is_self = flag(&asked.body, "is_self");
            probe.active_since = text(&asked.body, "active_time");
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
    let audited = ok("audited read", audited);
    let token_ends = audited.as_ref().and_then(|b| token_ends(b, remote.now()));
    Active { peers, autopilot, audited: audited.is_some(), token_ends, error }
}

/// When a token ends, to the minute, so that the figure is journalled once and not at
/// every look. By Vault's own word where it gives one: `now` plus what is left wavers.
pub(crate) fn token_ends(lookup: &Value, now: Time) -> Option<Time> {
    let told = lookup.pointer("/data/expire_time").and_then(Value::as_str);
    let left = lookup.pointer("/data/ttl").and_then(Value::as_u64).filter(|ttl| *ttl > 0);
    let ends = told.and_then(|t| t.parse().ok()).or_else(|| Some(now + Span::secs(left?)))?;
    Some(Time(ends.0 - ends.0.rem_euclid(60_000)))
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
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use crate::world::Raft;
    use VoterVerdict as V;
    use serde_json::json;

    /// A voter that is well; `leads` since a time.
    fn well(asked: &str, leads: Option<&str>, applied: i64) -> Reply {
        let path = asked.split_once("/v1/").map_or("", |(_, p)| p);
        match path {
            "sys/health" => Reply::Json(if leads.is_some() { 200 } else { 429 }, json!({})),
            "sys/leader" => Reply::Json(
                200,
                json!({"is_self": leads.is_some(), "raft_committed_index": applied,
                    "raft_applied_index": applied, "active_time": leads.unwrap_or("0001")}),
            ),
            "sys/seal-status" => {
                Reply::Json(200, json!({"sealed": false, "initialized": true, "cluster_id": "id"}))
            }
            "sys/storage/raft/configuration" => Reply::Json(
                200,
                json!({"data": {"config": {"servers": [{"node_id": "a", "voter": true},
                    {"node_id": "b", "voter": true}, {"node_id": "c", "voter": true}]}}}),
            ),
            "sys/storage/raft/autopilot/state" => {
                Reply::Json(200, json!({"data": {"healthy": true}}))
            }
            "auth/token/lookup-self" => Reply::Json(200, json!({"data": {}})),
            _ => Reply::Json(404, json!({})),
        }
    }

    async fn look(voters: &[(&str, String)]) -> (Change, Raft) {
        let how: Vec<_> =
            voters.iter().map(|(n, url)| (*n, format!("address = {url:?}"))).collect();
        let how: Vec<_> = how.iter().map(|(n, h)| (*n, h.as_str())).collect();
        look_at(&rig::remote(None, &how, "").await).await
    }

    async fn look_at(remote: &std::sync::Arc<Remote>) -> (Change, Raft) {
        let change = read(remote).await;
        let Update::Raft(raft) = change.update.clone() else { panic!("{change:?}") };
        (change, *raft)
    }

    #[tokio::test]
    async fn three_voters_on_three_paths_each_get_their_own_verdict() {
        let leader = Responder::start(|asked, _| well(asked, Some("2026"), 90)).await;
        let frozen = Responder::start(|asked, _| match asked {
            a if a.ends_with("sys/leader") => well(a, None, 90),
            _ => Reply::Hold,
        })
        .await;
        let held = Responder::start(|_, _| Reply::Hold).await;
        let started = std::time::Instant::now();
        let (change, raft) = look(&[
            ("a", leader.url.clone()),
            ("b", frozen.url.clone()),
            ("c", held.url.clone()),
            ("d", Responder::nobody().await),
        ])
        .await;
        let verdicts: Vec<_> = raft.voters.iter().map(|v| v.verdict).collect();
        assert_eq!(verdicts, [V::Healthy, V::Hung, V::Stopped, V::Down]);
        assert_eq!((raft.leader.as_str(), raft.leader_answers), ("a", true));
        assert!(raft.audited_read && raft.autopilot_healthy, "{}", raft.active_error);
        assert_eq!((raft.unsealed, raft.quorum, raft.configured), (1, 2, 3));
        assert_eq!(change.status, Status::Live);
        assert!(started.elapsed() < Duration::from_secs(8), "the silent ones were asked at once");
    }

    #[tokio::test]
    async fn a_deadlocked_leader_is_named_and_its_hung_peers_are_not_asked_for_more() {
        let hung = Responder::start(|asked, _| match asked {
            a if a.ends_with("sys/leader") => well(a, Some("2026"), 90),
            _ => Reply::Hold,
        })
        .await;
        let standby = Responder::start(|asked, _| well(asked, None, 90)).await;
        let (_, raft) = look(&[("a", hung.url.clone()), ("b", standby.url.clone())]).await;
        assert_eq!((raft.hung_leader.as_str(), raft.leader_answers), ("a", false));
        assert_eq!(raft.active_error, "no active node answers");
        let asked = [hung.seen(), standby.seen()].concat();
        assert!(!asked.iter().any(|a| a.contains("lookup-self")), "no token went out: {asked:?}");
    }

    #[tokio::test]
    async fn a_standby_that_lags_is_not_caught_up_until_its_own_index_says_so() {
        let leader = Responder::start(|asked, _| well(asked, Some("2026"), 90)).await;
        let looks = std::sync::atomic::AtomicI64::new(86);
        let lags = Responder::start(move |asked, _| {
            let applied = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            well(asked, None, applied.min(90))
        })
        .await;
        let never = Responder::start(|asked, _| well(asked, None, 80)).await;
        let (_, raft) =
            look(&[("a", leader.url.clone()), ("b", lags.url.clone()), ("c", never.url.clone())])
                .await;
        let seen: Vec<_> = raft.voters.iter().map(|v| (v.caught_up, v.behind)).collect();
        assert_eq!(seen, [(true, 0), (true, 0), (false, 10)]);
    }

    #[tokio::test]
    async fn a_hung_audit_device_shows_although_health_says_200() {
        let leader = Responder::start(|asked, _| match asked {
            a if a.ends_with("lookup-self") => Reply::Hold,
            a => well(a, Some("2026"), 90),
        })
        .await;
        let (_, raft) = look(&[("a", leader.url.clone())]).await;
        assert!(raft.leader_answers && !raft.audited_read && raft.autopilot_healthy);
        assert_eq!(raft.active_error, "audited read: no answer in 2 s");
    }

    #[tokio::test]
    async fn a_lost_port_forward_is_a_lost_path_and_never_a_verdict_on_the_voter() {
        let forwarded = "port_forward = 8200";
        let gone = Responder::start(|_, _| Reply::Json(500, json!({"message": "no route"}))).await;
        let held = Responder::start(|_, _| Reply::Hold).await;
        for api in [gone.url.clone(), held.url.clone(), Responder::nobody().await] {
            let remote = rig::remote(Some(&api), &[("a", forwarded)], "").await;
            let (change, raft) = look_at(&remote).await;
            assert_eq!(raft.voters[0].verdict, V::PathLost, "{api}");
            assert!(matches!(change.status, Status::Unreachable { .. }), "{change:?}");
            assert_eq!(change.as_of, None);
        }
    }

    #[tokio::test]
    async fn an_election_counts_once_also_for_the_same_node() {
        let terms = ["2026-1", "2026-1", "2026-2", "2026-2", "2026-1"];
        let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let now = turn.clone();
        let leader = Responder::start(move |asked, _| {
            well(asked, Some(terms[now.load(std::sync::atomic::Ordering::Relaxed)]), 90)
        })
        .await;
        let how = format!("address = {:?}", leader.url);
        let remote = rig::remote(None, &[("a", &how)], "").await;
        let mut counted = Vec::new();
        for i in 0..terms.len() {
            turn.store(i, std::sync::atomic::Ordering::Relaxed);
            counted.push(look_at(&remote).await.1.elections);
        }
        // The last is an answer that came late.
        assert_eq!(counted, [0, 0, 1, 1, 1]);
    }

    #[test]
    fn a_tokens_end_is_vaults_own_word_and_coarse() {
        let now = Time(1_000_000);
        for (data, wanted) in [
            (json!({"ttl": 0, "expire_time": null}), None),
            (json!({"ttl": 90, "expire_time": "1970-01-01T00:31:59.9Z"}), Some(Time(31 * 60_000))),
            (json!({"ttl": 90, "expire_time": null}), Some(Time(18 * 60_000))),
            (json!({}), None),
        ] {
            assert_eq!(token_ends(&json!({ "data": data }), now), wanted);
        }
    }
}
