//! What containers wrote; it lies in the world's console.

use super::super::object::{PODS, get, list, text, uid};
use crate::lab::World;
use serde_json::Value;

/// A container writes a line.
pub fn say(world: &mut World, namespace: &str, pod: &str, container: &str, line: &str) {
    if let Some(pod) = get(world, PODS, namespace, pod) {
        world.console.say(world.now, uid(&pod), container, line);
    }
}

/// The container starts anew.
pub(super) fn turn(world: &mut World, pod: &Value, container: &str) {
    world.console.restarted(uid(pod), container);
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
    let pod = get(world, PODS, namespace, pod)?;
    let all = list(&pod["spec"]["initContainers"]).iter().chain(list(&pod["spec"]["containers"]));
    { all }.find(|c| text(&c["name"]) == container)?;
    let lines = if previous {
        world.console.previous(uid(&pod), container)?
    } else {
        world.console.lines(uid(&pod), container).1
    };
    Some(lines.iter().map(|line| format!("{}\n", line.text)).collect())
}
