//! The real tools on a lab that is served: kubectl and vault take it for what it stands for.

use crate::site::{HOLDPOINT, request, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

struct Served {
    child: Child,
    dir: PathBuf,
    bin: PathBuf,
    url: String,
    /// Addresses of the voters, by number.
    voters: Vec<String>,
}

impl Served {
    /// `name` tells labs apart that are up at the same time.
    fn up(name: &str) -> Self {
        let bin = std::env::var("HOLDPOINT_REAL_BIN").expect("run these tests with tests/real/run");
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("tools-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut child = Command::new(HOLDPOINT)
            .args(["lab", "serve", "--dir"])
            .arg(&dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.strip_prefix("lab at ").and_then(|l| l.split(',').next()).unwrap();
        let site: toml::Table =
            std::fs::read_to_string(dir.join("site.toml")).unwrap().parse().unwrap();
        let voters = site["vault"]["voter"].as_array().unwrap().iter();
        let voters = voters.map(|v| v["address"].as_str().unwrap().to_owned()).collect();
        Self { child, dir, bin: bin.into(), url: url.to_owned(), voters }
    }

    fn tool(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command
            .args(args)
            .env("HOME", &self.dir)
            .env("KUBECONFIG", self.dir.join("kubeconfig"))
            .env("VAULT_TOKEN", std::fs::read_to_string(self.dir.join("vault-token")).unwrap());
        command
    }

    fn kubectl(&self, args: &[&str]) -> String {
        said(args, &self.tool("kubectl", args).output().unwrap())
    }

    fn vault(&self, voter: usize, args: &[&str]) -> String {
        let mut command = self.tool("vault", args);
        said(args, &command.env("VAULT_ADDR", &self.voters[voter]).output().unwrap())
    }

    /// Who leads, as the vault tool lists it; none while nobody does.
    fn leader(&self, asked: usize) -> Option<usize> {
        let mut command = self.tool("vault", &["operator", "raft", "list-peers", "-format=json"]);
        let out = command.env("VAULT_ADDR", &self.voters[asked]).output().unwrap();
        let list: Value = serde_json::from_slice(&out.stdout).ok()?;
        let servers = list["data"]["config"]["servers"].as_array().unwrap();
        assert_eq!(servers.len(), 3);
        let leads = servers.iter().find(|s| s["leader"] == true)?;
        leads["node_id"].as_str().unwrap().strip_prefix("vault-").unwrap().parse().ok()
    }

    /// Interrupts it, as a person would.
    fn end(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(130));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn said(args: &[&str], out: &Output) -> String {
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).unwrap()
}

/// A tool that goes on printing.
struct Printing(Child, Receiver<String>);

impl Printing {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (tell, told) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self(child, told)
    }

    /// Waits for a line with all of this in it.
    fn line(&self, words: &[&str]) {
        let end = Instant::now() + Duration::from_secs(60);
        let mut last = String::new();
        while let Ok(line) = self.1.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if words.iter().all(|w| line.contains(w)) {
                return;
            }
            last = line;
        }
        panic!("no line with {words:?}; the last was {last}");
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn kubectl_changes_a_served_lab_and_watches_it() {
    let lab = Served::up("kubectl");
    let (code, body) = request("GET", &format!("{}/lab", lab.url), "", "");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &body["lab"]), (200, &Value::Bool(true)));
    assert!(body["now"].as_str().unwrap().ends_with('Z'), "{body}");
    let watch = Printing::start(lab.tool("kubectl", &["get", "pods", "-A", "-w"]));
    watch.line(&["vault-2", "Running"]);
    // Claims first, then the pod: the new pod is on a new claim.
    let claim = ["-n", "vault", "get", "pvc", "data-vault-0", "-o", "jsonpath={.metadata.uid}"];
    let old = lab.kubectl(&claim);
    let gone = lab.kubectl(&["-n", "vault", "delete", "pvc", "data-vault-0", "--wait=false"]);
    assert!(gone.contains("persistentvolumeclaim \"data-vault-0\" deleted"), "{gone}");
    let claims = lab.kubectl(&["-n", "vault", "get", "pvc"]);
    let row = claims.lines().find(|l| l.starts_with("data-vault-0")).unwrap();
    assert!(row.contains("Terminating"), "{claims}");
    lab.kubectl(&["-n", "vault", "delete", "pod", "vault-0", "--wait=false"]);
    watch.line(&["vault-0", "Terminating"]);
    watch.line(&["vault-0", "2/2", "Running"]);
    assert_ne!(lab.kubectl(&claim), old);
    // Patches of each kind.
    for (kind, patch) in [
        ("merge", r#"{"metadata":{"annotations":{"patched":"merge"}}}"#),
        ("strategic", r#"{"metadata":{"annotations":{"patched":"strategic"}}}"#),
        ("json", r#"[{"op":"replace","path":"/metadata/annotations/patched","value":"json"}]"#),
    ] {
        lab.kubectl(&["-n", "vault", "patch", "pod", "vault-1", "--type", kind, "-p", patch]);
        let path = "jsonpath={.metadata.annotations.patched}";
        assert_eq!(lab.kubectl(&["-n", "vault", "get", "pod", "vault-1", "-o", path]), kind);
    }
    server_side(&lab);
    lab.end();
}

/// The manifest with another class is refused while there is a set, and taken when it is not.
fn server_side(lab: &Served) {
    let manifest = lab.dir.join("vault-statefulset.yaml").display().to_string();
    let force = "--force-conflicts";
    let apply = ["apply", "--server-side", force, "-f", manifest.as_str()];
    let refused = lab.tool("kubectl", &apply).output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("updates to statefulset spec"), "{why}");
    let before = lab.kubectl(&["-n", "vault", "get", "pods", "-o", "jsonpath={..metadata.uid}"]);
    lab.kubectl(&["-n", "vault", "delete", "statefulset", "vault", "--cascade=orphan"]);
    let applied = lab.kubectl(&apply);
    assert!(applied.contains("serverside-applied"), "{applied}");
    let class = "jsonpath={.spec.volumeClaimTemplates[0].spec.storageClassName}";
    let class = lab.kubectl(&["-n", "vault", "get", "statefulset", "vault", "-o", class]);
    assert_eq!(class, "proxmox-lvm-encrypted");
    let after = lab.kubectl(&["-n", "vault", "get", "pods", "-o", "jsonpath={..metadata.uid}"]);
    assert_eq!(before, after, "orphans are adopted");
}

#[test]
fn the_vault_tool_works_on_a_served_lab() {
    let lab = Served::up("vault");
    assert_eq!(lab.leader(0), Some(2));
    let peers = lab.vault(1, &["operator", "raft", "list-peers"]);
    assert!(peers.contains("vault-2") && peers.contains("leader"), "{peers}");
    // From the leader: a standby says where that is, and the tool does not go there.
    let file = lab.dir.join("lab.snap").display().to_string();
    lab.vault(2, &["operator", "raft", "snapshot", "save", &file]);
    let inside = lab.vault(2, &["operator", "raft", "snapshot", "inspect", &file]);
    assert!(inside.contains("Index"), "{inside}");
    lab.vault(2, &["operator", "step-down"]);
    until("another leader", || lab.leader(2).is_some_and(|n| n != 2));
    lab.end();
}
