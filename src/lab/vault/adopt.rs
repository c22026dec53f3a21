//! A cluster as it was found: who leads, who is sealed, how far each is. What it holds is a
//! lab's own: secrets, tokens and keys were never looked at.

use super::state::{Follows, Led};
use super::{election, life, truth};
use crate::event::Span;
use crate::lab::World;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A voter as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its raft node id.
    pub name: String,
    /// What its data lies on: the UID of the claim, or nothing where there is none.
    pub disk: String,
    /// It has data.
    pub initialized: bool,
    /// It has no key.
    pub sealed: bool,
    /// It leads.
    pub leads: bool,
    /// Its own applied index.
    pub applied: u64,
    /// The commit index that it knows of.
    pub committed: u64,
}

/// So far behind, it was still catching up.
const FAR: u64 = 1_000;
/// A term for a cluster whose own is not told.
const TERM: u64 = 5;

/// Makes the voters so. `peers` is the raft configuration, with who votes; `sidecar`: somebody
/// unseals a voter that starts.
pub fn adopt(world: &mut World, found: &[Found], peers: BTreeMap<String, bool>, sidecar: bool) {
    let mut data = truth::fresh(world);
    data.peers = peers;
    let (data, now) = (Arc::new(data), world.now);
    if !sidecar {
        world.vault.sidecar_key = None;
    }
    // Each was asked a moment after the other: the highest index is what is committed.
    let base = found.iter().map(|v| v.committed.max(v.applied)).max().unwrap_or(0);
    for voter in found {
        life::started(world, &voter.name, &voter.disk);
        if !voter.initialized {
            continue;
        }
        let level = voter.applied + FAR >= base;
        let Some(state) = world.vault.voters.get_mut(&voter.name) else { continue };
        state.sealed = voter.sealed;
        let disk = world.vault.disks.entry(state.disk.clone()).or_default();
        disk.applied = if level { base } else { voter.applied };
        (disk.data, disk.term) = (Arc::clone(&data), TERM);
    }
    lead(world, found, base);
    for voter in found.iter().filter(|v| !v.leads && !v.sealed && v.initialized) {
        let from = truth::disk(world, &voter.name).map_or(0, |d| d.applied);
        let began = now - Span::secs(3600);
        if from < base {
            life::follow(world, &voter.name, (1_000, 10_000));
        } else if let Some(state) = world.vault.voters.get_mut(&voter.name) {
            state.follows = Some(Follows { from, began, until: began });
        }
    }
    election::tidy(world);
}

fn lead(world: &mut World, found: &[Found], base: u64) {
    let Some(leader) = found.iter().find(|v| v.leads && !v.sealed) else { return };
    let Some(state) = world.vault.voters.get(&leader.name) else { return };
    let since = world.now - Span::secs(3600);
    world.vault.led = Some(Led {
        node: leader.name.clone(),
        disk: state.disk.clone(),
        boot: state.boots,
        term: TERM,
        since,
        base,
        at: world.now - Span(world.chance.between(500, 9_500)),
        stands: false,
        setup: 0,
        wrote: since,
        reads_until: since,
    });
}
