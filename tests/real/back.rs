//! The ways back of the shipped runbook on real servers: bad data is replaced by an anchor's, and a
//! voter that moved goes back to the old class.

use crate::by_keys::{answers, plain};
use crate::driver::Driver;
use crate::equivalence::shell;
use crate::outside::Watch;
use crate::site::{Site, http, runbook, until};
use std::collections::BTreeSet;

#[test]
fn bad_data_is_restored_and_a_voter_goes_back() {
    let site = Site::up("back", &[]);
    site.pin();
    restored(&site);
    voters_back(&site);
}

/// What somebody wrote into Vault and reads back.
fn value(site: &Site, written: Option<&str>) -> String {
    let url = format!("{}/v1/kv/data/known", site.voters()[0].1);
    let (method, body) = match written {
        Some(text) => ("POST", format!("{{\"data\":{{\"is\":\"{text}\"}}}}")),
        None => ("GET", String::new()),
    };
    let (mut code, mut said) = (0, String::new());
    // A standby says 307 for a moment after its leader read everything anew.
    until("an answer", || {
        (code, said) = http(method, &url, Some(&site.token()), &body);
        code != 307
    });
    assert_eq!(code, 200, "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    said["data"]["data"]["is"].as_str().unwrap_or_default().to_owned()
}

fn restored(site: &Site) {
    value(site, Some("well"));
    let args = site.roll_args(&runbook("vault-raft-to-block.toml"));
    let mut run = Driver::begin(site, "restore", &args);
    let (_, at) = run.review(0, "anchor");
    run.say("release");
    let (_, at) = run.wait(at, "anchor", "verified");
    value(site, Some("bad"));
    run.say("back restore somebody wrote what is bad");
    let (_, at) = run.review(at, "as-it-is");
    run.say("release");
    let (_, at) = run.wait(at, "as-it-is", "verified");
    let (plan, at) = run.review(at, "restore");
    let command = plan["commands"][0].as_str().unwrap();
    assert!(command.contains("sha256sum -c") && command.contains("snapshot restore"), "{command}");
    assert_eq!(value(site, None), "bad");
    run.say("release restore");
    let (_, at) = run.wait(at, "restore", "verified");
    assert_eq!(value(site, None), "well");
    let (_, at) = run.wait(at, "read-back", "step-opened");
    run.say("review");
    let (_, at) = run.wait(at, "read-back", "review-opened");
    run.wait(at, "read-back", "gates-judged");
    // The journal has it before the interface does, which hands nothing over before it knows.
    until("what is done by hand is handed over", || {
        run.say("show");
        run.events().iter().any(|e| e["type"] == "shown")
    });
    run.say("claim");
    let (_, at) = run.wait(at, "read-back", "verified");
    // The run goes on where it stood.
    run.wait(at, "how", "gates-judged");
    assert!(run.printed().contains("the way back restore is over"), "{}", run.printed());
    run.say("quit");
    assert_eq!(run.ended(), Some(1), "{}", run.printed());
    // What was bad was saved, and its command brings it back.
    assert!(shell(site, &plan_of(site, command)));
    assert_eq!(value(site, None), "bad");
}

/// The command that was printed, for the snapshot of what was there before.
fn plan_of(site: &Site, command: &str) -> String {
    let anchors = std::fs::read_dir(site.dir.join("anchors")).unwrap();
    let mut files: Vec<_> = anchors.map(|f| f.unwrap().path().display().to_string()).collect();
    files.sort();
    let (first, last) = (files.first().unwrap(), files.last().unwrap());
    let (_, restore) = command.split_once(" && ").unwrap();
    assert!(restore.contains(first.as_str()), "{restore}");
    restore.replace(first.as_str(), last)
}

/// The first voter has moved; it goes back, and nothing that was acknowledged is lost.
fn voters_back(site: &Site) {
    let before = site.claims();
    let watch = Watch::start(site);
    let way = "\n[back]\n'roll[*]/soak' = 'voters-back'\n";
    let releases = "'voters-back[*]/step-down' = ''\n'voters-back[*]/anchor' = ''\n\
                    'voters-back[*]/claims' = '{item}'\n'voters-back[*]/orphan' = 'vault'\n\
                    'voters-back[*]/pod' = '{item}'\n'voters-back[*]/create' = ''\n\
                    'voters-back[*]/apply' = ''\n[choose]\n";
    let going = answers(site, |all| all.replace("[choose]\n", releases) + way);
    let (code, text) = plain(site, &going, || ());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("GOING BACK by voters-back"), "{text}");
    assert!(text.contains("the run is over, not done: went back (Voters that moved"), "{text}");
    watch.check(site);
    let after = site.claims();
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|(.., class)| class == "nfs-proxmox"), "{after:?}");
    let new: BTreeSet<_> = after.iter().filter(|c| !before.contains(c)).map(|c| &c.0).collect();
    assert_eq!(new.len(), 2, "one voter's claims are others than before: {new:?}");
    let verdict = crate::site::holdpoint(&["verify", &site.journal().display().to_string()]);
    assert!(String::from_utf8_lossy(&verdict.stdout).starts_with("complete"), "{text}");
}
