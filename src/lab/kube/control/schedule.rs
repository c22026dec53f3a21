//! The scheduler: a node for each pod.

use super::binder::{self, NODE};
use super::events::{normal, warning};
use super::object::{
    ATTACHMENTS, CLAIMS, NODES, all, annotation, get, key, list, marked, name, namespace, text, uid,
};
use super::{Again, attach, kubelet, owners, pods, volumes};
use crate::lab::World;
use crate::lab::kube::Key;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SOURCE: &str = "default-scheduler";

/// Where a pod was put, or is to be put when its volumes are made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Placed {
    pub node: String,
    /// The UID of its controller, so that pods of one are spread.
    pub owner: String,
}

fn owner(pod: &Value) -> &str {
    owners::controller(pod).map_or("", |r| text(&r["uid"]))
}

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let Some(pod) = world.store.get(key) else { return Ok(()) };
    if !text(&pod["spec"]["nodeName"]).is_empty() || pods::ended(&pod) {
        return Ok(());
    }
    if marked(&pod) {
        // It never ran: nothing has to end.
        pods::delete(world, key, &pod);
        return Ok(());
    }
    if !list(&pod["spec"]["schedulingGates"]).is_empty() {
        return Ok(());
    }
    let nodes = all(world, NODES, None);
    let assumed = world.control.placed.get(uid(&pod)).map(|p| p.node.clone());
    let chosen = match claims_allow(world, &pod) {
        Err(why) => Err(refusal(&nodes, &why)),
        Ok(()) => match assumed.filter(|n| nodes.iter().any(|node| name(node) == n)) {
            Some(node) => Ok(node),
            None => choose(world, &pod, &nodes),
        },
    };
    match chosen {
        Ok(node) => place(world, key, &pod, &node),
        Err(why) => refuse(world, key, &pod, &why),
    }
    Ok(())
}

/// What is wrong with its claims wherever it runs.
fn claims_allow(world: &World, pod: &Value) -> Result<(), String> {
    let mut unbound = false;
    for (_, wanted) in pods::claims(pod) {
        let claim = get(world, CLAIMS, namespace(pod), wanted)
            .ok_or_else(|| format!("persistentvolumeclaim \"{wanted}\" not found"))?;
        if text(&claim["status"]["phase"]) == "Lost" {
            let volume = text(&claim["spec"]["volumeName"]);
            return Err(format!(
                "persistentvolumeclaim \"{wanted}\" bound to non-existent persistentvolume \"{volume}\""
            ));
        }
        if marked(&claim) {
            return Err(format!("persistentvolumeclaim \"{wanted}\" is being deleted"));
        }
        unbound |= !bound(&claim) && !binder::waits(world, &claim);
    }
    if unbound {
        return Err("pod has unbound immediate PersistentVolumeClaims".into());
    }
    Ok(())
}

fn bound(claim: &Value) -> bool {
    text(&claim["status"]["phase"]) == "Bound"
}

fn refusal(nodes: &[Arc<Value>], why: &str) -> String {
    let n = nodes.len();
    format!(
        "0/{n} nodes are available: {why}. preemption: 0/{n} nodes are available: {n} Preemption is not helpful for scheduling."
    )
}

/// The node with the fewest pods of the same owner, then with the fewest of all.
fn choose(world: &mut World, pod: &Value, nodes: &[Arc<Value>]) -> Result<String, String> {
    if nodes.is_empty() {
        return Err("no nodes available to schedule pods".into());
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut fitting = Vec::new();
    let needs = Needs { volumes: volumes_of(world, pod), drivers: by_driver(world, pod) };
    for node in nodes {
        match against(world, pod, &needs, node) {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => fitting.push(name(node).to_owned()),
        }
    }
    let owner = owner(pod);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for placed in world.control.placed.values() {
        let count = counts.entry(&placed.node).or_default();
        count.0 += usize::from(!owner.is_empty() && placed.owner == owner);
        count.1 += 1;
    }
    let count = |node: &String| counts.get(node.as_str()).copied().unwrap_or_default();
    let Some(least) = fitting.iter().map(count).min() else {
        let reasons: Vec<String> = reasons.iter().map(|(why, n)| format!("{n} {why}")).collect();
        return Err(refusal(nodes, &reasons.join(", ")));
    };
    fitting.retain(|node| count(node) == least);
    let last = u64::try_from(fitting.len()).unwrap_or(1) - 1;
    let at = usize::try_from(world.chance.between(0, last)).unwrap_or(0);
    fitting.get(at).cloned().ok_or_else(|| "no nodes available to schedule pods".into())
}

/// What a pod needs of a node beside what it says itself.
struct Needs {
    volumes: Vec<Arc<Value>>,
    drivers: BTreeMap<String, BTreeSet<String>>,
}

/// What speaks against a node.
fn against(world: &World, pod: &Value, needs: &Needs, node: &Value) -> Option<String> {
    if node["spec"]["unschedulable"] == true {
        return Some("node(s) were unschedulable".into());
    }
    let labels = &node["metadata"]["labels"];
    let wanted = pod["spec"]["nodeSelector"].as_object();
    if wanted.into_iter().flatten().any(|(label, value)| labels[label] != *value) {
        return Some("node(s) didn't match Pod's node affinity/selector".into());
    }
    let tolerated = |taint: &&Value| {
        let effect = text(&taint["effect"]);
        let of = |t: &Value| {
            (t["key"].is_null() || t["key"] == taint["key"])
                && (t["effect"].is_null() || text(&t["effect"]) == effect)
                && (text(&t["operator"]) == "Exists" || text(&t["value"]) == text(&taint["value"]))
        };
        effect == "PreferNoSchedule" || list(&pod["spec"]["tolerations"]).iter().any(of)
    };
    if let Some(taint) = list(&node["spec"]["taints"]).iter().find(|t| !tolerated(t)) {
        let (key, value) = (text(&taint["key"]), text(&taint["value"]));
        return Some(format!("node(s) had untolerated taint {{{key}: {value}}}"));
    }
    if needs.volumes.iter().any(|v| !volume_fits(v, labels)) {
        return Some("node(s) didn't match PersistentVolume's node affinity".into());
    }
    if needs.drivers.keys().any(|driver| attach::elsewhere(world, name(node), driver)) {
        return Some("node(s) didn't find available persistent volumes to bind".into());
    }
    full(world, &needs.drivers, node).then(|| "node(s) exceed max volume count".into())
}

fn volumes_of(world: &World, pod: &Value) -> Vec<Arc<Value>> {
    let claims = pods::claims(pod).filter_map(|(_, c)| get(world, CLAIMS, namespace(pod), c));
    claims.filter_map(|c| volumes::of_claim(world, &c)).collect()
}

fn volume_fits(volume: &Value, labels: &Value) -> bool {
    let terms = list(&volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]);
    let expression = |e: &Value| {
        let within = list(&e["values"]).contains(&labels[text(&e["key"])]);
        if text(&e["operator"]) == "NotIn" { !within } else { within }
    };
    terms.is_empty() || terms.iter().any(|t| list(&t["matchExpressions"]).iter().all(expression))
}

/// The pod's volumes by their drivers; of those that are yet to be made the claims.
fn by_driver(world: &World, pod: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, wants) in pods::claims(pod) {
        let Some(claim) = get(world, CLAIMS, namespace(pod), wants) else { continue };
        let volume = volumes::of_claim(world, &claim);
        let class = binder::class(world, &claim);
        let driver = match (&volume, &class) {
            (Some(volume), _) => text(&volume["spec"]["csi"]["driver"]),
            (None, Some(class)) => text(&class["provisioner"]),
            _ => "",
        };
        let id = volume.as_ref().map_or(wants, |v| name(v));
        wanted.entry(driver.to_owned()).or_default().insert(id.to_owned());
    }
    wanted
}

/// Whether the pod's volumes are more than the node still takes.
fn full(world: &World, drivers: &BTreeMap<String, BTreeSet<String>>, node: &Value) -> bool {
    drivers.iter().any(|(driver, wanted)| {
        let Some(limit) = attach::limit(world, name(node), driver) else { return false };
        let mut there = BTreeSet::new();
        for attachment in all(world, ATTACHMENTS, None) {
            let spec = &attachment["spec"];
            if text(&spec["nodeName"]) == name(node) && text(&spec["attacher"]) == driver.as_str() {
                there.insert(text(&spec["source"]["persistentVolumeName"]).to_owned());
            }
        }
        there.union(wanted).count() > limit
    })
}

/// Puts the pod there once its volumes are; those that wait for a node are told.
fn place(world: &mut World, key_of_pod: &Key, pod: &Value, node: &str) {
    let mut making = false;
    for (_, claim) in pods::claims(pod) {
        let place = key(CLAIMS, namespace(pod), claim);
        let Some(claim) = world.store.get(&place).filter(|c| !bound(c)) else { continue };
        making = true;
        if annotation(&claim, NODE).is_empty() {
            let _gone =
                world.store.update(&place, |c| c["metadata"]["annotations"][NODE] = json!(node));
        }
    }
    let placed = Placed { node: node.to_owned(), owner: owner(pod).to_owned() };
    world.control.placed.insert(uid(pod).to_owned(), placed);
    if making {
        return;
    }
    let now = world.now;
    let _gone = world.store.update(key_of_pod, |p| {
        p["spec"]["nodeName"] = json!(node);
        kubelet::set_condition(p, "PodScheduled", true, None, now);
    });
    let said = format!("Successfully assigned {}/{} to {node}", namespace(pod), name(pod));
    normal(world, pod, SOURCE, "Scheduled", &said);
}

fn refuse(world: &mut World, key: &Key, pod: &Value, why: &str) {
    let now = world.now;
    let told = world.store.update(key, |p| {
        kubelet::set_condition(p, "PodScheduled", false, Some(("Unschedulable", why)), now);
    });
    // The same again is no news.
    if told.is_ok_and(|told| *told != *pod) {
        warning(world, pod, SOURCE, "FailedScheduling", why);
    }
}
