//! ControllerRevisions: the templates that a StatefulSet had.

use super::object::{REVISIONS, all, hash, key, key_of, marked, name, namespace, selects, text};
use super::owners;
use super::pods::erase;
use crate::lab::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The revision that the set was at, and the one of its template now.
pub(super) struct Revisions {
    pub current: Arc<Value>,
    pub update: Arc<Value>,
    pub collisions: i64,
}

/// Finds both; makes what is missing. None if the store refuses.
pub(super) fn of(world: &mut World, set: &Value) -> Option<Revisions> {
    let mut all = history(world, set);
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    let data = json!({"spec": {"template": template}});
    let latest = all.last().map_or(0, |r| number(r));
    let mut collisions = set["status"]["collisionCount"].as_i64().unwrap_or(0);
    let equal = all.iter().rposition(|r| r["data"] == data);
    let update = match equal {
        Some(at) if at + 1 == all.len() => Arc::clone(&all[at]),
        // A template that was there before: it is the newest again.
        Some(at) => {
            let key = key_of(&all[at])?;
            world.store.update(&key, |r| r["revision"] = json!(latest + 1)).ok()?
        }
        None => make(world, set, &data, latest + 1, &mut collisions)?,
    };
    all.push(Arc::clone(&update));
    let was = text(&set["status"]["currentRevision"]);
    let current = all.iter().find(|r| name(r) == was).unwrap_or(&update);
    Some(Revisions { current: Arc::clone(current), update, collisions })
}

/// What the set's status says of its revisions is made so, for a set that was found.
pub(super) fn adopt(world: &mut World, set: &Value) {
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    let (update, current) =
        (text(&set["status"]["updateRevision"]), text(&set["status"]["currentRevision"]));
    if !update.is_empty() {
        keep(world, set, update, 2, &template);
    }
    if !current.is_empty() && current != update {
        // What it differs in is not known.
        template["metadata"]["annotations"] = json!({"lab/revision": current});
        keep(world, set, current, 1, &template);
    }
}

fn keep(world: &mut World, set: &Value, name_of_it: &str, number: i64, template: &Value) {
    let prefix = format!("{}-", name(set));
    let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
    labels["controller.kubernetes.io/hash"] =
        json!(name_of_it.strip_prefix(&prefix).unwrap_or(name_of_it));
    let revision = json!({
        "metadata": {"labels": labels, "ownerReferences": [owners::reference(set)]},
        "data": {"spec": {"template": template}}, "revision": number,
    });
    let key = key(REVISIONS, namespace(set), name_of_it);
    // One that is there already is what it is.
    let _ = world.store.create(&key, revision, world.now, &mut world.chance);
}

fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or(0)
}

/// The set's revisions, oldest first, orphans adopted.
fn history(world: &mut World, set: &Value) -> Vec<Arc<Value>> {
    let mut mine = Vec::new();
    for revision in all(world, REVISIONS, Some(namespace(set))) {
        let selected = selects(&set["spec"]["selector"], &revision["metadata"]["labels"]);
        if owners::controls(set, &revision) {
            mine.push(revision);
        } else if selected && owners::controller(&revision).is_none() && !marked(set) {
            let adopted = key_of(&revision)
                .map(|key| world.store.update(&key, |r| owners::add(r, owners::reference(set))));
            mine.extend(adopted.and_then(Result::ok));
        }
    }
    mine.sort_by(|a, b| number(a).cmp(&number(b)).then_with(|| name(a).cmp(name(b))));
    mine
}

fn make(
    world: &mut World,
    set: &Value,
    data: &Value,
    number: i64,
    collisions: &mut i64,
) -> Option<Arc<Value>> {
    for _ in 0..10 {
        let hash = hash(data, *collisions);
        let key = key(REVISIONS, namespace(set), &format!("{}-{hash}", name(set)));
        let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
        labels["controller.kubernetes.io/hash"] = json!(hash);
        let revision = json!({
            "metadata": {"labels": labels, "ownerReferences": [owners::reference(set)]},
            "data": data, "revision": number,
        });
        match world.store.create(&key, revision, world.now, &mut world.chance) {
            Ok(made) => return Some(made),
            Err(_) => match world.store.get(&key) {
                Some(there) if there["data"] == *data => return Some(there),
                _ => *collisions += 1,
            },
        }
    }
    None
}

/// Forgets the oldest that nothing needs, beyond the limit.
pub(super) fn truncate(world: &mut World, set: &Value, pods: &[Arc<Value>], live: &Revisions) {
    let mut used: BTreeSet<String> = pods.iter().map(|p| of_pod(p).to_owned()).collect();
    used.extend([name(&live.current).to_owned(), name(&live.update).to_owned()]);
    let mut spare = owners::owned(world, set, REVISIONS);
    spare.retain(|r| !used.contains(name(r)));
    spare.sort_by_key(|r| number(r));
    let limit = set["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let over = spare.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for revision in &spare[..over] {
        if let Some(key) = key_of(revision) {
            erase(world, &key, revision);
        }
    }
}

/// The revision that a pod was made of.
pub(super) fn of_pod(pod: &Value) -> &str {
    text(&pod["metadata"]["labels"]["controller-revision-hash"])
}
