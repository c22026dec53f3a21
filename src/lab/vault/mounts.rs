//! `sys/`: engines, policies, and what little tools ask for besides.

use super::answer::{Ask, Verb};
use super::reply::{self, Reply};
use super::state::{Mount, Rule};
use super::{raft, truth};
use crate::lab::World;
use serde_json::{Map, Value, json};

pub(super) fn route(world: &mut World, ask: &Ask, verb: Verb, rest: &str) -> Reply {
    let words: Vec<&str> = rest.split('/').collect();
    match (verb, words.as_slice()) {
        (Verb::Read, ["mounts"]) => {
            let all = listed(world, 0);
            reply::wrapped(world, &all, "system", true)
        }
        (Verb::Read, ["internal", "ui", "mounts"]) => {
            let said = json!({"secret": listed(world, MONTH), "auth": tokens(MONTH)});
            reply::wrapped(world, &said, "", false)
        }
        (Verb::Read, ["internal", "ui", "mounts", path @ ..]) => preflight(world, &path.join("/")),
        (Verb::Read, ["mounts", path @ ..]) => one(world, path),
        (Verb::Write, ["mounts", path @ ..]) => enable(world, ask, &path.join("/")),
        (Verb::Delete, ["mounts", path @ ..]) => disable(world, &path.join("/")),
        (Verb::Read, ["auth"]) => reply::wrapped(world, &tokens(0), "system", true),
        (Verb::Read, ["audit"]) => {
            let file = json!({
                "description": "", "local": false, "path": "file/", "type": "file",
                "options": {"file_path": "/vault/audit/audit.log"},
            });
            reply::wrapped(world, &json!({"file/": file}), "system", true)
        }
        (Verb::Read | Verb::List, ["policy"]) => {
            let names = policies(world);
            let said = json!({"keys": names, "policies": names});
            reply::wrapped(world, &said, "system", true)
        }
        (Verb::List, ["policies", "acl"]) => {
            let names = policies(world);
            reply::wrapped(world, &json!({"keys": names}), "system", false)
        }
        (Verb::Read, ["policies", "acl", name] | ["policy", name]) => policy(world, name),
        (Verb::Read, ["key-status"]) => {
            let keyring = truth::data(world).and_then(|d| d.keyring.clone());
            let said = json!({
                "term": keyring.as_ref().map_or(1, |k| k.term), "encryptions": 2,
                "install_time": keyring.map(|k| k.installed),
            });
            reply::wrapped(world, &said, "system", true)
        }
        (Verb::Write, ["rotate"]) => {
            let now = world.now;
            raft::write(world, |data| {
                if let Some(keyring) = data.keyring.as_mut() {
                    (keyring.term, keyring.installed) = (keyring.term + 1, now);
                }
            });
            reply::done()
        }
        (Verb::Read, ["replication", "status"]) => {
            reply::wrapped(world, &json!({"mode": "disabled"}), "", false)
        }
        (Verb::Read, ["license", "status"]) => reply::error(404, "enterprise-only feature"),
        _ => reply::listed(404, "unsupported path"),
    }
}

/// What leases last unless somebody says otherwise, in seconds.
pub(super) const MONTH: u64 = 2_764_800;

/// `lease`: the time that leases last, 0 where the default is not spelt out.
fn shown(mount: &Mount, lease: u64) -> Value {
    let options = match mount.version {
        0 => Value::Null,
        version => json!({"version": version.to_string()}),
    };
    let mut said = json!({
        "accessor": mount.accessor, "description": mount.description,
        "config": {"default_lease_ttl": lease, "force_no_cache": false, "max_lease_ttl": lease},
        "external_entropy_access": false, "local": mount.kind == "cubbyhole",
        "options": options, "plugin_version": "", "running_sha256": "",
        "running_plugin_version": "v1.18.1+builtin.vault", "seal_wrap": mount.kind == "system",
        "type": mount.kind, "uuid": mount.uuid,
    });
    if let (Some(said), "kv") = (said.as_object_mut(), mount.kind.as_str()) {
        said.insert("deprecation_status".into(), json!("supported"));
        said.insert("running_plugin_version".into(), json!("v0.20.0+builtin"));
    }
    said
}

fn listed(world: &World, lease: u64) -> Value {
    let mounts = truth::data(world).map(|d| d.mounts.clone()).unwrap_or_default();
    let all: Map<String, Value> =
        mounts.into_iter().map(|(path, mount)| (path, shown(&mount, lease))).collect();
    Value::Object(all)
}

fn tokens(lease: u64) -> Value {
    json!({"token/": {
        "accessor": "auth_token_1ab01ab0", "description": "token based credentials",
        "config": {"default_lease_ttl": lease, "force_no_cache": false, "max_lease_ttl": lease,
            "token_type": "default-service"},
        "external_entropy_access": false, "local": false, "options": null,
        "plugin_version": "", "running_plugin_version": "v1.18.1+builtin.vault",
        "running_sha256": "", "seal_wrap": false, "type": "token",
        "uuid": "1ab01ab0-1ab0-41ab-81ab-1ab01ab01ab0",
    }})
}

/// The engine that a path lies in.
pub(super) fn engine(world: &World, path: &str) -> Option<(String, Mount)> {
    let mounts = &truth::data(world)?.mounts;
    let path = format!("{path}/");
    let found = mounts.iter().rfind(|(at, _)| path.starts_with(at.as_str()))?;
    Some((found.0.clone(), found.1.clone()))
}

fn preflight(world: &mut World, path: &str) -> Reply {
    let Some((at, mount)) = engine(world, path) else {
        return reply::error(
            403,
            &format!(
                "preflight capability check returned 403, please ensure client's policies \
                 grant access to path \"{path}/\""
            ),
        );
    };
    let mut said = shown(&mount, MONTH);
    if let Some(said) = said.as_object_mut() {
        said.insert("path".into(), json!(at));
    }
    reply::wrapped(world, &said, "", false)
}

fn one(world: &mut World, path: &[&str]) -> Reply {
    let (path, tune) = match path {
        [path @ .., "tune"] => (path, true),
        path => (path, false),
    };
    let at = format!("{}/", path.join("/"));
    let mount = truth::data(world).and_then(|d| d.mounts.get(&at)).cloned();
    let Some(mount) = mount else {
        return reply::error(400, &format!("No secret engine mount at {at}"));
    };
    let said = shown(&mount, 0);
    let tuned = json!({
        "default_lease_ttl": MONTH, "description": mount.description,
        "force_no_cache": false, "max_lease_ttl": MONTH,
        "options": said.get("options").cloned().unwrap_or_default(),
    });
    reply::wrapped(world, if tune { &tuned } else { &said }, "system", true)
}

fn enable(world: &mut World, ask: &Ask, path: &str) -> Reply {
    let Some(kind) = ask.body.get("type").and_then(Value::as_str) else {
        return reply::error(400, "backend type must be specified as a string");
    };
    let (kind, asked) = match kind {
        "kv-v2" => ("kv", Some("2")),
        kind => (kind, ask.body.pointer("/options/version").and_then(Value::as_str)),
    };
    let version = match (kind, asked) {
        ("kv", Some("2")) => 2,
        ("kv", _) => 1,
        _ => 0,
    };
    let at = format!("{}/", path.trim_matches('/'));
    if truth::data(world).is_some_and(|d| d.mounts.contains_key(&at)) {
        return reply::error(400, &format!("path is already in use at {at}"));
    }
    let description = ask.body.get("description").and_then(Value::as_str).unwrap_or_default();
    let mount = truth::mount(world, kind, version, description);
    raft::write(world, |data| {
        data.mounts.insert(at, mount);
    });
    reply::done()
}

fn disable(world: &mut World, path: &str) -> Reply {
    let at = format!("{}/", path.trim_matches('/'));
    raft::write(world, |data| {
        data.mounts.remove(&at);
        data.plain.retain(|path, _| !path.starts_with(&at));
        data.versioned.retain(|path, _| !path.starts_with(&at));
    });
    reply::done()
}

fn policies(world: &World) -> Vec<String> {
    let own = truth::data(world).into_iter().flat_map(|d| d.policies.keys().cloned());
    own.chain(["root".to_owned()]).collect()
}

fn policy(world: &mut World, name: &str) -> Reply {
    let rules = truth::data(world).and_then(|d| d.policies.get(name).cloned());
    let Some(rules) = rules.or_else(|| (name == "root").then(Vec::new)) else {
        return reply::error(404, "");
    };
    let text: String = rules.iter().map(stated).collect();
    reply::wrapped(world, &json!({"name": name, "policy": text}), "system", false)
}

fn stated(rule: &Rule) -> String {
    let may: Vec<String> = rule.may.iter().map(|m| format!("{m:?}")).collect();
    format!("path {:?} {{\n    capabilities = [{}]\n}}\n", rule.path, may.join(", "))
}
