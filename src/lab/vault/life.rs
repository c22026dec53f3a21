//! What happens to voters by itself: starting, unsealing, joining, electing, catching up.

use super::state::{Follows, Led, Process};
use super::{SIDECAR_STUCK, SLOW_REJOIN, fault, raft, seal, truth};
use crate::event::Span;
use crate::lab::World;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something that happens to a voter later. `boot`: only to the process that it was meant
/// for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// The voters notice that nobody leads them, or the leader that nobody follows.
    Election { plan: u64 },
    /// A node with an empty disk asks a leader how the seal is shaped (`retry_join`).
    Join { pod: String, boot: u64 },
    /// It has proved the key and is let in.
    Joined { pod: String, boot: u64 },
    /// It is level with the leader.
    Caught { pod: String, boot: u64 },
    /// Autopilot makes it a voter.
    Promote { pod: String },
    /// The sidecar looks whether it is sealed.
    Sidecar { pod: String, boot: u64 },
}

/// How long the voters wait for a leader's heartbeat before they elect another.
const ELECTION: (u64, u64) = (1_500, 4_000);
/// How long a leader without a quorum goes on thinking that it leads.
const LEASE: (u64, u64) = (500, 2_500);
/// How long leadership takes to pass on in good order.
const TRANSFER: (u64, u64) = (80, 600);
/// Entries that come with a new leadership: what the new leader sets up.
const SETTING_UP: (u64, u64) = (18, 30);
/// Autopilot's `server_stabilization_time`.
const STABLE: Span = Span::secs(10);
/// How often the sidecar looks.
const SIDECAR: Span = Span::secs(10);

/// Something is due.
pub fn run(world: &mut World, task: Task) {
    match task {
        Task::Election { plan } => election(world, plan),
        Task::Join { pod, boot } => join(world, &pod, boot),
        Task::Joined { pod, boot } => joined(world, &pod, boot),
        Task::Caught { pod, boot } => caught(world, &pod, boot),
        Task::Promote { pod } => promote(world, &pod),
        Task::Sidecar { pod, boot } => sidecar(world, &pod, boot),
    }
    tidy(world);
}

/// Plans a task between `low` and `high` milliseconds from now.
fn within(world: &mut World, (low, high): (u64, u64), task: Task) {
    let after = Span(world.chance.between(low, high));
    world.later(after, crate::lab::Task::Vault(task));
}

fn is_boot(world: &World, pod: &str, boot: u64) -> bool {
    let voter = world.vault.voters.get(pod);
    voter.is_some_and(|v| v.boots == boot && v.process == Process::Running)
}

/// The container of a voter's pod starts, with this disk (the UID of the claim whose
/// template is `data`): a disk never seen before is empty.
pub fn started(world: &mut World, pod: &str, disk: &str) {
    let voter = world.vault.voters.entry(pod.to_owned()).or_default();
    if voter.wanted && voter.process != Process::Absent && voter.disk == disk {
        return;
    }
    if voter.api.is_empty() {
        voter.api = format!("http://{pod}.vault-internal:8200");
        voter.cluster = format!("{pod}.vault-internal:8201");
    }
    if voter.process != Process::Absent {
        end(world, pod);
    }
    if let Some(voter) = world.vault.voters.get_mut(pod) {
        voter.wanted = true;
        disk.clone_into(&mut voter.disk);
    }
    launch(world, pod);
    tidy(world);
}

/// The container was told to end, or was killed.
pub fn stopped(world: &mut World, pod: &str) {
    if let Some(voter) = world.vault.voters.get_mut(pod) {
        voter.wanted = false;
        end(world, pod);
        tidy(world);
    }
}

/// The process starts, if it is wanted and can.
pub(super) fn launch(world: &mut World, pod: &str) {
    let Some(voter) = world.vault.voters.get_mut(pod).filter(|v| v.wanted && !v.kept_away) else {
        return;
    };
    if voter.process != Process::Absent {
        return;
    }
    voter.process = Process::Running;
    voter.boots += 1;
    voter.sealed = true;
    let boot = voter.boots;
    let disk = world.vault.disks.entry(voter.disk.clone()).or_default();
    if disk.data.keyring.is_none() {
        within(world, (500, 2_000), Task::Join { pod: pod.to_owned(), boot });
    }
    poll(world, pod, (1_000, SIDECAR.0));
}

/// The process ends, however it was.
pub(super) fn end(world: &mut World, pod: &str) {
    park(world, pod);
    if let Some(voter) = world.vault.voters.get_mut(pod) {
        voter.process = Process::Absent;
        voter.sealed = true;
        (voter.challenged, voter.joining, voter.audit_stuck) = (false, false, false);
    }
    fault::ended(world, pod);
}

/// It neither leads nor follows any more: its disk keeps what it has.
pub(super) fn park(world: &mut World, pod: &str) {
    settle(world, pod);
    let now = world.now;
    if let Some(voter) = world.vault.voters.get_mut(pod) {
        voter.left = voter.left.or(Some(now));
    }
}

/// Writes to its disk what is a function of time while it follows or leads.
fn settle(world: &mut World, pod: &str) {
    let (now, applied) = (world.now, truth::applied(world, pod));
    let raft = &mut world.vault;
    let (Some(led), Some(voter)) = (&raft.led, raft.voters.get_mut(pod)) else { return };
    let leads = led.node == pod;
    if !leads && voter.follows.is_none() {
        return;
    }
    let level = leads || voter.follows.is_some_and(|f| f.until <= now);
    voter.follows = None;
    let data = data(&raft.disks, raft.voters.get(&led.node).map(|v| &v.disk));
    let (commit, term) = (led.commit(now), led.term);
    let disk = raft.voters.get(pod).map(|v| v.disk.clone()).unwrap_or_default();
    if let Some(disk) = raft.disks.get_mut(&disk) {
        disk.term = term;
        disk.applied = if level { commit } else { applied };
        if let Some(data) = data.filter(|_| level) {
            disk.data = data;
        }
    }
}

type Disks = std::collections::BTreeMap<String, super::Disk>;

fn data(disks: &Disks, at: Option<&String>) -> Option<Arc<super::Data>> {
    disks.get(at?).map(|d| Arc::clone(&d.data))
}

/// The sidecar will look.
pub(super) fn poll(world: &mut World, pod: &str, within_ms: (u64, u64)) {
    let boot = world.vault.voters.get(pod).map_or(0, |v| v.boots);
    if world.vault.sidecar_key.is_some() {
        within(world, within_ms, Task::Sidecar { pod: pod.to_owned(), boot });
    }
}

fn sidecar(world: &mut World, pod: &str, boot: u64) {
    if !is_boot(world, pod, boot) || world.faults.contains(SIDECAR_STUCK) {
        return;
    }
    let sealed = |world: &World| world.vault.voters.get(pod).is_some_and(|v| v.sealed);
    if !sealed(world) {
        return;
    }
    if let Some(key) = world.vault.sidecar_key.clone() {
        // A key that does not fit is tried again and again, as the real one does.
        let _ = seal::unseal(world, pod, &key);
    }
    if sealed(world) {
        world.later(
            SIDECAR,
            crate::lab::Task::Vault(Task::Sidecar { pod: pod.to_owned(), boot }),
        );
    }
}

fn join(world: &mut World, pod: &str, boot: u64) {
    let waits = truth::disk(world, pod).is_some_and(|d| d.data.keyring.is_none());
    if !is_boot(world, pod, boot) || !waits {
        return;
    }
    if raft::serves(world) {
        if let Some(voter) = world.vault.voters.get_mut(pod) {
            voter.challenged = true;
        }
    } else if world.vault.led.is_some() {
        within(world, (2_000, 5_000), Task::Join { pod: pod.to_owned(), boot });
    }
    // Without a leader nothing is planned: an election wakes those who wait.
}

/// It was given the key: it proves that to the leader.
pub(super) fn prove(world: &mut World, pod: &str) {
    let Some(voter) = world.vault.voters.get_mut(pod) else { return };
    voter.joining = true;
    let boot = voter.boots;
    within(world, (800, 1_600), Task::Joined { pod: pod.to_owned(), boot });
}

fn joined(world: &mut World, pod: &str, boot: u64) {
    if !is_boot(world, pod, boot) {
        return;
    }
    if !raft::serves(world) {
        if let Some(voter) = world.vault.voters.get_mut(pod) {
            voter.joining = false;
        }
        return;
    }
    raft::write(world, |data| {
        // One that is named already stays what it was, a voter mostly.
        data.peers.entry(pod.to_owned()).or_insert(false);
    });
    let raft = &mut world.vault;
    let leader = raft.led.as_ref().and_then(|led| raft.voters.get(&led.node));
    let data = data(&raft.disks, leader.map(|v| &v.disk)).unwrap_or_default();
    if let Some(voter) = raft.voters.get_mut(pod) {
        (voter.sealed, voter.challenged, voter.joining) = (false, false, false);
        if let Some(disk) = raft.disks.get_mut(&voter.disk) {
            (disk.data, disk.applied) = (data, 0);
        }
    }
    let slow = world.faults.contains(SLOW_REJOIN);
    follow(world, pod, if slow { (180_000, 360_000) } else { (200, 1_500) });
}

/// It follows the leader from now on, and is level after that time.
pub(super) fn follow(world: &mut World, pod: &str, (low, high): (u64, u64)) {
    let (now, after) = (world.now, Span(world.chance.between(low, high)));
    let from = truth::disk(world, pod).map_or(0, |d| d.applied);
    let Some(voter) = world.vault.voters.get_mut(pod) else { return };
    voter.follows = Some(Follows { from, began: now, until: now + after });
    voter.left = None;
    let boot = voter.boots;
    world.later(after, crate::lab::Task::Vault(Task::Caught { pod: pod.to_owned(), boot }));
}

fn caught(world: &mut World, pod: &str, boot: u64) {
    let now = world.now;
    let raft = &mut world.vault;
    let leader = raft.led.as_ref().and_then(|led| raft.voters.get(&led.node));
    let (data, term) = (data(&raft.disks, leader.map(|v| &v.disk)), raft.led.as_ref());
    let (Some(data), Some(term)) = (data, term.map(|led| led.term)) else { return };
    let votes = data.peers.get(pod).copied();
    let Some(voter) = raft.voters.get(pod) else { return };
    if voter.boots != boot || voter.follows.is_none_or(|f| f.until > now) {
        return;
    }
    if let Some(disk) = raft.disks.get_mut(&voter.disk) {
        (disk.data, disk.term) = (data, term);
    }
    if votes == Some(false) {
        let task = Task::Promote { pod: pod.to_owned() };
        world.later(STABLE, crate::lab::Task::Vault(task));
    }
}

fn promote(world: &mut World, pod: &str) {
    let level = world.vault.voters.get(pod).and_then(|v| v.follows);
    let waits = truth::peers(world).get(pod) == Some(&false);
    if raft::serves(world) && waits && level.is_some_and(|f| f.until <= world.now) {
        raft::write(world, |data| {
            data.peers.insert(pod.to_owned(), true);
        });
    }
}

/// Looks at what follows from a change: who leads, whether that can last, who is ready.
pub(super) fn tidy(world: &mut World) {
    let (leads, quorum) = (raft::leads_on(world), raft::quorum(world));
    match (world.vault.led.is_some(), leads, quorum) {
        (true, true, true) => {
            raft::go_on(world);
            world.vault.pending = None;
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
        let ready = truth::ready(world, &pod);
        let Some(voter) = world.vault.voters.get_mut(&pod) else { continue };
        if std::mem::replace(&mut voter.was_ready, ready) != ready {
            readiness(world, &pod);
        }
    }
}

/// A voter's readiness changed: `crate::lab::kube::control::readiness_changed(world, pod)`
/// is to be called here.
fn readiness(_world: &mut World, _pod: &str) {}

fn plan(world: &mut World, when: (u64, u64)) {
    if world.vault.pending.is_none() {
        world.vault.plans += 1;
        let plan = world.vault.plans;
        world.vault.pending = Some(plan);
        within(world, when, Task::Election { plan });
    }
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
        settle(world, pod);
    }
    if let Some(leader) = leader {
        settle(world, &leader);
    }
    world.vault.led = None;
}

/// It is no peer any more. A leader that removed itself leads no further.
pub(super) fn leave(world: &mut World, pod: &str) {
    if world.vault.led.as_ref().is_some_and(|led| led.node == pod) {
        return hand_over(world);
    }
    settle(world, pod);
    tidy(world);
}

fn election(world: &mut World, plan: u64) {
    if world.vault.pending != Some(plan) {
        return;
    }
    world.vault.pending = None;
    let quorum = raft::quorum(world);
    if raft::leads_on(world) && quorum {
        return;
    }
    release(world);
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
    let Some(node) = usize::try_from(chosen).ok().and_then(|n| fit.get(n)).cloned() else { return };
    let (term, applied) = best.unwrap_or_default();
    let base = applied + world.chance.between(SETTING_UP.0, SETTING_UP.1);
    let (now, stands) = (world.now, false);
    let led = Led { node: node.clone(), term: term + 1, since: now, base, at: now, stands, wrote: now };
    world.vault.led = Some(led);
    if let Some(voter) = world.vault.voters.get_mut(&node) {
        (voter.follows, voter.left) = (None, None);
    }
    let peers = truth::peers(world);
    let names: Vec<String> = world.vault.voters.keys().cloned().collect();
    for pod in names.iter().filter(|p| **p != node) {
        let boot = world.vault.voters.get(pod).map_or(0, |v| v.boots);
        if raft::up(world, pod) && peers.contains_key(pod) {
            follow(world, pod, (100, 400));
        } else if is_boot(world, pod, boot) {
            within(world, (200, 2_000), Task::Join { pod: pod.clone(), boot });
        }
    }
    fault::elected(world);
}
