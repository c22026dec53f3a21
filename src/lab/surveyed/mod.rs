//! The site of a survey: a world made of what was found, and the site file that fits it.
//!
//! Objects keep their identity, their age and their state, so that what is settled stays as it
//! is and what was under way goes on. The time in there begins when the survey was taken.
//! Whatever a survey never holds is the lab's own: what Secrets hold, Vault's tokens and keys,
//! and the cluster's identity, which is marked as a lab's.

mod site;

pub use self::site::{own, site};

use crate::lab::kube::{Key, control, kind};
use crate::lab::site::marked;
use crate::lab::vault::{self, Found, UNSEAL_KEY};
use crate::lab::{Unseen, World, kube};
use crate::survey::{self, Survey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a Secret of a lab holds.
const NO_SECRET: &str = "LAB not a secret";

/// What makes another chance of a seed.
const ANOTHER: u64 = 0x5375_7276_6579_6564;

/// A world made of a survey, and what its rehearsal does not show, in words.
///
/// # Errors
/// What a rehearsal cannot do without, and what to do about it.
pub fn world(survey: &Survey, seed: u64) -> Result<(World, Vec<String>), String> {
    let mut notes = Vec::new();
    if survey.site.kubernetes && survey.kubernetes.is_none() {
        let what = "the survey holds nothing of the cluster, which its site has";
        return Err(format!("{what}; `holdpoint doctor` says why, then take it again"));
    }
    // A survey may be of a lab: the same chance again would give the same identities again.
    let mut world = World::new(seed ^ ANOTHER, survey.taken_at);
    world.vault.namespace.clone_from(&survey.site.vault);
    objects(&mut world, survey);
    stage(&mut world, survey);
    secrets(&mut world, survey);
    let found = voters(&world, survey, &mut notes)?;
    if let Some(part) = &survey.vault {
        let peers = peers(part, &mut notes);
        let sidecar = sidecar(survey, part, &mut notes);
        vault::adopt(&mut world, &found, peers, sidecar);
    }
    let hidden = unseen(survey);
    let whole = |namespace: &str| {
        let kinds = survey::KINDS.iter().filter_map(|k| kind(k.id));
        !kinds.into_iter().any(|kind| hidden.hides(kind, namespace, ""))
    };
    control::adopt(&mut world, &whole);
    world.unseen = Some(hidden);
    versions(survey, &mut notes);
    world.doors.insert(site::DOOR.to_owned());
    Ok((world, notes))
}

/// What the survey does not know.
fn unseen(survey: &Survey) -> Unseen {
    let Some(cluster) = &survey.kubernetes else { return Unseen::default() };
    let within = (!cluster.namespaces.iter().any(|n| n == "*"))
        .then(|| cluster.namespaces.iter().cloned().collect());
    let looked = |s: &survey::SecretSeen| (s.namespace.clone(), s.name.clone());
    let list = |l: &survey::Lack| Some((l.kind.clone()?, l.namespace.clone()));
    Unseen {
        within,
        secrets: cluster.secrets.iter().map(looked).collect(),
        lists: survey.lacks.iter().filter_map(list).collect(),
    }
}

/// What the change is about, as far as the survey tells it.
fn stage(world: &mut World, survey: &Survey) {
    let Some(namespace) = &survey.site.vault else { return };
    world.stage.namespace.clone_from(namespace);
    let secrets = survey.kubernetes.iter().flat_map(|c| &c.secrets);
    let own = { secrets }.find(|s| s.namespace == *namespace && s.exists);
    world.stage.unseal_secret = own.map(|s| s.name.clone()).unwrap_or_default();
    let by_itself = survey.vault.iter().flat_map(|v| &v.voters).any(opens_by_itself);
    let named = !by_itself && !world.stage.unseal_secret.is_empty();
    world.vault.key_in =
        named.then(|| (world.stage.namespace.clone(), world.stage.unseal_secret.clone()));
    // A class that nobody stages with a Secret is not encrypted.
    let staged = "csi.storage.k8s.io/node-stage-secret-name";
    let plain = |c: &&Value| c["parameters"][staged].is_null();
    let classes = survey.objects("storageclasses.storage.k8s.io").iter();
    let name = classes.filter(plain).filter_map(|c| c["metadata"]["name"].as_str()).next_back();
    world.stage.wrong_class = name.unwrap_or_default().to_owned();
}

fn objects(world: &mut World, survey: &Survey) {
    for kept in survey::KINDS {
        let Some(kind) = kind(kept.id) else { continue };
        for object in survey.objects(kept.id) {
            let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let key = Key::new(kind, of("namespace"), of("name"));
            let mut object = object.clone();
            if key.kind.id == "namespaces" && key.name == "kube-system" {
                object["metadata"]["uid"] = marked(of("uid"));
            }
            // A set without pods is history; its template may be like the present one's.
            let idle = kept.id == "replicasets.apps" && object["spec"]["replicas"] == 0;
            if !idle {
                world.store.adopt(&key, &object);
            }
        }
    }
    // Whatever lies somewhere lies in a namespace, and a cluster is known by one of them.
    let named = survey.kubernetes.iter().flat_map(|c| c.objects.values()).flatten();
    let named = named.filter_map(|o| o["metadata"]["namespace"].as_str());
    let secrets = survey.site.secrets.iter().map(|(namespace, _)| namespace.as_str());
    let vault = survey.site.vault.as_deref();
    let wanted: BTreeSet<&str> =
        named.chain(secrets).chain(vault).chain(["kube-system", "default"]).collect();
    for name in wanted {
        let Some(kind) = kind("namespaces") else { continue };
        let key = Key::new(kind, "", name);
        if world.store.get(&key).is_none() {
            let uid = world.chance.uuid();
            let uid = if name == "kube-system" { marked(&uid) } else { json!(uid) };
            let at = kube::stamp(world.now);
            let object = json!({
                "metadata": {"name": name, "uid": uid, "creationTimestamp": at},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            });
            world.store.adopt(&key, &object);
        }
    }
}

/// Secrets that are there, with as many keys, and nothing in them.
fn secrets(world: &mut World, survey: &Survey) {
    let Some(kind) = kind("secrets") else { return };
    for seen in survey.kubernetes.iter().flat_map(|c| &c.secrets).filter(|s| s.exists) {
        let mut keys = seen.keys.clone();
        // Keys whose names nobody told; more than a few would be no news to anybody.
        for n in keys.len()..usize::try_from(seen.count.min(64)).unwrap_or(0) {
            keys.push(format!("unnamed-{}", n + 1));
        }
        let of = (seen.namespace.clone(), seen.name.clone());
        // The voters there are opened with the lab's own key: that is what their Secret has.
        let unseals = world.vault.key_in.as_ref() == Some(&of);
        let value = STANDARD.encode(if unseals { UNSEAL_KEY } else { NO_SECRET });
        let data: BTreeMap<String, Value> = keys.into_iter().map(|k| (k, json!(value))).collect();
        let object = json!({
            "metadata": {"name": seen.name, "namespace": seen.namespace,
                "uid": world.chance.uuid(), "creationTimestamp": kube::stamp(world.now)},
            "type": "Opaque", "data": data,
        });
        world.store.adopt(&Key::new(kind, &seen.namespace, &seen.name), &object);
    }
}

fn voters(world: &World, survey: &Survey, notes: &mut Vec<String>) -> Result<Vec<Found>, String> {
    let (Some(part), Some(namespace)) = (&survey.vault, &survey.site.vault) else {
        return if survey.site.voters.is_empty() {
            Ok(Vec::new())
        } else {
            Err("the survey holds nothing of Vault, which its site has; take it again".into())
        };
    };
    let mut found = Vec::new();
    for name in &survey.site.voters {
        let seen = part.voters.iter().find(|v| v.name == *name && v.answers);
        let Some(seen) = seen else {
            return Err(format!(
                "the survey holds nothing of the voter {name}, which did not answer; take it again \
                 with `holdpoint survey` when it does"
            ));
        };
        if survey.kubernetes.is_some() {
            let pods = kind("pods").map(|kind| Key::new(kind, namespace, name));
            let pod = pods.filter(|key| world.store.get(key).is_some());
            match pod.and_then(|key| control::no_voter(world, &key)) {
                Some(why) => return Err(format!("{why}; the rehearsal would not touch {name}")),
                None if control::voter_disk(world, namespace, name).is_none() => notes.push(format!(
                    "{name} is no pod of namespace {namespace}: what becomes of pods does not touch it"
                )),
                None => {}
            }
        }
        found.push(Found {
            name: name.clone(),
            disk: control::voter_disk(world, namespace, name).unwrap_or_default(),
            initialized: seen.initialized,
            sealed: seen.sealed,
            leads: seen.leads,
            applied: seen.applied,
            committed: seen.committed,
        });
        if seen.sealed {
            notes.push(format!("{name} was sealed when the survey was taken"));
        }
    }
    match found.iter().filter(|v| v.leads).count() {
        1 => {}
        0 => notes.push("nobody led when the survey was taken: the voters elect first".into()),
        _ => notes.push("more than one voter said that it led; the first one does here".into()),
    }
    Ok(found)
}

fn peers(part: &survey::Vault, notes: &mut Vec<String>) -> BTreeMap<String, bool> {
    if let Some(peers) = &part.peers {
        return peers.iter().map(|p| (p.name.clone(), p.votes)).collect();
    }
    notes.push("the raft configuration could not be read: every voter of the site votes".into());
    part.voters.iter().map(|v| (v.name.clone(), true)).collect()
}

/// Another kind of seal needs no key of a Secret.
fn opens_by_itself(voter: &survey::VoterSeen) -> bool {
    !voter.seal.is_empty() && voter.seal != "shamir"
}

/// Whether somebody unseals a voter that starts: itself, by another kind of seal, or a second
/// container.
fn sidecar(survey: &Survey, part: &survey::Vault, notes: &mut Vec<String>) -> bool {
    if part.voters.iter().any(opens_by_itself) {
        notes.push("its seal opens by itself; so it does here, within ten seconds".into());
        return true;
    }
    let of_voter = |o: &&Value| {
        let of = |field: &str| o["metadata"][field].as_str();
        of("namespace") == survey.site.vault.as_deref()
            && of("name").is_some_and(|n| survey.site.voters.iter().any(|v| v == n))
    };
    let pods: Vec<&Value> = survey.objects("pods").iter().filter(of_voter).collect();
    let two = |o: &&Value| o["spec"]["containers"].as_array().is_some_and(|c| c.len() > 1);
    if pods.is_empty() || pods.iter().all(two) {
        return true;
    }
    notes
        .push("no second container unseals the voters: one that restarts stays sealed here".into());
    false
}

/// The lab answers as certain versions, whatever was found.
fn versions(survey: &Survey, notes: &mut Vec<String>) {
    let minor = |v: &str| v.split('.').take(2).collect::<Vec<_>>().join(".");
    if let Some(cluster) = &survey.kubernetes
        && !cluster.version.is_empty()
        && minor(&cluster.version) != minor(kube::VERSION)
    {
        let (there, here) = (&cluster.version, kube::VERSION);
        notes.push(format!("Kubernetes there is {there}; the lab answers as {here}"));
    }
    let told = survey.vault.iter().flat_map(|v| &v.voters).map(|v| v.version.as_str());
    let others: BTreeSet<&str> = told.filter(|v| !v.is_empty() && *v != vault::VERSION).collect();
    if !others.is_empty() {
        let there = others.into_iter().collect::<Vec<_>>().join(" and ");
        notes.push(format!("Vault there is {there}; the lab answers as {}", vault::VERSION));
    }
}
