//! Objects as the real server prints them for kubectl.

use super::columns;
use super::form::{self, Include};
use crate::event::Time;
use crate::lab::kube::Kind;
use serde_json::{Value, json};

const NONE: &str = "<none>";

/// Definitions of a kind's columns.
pub fn columns(kind: &Kind) -> Value {
    let column = |(name, what, format, priority): &columns::Column| json!({"name": name, "type": what, "format": format, "description": "", "priority": priority});
    columns::of(kind).iter().map(column).collect()
}

/// A table.
pub fn table(version: &Value, columns: Value, rows: Value) -> Value {
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version}, "columnDefinitions": columns, "rows": rows,
    })
}

/// A row of it.
pub fn row(now: Time, kind: &Kind, object: &Value, include: Include) -> Value {
    let with = match include {
        Include::Nothing
            if object["metadata"]["annotations"]["k8s.io/initial-events-end"].is_null() =>
        {
            Value::Null
        }
        Include::Nothing | Include::Metadata => form::metadata(object),
        Include::Object => object.clone(),
    };
    json!({"cells": cells(now, kind, object), "object": with})
}

fn cells(now: Time, kind: &Kind, o: &Value) -> Value {
    let (name, spec, status) = (text(&o["metadata"]["name"]), &o["spec"], &o["status"]);
    let age = ago(now, &o["metadata"]["creationTimestamp"]);
    match kind.id {
        "pods" => super::pod_cells::cells(now, o, &name, &age),
        "persistentvolumeclaims" => {
            let phase = phase(o);
            let bound = !text(&spec["volumeName"]).is_empty();
            let size = if bound { text(&status["capacity"]["storage"]) } else { String::new() };
            let modes = if bound { modes(&status["accessModes"]) } else { String::new() };
            json!([
                name,
                phase,
                spec["volumeName"].as_str().unwrap_or_default(),
                size,
                modes,
                spec["storageClassName"].as_str().unwrap_or_default(),
                "<unset>",
                age,
                or(&spec["volumeMode"], "<unset>")
            ])
        }
        "persistentvolumes" => {
            let claim = &spec["claimRef"];
            let claim = if claim.is_object() {
                format!("{}/{}", text(&claim["namespace"]), text(&claim["name"]))
            } else {
                String::new()
            };
            json!([
                name,
                text(&spec["capacity"]["storage"]),
                modes(&spec["accessModes"]),
                text(&spec["persistentVolumeReclaimPolicy"]),
                phase(o),
                claim,
                text(&spec["storageClassName"]),
                "<unset>",
                text(&status["reason"]),
                age,
                or(&spec["volumeMode"], "<unset>")
            ])
        }
        "namespaces" => json!([name, phase(o), age]),
        "storageclasses.storage.k8s.io" => class(o, &name, &age),
        "nodes" => node(o, &name, &age),
        "events" => event(now, o, &name),
        "services" => service(o, &name, &age),
        "jobs.batch" => job(now, o, &name, &age),
        "secrets" => json!([name, text(&o["type"]), count(&o["data"]), age]),
        "configmaps" => json!([name, count(&o["data"]) + count(&o["binaryData"]), age]),
        "serviceaccounts" => json!([name, o["secrets"].as_array().map_or(0, Vec::len), age]),
        _ => of_groups(now, kind, o, &name, &age),
    }
}

fn of_groups(now: Time, kind: &Kind, o: &Value, name: &str, age: &str) -> Value {
    let (spec, status) = (&o["spec"], &o["status"]);
    match kind.id {
        "statefulsets.apps" => {
            let (names, images) = containers(&spec["template"]["spec"]);
            let ready = format!("{}/{}", int(&status["readyReplicas"]), int(&spec["replicas"]));
            json!([name, ready, age, names, images])
        }
        "deployments.apps" => {
            let (names, images) = containers(&spec["template"]["spec"]);
            let ready = format!("{}/{}", int(&status["readyReplicas"]), int(&spec["replicas"]));
            json!([
                name,
                ready,
                int(&status["updatedReplicas"]),
                int(&status["availableReplicas"]),
                age,
                names,
                images,
                selector(&spec["selector"]["matchLabels"])
            ])
        }
        "replicasets.apps" => {
            let (names, images) = containers(&spec["template"]["spec"]);
            json!([
                name,
                int(&spec["replicas"]),
                int(&status["replicas"]),
                int(&status["readyReplicas"]),
                age,
                names,
                images,
                selector(&spec["selector"]["matchLabels"])
            ])
        }
        "controllerrevisions.apps" => revision(o, name, age),
        "volumeattachments.storage.k8s.io" => json!([
            name,
            text(&spec["attacher"]),
            text(&spec["source"]["persistentVolumeName"]),
            text(&spec["nodeName"]),
            status["attached"] == json!(true),
            age
        ]),
        "csinodes.storage.k8s.io" => {
            json!([name, spec["drivers"].as_array().map_or(0, Vec::len), age])
        }
        "cronjobs.batch" => cronjob(now, o, name, age),
        "leases.coordination.k8s.io" => json!([name, text(&spec["holderIdentity"]), age]),
        _ => json!([name, age]),
    }
}

pub fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

fn or(v: &Value, other: &str) -> String {
    v.as_str().filter(|t| !t.is_empty()).unwrap_or(other).to_owned()
}

pub fn int(v: &Value) -> i64 {
    v.as_i64().unwrap_or(0)
}

fn count(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn phase(o: &Value) -> String {
    let gone = !o["metadata"]["deletionTimestamp"].is_null();
    if gone { "Terminating".to_owned() } else { text(&o["status"]["phase"]) }
}

fn modes(list: &Value) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    list.as_array().into_iter().flatten().map(short).collect::<Vec<_>>().join(",")
}

fn containers(spec: &Value) -> (String, String) {
    let each = |field: &str| {
        let list = spec["containers"].as_array().into_iter().flatten();
        list.map(|c| text(&c[field])).collect::<Vec<_>>().join(",")
    };
    (each("name"), each("image"))
}

fn selector(labels: &Value) -> String {
    let pairs: Vec<String> =
        labels.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", text(v))).collect();
    if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") }
}

fn cronjob(now: Time, o: &Value, name: &str, age: &str) -> Value {
    let (spec, status) = (&o["spec"], &o["status"]);
    let (names, images) = containers(&spec["jobTemplate"]["spec"]["template"]["spec"]);
    let last = if status["lastScheduleTime"].is_null() {
        NONE.to_owned()
    } else {
        ago(now, &status["lastScheduleTime"])
    };
    let suspended = if spec["suspend"] == json!(true) { "True" } else { "False" };
    json!([
        name,
        text(&spec["schedule"]),
        or(&spec["timeZone"], NONE),
        suspended,
        status["active"].as_array().map_or(0, Vec::len),
        last,
        age,
        names,
        images,
        NONE
    ])
}

fn revision(o: &Value, name: &str, age: &str) -> Value {
    let owner = &o["metadata"]["ownerReferences"][0];
    let who = if owner.is_null() {
        NONE.to_owned()
    } else {
        format!("{}.apps/{}", text(&owner["kind"]).to_lowercase(), text(&owner["name"]))
    };
    json!([name, who, int(&o["revision"]), age])
}

fn class(o: &Value, name: &str, age: &str) -> Value {
    let mark = "storageclass.kubernetes.io/is-default-class";
    let default = o["metadata"]["annotations"][mark] == json!("true");
    let name = if default { format!("{name} (default)") } else { name.to_owned() };
    let (policy, mode) =
        (or(&o["reclaimPolicy"], "Delete"), or(&o["volumeBindingMode"], "Immediate"));
    json!([
        name,
        text(&o["provisioner"]),
        policy,
        mode,
        o["allowVolumeExpansion"] == json!(true),
        age
    ])
}

fn node(o: &Value, name: &str, age: &str) -> Value {
    let info = &o["status"]["nodeInfo"];
    let conditions = o["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|c| c["type"] == json!("Ready"));
    let mut status = match ready.map(|c| text(&c["status"])).as_deref() {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if o["spec"]["unschedulable"] == json!(true) {
        status.push_str(",SchedulingDisabled");
    }
    let roles: Vec<&str> = o["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let roles = if roles.is_empty() { NONE.to_owned() } else { roles.join(",") };
    let address = |what: &str| {
        let mut list = o["status"]["addresses"].as_array().into_iter().flatten();
        list.find(|a| a["type"] == json!(what)).map_or(NONE.to_owned(), |a| text(&a["address"]))
    };
    json!([
        name,
        status,
        roles,
        age,
        text(&info["kubeletVersion"]),
        address("InternalIP"),
        address("ExternalIP"),
        or(&info["osImage"], "<unknown>"),
        or(&info["kernelVersion"], "<unknown>"),
        or(&info["containerRuntimeVersion"], "<unknown>")
    ])
}

fn event(now: Time, o: &Value, name: &str) -> Value {
    let about = &o["involvedObject"];
    let what = format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"]));
    let first = ago(now, &o["firstTimestamp"]);
    let last =
        if o["lastTimestamp"].is_null() { first.clone() } else { ago(now, &o["lastTimestamp"]) };
    let count = int(&o["count"]);
    let seen = if count > 1 { format!("{last} (x{count} over {first})") } else { last };
    let source = match (text(&o["source"]["component"]), text(&o["source"]["host"])) {
        (component, host) if host.is_empty() => component,
        (component, host) => format!("{component}, {host}"),
    };
    json!([
        seen,
        text(&o["type"]),
        text(&o["reason"]),
        what,
        text(&about["fieldPath"]),
        source,
        text(&o["message"]).trim(),
        first,
        count.max(1),
        name
    ])
}

fn service(o: &Value, name: &str, age: &str) -> Value {
    let spec = &o["spec"];
    let port = |p: &Value| {
        let node = p["nodePort"].as_i64().map(|n| format!(":{n}")).unwrap_or_default();
        format!("{}{node}/{}", int(&p["port"]), text(&p["protocol"]))
    };
    let ports: Vec<String> = spec["ports"].as_array().into_iter().flatten().map(port).collect();
    let ports = if ports.is_empty() { NONE.to_owned() } else { ports.join(",") };
    json!([
        name,
        text(&spec["type"]),
        or(&spec["clusterIP"], NONE),
        NONE,
        ports,
        age,
        selector(&spec["selector"])
    ])
}

fn job(now: Time, o: &Value, name: &str, age: &str) -> Value {
    let (spec, status) = (&o["spec"], &o["status"]);
    let has = |what: &str| {
        let mut list = status["conditions"].as_array().into_iter().flatten();
        list.any(|c| c["type"] == json!(what) && c["status"] == json!("True"))
    };
    let state =
        ["Complete", "Failed", "Suspended"].into_iter().find(|w| has(w)).unwrap_or("Running");
    let done =
        format!("{}/{}", int(&status["succeeded"]), spec["completions"].as_i64().unwrap_or(1));
    let end = at(&status["completionTime"]).unwrap_or(now);
    let took = at(&status["startTime"]).map(|start| duration(end.0 - start.0)).unwrap_or_default();
    let (names, images) = containers(&spec["template"]["spec"]);
    json!([name, state, done, took, age, names, images, selector(&spec["selector"]["matchLabels"])])
}

/// A time that Kubernetes wrote.
pub fn at(v: &Value) -> Option<Time> {
    let at: jiff::Timestamp = v.as_str()?.parse().ok()?;
    Some(Time(at.as_millisecond()))
}

/// How long ago that was.
pub fn ago(now: Time, then: &Value) -> String {
    at(then).map_or_else(|| "<unknown>".to_owned(), |then| duration(now.0 - then.0))
}

/// Milliseconds as kubectl prints ages.
fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1000);
    let pair = |a: i64, x: &str, b: i64, y: &str| {
        if b == 0 { format!("{a}{x}") } else { format!("{a}{x}{b}{y}") }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(hours / 24, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => pair(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ages_are_printed_as_kubectl_does() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (244, "4m4s"),
            (600, "10m"),
            (3 * 3600, "3h"),
            (5 * 3600 + 60, "5h1m"),
            (30 * 3600, "30h"),
            (3 * 86_400 + 7200, "3d2h"),
            (9 * 86_400, "9d"),
            (800 * 86_400, "2y70d"),
        ] {
            assert_eq!(super::duration(seconds * 1000), text);
        }
    }
}
