//! Pods that were found running: their kubelets know them.

use super::super::object::{list, text, uid};
use super::super::{Role, soon};
use super::container::{Container, Ended, State, fate};
use super::{Run, Stage, admit, look, marked, voter};
use crate::event::Time;
use crate::lab::World;
use crate::lab::kube::Key;
use serde_json::Value;

/// Takes a pod over that has a node. One that is not well stays as it was found, since what
/// ails it is not known here; a voter is started again.
pub(in super::super) fn adopt(world: &mut World, key: &Key, pod: &Value) {
    let voter = voter::is(world, pod);
    let untold = list(&pod["status"]["containerStatuses"]).is_empty();
    match found(world, pod, voter) {
        Some(run) => {
            let ends = |c: &Container| matches!(c.state, State::Running { ends: Some(_), .. });
            if run.main.iter().any(ends) {
                soon(world, Role::Kubelet, key.clone());
            }
            world.control.runs.insert(key.clone(), run);
        }
        None if voter => {
            let run = admit(world, pod);
            world.control.runs.insert(key.clone(), run);
            look(world, key);
        }
        None if untold => look(world, key),
        None => {}
    }
    if marked(pod) || voter {
        look(world, key);
    }
}

fn found(world: &mut World, pod: &Value, voter: bool) -> Option<Run> {
    let told = |of: &str, name: &str| {
        list(&pod["status"][of]).iter().find(|s| text(&s["name"]) == name).cloned()
    };
    let time = |v: &Value| text(v).parse::<Time>().ok();
    let mut main = Vec::new();
    for container in list(&pod["spec"]["containers"]) {
        let status = told("containerStatuses", text(&container["name"]))?;
        let since = &status["state"]["running"]["startedAt"];
        let ready = status["ready"] == true;
        if !status["state"]["running"].is_object() || !(ready || voter) {
            return None;
        }
        let since = time(since).unwrap_or(world.now);
        let ends = fate(world, pod, false);
        let (name, image) = (text(&container["name"]), text(&container["image"]));
        let mut found = Container::running(name, image, since, ends, ready);
        let restarts = status["restartCount"].as_u64().unwrap_or(0);
        found.restarts = u32::try_from(restarts).unwrap_or(0);
        main.push(found);
    }
    let began = time(&pod["status"]["startTime"]).unwrap_or(world.now);
    let init = list(&pod["spec"]["initContainers"]).iter().map(|c| {
        let done = Ended { code: 0, reason: "Completed".into(), started: began, finished: began };
        let mut found = Container::new(text(&c["name"]), text(&c["image"]));
        found.state = State::Ended(done, None);
        found
    });
    let init = init.collect();
    let run = admit(world, pod);
    let uid = uid(pod).to_owned();
    Some(Run { uid, since: began, stage: Stage::Main, init, main, ..run })
}
