//! What a voter is and what lies on its disk: plain data.

use crate::event::{Span, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All voters, and the disks that they have or had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Raft {
    /// By raft node id, which is the pod's name.
    pub voters: BTreeMap<String, Voter>,
    /// By the UID of the claim.
    pub disks: BTreeMap<String, Disk>,
    /// Who leads, or led until a new one is elected.
    pub led: Option<Led>,
    /// The key that opens what the sidecars unseal; none where there are no sidecars.
    pub sidecar_key: Option<String>,
    /// The Secret that the sidecars read a key from at every look, by namespace and name: that one
    /// may be a wrong one. None: not from one.
    #[serde(default)]
    pub key_in: Option<(String, String)>,
    /// Pods of this namespace alone are voters; none: those of any.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The election or loss of leadership that is on the agenda; a later one replaces it.
    pub(super) pending: Option<u64>,
    /// Counts what `pending` names.
    pub(super) plans: u64,
    /// Who led until there was no quorum any more; nobody gave that leadership away.
    #[serde(default)]
    pub(super) last: Option<String>,
    /// Who stepped down of late: another one is preferred.
    pub(super) stepped: Option<String>,
    /// Whom leadership was given to, if that one can have it.
    #[serde(default)]
    pub(super) heir: Option<String>,
    /// Requests answered: ids of requests come from it, not from the world's chance, so that
    /// asking more often does not change what happens.
    pub(crate) requests: u64,
    /// Whom a fault has hit.
    pub(super) hit: BTreeMap<String, BTreeSet<String>>,
}

impl Default for Raft {
    fn default() -> Self {
        Self {
            voters: BTreeMap::new(),
            disks: BTreeMap::new(),
            led: None,
            sidecar_key: Some(super::UNSEAL_KEY.into()),
            key_in: None,
            namespace: None,
            pending: None,
            plans: 0,
            last: None,
            stepped: None,
            heir: None,
            requests: 0,
            hit: BTreeMap::new(),
        }
    }
}

/// A process, as somebody who connects to it sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    /// There is none: connections are refused.
    #[default]
    Absent,
    /// It runs.
    Running,
    /// Deadlocked on its disk: it answers what needs no lock, and heartbeats go on.
    Hung,
    /// Stopped by a signal: connections stand, nothing answers, heartbeats stop.
    Paused,
}

/// A node of raft.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Voter {
    /// Its process.
    pub process: Process,
    /// The UID of the claim that its data lies on.
    pub disk: String,
    /// It has no key for what lies on its disk.
    pub sealed: bool,
    /// With an empty disk: a leader told it how the seal is shaped.
    pub challenged: bool,
    /// With an empty disk: it was given the key and proves it to the leader.
    pub joining: bool,
    /// With an empty disk: somebody told it where a leader is.
    #[serde(default)]
    pub led_by_hand: bool,
    /// It was given a wrong key while it looked for a leader by itself: it tries that one for
    /// ever, and answers nothing more.
    #[serde(default)]
    pub jammed: bool,
    /// It follows the leader.
    pub follows: Option<Follows>,
    /// Counts starts: what was planned for an earlier process does not hit this one.
    pub boots: u64,
    /// The kubelet wants it to run.
    pub wanted: bool,
    /// It cannot run, whatever the kubelet wants.
    pub kept_away: bool,
    /// Its audit device takes no more lines.
    pub audit_stuck: bool,
    /// Nobody from outside of the cluster gets there.
    pub path_lost: bool,
    /// Since when it is not heard of any more.
    pub left: Option<Time>,
    /// Where its API is, as it says.
    pub api: String,
    /// Where raft talks to it.
    pub cluster: String,
    /// What its readiness was when somebody last looked.
    pub(super) was_ready: bool,
}

/// How a voter follows: from an applied index, to be level at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follows {
    /// The index that it began at.
    pub from: u64,
    /// When it began.
    pub began: Time,
    /// When it is level with the leader.
    pub until: Time,
}

/// Leadership. The commit index grows by itself: leases are looked after and written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Led {
    /// The leader.
    pub node: String,
    /// Its disk, and which of its processes leads: one that comes back leads no more.
    pub disk: String,
    /// Counts as [`Voter::boots`] does.
    pub boot: u64,
    /// Raft's term.
    pub term: u64,
    /// Since when it is active.
    pub since: Time,
    /// The commit index at `at`.
    pub base: u64,
    /// When `base` was right.
    pub at: Time,
    /// Nothing is committed: not any more, or not yet.
    pub stands: bool,
    /// Entries that a new leader sets up with, to be committed first.
    pub setup: u64,
    /// When something was last written.
    pub wrote: Time,
    /// Until then the leader reads what was restored, and answers nothing that needs it.
    pub reads_until: Time,
}

/// How often something is committed though nobody asks for it.
const HOUSEKEEPING: Span = Span::secs(10);
/// How much later followers know of a commit.
const LAG: Span = Span(50);

impl Led {
    /// The commit index.
    #[must_use]
    pub fn commit(&self, now: Time) -> u64 {
        if self.stands { self.base } else { self.base + now.since(self.at).0 / HOUSEKEEPING.0 }
    }

    /// The commit index as a follower that keeps up knows it.
    #[must_use]
    pub fn known(&self, now: Time) -> u64 {
        let fresh = self.wrote + LAG > now && self.wrote > self.since;
        self.commit(now.max(self.at + LAG) - LAG).saturating_sub(u64::from(fresh))
    }
}

/// What lies on a disk.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Disk {
    /// The term of the last entry.
    pub term: u64,
    /// The index of the last entry that is applied.
    pub applied: u64,
    /// What the entries add up to. Shared by voters that are level.
    pub data: Arc<Data>,
    /// `raft/peers.json`, which somebody put there.
    #[serde(default)]
    pub peers_json: Option<String>,
    /// Nobody reads it any more: no process runs on it.
    #[serde(default)]
    pub lost: bool,
}

/// What raft replicates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// None: not initialised.
    pub keyring: Option<Keyring>,
    /// The raft configuration, and who of it votes.
    pub peers: BTreeMap<String, bool>,
    /// Secret engines by path, which ends in a slash.
    pub mounts: BTreeMap<String, Mount>,
    /// Secrets of engines without versions, by whole path.
    pub plain: BTreeMap<String, Value>,
    /// Secrets of engines with versions, by whole path without `data/`.
    pub versioned: BTreeMap<String, Secret>,
    /// Tokens by themselves.
    pub tokens: BTreeMap<String, Token>,
    /// Policies by name.
    pub policies: BTreeMap<String, Vec<Rule>>,
    /// What of the raft library's configuration of autopilot was changed.
    pub autopilot: BTreeMap<String, Value>,
}

/// What a cluster is known by, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    /// A UUID.
    pub cluster_id: String,
    /// `vault-cluster-…`.
    pub cluster_name: String,
    /// The one unseal key, as base64.
    pub key: String,
    /// When it was made.
    pub installed: Time,
    /// Counts rotations, from 1.
    pub term: u64,
}

/// A secret engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Its type, as `kv`.
    pub kind: String,
    /// Of a `kv`: 1 or 2; 0 of others.
    pub version: u8,
    /// What it is called in other places.
    pub accessor: String,
    /// A UUID.
    pub uuid: String,
    /// For people.
    pub description: String,
}

/// A secret with versions; the first has number 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    /// Oldest first.
    pub versions: Vec<Version>,
    /// What an operator says of it.
    pub custom: Option<Value>,
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// What it holds; gone once destroyed.
    pub data: Option<Value>,
    /// When it was written.
    pub created: Time,
    /// When it was deleted.
    pub deleted: Option<Time>,
}

/// A token that is valid, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is called in logs.
    pub accessor: String,
    /// `root`, `token`.
    pub display: String,
    /// Which endpoint made it.
    pub path: String,
    /// When it was made.
    pub created: Time,
    /// How long it lasts from a renewal on; none lasts for ever.
    pub ttl: Option<Span>,
    /// When it ends.
    pub expires: Option<Time>,
    /// What it may.
    pub policies: Vec<String>,
}

/// What a policy says of a path; one that ends in `*` is a beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The path.
    pub path: String,
    /// `read`, `update`, `sudo`…
    pub may: Vec<String>,
}
