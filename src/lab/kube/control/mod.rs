//! Those who act on objects by themselves: controllers, binder, provisioners, scheduler,
//! attacher and the kubelets' stand-in. (The garbage collector is the API's.)
//!
//! Each has a queue of one kind of item. A change of an object enters the items that it may
//! concern ([`look`]); some time later the item is reconciled from what the store holds then,
//! never from the change itself. So nothing is lost by being late, and doing it twice is
//! doing it once.
//!
//! Timers are items that are due later. Of one item only the earliest date counts: who
//! needs another one enters it again.

mod adopt;
mod attach;
mod binder;
mod concerns;
mod cronjob;
mod deployment;
mod disks;
mod events;
pub mod faults;
mod guards;
mod job;
mod kubelet;
mod object;
mod owners;
mod pods;
mod provision;
mod replicaset;
mod revisions;
mod rival;
mod schedule;
mod statefulset;
#[cfg(test)]
mod tests;
mod volumes;

pub use self::adopt::{adopt, no_voter, voter_disk};
pub use self::concerns::look;
pub use self::disks::Disk;
pub use self::kubelet::{kill, logs, readiness_changed, say};
pub use self::rival::hold as hold_lease;

use super::Key;
use crate::event::{Span, Time};
use crate::lab::{Task as Any, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Something that one of them does later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// An item of a queue is due.
    Due(Item),
}

/// What one of them has to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    role: Role,
    key: Key,
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Role {
    /// The controller of the object's own kind.
    Control,
    /// The protection of what is in use.
    Guard,
    /// The provisioner: makes a claim's volume.
    Provision,
    /// The provisioner: takes a released volume away.
    Reclaim,
    /// Attaches a volume where it is needed and detaches it elsewhere.
    Attach,
    /// Works off one attachment.
    Attacher,
    Schedule,
    Kubelet,
    /// Something that has a copy of the manifest.
    Gitops,
    /// Somebody else's Holdpoint.
    Rival,
}

/// What they remember beside the objects.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Control {
    #[serde(with = "pairs")]
    due: BTreeMap<Item, Time>,
    #[serde(with = "pairs")]
    failures: BTreeMap<Item, u32>,
    /// Pods without a node.
    unscheduled: BTreeSet<Key>,
    /// Where pods were put, by UID.
    placed: BTreeMap<String, schedule::Placed>,
    #[serde(with = "pairs")]
    runs: BTreeMap<Key, kubelet::Run>,
    disks: BTreeMap<String, Disk>,
    events: events::Recorder,
    #[serde(with = "pairs")]
    deleted_sets: BTreeMap<Key, Value>,
    addresses: u32,
    /// Kubelets run pods of this namespace alone: those of others get a node and are ended
    /// when they are deleted, and nobody reports how they are. None: kubelets run every pod.
    #[serde(default)]
    pub runs_only: Option<String>,
}

/// It did not work out; it is tried again later, and later still each time.
struct Again;

/// Something is due.
pub fn run(world: &mut World, task: Task) {
    let Task::Due(item) = task;
    // Of several dates of one item the earliest was kept; this one may be left over.
    if world.control.due.get(&item).is_none_or(|at| *at > world.now) {
        return;
    }
    world.control.due.remove(&item);
    let key = &item.key;
    let done = match item.role {
        Role::Control => control(world, key),
        Role::Guard => guards::reconcile(world, key),
        Role::Provision => provision::make(world, key),
        Role::Reclaim => provision::take(world, key),
        Role::Attach => attach::reconcile(world, key),
        Role::Attacher => attach::work(world, key),
        Role::Schedule => schedule::reconcile(world, key),
        Role::Kubelet => kubelet::reconcile(world, key),
        Role::Gitops => faults::restore_set(world, key),
        Role::Rival => rival::renew(world, key),
    };
    match done {
        Ok(()) => {
            world.control.failures.remove(&item);
        }
        Err(Again) => retry(world, item),
    }
}

fn control(world: &mut World, key: &Key) -> Result<(), Again> {
    match key.kind.id {
        object::SETS => statefulset::reconcile(world, key),
        object::REPLICASETS => replicaset::reconcile(world, key),
        object::DEPLOYMENTS => deployment::reconcile(world, key),
        object::JOBS => job::reconcile(world, key),
        object::CRONJOBS => cronjob::reconcile(world, key),
        object::CLAIMS => binder::reconcile(world, key),
        object::VOLUMES => volumes::reconcile(world, key),
        _ => Ok(()),
    }
}

/// The item is looked at in a moment.
fn soon(world: &mut World, role: Role, key: Key) {
    let wait = Span(world.chance.between(20, 150));
    after(world, role, key, wait);
}

/// The item is looked at then, if not earlier.
fn after(world: &mut World, role: Role, key: Key, wait: Span) {
    enter(world, Item { role, key }, wait);
}

fn enter(world: &mut World, item: Item, wait: Span) {
    let at = world.now + wait;
    if world.control.due.get(&item).is_some_and(|due| *due <= at) {
        return;
    }
    world.control.due.insert(item.clone(), at);
    world.later(wait, Any::Kube(Task::Due(item)));
}

/// As the real queues do it: from a few milliseconds on, doubled each time, up to a quarter
/// of an hour; the attacher from a second on, up to five minutes.
fn retry(world: &mut World, item: Item) {
    let (first, last) = match item.role {
        Role::Attacher => (1000, 300_000),
        _ => (5, 1_000_000),
    };
    let failures = world.control.failures.entry(item.clone()).or_default();
    let wait = Span((first << (*failures).min(18)).min(last));
    *failures += 1;
    enter(world, item, wait);
}

/// A map with keys that are no strings, as a list of pairs.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(map.iter())
    }

    pub fn deserialize<'de, K, V, D>(d: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(d)?.into_iter().collect())
    }
}
