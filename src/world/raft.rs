//! Vault's raft as its voters tell it, each asked by itself.

use crate::event::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How one request to one voter went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Answered within the deadline.
    Answers,
    /// Connected, no answer within the deadline.
    Silent,
    /// Connection refused.
    Refused,
    /// No route, time-out on connect, or a lost port-forward.
    PathLost,
    /// Not asked yet.
    #[default]
    Unasked,
}

/// What the answers of a voter add up to (design: the table of observers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VoterVerdict {
    /// Unsealed and answering as leader or standby.
    Healthy,
    /// Answers and is sealed.
    Sealed,
    /// Answers and is not initialised or has not joined.
    Joining,
    /// `sys/health` is content while `sys/leader` answers with an error: a standby that has
    /// not got the keyring of the new term, say.
    Failing,
    /// `sys/leader` answers while `sys/health` is silent: a deadlock.
    Hung,
    /// Silent, and another voter leads: it was stopped and replaced.
    Stopped,
    /// Silent, and nobody else leads: hung or stopped, not known which.
    Silent,
    /// The connection is refused.
    Down,
    /// Nothing can be said: the path to it is lost.
    #[default]
    PathLost,
}

impl fmt::Display for VoterVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Sealed => "sealed",
            Self::Joining => "joining",
            Self::Failing => "failing",
            Self::Hung => "hung",
            Self::Stopped => "stopped",
            Self::Silent => "silent",
            Self::Down => "down",
            Self::PathLost => "path lost",
        })
    }
}

/// One voter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Voter {
    /// Its raft node id, which is its pod's name.
    pub name: String,
    /// Where it is asked; no secret.
    pub address: String,
    /// What its answers add up to.
    pub verdict: VoterVerdict,
    /// The verdict is *healthy*.
    pub healthy: bool,
    /// How `sys/health` went; the only one of the two that a deadlocked leader fails.
    pub health: Answer,
    /// How `sys/leader` went.
    pub leader_answer: Answer,
    /// Status code of `sys/health`: 200 active, 429 standby, 503 sealed, 501 not initialised; 0 without an answer.
    pub code: i64,
    /// What `sys/leader` said instead of an answer; empty when it answered.
    pub error: String,
    /// Milliseconds that `sys/health` took; coarse.
    pub latency_ms: i64,
    /// It says so itself, in `sys/leader`.
    pub is_self: bool,
    /// Sealed, as `sys/health` says, or `sys/seal-status`.
    pub sealed: bool,
    /// Initialised, as `sys/health` says, or `sys/seal-status`.
    pub initialized: bool,
    /// Its own applied index, from its own `sys/leader`; 0 when unknown.
    pub applied: i64,
    /// Its own commit index.
    pub committed: i64,
    /// Entries behind the leader's commit index, which was read before; 0 for the leader.
    pub behind: i64,
    /// Own applied index has reached the leader's commit index that was read before it.
    pub caught_up: bool,
    /// Listed in the raft configuration as a voter.
    pub is_voter: bool,
    /// Listed in the raft configuration at all.
    pub is_peer: bool,
    /// The active node heard of it within 30 s, as its `sys/ha-status` says; true of itself,
    /// false when that could not be read.
    pub heard: bool,
}

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Raft {
    /// One row a voter of the site file, in its order.
    pub voters: Vec<Voter>,
    /// Name of the node that says `is_self`; empty when none or more than one does.
    pub leader: String,
    /// The leader answers `sys/health` in time and its index is not standing still while written to.
    pub leader_answers: bool,
    /// Voters that the others name as leader while it is hung; empty otherwise.
    pub hung_leader: String,
    /// Voters that are healthy, unsealed, and vote by the configuration where it was read.
    pub unsealed: i64,
    /// Votes needed: more than half of the voters in the raft configuration (of the site file's, when that cannot be read).
    pub quorum: i64,
    /// Voters in the raft configuration.
    pub configured: i64,
    /// The leader's commit index.
    pub committed: i64,
    /// Entries committed a second, of late; 0 while nothing is written.
    pub rate: i64,
    /// The raft configuration was read; without it `quorum`, `configured`, `is_voter` and
    /// `is_peer` prove nothing, and no gate passes on them.
    pub configuration_read: bool,
    /// Autopilot's state was read; without it no gate passes on `autopilot_healthy`.
    pub autopilot_read: bool,
    /// Autopilot says healthy; false when it cannot be read.
    pub autopilot_healthy: bool,
    /// A request that is audited came back in time; false when it did not: a hung audit device.
    pub audited_read: bool,
    /// Why the active node could not be asked for configuration, autopilot or the audited read; empty when it could.
    pub active_error: String,
    /// Vault's cluster id, as the first unsealed voter tells it; empty when unknown.
    pub cluster_id: String,
    /// Elections seen since observation began.
    pub elections: i64,
    /// When the Vault token in use ends, to the minute; null for one that does not end, and while `audited_read` is false.
    pub token_ends: Option<Time>,
}

impl Raft {
    /// Every voter but the one named.
    #[must_use]
    pub fn others(&self, name: &str) -> Vec<&Voter> {
        self.voters.iter().filter(|v| v.name != name).collect()
    }

    /// The voter of that name.
    #[must_use]
    pub fn voter(&self, name: &str) -> Option<&Voter> {
        self.voters.iter().find(|v| v.name == name)
    }

    /// Voters that are not healthy and that a text does not name yet, each with its verdict:
    /// `vault-2 HUNG (sys/leader answers, sys/health does not)`.
    #[must_use]
    pub fn unwell_beside(&self, text: &str) -> Option<String> {
        let words = |v: &Voter| match v.verdict {
            VoterVerdict::Hung => {
                format!("{} HUNG (sys/leader answers, sys/health does not)", v.name)
            }
            VoterVerdict::Failing => format!("{} failing ({})", v.name, v.error),
            other => format!("{} {other}", v.name),
        };
        let news = |v: &&Voter| v.verdict != VoterVerdict::Healthy && !text.contains(&v.name);
        let unwell: Vec<_> = self.voters.iter().filter(news).map(words).collect();
        (!unwell.is_empty()).then(|| unwell.join(", "))
    }

    /// Voters to which there is no path: nothing is known of them, not even that they are down.
    pub fn lost(&self) -> impl Iterator<Item = &Voter> {
        self.voters.iter().filter(|v| v.verdict == VoterVerdict::PathLost)
    }

    /// The cluster as it would be if every voter to which there is no path were well; none
    /// when there is a path to each. What holds both as seen and as supposed does not hang
    /// on the lost paths.
    #[must_use]
    pub fn supposing_lost_voters_well(&self) -> Option<Self> {
        let first = self.lost().next()?.name.clone();
        let mut supposed = self.clone();
        if self.leader.is_empty() {
            // It may be the one that leads, and what only the leader can say is not known.
            supposed.leader = first;
            supposed.leader_answers = true;
            supposed.configuration_read = true;
            supposed.autopilot_read = true;
            supposed.autopilot_healthy = true;
            supposed.audited_read = true;
        }
        for v in supposed.voters.iter_mut().filter(|v| v.verdict == VoterVerdict::PathLost) {
            *v = Voter {
                verdict: VoterVerdict::Healthy,
                healthy: true,
                health: Answer::Answers,
                leader_answer: Answer::Answers,
                code: if v.name == supposed.leader { 200 } else { 429 },
                is_self: v.name == supposed.leader,
                sealed: false,
                initialized: true,
                caught_up: true,
                behind: 0,
                applied: self.committed,
                committed: self.committed,
                is_voter: true,
                is_peer: true,
                heard: true,
                ..v.clone()
            };
            supposed.unsealed += 1;
        }
        Some(supposed)
    }

    /// Whether it is known how far behind it is: it told its own index, and there is a leader's to
    /// compare it with.
    #[must_use]
    pub fn knows_index(&self, voter: &Voter) -> bool {
        voter.leader_answer == Answer::Answers && self.committed > 0
    }

    /// Voters of which that, or how long they take to answer, is not known.
    pub fn untold(&self) -> impl Iterator<Item = &Voter> {
        self.voters.iter().filter(|v| !self.knows_index(v) || v.code == 0)
    }

    /// The cluster as it would be if those were far behind and slow; none where all is known. The
    /// zeroes that stand for what nobody told are no figures.
    #[must_use]
    pub fn supposing_untold_far_behind(&self) -> Option<Self> {
        const FAR: i64 = i64::MAX / 4;
        self.untold().next()?;
        let mut supposed = self.clone();
        for v in &mut supposed.voters {
            if !self.knows_index(v) {
                v.behind = FAR;
            }
            if v.code == 0 {
                v.latency_ms = FAR;
            }
        }
        Some(supposed)
    }
}
