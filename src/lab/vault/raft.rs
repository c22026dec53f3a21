//! Leadership and quorum: who counts, who leads on, and writing.

use super::state::{Data, Process};
use super::truth;
use crate::event::Time;
use crate::lab::World;
use std::sync::Arc;

/// It runs, is unsealed and has the cluster's data.
pub(super) fn up(world: &World, pod: &str) -> bool {
    let initialised = truth::disk(world, pod).is_some_and(|d| d.data.keyring.is_some());
    let voter = world.vault.voters.get(pod);
    initialised && voter.is_some_and(|v| v.process == Process::Running && !v.sealed)
}

/// It leads, or led until it ended.
pub(super) fn leads(world: &World, pod: &str) -> bool {
    let boot = world.vault.voters.get(pod).map(|v| v.boots);
    world.vault.led.as_ref().is_some_and(|led| led.node == pod && Some(led.boot) == boot)
}

/// Voters that raft reaches. A leader deadlocked on its disk goes on sending heartbeats.
pub(super) fn reach(world: &World) -> Vec<String> {
    let leader = world.vault.led.as_ref().map(|led| &led.node);
    let hung = |pod: &String| {
        let process = world.vault.voters.get(pod).map(|v| v.process);
        Some(pod) == leader && leads(world, pod) && process == Some(Process::Hung)
    };
    let peers = truth::peers(world);
    let voting = peers.into_iter().filter(|(_, votes)| *votes).map(|(pod, _)| pod);
    voting.filter(|pod| up(world, pod) || hung(pod)).collect()
}

/// Whether enough of them are reached.
pub(super) fn quorum(world: &World) -> bool {
    let voting = truth::peers(world).values().filter(|votes| **votes).count();
    voting > 0 && reach(world).len() > voting / 2
}

/// Whether enough of them have all there is, the leader among them: only then is anything
/// committed.
pub(super) fn level(world: &World) -> bool {
    let voting = truth::peers(world).values().filter(|votes| **votes).count();
    let level = |pod: &String| {
        let follows = world.vault.voters.get(pod).and_then(|v| v.follows);
        leads(world, pod) || follows.is_some_and(|f| f.until <= world.now)
    };
    voting > 0 && reach(world).iter().filter(|pod| level(pod)).count() > voting / 2
}

/// The leader's heartbeats go out.
pub(super) fn leads_on(world: &World) -> bool {
    let Some(led) = &world.vault.led else { return false };
    let Some(voter) = world.vault.voters.get(&led.node).filter(|_| leads(world, &led.node)) else {
        return false;
    };
    matches!(voter.process, Process::Running | Process::Hung)
        && !voter.sealed
        && truth::peers(world).contains_key(&led.node)
}

/// The leader takes requests, and writes reach a quorum.
pub(super) fn serves(world: &World) -> bool {
    let led = world.vault.led.as_ref();
    let answers = |node: &str| up(world, node) && leads(world, node);
    led.is_some_and(|led| answers(&led.node) && !led.stands) && level(world)
}

/// Nothing is committed from now on.
pub(super) fn stand(world: &mut World) {
    let now = world.now;
    if let Some(led) = world.vault.led.as_mut().filter(|led| !led.stands) {
        (led.base, led.at, led.stands) = (led.commit(now), now, true);
    }
}

/// What stood goes on, unless the leader hangs.
pub(super) fn go_on(world: &mut World) {
    let now = world.now;
    let raft = &mut world.vault;
    let Some(led) = raft.led.as_mut().filter(|led| led.stands) else { return };
    let hung = raft.voters.get(&led.node).is_some_and(|v| v.process == Process::Hung);
    if !hung {
        (led.base, led.setup) = (led.base + led.setup, 0);
        (led.at, led.stands) = (now, false);
    }
}

/// Commits a change on all that are level.
pub(super) fn write(world: &mut World, change: impl FnOnce(&mut Data)) {
    let now = world.now;
    let raft = &mut world.vault;
    let Some(led) = raft.led.as_mut() else { return };
    let Some(disk) = raft.disks.get_mut(&led.disk) else { return };
    (led.base, led.wrote) = (led.base + 1, now);
    change(Arc::make_mut(&mut disk.data));
    let data = Arc::clone(&disk.data);
    let level = |until: Time| until <= now;
    for voter in raft.voters.values().filter(|v| v.follows.is_some_and(|f| level(f.until))) {
        if let Some(disk) = raft.disks.get_mut(&voter.disk) {
            disk.data = Arc::clone(&data);
        }
    }
}
