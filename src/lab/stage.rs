//! Where the faults of a world act: what of the site the change is about.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the change is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The namespace of Vault's pods, claims and backups.
    pub namespace: String,
    /// The manifest with the new class, on the lab's machine.
    pub manifest: PathBuf,
    /// The Secret with the unseal key, in that namespace.
    pub unseal_secret: String,
    /// A class that a manifest should not name.
    pub wrong_class: String,
    /// Namespace and name of the Lease that runs on this cluster hold.
    #[serde(default = "lease")]
    pub lease: (String, String),
    /// The item that the change is at just now: where leadership goes that is to get in its way.
    #[serde(default)]
    pub turn: Option<String>,
    /// What a fault changed, as it was before, by the fault's name.
    #[serde(default)]
    pub before: BTreeMap<String, Value>,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            namespace: "vault".into(),
            manifest: crate::lab::site::MANIFEST.into(),
            unseal_secret: "vault-unseal-key".into(),
            wrong_class: "proxmox-lvm".into(),
            lease: lease(),
            turn: None,
            before: BTreeMap::new(),
        }
    }
}

/// Where it lies if a site file says nothing.
fn lease() -> (String, String) {
    ("kube-system".into(), "holdpoint".into())
}
