//! Three voters in good health, and what cases do to them.

use super::Act;
use super::answer::{Answer, Wrong, so, wrong};
use super::voter::Voter;
use super::world::World;
use base64::Engine;
use serde_json::{Value, json};
use std::time::Duration;

pub const CONFIGURATION: &str = "sys/storage/raft/configuration";
pub const AUTOPILOT: &str = "sys/storage/raft/autopilot/state";
pub const SEALED: &[&str] = &["Vault is sealed"];

impl World {
    pub fn voters(&self) -> [Voter; 3] {
        [self.vault(0), self.vault(1), self.vault(2)]
    }

    /// Who says that it leads.
    pub async fn leader(&self) -> Result<Voter, Wrong> {
        for voter in self.voters() {
            let seen = voter.get("sys/leader").await;
            if seen.code == 200 && seen.body["is_self"] == true {
                return Ok(voter);
            }
        }
        wrong("a leader", "none")
    }

    /// Waits until all are unsealed, one leads, all name it, and autopilot is content; gives the
    /// leader and the two standbys.
    pub async fn calm(&self) -> Result<(Voter, [Voter; 2]), Wrong> {
        let look = async || {
            let leader = self.leader().await?;
            for voter in self.voters() {
                let leads = voter.n == leader.n;
                let health = voter.get("sys/health").await;
                health.code(if leads { 200 } else { 429 })?;
                voter.get("sys/leader").await.code(200)?.has(&json!({
                    "is_self": leads, "leader_address": leader.base(),
                }))?;
            }
            leader.get(AUTOPILOT).await.code(200)?.has(&json!({
                "data": {"healthy": true, "failure_tolerance": 1, "leader": leader.name()},
            }))?;
            Ok(leader)
        };
        let leader = self.eventually("three voters in good health", look).await?;
        let standbys = [1, 2].map(|i| self.vault((leader.n + i) % 3));
        Ok((leader, standbys))
    }

    /// Waits until somebody else leads, and answers for it.
    pub async fn another_leads(&self, than: usize) -> Result<Voter, Wrong> {
        let look = async || {
            for voter in self.voters().into_iter().filter(|v| v.n != than) {
                let seen = voter.get("sys/leader").await;
                if seen.code == 200 && seen.body["is_self"] == true {
                    voter.get("sys/health").await.code(200)?;
                    return Ok(voter);
                }
            }
            wrong("another leader", "none")
        };
        self.eventually("another leader", look).await
    }

    pub async fn unseal_key(&self) -> Result<Value, Wrong> {
        let path = "/api/v1/namespaces/vault/secrets/vault-unseal-key";
        let coded = self.kube.get(path).await?.code(200)?.word("/data/unseal-key");
        let plain = base64::engine::general_purpose::STANDARD.decode(coded).unwrap_or_default();
        Ok(json!({"key": String::from_utf8_lossy(&plain).trim()}))
    }

    /// Ends a voter's process; its pod is made again and starts it anew, sealed.
    pub async fn restart(&self, voter: &Voter) -> Result<(), Wrong> {
        let path = format!("/api/v1/namespaces/vault/pods/{}", voter.name());
        let old = self.kube.delete(&path).await?.code(200)?.uid();
        self.replaced(&path, &old).await?;
        Ok(())
    }

    /// The same on new claims: with an empty disk. Gives the UIDs of the claims before.
    pub async fn empty(&self, voter: &Voter) -> Result<(), Wrong> {
        let mut claims = Vec::new();
        for kind in ["data", "audit"] {
            let path =
                format!("/api/v1/namespaces/vault/persistentvolumeclaims/{kind}-{}", voter.name());
            claims.push((self.kube.delete(&path).await?.code(200)?.uid(), path));
        }
        self.restart(voter).await?;
        for (uid, path) in claims {
            let new = self.replaced(&path, &uid).await?;
            so(new.uid() != uid, "another claim", uid)?;
        }
        Ok(())
    }

    /// Waits until a voter says so.
    pub async fn says(
        &self,
        voter: &Voter,
        path: &str,
        code: u16,
        wanted: &Value,
    ) -> Result<Answer, Wrong> {
        let look = async || voter.get(path).await.code(code)?.has(wanted);
        self.eventually(&format!("{} to answer {path} with {code} {wanted}", voter.name()), look)
            .await
    }

    /// Writes through the leader; the index that the write has reached.
    pub async fn write(&self, leader: &Voter, key: &str, value: &str) -> Result<u64, Wrong> {
        let body = json!({"data": {"v": value}});
        let path = format!("kv/data/{key}");
        self.eventually("a write", async || leader.put(&path, &body).await.code(200)).await?;
        leader.get("sys/leader").await.code(200)?.number("/raft_committed_index")
    }

    /// Waits until a voter has applied an index, by its own word.
    pub async fn applied(&self, voter: &Voter, index: u64) -> Result<(), Wrong> {
        let look = async || {
            let seen = voter.get("sys/leader").await.code(200)?;
            let at = seen.number("/raft_applied_index")?;
            so(at >= index, format!("index {index}"), at)
        };
        self.eventually(&format!("{} to reach {index}", voter.name()), look).await
    }

    /// Whatever a case did: all are awake again, and unsealed.
    pub async fn mend(&self) {
        for n in 0..3 {
            self.act(Act::Heal(n)).await;
            self.act(Act::Continue(n)).await;
        }
        self.act(Act::Unsealer(true)).await;
        self.wait(Duration::from_millis(500)).await;
    }
}

/// The raft configuration: all three are voters, with this one as leader.
pub fn configuration(leader: &Voter) -> Value {
    let servers: Vec<Value> = (0..3)
        .map(|n| {
            json!({
                "node_id": format!("vault-{n}"), "address": "$any", "leader": n == leader.n,
                "protocol_version": "3", "voter": true,
            })
        })
        .collect();
    json!({"data": {"config": {"servers": servers, "index": 0}}, "mount_type": "system"})
}

pub fn server(seen: &Answer, voter: &Voter) -> Value {
    seen.body["data"]["servers"][voter.name()].clone()
}
