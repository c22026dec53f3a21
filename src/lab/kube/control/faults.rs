//! What can go wrong, by name: entries of [`World::faults`].

use super::object::{SETS, retain};
use super::{Again, Role, after};
use crate::event::Span;
use crate::lab::World;
use crate::lab::kube::{Key, Touched};
use serde_json::Value;

/// A claim's protection finalizer stays until somebody patches it away.
pub const PVC_PROTECTION_RACE: &str = "pvc-protection-race";
/// The site's StatefulSet has no `fsGroup`: whoever builds the site leaves it out. A voter on
/// a fresh block volume then cannot open its file, with or without this entry.
pub const MISSING_FSGROUP: &str = "missing-fsgroup";
/// The node plugin is killed for want of memory when it opens an encrypted volume.
pub const LUKS_OOM: &str = "luks-oom";
/// Nodes take no further volume, whatever they say about their limit.
pub const ATTACH_LIMIT: &str = "attach-limit";
/// Containers take ten minutes to start.
pub const SLOW_REJOIN: &str = "slow-rejoin";
/// A StatefulSet that is deleted comes back from its old manifest.
pub const STS_RECREATED: &str = "sts-recreated-by-gitops";
/// Somebody else's Holdpoint holds the cluster's Lease.
pub const LEASE_HELD: &str = "lease-held";

pub(super) fn on(world: &World, fault: &str) -> bool {
    world.suffers(fault)
}

/// Remembers the manifest of a StatefulSet that went.
pub(super) fn set_deleted(world: &mut World, touched: &Touched) {
    let (Some(old), None) = (&touched.old, &touched.new) else { return };
    if touched.key.kind.id != SETS {
        return;
    }
    let mut manifest = Value::clone(old);
    if let Value::Object(fields) = &mut manifest {
        fields.remove("status");
    }
    for list in ["finalizers", "ownerReferences", "managedFields"] {
        retain(&mut manifest, list, |_| false);
    }
    world.control.deleted_sets.insert(touched.key.clone(), manifest);
    if on(world, STS_RECREATED) {
        let wait = Span(world.chance.between(500, 1_500));
        after(world, Role::Gitops, touched.key.clone(), wait);
    }
}

/// Something re-creates a StatefulSet as it was, unless there is one.
pub(super) fn restore_set(world: &mut World, key: &Key) -> Result<(), Again> {
    if let Some(manifest) = world.control.deleted_sets.get(key).cloned() {
        let _there_is_one = world.store.create(key, manifest, world.now, &mut world.chance);
    }
    Ok(())
}
