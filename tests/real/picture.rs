//! Everything that is compared of two clusters.

use crate::site::{Site, http};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

pub fn same(a: &Site, b: &Site, after: &str) -> Result<(), String> {
    same_within(a, b, after, Duration::from_secs(60))
}

/// Compares until both are the same: controllers need their time.
pub fn same_within(a: &Site, b: &Site, after: &str, patience: Duration) -> Result<(), String> {
    let end = Instant::now() + patience;
    loop {
        let (left, right) = (picture(a), picture(b));
        if left == right {
            return Ok(());
        }
        if Instant::now() > end {
            let only = |x: &BTreeMap<String, Value>, y: &BTreeMap<String, Value>| -> String {
                x.iter()
                    .filter(|(k, v)| y.get(*k) != Some(v))
                    .map(|(k, v)| format!("{k} {v}\n"))
                    .collect()
            };
            return Err(format!(
                "after {after}: native has\n{}\nthe twin has\n{}",
                only(&left, &right),
                only(&right, &left)
            ));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Kinds that servers write by themselves, for themselves.
const NOT_COMPARED: &[&str] = &[
    // What happened, in words, with times.
    "events",
    "events.events.k8s.io",
    // Heartbeats of processes.
    "leases.coordination.k8s.io",
    // Addresses of the API server itself: its port is the site's.
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "componentstatuses",
    "services",
    "ipaddresses.networking.k8s.io",
];

/// Fields that differ between any two clusters, or that the scheduler or a server picks.
const GENERATED: &[&str] = &[
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "time",
    "status",
    // The scheduler's choice among equals.
    "nodeName",
    "volume.kubernetes.io/selected-node",
    // Certificates and keys made for each site.
    "ca.crt",
    "encryption-passphrase",
    "unseal-key",
    "client-ca-file",
    "requestheader-client-ca-file",
];

/// All objects, raft's configuration and the values in Vault, without what is generated.
fn picture(site: &Site) -> BTreeMap<String, Value> {
    let kinds = site.kubectl(&["api-resources", "--verbs=list", "-o", "name"]);
    let kinds: Vec<_> = kinds.lines().filter(|k| !NOT_COMPARED.contains(k)).collect();
    let list = site.json(&["get", &kinds.join(","), "-A", "--show-managed-fields"]);
    let objects = list["items"].as_array().unwrap();
    let of = |o: &Value, field: &str| o["metadata"][field].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<(String, String)> = objects
        .iter()
        .map(|o| {
            let kind = o["kind"].as_str().unwrap_or_default();
            (of(o, "uid"), format!("<{kind} {}/{}>", of(o, "namespace"), of(o, "name")))
        })
        .collect();
    names.push((site.dir.display().to_string(), "<dir>".into()));
    let mut tidied: Vec<(String, Value)> = objects
        .iter()
        .map(|object| {
            let mut object = object.clone();
            tidy(&mut object, &names);
            let kind = object["kind"].as_str().unwrap_or_default();
            (format!("{kind} {}/{}", of(&object, "namespace"), of(&object, "name")), object)
        })
        .collect();
    // Released volumes of claims that are gone have no name of their own left, and the
    // server lists them by UID: their content gives the order.
    tidied.sort_by_cached_key(|(key, object)| (key.clone(), object.to_string()));
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for (key, object) in tidied {
        let nth = (0..).find(|n| !seen.contains_key(&format!("{key}#{n}"))).unwrap();
        seen.insert(format!("{key}#{nth}"), object);
    }
    seen.insert("raft".into(), raft(site));
    seen.insert("kv".into(), kv(site));
    seen
}

/// Takes generated fields away and gives UIDs the names of what they belong to.
fn tidy(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::Object(map) => {
            map.retain(|k, _| !GENERATED.contains(&k.as_str()));
            if let Some(at) = map.get_mut("deletionTimestamp") {
                *at = json!("set");
            }
            // The StatefulSet controller adds a pod's claims in the order of a Go map.
            if let Some(Value::Array(volumes)) = map.get_mut("volumes") {
                volumes.sort_by_key(|v| v["name"].to_string());
            }
            let old = std::mem::replace(map, Map::new());
            for (key, mut v) in old {
                tidy(&mut v, names);
                map.insert(named(&key, names), v);
            }
        }
        Value::Array(list) => {
            // Who wrote a status goes with the status: the scheduler writes one only when it
            // came before a claim was bound.
            list.retain(|v| v["subresource"] != "status");
            list.iter_mut().for_each(|v| tidy(v, names));
            // Order in which managers came is chance where two write at once.
            if list.iter().all(|v| v.get("manager").is_some()) {
                list.sort_by_key(Value::to_string);
            }
        }
        Value::String(text) => *text = named(text, names),
        _ => {}
    }
}

fn named(text: &str, names: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (uid, name) in names {
        if !uid.is_empty() && text.contains(uid.as_str()) {
            text = text.replace(uid.as_str(), name);
        }
    }
    without_uids(&text)
}

/// UIDs of what is gone.
fn without_uids(text: &str) -> String {
    let shape = |s: &[u8]| {
        s.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.len() >= 36 && shape(&rest.as_bytes()[..36]) {
            out.push_str("<gone>");
            rest = &rest[36..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Who is a peer and votes. Who leads, and at which port, is each site's own.
fn raft(site: &Site) -> Value {
    for (_, address) in site.voters() {
        let url = format!("{address}/v1/sys/storage/raft/configuration");
        let (code, body) = http("GET", &url, Some(&site.token()), "");
        if code == 200 {
            let body: Value = serde_json::from_str(&body).unwrap();
            let servers = body["data"]["config"]["servers"].as_array().unwrap();
            let rows: BTreeSet<_> =
                servers.iter().map(|s| format!("{} {}", s["node_id"], s["voter"])).collect();
            return json!(rows);
        }
    }
    Value::Null
}

pub fn kv(site: &Site) -> Value {
    let read = |n: i32| {
        site.voters().iter().find_map(|(_, address)| {
            let (code, body) =
                http("GET", &format!("{address}/v1/kv/data/kept/{n}"), Some(&site.token()), "");
            let body: Value = serde_json::from_str(&body).ok()?;
            (code == 200).then(|| body["data"]["data"].clone())
        })
    };
    (0..5).map(|n| read(n).unwrap_or_default()).collect()
}
