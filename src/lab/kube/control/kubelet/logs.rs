//! What containers wrote.

use super::super::object::{PODS, key, key_of};
use crate::event::Time;
use crate::lab::World;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Lines that are kept of one container.
const KEPT: usize = 500;

/// The lines of a container, and of the one that it replaced.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(in super::super) struct Log {
    current: VecDeque<(Time, String)>,
    previous: Option<VecDeque<(Time, String)>>,
}

/// A container writes a line.
pub fn say(world: &mut World, namespace: &str, pod: &str, container: &str, line: &str) {
    let now = world.now;
    let logs: &mut BTreeMap<String, Log> =
        world.control.logs.entry(key(PODS, namespace, pod)).or_default();
    let log = logs.entry(container.to_owned()).or_default();
    if log.current.len() == KEPT {
        log.current.pop_front();
    }
    log.current.push_back((now, line.to_owned()));
}

/// The container starts anew.
pub(super) fn turn(world: &mut World, pod: &Value, container: &str) {
    let Some(key) = key_of(pod) else { return };
    let logs = world.control.logs.entry(key).or_default();
    let log = logs.entry(container.to_owned()).or_default();
    log.previous = Some(std::mem::take(&mut log.current));
}

/// What a container wrote, or the one before it: lines that end in a newline each. None if
/// there is no such container or none before it.
#[must_use]
pub fn logs(
    world: &World,
    namespace: &str,
    pod: &str,
    container: &str,
    previous: bool,
) -> Option<String> {
    let key = key(PODS, namespace, pod);
    let run = world.control.runs.get(&key)?;
    run.init.iter().chain(&run.main).find(|c| c.name == container)?;
    let log = world.control.logs.get(&key).and_then(|logs| logs.get(container));
    let lines = match (log, previous) {
        (log, true) => log?.previous.as_ref()?,
        (Some(log), false) => &log.current,
        (None, false) => return Some(String::new()),
    };
    Some(lines.iter().map(|(_, line)| format!("{line}\n")).collect())
}
