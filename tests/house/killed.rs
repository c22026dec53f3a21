//! Killed at any moment and resumed until done, on a served lab.

use crate::killing::{ANSWERS, Deed, Doomed, Struck, killed};
use crate::pty::HOLDPOINT;
use holdpoint::lab::site::{NEW_CLASS, VOTERS};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const RUNBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/vault-raft-to-block.toml");

/// Steps that are struck while their effect, or its verify, is under way, whatever chance decides: each
/// settles for a second or more, so that the kill finds it there.
const STRUCK: [&str; 3] = ["statefulset/orphan", "roll/claims", "roll/pod"];

/// A lab in a process of its own; it ends with this.
struct Served {
    child: Child,
    url: String,
    dir: PathBuf,
    options: Vec<String>,
}

impl Served {
    fn up(dir: PathBuf, options: &[String]) -> Self {
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
        let site = Self { child, url, dir, options: options.to_vec() };
        // Its files are written before it says anything.
        let pinned = site.holdpoint(&["doctor", "--pin"], "doctor.out").wait().unwrap();
        assert!(pinned.code() == Some(0) || pinned.code() == Some(1), "{pinned}");
        site
    }

    /// What the API server or a voter of it answers.
    fn get(&self, url: &str) -> (String, Value) {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().to_owned();
        (code, serde_json::from_str(body).unwrap_or_default())
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
    fn renew(&mut self) -> bool {
        // It writes no more into the directory that the next one takes.
        let _ = self.child.kill();
        let _ = self.child.wait();
        *self = Self::up(self.dir.clone(), &self.options);
        true
    }

    /// Every voter's claims are Bound in the new class and no other is left, the set makes such
    /// claims, and the voters are one quorum with one leader.
    fn ends_well(&self) {
        let vault = format!("{}/api/v1/namespaces/vault", self.url);
        let (_, claims) = self.get(&format!("{vault}/persistentvolumeclaims"));
        let text =
            |object: &Value, at: &str| object.pointer(at).unwrap().as_str().unwrap().to_owned();
        let all = claims["items"].as_array().unwrap();
        let of_voters = all.iter().filter(|c| text(c, "/metadata/name").contains("-vault-"));
        let mut found = 0;
        for claim in of_voters {
            found += 1;
            let is = (text(claim, "/spec/storageClassName"), text(claim, "/status/phase"));
            assert_eq!(is, (NEW_CLASS.to_owned(), "Bound".to_owned()), "{claim}");
            assert!(claim.pointer("/metadata/deletionTimestamp").is_none(), "{claim}");
        }
        assert_eq!(found, 2 * VOTERS.len());
        let sets = format!("{}/apis/apps/v1/namespaces/vault/statefulsets/vault", self.url);
        let (_, set) = self.get(&sets);
        for template in set["spec"]["volumeClaimTemplates"].as_array().unwrap() {
            assert_eq!(text(template, "/spec/storageClassName"), NEW_CLASS);
        }
        assert_eq!(set["status"]["readyReplicas"], VOTERS.len(), "{set}");
        let site = std::fs::read_to_string(self.site_file()).unwrap();
        let voters = site.lines().filter_map(|l| l.strip_prefix("address = ")).map(|a| {
            let (code, health) = self.get(&format!("{}/v1/sys/health", a.trim_matches('"')));
            assert_eq!(health["sealed"], false, "{code} {health}");
            code
        });
        let mut codes: Vec<String> = voters.collect();
        codes.sort();
        assert_eq!(codes, ["200", "429", "429"]);
    }

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
        let (_, body) = self.get(&format!("{}/lab", self.url));
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
        let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
        let dir = place.join(format!("{name}-{}-{n}", std::process::id()));
        let mut site = Served::up(dir, &options);
        let struck = killed(&mut site, seed + n, *kills);
        let _ = std::fs::remove_dir_all(&site.dir);
        struck
    };
    let told: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..).zip(labs).map(|lab| scope.spawn(move || tell(lab))).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut all = Struck::default();
    told.into_iter().for_each(|struck| all.add(struck));
    let Struck { stages, steps, counts: (asked, unknown, effected) } = all;
    println!("kills by stage: {stages:?}");
    println!("kills by step: {steps:?}; {effected} effects, {asked} in doubt, {unknown} unknown");
    assert!(unknown * 20 <= asked, "{unknown} of {asked} doubts were not settled");
    // Each lab's first kills are aimed; where the others strike is chance.
    let aimed = labs.iter().all(|(kills, _)| *kills as usize > STRUCK.len());
    for step in STRUCK.iter().filter(|_| aimed) {
        assert!(steps.contains_key(*step), "{step} was not struck: {steps:?}");
    }
    // Few kills strike every stage only by chance.
    let many = labs.iter().map(|(kills, _)| *kills).sum::<u32>() >= 500;
    for stage in ["ready", "confirming", "released", "running", "verifying", "in doubt"] {
        assert!(!many || stages.contains_key(stage), "no kill while {stage}: {stages:?}");
    }
    assert!(asked > 0);
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
