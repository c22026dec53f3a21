//! What a change must not cost, whatever its runbook looks at: storage that was to be kept, and
//! Vault's quorum. It is looked up in the world itself, as no client can.

use crate::lab::kube::kind;
use crate::lab::{World, vault};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What there was as a change began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Storage behind volumes that were to be kept: whose claim's it was, by handle.
    kept: BTreeMap<String, String>,
    /// Vault had quorum.
    quorum: bool,
}

impl World {
    /// Remembers what there is: a change begins.
    pub fn take_stock(&mut self) {
        let there: BTreeSet<&str> = self.control.handles().collect();
        let volumes = kind("persistentvolumes").map(|kind| self.store.list(kind, None));
        let mut stock = Stock { quorum: vault::has_quorum(self), ..Stock::default() };
        for (_, volume) in volumes.into_iter().flatten() {
            let of = |at: &str| volume.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let handle = of("/spec/csi/volumeHandle");
            if of("/spec/persistentVolumeReclaimPolicy") == "Retain" && there.contains(handle) {
                let (space, name) = (of("/spec/claimRef/namespace"), of("/spec/claimRef/name"));
                stock.kept.insert(handle.to_owned(), format!("{space}/{name}"));
            }
        }
        self.stock = stock;
    }

    /// What there was and is no more, in words.
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        let there: BTreeSet<&str> = self.control.handles().collect();
        let gone = self.stock.kept.iter().filter(|(handle, _)| !there.contains(handle.as_str()));
        let gone = gone.map(|(handle, claim)| {
            format!("the storage of {claim}, which was to be kept, is gone: {handle}")
        });
        let quorum = self.stock.quorum && !vault::has_quorum(self);
        gone.chain(quorum.then(|| "Vault has no quorum any more".to_owned())).collect()
    }
}
