//! Every native action on one cluster, the command that is printed for it on a twin: then
//! all objects, raft's configuration and what Vault holds are compared.

use crate::driver::Driver;
use crate::site::{Site, holdpoint, http};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

/// Steps in order: what is typed to release, and how they end in `RUNBOOK`.
const STEPS: &[(&str, &str)] = &[
    ("orphan", "vault"),
    ("apply", ""),
    ("claims", "vault-1"),
    ("stay", "vault-1"),
    ("unstick", "vault-1"),
    ("pod", "vault-1"),
    ("wait", ""),
    ("anchor", ""),
    ("step-down", ""),
];

/// A runbook of these steps.
fn runbook(site: &Site, name: &str, steps: &[(&str, &str)]) -> String {
    let head = "format = 1\nid = \"equivalence\"\ntitle = \"Every action\"\nowner = \"tests\"\n[[phase]]\nid = \"a\"\ntitle = \"Actions\"\n";
    let wanted = |section: &&String| {
        steps.iter().any(|(id, _)| section.contains(&format!("\nid = \"{id}\"\n")))
    };
    let file = site.dir.join(format!("{name}.toml"));
    let sections: String = sections(site).iter().filter(wanted).map(String::as_str).collect();
    std::fs::write(&file, format!("{head}{sections}")).unwrap();
    file.display().to_string()
}

/// All steps of `STEPS`, as a runbook writes them.
fn sections(site: &Site) -> [String; 9] {
    let place = |name: &str| site.dir.join(name).display().to_string();
    let manifest = site.fact("manifest");
    let (anchors, copies) = (place("anchors"), place("anchors-2"));
    let gate = "[[phase.step.gate]]\nthat = 'raft.leader_answers'\nsays = \"a leader answers\"\n";
    let step = |id: &str, does: &str, risk: &str, that: &str| {
        format!(
            "[[phase.step]]\nid = \"{id}\"\ntitle = \"{id}\"\n{does}\n{risk}{gate}[phase.step.verify]\nthat = '{that}'\nsettle = \"2 in 1s\"\nwithin = \"90s\"\n"
        )
    };
    let destructive = |confirm: &str| {
        format!("risk = \"destructive\"\nconfirm = \"{confirm}\"\nundo.none = \"none\"\n")
    };
    let voter = destructive("vault-1");
    let gone = "size(before) > 0 && before.all(b, !claims.exists(c, c.uid == b.uid))";
    let back = "pods.exists(p, p.name == \"vault-1\" && p.uid != before[0].uid && p.ready == p.containers)";
    [
        step(
            "orphan",
            "do.kube.delete_statefulset = { name = \"vault\" }",
            &destructive("vault"),
            "!statefulsets.exists(s, s.name == \"vault\")",
        ),
        step(
            "apply",
            &format!("do.kube.apply = {{ manifest = \"{manifest}\" }}"),
            "",
            "statefulsets.exists(s, s.name == \"vault\" && s.ready == 3)",
        ),
        step(
            "claims",
            "do.kube.delete_claims = { of_pod = \"vault-1\" }",
            &voter,
            "size(before) > 0 && before.all(b, claims.exists(c, c.uid == b.uid && c.deleting))",
        ),
        // The claims are stuck while the pod runs: their finalizer can be removed.
        step(
            "stay",
            "do.kube.wait = { pod = \"vault-1\", until = \"ready\", within = \"30s\" }",
            "",
            "pods.exists(p, p.name == \"vault-1\")",
        ),
        step("unstick", "do.kube.remove_protection = { of_pod = \"vault-1\" }", &voter, gone),
        step("pod", "do.kube.delete_pod = { name = \"vault-1\", grace = \"2s\" }", &voter, back),
        step(
            "wait",
            "do.kube.wait = { pod = \"vault-1\", until = \"ready\", within = \"60s\" }",
            "",
            "size(raft.voters) > 0 && raft.voters.all(v, v.healthy && v.is_voter && v.caught_up)",
        ),
        step(
            "anchor",
            &format!(
                "do.vault.snapshot_save = {{ dir = \"{anchors}\", copy_to = \"{copies}\", temporary = \"/dev/shm\" }}"
            ),
            "",
            "raft.leader_answers",
        ),
        step(
            "step-down",
            "do.vault.step_down = { node = \"vault-2\" }",
            "",
            "raft.leader != \"\" && raft.leader_answers",
        ),
    ]
}

#[test]
fn a_native_action_and_its_command_do_the_same() {
    let (native, twin) = std::thread::scope(|s| {
        let twin = s.spawn(|| Site::up("twin", &[]));
        (Site::up("native", &[]), twin.join().unwrap())
    });
    for site in [&native, &twin] {
        site.pin();
        site.control("/lead/vault-2");
        for n in 0..5 {
            let url = format!("{}/v1/kv/data/kept/{n}", site.voters()[2].1);
            let body = format!("{{\"data\":{{\"n\":{n}}}}}");
            assert_eq!(http("POST", &url, Some(&site.token()), &body).0, 200);
        }
    }
    another_cluster(&native, &twin);
    same(&native, &twin, "before anything").unwrap();
    alike(&native, &twin, "actions", STEPS, &twin.fact("site_file"));
    let kept = [&native, &twin].map(archives);
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0].len(), 2, "{kept:?}");
    // Vault's actions once more, where the voter is reached through its pod only.
    for site in [&native, &twin] {
        site.control("/lead/vault-2");
    }
    let inside = [("anchor", ""), ("step-down", "")];
    alike(&native, &twin, "inside", &inside, &twin.forwarded("vault-2"));
    let kept = [&native, &twin].map(archives);
    assert_eq!(kept[0], kept[1]);
    let files = std::fs::read_dir(twin.dir.join("anchors")).unwrap().count();
    assert_eq!(files, 2);
}

/// These steps by Holdpoint on one, and on its twin by the commands that it prints.
fn alike(native: &Site, twin: &Site, name: &str, steps: &[(&str, &str)], twin_file: &str) {
    let book = |site: &Site| runbook(site, name, steps);
    let (a, b) = (format!("{name}-a"), format!("{name}-b"));
    let mut here = Driver::start(native, &a, &book(native), &native.fact("site_file"));
    let mut there = Driver::start(twin, &b, &book(twin), twin_file);
    let (mut at, mut their) = (0, 0);
    for (step, typed) in steps {
        (_, at) = here.review(at, step);
        here.say(&format!("release {typed}"));
        (_, at) = here.wait(at, step, "verified");

        let proposal;
        (proposal, their) = there.review(their, step);
        there.say("show");
        (_, their) = there.wait(their, step, "shown");
        let commands: Vec<_> =
            proposal["commands"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        if *step == "claims" {
            // The comparison must be able to fail: a wrong namespace does something else.
            let wrong =
                commands.iter().map(|c| c.replace("/namespaces/vault/", "/namespaces/default/"));
            wrong.for_each(|c| assert!(!shell(twin, &c), "nothing of that name is there: {c}"));
            let differs = same_within(native, twin, step, Duration::from_secs(2)).unwrap_err();
            assert!(differs.contains("deletionTimestamp"), "{differs}");
        }
        for command in commands {
            assert!(shell(twin, command), "{step}: {command}");
        }
        there.say("claim");
        (_, their) = there.wait(their, step, "verified");
        same(native, twin, step).unwrap();
        println!("{step}: the same");
    }
}

/// A kubeconfig that leads to the other cluster, by a context of the same name.
fn another_cluster(pinned: &Site, other: &Site) {
    assert_eq!(pinned.fact("context"), other.fact("context"));
    let text = std::fs::read_to_string(pinned.fact("site_file")).unwrap();
    let led_astray = text.replace(&pinned.fact("kubeconfig"), &other.fact("kubeconfig"));
    assert_ne!(text, led_astray);
    let file = pinned.dir.join("astray.toml");
    std::fs::write(&file, led_astray).unwrap();
    let pins = pinned.dir.join("site.pins.toml");
    std::fs::copy(pins, pinned.dir.join("astray.pins.toml")).unwrap();
    let (file, book) = (file.display().to_string(), runbook(pinned, "misled", STEPS));
    let runs = pinned.dir.join("astray").display().to_string();
    let out =
        holdpoint(&["run", &book, "--site", &file, "--write", "--ui", "plain", "--state", &runs]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    for site in [pinned, other] {
        assert!(said.contains(&site.fact("kube_system_uid")), "{said}");
    }
    assert!(!std::path::Path::new(&runs).exists(), "a run was begun");
}

/// Runs a command as a person would, with the tools of the same version first in PATH.
pub fn shell(site: &Site, command: &str) -> bool {
    let path = format!("{}:{}", site.bin.display(), std::env::var("PATH").unwrap());
    let out = Command::new("bash").args(["-c", command]).env("PATH", path).output().unwrap();
    if !out.status.success() {
        println!("{command}\n{}", String::from_utf8_lossy(&out.stderr));
    }
    out.status.success()
}

/// What a snapshot leaves behind: where, with which mode, holding which parts.
fn archives(site: &Site) -> BTreeSet<(String, u32, Vec<String>)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = BTreeSet::new();
    for dir in ["anchors", "anchors-2"] {
        for file in std::fs::read_dir(site.dir.join(dir)).unwrap() {
            let path = file.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            let out = Command::new("tar").arg("-tzf").arg(&path).output().unwrap();
            let mut parts: Vec<_> =
                String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
            parts.sort();
            found.insert((dir.to_owned(), mode, parts));
        }
    }
    found
}

fn same(a: &Site, b: &Site, after: &str) -> Result<(), String> {
    same_within(a, b, after, Duration::from_secs(60))
}

/// Compares until both are the same: controllers need their time.
fn same_within(a: &Site, b: &Site, after: &str, patience: Duration) -> Result<(), String> {
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

fn kv(site: &Site) -> Value {
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
