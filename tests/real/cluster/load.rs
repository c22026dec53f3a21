//! A cluster of many pods, kubectl on it, and what processes cost.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Load {
    site: Child,
    proxy: Child,
    proxied: String,
    bin: PathBuf,
    dir: PathBuf,
    facts: Value,
    pub pods: usize,
    pub namespaces: usize,
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().map_or(otherwise, |v| v.parse().expect("a number"))
}

impl Load {
    pub fn up() -> Self {
        let bin = std::env::var("HOLDPOINT_REAL_BIN").expect("run this with tests/real/bench");
        let bin = PathBuf::from(bin);
        let (pods, namespaces) =
            (number("HOLDPOINT_BENCH_PODS", 20_000), number("HOLDPOINT_BENCH_NAMESPACES", 40));
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("cluster-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let began = Instant::now();
        let mut site = Command::new(bin.join("site"))
            .args(["up", "--until-stdin-closes", "--ttl", "20m", "--dir"])
            .arg(&dir)
            .args(["--pods", &pods.to_string(), "--namespaces", &namespaces.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(site.stdout.take().unwrap()).lines();
        let ready = lines.find_map(|l| l.ok()?.strip_prefix("READY ").map(str::to_owned));
        let facts: Value = serde_json::from_str(&ready.expect("the cluster came up")).unwrap();
        eprintln!("made in {:.0} s", began.elapsed().as_secs_f64());
        let mut proxy = Command::new(bin.join("kubectl"))
            .args(["--kubeconfig", facts["kubeconfig"].as_str().unwrap(), "proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let proxied = said.trim().rsplit(' ').next().unwrap().to_owned();
        Self { site, proxy, proxied, bin, dir, facts, pods, namespaces }
    }

    pub fn watch_args(&self) -> Vec<String> {
        let site = self.facts["site_file"].as_str().unwrap();
        let runs = self.dir.join("runs").display().to_string();
        ["watch", "--site", site, "--state", &runs].map(str::to_owned).to_vec()
    }

    /// Seconds and megabytes of `kubectl get pods -A`.
    pub fn kubectl_get(&self) -> (f64, f64) {
        let began = Instant::now();
        let mut child = Command::new(self.bin.join("kubectl"))
            .args(["--kubeconfig", self.facts["kubeconfig"].as_str().unwrap(), "get", "pods", "-A"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut most: f64 = 0.0;
        while child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(180), "kubectl does not end");
            most = most.max(megabytes(child.id(), "VmHWM:"));
            std::thread::sleep(Duration::from_millis(20));
        }
        (began.elapsed().as_secs_f64(), most)
    }

    /// Changes a pod's status, through kubectl's proxy.
    pub fn set_restarts(&self, namespace: &str, pod: &str, restarts: usize) {
        let body = serde_json::json!({"status": {"containerStatuses": [{"name": "main",
            "image": "registry.example.net/main:1", "imageID": "", "ready": true,
            "restartCount": restarts, "state": {"running": {}}}]}})
        .to_string();
        let mut stream = TcpStream::connect(&self.proxied).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "PATCH /api/v1/namespaces/{namespace}/pods/{pod}/status HTTP/1.1\r\nHost: {}\r\n\
             Content-Type: application/merge-patch+json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.proxied,
            body.len()
        )
        .unwrap();
        let mut answer = [0; 64];
        let n = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
        // The site ends all it started when its standard input closes.
        drop(self.site.stdin.take());
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end && matches!(self.site.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.site.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A figure of `/proc/PID/status`, in MB; 0 for a process that has ended.
pub fn megabytes(pid: u32, name: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(name));
    let kb = line.and_then(|l| l.trim().split(' ').next()?.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}

/// Seconds of CPU that a process has used. A tick is 10 ms everywhere that matters.
pub fn cpu_seconds(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
