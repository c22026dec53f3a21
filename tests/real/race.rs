//! The race of pod and claims: in the wrong order the old claims stay, the verify says
//! so, and the remedy mends it.

use crate::site::{HOLDPOINT, Site};
use std::process::{Command, Stdio};

/// The wrong order on purpose, then the verify, then the remedy.
const WRONG: &str = r#"
format = 1
id = "wrong-order"
title = "The pod before its claims"
owner = "tests"
[[phase]]
id = "a"
title = "Wrong"
[[phase.step]]
id = "pod"
title = "The pod first"
risk = "destructive"
do.kube.delete_pod = { name = "vault-0", namespace = "vault" }
undo.none = "none"
[[phase.step.gate]]
that = 'raft.leader != "vault-0"'
says = "it does not lead"
[phase.step.verify]
that = 'pods.exists(p, p.name == "vault-0" && p.uid != before[0].uid && size(p.claims) == 2)'
within = "60s"
[[phase.step]]
id = "claims"
title = "Then its claims"
risk = "destructive"
do.kube.delete_claims = { of_pod = "vault-0", namespace = "vault" }
capture.old = 'before'
undo.none = "none"
[[phase.step.gate]]
that = 'raft.leader != "vault-0"'
says = "it does not lead"
[phase.step.verify]
that = 'size(before) == 2 && before.all(b, !claims.exists(c, c.uid == b.uid))'
within = "10s"
[[phase.step]]
id = "unstick"
title = "The remedy"
risk = "destructive"
do.kube.remove_protection = { of_pod = "vault-0", namespace = "vault" }
undo.none = "none"
[[phase.step.gate]]
that = 'raft.leader != "vault-0"'
says = "it does not lead"
[phase.step.verify]
that = 'size(before) == 2 && before.all(b, !claims.exists(c, c.uid == b.uid))'
within = "30s"
[[phase.step]]
id = "again"
title = "The pod once more"
risk = "destructive"
do.kube.delete_pod = { name = "vault-0", namespace = "vault" }
undo.none = "none"
[[phase.step.gate]]
that = 'raft.leader != "vault-0"'
says = "it does not lead"
[phase.step.verify]
that = 'size(claims.filter(c, c.name.endsWith("-vault-0"))) == 2 && claims.filter(c, c.name.endsWith("-vault-0")).all(c, c.class == "proxmox-lvm-encrypted" && c.phase == "Bound")'
settle = "2 in 2s"
within = "90s"
"#;

#[test]
fn the_wrong_order_is_seen_and_mended() {
    let site = Site::up("race", &[]);
    site.pin();
    site.kubectl(&["-n", "vault", "delete", "sts", "vault", "--cascade=orphan"]);
    site.kubectl(&["apply", "--server-side", "-f", &site.fact("manifest")]);
    let file = site.dir.join("wrong.toml");
    std::fs::write(&file, WRONG).unwrap();
    let mut child = Command::new(HOLDPOINT)
        .args([
            "run",
            &file.display().to_string(),
            "--site",
            &site.fact("site_file"),
            "--write",
            "--ui",
            "plain",
        ])
        .args(["--state", &site.dir.join("runs").display().to_string()])
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(site.dir.join("race.out")).unwrap())
        .spawn()
        .unwrap();
    let out = || std::fs::read_to_string(site.dir.join("race.out")).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut say = |text: &str| {
        use std::io::Write;
        writeln!(stdin, "{text}").unwrap();
    };
    let wait =
        |what: &str| crate::site::until(what, || out().contains(what) || out().contains("STOPPED"));
    let old = site.claims();
    for (step, attempt) in [("pod", 1), ("claims", 1)] {
        wait(&format!("a/{step}#{attempt} ready"));
        say("review");
        wait(if step == "pod" {
            "to release it: release vault-0"
        } else {
            "to release it: release audit-vault-0"
        });
        std::thread::sleep(std::time::Duration::from_millis(500));
        say(if step == "pod" { "release vault-0" } else { "release audit-vault-0" });
    }
    // The claims are deleted and do not go: never done, and the old ones are named.
    wait("a/claims#1 failed");
    assert!(!out().contains("a/claims#1 done"), "{}", out());
    let stuck = site.claims();
    for (name, uid, class) in stuck.iter().filter(|(n, ..)| n.ends_with("-vault-0")) {
        assert_eq!(class, "nfs-proxmox", "{name}");
        assert!(old.iter().any(|(n, u, _)| n == name && u == uid));
    }
    say("skip the pod came back before them; the remedy follows");
    wait("a/unstick#1 ready");
    say("review");
    std::thread::sleep(std::time::Duration::from_secs(3));
    say("release audit-vault-0");
    wait("a/unstick#1 done");
    wait("a/again#1 ready");
    say("review");
    std::thread::sleep(std::time::Duration::from_secs(3));
    say("release vault-0");
    wait("a/again#1 done");
    crate::site::until("the end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", out());
    for (name, uid, class) in site.claims().iter().filter(|(n, ..)| n.ends_with("-vault-0")) {
        assert_eq!(class, "proxmox-lvm-encrypted", "{name}");
        assert!(!old.iter().any(|(_, u, _)| u == uid));
    }
}
