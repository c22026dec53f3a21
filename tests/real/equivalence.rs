//! Every native action on one cluster, the command that is printed for it on a twin: then
//! all objects, raft's configuration and what Vault holds are compared.

use crate::driver::Driver;
use crate::picture::{kv, same, same_within};
use crate::site::{Site, holdpoint, http, until};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

/// Steps in order: what is typed to release, and how they end in `RUNBOOK`.
const STEPS: &[(&str, &str)] = &[
    ("keep", ""),
    ("orphan", "vault"),
    ("apply", ""),
    ("claims", "vault-1"),
    ("stay", "vault-1"),
    ("unstick", "vault-1"),
    ("pod", "vault-1"),
    ("wait", ""),
    ("anchor", ""),
    ("step-down", ""),
    // Of a voter that is not there, so that nobody mounts them.
    ("create", ""),
];

/// Where the StatefulSet's manifest is kept.
const SETS: [&str; 2] = ["sets", "sets-2"];

/// A way back to the anchor, once something was written after it.
const RESTORE: &[(&str, &str)] = &[("restore", "restore")];

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

/// All steps of `STEPS` and `RESTORE`, as a runbook writes them.
fn sections(site: &Site) -> [String; 12] {
    let place = |name: &str| site.dir.join(name).display().to_string();
    let manifest = site.fact("manifest");
    let (anchors, copies) = (place("anchors"), place("anchors-2"));
    let (sets, other_sets) = (place(SETS[0]), place(SETS[1]));
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
            "keep",
            &format!(
                "do.kube.keep_manifest = {{ name = \"vault\", dir = \"{sets}\", copy_to = \"{other_sets}\", temporary = \"/dev/shm\" }}"
            ),
            "",
            "raft.leader_answers",
        ),
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
        step(
            "create",
            &format!(
                "do.kube.create_claims = {{ of_pod = \"vault-3\", class = \"nfs-proxmox\", manifest = \"{manifest}\" }}"
            ),
            "",
            "size(before) == 2 && before.all(n, claims.exists(c, c.name == n.name && c.class == \"nfs-proxmox\" && c.phase == \"Bound\"))",
        ),
        step(
            "restore",
            &format!("do.vault.snapshot_restore = {{ path = \"{anchors}/vault-raft-0001.snap\" }}"),
            &destructive("restore"),
            "raft.leader_answers && raft.audited_read && size(raft.voters) > 0 && raft.voters.all(v, v.healthy && v.caught_up)",
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
        SETS.iter().for_each(|dir| std::fs::create_dir(site.dir.join(dir)).unwrap());
        (0..5).for_each(|n| keep(site, n, n));
    }
    another_cluster(&native, &twin);
    same(&native, &twin, "before anything").unwrap();
    alike(&native, &twin, "actions", STEPS, &twin.fact("site_file"));
    let kept = [&native, &twin].map(archives);
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0].len(), 2, "{kept:?}");
    let kept = [&native, &twin].map(manifests);
    assert_eq!(kept[0], kept[1]);
    // What is written after the anchor is gone once it is restored, and what it held is back.
    let anchored = kv(&native);
    for site in [&native, &twin] {
        keep(site, 0, 99);
        assert_ne!(kv(site), anchored);
    }
    alike(&native, &twin, "restored", RESTORE, &twin.fact("site_file"));
    assert_eq!([kv(&native), kv(&twin)], [anchored.clone(), anchored]);
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
        differs(native, twin, step, &commands);
        for command in commands {
            assert!(shell(twin, command), "{step}: {command}");
        }
        there.say("claim");
        (_, their) = there.wait(their, step, "verified");
        same(native, twin, step).unwrap();
        println!("{step}: the same");
    }
}

/// The comparison must be able to fail: a command that was not run, or in a wrong namespace, has
/// done something else.
fn differs(native: &Site, twin: &Site, step: &str, commands: &[&str]) {
    let says = match step {
        "claims" => {
            for command in commands {
                let wrong = command.replace("/namespaces/vault/", "/namespaces/default/");
                assert!(!shell(twin, &wrong), "nothing of that name is there: {wrong}");
            }
            vec!["deletionTimestamp"]
        }
        "create" => {
            for command in commands {
                let wrong = command.replace("\"namespace\":\"vault\"", "\"namespace\":\"default\"");
                assert_ne!(&wrong, command);
                assert!(shell(twin, &wrong), "{wrong}");
            }
            vec![
                "PersistentVolumeClaim vault/data-vault-3",
                "PersistentVolumeClaim default/data-vault-3",
            ]
        }
        "restore" => vec!["kv "],
        _ => return,
    };
    let seen = same_within(native, twin, step, Duration::from_secs(2)).unwrap_err();
    assert!(says.iter().all(|s| seen.contains(s)), "{seen}");
    if step == "create" {
        unmade(twin);
    }
}

/// Claims of the wrong namespace go, and the volumes that were made for them.
fn unmade(site: &Site) {
    let claims = ["data-vault-3", "audit-vault-3"];
    let volume = |name: &&str| {
        let mut bound = String::new();
        until("a volume of the claim", || {
            let claim = site.json(&["-n", "default", "get", "pvc", name]);
            bound = claim["spec"]["volumeName"].as_str().unwrap_or_default().to_owned();
            claim["status"]["phase"] == "Bound"
        });
        bound
    };
    let volumes: Vec<String> = claims.iter().map(volume).collect();
    site.kubectl(&[&["-n", "default", "delete", "pvc"][..], &claims].concat());
    let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
    site.kubectl(&[&["delete", "pv"][..], &volumes].concat());
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

/// The StatefulSet's manifest as it is kept, the same in both places: its mode and its text.
fn manifests(site: &Site) -> (u32, String) {
    use std::os::unix::fs::PermissionsExt;
    let [one, other] = SETS.map(|dir| {
        let files: Vec<_> = std::fs::read_dir(site.dir.join(dir)).unwrap().collect();
        let [Ok(file)] = files.as_slice() else { panic!("{dir}: {files:?}") };
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        (mode, std::fs::read_to_string(file.path()).unwrap())
    });
    assert_eq!(one, other);
    assert!(one.0 == 0o600 && one.1.contains("volumeClaimTemplates"), "{one:?}");
    one
}

/// Writes one of the values that are compared.
fn keep(site: &Site, n: i32, value: i32) {
    let url = format!("{}/v1/kv/data/kept/{n}", site.voters()[2].1);
    let body = format!("{{\"data\":{{\"n\":{value}}}}}");
    until("it is written", || http("POST", &url, Some(&site.token()), &body).0 == 200);
}
