//! The ways back of the shipped runbook on real servers: bad data is replaced by an anchor's, a
//! voter that moved goes back to the old class, of two lost disks the third makes a cluster, and of
//! three the anchor does.

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
    one_good_disk(&site);
    every_disk_lost(&site);
}

/// What somebody wrote into Vault and reads back.
fn value(site: &Site, written: Option<&str>) -> String {
    let url = format!("{}/v1/kv/data/known", site.voters()[0].1);
    let (method, body) = match written {
        Some(text) => ("POST", format!("{{\"data\":{{\"is\":\"{text}\"}}}}")),
        None => ("GET", String::new()),
    };
    let (mut code, mut said) = (0, String::new());
    // A standby says 307 for a moment after its leader read everything anew; on a busy machine an
    // answer is late.
    until("an answer", || {
        (code, said) = http(method, &url, Some(&site.token()), &body);
        code != 307 && code != 0
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
    run.wait(at, "anchor", "verified");
    // Steps that begin by themselves come first.
    let (_, at) = run.wait(at, "how", "step-opened");
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
    // Beside them lies what the StatefulSet was.
    files.retain(|f| f.ends_with(".snap"));
    files.sort();
    let (first, last) = (files.first().unwrap(), files.last().unwrap());
    let (_, restore) = command.split_once(" && ").unwrap();
    assert!(restore.contains(first.as_str()), "{restore}");
    restore.replace(first.as_str(), last)
}

/// The first voter has moved; it goes back, and nothing that was acknowledged is lost.
fn voters_back(site: &Site) {
    let (before, old) = (site.claims(), template(site));
    let watch = Watch::start(site);
    let way = "\n[back]\n'roll[*]/soak' = 'voters-back'\n";
    let going = answers(site, |all| all.replace("[choose]\n", BACK) + way);
    let (code, text) = plain(site, &going, || ());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("GOING BACK by voters-back"), "{text}");
    assert!(text.contains("the run is over, not done: went back (Voters that moved"), "{text}");
    watch.check(site);
    let after = site.claims();
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|(.., class)| class == "nfs-proxmox"), "{after:?}");
    assert_eq!(template(site), old, "new claims are made as before");
    let new: BTreeSet<_> = after.iter().filter(|c| !before.contains(c)).map(|c| &c.0).collect();
    assert_eq!(new.len(), 2, "one voter's claims are others than before: {new:?}");
    let verdict = crate::site::holdpoint(&["verify", &site.journal().display().to_string()]);
    assert!(String::from_utf8_lossy(&verdict.stdout).starts_with("complete"), "{text}");
}

/// Further back than `voters_back`: what was done before the first voter is undone, and when all
/// three have moved, all three go back.
#[test]
#[ignore = "seven minutes: just back-real"]
fn what_was_done_is_undone_and_every_voter_goes_back() {
    let site = Site::up("all-back", &[]);
    site.pin();
    value(&site, Some("kept"));
    let (before, old) = (site.claims(), template(&site));
    let gone = |answers: &str, way: &str| {
        let (code, text) = plain(&site, answers, || ());
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("GOING BACK by {way}")), "{text}");
        assert!(text.contains("the run is over, not done: went back ("), "{text}");
        assert_eq!(template(&site), old, "new claims are made as before");
        assert_eq!(value(&site, None), "kept");
        let verdict = crate::site::holdpoint(&["verify", &site.journal().display().to_string()]);
        assert!(String::from_utf8_lossy(&verdict.stdout).starts_with("complete"), "{text}");
    };
    let watch = Watch::start(&site);
    let undo = "'undo[*]/undo' = 'vault'\n[choose]\n";
    let way = "\n[back]\n'roll[*]/anchor' = 'undo'\n";
    gone(&answers(&site, |all| all.replace("[choose]\n", undo) + way), "undo");
    assert_eq!(site.claims(), before, "none had moved");
    let way = "\n[back]\n'final/classes' = 'voters-back'\n";
    gone(&answers(&site, |all| all.replace("[choose]\n", BACK) + way), "voters-back");
    watch.check(&site);
    let after = site.claims();
    assert_eq!(after.len(), 6);
    for (name, uid, class) in &after {
        assert_eq!(class, "nfs-proxmox", "{name}");
        assert!(before.iter().all(|(_, old, _)| old != uid), "{name} is a new claim");
    }
    let voters = crate::site::holdpoint(&["doctor", "--site", &site.fact("site_file")]);
    assert!(voters.status.success(), "{}", String::from_utf8_lossy(&voters.stdout));
}

/// Releases of the way back of voters that moved.
const BACK: &str = "'voters-back[*]/step-down' = ''\n'voters-back[*]/anchor' = ''\n\
    'voters-back[*]/claims' = '{item}'\n'voters-back[*]/orphan' = 'vault'\n\
    'voters-back[*]/pod' = '{item}'\n'voters-back[*]/create' = ''\n\
    'voters-back[*]/apply' = ''\n[choose]\n";

/// What the StatefulSet makes claims of: of each template its name, and what it asks for.
fn template(site: &Site) -> Vec<serde_json::Value> {
    let set = site.json(&["-n", "vault", "get", "statefulset", "vault"]);
    let templates = set["spec"]["volumeClaimTemplates"].as_array().unwrap().iter();
    templates.map(|t| serde_json::json!([t["metadata"]["name"], t["spec"]])).collect()
}

/// Two voters lose their disks at once; the third becomes the cluster, with what was written after
/// the last anchor.
fn one_good_disk(site: &Site) {
    let good = site.claims().into_iter().find(|c| c.0 == "data-vault-0").unwrap().1;
    let mut args = site.roll_args(&runbook("vault-raft-to-block.toml"));
    let data = site.dir.join("volumes").join(&good);
    args.extend(["--param".to_owned(), format!("data_dir={}", data.display())]);
    let mut run = Driver::begin(site, "one-good-disk", &args);
    let (_, at) = run.review(0, "anchor");
    run.say("release");
    let (_, at) = run.wait(at, "anchor", "verified");
    value(site, Some("after the anchor"));
    lose(site, &["vault-1", "vault-2"]);
    until("the way back is offered", || !offered(&run).is_empty());
    assert_eq!(offered(&run), ["one-good-disk"]);
    run.say("back one-good-disk two disks are gone");
    let (plan, at) = run.review(at, "peers");
    let command = plan["commands"][0].as_str().unwrap().to_owned();
    run.say("release vault-0");
    let (_, at) = run.wait(at, "peers", "verified");
    let file = data.join("raft/peers.json");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("[{") && written.contains("\"id\":\"vault-0\""), "{written}");
    // The command that was shown writes the same.
    std::fs::remove_file(&file).unwrap();
    assert!(shell(site, &command), "{command}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    run.review(at, "restart");
    run.say("release vault-0");
    let (_, at) = run.wait(at, "restart", "verified");
    assert!(!file.exists(), "Vault read it");
    run.wait(at, "whole", "verified");
    assert_eq!(run.ended(), Some(1), "{}", run.printed());
    assert_eq!(value(site, None), "after the anchor");
    let now = site.claims().into_iter().find(|c| c.0 == "data-vault-0").unwrap().1;
    assert_eq!(now, good, "the good disk stays");
}

/// These lose their disks at once (one by one the first would join again), and are back on empty ones.
fn lose(site: &Site, voters: &[&str]) {
    for lost in voters {
        site.control(&format!("/voter/{lost}/stop"));
    }
    for lost in voters {
        let claims = [format!("data-{lost}"), format!("audit-{lost}")];
        site.kubectl(&["-n", "vault", "delete", "pvc", &claims[0], &claims[1], "--wait=false"]);
        site.kubectl(&["-n", "vault", "delete", "pod", lost, "--wait=false"]);
    }
    let addresses = site.voters();
    until("empty disks", || {
        let of = addresses.iter().filter(|(name, _)| voters.contains(&name.as_str()));
        of.clone().all(|(_, at)| http("GET", &format!("{at}/v1/sys/health"), None, "").0 == 501)
    });
}

/// Ways back that were offered so far.
fn offered(run: &Driver) -> Vec<String> {
    let events = run.events();
    let offered = events.iter().filter(|e| e["type"] == "offered");
    offered.map(|e| e["section"].as_str().unwrap().to_owned()).collect()
}

/// Nothing is left but the anchor: it makes the cluster again, with its identity, its token and its
/// old key; and so does the command.
fn every_disk_lost(site: &Site) {
    value(site, Some("in the anchor"));
    let args = site.roll_args(&runbook("vault-raft-to-block.toml"));
    let mut run = Driver::begin(site, "every-disk-lost", &args);
    let (_, at) = run.review(0, "anchor");
    run.say("release");
    let (_, at) = run.wait(at, "anchor", "verified");
    value(site, Some("after the anchor"));
    let all = ["vault-0", "vault-1", "vault-2"];
    lose(site, &all);
    until("the way back is offered", || offered(&run).contains(&"every-disk-lost".to_owned()));
    run.say("back every-disk-lost nothing is left");
    let (plan, at) = run.review(at, "rebuild");
    let command = plan["commands"][0].as_str().unwrap().to_owned();
    run.say("release vault-0");
    let (_, mut at) = run.wait(at, "rebuild", "verified");
    // Whether one of the others waited for the cluster in between, and has to begin anew, is chance.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(180);
    while !run.events().iter().any(|e| e["type"] == "ended") {
        assert!(std::time::Instant::now() < end, "{}", run.printed());
        let opened = run.events().into_iter().enumerate().skip(at).find_map(|(i, e)| {
            let step = e["step"].as_str().filter(|_| e["type"] == "step-opened")?;
            let (item, name) = step.strip_prefix("every-disk-lost[")?.split_once("]/")?;
            ["claims", "pod"].contains(&name).then(|| (i, item.to_owned(), name.to_owned()))
        });
        if let Some((i, item, name)) = opened {
            let (_, next) = run.review(i, &name);
            let typed = if name == "claims" { format!("{item} is lost") } else { item };
            run.say(&format!("release {typed}"));
            (_, at) = run.wait(next, &name, "verified");
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(run.ended(), Some(1), "{}", run.printed());
    assert_eq!(value(site, None), "in the anchor");
    // It is the cluster that was pinned.
    let doctor = crate::site::holdpoint(&["doctor", "--site", &site.fact("site_file")]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    lose(site, &all);
    assert!(shell(site, &command), "{command}");
    let health = format!("{}/v1/sys/health", site.voters()[0].1);
    until("the old key opens it", || http("GET", &health, None, "").0 == 200);
    until("what was saved", || value(site, None) == "in the anchor");
}
