//! A voter whose disk is empty.

use super::Act;
use super::answer::{Done, so};
use super::calm::{AUTOPILOT, CONFIGURATION, SEALED, configuration, server};
use super::run::cases;
use super::world::World;
use serde_json::{Value, json};

cases![
    an_empty_voter_waits_sealed,
    an_empty_voter_catches_up,
    an_empty_voter_that_reaches_nobody,
    an_empty_leader_comes_back_as_a_standby,
    an_empty_voter_joined_by_hand,
    a_wrong_key_for_an_empty_voter,
];

/// It has reached a peer and waits for the key; to the others it is what it was.
async fn an_empty_voter_waits_sealed(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    w.act(Act::Unsealer(false)).await;
    w.empty(&standby).await?;
    w.says(
        &standby,
        "sys/health",
        503,
        &json!({
            "initialized": true, "sealed": true, "standby": true, "cluster_id": "$absent",
        }),
    )
    .await?;
    standby.get("sys/seal-status").await.code(200)?.has(&json!({
        "initialized": true, "sealed": true, "t": 1, "n": 1, "storage_type": "raft",
    }))?;
    standby.get("sys/leader").await.errors(503, SEALED)?;
    w.stays("it waits for its key", async || {
        standby.get("sys/health").await.code(503)?;
        leader.get(CONFIGURATION).await.code(200)?.has(&configuration(&leader))?;
        Ok(())
    })
    .await?;
    w.mend().await;
    w.calm().await?;
    Ok(())
}

/// The key's answer still says sealed; a moment later it is a voter as before, with all data.
async fn an_empty_voter_catches_up(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    let before = w.write(&leader, "rejoin", "before").await?;
    w.act(Act::Unsealer(false)).await;
    w.empty(&standby).await?;
    w.says(&standby, "sys/health", 503, &json!({"initialized": true})).await?;
    let meanwhile = w.write(&leader, "rejoin", "meanwhile").await?;
    so(meanwhile > before, format!("more than {before}"), meanwhile)?;
    let key = w.unseal_key().await?;
    standby.put("sys/unseal", &key).await.code(200)?.has(&json!({
        "sealed": true, "initialized": true, "t": 1, "n": 1,
    }))?;
    w.says(&standby, "sys/health", 429, &json!({"sealed": false, "cluster_id": "$any"})).await?;
    w.applied(&standby, meanwhile).await?;
    w.says(&leader, CONFIGURATION, 200, &configuration(&leader)).await?;
    w.mend().await;
    let (leader, _) = w.calm().await?;
    let seen = leader.get(AUTOPILOT).await.code(200)?;
    let it = server(&seen, &standby);
    so(it["status"] == "voter" && it["healthy"] == true, "a healthy voter", it)?;
    // Its own data are enough to serve once it leads.
    let id = leader.get("sys/health").await.word("/cluster_id");
    let own = standby.get("sys/health").await.word("/cluster_id");
    so(own == id, id, own)
}

/// Not initialised is what it says of itself as long as it knows of no cluster.
async fn an_empty_voter_that_reaches_nobody(w: &World) -> Done {
    let (leader, [standby, other]) = w.calm().await?;
    w.act(Act::Unsealer(false)).await;
    w.act(Act::Stop(leader.n)).await;
    w.act(Act::Stop(other.n)).await;
    w.empty(&standby).await?;
    let body = json!({"initialized": false, "sealed": true, "standby": true});
    w.says(&standby, "sys/health", 501, &body).await?;
    standby.get("sys/health?standbyok=true&sealedcode=299").await.code(501)?.has(&body)?;
    standby.get("sys/health?uninitcode=298").await.code(298)?.has(&body)?;
    standby.get("sys/seal-status").await.code(200)?.has(&json!({
        "type": "shamir", "initialized": false, "sealed": true, "t": 0, "n": 0, "progress": 0,
    }))?;
    standby.get("sys/init").await.code(200)?.is(&json!({"initialized": false}))?;
    for path in ["sys/leader", "sys/ha-status", CONFIGURATION, "kv/data/conf"] {
        standby.get(path).await.errors(503, SEALED)?;
    }
    let key = w.unseal_key().await?;
    standby.put("sys/unseal", &key).await.errors(400, &["Vault is not initialized"])?;
    w.act(Act::Continue(leader.n)).await;
    w.act(Act::Continue(other.n)).await;
    w.says(&standby, "sys/health", 503, &json!({"initialized": true, "sealed": true})).await?;
    w.mend().await;
    w.calm().await?;
    Ok(())
}

/// The others elect one of them the moment its process ends.
async fn an_empty_leader_comes_back_as_a_standby(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    let index = w.write(&leader, "rejoin", "leader").await?;
    w.empty(&leader).await?;
    let new = w.another_leads(leader.n).await?;
    w.says(&leader, "sys/health", 429, &json!({"standby": true, "sealed": false})).await?;
    w.applied(&leader, index).await?;
    new.get("kv/data/rejoin").await.code(200)?.has(&json!({
        "data": {"data": {"v": "leader"}},
    }))?;
    w.calm().await?;
    Ok(())
}

/// Where somebody has named the leader, a wrong key does no harm.
async fn an_empty_voter_joined_by_hand(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    w.act(Act::Unsealer(false)).await;
    w.empty(&standby).await?;
    w.says(&standby, "sys/health", 503, &json!({"initialized": true})).await?;
    let at = json!({"leader_api_addr": leader.base()});
    let seen = standby.put("sys/storage/raft/join", &at).await.code(200)?;
    seen.is(&json!({"joined": true}))?;
    standby.get("sys/health").await.code(503)?;
    let seen = standby.put("sys/unseal", &wrong_key()).await.code(500)?;
    let starts = "error decrypting challenge: ";
    so(seen.word("/errors/0").starts_with(starts), starts, seen.text())?;
    let key = w.unseal_key().await?;
    standby.put("sys/unseal", &key).await.code(200)?.has(&json!({"sealed": true}))?;
    w.says(&standby, "sys/health", 429, &json!({"sealed": false})).await?;
    w.mend().await;
    w.calm().await?;
    Ok(())
}

/// Where nobody has, it tries that key for ever and answers nothing more: only a new process
/// takes another one.
async fn a_wrong_key_for_an_empty_voter(w: &World) -> Done {
    let (_, [standby, _]) = w.calm().await?;
    w.act(Act::Unsealer(false)).await;
    w.empty(&standby).await?;
    w.says(&standby, "sys/health", 503, &json!({"initialized": true})).await?;
    standby.put("sys/unseal", &wrong_key()).await.code(0)?;
    for path in ["sys/health", "sys/seal-status"] {
        standby.get(path).await.code(0)?;
    }
    w.restart(&standby).await?;
    w.says(&standby, "sys/health", 503, &json!({"initialized": true, "sealed": true})).await?;
    w.mend().await;
    w.calm().await?;
    Ok(())
}

fn wrong_key() -> Value {
    json!({"key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="})
}
