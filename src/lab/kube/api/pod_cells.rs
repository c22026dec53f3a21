//! A pod's row, whose status is a story of its own.

use super::table::{ago, at, int, text};
use crate::event::Time;
use serde_json::{Value, json};

const NONE: &str = "<none>";

/// The cells, as the real server's `printPod` makes them.
pub fn cells(now: Time, o: &Value, name: &str, age: &str) -> Value {
    let statuses: Vec<&Value> =
        o["status"]["containerStatuses"].as_array().into_iter().flatten().collect();
    let total = o["spec"]["containers"].as_array().map_or(0, Vec::len);
    let running = |s: &&&Value| s["ready"] == json!(true) && s["state"]["running"].is_object();
    let ready = statuses.iter().filter(running).count();
    let restarts: i64 = statuses.iter().map(|s| int(&s["restartCount"])).sum();
    let ended = statuses
        .iter()
        .filter_map(|s| at(&s["lastState"]["terminated"]["finishedAt"]))
        .max_by_key(|t| t.0);
    let restarts = match ended {
        Some(ended) if restarts != 0 => {
            let ended = json!(crate::lab::kube::store::stamp(ended));
            format!("{restarts} ({} ago)", ago(now, &ended))
        }
        _ => restarts.to_string(),
    };
    let or_none = |v: &Value| v.as_str().filter(|t| !t.is_empty()).unwrap_or(NONE).to_owned();
    json!([
        name,
        format!("{ready}/{total}"),
        status(o, &statuses),
        restarts,
        age,
        or_none(&o["status"]["podIP"]),
        or_none(&o["spec"]["nodeName"]),
        or_none(&o["status"]["nominatedNodeName"]),
        NONE
    ])
}

fn status(o: &Value, statuses: &[&Value]) -> String {
    let mut reason = text(&o["status"]["phase"]);
    let said = text(&o["status"]["reason"]);
    if !said.is_empty() {
        reason.clone_from(&said);
    }
    let gated = o["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|c| c["type"] == json!("PodScheduled") && c["reason"] == json!("SchedulingGated"));
    if gated {
        reason = "SchedulingGated".into();
    }
    match initialising(o) {
        Some(init) => reason = init,
        None => containers(statuses, o, &mut reason),
    }
    if o["metadata"]["deletionTimestamp"].is_null() {
        return reason;
    }
    let over = matches!(o["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    match said.as_str() {
        "NodeLost" => "Unknown".into(),
        _ if over => reason,
        _ => "Terminating".into(),
    }
}

fn initialising(o: &Value) -> Option<String> {
    let list = o["status"]["initContainerStatuses"].as_array()?;
    let total = o["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    for (i, s) in list.iter().enumerate() {
        let (ended, waits) = (&s["state"]["terminated"], &s["state"]["waiting"]);
        if ended.is_object() && int(&ended["exitCode"]) == 0 {
            continue;
        }
        return Some(if ended.is_object() {
            match text(&ended["reason"]).as_str() {
                "" => format!("Init:ExitCode:{}", int(&ended["exitCode"])),
                reason => format!("Init:{reason}"),
            }
        } else {
            match text(&waits["reason"]).as_str() {
                "" | "PodInitializing" => format!("Init:{i}/{total}"),
                reason => format!("Init:{reason}"),
            }
        });
    }
    None
}

fn containers(statuses: &[&Value], o: &Value, reason: &mut String) {
    let mut any_running = false;
    for s in statuses.iter().rev() {
        let (waits, ended) = (text(&s["state"]["waiting"]["reason"]), &s["state"]["terminated"]);
        if !waits.is_empty() {
            *reason = waits;
        } else if ended.is_object() {
            *reason = match text(&ended["reason"]).as_str() {
                "" => format!("ExitCode:{}", int(&ended["exitCode"])),
                said => said.to_owned(),
            };
        } else if s["ready"] == json!(true) && s["state"]["running"].is_object() {
            any_running = true;
        }
    }
    if reason == "Completed" && any_running {
        let ready = o["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|c| c["type"] == json!("Ready") && c["status"] == json!("True"));
        *reason = if ready { "Running".into() } else { "NotReady".into() };
    }
}
