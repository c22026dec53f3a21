//! What can go wrong in a lab, by name, from what went wrong at real sites.

mod backup;
mod planned;
mod start;

pub use self::planned::Planned;
pub use self::start::{MOMENTS, Moment, Start};

use crate::event::Span;
use crate::lab::kube::{Key, Kind, control, kind};
use crate::lab::{World, vault};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A fault: when it begins, and whether it heals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which.
    pub kind: &'static FaultKind,
    /// When it begins.
    pub start: Start,
    /// How long it lasts; for good, if nothing is said.
    pub lasts: Option<Span>,
}

/// A kind of fault.
#[derive(Debug, PartialEq, Eq)]
pub struct FaultKind {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// When it begins if nothing is said: a step of the shipped Vault runbook.
    pub start: &'static str,
    /// What of the shipped Vault runbook should catch it; more than one where it depends on
    /// the moment. Empty: it is lived through, and `does` says why.
    pub caught_by: &'static [&'static str],
}

macro_rules! faults {
    ($($name:literal $start:literal $caught:tt $does:literal;)*) => {
        /// Every fault.
        pub static FAULTS: &[FaultKind] = &[$(FaultKind {
            name: $name, does: $does, start: $start, caught_by: &$caught,
        }),*];
    };
}

faults! {
    "hung-leader" "roll/claims" ["roll/claims", "guard quorum"]
        "the leader answers sys/leader and nothing else, its index stands, nobody is elected";
    "hung-audit" "preflight/voters" ["preflight/voters"]
        "health says 200, but no audited request gets an answer";
    "stopped-leader" "roll/claims" ["roll/claims"]
        "the leader's process is stopped: it answers nothing, and the others elect";
    "leader-moves" "roll/claims" ["roll/claims"]
        "leadership moves to the voter in its turn, whose claims stay; between turns, or where that one leads, chance decides to which, and the order follows";
    "quorum-lost" "roll/claims" ["roll/claims", "guard quorum"]
        "two voters die and stay away";
    "disks-lost" "roll/claims" ["roll/claims", "guard quorum"]
        "two voters lose their disks: the one that is left is no quorum";
    "every-disk-lost" "roll/claims" ["roll/claims", "guard quorum"]
        "all voters come back with empty disks";
    "unseal-sidecar-stuck" "roll/claims" ["roll/back"]
        "a voter that restarts stays sealed";
    "slow-rejoin" "roll/claims" ["roll/back"]
        "a voter with an empty disk takes many minutes to come back";
    "pvc-protection-race" "roll/claims" ["roll/pod"]
        "claims that are being deleted stay, held by their protection";
    "missing-fsgroup" "statefulset/how" ["statefulset/adopted"]
        "the manifest with the new class lost fsGroup";
    "luks-oom" "roll/claims" ["roll/back"]
        "volumes of the encrypted class cannot be mounted: the node's plugin runs out of memory";
    "attach-limit" "preflight/nodes" ["preflight/nodes"]
        "the nodes have as many volumes attached as they can";
    "reclaim-delete" "preflight/old-volumes" ["preflight/old-volumes"]
        "the old volumes' policy is Delete: they go with their claims";
    "wrong-class" "statefulset/how" ["statefulset/apply"]
        "the manifest names a class that is not encrypted";
    "backup-stale" "preflight/voters" ["preflight/backup"]
        "the backup's CronJob has not succeeded for a month";
    "backup-due" "roll/claims" ["roll/claims"]
        "the backup's CronJob is due within the minute";
    "second-copy-differs" "preflight/anchor" ["preflight/anchor"]
        "a bit of every copy is wrong";
    "unseal-key-in-vault" "preflight/voters" ["preflight/unseal-key"]
        "the Secret with the unseal key is not there: the key is kept in Vault";
    "snapshot-empty" "preflight/anchor" ["preflight/anchor"]
        "a snapshot is answered with 200 and half of its body";
    "api-outage" "roll/claims" ["roll/claims"]
        "the API server refuses connections";
    "api-slow" "roll/claims" []
        "every answer of the API server takes one to three seconds; everything only takes longer";
    "watch-stale" "roll/claims" []
        "watches stay open and say nothing more; gates read afresh, and the watches are opened anew";
    "path-lost" "roll/claims" ["roll/back", "roll/claims"]
        "connections to one voter time out from here, while it is well";
    "lease-held" "preflight/voters" ["statefulset/orphan"]
        "somebody else's Holdpoint holds the cluster's Lease and renews it";
    "forbidden" "roll/claims" ["roll/claims"]
        "the right to delete claims and pods is taken away";
    "token-expires" "preflight/voters" ["preflight/voters"]
        "Vault's token is not valid any more";
    "sts-recreated-by-gitops" "statefulset/how" ["statefulset/apply"]
        "something re-creates the deleted StatefulSet from the old manifest";
}

/// The fault of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static FaultKind> {
    FAULTS.iter().find(|f| f.name == name)
}

impl std::str::FromStr for Fault {
    type Err = String;

    /// `NAME`, or `NAME@START`, each with `,for=2m` behind it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (what, lasts) = match text.split_once(",for=") {
            Some((what, lasts)) => (what, Some(lasts)),
            None => (text, None),
        };
        let (name, start) = match what.split_once('@') {
            Some((name, start)) => (name, Some(start)),
            None => (what, None),
        };
        let kind = find(name).ok_or_else(|| {
            format!("no fault is called {name}; `holdpoint lab faults` lists them")
        })?;
        let start = start.unwrap_or(kind.start);
        let start = start.parse().map_err(|e| format!("{text}: {e}"))?;
        let lasts =
            lasts.map(str::parse::<Span>).transpose().map_err(|e| format!("{text}: {e}"))?;
        Ok(Self { kind, start, lasts })
    }
}

/// The kind of an entry of a world's faults: a second one of a kind is called `NAME#2`.
#[must_use]
pub fn kind_of(entry: &str) -> &str {
    entry.split('#').next().unwrap_or(entry)
}

/// Entries for faults of these names, so that each of one kind has its own beginning and end.
#[must_use]
pub fn entries<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut met = BTreeMap::new();
    let entry = |name: &'a str| {
        let n = met.entry(name).or_insert(0);
        *n += 1;
        if *n == 1 { name.to_owned() } else { format!("{name}#{n}") }
    };
    names.into_iter().map(entry).collect()
}

/// One begins, or it is over: of the kind that its name says, or by its entry where there are
/// several of a kind.
pub fn fault(world: &mut World, entry: &str, on: bool) {
    let name = kind_of(entry);
    let before = world.suffers(name);
    match on {
        true => world.faults.insert(entry.to_owned()),
        false => world.faults.remove(entry),
    };
    vault::fault(world, entry, on);
    // What hits no voter but all of the site is there from the first of its kind to the last.
    if before != world.suffers(name) {
        changes(world, name, on);
    }
    world.settle();
}

/// What a fault changes at the site.
fn changes(world: &mut World, name: &str, on: bool) {
    match name {
        "missing-fsgroup" => {
            let at = "/spec/template/spec/securityContext/fsGroup";
            manifest(world, name, on, &[at], |_| Value::Null);
        }
        "wrong-class" => {
            let wrong = world.stage.wrong_class.clone();
            let at = |n: usize| format!("/spec/volumeClaimTemplates/{n}/spec/storageClassName");
            let all: Vec<String> = (0..16).map(at).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            manifest(world, name, on, &all, |_| json!(wrong));
        }
        "reclaim-delete" => old_volumes(world, if on { "Delete" } else { "Retain" }),
        "backup-stale" => backup::stale(world, on),
        "backup-due" => backup::due(world, name, on),
        "lease-held" => control::hold_lease(world, on),
        "unseal-key-in-vault" => unseal_key(world, name, on),
        "attach-limit" => limits(world, on),
        _ => {}
    }
}

/// Changes places of the manifest, and puts back what stood there.
fn manifest(
    world: &mut World,
    fault: &str,
    on: bool,
    places: &[&str],
    change: impl Fn(&Value) -> Value,
) {
    let path = world.stage.manifest.clone();
    let Some(mut object) =
        world.files.get(&path).and_then(|b| serde_yaml_ng::from_slice::<Value>(b).ok())
    else {
        return;
    };
    if on && world.stage.before.contains_key(fault) {
        return;
    }
    let before = world.stage.before.remove(fault);
    let mut was = Map::new();
    for place in places {
        let Some((parent, field)) = place.rsplit_once('/') else { continue };
        let Some(Value::Object(parent)) = object.pointer_mut(parent) else { continue };
        let new = match on {
            true => change(was.entry(*place).or_insert(parent.get(field).cloned().into())),
            false => before.as_ref().map(|b| b[*place].clone()).unwrap_or_default(),
        };
        if new.is_null() {
            parent.remove(field);
        } else {
            parent.insert(field.to_owned(), new);
        }
    }
    if on {
        world.stage.before.insert(fault.to_owned(), Value::Object(was));
    }
    let text = serde_yaml_ng::to_string(&object).unwrap_or_default();
    world.files.put(&path, text.into_bytes(), world.now);
}

/// The Secret with the unseal key goes, and comes back.
fn unseal_key(world: &mut World, fault: &str, on: bool) {
    let Some(secrets) = kind("secrets") else { return };
    let key = Key::new(secrets, &world.stage.namespace, &world.stage.unseal_secret);
    if !on {
        if let Some(secret) = world.stage.before.remove(fault) {
            super::site::place(world, secret);
        }
    } else if let Some(secret) = world.store.get(&key) {
        world.stage.before.insert(fault.to_owned(), Value::clone(&secret));
        world.store.remove(&key);
    }
}

/// Every driver takes as many volumes as it has on its node, and then again as many as before.
fn limits(world: &mut World, on: bool) {
    let attached = attached(world);
    each(world, "csinodes.storage.k8s.io", "", |node, _| {
        let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        for driver in node["spec"]["drivers"].as_array_mut().into_iter().flatten() {
            let there = (name.clone(), driver["name"].as_str().unwrap_or_default().to_owned());
            let Some(Value::Object(room)) = driver.get_mut("allocatable") else { continue };
            if on {
                let full = attached.get(&there).copied().unwrap_or(0).max(1);
                let before = room.insert("count".into(), json!(full));
                room.insert(BEFORE.into(), before.unwrap_or_default());
            } else if let Some(before) = room.remove(BEFORE) {
                room.insert("count".into(), before);
            }
        }
    });
}

/// Where a driver's limit is kept meanwhile; no API has such a field.
const BEFORE: &str = "lab-before";

/// Volumes by node and driver.
fn attached(world: &World) -> BTreeMap<(String, String), usize> {
    let mut all = BTreeMap::new();
    let Some(kind) = kind("volumeattachments.storage.k8s.io") else { return all };
    for (_, attachment) in world.store.list(kind, None) {
        let of = |field: &str| attachment["spec"][field].as_str().unwrap_or_default().to_owned();
        *all.entry((of("nodeName"), of("attacher"))).or_default() += 1;
    }
    all
}

/// Why a fault would change nothing in this world, and what to do about it.
#[must_use]
pub fn idle(world: &World, name: &str) -> Option<String> {
    let any = |id: &str, namespace: &str| {
        kind(id).is_some_and(|kind| !keys(world, kind, namespace).is_empty())
    };
    let stage = &world.stage;
    let lacks = match name {
        "missing-fsgroup" | "wrong-class" if world.files.get(&stage.manifest).is_none() => {
            "it changes the manifest, and none was named; give --param manifest=FILE"
        }
        "wrong-class" if stage.wrong_class.is_empty() => "there is no class that is not encrypted",
        "unseal-key-in-vault" if stage.unseal_secret.is_empty() => {
            "no Secret of Vault's namespace was looked at; name it in the site file, then survey"
        }
        "backup-stale" | "backup-due" if !any("cronjobs.batch", &stage.namespace) => {
            "there is no CronJob in Vault's namespace"
        }
        "attach-limit" if !any("csinodes.storage.k8s.io", "") => "no node says what it takes",
        _ => return None,
    };
    Some(format!("--fault {name} would change nothing: {lacks}"))
}

fn keys(world: &World, kind: &'static Kind, namespace: &str) -> Vec<Key> {
    let within = kind.namespaced.then_some(namespace);
    world.store.list(kind, within).map(|(key, _)| key.clone()).collect()
}

fn each(
    world: &mut World,
    id: &str,
    namespace: &str,
    edit: impl Fn(&mut Value, crate::event::Time),
) {
    let Some(kind) = kind(id) else { return };
    let now = world.now;
    for key in keys(world, kind, namespace) {
        // Listed just now, so it is there.
        let _ = world.store.update(&key, |object| edit(object, now));
    }
}

fn old_volumes(world: &mut World, policy: &str) {
    let namespace = world.stage.namespace.clone();
    each(world, "persistentvolumes", "", |volume, _| {
        if volume["spec"]["claimRef"]["namespace"] == namespace.as_str() {
            volume["spec"]["persistentVolumeReclaimPolicy"] = json!(policy);
        }
    });
}
