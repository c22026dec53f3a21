//! What a run leaves to be done later, and who said that it was.

use crate::pty::HOLDPOINT;
use holdpoint::journal::FILE;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BOOK: &str = r#"format = 1
id = "leaves"
title = "It leaves something"
owner = "tests"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "print"
title = "Print"
hold = "release"
probe = 'false'
do.shell.run = { argv = ["true"], timeout = "1m" }
[[followup]]
id = "volumes"
title = "Delete the Released volumes"
due = "168h"
owner = "storage"
[[followup]]
id = "anchor"
title = "Remove the anchor"
due = "0s"
owner = "platform"
"#;

fn holdpoint(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out =
        Command::new(HOLDPOINT).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    let told = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(told).unwrap())
}

/// A directory with one run, whose answers release its step or not.
fn ran(answers: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put("site.toml", "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n");
    put("site.pins.toml", "");
    put("answers.toml", answers);
    put("book.toml", BOOK);
    let begin = ["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--answers"];
    holdpoint(dir.path(), &[&begin[..], &["answers.toml", "--state", "runs"]].concat());
    let run = std::fs::read_dir(dir.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    (dir, run)
}

fn due(dir: &Path, more: &[&str]) -> (Option<i32>, String) {
    holdpoint(dir, &[&["runs", "--due", "--state", "runs"], more].concat())
}

#[test]
fn what_is_left_is_listed_and_marked_once_by_name() {
    let (dir, run) = ran("[release]\n'only/print' = ''\n");
    let here = dir.path();
    let (code, told) = due(here, &[]);
    assert_eq!(code, Some(0), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[1].contains("DUE for") && lines[1].ends_with("Remove the anchor"), "{told}");
    assert!(lines[2].contains("in 6d") && lines[2].contains("storage"), "{told}");
    let id = run.file_name().unwrap().to_str().unwrap();
    let mark = |what: &str, reason: &str| due(here, &["--done", id, what, "--reason", reason]);
    for (what, reason, why) in [
        ("anchor", " ", "a reason is needed"),
        ("else", "gone", "this run left no else; it left volumes, anchor"),
    ] {
        let (code, told) = mark(what, reason);
        assert!(code == Some(2) && told.contains(why), "{told}");
    }
    let (code, told) = mark("anchor", "removed, both copies");
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = mark("anchor", "once more");
    assert!(code == Some(2) && told.contains("removed, both copies"), "{told}");
    let (_, told) = due(here, &[]);
    assert!(!told.contains("anchor") && told.contains("volumes"), "{told}");
    assert_eq!(mark("volumes", "gone").0, Some(0));
    assert!(due(here, &[]).1.contains("nothing is left"));
    let rows: Value = serde_json::from_str(&due(here, &["--json"]).1).unwrap();
    assert_eq!(rows[0]["done"]["reason"], "removed, both copies");
    assert_eq!(rows[1]["done"]["by"]["person"]["role"], "driver");
    // The run's own journal is what it was, and this one says which run it continues.
    let place = run.join("followups").display().to_string();
    let (code, told) = holdpoint(here, &["verify", &place]);
    assert!(code == Some(0) && told.contains("it fits; that segment is complete"), "{told}");
    assert!(told.starts_with("open: ") && told.contains("\n3 entries"), "{told}");
}

#[test]
fn a_list_that_was_changed_is_not_believed() {
    let (dir, run) = ran("[release]\n'only/print' = ''\n");
    let here = dir.path();
    let id = run.file_name().unwrap().to_str().unwrap();
    for what in ["anchor", "volumes"] {
        assert_eq!(due(here, &["--done", id, what, "--reason", "gone"]).0, Some(0));
    }
    let file = run.join("followups").join(FILE);
    let whole = std::fs::read(&file).unwrap();
    // Cut before its header was whole: nothing was said yet.
    std::fs::write(&file, &whole[..20]).unwrap();
    let (code, told) = due(here, &[]);
    assert!(code == Some(0) && told.contains("anchor"), "{told}");
    std::fs::write(&file, whole).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    // Torn by a crash: what was half written was not said.
    std::fs::write(&file, &text[..text.len() - 9]).unwrap();
    let (code, told) = due(here, &[]);
    assert!(code == Some(0) && told.contains("volumes") && !told.contains("anchor"), "{told}");
    assert_eq!(due(here, &["--done", id, "volumes", "--reason", "gone"]).0, Some(0));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"id\":\"anchor\"", "\"id\":\"ancher\"", 1)).unwrap();
    let (code, told) = due(here, &[]);
    assert!(code == Some(1) && told.contains("tampered"), "{told}");
    assert_eq!(due(here, &["--done", id, "anchor", "--reason", "gone"]).0, Some(2));
}

/// The record of what was done afterwards has the run's header, and is no run: nothing of the change is
/// done once more from there.
#[test]
fn a_list_is_no_run() {
    let (dir, run) = ran("[release]\n'only/print' = ''\n");
    let here = dir.path();
    let id = run.file_name().unwrap().to_str().unwrap();
    let place = run.join("followups").display().to_string();
    for what in ["anchor", "volumes"] {
        assert_eq!(due(here, &["--done", id, what, "--reason", "gone"]).0, Some(0));
        let resume = ["resume", &place, "--headless", "--answers", "answers.toml"];
        let (code, told) = holdpoint(here, &resume);
        assert!(code == Some(2) && told.contains("follow-ups, and no run"), "{told}");
        assert!(!run.join("moved-to").exists());
    }
    let (_, told) = holdpoint(here, &["runs", "--state", "runs"]);
    assert!(told.contains("done"), "{told}");
}

/// Nobody knows what it left.
#[test]
fn a_run_whose_journal_is_damaged_is_named() {
    let (dir, run) = ran("[release]\n'only/print' = ''\n");
    let id = run.file_name().unwrap().to_str().unwrap();
    let file = run.join(FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (damaged, why) in [
        (text.replacen("\"type\":\"ended\"", "\"type\":\"endet\"", 1), "tampered"),
        (format!("{text}{}\n", lines[1]), "tampered"),
        (text[1..].to_owned(), "no valid header"),
        (String::new(), "no valid header"),
    ] {
        assert_ne!(damaged, text);
        std::fs::write(&file, damaged).unwrap();
        let (code, told) = due(dir.path(), &[]);
        assert!(code == Some(1) && told.contains(id) && told.contains(why), "{why}: {told}");
        assert!(!told.contains("nothing is left"), "{told}");
        let (code, told) = due(dir.path(), &["--done", id, "anchor", "--reason", "gone"]);
        assert!(code == Some(2) && told.contains(why), "{told}");
    }
    std::fs::remove_file(&file).unwrap();
    let (code, told) = due(dir.path(), &[]);
    assert!(code == Some(1) && told.contains(id), "{told}");
}

/// A run that goes on elsewhere, once more elsewhere, and ends there.
#[test]
fn what_a_moved_run_left_is_listed_where_it_began() {
    let (dir, run) = ran("");
    let here = dir.path();
    let id = run.file_name().unwrap().to_str().unwrap();
    // In the same directory it is another segment of that name; then it leaves the directory.
    for (from, to) in [(run.clone(), "runs"), (run.with_extension("2"), "else")] {
        let to = here.join(to).display().to_string();
        let mut resumes = Command::new(HOLDPOINT)
            .args(["resume", "--headless"])
            .arg(&from)
            .current_dir(here)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keys = resumes.stdin.take().unwrap();
        writeln!(keys, "journal move {to}\nquit").unwrap();
        drop(keys);
        let told = String::from_utf8(resumes.wait_with_output().unwrap().stdout).unwrap();
        assert!(from.join(FILE).exists() && told.contains(&to), "{told}");
    }
    let end = here.join("else").join(id);
    std::fs::write(here.join("answers.toml"), "[release]\n'only/print' = ''\n").unwrap();
    let at = end.display().to_string();
    let args = ["resume", &at, "--headless", "--answers", "answers.toml"];
    let (code, told) = holdpoint(here, &args);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = due(here, &[]);
    assert_eq!((code, told.matches("Remove the anchor").count()), (Some(0), 1), "{told}");
    assert!(told.contains(&format!("  {id}  anchor")), "{told}");
    let (code, told) = due(here, &["--done", id, "anchor", "--reason", "gone"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(end.join("followups").exists() && !run.join("followups").exists());
    assert!(!due(here, &[]).1.contains("anchor"));
    // Where it ends is not there.
    std::fs::rename(here.join("else"), here.join("gone")).unwrap();
    let (code, told) = due(here, &[]);
    assert!(code == Some(1) && told.contains(&format!("goes on in {at}")), "{told}");
    assert!(!told.contains("nothing is left"), "{told}");
    let (code, _) = due(here, &["--done", id, "volumes", "--reason", "gone"]);
    assert_eq!(code, Some(2));
    // It is said to be where it was.
    std::fs::rename(here.join("gone"), here.join("else")).unwrap();
    std::fs::write(end.join("moved-to"), run.display().to_string()).unwrap();
    let (code, told) = due(here, &[]);
    assert!(code == Some(1) && told.contains("where it came from"), "{told}");
}

/// What it would have left is not there.
#[test]
fn a_run_that_was_not_done_leaves_nothing() {
    let (dir, run) = ran("");
    assert!(due(dir.path(), &[]).1.contains("nothing is left to be done"));
    let id = run.file_name().unwrap().to_str().unwrap();
    let (code, told) = due(dir.path(), &["--done", id, "anchor", "--reason", "gone"]);
    assert!(code == Some(2) && told.contains("was not done"), "{told}");
}
