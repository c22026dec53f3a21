//! What the kubelet reports of a pod.

use super::super::object::{NODES, get, list, report, text};
use super::container::{Container, Ended, State};
use super::{Run, Stage, full_name};
use crate::event::Time;
use crate::lab::World;
use crate::lab::kube::Key;
use crate::lab::kube::store::stamp;
use serde_json::{Value, json};

/// Writes the pod's status, if it is another now.
pub(super) fn write(world: &mut World, key: &Key, pod: &Value, run: &Run) {
    let now = world.now;
    let host = get(world, NODES, "", &run.node).map_or_else(String::new, |node| {
        let addresses = list(&node["status"]["addresses"]).iter();
        let mut internal = addresses.filter(|a| a["type"] == "InternalIP");
        internal.next().map(|a| text(&a["address"]).to_owned()).unwrap_or_default()
    });
    report(world, key, |p| {
        p["status"]["phase"] = json!(phase(run));
        conditions(p, run, now);
        p["status"]["startTime"] = json!(stamp(run.since));
        if !host.is_empty() {
            p["status"]["hostIP"] = json!(host);
            p["status"]["hostIPs"] = json!([{"ip": host}]);
        }
        // The sandbox has its address when the volumes are there.
        if run.stage != Stage::Mounting {
            p["status"]["podIP"] = json!(run.ip);
            p["status"]["podIPs"] = json!([{"ip": run.ip}]);
        }
        let init: Vec<Value> = run.init.iter().map(|c| container(pod, c, true, run)).collect();
        if !init.is_empty() {
            p["status"]["initContainerStatuses"] = json!(init);
        }
        let main: Vec<Value> = run.main.iter().map(|c| container(pod, c, false, run)).collect();
        p["status"]["containerStatuses"] = json!(main);
    });
}

fn phase(run: &Run) -> &'static str {
    let mut codes = Vec::new();
    let mut began = false;
    for container in &run.main {
        match &container.state {
            State::Ended(how, None) => codes.push(how.code),
            State::Waiting | State::Creating(_) if container.restarts == 0 => {}
            _ => began = true,
        }
    }
    if run.over.is_some() && codes.is_empty() {
        // It never ran, and never will.
        return "Failed";
    }
    let failed_init =
        run.init.iter().any(|c| matches!(&c.state, State::Ended(how, None) if how.code != 0));
    match codes.len() {
        _ if failed_init => "Failed",
        n if n == run.main.len() || run.over.is_some() => {
            if codes.iter().all(|code| *code == 0) {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        0 if !began => "Pending",
        _ => "Running",
    }
}

/// Sets a condition; its time is that of its last change.
pub(in super::super) fn set_condition(
    object: &mut Value,
    kind: &str,
    holds: bool,
    why: Option<(&str, &str)>,
    now: Time,
) {
    let status = if holds { "True" } else { "False" };
    let all = &mut object["status"]["conditions"];
    if !all.is_array() {
        *all = json!([]);
    }
    let Some(all) = all.as_array_mut() else { return };
    let at = all.iter().position(|c| c["type"] == kind);
    let as_before = at.map(|at| &all[at]).filter(|c| c["status"] == status);
    let (reason, message) = why.unzip();
    let message = message.filter(|m| !m.is_empty());
    let told = |c: &Value| c["reason"].as_str() == reason && c["message"].as_str() == message;
    if as_before.is_some_and(told) {
        return;
    }
    let since = match as_before {
        Some(before) => before["lastTransitionTime"].clone(),
        None => json!(stamp(now)),
    };
    let mut condition = json!({
        "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since,
    });
    if let Some(reason) = reason {
        condition["reason"] = json!(reason);
    }
    if let Some(message) = message {
        condition["message"] = json!(message);
    }
    match at {
        Some(at) => all[at] = condition,
        None => all.push(condition),
    }
}

fn conditions(pod: &mut Value, run: &Run, now: Time) {
    let sandbox = run.stage != Stage::Mounting && run.over.is_none();
    set_condition(pod, "PodReadyToStartContainers", sandbox, None, now);
    let names = |all: &[Container], of: &dyn Fn(&Container) -> bool| {
        all.iter().filter(|c| of(c)).map(|c| c.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    let undone = names(&run.init, &|c| !c.succeeded());
    let said = format!("containers with incomplete status: [{undone}]");
    let why = (!undone.is_empty()).then_some(("ContainersNotInitialized", said.as_str()));
    set_condition(pod, "Initialized", undone.is_empty(), why, now);
    let unready = names(&run.main, &|c| !c.ready);
    let said = format!("containers with unready status: [{unready}]");
    let why = match phase(run) {
        "Succeeded" => Some(("PodCompleted", "")),
        "Failed" => Some(("PodFailed", "")),
        _ if !unready.is_empty() => Some(("ContainersNotReady", said.as_str())),
        _ => None,
    };
    set_condition(pod, "Ready", why.is_none(), why, now);
    set_condition(pod, "ContainersReady", why.is_none(), why, now);
    set_condition(pod, "PodScheduled", true, None, now);
}

fn container(pod: &Value, container: &Container, init: bool, run: &Run) -> Value {
    let running = matches!(container.state, State::Running { .. });
    let id = format!("containerd://{}-{}-{}", run.uid, container.name, container.restarts);
    let reason = if !init && run.stage != Stage::Main && !run.init.is_empty() {
        "PodInitializing"
    } else {
        "ContainerCreating"
    };
    let waiting = || json!({"waiting": {"reason": reason}});
    let state = match &container.state {
        State::Waiting => waiting(),
        // Until the next one runs, the one before is what there is.
        State::Creating(_) => match &container.last {
            Some(last) => ended(last, &id),
            None => waiting(),
        },
        State::Running { since, .. } => json!({"running": {"startedAt": stamp(*since)}}),
        State::Ended(how, _) => ended(how, &id),
        State::BackOff(_) => json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!(
                "back-off {} restarting failed container={} pod={}",
                spell(container.backing_off()), container.name, full_name(pod)
            ),
        }}),
    };
    let last = container.last.as_ref().map_or_else(|| json!({}), |last| ended(last, &id));
    let mut status = json!({
        "name": container.name, "image": container.image, "imageID": container.image,
        "ready": if init { container.succeeded() } else { running && container.ready },
        "restartCount": container.restarts, "started": running, "state": state, "lastState": last,
    });
    if running || container.last.is_some() || matches!(container.state, State::Ended(..)) {
        status["containerID"] = json!(id);
    }
    status
}

fn ended(how: &Ended, id: &str) -> Value {
    json!({"terminated": {
        "exitCode": how.code, "reason": how.reason, "startedAt": stamp(how.started),
        "finishedAt": stamp(how.finished), "containerID": id,
    }})
}

/// Seconds as the kubelet writes them: `10s`, `1m20s`, `5m0s`.
fn spell(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        _ => format!("{}m{}s", seconds / 60, seconds % 60),
    }
}
