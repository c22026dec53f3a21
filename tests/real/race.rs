//! The race of pod and claims: in the wrong order the old claims stay, the verify says
//! so, and the remedy mends it.

use crate::driver::Driver;
use crate::pty::Cockpit;
use crate::site::{Site, until};
use serde_json::Value;

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
fn what_was_released_runs_and_the_wrong_order_is_seen_and_mended() {
    let site = Site::up("race", &[]);
    site.pin();
    by_port_forward(&site);
    crate::released::is_what_runs(&site);
    site.kubectl(&["-n", "vault", "delete", "sts", "vault", "--cascade=orphan"]);
    site.kubectl(&["apply", "--server-side", "-f", &site.fact("manifest")]);
    let file = site.dir.join("wrong.toml");
    std::fs::write(&file, WRONG).unwrap();
    let mut run =
        Driver::start(&site, "race", &file.display().to_string(), &site.fact("site_file"));
    let old = site.claims();
    let (_, at) = run.review(0, "pod");
    run.say("release vault-0");
    let (_, at) = run.wait(at, "pod", "verified");
    let (_, at) = run.review(at, "claims");
    run.say("release audit-vault-0");
    // The claims are deleted and do not go: never done, and the old ones are named.
    let (failed, at) = run.wait(at, "claims", "verify-failed");
    let stuck = site.claims();
    for (name, uid, class) in stuck.iter().filter(|(n, ..)| n.ends_with("-vault-0")) {
        assert_eq!(class, "nfs-proxmox", "{name}");
        assert!(old.iter().any(|(n, u, _)| n == name && u == uid));
        assert!(failed.to_string().contains(uid.as_str()), "{failed}");
    }
    run.say("skip the pod came back before them; the remedy follows");
    let (_, at) = run.review(at, "unstick");
    run.say("release audit-vault-0");
    let (_, at) = run.wait(at, "unstick", "verified");
    let (_, at) = run.review(at, "again");
    run.say("release vault-0");
    run.wait(at, "again", "verified");
    // No step was done while a claim that it was about was on the old class.
    let done =
        |e: &Value| e["type"] == "verified" && e["step"].as_str().unwrap().contains("claims");
    assert!(!run.events().iter().any(done), "{}", run.printed());
    assert_eq!(run.ended(), Some(0), "{}", run.printed());
    for (name, uid, class) in site.claims().iter().filter(|(n, ..)| n.ends_with("-vault-0")) {
        assert_eq!(class, "proxmox-lvm-encrypted", "{name}");
        assert!(!old.iter().any(|(_, u, _)| u == uid));
    }
}

/// A voter without an address is reached through the API server, and is lost with its pod's
/// name, not with its health.
fn by_port_forward(site: &Site) {
    let forwarded = site.forwarded("vault-1");
    let args =
        ["watch", "--site", &forwarded, "--state", &site.dir.join("w").display().to_string()]
            .map(str::to_owned);
    let mut cockpit = Cockpit::open(&args, (40, 120));
    let row = |c: &Cockpit, name: &str| {
        let text = c.text();
        text.lines().find(|l| l.contains(&format!("│ {name} "))).unwrap_or_default().to_owned()
    };
    until("every voter", || {
        ["vault-0", "vault-1", "vault-2"].iter().all(|v| row(&cockpit, v).contains("yes"))
            && cockpit.text().contains("can lose 1")
    });
    cockpit.send("q");
    until("the cockpit's end", || cockpit.ended().is_some());
}
