//! The roll on real servers, killed at any moment and resumed until done. What was changed is told
//! by the API server's audit log and by those of the voters.

use crate::by_keys::moved;
use crate::killing::{ANSWERS, Deed, Doomed, Struck, killed};
use crate::outside::Watch;
use crate::site::{HOLDPOINT, Site, runbook};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// As many kills as this variable wants.
const KILLS: &str = "HOLDPOINT_KILLS";

/// Whoever changes something beside Holdpoint, by the first word of how they call themselves.
const OTHERS: [&str; 4] = ["kube-controller-manager", "kube-scheduler", "kube-apiserver", "site"];

struct Here<'a>(&'a Site);

impl Here<'_> {
    fn holdpoint(&self, args: &[String]) -> Child {
        let out = std::fs::File::create(self.0.dir.join("killed.out")).unwrap();
        Command::new(HOLDPOINT)
            .args(args)
            .args(["--state".to_owned(), self.runs().display().to_string()])
            .arg("--answers")
            .arg(self.0.dir.join("answers.toml"))
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap()
    }
}

impl Doomed for Here<'_> {
    fn begin(&self) -> Child {
        let roll = self.0.roll_args(&runbook("vault-raft-to-block.toml"));
        let plain = ["--ui".to_owned(), "plain".to_owned()];
        self.holdpoint(&[&["run".to_owned()], &roll[..], &plain].concat())
    }

    fn resume(&self) -> Child {
        let site = ["resume", "--headless", "--site"].map(str::to_owned);
        self.holdpoint(&[&site[..], &[self.0.fact("site_file")]].concat())
    }

    fn runs(&self) -> PathBuf {
        self.0.dir.join("runs")
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.0.dir.join("killed.out")).unwrap()
    }

    fn deeds(&self) -> Vec<Deed> {
        let mut deeds = lines(&self.0.dir.join("changes.jsonl")).filter_map(changed).collect();
        stepped_down(&self.0.dir, &mut deeds);
        deeds.sort();
        deeds
    }
}

fn lines(file: &Path) -> impl Iterator<Item = Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    lines.into_iter()
}

/// What the API server changed because Holdpoint asked for it.
fn changed(line: Value) -> Option<Deed> {
    let text = |at: &str| line.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let who = text("/userAgent").split('/').next().unwrap_or_default();
    let code = line.pointer("/responseStatus/code")?.as_u64()?;
    let uri = text("/requestURI");
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    if OTHERS.contains(&who) || code >= 300 || query.contains("dryRun=") {
        return None;
    }
    let uid = text("/requestObject/preconditions/uid").to_owned();
    let did = format!("{} {path}", text("/verb").to_uppercase());
    Some((text("/requestReceivedTimestamp").parse().unwrap(), did, uid))
}

/// Each voter keeps its audit log on a claim of its own, which moves with it; all of them are
/// still there.
fn stepped_down(dir: &Path, deeds: &mut Vec<Deed>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            stepped_down(&path, deeds);
        } else if path.file_name().is_some_and(|n| n == "audit.log") {
            let asked = lines(&path).filter(|l| {
                l["type"] == "response"
                    && l["request"]["path"] == "sys/step-down"
                    && l["error"].as_str().unwrap_or_default().is_empty()
            });
            deeds.extend(asked.map(|l| {
                let at = l["time"].as_str().unwrap().parse().unwrap();
                (at, "POST /v1/sys/step-down".to_owned(), String::new())
            }));
        }
    }
}

#[test]
#[ignore = "it takes minutes; just killed-real runs it"]
fn kills_on_real_servers_lose_nothing_and_do_nothing_twice() {
    let kills = std::env::var(KILLS).ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let up = Site::up("killed", &["--audit"]);
    up.pin();
    std::fs::write(up.dir.join("answers.toml"), ANSWERS).unwrap();
    std::fs::create_dir_all(up.dir.join("runs")).unwrap();
    let (before, watch, mut site) = (up.claims(), Watch::start(&up), Here(&up));
    let struck = killed(&mut site, 1, kills);
    let Struck { stages, steps, counts: (asked, unknown, effects) } = struck;
    println!("kills by stage: {stages:?}; by step: {steps:?}");
    println!("{effects} effects, {asked} in doubt, {unknown} unknown");
    assert!(unknown * 20 <= asked, "{unknown} of {asked} doubts were not settled");
    // The comparison sees what was done.
    assert!(site.deeds().iter().any(|(_, did, _)| did.ends_with("statefulsets/vault")));
    watch.check(&up);
    moved(&up, &before);
}
