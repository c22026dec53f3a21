//! Those who act on objects by themselves.

use super::Touched;
use crate::lab::World;
use serde::{Deserialize, Serialize};

/// Something that one of them does later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {}

/// Something is due.
pub fn run(_world: &mut World, task: Task) {
    match task {}
}

/// Something changed.
pub fn look(world: &mut World, touched: &Touched) {
    super::gc::look(world, touched);
}
