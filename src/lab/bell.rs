//! Who waits for changes of the store is woken by those of its kind, and by faults. A cluster's
//! watches are hundreds, and nearly every change is no business of most of them.

use crate::lab::World;
use crate::lab::kube::{HISTORY, Kind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Rings when the store changed or watches should look again.
pub(super) struct Bell(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    /// The store's version when it rang last.
    version: u64,
    /// What went wrong then.
    faults: BTreeSet<String>,
    /// By the kind's id.
    kinds: BTreeMap<&'static str, Ring>,
}

/// How one kind was rung for.
#[derive(Default)]
struct Ring {
    times: u64,
    /// The store's version before each of the last rings.
    before: VecDeque<u64>,
    /// Whoever waits is woken in the order in which they wait: a channel of the runtime's own
    /// would shuffle them.
    notify: Arc<Notify>,
}

/// What a listener knows of when it looks.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    times: u64,
    /// The version up to which nothing of the kind happened that was not told: the history may
    /// not reach back to where something did.
    pub quiet: u64,
}

/// Somebody who listens for changes of a kind.
pub struct Changes {
    bell: Arc<Bell>,
    kind: &'static str,
    notify: Arc<Notify>,
    heard: u64,
    /// What was known when all was told last.
    told: Option<u64>,
}

impl Changes {
    /// What has changed until now is known.
    pub fn mark_unchanged(&mut self) -> Heard {
        let rung = self.bell.rung();
        let Some(ring) = rung.kinds.get(self.kind) else { return Heard { times: 0, quiet: 0 } };
        self.heard = ring.times;
        let missed = self.told.map(|told| usize::try_from(ring.times - told).unwrap_or(usize::MAX));
        let quiet = match missed {
            None => 0,
            Some(0) => rung.version,
            // The first ring that it has not looked for.
            Some(n) => {
                let first = ring.before.len().checked_sub(n);
                first.and_then(|at| ring.before.get(at).copied()).unwrap_or(0)
            }
        };
        Heard { times: ring.times, quiet }
    }

    /// All that was there is told, after it had heard that.
    pub fn all_told(&mut self, heard: Heard) {
        self.told = Some(heard.times);
    }

    /// Waits for a change that is not known.
    pub async fn changed(&mut self) {
        let notify = Arc::clone(&self.notify);
        loop {
            let waits = notify.notified();
            tokio::pin!(waits);
            waits.as_mut().enable();
            let times = self.bell.rung().kinds.get(self.kind).map_or(0, |r| r.times);
            if times != self.heard {
                self.heard = times;
                return;
            }
            waits.await;
        }
    }
}

impl Bell {
    pub(super) fn new(world: &World) -> Self {
        let (version, faults) = (world.store.version(), world.faults.clone());
        Self(Mutex::new(Rung { version, faults, kinds: BTreeMap::new() }))
    }

    fn rung(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listen(self: &Arc<Self>, kind: &'static Kind) -> Changes {
        let mut rung = self.rung();
        let ring = rung.kinds.entry(kind.id).or_default();
        let (notify, heard) = (Arc::clone(&ring.notify), ring.times);
        Changes { bell: Arc::clone(self), kind: kind.id, notify, heard, told: None }
    }

    /// Whom the world's changes since it rang last are for; they are woken once it is free.
    pub(super) fn ring(&self, world: &World) -> Vec<Arc<Notify>> {
        let mut rung = self.rung();
        let version = world.store.version();
        // Watches feel faults at once.
        let other = rung.faults != world.faults;
        if version == rung.version && !other {
            return Vec::new();
        }
        if other {
            rung.faults.clone_from(&world.faults);
        }
        let before = std::mem::replace(&mut rung.version, version);
        let touched = world.store.since(before).filter(|_| !other);
        let touched: Option<BTreeSet<&str>> =
            touched.map(|all| all.map(|c| c.key.kind.id).collect());
        let theirs = |id: &str| touched.as_ref().is_none_or(|touched| touched.contains(id));
        let rings = rung.kinds.iter_mut().filter(|(id, _)| theirs(id));
        let rings = rings.map(|(_, ring)| {
            ring.times += 1;
            // More of them than changes are remembered help nobody.
            if ring.before.len() == HISTORY {
                ring.before.pop_front();
            }
            ring.before.push_back(before);
            Arc::clone(&ring.notify)
        });
        rings.collect()
    }
}
