//! What a voter answers, in each of its states.

use super::Act;
use super::answer::{Done, so};
use super::calm::{CONFIGURATION, SEALED};
use super::run::cases;
use super::world::World;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

cases![
    health_of_leader_and_standbys,
    health_with_other_codes,
    leader_by_each_ones_word,
    seal_status_of_the_unsealed,
    requests_are_forwarded_or_redirected,
    without_a_token_or_with_a_wrong_one,
    what_is_not_there,
    a_standby_is_not_sealed_by_request,
    a_sealed_voter,
    unsealing,
    a_leader_that_is_sealed,
];

const NOBODY: &str = "0001-01-01T00:00:00Z";

async fn health_of_leader_and_standbys(w: &World) -> Done {
    let (leader, standbys) = w.calm().await?;
    let body = |standby: bool| {
        json!({
            "initialized": true, "sealed": false, "standby": standby,
            "performance_standby": false, "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled", "server_time_utc": "$any", "version": "$any",
            "enterprise": false, "cluster_name": "$any", "cluster_id": "$any",
        })
    };
    let active = leader.get("sys/health").await.code(200)?.has(&body(false))?;
    so(active.header("content-type") == "application/json", "JSON", active.header("content-type"))?;
    so(active.header("cache-control") == "no-store", "no-store", active.header("cache-control"))?;
    for standby in &standbys {
        let seen = standby.get("sys/health").await.code(429)?.has(&body(true))?;
        for same in ["/cluster_id", "/cluster_name", "/version"] {
            so(seen.word(same) == active.word(same), active.word(same), seen.text())?;
        }
        let head =
            standby.ask(Method::HEAD, "sys/health", Vec::new(), Duration::from_secs(3)).await;
        so(head.code(429)?.raw.is_empty(), "no body", "one")?;
    }
    // Nobody has to know a token for it.
    leader.token(None).get("sys/health").await.code(200)?;
    Ok(())
}

/// The query changes the code and never the body.
async fn health_with_other_codes(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    let is_standby = json!({"standby": true, "sealed": false});
    for (query, of_leader, of_standby) in [
        ("standbyok=true", 200, 200),
        ("standbyok", 200, 429),
        ("perfstandbyok=true", 200, 429),
        ("standbycode=298&activecode=297", 297, 298),
        ("sealedcode=299&uninitcode=298", 200, 429),
        ("drsecondarycode=298&performancestandbycode=298", 200, 429),
    ] {
        let path = format!("sys/health?{query}");
        leader.get(&path).await.code(of_leader)?.has(&json!({"standby": false}))?;
        standby.get(&path).await.code(of_standby)?.has(&is_standby)?;
    }
    standby.get("sys/health?standbycode=abc").await.errors(400, &[])?;
    Ok(())
}

/// Each tells its own indices; only the leader's time means something.
async fn leader_by_each_ones_word(w: &World) -> Done {
    let (leader, standbys) = w.calm().await?;
    let seen = leader.token(None).get("sys/leader").await.code(200)?.has(&json!({
        "ha_enabled": true, "is_self": true, "active_time": "$any",
        "leader_cluster_address": "$any", "performance_standby": false,
        "performance_standby_last_remote_wal": 0,
    }))?;
    so(seen.word("/active_time") != NOBODY, "a time", seen.text())?;
    so(
        seen.number("/raft_applied_index")? <= seen.number("/raft_committed_index")?,
        "applied after committed",
        seen.text(),
    )?;
    for standby in standbys {
        standby.token(None).get("sys/leader").await.code(200)?.has(&json!({
            "ha_enabled": true, "is_self": false, "active_time": NOBODY,
            "leader_address": seen.word("/leader_address"),
            "leader_cluster_address": seen.word("/leader_cluster_address"),
            "raft_committed_index": "$any", "raft_applied_index": "$any",
        }))?;
    }
    Ok(())
}

async fn seal_status_of_the_unsealed(w: &World) -> Done {
    w.calm().await?;
    let id = w.vault(0).get("sys/health").await.word("/cluster_id");
    for voter in w.voters() {
        voter.clone().token(None).get("sys/seal-status").await.code(200)?.has(&json!({
            "type": "shamir", "initialized": true, "sealed": false, "t": 1, "n": 1,
            "progress": 0, "nonce": "", "version": "$any", "migration": false,
            "cluster_name": "$any", "cluster_id": id, "recovery_seal": false,
            "storage_type": "raft",
        }))?;
        voter.token(None).get("sys/init").await.code(200)?.is(&json!({"initialized": true}))?;
    }
    Ok(())
}

/// A standby asks the leader, unless it is told not to: then it says where the leader is.
async fn requests_are_forwarded_or_redirected(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    let value = json!({"data": {"v": "1"}});
    standby
        .put("kv/data/conf", &value)
        .await
        .code(200)?
        .has(&json!({"data": {"version": "$any"}}))?;
    standby.get("kv/data/conf").await.code(200)?.has(&json!({"data": {"data": {"v": "1"}}}))?;
    for path in [CONFIGURATION, "kv/data/conf", "sys/mounts", "sys/step-down"] {
        let seen = standby.clone().unforwarded().get(path).await.code(307)?;
        let there = format!("{}/v1/{path}", leader.base());
        so(
            seen.header("location") == there && seen.raw.is_empty(),
            there,
            seen.header("location"),
        )?;
    }
    let seen = standby.clone().unforwarded().put("kv/data/conf?a=b", &value).await.code(307)?;
    let there = format!("{}/v1/kv/data/conf?a=b", leader.base());
    so(seen.header("location") == there, there, seen.header("location"))?;
    leader.unforwarded().get("kv/data/conf").await.code(200)?;
    // Its own state a standby tells itself, whatever the header says.
    standby.unforwarded().get("sys/health").await.code(429)?;
    Ok(())
}

async fn without_a_token_or_with_a_wrong_one(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    let wrong = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n";
    for voter in [leader, standby] {
        for path in [CONFIGURATION, "sys/ha-status", "kv/data/conf", "sys/mounts"] {
            let none = voter.clone().token(None).get(path).await;
            none.errors(403, &["permission denied"])?;
            voter.clone().token(Some("hvs.none")).get(path).await.errors(403, &[wrong])?;
        }
        let none = voter.clone().token(None).put("sys/step-down", &Value::Null).await;
        none.errors(403, &["permission denied"])?;
    }
    w.calm().await?;
    Ok(())
}

async fn what_is_not_there(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    for voter in [leader, standby] {
        voter.get("kv/data/none").await.errors(404, &[])?;
        let route = "no handler for route \"nosuch/path\". route entry not found.";
        voter.get("nosuch/path").await.errors(404, &[route])?;
        let path = "1 error occurred:\n\t* unsupported path\n\n";
        voter.get("sys/nosuch").await.errors(404, &[path])?;
        let init = json!({"secret_shares": 1, "secret_threshold": 1});
        voter.put("sys/init", &init).await.errors(400, &["Vault is already initialized"])?;
    }
    Ok(())
}

async fn a_standby_is_not_sealed_by_request(w: &World) -> Done {
    let (_, [standby, _]) = w.calm().await?;
    let why = "vault cannot seal when in standby mode; please restart instead";
    standby.put("sys/seal", &Value::Null).await.errors(500, &[why])?;
    standby.get("sys/health").await.code(429)?;
    Ok(())
}

/// 503 to everything that is not about being sealed; still one of the configuration.
async fn a_sealed_voter(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    w.act(Act::Unsealer(false)).await;
    w.restart(&standby).await?;
    let body = json!({
        "initialized": true, "sealed": true, "standby": true,
        "replication_performance_mode": "unknown", "replication_dr_mode": "unknown",
        "cluster_name": "$absent", "cluster_id": "$absent",
    });
    w.says(&standby, "sys/health", 503, &body).await?;
    standby.get("sys/health?standbyok=true").await.code(503)?.has(&body)?;
    standby.get("sys/health?sealedcode=299").await.code(299)?.has(&body)?;
    standby.get("sys/seal-status").await.code(200)?.has(&json!({
        "type": "shamir", "initialized": true, "sealed": true, "t": 1, "n": 1, "progress": 0,
        "cluster_name": "$absent", "storage_type": "raft",
    }))?;
    standby.get("sys/init").await.code(200)?.is(&json!({"initialized": true}))?;
    for path in ["sys/leader", "sys/ha-status", CONFIGURATION, "kv/data/conf", "nosuch/path"] {
        standby.get(path).await.errors(503, SEALED)?;
        standby.clone().token(None).get(path).await.errors(503, SEALED)?;
    }
    standby.put("sys/step-down", &Value::Null).await.errors(503, SEALED)?;
    leader.get(CONFIGURATION).await.code(200)?.has(&super::calm::configuration(&leader))?;
    w.mend().await;
    w.calm().await?;
    Ok(())
}

/// Wrong keys say why; the right one is answered with the state that it led to.
async fn unsealing(w: &World) -> Done {
    let (_, [standby, _]) = w.calm().await?;
    w.act(Act::Unsealer(false)).await;
    w.restart(&standby).await?;
    w.says(&standby, "sys/health", 503, &json!({"initialized": true})).await?;
    let short = json!({"key": "AAAA"});
    let why = "invalid key: key is shorter than minimum 16 bytes";
    standby.put("sys/unseal", &short).await.errors(400, &[why])?;
    let why = "'key' must be specified in request body as JSON, or 'reset' set to true";
    standby.put("sys/unseal", &json!({})).await.errors(400, &[why])?;
    let other = json!({"key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="});
    let seen = standby.put("sys/unseal", &other).await.code(400)?;
    let says = "cipher: message authentication failed";
    so(seen.word("/errors/0").ends_with(says), says, seen.text())?;
    standby.get("sys/health").await.code(503)?;
    let key = w.unseal_key().await?;
    standby.clone().token(None).put("sys/unseal", &key).await.code(200)?.has(&json!({
        "sealed": false, "initialized": true, "t": 1, "n": 1, "progress": 0, "cluster_id": "$any",
    }))?;
    w.says(&standby, "sys/health", 429, &json!({"standby": true, "sealed": false})).await?;
    // Once more is harmless.
    standby.put("sys/unseal", &key).await.code(200)?.has(&json!({"sealed": false}))?;
    w.mend().await;
    w.calm().await?;
    Ok(())
}

/// Only who leads can be sealed by request; somebody else leads then.
async fn a_leader_that_is_sealed(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    w.act(Act::Unsealer(false)).await;
    let seen = leader.put("sys/seal", &Value::Null).await.code(204)?;
    so(seen.raw.is_empty(), "no body", seen.text())?;
    w.says(&leader, "sys/health", 503, &json!({"sealed": true})).await?;
    leader.put("sys/seal", &Value::Null).await.code(204)?;
    let new = w.another_leads(leader.n).await?;
    new.get(CONFIGURATION).await.code(200)?.has(&super::calm::configuration(&new))?;
    let key = w.unseal_key().await?;
    leader.put("sys/unseal", &key).await.code(200)?.has(&json!({"sealed": false}))?;
    w.mend().await;
    let (leads, _) = w.calm().await?;
    so(leads.n != leader.n, "another leader", leads.name())
}
