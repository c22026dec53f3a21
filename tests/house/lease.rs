//! The cluster's lease: two runs on one cluster, of which one may change something there.

mod played;

use crate::pty::HOLDPOINT;
use crate::rehearsals::{on_lab_time, operator, small};
use crate::support::{driver, header};
use holdpoint::cli::lab::play::{Play, Playing, begin};
use holdpoint::cli::lab::rehearse::lab_site;
use holdpoint::event::{Entry, Event, Header, Lease, Mode, Span, Verdict};
use holdpoint::journal::{FILE, read};
use holdpoint::lab::faults::fault;
use holdpoint::lab::{self, kube};
use holdpoint::run::{Intent, Status};
use holdpoint::runbook::load;
use holdpoint::session::{Engine, Keep, Live, Opening, open};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Nothing here takes a tenth of it; a program that hangs fails its test by it.
const HANGS: Duration = Duration::from_secs(60);
const LASTS: Duration = Duration::from_secs(3);

/// Three pods go, one after the other; between them something of Vault's own.
const BOOK: &str = r#"
format = 1
id = "pods"
title = "Pods go"
owner = "tests"
needs = ["kubernetes", "vault"]
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "first"
title = "Delete pod vault-0"
do.kube.delete_pod = { namespace = "vault", name = "vault-0" }
risk = "destructive"
undo.none = "it comes back by itself"
[[phase.step.gate]]
that = 'pods.exists(p, p.name == "vault-2")'
says = "there are pods"
[phase.step.verify]
that = 'pods.exists(p, p.name == "vault-0")'
[[phase.step]]
id = "down"
title = "Step down"
hold = "release"
do.vault.step_down = { node = "{{ raft.leader }}" }
[phase.step.verify]
that = 'raft.leader_answers'
within = "60s"
[[phase.step]]
id = "second"
title = "Delete pod vault-1"
do.kube.delete_pod = { namespace = "vault", name = "vault-1" }
risk = "destructive"
undo.none = "it comes back by itself"
[[phase.step.gate]]
that = 'pods.exists(p, p.name == "vault-2")'
says = "there are pods"
[phase.step.verify]
that = 'pods.exists(p, p.name == "vault-1")'
[[phase.step]]
id = "wait"
title = "Wait"
[phase.step.manual]
instruction = "Wait."
"#;

/// A lab in a process of its own, its site pinned and with a short lease.
struct Site {
    lab: Child,
    url: String,
    dir: tempfile::TempDir,
}

impl Site {
    fn up() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut lab = Command::new(HOLDPOINT)
            .args(["lab", "serve", "--dir"])
            .arg(dir.path().join("site"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(lab.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let url = first.split([' ', ',']).find(|w| w.starts_with("http://")).unwrap().to_owned();
        let site = Self { lab, url, dir };
        std::fs::write(site.file("book.toml"), BOOK).unwrap();
        let path = site.file("site/site.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text += &format!("[kubernetes.lease]\nlasts = \"{}s\"\n", LASTS.as_secs());
        std::fs::write(&path, text).unwrap();
        let pinned = Command::new(HOLDPOINT)
            .args(["doctor", "--pin", "--site"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(pinned.status.code().is_some_and(|c| c < 2), "{pinned:?}");
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn begin(&self, runs: &str) -> Plain {
        let (book, runs) = (self.file("book.toml"), self.file(runs));
        self.plain(&["run".as_ref(), &book, "--write".as_ref(), "--state".as_ref(), &runs])
    }

    fn resume(&self, runs: &str) -> Plain {
        let runs = self.file(runs);
        self.plain(&["resume".as_ref(), "--state".as_ref(), &runs])
    }

    fn plain(&self, args: &[&Path]) -> Plain {
        let mut plain = Command::new(HOLDPOINT);
        plain.args(args).args(["--ui", "plain", "--site"]).arg(self.file("site/site.toml"));
        Plain::start(&mut plain)
    }

    /// Pods that were deleted by a request.
    fn deleted(&self) -> Vec<String> {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(stream, "GET /lab HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let deeds = body["deeds"].as_array().unwrap().iter();
        let what = deeds.map(|d| d["what"].as_str().unwrap().to_owned());
        what.filter(|w| w.starts_with("DELETE") && w.contains("/pods/")).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.lab.kill();
        let _ = self.lab.wait();
    }
}

/// A run, line by line.
pub struct Plain {
    child: Child,
    keys: ChildStdin,
    lines: Receiver<String>,
    pub told: Vec<String>,
}

impl Plain {
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = piped.spawn().unwrap();
        let (tell, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|l| tell.send(l))
        });
        let keys = child.stdin.take().unwrap();
        Self { child, keys, lines, told: Vec::new() }
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.keys, "{line}").unwrap();
    }

    /// Reads on until a line has that text.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(HANGS) {
                Ok(line) => {
                    self.told.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("never {text:?}:\n{}", self.told.join("\n"))
                }
            }
        }
    }

    /// Reviews the step in hand, and releases it when it can be.
    fn released(&mut self, step: &str) {
        self.until(&format!("{step}#1 ready"));
        self.say("review");
        let line = self.until("  to release it: ");
        self.say(line.split_once(": ").unwrap().1);
        self.until(&format!("{step}#1 done"));
    }

    fn killed(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn left(mut self) {
        self.say("quit");
        self.until("left; the run stays open");
        assert_eq!(self.child.wait().unwrap().code(), Some(1));
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn journal(runs: &Path) -> PathBuf {
    let mut dirs = std::fs::read_dir(runs).unwrap().map(|d| d.unwrap().path());
    dirs.next().unwrap().join(FILE)
}

/// What the journal says of the lease, renewals aside.
fn of_lease(runs: &Path) -> Vec<String> {
    let entries = read(&journal(runs)).unwrap().entries;
    let told = entries.into_iter().filter_map(|e| match e.event {
        Event::Lease { news: Lease::Renewed { .. } } => None,
        Event::Lease { news } => Some(news.to_string()),
        Event::LeaseClaimed { reason, .. } => Some(format!("claimed: {reason}")),
        _ => None,
    });
    told.collect()
}

#[test]
fn of_two_on_one_cluster_one_can_release_and_a_dead_one_is_not_waited_for() {
    let site = Site::up();
    let mut one = site.begin("one");
    one.until("lease: this run holds kube-system/holdpoint");
    let mut two = site.begin("two");
    let held = two.until("lease: ");
    assert!(held.contains("-pods-") && held.contains('@') && held.contains(" since 20"), "{held}");
    two.until("gate lease#");
    two.say("review");
    let lacks = two.until("  cannot be released yet: ");
    assert!(lacks.contains(": gate lease does not pass"), "{lacks}");
    two.say("release vault-0");
    let refused = two.until("REFUSED: ");
    assert!(refused.contains("this run holds the cluster's lease: fail"), "{refused}");
    two.say("take-lease");
    let refused = two.until("REFUSED: ");
    assert!(refused.contains("say why it is taken over"), "{refused}");
    two.say("close");
    assert!(site.deleted().is_empty());
    one.released("only/first");
    assert_eq!(site.deleted().len(), 1);

    // Its process dies: nobody has it for as long as it lasts, then whoever asks.
    one.killed();
    two.until("does not renew it any more");
    two.say("take-lease");
    two.until("lease: this run holds kube-system/holdpoint");
    two.say("review");
    two.until("  to release it: ");
    two.say("release vault-0");
    two.until("only/first#1 done");
    assert_eq!(site.deleted().len(), 2);

    // Taken up again, the first one finds it in use; with a reason it takes it, and the other
    // one hears of it.
    let mut one = site.resume("one");
    let held = one.until("lease: ");
    assert!(held.contains("holds it since"), "{held}");
    one.say("take-lease the other one waits for us");
    one.until("lease: this run holds kube-system/holdpoint");
    let lost = two.until("lease: it was lost");
    assert!(lost.contains("somebody else took it"), "{lost}");
    two.say("skip not now");
    two.until("gate lease#");
    one.left();
    // Let go, it is free for whoever waits.
    two.until("lease: this run holds kube-system/holdpoint");
    two.until("gate lease pass");
    two.killed();
    // Its own lease a run takes again at once, in another process.
    let mut two = site.resume("two");
    let first = two.until("lease: ");
    assert_eq!(first, "lease: this run holds kube-system/holdpoint");
    two.left();

    let ours = "this run holds kube-system/holdpoint";
    let [first, second] = ["one", "two"].map(|runs| of_lease(&site.file(runs)));
    let taken = |told: &[String]| told.iter().filter(|t| t.contains("took kube")).count();
    assert_eq!((first[0].as_str(), taken(&first)), (ours, 1), "{first:#?}");
    assert!(first.contains(&"claimed: the other one waits for us".into()), "{first:#?}");
    assert_eq!(first.last().unwrap(), "this run let it go");
    assert!(second[0].contains("holds it since"), "{second:#?}");
    assert!(second.iter().any(|t| t == "claimed: "), "{second:#?}");
    // From the first one; lost to it; free; after the kill; let go.
    let owned = second.iter().filter(|t| t.contains(ours)).count();
    assert_eq!((taken(&second), owned), (1, 2), "{second:#?}");
}
