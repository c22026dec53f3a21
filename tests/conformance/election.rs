//! Who leads.

use super::Act;
use super::answer::{Answer, Done, Wrong, so};
use super::calm::{AUTOPILOT, CONFIGURATION, configuration, server};
use super::run::cases;
use super::voter::Voter;
use super::world::World;
use serde_json::{Value, json};

cases![
    the_configuration_names_voters_and_leader,
    ha_status_names_every_node,
    autopilot_in_good_health,
    writes_arrive_at_every_voter,
    a_step_down_moves_the_leadership,
    a_step_down_through_a_standby,
    a_step_down_that_is_not_forwarded,
    a_stopped_leader_is_replaced_and_comes_back_as_a_standby,
    a_stopped_standby_costs_the_tolerance,
    a_standby_without_a_quorum,
    a_leader_without_a_quorum,
    a_hung_leader_goes_on_leading,
];

/// The same from everyone; the leader's flag is where the leader is.
async fn the_configuration_names_voters_and_leader(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    let first = leader.get(CONFIGURATION).await.code(200)?.has(&configuration(&leader))?;
    let addresses = |a: &Answer| a.body["data"].clone();
    for voter in w.voters() {
        let seen = voter.get(CONFIGURATION).await.code(200)?;
        so(addresses(&seen) == addresses(&first), first.text(), seen.text())?;
    }
    let own = leader.get("sys/leader").await.word("/leader_cluster_address");
    let name = leader.name();
    let servers = first.list("/data/config/servers")?;
    let named = servers.iter().find(|s| s["node_id"] == name).map(|s| &s["address"]);
    let named = named.and_then(|a| a.as_str()).unwrap_or_default();
    so(own == format!("https://{named}"), own, named)
}

/// The leader first or not, it alone is active and echoes nobody.
async fn ha_status_names_every_node(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    for asked in [&leader, &standby] {
        let look = async || {
            let seen = asked.get("sys/ha-status").await.code(200)?;
            let nodes = seen.list("/data/nodes")?;
            so(nodes.len() == 3, "three nodes", seen.text())?;
            so(seen.body["nodes"] == seen.body["data"]["nodes"], "the same twice", seen.text())?;
            for voter in w.voters() {
                let node = nodes.iter().find(|n| n["api_address"] == voter.base());
                let leads = voter.n == leader.n;
                let it = node.is_some_and(|n| {
                    n["active_node"] == leads
                        && n["last_echo"].is_null() == leads
                        && n["version"].is_string()
                        && n["cluster_address"].is_string()
                        && n["hostname"].is_string()
                });
                so(it, voter.name(), format!("{node:?}"))?;
            }
            Ok(())
        };
        w.eventually("every node", look).await?;
    }
    Ok(())
}

async fn autopilot_in_good_health(w: &World) -> Done {
    let (leader, standbys) = w.calm().await?;
    let seen = standbys[0].get(AUTOPILOT).await.code(200)?.has(&json!({"data": {
        "healthy": true, "failure_tolerance": 1, "leader": leader.name(),
    }}))?;
    let voters = seen.list("/data/voters")?;
    so(voters.len() == 3 && voters[0] == leader.name(), "the leader first", seen.text())?;
    let server = |voter: &Voter, leads: bool| {
        json!({
            "id": voter.name(), "name": voter.name(), "address": "$any", "node_status": "alive",
            "last_contact": "$any", "last_term": "$any", "last_index": "$any", "healthy": true,
            "stable_since": "$any", "status": if leads { "leader" } else { "voter" },
            "version": "$any", "node_type": "voter",
        })
    };
    seen.has(&json!({"data": {"servers": {
        leader.name(): server(&leader, true),
        standbys[0].name(): server(&standbys[0], false),
        standbys[1].name(): server(&standbys[1], false),
    }}}))?;
    leader.get("sys/storage/raft/autopilot/configuration").await.code(200)?.has(
        &json!({"data": {
            "cleanup_dead_servers": false, "last_contact_threshold": "10s",
            "dead_server_last_contact_threshold": "24h0m0s", "server_stabilization_time": "10s",
            "max_trailing_logs": 1000, "min_quorum": 0, "disable_upgrade_migration": false,
        }}),
    )?;
    Ok(())
}

/// Each one's own applied index reaches what the leader has committed.
async fn writes_arrive_at_every_voter(w: &World) -> Done {
    let (leader, standbys) = w.calm().await?;
    let before = w.write(&leader, "index", "1").await?;
    let after = w.write(&leader, "index", "2").await?;
    so(after > before, format!("more than {before}"), after)?;
    for standby in &standbys {
        w.applied(standby, after).await?;
    }
    let seen = w.eventually("the term", async || {
        let seen = leader.get(AUTOPILOT).await.code(200)?;
        for standby in &standbys {
            let index = server(&seen, standby)["last_index"].as_u64().unwrap_or_default();
            so(index >= after, format!("index {after}"), index)?;
        }
        Ok(seen)
    });
    let seen = seen.await?;
    let term = |v: &Voter| server(&seen, v)["last_term"].clone();
    so(term(&leader) == term(&standbys[0]), "one term", seen.text())
}

async fn term(voter: &Voter) -> Result<u64, Wrong> {
    let seen = voter.get(AUTOPILOT).await.code(200)?;
    Ok(server(&seen, voter)["last_term"].as_u64().unwrap_or_default())
}

/// Makes a leader step down until somebody else leads: it may be elected again, though anew.
async fn stepped_down(w: &World, leader: &Voter, through: &Voter) -> Result<Voter, Wrong> {
    for _ in 0..5 {
        let since = leader.get("sys/leader").await.code(200)?.word("/active_time");
        let seen = through.put("sys/step-down", &Value::Null).await.code(204)?;
        so(seen.raw.is_empty(), "no body", seen.text())?;
        let look = async || {
            let now = w.leader().await?;
            let at = now.get("sys/leader").await.code(200)?.word("/active_time");
            so(now.n != leader.n || at != since, "an election", at)?;
            Ok(now)
        };
        let now = w.eventually("an election", look).await?;
        if now.n != leader.n {
            return w.another_leads(leader.n).await;
        }
    }
    super::answer::wrong("another leader", "the same one, five times")
}

/// 204 without a body; whoever leads then says so, and everyone names it.
async fn a_step_down_moves_the_leadership(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    let before = term(&leader).await?;
    let new = stepped_down(w, &leader, &leader).await?;
    w.says(&leader, "sys/health", 429, &json!({"standby": true, "sealed": false})).await?;
    let named = json!({"is_self": false, "leader_address": new.base()});
    w.says(&leader, "sys/leader", 200, &named).await?;
    w.eventually("a later term", async || {
        let now = term(&new).await?;
        so(now > before, format!("a term after {before}"), now)
    })
    .await?;
    w.says(&new, CONFIGURATION, 200, &configuration(&new)).await?;
    w.calm().await?;
    Ok(())
}

/// It is forwarded like any request: the leader steps down.
async fn a_step_down_through_a_standby(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    stepped_down(w, &leader, &standby).await?;
    w.calm().await?;
    Ok(())
}

async fn a_step_down_that_is_not_forwarded(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    let seen = standby.unforwarded().put("sys/step-down", &Value::Null).await.code(307)?;
    let there = format!("{}/v1/sys/step-down", leader.base());
    so(seen.header("location") == there, there, seen.header("location"))?;
    w.stays("the same leader", async || {
        leader.get("sys/leader").await.code(200)?.has(&json!({"is_self": true}))?;
        Ok(())
    })
    .await
}

/// Stopped, it answers nothing at all; the others elect one of them.
async fn a_stopped_leader_is_replaced_and_comes_back_as_a_standby(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    let before = term(&leader).await?;
    w.act(Act::Stop(leader.n)).await;
    leader.get("sys/health").await.code(0)?;
    leader.get("sys/leader").await.code(0)?;
    let new = w.another_leads(leader.n).await?;
    w.eventually("a later term", async || {
        let now = term(&new).await?;
        so(now > before, format!("a term after {before}"), now)
    })
    .await?;
    // It is no reason to forget it.
    w.says(&new, CONFIGURATION, 200, &configuration(&new)).await?;
    w.says(
        &new,
        AUTOPILOT,
        200,
        &json!({"data": {
            "healthy": false, "failure_tolerance": 0, "leader": new.name(),
            "servers": {leader.name(): {"healthy": false, "status": "voter"}},
        }}),
    )
    .await?;
    let index = w.write(&new, "stopped", "1").await?;
    w.act(Act::Continue(leader.n)).await;
    w.says(&leader, "sys/health", 429, &json!({"standby": true})).await?;
    let named = json!({"is_self": false, "active_time": "0001-01-01T00:00:00Z"});
    w.says(&leader, "sys/leader", 200, &named).await?;
    w.applied(&leader, index).await?;
    w.calm().await?;
    Ok(())
}

async fn a_stopped_standby_costs_the_tolerance(w: &World) -> Done {
    let (leader, [standby, other]) = w.calm().await?;
    w.act(Act::Stop(standby.n)).await;
    w.says(&leader, AUTOPILOT, 200, &json!({"data": {
        "healthy": false, "failure_tolerance": 0, "leader": leader.name(),
        "servers": {
            standby.name(): {"healthy": false, "status": "voter"}, other.name(): {"healthy": true},
        },
    }}))
    .await?;
    // Two of three are enough to go on.
    w.write(&leader, "two", "1").await?;
    leader.get("sys/health").await.code(200)?;
    w.act(Act::Continue(standby.n)).await;
    w.calm().await?;
    Ok(())
}

/// Who is left leads nothing, and goes on naming the last one who did.
async fn a_standby_without_a_quorum(w: &World) -> Done {
    let (leader, [standby, other]) = w.calm().await?;
    w.act(Act::Stop(leader.n)).await;
    w.act(Act::Stop(other.n)).await;
    w.stays("nobody leads", async || {
        standby.get("sys/health").await.code(429)?;
        standby.get("sys/leader").await.code(200)?.has(&json!({
            "is_self": false, "leader_address": leader.base(),
        }))?;
        Ok(())
    })
    .await?;
    standby.put("kv/data/none", &json!({"data": {"v": "1"}})).await.code(0)?;
    w.act(Act::Continue(leader.n)).await;
    w.act(Act::Continue(other.n)).await;
    w.calm().await?;
    Ok(())
}

/// It cannot reach a majority, and stops leading by itself.
async fn a_leader_without_a_quorum(w: &World) -> Done {
    let (leader, standbys) = w.calm().await?;
    for standby in &standbys {
        w.act(Act::Stop(standby.n)).await;
    }
    let nobody = json!({"is_self": false, "active_time": "0001-01-01T00:00:00Z"});
    w.says(&leader, "sys/leader", 200, &nobody).await?;
    w.says(&leader, "sys/health", 429, &json!({"standby": true, "sealed": false})).await?;
    for standby in &standbys {
        w.act(Act::Continue(standby.n)).await;
    }
    w.calm().await?;
    Ok(())
}

/// Its health is silent and its index stands still, while everyone names it, itself included.
async fn a_hung_leader_goes_on_leading(w: &World) -> Done {
    let (leader, standbys) = w.calm().await?;
    w.act(Act::Hang(leader.n)).await;
    let at = leader.get("sys/leader").await.code(200)?.number("/raft_committed_index")?;
    w.stays("a leader that hangs", async || {
        let own = leader.get("sys/leader").await.code(200)?.has(&json!({"is_self": true}))?;
        so(own.number("/raft_committed_index")? == at, at, own.text())?;
        for standby in &standbys {
            standby.get("sys/health").await.code(429)?;
            standby.get("sys/leader").await.code(200)?.has(&json!({
                "is_self": false, "leader_address": leader.base(),
            }))?;
        }
        Ok(())
    })
    .await?;
    leader.get("sys/health").await.code(0)?;
    leader.put("kv/data/hung", &json!({"data": {"v": "1"}})).await.code(0)?;
    leader.get("sys/seal-status").await.code(0)?;
    w.act(Act::Heal(leader.n)).await;
    w.says(&leader, "sys/health", 200, &json!({"standby": false})).await?;
    w.calm().await?;
    Ok(())
}
