//! The Vault part: three raft voters, each as a process would be, with a disk that lasts.

use crate::lab::World;
use serde::{Deserialize, Serialize};

/// All voters, and the disks that they have or had.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Raft {}

/// Something that happens to a voter later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {}

/// Something is due.
pub fn run(_world: &mut World, task: Task) {
    match task {}
}

/// The container of a voter's pod starts, with this disk (the UID of the claim whose
/// template is `data`): a disk never seen before is empty.
pub fn started(_world: &mut World, _pod: &str, _disk: &str) {}

/// The container was told to end, or was killed.
pub fn stopped(_world: &mut World, _pod: &str) {}

/// Whether its readiness probe succeeds: it runs and is unsealed.
#[must_use]
pub fn ready(_world: &World, _pod: &str) -> bool {
    false
}
