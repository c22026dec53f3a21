//! A site of real servers for one test. It ends when this end of its standard input is
//! closed, also when the test is killed.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sites come up one at a time: two API servers that start beside each other starve the voters
/// of a third on a machine of two cores.
static COMING_UP: Mutex<()> = Mutex::new(());

pub struct Site {
    child: Child,
    pub facts: Value,
    pub dir: PathBuf,
    pub bin: PathBuf,
}

pub const HOLDPOINT: &str = env!("CARGO_BIN_EXE_holdpoint");

impl Site {
    pub fn up(name: &str, options: &[&str]) -> Self {
        let bin = std::env::var("HOLDPOINT_REAL_BIN").expect("run these tests with tests/real/run");
        let bin = PathBuf::from(bin);
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let turn = COMING_UP.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new(bin.join("site"))
            .args(["up", "--until-stdin-closes", "--ttl", "30m", "--dir"])
            .arg(&dir)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.find_map(|l| l.ok()?.strip_prefix("READY ").map(str::to_owned));
        let facts = serde_json::from_str(&ready.expect("the site came up")).unwrap();
        drop(turn);
        let site = Self { child, facts, dir, bin };
        let file = site.fact("site_file");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}\n[write]\nunattended = true\n")).unwrap();
        site
    }

    pub fn fact(&self, name: &str) -> String {
        self.facts[name].as_str().unwrap().to_owned()
    }

    pub fn voters(&self) -> Vec<(String, String)> {
        let list = self.facts["voters"].as_array().unwrap();
        list.iter()
            .map(|v| (v["name"].as_str().unwrap().into(), v["real"].as_str().unwrap().into()))
            .collect()
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.fact("token_file")).unwrap().trim().to_owned()
    }

    /// Breaks or mends something; see the table in the README beside this file.
    pub fn control(&self, path: &str) {
        let url = format!("{}{path}", self.fact("control"));
        // Moving the leadership takes an election or two.
        let (code, body) = within(Duration::from_secs(60), "POST", &url, "", "");
        assert_eq!(code, 200, "{path}: {body}");
    }

    pub fn pin(&self) {
        let out = holdpoint(&["doctor", "--pin", "--site", &self.fact("site_file")]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    }

    /// The same site with credentials that may read and not delete.
    pub fn limited(&self) -> String {
        let text = std::fs::read_to_string(self.fact("site_file")).unwrap();
        let text = text.replace(&self.fact("kubeconfig"), &self.fact("kubeconfig_limited"));
        let file = self.dir.join("limited.toml");
        std::fs::write(&file, text).unwrap();
        let pins = self.dir.join("site.pins.toml");
        if pins.exists() {
            std::fs::copy(pins, self.dir.join("limited.pins.toml")).unwrap();
        }
        file.display().to_string()
    }

    /// The same site with one voter behind a port-forward instead of its address.
    pub fn forwarded(&self, voter: &str) -> String {
        let text = std::fs::read_to_string(self.fact("site_file")).unwrap();
        let named = format!("name = \"{voter}\"\naddress = ");
        let (before, rest) = text.split_once(&named).unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        let file = self.dir.join("forwarded.toml");
        let text = format!("{before}name = \"{voter}\"\nport_forward = 8200\n{after}");
        std::fs::write(&file, text).unwrap();
        let pins = self.dir.join("site.pins.toml");
        std::fs::copy(pins, self.dir.join("forwarded.pins.toml")).unwrap();
        file.display().to_string()
    }

    pub fn kubectl(&self, args: &[&str]) -> String {
        let out = Command::new(self.bin.join("kubectl"))
            .args(["--kubeconfig", &self.fact("kubeconfig"), "--context", &self.fact("context")])
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    pub fn json(&self, what: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[what, &["-o", "json"]].concat())).unwrap()
    }

    /// Name, UID and class of Vault's claims.
    pub fn claims(&self) -> Vec<(String, String, String)> {
        let list = self.json(&["-n", "vault", "get", "pvc"]);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let row = |c: &Value| {
            (
                text(&c["metadata"]["name"]),
                text(&c["metadata"]["uid"]),
                text(&c["spec"]["storageClassName"]),
            )
        };
        list["items"].as_array().unwrap().iter().map(row).collect()
    }

    /// Arguments of a whole roll, after `run`.
    pub fn roll_args(&self, runbook: &str) -> Vec<String> {
        let param = |name: &str, value: String| ["--param".to_owned(), format!("{name}={value}")];
        let place = |name: &str| self.dir.join(name).display().to_string();
        let mut args =
            vec![runbook.to_owned(), "--site".into(), self.fact("site_file"), "--write".into()];
        args.extend(param("manifest", self.fact("manifest")));
        args.extend(param("anchor_dir", place("anchors")));
        args.extend(param("second_copy", place("anchors-2")));
        args.extend(param("soak", "8s".into()));
        // A checkout may lie in a temporary directory.
        args.extend(param("temporary_dirs", "/dev/shm".into()));
        args
    }

    /// The journal of the only run.
    pub fn journal(&self) -> PathBuf {
        let runs = std::fs::read_dir(self.dir.join("runs")).unwrap();
        let mut runs: Vec<_> = runs.map(|r| r.unwrap().path()).collect();
        runs.sort();
        runs.pop().expect("a run")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
    }
}

pub fn holdpoint(args: &[&str]) -> Output {
    Command::new(HOLDPOINT).args(args).output().unwrap()
}

pub fn runbook(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(name).display().to_string()
}

/// One request to a Vault on loopback; code 0 when there is no answer.
pub fn http(method: &str, url: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let token = token.map(|t| format!("X-Vault-Token: {t}\r\n")).unwrap_or_default();
    request(method, url, &token, body)
}

/// One request to a server on loopback, with complete header lines.
pub fn request(method: &str, url: &str, headers: &str, body: &str) -> (u16, String) {
    within(Duration::from_secs(3), method, url, headers, body)
}

fn within(limit: Duration, method: &str, url: &str, headers: &str, body: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) =
        rest.split_once('/').map_or((rest, "/".to_owned()), |(h, p)| (h, format!("/{p}")));
    assert!(host.starts_with("127.0.0.1:"));
    let answer = || -> std::io::Result<String> {
        let mut stream =
            TcpStream::connect_timeout(&host.parse().unwrap(), Duration::from_secs(2))?;
        stream.set_read_timeout(Some(limit))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    match answer() {
        Ok(text) => {
            let code = text.split(' ').nth(1).and_then(|c| c.parse().ok()).unwrap_or(0);
            (code, text.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default())
        }
        Err(_) => (0, String::new()),
    }
}

/// Asks until it is so; fails after a minute and a half.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(90);
    while !so() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(200));
    }
}
