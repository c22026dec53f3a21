//! Voters that answer, hang, lie and go away.

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
            json!({"data": {"config": {"servers": [
                {"node_id": "a", "voter": true, "address": "127.0.0.1:8201"},
                {"node_id": "b", "voter": true, "address": "127.0.0.1:8202"},
                {"node_id": "c", "voter": true, "address": "127.0.0.1:8203"}]}}}),
        ),
        "sys/storage/raft/autopilot/state" => Reply::Json(200, json!({"data": {"healthy": true}})),
        "auth/token/lookup-self" => Reply::Json(200, json!({"data": {}})),
        "sys/ha-status" => Reply::Json(
            200,
            json!({"data": {"nodes": [
                {"cluster_address": "https://127.0.0.1:8201", "active_node": true, "last_echo": null},
                {"cluster_address": "https://127.0.0.1:8202", "last_echo": "1970-01-01T00:00:00.5Z"},
                {"cluster_address": "https://127.0.0.1:8203", "last_echo": "1969-12-31T23:59:00Z"}]}}),
        ),
        _ => Reply::Json(404, json!({})),
    }
}

async fn look(voters: &[(&str, String)]) -> (Change, Raft) {
    let how: Vec<_> = voters.iter().map(|(n, url)| (*n, format!("address = {url:?}"))).collect();
    let how: Vec<_> = how.iter().map(|(n, h)| (*n, h.as_str())).collect();
    look_at(&rig::remote(None, &how, "").await).await
}

async fn look_at(remote: &std::sync::Arc<Remote>) -> (Change, Raft) {
    let change = read(remote).await;
    let Update::Raft(raft) = change.update.clone() else { panic!("{change:?}") };
    (change, (*raft).clone())
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
    let started = tokio::time::Instant::now();
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
    // The active node hears of b only; the clock of this test begins in 1970.
    let heard: Vec<_> = raft.voters.iter().map(|v| v.heard).collect();
    assert_eq!(heard, [true, true, false, false]);
    assert_eq!((raft.unsealed, raft.quorum, raft.configured), (1, 2, 3));
    assert_eq!(change.status, Status::Live);
    assert!(started.elapsed() < Duration::from_secs(8), "the silent ones were asked at once");
}

/// Its health says whether it is sealed; that is asked for by itself only where health is silent.
#[tokio::test]
async fn a_voter_whose_health_says_its_seal_is_not_asked_for_it_again() {
    let told = |asked: &str, sealed: bool| match asked.ends_with("sys/health") {
        true => {
            let body = json!({"sealed": sealed, "initialized": true, "cluster_id": "id"});
            Reply::Json(if sealed { 503 } else { 200 }, body)
        }
        false => well(asked, (!sealed).then_some("2026"), 90),
    };
    let leader = Responder::start(move |asked, _| told(asked, false)).await;
    let sealed = Responder::start(move |asked, _| told(asked, true)).await;
    let silent = Responder::start(|asked, _| match asked {
        a if a.ends_with("sys/health") => Reply::Hold,
        a => well(a, None, 90),
    })
    .await;
    let (_, raft) =
        look(&[("a", leader.url.clone()), ("b", sealed.url.clone()), ("c", silent.url.clone())])
            .await;
    let told: Vec<_> = raft.voters.iter().map(|v| (v.verdict, v.sealed)).collect();
    assert_eq!(told, [(V::Healthy, false), (V::Sealed, true), (V::Hung, false)]);
    let asked = |of: &Responder| of.seen().iter().filter(|a| a.contains("seal-status")).count();
    assert_eq!([asked(&leader), asked(&sealed), asked(&silent)], [0, 0, 1]);
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
        look(&[("a", leader.url.clone()), ("b", lags.url.clone()), ("c", never.url.clone())]).await;
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

#[tokio::test]
async fn the_rate_is_that_of_the_index_over_a_second() {
    let remote = rig::remote(None, &[], "").await;
    assert_eq!(remote.index_rate(100), 0, "nothing to compare with");
    assert_eq!(remote.index_rate(500), 0, "too soon to count");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let rate = remote.index_rate(1_100);
    assert!((1..=909).contains(&rate), "1,000 entries in 1.1 s or more: {rate}");
    assert_eq!(remote.index_rate(9_999), rate, "until the next second");
}
