//! A run driven line by line, and its journal as it grows.

use crate::site::{HOLDPOINT, Site};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Driver {
    child: Child,
    state: PathBuf,
    out: PathBuf,
}

impl Driver {
    /// Starts a run of a runbook on a site; `file` is the site file, `name` tells runs apart.
    pub fn start(site: &Site, name: &str, runbook: &str, file: &str) -> Self {
        Self::begin(site, name, &[runbook, "--site", file, "--write"].map(str::to_owned))
    }

    /// The same with all arguments of `run` but interface and directory.
    pub fn begin(site: &Site, name: &str, args: &[String]) -> Self {
        let state = site.dir.join(format!("runs-{name}"));
        let out = site.dir.join(format!("{name}.out"));
        let child = Command::new(HOLDPOINT)
            .arg("run")
            .args(args)
            .args(["--ui", "plain", "--state"])
            .arg(&state)
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child, state, out }
    }

    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// What it printed so far.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    /// Its events so far.
    pub fn events(&self) -> Vec<Value> {
        let Some(run) = std::fs::read_dir(&self.state).ok().and_then(|mut d| d.next()) else {
            return Vec::new();
        };
        let text = std::fs::read_to_string(run.unwrap().path().join("journal.jsonl"));
        let text = text.unwrap_or_default();
        // The last line may be half written.
        text.lines()
            .filter_map(|l| serde_json::from_str::<Value>(l).ok())
            .map(|mut e| e["event"].take())
            .collect()
    }

    /// Waits for an event of a step, counted from `from`; gives it, and where to go on.
    pub fn wait(&self, from: usize, step: &str, kind: &str) -> (Value, usize) {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let events = self.events();
            let found = events.iter().enumerate().skip(from).find(|(_, e)| {
                e["type"] == kind
                    && e["step"].as_str().is_some_and(|s| s.ends_with(&format!("/{step}")))
            });
            if let Some((i, event)) = found {
                return (event.clone(), i + 1);
            }
            assert!(Instant::now() < end, "no {kind} of {step}:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for its end; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    /// Reviews a step; gives the proposal.
    pub fn review(&mut self, from: usize, step: &str) -> (Value, usize) {
        let (_, from) = self.wait(from, step, "step-opened");
        self.say("review");
        let (mut event, from) = self.wait(from, step, "proposed");
        // The journal has it before the interface does, which refuses to release what it has
        // not shown.
        let shown = format!("proposal {}", &event["digest"].as_str().unwrap()[..12]);
        let end = Instant::now() + Duration::from_secs(60);
        while !self.printed().contains(&shown) {
            assert!(Instant::now() < end, "{shown} is not shown:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
        (event["proposal"].take(), from)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end && !matches!(self.child.try_wait(), Ok(Some(_))) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
