//! Somebody else's Holdpoint: it holds the cluster's Lease and renews it.

use super::faults::{LEASE_HELD, on};
use super::object::{key, text};
use super::{Again, Role, after};
use crate::event::Span;
use crate::lab::World;
use crate::lab::kube::Key;
use crate::lab::kube::faults::API_OUTAGE;
use serde_json::{Value, json};

/// Run, person and host, as Holdpoint writes them.
const HOLDER: &str = "20260425T201500Z-other-change-7c1e bo@jump.example.net";
/// As long as it lasts and as often as it is renewed where a site file says nothing.
const LASTS: u64 = 30;
const RENEWS: Span = Span::secs(LASTS / 3);

/// It takes the Lease, from whoever has it; or lets it go, if it still has it.
pub fn hold(world: &mut World, takes: bool) {
    let (namespace, name) = world.stage.lease.clone();
    let key = key("leases.coordination.k8s.io", &namespace, &name);
    if takes {
        if world.store.get(&key).is_none() {
            let none = json!({"metadata": {}, "spec": {"leaseTransitions": 0}});
            // It is not there: that was looked at.
            let _ = world.store.create(&key, none, world.now, &mut world.chance);
        }
        write(world, &key, Some(HOLDER));
        after(world, Role::Rival, key, RENEWS);
    } else if is_theirs(world, &key) {
        write(world, &key, None);
    }
}

/// As long as nobody took it from them.
pub(super) fn renew(world: &mut World, key: &Key) -> Result<(), Again> {
    if on(world, LEASE_HELD) && is_theirs(world, key) {
        if !on(world, API_OUTAGE) {
            write(world, key, Some(HOLDER));
        }
        after(world, Role::Rival, key.clone(), RENEWS);
    }
    Ok(())
}

fn is_theirs(world: &World, key: &Key) -> bool {
    world.store.get(key).is_some_and(|lease| text(&lease["spec"]["holderIdentity"]) == HOLDER)
}

fn write(world: &mut World, key: &Key, holder: Option<&str>) {
    let now = world.now.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let _gone = world.store.update(key, |lease| {
        let spec = &mut lease["spec"];
        if holder.is_some_and(|holder| text(&spec["holderIdentity"]) != holder) {
            spec["leaseTransitions"] = json!(spec["leaseTransitions"].as_i64().unwrap_or(0) + 1);
            spec["acquireTime"] = json!(now);
        }
        spec["leaseDurationSeconds"] = json!(LASTS);
        spec["renewTime"] = json!(now);
        match (holder, spec) {
            (Some(holder), spec) => spec["holderIdentity"] = json!(holder),
            (None, Value::Object(spec)) => drop(spec.remove("holderIdentity")),
            (None, _) => {}
        }
    });
}
