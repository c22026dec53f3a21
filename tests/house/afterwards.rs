//! What a run leaves to be done later, and who said that it was.

use crate::pty::HOLDPOINT;
use holdpoint::journal::FILE;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

const SITE: &str = "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n";
const RELEASES: &str = "[release]\n'only/print' = ''\n";

/// A directory with one run, whose answers release its step or not.
fn ran(answers: &str) -> (tempfile::TempDir, PathBuf) {
    ran_as(SITE, BOOK, answers)
}

/// The same on that site, by that runbook.
fn ran_as(site: &str, book: &str, answers: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put("site.toml", site);
    put("site.pins.toml", "");
    put("answers.toml", answers);
    put("book.toml", book);
    let begin = ["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--answers"];
    holdpoint(dir.path(), &[&begin[..], &["answers.toml", "--state", "runs"]].concat());
    let run = std::fs::read_dir(dir.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    (dir, run)
}

fn due(dir: &Path, more: &[&str]) -> (Option<i32>, String) {
    holdpoint(dir, &[&["runs", "--due", "--state", "runs"], more].concat())
}

/// Before it is due it is done by override.
fn early(dir: &Path, run: &str, what: &str) -> (Option<i32>, String) {
    due(dir, &["--done", run, what, "--reason", "gone", "--override"])
}

#[test]
fn what_is_left_is_listed_and_marked_once_by_name() {
    let (dir, run) = ran(RELEASES);
    let here = dir.path();
    let (code, told) = due(here, &[]);
    assert_eq!(code, Some(0), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[1].contains("DUE for") && lines[1].ends_with("Remove the anchor"), "{told}");
    assert!(lines[2].contains("in 6d") && lines[2].contains("storage"), "{told}");
    let id = run.file_name().unwrap().to_str().unwrap();
    let mark = |what: &str, reason: &str| due(here, &["--done", id, what, "--reason", reason]);
    for (what, reason, why) in [
        ("volumes", "gone", "it is due in 6d"),
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
    assert_eq!(early(here, id, "volumes").0, Some(0));
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

/// A page that says 200 until it is told to say 404. Its thread ends with the test's process.
fn page(gone: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, gone) = (listener.local_addr().unwrap().port(), Arc::clone(gone));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let status = if gone.load(Ordering::Relaxed) { "404 No" } else { "200 OK" };
            let _ = stream.read(&mut [0; 4096]);
            let rest = "content-length: 0\r\nconnection: close";
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{rest}\r\n\r\n").as_bytes());
        }
    });
    port
}

/// Nobody says that something with a check is done before it is, unless they override that.
#[test]
fn a_check_is_looked_at_before_something_is_said_to_be_done() {
    let gone = Arc::new(AtomicBool::new(false));
    let site = |port: u16, name: &str| {
        format!(
            "format = 1\nname = \"{name}\"\n[write]\nallow = true\nunattended = true\n\
             [http.page]\nurl = \"http://127.0.0.1:{port}/\"\n"
        )
    };
    let check = "check = 'http[\"page\"].status == 404'\n";
    let (dir, run) = ran_as(&site(page(&gone), "here"), &format!("{BOOK}{check}"), RELEASES);
    let (here, id) = (dir.path(), run.file_name().unwrap().to_str().unwrap());
    let put = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    put("dead.toml", &site(1, "here"));
    put("other.toml", &site(1, "other"));
    let look = |more: &[&str]| due(here, &[&["--look"], more].concat());
    let mark = |more: &[&str]| {
        due(here, &[&["--done", id, "anchor", "--reason", "removed"], more].concat())
    };
    let (code, told) = look(&[]);
    let line = told.lines().position(|l| l.ends_with("Remove the anchor")).unwrap();
    let below = told.lines().nth(line + 1).unwrap();
    assert!(code == Some(0) && below.starts_with("  its check: fail: "), "{told}");
    assert_eq!(told.matches("its check").count(), 1, "{told}");
    put("less.toml", SITE);
    put("renamed.toml", &site(1, "here").replace("http.page", "http.other"));
    for (more, why) in [
        (&[][..], "its check says fail: http[\"page\"].status is 200"),
        (&["--site", "less.toml"], "less.toml does not name endpoint page any more"),
        (&["--site", "renamed.toml"], "renamed.toml does not name endpoint page any more"),
        (&["--site", "dead.toml"], "its check says inconclusive: "),
        (&["--site", "other.toml"], "other.toml is site other, the run was on here"),
        (&["--site", "none.toml"], "none.toml"),
    ] {
        let (code, told) = mark(more);
        assert!(code == Some(2) && told.contains(why) && told.contains("--override"), "{told}");
        assert!(!run.join("followups").exists());
    }
    gone.store(true, Ordering::Relaxed);
    // Nor is it taken for the same site where that cannot be seen.
    let (code, told) = due(here, &["--site", "site.toml"]);
    assert!(code == Some(2) && told.contains("the list alone asks no site"), "{told}");
    let (_, told) = look(&[]);
    assert!(told.contains("\n  its check: pass\n"), "{told}");
    let (_, told) = look(&["--site", "dead.toml"]);
    assert!(told.contains("\n  its check: inconclusive: "), "{told}");
    // What is looked at is said on standard error.
    let told = look(&["--json"]).1;
    let rows: Value = serde_json::from_str(told.split("\nholdpoint: ").next().unwrap()).unwrap();
    assert_eq!(rows[0]["now"]["verdict"], "pass");
    assert_eq!(mark(&[]).0, Some(0));
    let rows: Value = serde_json::from_str(&due(here, &["--json"]).1).unwrap();
    assert_eq!(rows[0]["done"]["judged"]["verdict"], "pass");
    assert!(rows[1].get("check").is_none() && rows[1]["done"].is_null(), "{rows}");
    // By override it is done whatever is seen, and that is on record.
    std::fs::remove_dir_all(run.join("followups")).unwrap();
    let (code, told) = mark(&["--override", "--site", "dead.toml"]);
    assert_eq!(code, Some(0), "{told}");
    let rows: Value = serde_json::from_str(&due(here, &["--json"]).1).unwrap();
    assert_eq!(rows[0]["done"]["judged"]["verdict"], "inconclusive");
}

/// What these lines say of what is due, one after another.
fn walked(dir: &Path, lines: &str) -> (Option<i32>, String) {
    let mut walks = Command::new(HOLDPOINT)
        .args(["runs", "--due", "--walk", "--state", "runs"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Where nothing is due nobody reads them.
    let _ = walks.stdin.take().unwrap().write_all(lines.as_bytes());
    let out = walks.wait_with_output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

/// What is due is looked at one by one, and written down where it is done.
#[test]
fn what_is_due_is_walked() {
    let gone = Arc::new(AtomicBool::new(false));
    let endpoint = format!("[http.page]\nurl = \"http://127.0.0.1:{}/\"\n", page(&gone));
    let more = "check = 'http[\"page\"].status == 404'\n[[followup]]\nid = \"tell\"\n\
                title = \"Tell them\"\ndue = \"0s\"\nowner = \"us\"\n";
    let (dir, run) = ran_as(&format!("{SITE}{endpoint}"), &format!("{BOOK}{more}"), RELEASES);
    let (here, id) = (dir.path(), run.file_name().unwrap().to_str().unwrap());
    for lines in ["", "done\ndone removed\nelse\nnext\nquit\n"] {
        let (code, told) = walked(here, lines);
        assert!(code == Some(1) && told.starts_with("1 of 2: Remove the anchor\n"), "{told}");
        assert!(told.contains("\n  its check: fail: http[\"page\"].status is 200\n"), "{told}");
        assert!(told.contains("\n0 of 2 due are done\n1 not due yet, the first in 6d"), "{told}");
        assert_eq!(told.contains("it has no check"), !lines.is_empty(), "{told}");
        for why in ["a reason is needed", "override REASON does it", "none of these"] {
            assert_eq!(told.contains(why), !lines.is_empty(), "{told}");
        }
        assert!(!run.join("followups").exists());
    }
    // What was not so when it was looked at may be by now.
    gone.store(true, Ordering::Relaxed);
    let (code, told) = walked(here, "look\ndone removed, both copies\ndone in the channel\n");
    assert!(code == Some(0) && told.matches("\n  its check: pass\n").count() == 2, "{told}");
    assert!(told.contains("\n2 of 2 due are done\n1 not due yet, the first in 6d"), "{told}");
    assert!(walked(here, "").1.starts_with("nothing is due\n"));
    let rows: Value = serde_json::from_str(&due(here, &["--json"]).1).unwrap();
    assert_eq!(rows[0]["done"]["judged"]["verdict"], "pass");
    assert_eq!(rows[1]["done"]["reason"], "in the channel");
    assert_eq!(early(here, id, "volumes").0, Some(0));
    assert_eq!(walked(here, ""), (Some(0), "nothing is due\n".to_owned()));
}

#[test]
fn a_list_that_was_changed_is_not_believed() {
    let (dir, run) = ran(RELEASES);
    let here = dir.path();
    let id = run.file_name().unwrap().to_str().unwrap();
    for what in ["anchor", "volumes"] {
        assert_eq!(early(here, id, what).0, Some(0));
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
    assert_eq!(early(here, id, "volumes").0, Some(0));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"id\":\"anchor\"", "\"id\":\"ancher\"", 1)).unwrap();
    let (code, told) = due(here, &[]);
    assert!(code == Some(1) && told.contains("tampered"), "{told}");
    assert_eq!(due(here, &["--done", id, "anchor", "--reason", "gone"]).0, Some(2));
}

/// What was said of another run is not said of this one, and what a crash left empty says nothing.
#[test]
fn a_list_of_another_run_is_not_believed() {
    let (one, first) = ran(RELEASES);
    let (other, second) = ran(RELEASES);
    let id = |run: &Path| run.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(early(one.path(), &id(&first), "anchor").0, Some(0));
    std::fs::create_dir(second.join("followups")).unwrap();
    let (code, told) = due(other.path(), &[]);
    assert!(code == Some(0) && told.contains("anchor"), "{told}");
    assert_eq!(early(other.path(), &id(&second), "volumes").0, Some(0));
    let (theirs, ours) = (first.join("followups").join(FILE), second.join("followups").join(FILE));
    std::fs::copy(theirs, ours).unwrap();
    let (code, told) = due(other.path(), &[]);
    assert!(code == Some(1) && told.contains(&format!("it continues {}", id(&first))), "{told}");
    assert!(!told.contains("nothing is left"), "{told}");
    assert_eq!(early(other.path(), &id(&second), "anchor").0, Some(2));
}

/// The record of what was done afterwards has the run's header, and is no run: nothing of the change is
/// done once more from there.
#[test]
fn a_list_is_no_run() {
    let (dir, run) = ran(RELEASES);
    let here = dir.path();
    let id = run.file_name().unwrap().to_str().unwrap();
    let place = run.join("followups").display().to_string();
    for what in ["anchor", "volumes"] {
        assert_eq!(early(here, id, what).0, Some(0));
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
    let (dir, run) = ran(RELEASES);
    let id = run.file_name().unwrap().to_str().unwrap();
    let file = run.join(FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (damaged, why) in [
        (text.replacen("\"type\":\"ended\"", "\"type\":\"endet\"", 1), "tampered"),
        (format!("{text}{}\n", lines[1]), "tampered"),
        (text[1..].to_owned(), "tampered: entry 0 at byte 0"),
        (String::new(), "no valid header"),
    ] {
        assert_ne!(damaged, text);
        std::fs::write(&file, damaged).unwrap();
        let (code, told) = due(dir.path(), &[]);
        assert!(code == Some(1) && told.contains(id) && told.contains(why), "{why}: {told}");
        assert!(!told.contains("nothing is left"), "{told}");
        let (code, told) = due(dir.path(), &["--done", id, "anchor", "--reason", "gone"]);
        assert!(code == Some(2) && told.contains(why), "{told}");
        let place = run.display().to_string();
        let (code, told) = holdpoint(dir.path(), &["verify", &place]);
        let wanted = if why.starts_with("tampered") { 1 } else { 2 };
        assert!(code == Some(wanted) && told.contains(why), "{code:?}: {told}");
        let (_, told) = holdpoint(dir.path(), &["runs", "--state", "runs"]);
        assert!(told.contains(why), "{told}");
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
