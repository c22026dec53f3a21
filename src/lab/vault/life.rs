//! What happens to voters by itself: starting, unsealing, joining, catching up.

use super::election::{self, tidy};
use super::state::{Follows, Process};
use super::{SIDECAR_STUCK, SLOW_REJOIN, fault, raft, seal, truth};
use crate::event::Span;
use crate::lab::World;
use crate::lab::kube::{Key, control, kind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
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

/// Autopilot's `server_stabilization_time`.
const STABLE: Span = Span::secs(10);
/// So many entries behind it gets a snapshot, which [`SLOW_REJOIN`] makes slow.
const FAR: u64 = 1_000;
/// How often the sidecar looks.
const SIDECAR: Span = Span::secs(10);

/// Something is due.
pub fn run(world: &mut World, task: Task) {
    match task {
        Task::Election { plan } => election::due(world, plan),
        Task::Join { pod, boot } => join(world, &pod, boot),
        Task::Joined { pod, boot } => joined(world, &pod, boot),
        Task::Caught { pod, boot } => caught(world, &pod, boot),
        Task::Promote { pod } => promote(world, &pod),
        Task::Sidecar { pod, boot } => sidecar(world, &pod, boot),
    }
    tidy(world);
}

/// Plans a task between `low` and `high` milliseconds from now.
pub(super) fn within(world: &mut World, (low, high): (u64, u64), task: Task) {
    let after = Span(world.chance.between(low, high));
    world.later(after, crate::lab::Task::Vault(task));
}

pub(super) fn is_boot(world: &World, pod: &str, boot: u64) -> bool {
    let voter = world.vault.voters.get(pod);
    voter.is_some_and(|v| v.boots == boot && v.process == Process::Running)
}

/// The container of a voter's pod starts, with this disk (the UID of the claim whose
/// template is `data`): a disk never seen before is empty.
///
/// Without a claim its data lies in the pod.
pub fn started(world: &mut World, pod: &str, disk: &str) {
    let disk = if disk.is_empty() { pod } else { disk };
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
    if world.vault.disks.get(&voter.disk).is_some_and(|disk| disk.lost) {
        return;
    }
    voter.process = Process::Running;
    voter.boots += 1;
    voter.sealed = true;
    let boot = voter.boots;
    let disk = world.vault.disks.entry(voter.disk.clone()).or_default();
    if disk.data.keyring.is_none() {
        within(world, (100, 1_000), Task::Join { pod: pod.to_owned(), boot });
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
        (voter.led_by_hand, voter.jammed) = (false, false);
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
pub(super) fn settle(world: &mut World, pod: &str) {
    let (now, applied) = (world.now, truth::applied(world, pod));
    let leads = raft::leads(world, pod);
    let raft = &mut world.vault;
    let (Some(led), Some(voter)) = (&raft.led, raft.voters.get_mut(pod)) else { return };
    if !leads && voter.follows.is_none() {
        return;
    }
    let level = leads || voter.follows.is_some_and(|f| f.until <= now);
    voter.follows = None;
    let data = data(&raft.disks, Some(&led.disk));
    let (commit, term) = (led.commit(now), led.term);
    let disk = raft.voters.get(pod).map(|v| v.disk.clone()).unwrap_or_default();
    if let Some(disk) = raft.disks.get_mut(&disk) {
        disk.applied = if level { commit } else { applied };
        // Entries of this term come last: who has not all of them has none.
        disk.term = if level { term } else { disk.term };
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
    if !is_boot(world, pod, boot) || world.suffers(SIDECAR_STUCK) {
        return;
    }
    let sealed = |world: &World| world.vault.voters.get(pod).is_some_and(|v| v.sealed);
    if !sealed(world) {
        return;
    }
    // A key that does not fit is tried again and again, as the real one does.
    if let Some(Err(why)) = key(world).map(|key| seal::unseal(world, pod, &key)) {
        complain(world, pod, &why);
    }
    if sealed(world) {
        world.later(SIDECAR, crate::lab::Task::Vault(Task::Sidecar { pod: pod.to_owned(), boot }));
    }
}

/// What the sidecar unseals with: whatever its Secret holds, the one that fits if it is among it.
/// Without its Secret it has none, and tries again.
fn key(world: &World) -> Option<String> {
    let fits = world.vault.sidecar_key.as_ref()?;
    let Some((namespace, name)) = &world.vault.key_in else { return Some(fits.clone()) };
    let secret = world.store.get(&Key::new(kind("secrets")?, namespace, name))?;
    let text = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str()?).ok()?).ok();
    let held: Vec<String> = secret["data"].as_object()?.values().filter_map(text).collect();
    let held: Vec<&str> = held.iter().map(|key| key.trim()).collect();
    let fitting = held.iter().find(|key| *key == fits);
    fitting.or(held.first()).map(|key| (*key).to_owned())
}

/// The sidecar, which is the container behind Vault's, says why it could not.
fn complain(world: &mut World, pod: &str, why: &str) {
    let namespace = world.vault.namespace.as_ref().unwrap_or(&world.stage.namespace).clone();
    let found = kind("pods").and_then(|kind| world.store.get(&Key::new(kind, &namespace, pod)));
    let Some(found) = found else { return };
    if let Some(container) = found["spec"]["containers"][1]["name"].as_str() {
        let line = format!("unseal: {}", why.replace('\n', ": "));
        control::say(world, &namespace, pod, container, &line);
    }
}

/// It asks again, soon.
pub(super) fn retry(world: &mut World, pod: &str) {
    let boot = world.vault.voters.get(pod).map_or(0, |v| v.boots);
    within(world, (100, 500), Task::Join { pod: pod.to_owned(), boot });
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
    let data = data(&raft.disks, raft.led.as_ref().map(|led| &led.disk)).unwrap_or_default();
    if let Some(voter) = raft.voters.get_mut(pod) {
        (voter.sealed, voter.challenged, voter.joining) = (false, false, false);
        if let Some(disk) = raft.disks.get_mut(&voter.disk) {
            (disk.data, disk.applied) = (data, 0);
        }
    }
    follow(world, pod, (200, 1_500));
}

/// It follows the leader from now on, and is level after that time.
pub(super) fn follow(world: &mut World, pod: &str, (low, high): (u64, u64)) {
    let from = truth::disk(world, pod).map_or(0, |d| d.applied);
    let behind = world.vault.led.as_ref().is_some_and(|led| from + FAR < led.base);
    let slow = behind && world.suffers(SLOW_REJOIN);
    let (low, high) = if slow { (180_000, 360_000) } else { (low, high) };
    let (now, after) = (world.now, Span(world.chance.between(low, high)));
    let Some(voter) = world.vault.voters.get_mut(pod) else { return };
    voter.follows = Some(Follows { from, began: now, until: now + after });
    voter.left = None;
    let boot = voter.boots;
    world.later(after, crate::lab::Task::Vault(Task::Caught { pod: pod.to_owned(), boot }));
}

fn caught(world: &mut World, pod: &str, boot: u64) {
    let now = world.now;
    let raft = &mut world.vault;
    let Some((disk, term)) = raft.led.as_ref().map(|led| (&led.disk, led.term)) else { return };
    let Some(data) = data(&raft.disks, Some(disk)) else { return };
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
