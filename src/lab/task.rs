//! What is going to happen in a world, as data, so that it can be written down.

use crate::lab::World;
use crate::lab::kube::control;
use crate::lab::vault;
use serde::{Deserialize, Serialize};

/// Something that is due at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// A controller's, kubelet's or provisioner's.
    Kube(control::Task),
    /// A voter's.
    Vault(vault::Task),
}

impl Task {
    pub(super) fn run(self, world: &mut World) {
        match self {
            Self::Kube(task) => control::run(world, task),
            Self::Vault(task) => vault::run(world, task),
        }
    }
}
