//! What can go wrong with Vault, by name; each is an entry of the world's faults.

use super::state::{Disk, Process};
use super::{Raft, election, life, raft, truth};
use crate::lab::World;
use crate::lab::faults::kind_of;
use std::io::ErrorKind;

/// The leader is deadlocked on its disk: `sys/leader` answers and nothing else does, nobody
/// elects another, the commit index stands. It ends with the process.
pub const LEADER_HUNG: &str = "hung-leader";
/// The leader's audit device takes no lines: health says 200, no audited request answers. It
/// ends with the process.
pub const AUDIT_HUNG: &str = "hung-audit";
/// The leader was stopped by a signal: connections stand, nothing answers, the others elect.
pub const LEADER_STOPPED: &str = "stopped-leader";
/// Leadership goes to another voter: the one whose turn it is, if it is not the leader. Over as
/// soon as it did.
pub const LEADER_MOVES: &str = "leader-moves";
/// So many voters die and stay away that the rest is no quorum.
pub const QUORUM_LOST: &str = "quorum-lost";
/// So many voters lose their disks that the rest is no quorum: on a new disk they run again.
pub const DISKS_LOST: &str = "disks-lost";
/// All voters come back with empty disks.
pub const EVERY_DISK_LOST: &str = "every-disk-lost";
/// The sidecars never unseal.
pub const SIDECAR_STUCK: &str = "unseal-sidecar-stuck";
/// A voter with an empty disk takes minutes to be level.
pub const SLOW_REJOIN: &str = "slow-rejoin";
/// Connections to one voter from outside time out; the voters reach each other.
pub const PATH_LOST: &str = "path-lost";
/// A snapshot is answered with 200 and half of its body.
pub const SNAPSHOT_EMPTY: &str = "snapshot-empty";
/// No token is valid any more.
pub const TOKEN_EXPIRES: &str = "token-expires";

/// All of them.
pub const FAULTS: [&str; 12] = [
    LEADER_HUNG,
    AUDIT_HUNG,
    LEADER_STOPPED,
    LEADER_MOVES,
    QUORUM_LOST,
    DISKS_LOST,
    EVERY_DISK_LOST,
    SIDECAR_STUCK,
    SLOW_REJOIN,
    PATH_LOST,
    SNAPSHOT_EMPTY,
    TOKEN_EXPIRES,
];

/// A fault begins or ends, by its entry. One that hits a leader hits the next one that is
/// elected if nobody leads.
pub fn fault(world: &mut World, entry: &str, on: bool) {
    enter(world, entry, None, on);
}

/// The same, at a voter: for faults that hit one.
pub fn fault_at(world: &mut World, name: &str, voter: &str, on: bool) {
    enter(world, name, Some(voter), on);
}

fn enter(world: &mut World, entry: &str, voter: Option<&str>, on: bool) {
    if !FAULTS.contains(&kind_of(entry)) {
        return;
    }
    if on {
        world.faults.insert(entry.to_owned());
        strike(world, entry, voter);
    } else {
        let others = voter.is_some_and(|voter| {
            world.vault.hit.get(entry).is_some_and(|hit| hit.iter().any(|pod| pod != voter))
        });
        if !others {
            world.faults.remove(entry);
        }
        heal(world, entry, voter);
    }
    election::tidy(world);
}

/// Whom it hits, if it hits voters.
fn victims(world: &World, name: &str, voter: Option<&str>) -> Vec<String> {
    let leader = truth::leader(world);
    let others = || {
        let up = world.vault.voters.keys().filter(|p| truth::ready(world, p));
        up.filter(|p| Some(*p) != leader.as_ref()).cloned()
    };
    if let Some(voter) = voter {
        return vec![voter.to_owned()];
    }
    match name {
        LEADER_HUNG | AUDIT_HUNG | LEADER_STOPPED => leader.into_iter().collect(),
        PATH_LOST => others().filter(|pod| !suffers(world, name, pod)).take(1).collect(),
        QUORUM_LOST | DISKS_LOST => {
            let voting = truth::peers(world).values().filter(|votes| **votes).count();
            leader.clone().into_iter().chain(others()).take(voting.div_ceil(2)).collect()
        }
        _ => Vec::new(),
    }
}

/// A fault of that kind has hit that voter.
fn suffers(world: &World, name: &str, pod: &str) -> bool {
    world.vault.hit.iter().any(|(entry, hit)| kind_of(entry) == name && hit.contains(pod))
}

fn strike(world: &mut World, entry: &str, voter: Option<&str>) {
    let name = kind_of(entry);
    if name == LEADER_MOVES {
        world.faults.remove(entry);
        // A leader that hangs gives nothing away.
        if raft::serves(world) {
            let turn = world.stage.turn.clone();
            election::hand_over_to(world, turn);
        }
        return;
    }
    if name == EVERY_DISK_LOST {
        return emptied(world);
    }
    for pod in victims(world, name, voter) {
        let already = suffers(world, name, &pod);
        world.vault.hit.entry(entry.to_owned()).or_default().insert(pod.clone());
        if already {
            continue;
        }
        if name == LEADER_STOPPED {
            life::park(world, &pod);
        }
        if [QUORUM_LOST, DISKS_LOST].contains(&name) {
            life::end(world, &pod);
        }
        let Some(voter) = world.vault.voters.get_mut(&pod) else { continue };
        match name {
            LEADER_HUNG if voter.process == Process::Running => voter.process = Process::Hung,
            LEADER_STOPPED if voter.process == Process::Running => voter.process = Process::Paused,
            AUDIT_HUNG => voter.audit_stuck = true,
            QUORUM_LOST => voter.kept_away = true,
            DISKS_LOST => {
                let disk = voter.disk.clone();
                world.vault.disks.entry(disk).or_default().lost = true;
            }
            PATH_LOST => voter.path_lost = true,
            _ => {}
        }
        if name == LEADER_HUNG {
            raft::stand(world);
        }
    }
}

/// What lay on the voters' disks is nowhere to be read; they start on empty ones of the same name.
fn emptied(world: &mut World) {
    let names: Vec<String> = world.vault.voters.keys().cloned().collect();
    for pod in &names {
        life::end(world, pod);
    }
    (world.vault.led, world.vault.last) = (None, None);
    for pod in &names {
        let disk = world.vault.voters.get(pod).map(|v| v.disk.clone()).unwrap_or_default();
        let before = world.vault.disks.insert(disk.clone(), Disk::default());
        let before = Disk { lost: true, ..before.unwrap_or_default() };
        world.vault.disks.insert(format!("{disk} before"), before);
        life::launch(world, pod);
    }
}

/// It ends for all whom it hit, or for one of them; whom another of its kind hit too goes on
/// suffering.
fn heal(world: &mut World, entry: &str, voter: Option<&str>) {
    let name = kind_of(entry);
    let mut hit = world.vault.hit.remove(entry).unwrap_or_default();
    if let Some(voter) = voter {
        let healed = hit.take(voter);
        if !hit.is_empty() {
            world.vault.hit.insert(entry.to_owned(), hit);
        }
        hit = healed.into_iter().collect();
    }
    for pod in hit {
        if suffers(world, name, &pod) {
            continue;
        }
        let Some(voter) = world.vault.voters.get_mut(&pod) else { continue };
        match name {
            LEADER_HUNG if voter.process == Process::Hung => voter.process = Process::Running,
            AUDIT_HUNG => voter.audit_stuck = false,
            PATH_LOST => voter.path_lost = false,
            LEADER_STOPPED if voter.process == Process::Paused => {
                voter.process = Process::Running;
                goes_on(world, &pod);
            }
            QUORUM_LOST => {
                voter.kept_away = false;
                life::launch(world, &pod);
            }
            // Which may be another one by now.
            DISKS_LOST => {
                let disk = voter.disk.clone();
                world.vault.disks.entry(disk).or_default().lost = false;
                life::launch(world, &pod);
            }
            _ => {}
        }
    }
    if name == SIDECAR_STUCK {
        let sealed = world.vault.voters.iter().filter(|(_, v)| v.sealed);
        let sealed: Vec<String> = sealed.map(|(n, _)| n.clone()).collect();
        for pod in sealed {
            life::poll(world, &pod, (500, 10_000));
        }
    }
}

/// A stopped process goes on: it finds itself leading still, or follows who leads now.
fn goes_on(world: &mut World, pod: &str) {
    let led = world.vault.led.as_ref().map(|led| led.node.clone());
    match led {
        Some(led) if led == pod => {
            if let Some(voter) = world.vault.voters.get_mut(pod) {
                voter.left = None;
            }
        }
        Some(_) => life::follow(world, pod, (10, 300)),
        None => {}
    }
}

/// What hits a leader and ends with its process.
fn hits_a_leader(entry: &str) -> bool {
    [LEADER_HUNG, AUDIT_HUNG, LEADER_STOPPED].contains(&kind_of(entry))
}

/// A process ended: what it suffered from ended with it, and the fault with the last one.
pub(super) fn ended(world: &mut World, pod: &str) {
    let Raft { hit, .. } = &mut world.vault;
    hit.retain(|entry, hit| {
        let over = hits_a_leader(entry) && hit.remove(pod) && hit.is_empty();
        if over {
            world.faults.remove(entry);
        }
        !over
    });
}

/// Somebody leads: what waited for a leader hits it.
pub(super) fn elected(world: &mut World) {
    let waits = |entry: &&String| hits_a_leader(entry) && !world.vault.hit.contains_key(*entry);
    let waiting: Vec<String> = world.faults.iter().filter(waits).cloned().collect();
    for entry in waiting {
        strike(world, &entry, None);
    }
}

/// What a TCP connection to a voter's port comes to.
///
/// # Errors
/// Refused where no process listens, timed out where the path is lost.
pub fn connect(world: &World, voter: &str) -> Result<(), ErrorKind> {
    match world.vault.voters.get(voter) {
        Some(v) if v.path_lost => Err(ErrorKind::TimedOut),
        Some(v) if v.process != Process::Absent => Ok(()),
        _ => Err(ErrorKind::ConnectionRefused),
    }
}
