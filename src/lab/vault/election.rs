//! Who leads: what follows from every change, elections, leadership given away or lost.

use super::life::{self, Task, within};
use super::state::Led;
use super::{fault, raft, truth};
use crate::lab::World;

/// How long the voters wait for a leader's heartbeat before they elect another.
const ELECTION: (u64, u64) = (1_500, 4_000);
/// How long a leader without a quorum goes on thinking that it leads.
const LEASE: (u64, u64) = (500, 2_500);
/// How long leadership takes to pass on in good order.
const TRANSFER: (u64, u64) = (80, 600);
/// Entries that come with a new leadership: what the new leader sets up.
const SETTING_UP: (u64, u64) = (18, 30);

/// Looks at what follows from a change: who leads, whether that can last, who is ready.
pub(super) fn tidy(world: &mut World) {
    let (leads, quorum) = (raft::leads_on(world), raft::quorum(world));
    match (world.vault.led.is_some(), leads, quorum) {
        (true, true, true) => {
            world.vault.pending = None;
            if raft::level(world) {
                raft::go_on(world);
            } else {
                raft::stand(world);
            }
        }
        (true, true, false) => {
            raft::stand(world);
            plan(world, LEASE);
        }
        (true, false, _) => {
            raft::stand(world);
            plan(world, ELECTION);
        }
        (false, _, true) => plan(world, ELECTION),
        (false, _, false) => world.vault.pending = None,
    }
    let names: Vec<String> = world.vault.voters.keys().cloned().collect();
    for pod in names {
        if stray(world, &pod) {
            life::follow(world, &pod, (100, 400));
        }
        let ready = truth::ready(world, &pod);
        let Some(voter) = world.vault.voters.get_mut(&pod) else { continue };
        if std::mem::replace(&mut voter.was_ready, ready) != ready {
            readiness(world, &pod);
        }
    }
}

/// It could follow who leads, and does not yet.
fn stray(world: &World, pod: &str) -> bool {
    let alone = world.vault.voters.get(pod).is_some_and(|v| v.follows.is_none());
    let named = truth::peers(world).contains_key(pod);
    alone && named && raft::leads_on(world) && !raft::leads(world, pod) && raft::up(world, pod)
}

/// A voter's readiness changed: its kubelet looks again.
fn readiness(world: &mut World, pod: &str) {
    crate::lab::kube::control::readiness_changed(world, pod);
}

fn plan(world: &mut World, when: (u64, u64)) {
    if world.vault.pending.is_none() {
        world.vault.plans += 1;
        let plan = world.vault.plans;
        world.vault.pending = Some(plan);
        within(world, when, Task::Election { plan });
    }
}

/// The leader gives its leadership away, to that one if it has all there is.
pub(super) fn hand_over_to(world: &mut World, heir: Option<String>) {
    world.vault.heir = heir;
    hand_over(world);
}

/// The leader gives its leadership away; another one is elected at once.
pub(super) fn hand_over(world: &mut World) {
    world.vault.stepped = world.vault.led.as_ref().map(|led| led.node.clone());
    release(world);
    world.vault.pending = None;
    if raft::quorum(world) {
        plan(world, TRANSFER);
    }
    tidy(world);
}

/// Nobody leads any more.
fn release(world: &mut World) {
    let leader = world.vault.led.as_ref().map(|led| led.node.clone());
    let names: Vec<String> = world.vault.voters.keys().cloned().collect();
    // The leader last: the others take over what it has.
    for pod in names.iter().filter(|n| Some(*n) != leader.as_ref()) {
        life::settle(world, pod);
    }
    if let Some(leader) = leader {
        life::settle(world, &leader);
    }
    world.vault.led = None;
}

/// It is no peer any more. A leader that removed itself leads no further.
pub(super) fn leave(world: &mut World, pod: &str) {
    if world.vault.led.as_ref().is_some_and(|led| led.node == pod) {
        return hand_over(world);
    }
    life::settle(world, pod);
    tidy(world);
}

/// What was planned is due, unless something else was planned since.
pub(super) fn due(world: &mut World, plan: u64) {
    if world.vault.pending != Some(plan) {
        return;
    }
    world.vault.pending = None;
    let quorum = raft::quorum(world);
    if raft::leads_on(world) && quorum {
        return;
    }
    let last = world.vault.led.as_ref().map(|led| led.node.clone());
    release(world);
    world.vault.last = last.or(world.vault.last.take());
    if quorum {
        elect(world);
    }
}

fn elect(world: &mut World) {
    let able = raft::reach(world);
    let log = |pod: &String| truth::disk(world, pod).map(|d| (d.term, d.applied));
    let best = able.iter().filter_map(log).max();
    let mut fit: Vec<String> = able.iter().filter(|p| log(p) == best).cloned().collect();
    let stepped = world.vault.stepped.take();
    if fit.len() > 1 {
        fit.retain(|p| Some(p) != stepped.as_ref());
    }
    let chosen = world.chance.between(0, fit.len().saturating_sub(1) as u64);
    let chosen = usize::try_from(chosen).ok().and_then(|n| fit.get(n));
    let heir = world.vault.heir.take();
    let heir = fit.iter().find(|p| Some(*p) == heir.as_ref());
    let Some(node) = heir.or(chosen).cloned() else { return };
    let base = best.map_or(0, |(_, applied)| applied);
    let term = world.vault.disks.values().map(|d| d.term).max().unwrap_or(0);
    let setup = world.chance.between(SETTING_UP.0, SETTING_UP.1);
    let now = world.now;
    let own = world.vault.voters.get(&node).map(|v| (v.disk.clone(), v.boots));
    let (disk, boot) = own.unwrap_or_default();
    let led = Led {
        disk,
        boot,
        node: node.clone(),
        term: term + 1,
        since: now,
        base,
        at: now,
        stands: true,
        setup,
        wrote: now,
        reads_until: now,
    };
    (world.vault.led, world.vault.last) = (Some(led), None);
    if let Some(voter) = world.vault.voters.get_mut(&node) {
        (voter.follows, voter.left) = (None, None);
    }
    let peers = truth::peers(world);
    let names: Vec<String> = world.vault.voters.keys().cloned().collect();
    for pod in names.iter().filter(|p| **p != node) {
        let boot = world.vault.voters.get(pod).map_or(0, |v| v.boots);
        if raft::up(world, pod) && peers.contains_key(pod) {
            life::follow(world, pod, (100, 400));
        } else if life::is_boot(world, pod, boot) {
            within(world, (200, 2_000), Task::Join { pod: pod.clone(), boot });
        }
    }
    fault::elected(world);
}
