//! A program that outlives its Holdpoint is found again, and not started a second time.

use crate::pty::HOLDPOINT;
use holdpoint::event::{Event, Outcome, Probed};
use holdpoint::journal::{Verdict, read};
use std::fs::{read_to_string, write};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It says that it began, waits until it may go on, and says that it ended.
const SCRIPT: &str = "echo begun >> begun; i=0; \
    while [ ! -e go ] && [ $i -lt 1200 ]; do sleep 0.1; i=$((i+1)); done; echo ended >> ended";

fn prepared(dir: &Path) {
    let put = |name: &str, text: &str| write(dir.join(name), text).unwrap();
    put("site.toml", "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n");
    put("site.pins.toml", "");
    put("answers.toml", "[release]\n'only/long' = ''\n[in_doubt]\n'only/long' = 'by probe'\n");
    put(
        "book.toml",
        &format!(
            "format = 1\nid = \"long\"\ntitle = \"It takes long\"\nowner = \"tests\"\n[[phase]]\n\
             id = \"only\"\ntitle = \"Only\"\n[[phase.step]]\nid = \"long\"\ntitle = \"Long\"\n\
             hold = \"release\"\nprobe = 'true'\n\
             do.shell.run = {{ argv = [\"sh\", \"-c\", {SCRIPT:?}], timeout = \"5m\" }}\n"
        ),
    );
}

fn holdpoint(dir: &Path, out: &str, args: &[&str]) -> Child {
    let out = std::fs::File::create(dir.join(out)).unwrap();
    Command::new(HOLDPOINT)
        .args(args)
        .args(["--state", "runs"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap()
}

/// The text of a file, once something stands in it.
fn until(file: PathBuf, what: &str) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let text = read_to_string(&file).unwrap_or_default();
        if text.contains(what) {
            return text;
        }
        assert!(Instant::now() < end, "{}: no {what}:\n{text}", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_outlives_its_holdpoint_is_found_and_not_started_twice() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path();
    prepared(dir);
    let headless = ["--ui", "plain", "--answers", "answers.toml"];
    let mut first = holdpoint(
        dir,
        "out",
        &[&["run", "book.toml", "--site", "site.toml"], &headless[..]].concat(),
    );
    until(dir.join("begun"), "begun");
    first.kill().unwrap();
    first.wait().unwrap();

    // A person who would try it again is told what still runs.
    let mut person = holdpoint(dir, "person", &["resume", "--ui", "plain"]);
    until(dir.join("person"), "it is still under way: pid ");
    let mut stdin = person.stdin.take().unwrap();
    writeln!(stdin, "retry").unwrap();
    let said = until(dir.join("person"), "it still runs: pid ");
    // Nor is it undone, or left behind, while it is at work.
    for line in ["back undo it went wrong", "skip we go on", "accept", "retry"] {
        writeln!(stdin, "{line}").unwrap();
    }
    writeln!(stdin, "quit").unwrap();
    person.wait().unwrap();
    assert_eq!(read_to_string(dir.join("begun")).unwrap(), "begun\n", "{said}");
    let run = std::fs::read_dir(dir.join("runs")).unwrap().next().unwrap().unwrap().path();
    let refused = |e: &holdpoint::event::Entry| matches!(&e.event, Event::Refused { why, .. } if why.contains("it still runs"));
    let entries = read(&run).unwrap().entries;
    assert_eq!(entries.iter().filter(|e| refused(e)).count(), 5, "{said}");
    assert!(
        !entries.iter().any(|e| matches!(e.event, Event::BackBegan { .. } | Event::Skipped { .. }))
    );

    // Nobody but answers: it is waited for, and accepted as the runbook's probe says.
    let mut last = holdpoint(dir, "last", &["resume", "--headless", "--answers", "answers.toml"]);
    until(dir.join("last"), "it is still under way");
    write(dir.join("go"), "").unwrap();
    let status = last.wait().unwrap();
    assert!(status.success(), "{}", read_to_string(dir.join("last")).unwrap());
    for name in ["begun", "ended"] {
        assert_eq!(read_to_string(dir.join(name)).unwrap(), format!("{name}\n"));
    }
    let journal = read(&run).unwrap();
    assert_eq!(journal.verdict, Verdict::Complete);
    let verdicts: Vec<_> = journal
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Probed { verdict, .. } => Some(*verdict),
            Event::EffectEnded { outcome: Outcome::Ok, .. } => panic!("nobody saw it end"),
            _ => None,
        })
        .collect();
    assert_eq!(verdicts.last(), Some(&Probed::Done), "{verdicts:?}");
    assert!(verdicts.iter().filter(|v| **v == Probed::Running).count() >= 2, "{verdicts:?}");
}
