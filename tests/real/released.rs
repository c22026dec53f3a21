//! What was released is what runs: an object that changes all the time, one that is
//! replaced, and one that may not be deleted.

use crate::driver::Driver;
use crate::site::{Site, request};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const RUNBOOK: &str = r#"
format = 1
id = "one-pod"
title = "One pod goes"
owner = "tests"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "delete"
title = "Delete it"
risk = "destructive"
do.kube.delete_pod = { name = "victim", namespace = "vault", grace = "0s" }
undo.none = "none"
[[phase.step.gate]]
that = 'raft.leader_answers'
says = "a leader answers"
[phase.step.verify]
that = '!pods.exists(p, p.uid == before[0].uid)'
settle = "2 in 1s"
within = "30s"
"#;

const PODS: &str = "/api/v1/namespaces/vault/pods";

/// `kubectl proxy`: the API server without TLS, on loopback.
struct Proxy {
    child: Child,
    base: String,
}

impl Proxy {
    fn start(site: &Site) -> Self {
        let mut child = Command::new(site.bin.join("kubectl"))
            .args(["--kubeconfig", &site.fact("kubeconfig"), "proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap();
        Self { base: format!("http://{address}"), child }
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
        let headers = format!("Content-Type: application/{kind}\r\n");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (code, text) = request(method, &format!("{}{path}", self.base), &headers, &body);
        (code, serde_json::from_str(&text).unwrap_or_default())
    }

    /// A pod that nothing else looks after; its UID.
    fn victim(&self) -> String {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "victim"},
            "spec": {"containers": [{"name": "c", "image": "none"}]}});
        let (code, made) = self.ask("POST", PODS, "json", &pod);
        assert_eq!(code, 201, "{made}");
        made["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    fn uid(&self) -> Option<String> {
        let (code, pod) = self.ask("GET", &format!("{PODS}/victim"), "json", &Value::Null);
        (code == 200).then(|| pod["metadata"]["uid"].as_str().unwrap().to_owned())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn is_what_runs(site: &Site) {
    let file = site.dir.join("one-pod.toml");
    std::fs::write(&file, RUNBOOK).unwrap();
    let file = file.display().to_string();
    let proxy = Proxy::start(site);
    patched_all_the_time(site, &proxy, &file);
    replaced(site, &proxy, &file);
    forbidden(site, &proxy, &file);
}

/// A status that is patched every 100 ms changes the resourceVersion, and nothing material.
fn patched_all_the_time(site: &Site, proxy: &Proxy, file: &str) {
    proxy.victim();
    let (stop, patches) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let n = patches.load(Ordering::Relaxed);
                let body = json!({"status": {"message": format!("beat {n}")}});
                let path = format!("{PODS}/victim/status");
                if proxy.ask("PATCH", &path, "merge-patch+json", &body).0 == 200 {
                    patches.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut run = Driver::start(site, "patched", file, &site.fact("site_file"));
        let (_, at) = run.review(0, "delete");
        let before = patches.load(Ordering::Relaxed);
        crate::site::until("ten more patches", || patches.load(Ordering::Relaxed) > before + 10);
        run.say("release victim");
        run.wait(at, "delete", "verified");
        stop.store(true, Ordering::Relaxed);
        assert!(run.events().iter().all(|e| e["type"] != "changed"), "{}", run.printed());
    });
}

/// Another object under the same name, between the release and the effect: it stays, and
/// the operator sees what changed.
fn replaced(site: &Site, proxy: &Proxy, file: &str) {
    let old = proxy.victim();
    let mut run = Driver::start(site, "replaced", file, &site.fact("site_file"));
    let (_, at) = run.review(0, "delete");
    // One voter is silent from now on: reading the gates takes that voter's deadline, and
    // they pass all the same.
    site.control("/voter/vault-1/path/hold");
    run.say("release victim");
    let (_, at) = run.wait(at, "delete", "released");
    let (code, _) =
        proxy.ask("DELETE", &format!("{PODS}/victim?gracePeriodSeconds=0"), "json", &Value::Null);
    assert_eq!(code, 200);
    let new = proxy.victim();
    assert!(run.events().iter().all(|e| e["type"] != "effect-started"), "too late to be a test");
    let (changed, at) = run.wait(at, "delete", "changed");
    let diff = changed["why"].to_string();
    assert!(diff.contains(&old) && diff.contains(&new), "{diff}");
    site.control("/voter/vault-1/path/pass");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(proxy.uid(), Some(new.clone()), "nothing was deleted");
    let shown = run.printed();
    assert!(shown.contains("changed:") && shown.contains(&new), "{shown}");
    assert!(run.events().iter().all(|e| e["type"] != "effect-started"));
    // What is there now can be reviewed and released as any other.
    run.say("review");
    let (proposed, at) = run.wait(at, "delete", "proposed");
    assert_eq!(proposed["proposal"]["targets"][0]["uid"], new.as_str());
    std::thread::sleep(Duration::from_secs(1));
    run.say("release victim");
    run.wait(at, "delete", "verified");
    assert_eq!(proxy.uid(), None);
}

/// Without the right to delete, the review says so; there is nothing to release.
fn forbidden(site: &Site, proxy: &Proxy, file: &str) {
    let uid = proxy.victim();
    let limited = site.limited();
    let mut run = Driver::start(site, "forbidden", file, &limited);
    let (_, at) = run.wait(0, "delete", "step-opened");
    run.say("review");
    let (failed, _) = run.wait(at, "delete", "proposal-failed");
    let why = failed["why"].as_str().unwrap();
    assert!(why.contains("forbidden: delete pods in namespace vault"), "{why}");
    run.say("release victim");
    crate::site::until("a refusal", || run.printed().contains("REFUSED"));
    assert_eq!(proxy.uid(), Some(uid));
    let end = json!({"gracePeriodSeconds": 0});
    proxy.ask("DELETE", &format!("{PODS}/victim"), "json", &end);
}
