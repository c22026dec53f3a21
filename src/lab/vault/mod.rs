//! The Vault part: three raft voters, each as a process would be, with a disk that lasts.
//!
//! [`Raft`] is plain data. What happens by itself (elections, the unseal sidecar's polls,
//! joining, catching up, autopilot's promotion) is on the agenda only while it has something
//! to do: an idle cluster plans nothing. There are no heartbeats; indexes and echoes are
//! functions of time.
//!
//! One simplification carries the rest: there is one leadership for the whole world and not
//! a log a voter. A leader that is deadlocked keeps it, one that stops keeps it until the
//! others elect; two that both think they lead do not occur.
//!
//! [`answer`] is the HTTP API; bodies and codes are those of Vault 1.18.1.

mod access;
mod adopt;
mod answer;
mod election;
mod fault;
mod files;
mod kv;
mod life;
mod mounts;
mod peers;
mod raft;
mod reply;
mod seal;
mod serve;
mod snapshot;
mod state;
mod status;
mod text;
mod truth;

pub use self::adopt::{Found, adopt};
pub use self::answer::answer;
pub use self::fault::{
    AUDIT_HUNG, DISKS_LOST, EVERY_DISK_LOST, FAULTS, LEADER_HUNG, LEADER_MOVES, LEADER_STOPPED,
    PATH_LOST, QUORUM_LOST, SIDECAR_STUCK, SLOW_REJOIN, SNAPSHOT_EMPTY, TOKEN_EXPIRES, connect,
    fault, fault_at,
};
pub use self::files::{list as files_in, read as file_of, write as write_file};
pub use self::life::{Task, run, started, stopped};
pub use self::serve::serve;
pub use self::state::{
    Data, Disk, Follows, Keyring, Led, Mount, Process, Raft, Rule, Secret, Token, Version, Voter,
};
pub use self::truth::{
    Truth, applied, has_quorum, initialise, is_voter, leader, ready, rename, voters,
};

/// What opens every cluster of a lab: base64 of words that say what they are.
pub const UNSEAL_KEY: &str = "TEFCLXVuc2VhbC1rZXktb2YtdGhlLXNpbXVsYXRpb24=";
/// The root token of a lab.
pub const ROOT_TOKEN: &str = "hvs.LABROOTLABROOTLABROOTLAB";
/// A token of a lab that lasts 32 days and may what a change of Vault's storage needs.
pub const OPERATOR_TOKEN: &str = "hvs.LABOPERATORLABOPERATORLA";
/// The version that answers here.
pub const VERSION: &str = "1.18.1";

#[cfg(test)]
mod tests;
