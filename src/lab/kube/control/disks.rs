//! What lies behind volumes: it outlives them where they are retained.

use crate::event::Time;
use crate::lab::World;
use serde::{Deserialize, Serialize};

/// The storage behind a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `region/zone/storage/vm-9999-pvc-<uuid>`, or what an NFS driver calls it.
    pub handle: String,
    /// Bytes.
    pub bytes: u64,
    /// The class that it was made by.
    pub class: String,
    /// When.
    pub made: Time,
    /// The pods' group may write to it.
    pub shared: bool,
}

impl World {
    /// Everything that was provisioned and not taken away, by handle.
    pub fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.control.disks.values()
    }
}

impl super::Control {
    /// The handle of each of them.
    pub(in crate::lab) fn handles(&self) -> impl Iterator<Item = &str> {
        self.disks.keys().map(String::as_str)
    }
}

/// A disk was provisioned.
pub(super) fn make(world: &mut World, disk: Disk) {
    world.control.disks.insert(disk.handle.clone(), disk);
}

/// Its volume was deleted, and it too.
pub(super) fn take(world: &mut World, handle: &str) {
    world.control.disks.remove(handle);
}

/// Mounted for a group; whether that group may write.
pub(super) fn mount(world: &mut World, handle: &str, group: bool) -> bool {
    match world.control.disks.get_mut(handle) {
        Some(disk) => {
            disk.shared |= group;
            disk.shared
        }
        None => group,
    }
}
