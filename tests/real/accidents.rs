//! What went wrong once: a leader that hangs, a path that is lost, a leader that stops;
//! rights that are missing. Then, on the same site, the whole roll line by line.

use crate::by_keys::line_by_line;
use crate::driver::Driver;
use crate::pty::Cockpit;
use crate::site::{Site, holdpoint, http, until};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const GATED: &str = r#"
format = 1
id = "gated"
title = "A gate on every voter"
owner = "tests"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "step-down"
title = "Step the leader down"
do.shell.run = { argv = ["true"], timeout = "5s" }
probe = 'true'
[[phase.step.gate]]
id = "healthy"
that = 'size(raft.voters) > 0 && raft.voters.all(v, v.healthy)'
says = "all voters healthy"
"#;

#[test]
fn incidents_are_named_and_then_the_roll_goes_line_by_line() {
    let frozen = freezes();
    let site = Site::up("incident", if frozen { &["--loop-volumes"] } else { &[] });
    site.pin();
    let args = [
        "watch",
        "--site",
        &site.fact("site_file"),
        "--state",
        &site.dir.join("watched").display().to_string(),
    ]
    .map(str::to_owned);
    let mut cockpit = Cockpit::open(&args, (40, 120));
    until("a healthy leader", || {
        row(&cockpit, "vault-2").contains("LEADER") && cockpit.text().contains("can lose 1")
    });

    if frozen {
        hangs_on_its_disk(&site, &cockpit);
    }
    // Where a machine cannot freeze, a path that lets only sys/leader through looks alike.
    site.control("/voter/vault-2/path/hold");
    until("the held leader", || cockpit.text().contains("vault-2 is HUNG"));
    refused(&site, "held", "fail", "vault-2 (hung)");
    // The same path cut altogether is no verdict on the voter.
    site.control("/voter/vault-2/path/drop");
    until("the lost path", || row(&cockpit, "vault-2").contains("PATH LOST"));
    refused(&site, "lost", "inconclusive", "path lost to vault-2");
    site.control("/voter/vault-2/path/refuse");
    until("the refusal", || row(&cockpit, "vault-2").contains("DOWN"));
    site.control("/voter/vault-2/path/pass");
    until("the path back", || {
        row(&cockpit, "vault-2").contains("LEADER") && row(&cockpit, "vault-2").contains("yes")
    });

    // Stopped, it is replaced, and the pane shows who leads now.
    site.control("/voter/vault-2/stop");
    until("the election", || {
        ["vault-0", "vault-1"].iter().any(|v| row(&cockpit, v).contains("LEADER"))
    });
    until("the stopped voter", || {
        let row = row(&cockpit, "vault-2");
        row.contains("STOPPED") || row.contains("HUNG")
    });
    site.control("/voter/vault-2/cont");
    until("three healthy voters", || {
        ["vault-0", "vault-1", "vault-2"].iter().all(|v| row(&cockpit, v).contains("yes"))
    });
    cockpit.send("q");
    until("the cockpit's end", || cockpit.ended().is_some());
    until("the terminal back", || cockpit.restored());

    forbidden(&site);
    site.control("/lead/vault-2");
    until("calm", || {
        site.json(&["-n", "vault", "get", "sts", "vault"])["status"]["readyReplicas"] == 3
    });
    line_by_line(&site);
}

/// What the raft pane has of a voter.
fn row(cockpit: &Cockpit, name: &str) -> String {
    let text = cockpit.text();
    text.lines().find(|l| l.contains(&format!("│ {name} "))).unwrap_or_default().to_owned()
}

/// Whether a file system can be mounted and frozen here.
fn freezes() -> bool {
    let root = rustix::process::geteuid().is_root();
    let loops =
        root && Command::new("losetup").arg("-f").output().is_ok_and(|out| out.status.success());
    if !loops {
        eprintln!(
            "no root or no loop device here: a leader hangs by a path that is held, not by its disk"
        );
    }
    loops
}

/// Its data frozen, the leader still says that it leads, and is named as hung.
fn hangs_on_its_disk(site: &Site, cockpit: &Cockpit) {
    hang(site, 2);
    until("the hung leader", || cockpit.text().contains("vault-2 is HUNG"));
    let hung = row(cockpit, "vault-2");
    assert!(hung.contains("LEADER") && hung.contains("HUNG"), "{hung}");
    let (code, says) = http("GET", &format!("{}/v1/sys/leader", site.voters()[2].1), None, "");
    assert!(code == 200 && says.contains("\"is_self\":true"), "{says}");
    refused(site, "frozen", "fail", "vault-2 (hung)");
    site.control("/voter/vault-2/thaw");
    until("its recovery", || row(cockpit, "vault-2").contains("yes"));
}

/// Freezes a leader's disk and lets it run into that.
pub fn hang(site: &Site, voter: usize) {
    write_into_the_frozen(site, voter, &plain_store(site, voter));
}

/// Writes one value that never arrives. Its key is chosen to share a lock in Vault's cache
/// with the cluster's own record, which `sys/health` reads and `sys/leader` does not: keys
/// share 256 locks by the first byte of their BLAKE2b hash, so that with real traffic this
/// happens soon.
fn write_into_the_frozen(site: &Site, voter: usize, mount: &str) {
    let lock = |key: String| {
        let mut sum = Command::new("b2sum")
            .args(["-l", "256"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        sum.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
        sum.wait_with_output().unwrap().stdout[..2].to_vec()
    };
    let wanted = lock("core/cluster/local/info".into());
    let n = (0..5000).find(|n| lock(format!("logical/{mount}/{n}")) == wanted).unwrap();
    let url = format!("{}/v1/plain/{n}", site.voters()[voter].1);
    site.control(&format!("/voter/vault-{voter}/freeze"));
    let (code, body) = http("POST", &url, Some(&site.token()), "{\"a\":\"b\"}");
    assert_eq!(code, 0, "the disk was to be frozen: {body}");
}

/// A key-value store without versions, whose keys on disk are known; its id.
fn plain_store(site: &Site, voter: usize) -> String {
    let mounts = format!("{}/v1/sys/mounts", site.voters()[voter].1);
    let (code, body) =
        http("POST", &format!("{mounts}/plain"), Some(&site.token()), "{\"type\":\"kv\"}");
    assert!(code == 204 || body.contains("already in use"), "{body}");
    let (_, body) = http("GET", &mounts, Some(&site.token()), "");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    body["plain/"]["uuid"].as_str().unwrap().to_owned()
}

/// A gate, *all voters healthy*, does not pass: with that verdict, and for that reason.
fn refused(site: &Site, run: &str, verdict: &str, why: &str) {
    let file = site.dir.join("gated.toml");
    std::fs::write(&file, GATED).unwrap();
    let mut run = Driver::start(site, run, &file.display().to_string(), &site.fact("site_file"));
    run.review(0, "step-down");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let judged = run.events().into_iter().rev().find(|e| e["type"] == "gates-judged");
        let gate = judged.map(|e| e["gates"][0].clone()).unwrap_or_default();
        if gate["verdict"] == verdict && gate["why"].as_str().unwrap_or_default().contains(why) {
            break;
        }
        assert!(Instant::now() < end, "{gate}");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Nor is it released.
    run.say("release");
    let end = Instant::now() + Duration::from_secs(30);
    while !run.printed().contains("REFUSED") {
        assert!(Instant::now() < end, "{}", run.printed());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(run.events().iter().all(|e| e["type"] != "effect-started"));
}

/// Reading is allowed, deleting is not: doctor names verb and resource.
fn forbidden(site: &Site) {
    let runbook = crate::site::runbook("vault-raft-to-block.toml");
    let out = holdpoint(&["doctor", &runbook, "--site", &site.limited()]);
    let said = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(1));
    assert!(said.contains("forbidden: delete persistentvolumeclaims in namespace vault"), "{said}");
}
