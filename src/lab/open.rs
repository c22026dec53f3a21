//! A site whose every wire leads into a lab.

use crate::event::Time;
use crate::lab::{Lab, vault};
use crate::remote::{Clock, Parts, Remote, Secret, VoterClient, Wire};
use crate::site::Site;
use std::sync::Arc;

/// The clients that a real site gets too, on a lab's wires.
#[must_use]
pub fn open(lab: &Lab, site: Site, clock: Clock) -> Remote {
    let wire: Arc<dyn Wire> = Arc::new(lab.clone());
    let voters = site.vault.iter().flat_map(|v| {
        let wire = &wire;
        v.voter.get_ref().iter().map(move |at| {
            // Its address may be any: the lab goes by how the host begins.
            VoterClient::over(at, &v.namespace, false, Arc::clone(wire))
        })
    });
    let voters = voters.collect();
    let parts = Parts {
        kube: Ok(crate::lab::kube::client(lab)),
        voters,
        token: Ok(Secret::new(vault::OPERATOR_TOKEN.into())),
        http: Arc::clone(&wire),
        machine: Arc::new(lab.clone()),
        site,
    };
    Remote::of(parts, clock)
}

/// A clock by the async runtime's time, which a rehearsal pauses and drives.
///
/// Other threads have no part in that time; they are told what it was last.
#[must_use]
pub fn clock(start: Time) -> Clock {
    let origin = tokio::time::Instant::now();
    let last = std::sync::atomic::AtomicI64::new(start.0);
    Arc::new(move || {
        use std::sync::atomic::Ordering::Relaxed;
        if tokio::runtime::Handle::try_current().is_ok() {
            let passed = i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX);
            last.store(start.0.saturating_add(passed), Relaxed);
        }
        Time(last.load(Relaxed))
    })
}
