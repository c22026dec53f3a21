//! From old ReplicaSets to the new one.

use super::super::object::PODS;
use super::super::replicaset::wanted;
use super::super::{owners, pods};
use super::{Sets, new_set, scale};
use crate::lab::World;
use serde_json::Value;

/// All old pods go, and are gone, before a new one is made.
pub(super) fn recreate(world: &mut World, deployment: &Value) {
    let sets = Sets::of(world, deployment);
    let mut going = false;
    for set in &sets.old {
        going |= wanted(set) > 0 && scale(world, deployment, set, 0);
    }
    let mut left = sets.old.iter().flat_map(|set| owners::owned(world, set, PODS));
    if going || left.any(|p| !pods::ended(&p)) {
        return;
    }
    let size = wanted(deployment);
    if let Some(new) = new_set(world, deployment, size) {
        scale(world, deployment, &new, size);
    }
}

/// A number of pods or a share of them.
fn share(value: &Value, of: usize, up: bool) -> usize {
    let text = value.as_str().unwrap_or("25%");
    match value.as_u64() {
        Some(n) => usize::try_from(n).unwrap_or(0),
        None => {
            let percent: usize = text.trim_end_matches('%').parse().unwrap_or(25);
            if up { (percent * of).div_ceil(100) } else { percent * of / 100 }
        }
    }
}

/// Pods that there may be beyond what is wanted.
pub(super) fn surge(deployment: &Value) -> usize {
    let strategy = &deployment["spec"]["strategy"];
    if strategy["type"] == "Recreate" {
        return 0;
    }
    share(&strategy["rollingUpdate"]["maxSurge"], wanted(deployment), true)
}

/// Pods that may be missing meanwhile.
pub(super) fn unavailable(deployment: &Value) -> usize {
    let strategy = &deployment["spec"]["strategy"];
    if strategy["type"] == "Recreate" {
        return 0;
    }
    let size = wanted(deployment);
    let missing = share(&strategy["rollingUpdate"]["maxUnavailable"], size, false);
    if missing == 0 && surge(deployment) == 0 { 1.min(size) } else { missing.min(size) }
}

/// Up by what may be too many, down by what may be missing.
pub(super) fn roll(world: &mut World, deployment: &Value) {
    let size = wanted(deployment);
    let most = size + surge(deployment);
    let there: usize = Sets::of(world, deployment).all().map(|s| wanted(s)).sum();
    let Some(new) = new_set(world, deployment, size.min(most.saturating_sub(there))) else {
        return;
    };
    let has = wanted(&new);
    let there: usize = Sets::of(world, deployment).all().map(|s| wanted(s)).sum();
    let to = if has > size { size } else { has + (size - has).min(most.saturating_sub(there)) };
    if scale(world, deployment, &new, to) {
        return;
    }
    scale_down(world, deployment);
}

fn available(set: &Value) -> usize {
    usize::try_from(set["status"]["availableReplicas"].as_u64().unwrap_or(0)).unwrap_or(0)
}

fn scale_down(world: &mut World, deployment: &Value) {
    let least = wanted(deployment) - unavailable(deployment);
    let sets = Sets::of(world, deployment);
    let Some(new) = &sets.new else { return };
    let there: usize = sets.all().map(|s| wanted(s)).sum();
    let unready = wanted(new).saturating_sub(available(new));
    let mut room = there.saturating_sub(least + unready);
    // First what does not work anyway.
    for set in &sets.old {
        let broken = wanted(set).saturating_sub(available(set)).min(room);
        if broken > 0 {
            scale(world, deployment, set, wanted(set) - broken);
            room -= broken;
        }
    }
    let sets = Sets::of(world, deployment);
    let ready: usize = sets.all().map(|s| available(s)).sum();
    let mut room = room.min(ready.saturating_sub(least));
    for set in &sets.old {
        let fewer = wanted(set).min(room);
        if fewer > 0 {
            scale(world, deployment, set, wanted(set) - fewer);
            room -= fewer;
        }
    }
}
