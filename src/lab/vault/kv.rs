//! The key-value engines, without and with versions.

use super::answer::{Ask, Verb};
use super::reply::{self, Reply};
use super::state::{Secret, Version};
use super::{mounts, raft, truth};
use crate::event::Time;
use crate::lab::World;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    let nothing = || {
        let says = format!("no handler for route \"{}\". route entry not found.", ask.path);
        reply::error(404, &says)
    };
    let Some((at, mount)) = mounts::engine(world, &ask.path) else { return nothing() };
    let inside = ask.path.get(at.len()..).unwrap_or_default().to_owned();
    match (mount.kind.as_str(), mount.version) {
        ("kv", 1) => plain(world, ask, &format!("{at}{inside}")),
        ("kv", _) => {
            let (what, path) = inside.split_once('/').unwrap_or((inside.as_str(), ""));
            versioned(world, ask, what, &format!("{at}{path}"))
        }
        _ => reply::listed(404, "unsupported path"),
    }
}

fn plain(world: &mut World, ask: &Ask, path: &str) -> Reply {
    match ask.verb {
        Verb::Read => {
            let found = truth::data(world).and_then(|d| d.plain.get(path).cloned());
            let Some(found) = found else { return reply::error(404, "") };
            let mut body = reply::envelope(world, &found, "kv", false);
            body.insert("lease_duration".into(), json!(mounts::MONTH));
            reply::json(200, &Value::Object(body))
        }
        Verb::List => {
            let keys = truth::data(world).map(|d| below(d.plain.keys(), path)).unwrap_or_default();
            keys_of(world, keys)
        }
        Verb::Write if ask.body.as_object().is_some_and(|b| !b.is_empty()) => {
            raft::write(world, |data| {
                data.plain.insert(path.to_owned(), ask.body.clone());
            });
            reply::done()
        }
        Verb::Write => reply::error(400, "missing data fields"),
        Verb::Delete => {
            raft::write(world, |data| {
                data.plain.remove(path);
            });
            reply::done()
        }
        Verb::Other => reply::error(405, ""),
    }
}

/// The next level below a path; what has more below ends in a slash.
fn below<'a>(paths: impl Iterator<Item = &'a String>, path: &str) -> BTreeSet<String> {
    let from = format!("{}/", path.trim_end_matches('/'));
    let next = |rest: &str| match rest.split_once('/') {
        Some((first, _)) => format!("{first}/"),
        None => rest.to_owned(),
    };
    paths.filter_map(|p| p.strip_prefix(&from)).map(next).collect()
}

fn keys_of(world: &mut World, keys: BTreeSet<String>) -> Reply {
    if keys.is_empty() {
        return reply::error(404, "");
    }
    reply::wrapped(world, &json!({"keys": keys}), "kv", false)
}

fn secret<'a>(world: &'a World, path: &str) -> Option<&'a Secret> {
    truth::data(world)?.versioned.get(path)
}

fn versioned(world: &mut World, ask: &Ask, what: &str, path: &str) -> Reply {
    match (what, ask.verb) {
        ("data", Verb::Read) => read(world, ask, path),
        ("data", Verb::Write) => write(world, ask, path),
        ("data", Verb::Delete) => {
            let now = world.now;
            change(world, path, |secret| {
                if let Some(last) = secret.versions.last_mut() {
                    last.deleted = Some(now);
                }
            })
        }
        ("metadata", Verb::List) => {
            let all = truth::data(world).map(|d| below(d.versioned.keys(), path));
            keys_of(world, all.unwrap_or_default())
        }
        ("metadata", Verb::Read) => metadata(world, path),
        ("metadata", Verb::Write) => {
            let custom = ask.body.get("custom_metadata").cloned();
            change(world, path, |secret| secret.custom = custom)
        }
        ("metadata", Verb::Delete) => {
            raft::write(world, |data| {
                data.versioned.remove(path);
            });
            reply::done()
        }
        ("delete", Verb::Write) => {
            let now = world.now;
            each(world, ask, path, |version| version.deleted = Some(now))
        }
        ("undelete", Verb::Write) => each(world, ask, path, |version| version.deleted = None),
        ("destroy", Verb::Write) => each(world, ask, path, |version| version.data = None),
        ("config", Verb::Read) => {
            let said =
                json!({"cas_required": false, "delete_version_after": "0s", "max_versions": 0});
            reply::wrapped(world, &said, "kv", false)
        }
        _ => {
            let mut body = reply::envelope(world, &Value::Null, "", false);
            let says = "Invalid path for a versioned K/V secrets engine. See the API docs for \
                        the appropriate API endpoints to use. If using the Vault CLI, use \
                        'vault kv get' for this operation.";
            body.insert("warnings".into(), json!([says]));
            reply::json(404, &Value::Object(body))
        }
    }
}

fn change(world: &mut World, path: &str, act: impl FnOnce(&mut Secret)) -> Reply {
    raft::write(world, |data| {
        if let Some(secret) = data.versioned.get_mut(path) {
            act(secret);
        }
    });
    reply::done()
}

fn each(world: &mut World, ask: &Ask, path: &str, act: impl Fn(&mut Version)) -> Reply {
    let named = ask.body.get("versions").and_then(Value::as_array).into_iter().flatten();
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    let numbers: BTreeSet<u64> = named.filter_map(number).collect();
    if numbers.is_empty() {
        return reply::error(400, "No version number provided");
    }
    change(world, path, |secret| {
        for (n, version) in (1..).zip(&mut secret.versions) {
            if numbers.contains(&n) {
                act(version);
            }
        }
    })
}

fn stated(number: usize, version: &Version, custom: Option<&Value>) -> Value {
    json!({
        "created_time": version.created, "custom_metadata": custom,
        "deletion_time": deleted(version), "destroyed": version.data.is_none(),
        "version": number,
    })
}

fn deleted(version: &Version) -> String {
    version.deleted.as_ref().map(Time::to_string).unwrap_or_default()
}

fn read(world: &mut World, ask: &Ask, path: &str) -> Reply {
    let asked = ask.query.get("version").and_then(|v| v.parse::<usize>().ok()).filter(|v| *v > 0);
    let Some(secret) = secret(world, path) else { return reply::error(404, "") };
    let number = asked.unwrap_or(secret.versions.len());
    let Some(version) = number.checked_sub(1).and_then(|n| secret.versions.get(n)).cloned() else {
        return reply::error(404, "");
    };
    let metadata = stated(number, &version, secret.custom.as_ref());
    let gone = version.deleted.is_some() || version.data.is_none();
    let data = if gone { Value::Null } else { version.data.unwrap_or_default() };
    let said = json!({"data": data, "metadata": metadata});
    let body = reply::envelope(world, &said, if gone { "" } else { "kv" }, false);
    reply::json(if gone { 404 } else { 200 }, &Value::Object(body))
}

fn write(world: &mut World, ask: &Ask, path: &str) -> Reply {
    let Some(value) = ask.body.get("data").filter(|d| d.is_object()) else {
        return reply::error(400, "no data provided");
    };
    let current = secret(world, path).map_or(0, |s| s.versions.len());
    let cas = ask.body.pointer("/options/cas").and_then(Value::as_u64);
    if cas.is_some_and(|cas| cas != current as u64) {
        let says = "check-and-set parameter did not match the current version";
        return reply::error(400, says);
    }
    let version = Version { data: Some(value.clone()), created: world.now, deleted: None };
    let said = stated(current + 1, &version, None);
    raft::write(world, |data| {
        data.versioned.entry(path.to_owned()).or_default().versions.push(version);
    });
    reply::wrapped(world, &said, "kv", false)
}

fn metadata(world: &mut World, path: &str) -> Reply {
    let Some(secret) = secret(world, path) else { return reply::error(404, "") };
    let each = |(n, v): (usize, &Version)| {
        let said = json!({
            "created_time": v.created, "deletion_time": deleted(v), "destroyed": v.data.is_none(),
        });
        (n.to_string(), said)
    };
    let versions: Map<String, Value> = (1..).zip(&secret.versions).map(each).collect();
    let said = json!({
        "cas_required": false, "created_time": secret.versions.first().map(|v| v.created),
        "current_version": secret.versions.len(), "custom_metadata": secret.custom,
        "delete_version_after": "0s", "max_versions": 0, "oldest_version": 0,
        "updated_time": secret.versions.last().map(|v| v.created), "versions": versions,
    });
    reply::wrapped(world, &said, "kv", false)
}
