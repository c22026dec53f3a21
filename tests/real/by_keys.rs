//! The whole runbook on real servers, by keys in a terminal, and line by line.

use crate::fingers::press;
use crate::outside::{Watch, turns};
use crate::panes;
use crate::pty::Cockpit;
use crate::site::{HOLDPOINT, Site, holdpoint, runbook, until};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CLASS: &str = "proxmox-lvm-encrypted";

/// All six claims are new and of the class.
pub fn moved(site: &Site, before: &[(String, String, String)]) {
    let after = site.claims();
    assert_eq!(after.len(), 6);
    for (name, uid, class) in &after {
        assert_eq!(class, CLASS, "{name}");
        let old = before.iter().find(|(n, ..)| n == name).unwrap();
        assert_ne!(&old.1, uid, "{name} is the old claim");
    }
}

#[test]
fn the_whole_roll_by_keys_in_a_terminal() {
    let site = Site::up("keys", &[]);
    site.pin();
    let before = site.claims();
    let watch = Watch::start(&site);
    let mut args = vec!["run".to_owned()];
    args.extend(site.roll_args(&runbook("vault-raft-to-block.toml")));
    args.extend(["--state".to_owned(), site.dir.join("runs").display().to_string()]);
    let mut cockpit = Cockpit::open(&args, (40, 120));
    let (mut lead_moved, mut last) = (false, String::new());
    let end = Instant::now() + Duration::from_secs(420);
    loop {
        assert!(Instant::now() < end, "not done in time:\n{}", cockpit.text());
        assert_eq!(cockpit.ended(), None, "the cockpit ended:\n{}", cockpit.text());
        std::thread::sleep(Duration::from_millis(300));
        let text = cockpit.text();
        if text.contains("Every step is done and verified") {
            assert!(text.contains("quorum 2 of 3 · can lose 1 · autopilot healthy"), "{text}");
            break;
        }
        assert!(!text.contains(" FAILED") && !text.contains("IN DOUBT"), "{text}");
        if text.contains("Step roll[vault-0]/soak") && !lead_moved {
            lead_moved = true;
            site.control("/lead/vault-1");
        }
        press(&mut cockpit, &text, &mut last, Duration::from_millis(600));
    }
    panes::agree(&site, &mut cockpit);
    cockpit.send("q");
    until("the end", || cockpit.ended().is_some());
    assert_eq!(cockpit.ended(), Some(0));
    until("the terminal back", || cockpit.restored());
    watch.check(&site);
    moved(&site, &before);
    let turns = turns(&site.journal().join("journal.jsonl"));
    let order: Vec<_> = turns.iter().map(|(v, _)| v.as_str()).collect();
    assert_eq!(order, ["vault-0", "vault-2", "vault-1"], "{turns:?}");
    leader_last(&turns);
    let verdict = holdpoint(&["verify", &site.journal().display().to_string()]);
    assert!(verdict.status.success());
    assert!(String::from_utf8_lossy(&verdict.stdout).starts_with("complete"));
}

/// No voter went while it led and another one was left.
fn leader_last(turns: &[(String, String)]) {
    assert_eq!(turns.len(), 3, "{turns:?}");
    assert!(turns[..2].iter().all(|(v, leader)| v != leader), "a leader went early: {turns:?}");
}

const ANSWERS: &str = "[release]\n'preflight/anchor' = ''\n'statefulset/orphan' = 'vault'\n'statefulset/apply' = ''\n'roll[*]/step-down' = ''\n'roll[*]/anchor' = ''\n'roll[*]/claims' = '{item}'\n'roll[*]/pod' = '{item}'\n[choose]\n'statefulset/how' = 'here'\n";

/// Run by `accidents`, on the site that it leaves well again.
pub fn line_by_line(site: &Site) {
    let before = site.claims();
    // What the answers do not name stops the run before anything is done.
    let some = answers(site, |all| all.replace("'statefulset/orphan' = 'vault'\n", ""));
    let (code, text) = plain(site, &some, || ());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("statefulset/orphan waits for a release that the answers do not name"),
        "{text}"
    );
    assert_eq!(site.claims(), before);
    let watch = Watch::start(site);
    let stopped = site.journal();
    let mut led = None;
    let (code, text) = plain(site, &answers(site, |all| all), || {
        let journal = site.journal();
        if led.is_none() && journal != stopped {
            led = lead_another(site, &journal.join("journal.jsonl"));
        }
    });
    assert_eq!(code, Some(0), "{text}");
    watch.check(site);
    moved(site, &before);
    let turns = turns(&site.journal().join("journal.jsonl"));
    leader_last(&turns);
    assert_eq!(Some(&turns[2].0), led.as_ref(), "who was made leader goes last: {turns:?}");
}

/// When the first voter is through, the one that neither went nor leads is made leader.
fn lead_another(site: &Site, journal: &Path) -> Option<String> {
    let text = std::fs::read_to_string(journal).ok()?;
    let (first, leader) = turns(journal).pop()?;
    let soaks = |line: &str| line.contains("\"type\":\"soak-started\"");
    text.lines().find(|l| soaks(l))?;
    let other = site.voters().into_iter().map(|(v, _)| v).find(|v| *v != first && *v != leader)?;
    site.control(&format!("/lead/{other}"));
    Some(other)
}

/// An answers file for the whole roll, changed as wanted; its path.
pub fn answers(site: &Site, change: impl Fn(String) -> String) -> String {
    let path = site.dir.join("answers.toml");
    std::fs::write(&path, change(ANSWERS.to_owned())).unwrap();
    path.display().to_string()
}

pub fn plain(site: &Site, answers: &str, mut meanwhile: impl FnMut()) -> (Option<i32>, String) {
    let mut child = Command::new(HOLDPOINT)
        .arg("run")
        .args(site.roll_args(&runbook("vault-raft-to-block.toml")))
        .arg("--state")
        .arg(site.dir.join("runs"))
        .args(["--ui", "plain", "--answers"])
        .arg(answers)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(site.dir.join("plain.out")).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(900);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!(
                "not done in time:\n{}",
                std::fs::read_to_string(site.dir.join("plain.out")).unwrap()
            );
        }
        meanwhile();
        std::thread::sleep(Duration::from_millis(200));
    };
    (status.code(), std::fs::read_to_string(site.dir.join("plain.out")).unwrap())
}
