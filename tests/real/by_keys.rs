//! The whole runbook on real servers, by keys in a terminal, and line by line.

use crate::fingers::press;
use crate::panes;
use crate::pty::Cockpit;
use crate::site::{HOLDPOINT, Site, holdpoint, http, runbook, until};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CLASS: &str = "proxmox-lvm-encrypted";

fn now_ms() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "compared with the servers' own clock")]
    let now = SystemTime::now();
    u64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// What watches the cluster from outside while it is moved.
struct Watch {
    stop: Arc<AtomicBool>,
    sampler: JoinHandle<Vec<(u64, String)>>,
    counter: JoinHandle<Vec<u64>>,
}

impl Watch {
    fn start(site: &Site) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (voters, token) = (site.voters(), site.token());
        let flag = Arc::clone(&stop);
        let sampled = voters.clone();
        let sampler = std::thread::spawn(move || {
            let mut bad = Vec::new();
            while !flag.load(Ordering::Relaxed) {
                if let Err(why) = sample(&sampled) {
                    bad.push((now_ms(), why));
                }
                std::thread::sleep(Duration::from_millis(250));
            }
            bad
        });
        let flag = Arc::clone(&stop);
        let counter = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            let mut n = 0;
            while !flag.load(Ordering::Relaxed) {
                n += 1;
                let (_, address) = &voters[usize::try_from(n % 3).unwrap()];
                let body = format!("{{\"data\":{{\"n\":{n}}}}}");
                let (code, _) =
                    http("POST", &format!("{address}/v1/kv/data/count/{n}"), Some(&token), &body);
                if code == 200 {
                    acknowledged.push(n);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            acknowledged
        });
        Self { stop, sampler, counter }
    }

    /// Every acknowledged value is there, and what was bad was near an election.
    fn check(self, site: &Site) {
        self.stop.store(true, Ordering::Relaxed);
        let bad = self.sampler.join().unwrap();
        let acknowledged = self.counter.join().unwrap();
        let (_, list) = http("GET", &format!("{}/elections", site.fact("control")), None, "");
        let elections: Vec<u64> = serde_json::from_str::<Value>(&list)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["at_ms"].as_u64().unwrap())
            .collect();
        for (at, why) in &bad {
            assert!(
                elections.iter().any(|e| e.abs_diff(*at) <= 7_500),
                "{why} at {at}, far from {elections:?}"
            );
        }
        assert!(acknowledged.len() > 100, "{} values were acknowledged", acknowledged.len());
        let (token, voters) = (site.token(), site.voters());
        for n in &acknowledged {
            let (code, body) =
                http("GET", &format!("{}/v1/kv/data/count/{n}", voters[0].1), Some(&token), "");
            assert!(
                code == 200 && body.contains(&format!("\"n\":{n}")),
                "value {n} is lost: {code} {body}"
            );
        }
        println!(
            "{} values acknowledged and read back; {} samples during elections; {} elections",
            acknowledged.len(),
            bad.len(),
            elections.len()
        );
    }
}

/// At least two unsealed voters answer and agree on the leader.
fn sample(voters: &[(String, String)]) -> Result<(), String> {
    let mut leaders = Vec::new();
    for (_, address) in voters {
        let (code, _) = http("GET", &format!("{address}/v1/sys/health"), None, "");
        if code == 200 || code == 429 {
            let (_, body) = http("GET", &format!("{address}/v1/sys/leader"), None, "");
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            leaders.push(body["leader_address"].as_str().unwrap_or_default().to_owned());
        }
    }
    // One that has just come back names nobody for a moment; none may name another.
    let named: Vec<_> = leaders.iter().filter(|l| !l.is_empty()).collect();
    let agreed = named.len() >= 2 && named.windows(2).all(|w| w[0] == w[1]);
    if agreed { Ok(()) } else { Err(format!("answers: {leaders:?}")) }
}

/// All six claims are new and of the class.
fn moved(site: &Site, before: &[(String, String, String)]) {
    let after = site.claims();
    assert_eq!(after.len(), 6);
    for (name, uid, class) in &after {
        assert_eq!(class, CLASS, "{name}");
        let old = before.iter().find(|(n, ..)| n == name).unwrap();
        assert_ne!(&old.1, uid, "{name} is the old claim");
    }
}

/// The order of the voters' turns, and who led when each turn began.
fn turns(site: &Site) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(site.journal().join("journal.jsonl")).unwrap();
    let (mut leader, mut turns) = (String::new(), Vec::new());
    for line in text.lines() {
        let event = serde_json::from_str::<Value>(line).unwrap()["event"].take();
        if let Some(l) = event["change"]["update"]["rows"]["leader"].as_str() {
            leader = l.to_owned();
        }
        if event["type"] == "item-chosen" {
            turns.push((event["item"].as_str().unwrap().to_owned(), leader.clone()));
        }
    }
    turns
}

#[test]
fn the_whole_roll_by_keys_in_a_terminal() {
    let site = Site::up("keys", &[]);
    site.pin();
    let before = site.claims();
    let watch = Watch::start(&site);
    let mut args = vec!["run".to_owned()];
    args.extend(site.roll_args(&runbook("vault-raft-to-block.toml")));
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
    let turns = turns(&site);
    let order: Vec<_> = turns.iter().map(|(v, _)| v.as_str()).collect();
    assert_eq!(order, ["vault-0", "vault-2", "vault-1"], "{turns:?}");
    assert!(
        turns[..2].iter().all(|(v, leader)| v != leader),
        "a leader went before others: {turns:?}"
    );
    let verdict = holdpoint(&["verify", &site.journal().display().to_string()]);
    assert!(verdict.status.success());
    assert!(String::from_utf8_lossy(&verdict.stdout).starts_with("complete"));
}

const ANSWERS: &str = "[release]\n'preflight/anchor' = ''\n'statefulset/orphan' = 'vault'\n'statefulset/apply' = ''\n'roll[*]/step-down' = ''\n'roll[*]/anchor' = ''\n'roll[*]/claims' = '{item}'\n'roll[*]/pod' = '{item}'\n[choose]\n'statefulset/how' = 'here'\n";

/// Run by `incident`, on the site that it leaves well again.
pub fn line_by_line(site: &Site) {
    let before = site.claims();
    // What the answers do not name stops the run before anything is done.
    let some = answers(site, |all| all.replace("'statefulset/orphan' = 'vault'\n", ""));
    let (code, text) = plain(site, &some);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("statefulset/orphan waits for a release that the answers do not name"),
        "{text}"
    );
    assert_eq!(site.claims(), before);
    let (code, text) = plain(site, &answers(site, |all| all));
    assert_eq!(code, Some(0), "{text}");
    moved(site, &before);
}

/// An answers file for the whole roll, changed as wanted; its path.
pub fn answers(site: &Site, change: impl Fn(String) -> String) -> String {
    let path = site.dir.join("answers.toml");
    std::fs::write(&path, change(ANSWERS.to_owned())).unwrap();
    path.display().to_string()
}

fn plain(site: &Site, answers: &str) -> (Option<i32>, String) {
    let mut child = Command::new(HOLDPOINT)
        .arg("run")
        .args(site.roll_args(&runbook("vault-raft-to-block.toml")))
        .args(["--ui", "plain", "--answers"])
        .arg(answers)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(site.dir.join("plain.out")).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(420);
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
        std::thread::sleep(Duration::from_millis(200));
    };
    (status.code(), std::fs::read_to_string(site.dir.join("plain.out")).unwrap())
}
