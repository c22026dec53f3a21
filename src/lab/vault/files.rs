//! What lies in a voter's data directory, as somebody in its container sees it, and the one file that
//! Vault reads from there: `raft/peers.json`.

use super::state::Disk;
use super::truth;
use crate::lab::World;
use serde_json::Value;
use std::sync::Arc;

const PEERS: &str = "raft/peers.json";

/// Names in a directory of a voter's disk, which begins at its data; none: no such directory.
#[must_use]
pub fn list(world: &World, pod: &str, dir: &str) -> Option<Vec<&'static str>> {
    let disk = truth::disk(world, pod)?;
    match dir {
        "" => Some(vec!["raft", "vault.db"]),
        "raft" => {
            let peers = disk.peers_json.is_some().then_some("peers.json");
            Some(peers.into_iter().chain(["raft.db", "snapshots"]).collect())
        }
        _ => None,
    }
}

/// What a file of a voter's disk holds, if it is there and is text.
#[must_use]
pub fn read<'a>(world: &'a World, pod: &str, path: &str) -> Option<&'a str> {
    truth::disk(world, pod)?.peers_json.as_deref().filter(|_| path == PEERS)
}

/// Writes a file of a voter's disk; false: nobody may, or no such directory.
pub fn write(world: &mut World, pod: &str, path: &str, text: &str) -> bool {
    let disk = world.vault.voters.get(pod).map(|v| v.disk.clone());
    let disk = disk.and_then(|disk| world.vault.disks.get_mut(&disk));
    match disk.filter(|_| path == PEERS) {
        Some(disk) => {
            disk.peers_json = Some(text.to_owned());
            true
        }
        None => false,
    }
}

/// A voter is unsealed: of `peers.json` it makes its raft configuration, and removes the file. One
/// that it cannot read stays, and it stays sealed.
pub(super) fn recover(disk: &mut Disk) -> Result<(), String> {
    let Some(text) = &disk.peers_json else { return Ok(()) };
    let failed = |why: String| format!("raft recovery failed to parse peers.json: {why}");
    let listed: Vec<Value> = serde_json::from_str(text).map_err(|e| failed(e.to_string()))?;
    let one = |peer: &Value| {
        let votes = !peer["non_voter"].as_bool().unwrap_or(false);
        Some((peer["id"].as_str()?.to_owned(), votes))
    };
    let peers = listed.iter().map(one).collect::<Option<_>>();
    Arc::make_mut(&mut disk.data).peers = peers.ok_or_else(|| failed("no id".into()))?;
    disk.peers_json = None;
    Ok(())
}
