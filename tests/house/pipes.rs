//! Whoever reads what is printed may go at any time: no verb ends by a panic, and a change is
//! left only where nothing runs.

use crate::pty::HOLDPOINT;
use crate::rehearsals::{on_lab_time, operator, small, what};
use holdpoint::cli::lab::play::{RUNBOOK, begin};
use holdpoint::event::{Actor, Event};
use holdpoint::run::Status;
use holdpoint::session::unattended;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/vault-raft-to-block.toml");

/// A pipe whose reader is gone before anything is written.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn holdpoint(args: &[&str], out: Stdio) -> Output {
    let mut command = Command::new(HOLDPOINT);
    command.args(args).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

fn runs(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|d| d.unwrap().path()).collect()
}

#[test]
fn a_reader_that_goes_ends_no_verb_by_a_panic() {
    let all: [&[&str]; 8] = [
        &["--help"],
        &["lab", "faults"],
        &["check", BOOK],
        &["plan", BOOK],
        &["schema", "runbook"],
        &["schema", "world"],
        &["completions", "bash"],
        &["rehearse", "--help"],
    ];
    for args in all {
        let out = holdpoint(args, closed());
        assert_eq!(String::from_utf8_lossy(&out.stderr), "", "{args:?}");
        assert_eq!(out.status.code(), Some(0), "{args:?}: what it says of its work it still says");
    }
    let out = holdpoint(&["check", "/nonexistent.toml"], closed());
    assert_eq!(out.status.code(), Some(2));
}

/// Nobody hears what is wrong, and still nothing breaks.
#[test]
fn nor_does_one_of_what_went_wrong() {
    let mut command = Command::new(HOLDPOINT);
    command.args(["check", "/nonexistent.toml"]).stdin(Stdio::null());
    let status = command.stdout(closed()).stderr(closed()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

/// That is another thing than a reader who has seen enough.
#[test]
fn an_output_that_cannot_be_written_is_said() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = holdpoint(&["plan", BOOK], full.into());
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("output cannot be written") && !said.contains("panicked"), "{said}");
}

#[test]
fn a_rehearsal_that_nobody_reads_is_left_with_its_journal_whole() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().display().to_string();
    let out = holdpoint(&["rehearse", BOOK, "--headless", "--state", &state], closed());
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    assert!(out.stderr.is_empty(), "{out:?}");
    let runs = runs(dir.path());
    let verdict = holdpoint(&["verify", &runs[0].display().to_string()], Stdio::piped());
    assert!(verdict.stdout.starts_with(b"open"), "{verdict:?}");
}

/// Line by line and with its journal, as a change is: it says where it was left.
#[test]
fn a_run_that_nobody_reads_is_left_and_says_so_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site.toml");
    std::fs::write(&site, "format = 1\nname = \"e\"\n").unwrap();
    let state = dir.path().join("runs");
    // Its input stays open: only its output is gone.
    let mut child = Command::new(HOLDPOINT)
        .args(["watch", "--ui", "plain", "--site", &site.display().to_string()])
        .args(["--state", &state.display().to_string()])
        .stdin(Stdio::piped())
        .stdout(closed())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take();
    let out = child.wait_with_output().unwrap();
    drop(input);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("nobody reads") && !said.contains("panicked"), "{said}");
    assert!(said.contains(&runs(&state)[0].display().to_string()), "{said}");
}

/// Whoever reads goes just as something was released, or runs: it ends, its end is in the
/// journal, and nothing else begins.
#[test]
fn what_was_released_comes_to_its_end_before_the_run_is_left() {
    for last in ["claims#1 released", "claims#1 running"] {
        let (played, lines) = on_lab_time(async {
            let actor = Actor::File { path: "rehearsal".into() };
            let answers = operator();
            // Slow enough that each status is seen.
            let play = what(RUNBOOK, &["api-slow"], answers.clone(), small());
            let playing = begin(play, actor.clone()).await.unwrap();
            let mut lines = Vec::new();
            let mut out = |line: String| {
                lines.push(line);
                !lines.iter().any(|line| line.contains(last))
            };
            let done = unattended(&playing.handle, &actor, &answers, &mut out).await;
            assert!(!done);
            (playing.end(done).await.unwrap(), lines)
        });
        let at = |is: &dyn Fn(&Event) -> bool| played.entries.iter().rposition(|e| is(&e.event));
        let began = at(&|e| matches!(e, Event::EffectStarted { .. })).unwrap();
        let Event::EffectStarted { step: mine, .. } = &played.entries[began].event else {
            panic!("{last}")
        };
        assert!(mine.to_string().ends_with("/claims"), "{last}: the last effect was of {mine}");
        let ended = at(&|e| matches!(e, Event::EffectEnded { .. })).unwrap();
        assert!(began < ended, "{last}: it was left in the middle: {lines:?}");
        let step = played.state.current().unwrap();
        assert_eq!(&step, mine, "{last}: it went on");
        let status = played.state.steps[&step].status;
        assert!(matches!(status, Status::Verifying | Status::Done), "{last}: {status}");
    }
}
