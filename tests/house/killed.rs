//! Killed at any moment and resumed until done, on a served lab.

use crate::killing::{ANSWERS, Deed, Doomed, compared, killed};
use crate::pty::HOLDPOINT;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const RUNBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/vault-raft-to-block.toml");

/// A lab in a process of its own; it ends with this.
struct Served {
    child: Child,
    url: String,
    dir: PathBuf,
}

impl Served {
    fn up(dir: PathBuf, options: &[&str]) -> Self {
        let _ = std::fs::remove_dir_all(&dir);
        for place in ["runs", "anchors", "anchors-2"] {
            std::fs::create_dir_all(dir.join(place)).unwrap();
        }
        std::fs::write(dir.join("answers.toml"), ANSWERS).unwrap();
        let mut child = Command::new(HOLDPOINT)
            .args(["lab", "serve", "--dir"])
            .arg(dir.join("site"))
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.split([' ', ',']).find(|w| w.starts_with("http://")).unwrap().to_owned();
        let site = Self { child, url, dir };
        // Its files are written before it says anything.
        let pinned = site.holdpoint(&["doctor", "--pin"], "doctor.out").wait().unwrap();
        assert!(pinned.code() == Some(0) || pinned.code() == Some(1), "{pinned}");
        site
    }

    fn site_file(&self) -> String {
        self.dir.join("site/site.toml").display().to_string()
    }

    fn holdpoint(&self, args: &[&str], out: &str) -> Child {
        let out = std::fs::File::create(self.dir.join(out)).unwrap();
        Command::new(HOLDPOINT)
            .args(args)
            .args(["--site", &self.site_file()])
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap()
    }
}

impl Doomed for Served {
    fn begin(&self) -> Child {
        let place = |name: &str| self.dir.join(name).display().to_string();
        let param = |name: &str, value: &str| format!("{name}={value}");
        let given = [
            param("manifest", &place("site/vault-statefulset.yaml")),
            param("anchor_dir", &place("anchors")),
            param("second_copy", &place("anchors-2")),
            param("temporary_dirs", "/nowhere"),
            param("soak", "2s"),
        ];
        let (runs, answers) = (place("runs"), place("answers.toml"));
        let mut args = vec!["run", RUNBOOK, "--write", "--ui", "plain"];
        args.extend(["--answers", &answers, "--state", &runs]);
        given.iter().for_each(|p| args.extend(["--param", p]));
        self.holdpoint(&args, "out")
    }

    fn resume(&self) -> Child {
        let place = |name: &str| self.dir.join(name).display().to_string();
        let (runs, answers) = (place("runs"), place("answers.toml"));
        self.holdpoint(&["resume", "--headless", "--answers", &answers, "--state", &runs], "out")
    }

    fn runs(&self) -> PathBuf {
        self.dir.join("runs")
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.dir.join("out")).unwrap()
    }

    fn deeds(&self) -> Vec<Deed> {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET /lab HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let deeds = body["deeds"].as_array().unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        deeds
            .iter()
            .map(|d| (text(&d["at"]).parse().unwrap(), text(&d["what"]), text(&d["uid"])))
            .collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many kills, over so many labs at once.
fn kills(name: &str, seed: u64, labs: &[(u32, &[&str])]) {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let tell = |(n, (kills, options)): (u64, &(u32, &[&str]))| {
        let site = Served::up(place.join(format!("{name}-{}-{n}", std::process::id())), options);
        let stages = killed(&site, seed + n, *kills);
        let counts = compared(&site);
        let _ = std::fs::remove_dir_all(&site.dir);
        (stages, counts)
    };
    let told: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..).zip(labs).map(|lab| scope.spawn(move || tell(lab))).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut stages: BTreeMap<String, u32> = BTreeMap::new();
    let (mut asked, mut unknown, mut effected) = (0, 0, 0);
    for (of, (a, u, e)) in told {
        of.into_iter().for_each(|(stage, n)| *stages.entry(stage).or_default() += n);
        (asked, unknown, effected) = (asked + a, unknown + u, effected + e);
    }
    println!("kills by stage: {stages:?}; {effected} effects, {asked} in doubt, {unknown} unknown");
    assert!(unknown * 20 <= asked, "{unknown} of {asked} doubts were not settled");
    assert!(asked > 0 && stages.len() > 3);
}

#[test]
fn kills_lose_nothing_and_do_nothing_twice() {
    #[allow(clippy::disallowed_methods, reason = "how many is asked for from outside")]
    let all = std::env::var("HOLDPOINT_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    let third = all / 3;
    kills(
        "killed",
        1,
        &[(third, &[]), (third, &["--seed", "2"]), (all - 2 * third, &["--seed", "3"])],
    );
}
