//! What is so, for scenarios and oracles, whatever anybody answers.

use super::state::{Data, Disk, Keyring, Led, Mount, Process, Rule, Secret, Token, Version};
use super::{OPERATOR_TOKEN, ROOT_TOKEN, UNSEAL_KEY, election, life};
use crate::event::{Span, Time};
use crate::lab::World;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One voter as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Raft node id.
    pub name: String,
    /// The UID of the claim that its data lies on.
    pub disk: String,
    /// It runs and has its key.
    pub unsealed: bool,
    /// It leads, even where it does not answer.
    pub leads: bool,
    /// Its applied index.
    pub applied: u64,
    /// The raft configuration names it.
    pub configured: bool,
    /// The raft configuration lets it vote.
    pub votes: bool,
}

/// Who leads, answering or not.
#[must_use]
pub fn leader(world: &World) -> Option<String> {
    let led = world.vault.led.as_ref()?;
    super::raft::leads_on(world).then(|| led.node.clone())
}

/// Whether there is one of that name.
#[must_use]
pub fn is_voter(world: &World, name: &str) -> bool {
    world.vault.voters.contains_key(name)
}

/// All that there are, by name.
#[must_use]
pub fn voters(world: &World) -> Vec<Truth> {
    let (peers, leader) = (peers(world), leader(world));
    let one = |(name, voter): (&String, &super::Voter)| Truth {
        name: name.clone(),
        disk: voter.disk.clone(),
        unsealed: voter.process != Process::Absent && !voter.sealed,
        leads: leader.as_ref() == Some(name),
        applied: applied(world, name),
        configured: peers.contains_key(name),
        votes: peers.get(name).copied().unwrap_or(false),
    };
    world.vault.voters.iter().map(one).collect()
}

/// Whether enough voters run, are unsealed and answer.
#[must_use]
pub fn has_quorum(world: &World) -> bool {
    let peers = peers(world);
    let voting: Vec<&String> = peers.iter().filter(|(_, v)| **v).map(|(n, _)| n).collect();
    let up = voting.iter().filter(|n| super::raft::up(world, n)).count();
    !voting.is_empty() && up > voting.len() / 2
}

/// Whether its readiness probe succeeds: it runs and is unsealed. The probe asks for the
/// seal's status, which a deadlocked process does not tell.
#[must_use]
pub fn ready(world: &World, pod: &str) -> bool {
    let voter = world.vault.voters.get(pod);
    voter.is_some_and(|v| v.process == Process::Running && !v.sealed)
}

/// Its own applied index.
#[must_use]
pub fn applied(world: &World, pod: &str) -> u64 {
    let own = disk(world, pod).map_or(0, |d| d.applied);
    let Some(led) = &world.vault.led else { return own };
    if super::raft::leads(world, pod) {
        return led.commit(world.now);
    }
    let Some(follows) = world.vault.voters.get(pod).and_then(|v| v.follows) else { return own };
    let known = led.known(world.now).max(follows.from);
    let (gone, all) = (world.now.since(follows.began).0, follows.until.since(follows.began).0);
    if gone >= all { known } else { follows.from + (known - follows.from) * gone / all }
}

/// What lies on its disk.
pub(super) fn disk<'a>(world: &'a World, pod: &str) -> Option<&'a Disk> {
    world.vault.voters.get(pod).and_then(|v| world.vault.disks.get(&v.disk))
}

/// What the leader has; without one, what the one with the longest log has.
pub(super) fn data(world: &World) -> Option<&Data> {
    let led = world.vault.led.as_ref().and_then(|led| world.vault.disks.get(&led.disk));
    let all = world.vault.voters.keys().filter_map(|pod| disk(world, pod));
    let longest = || all.filter(|d| !d.lost).max_by_key(|d| (d.term, d.applied));
    led.or_else(longest).map(|d| &*d.data)
}

/// The raft configuration.
pub(super) fn peers(world: &World) -> BTreeMap<String, bool> {
    data(world).map(|d| d.peers.clone()).unwrap_or_default()
}

/// Makes a running cluster with some secrets: `names` with the `disks` beside them; the one
/// at `leader` leads.
pub fn initialise(world: &mut World, names: &[&str], disks: &[&str], leader: usize) {
    let mut data = fresh(world);
    data.peers = names.iter().map(|n| ((*n).to_owned(), true)).collect();
    let (data, now) = (Arc::new(data), world.now);
    let (base, term) = (world.chance.between(41_000, 49_000), world.chance.between(4, 9));
    for (name, disk) in names.iter().zip(disks) {
        life::started(world, name, disk);
        let disk = world.vault.disks.entry((*disk).to_owned()).or_default();
        (disk.data, disk.applied, disk.term) = (Arc::clone(&data), base, term);
        if let Some(voter) = world.vault.voters.get_mut(*name) {
            voter.sealed = false;
        }
    }
    let since = now - Span(world.chance.between(3_600_000, 400_000_000));
    let node = names.get(leader).or(names.first()).map(|n| (*n).to_owned()).unwrap_or_default();
    // It has been so for a while: the next entry is not due at a round time from now.
    let at = now - Span(world.chance.between(500, 9_500));
    let led = world.vault.voters.get(&node).map(|v| (v.disk.clone(), v.boots));
    let (disk, boot) = led.unwrap_or_default();
    let (stands, setup, wrote, reads_until) = (false, 0, since, since);
    world.vault.led = Some(Led {
        node: node.clone(),
        disk,
        boot,
        term,
        since,
        base,
        at,
        stands,
        setup,
        wrote,
        reads_until,
    });
    for (name, voter) in world.vault.voters.iter_mut().filter(|(n, _)| **n != node) {
        if names.contains(&name.as_str()) {
            voter.follows = Some(super::Follows { from: base, began: since, until: since });
        }
    }
    election::tidy(world);
}

/// Its cluster has another identity, on every disk.
pub fn rename(world: &mut World, id: &str) {
    for disk in world.vault.disks.values_mut() {
        if let Some(keyring) = Arc::make_mut(&mut disk.data).keyring.as_mut() {
            id.clone_into(&mut keyring.cluster_id);
        }
    }
}

/// What a cluster has from its beginning, and a bit of use.
pub(super) fn fresh(world: &mut World) -> Data {
    let id = world.chance.uuid();
    let short = world.chance.uuid();
    let keyring = Keyring {
        cluster_name: format!("vault-cluster-{}", &short[..8]),
        cluster_id: id,
        key: UNSEAL_KEY.into(),
        installed: world.now,
        term: 1,
    };
    let mut data = Data { keyring: Some(keyring), ..Data::default() };
    let engines = [
        ("cubbyhole/", "cubbyhole", 0, "per-token private secret storage"),
        ("identity/", "identity", 0, "identity store"),
        ("kv/", "kv", 2, "secrets of applications"),
        ("secret/", "kv", 1, "secrets without versions"),
        ("sys/", "system", 0, "system endpoints used for control, policy and debugging"),
    ];
    for (path, kind, version, description) in engines {
        data.mounts.insert(path.into(), mount(world, kind, version, description));
    }
    for (path, key) in [("kv/shop/database", "password"), ("kv/shop/mail", "api_key")] {
        let value = Some(json!({key: "LAB not a secret", "user": "shop"}));
        let version = Version { data: value, created: world.now, deleted: None };
        data.versioned.insert(path.into(), Secret { versions: vec![version], custom: None });
    }
    data.plain.insert("secret/registry".into(), json!({"token": "LAB not a secret"}));
    data.policies = policies();
    data.tokens.insert(ROOT_TOKEN.into(), token(world.now, "root", None, &["root"]));
    let days = Span::secs(32 * 86_400);
    let operator = token(world.now, "token", Some(days), &["default", "operator"]);
    data.tokens.insert(OPERATOR_TOKEN.into(), operator);
    data
}

pub(super) fn mount(world: &mut World, kind: &str, version: u8, description: &str) -> Mount {
    let accessor = format!("{kind}_{}", &world.chance.uuid()[..8]);
    let (uuid, description) = (world.chance.uuid(), description.to_owned());
    Mount { kind: kind.into(), version, accessor, uuid, description }
}

fn token(now: Time, display: &str, ttl: Option<Span>, policies: &[&str]) -> Token {
    Token {
        accessor: format!("LAB{display}LABACCESSORLABACCE"),
        display: display.into(),
        path: if display == "root" { "auth/token/root" } else { "auth/token/create" }.into(),
        created: now,
        ttl,
        expires: ttl.map(|ttl| now + ttl),
        policies: policies.iter().map(|p| (*p).to_owned()).collect(),
    }
}

fn policies() -> BTreeMap<String, Vec<Rule>> {
    let rule = |(path, may): &(&str, &str)| Rule {
        path: (*path).to_owned(),
        may: may.split(' ').map(str::to_owned).collect(),
    };
    let default = [
        ("auth/token/lookup-self", "read"),
        ("auth/token/renew-self", "update"),
        ("auth/token/revoke-self", "update"),
        ("sys/capabilities-self", "update"),
        ("sys/internal/ui/mounts/*", "read"),
        ("cubbyhole/*", "create read update delete list"),
    ];
    let operator = [
        ("sys/ha-status", "read"),
        ("sys/step-down", "update sudo"),
        ("sys/storage/raft/*", "create read update delete list"),
        ("sys/mounts", "read"),
        ("kv/*", "create read update delete list"),
        ("secret/*", "create read update delete list"),
    ];
    BTreeMap::from([
        ("default".to_owned(), default.iter().map(rule).collect()),
        ("operator".to_owned(), operator.iter().map(rule).collect()),
    ])
}
