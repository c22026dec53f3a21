//! A runbook's file that was changed while its run was left: accepted with a reason, or not.

use crate::pty::{Cockpit, HOLDPOINT};
use holdpoint::event::{Actor, Event};
use holdpoint::journal::{Verdict, read};
use holdpoint::lab::beside;
use holdpoint::session::fold;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program is run, then another one; nothing outside of the directory is reached.
const BOOK: &str = r#"format = 1
id = "two"
title = "Two programs"
owner = "tests"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "first"
title = "First"
hold = "release"
probe = 'false'
do.shell.run = { argv = ["sh", "-c", "echo first"], timeout = "1m" }
[[phase.step]]
id = "second"
title = "Second"
hold = "release"
probe = 'false'
do.shell.run = { argv = ["sh", "-c", "echo second"], timeout = "1m" }
"#;

fn put(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

pub fn holdpoint(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(HOLDPOINT)
        .args(args)
        .args(["--state", "runs"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(told).unwrap())
}

/// A run that stopped before its second step.
pub fn left() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    put(
        here,
        "site.toml",
        "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n",
    );
    put(here, "site.pins.toml", "");
    put(here, "one.toml", "[release]\n'only/first' = ''\n");
    put(here, "both.toml", "[release]\n'only/first' = ''\n'only/second' = ''\n");
    put(here, "book.toml", BOOK);
    let begin =
        ["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--answers", "one.toml"];
    let (code, told) = holdpoint(here, &begin);
    assert_eq!(code, Some(1), "{told}");
    let run = std::fs::read_dir(here.join("runs")).unwrap().next().unwrap().unwrap().path();
    (dir, run)
}

fn printed(run: &Path) -> Vec<String> {
    let entries = read(run).unwrap().entries.into_iter();
    let text = |event| match event {
        Event::Output { text, .. } => Some(text),
        _ => None,
    };
    entries.filter_map(|e| text(e.event)).collect()
}

#[test]
fn what_has_not_begun_is_accepted_with_a_reason() {
    let (dir, run) = left();
    let here = dir.path();
    put(here, "book.toml", &BOOK.replace("echo second", "echo another"));
    // Without a word the run goes on with what it began with, and says so.
    let (code, told) = holdpoint(here, &["resume", "--headless", "--answers", "one.toml"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("changed since: only/second is another (do); the run goes on with what it"),
        "{told}"
    );
    // What it was and what it is can be read, before and after.
    let diff = |told: &str| {
        for line in [WAS, IS] {
            assert!(told.contains(&format!("\n    {line}\n")), "{line}: {told}");
        }
    };
    diff(&told);
    // A person accepts it, and leaves again.
    let (_, told) = holdpoint(here, &["resume", "--headless", "--accept-changes", "it is better"]);
    assert!(told.contains("the runbook is changed: only/second is another (do)"), "{told}");
    let (code, told) = holdpoint(here, &["resume", "--headless", "--answers", "both.toml"]);
    assert_eq!(code, Some(0), "{told}");
    diff(&told);
    assert!(!told.contains("changed since"), "{told}");
    let read = read(&run).unwrap();
    assert_eq!(read.verdict, Verdict::Complete);
    assert_eq!(printed(&run), ["first", "another"]);
    let accepted = read.entries.iter().find_map(|e| match &e.event {
        Event::Redlined { reason, diff, .. } => {
            assert_eq!(diff[1..], [format!("  {WAS}"), format!("  {IS}")]);
            Some((e.actor.clone(), reason.as_str()))
        }
        _ => None,
    });
    assert!(matches!(accepted, Some((Actor::Person { .. }, "it is better"))), "{accepted:?}");
}

const WAS: &str = "- do.shell.run.argv = [\"sh\", \"-c\", \"echo second\"]";
const IS: &str = "+ do.shell.run.argv = [\"sh\", \"-c\", \"echo another\"]";

/// One part is accepted by its name; what was begun, and cannot be another, stays as it was and is
/// named with why. The same by a file's answers.
#[test]
fn a_part_is_accepted_by_name_and_the_others_stay() {
    let both = BOOK.replace("echo second", "echo another").replace("\"First\"", "\"1\"");
    for by_file in [false, true] {
        let (dir, run) = left();
        let here = dir.path();
        put(here, "book.toml", &both);
        let all = ["resume", "--headless", "--accept-changes", "better"];
        let (code, told) = holdpoint(here, &all);
        assert_eq!(code, Some(2), "{told}");
        let refused = "only/first is another (title): refused: only/first has begun";
        assert!(told.contains(refused) && told.contains("--accept only/second"), "{told}");
        let (code, told) = holdpoint(here, &[&all[..], &["--accept", "only/third"]].concat());
        assert!(code == Some(2) && told.contains("only/third is none of what did"), "{told}");
        let (code, told) = holdpoint(here, &[&all[..], &["--accept", "only/first"]].concat());
        assert!(code == Some(2) && told.contains(refused), "{told}");
        let told = match by_file {
            true => {
                let answers = std::fs::read_to_string(here.join("one.toml")).unwrap();
                let accept = "accept_changes = 'better'\naccept = ['only/second']\n";
                put(here, "one.toml", &format!("{accept}{answers}"));
                holdpoint(here, &["resume", "--headless", "--answers", "one.toml"]).1
            }
            false => holdpoint(here, &[&all[..], &["--accept", "only/second"]].concat()).1,
        };
        assert!(
            told.contains("book.toml: only/second is another (do); left as they were:"),
            "{told}"
        );
        let left = told.split_once("left as they were:").unwrap().1;
        assert!(left.contains(refused) && left.contains("- title = \"First\""), "{told}");
        let (code, told) = holdpoint(here, &["resume", "--headless", "--answers", "both.toml"]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("changed since: only/first is another (title)"), "{told}");
        assert_eq!(printed(&run), ["first", "another"]);
        let state = fold(&read(&run).unwrap().entries).unwrap();
        assert_eq!(state.title(&"only/first".parse().unwrap()), "First");
    }
}

/// On a terminal the parts are named before the reason is given, and a key shows later what they were.
#[test]
fn a_person_names_what_is_accepted_and_reads_it_again() {
    let (dir, _) = left();
    let both = BOOK.replace("echo second", "echo another").replace("\"First\"", "\"1\"");
    put(dir.path(), "book.toml", &both);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let args = ["resume", "--site", &path("site.toml"), "--state", &path("runs")];
    let home = dir.path().display().to_string();
    let args: Vec<String> = args.map(str::to_owned).into();
    let mut cockpit = Cockpit::start(Path::new(HOLDPOINT), &args, &[("HOME", &home)], (24, 120));
    cockpit.until("asked which", |c| c.text().contains("or all, of: only/second"));
    for line in [WAS, IS, "- title = \"First\"", "+ title = \"1\""] {
        assert!(cockpit.text().contains(line), "{}", cockpit.text());
    }
    cockpit.send("only/second\r");
    cockpit.until("asked why", |c| c.text().contains("Type a reason"));
    cockpit.send("better so\r");
    cockpit.until("opened", |c| c.text().contains("journal ok"));
    cockpit.send("R");
    cockpit.until("shown", |c| c.text().contains(WAS) && c.text().contains(IS));
    assert!(cockpit.text().contains(": better so"), "{}", cockpit.text());
    cockpit.send("q");
    cockpit.until("closed", |c| !c.text().contains(WAS));
    cockpit.send("q");
    cockpit.until("ended", |c| c.ended().is_some());
}

/// Each with its own reason; and what is not accepted is told beside what was.
#[test]
fn what_is_accepted_once_more_stands_under_its_own_reason() {
    let (dir, _) = left();
    let here = dir.path();
    let resume = |more: &[&str]| holdpoint(here, &[&["resume", "--headless"], more].concat()).1;
    put(here, "book.toml", &BOOK.replace("echo second", "echo another"));
    resume(&["--accept-changes", "it is better"]);
    let last = BOOK.replace("echo second", "echo last").replace("\"Second\"", "\"Last\"");
    put(here, "book.toml", &last);
    let told = resume(&[]);
    assert!(
        told.contains("; the run goes on with what ") && told.contains(" accepted at "),
        "{told}"
    );
    assert!(!told.contains("what it began with"), "{told}");
    let told = resume(&["--accept-changes", "it is the best"]);
    for (what, reason) in [("(do)", "it is better"), ("(do, title)", "it is the best")] {
        let one = |l: &&str| {
            l.contains("the runbook is changed: ") && l.ends_with(&format!(": {reason})"))
        };
        let lines: Vec<&str> = told.lines().filter(one).collect();
        assert_eq!(lines.len(), 1, "{told}");
        assert!(
            lines[0].contains(&format!("changed: only/second is another {what} (accepted")),
            "{told}"
        );
    }
}

/// Before anything is released by the text of before.
#[test]
fn answers_accept_what_they_are_told_to() {
    let (dir, run) = left();
    let here = dir.path();
    put(here, "book.toml", &BOOK.replace("echo second", "echo another"));
    let both = std::fs::read_to_string(here.join("both.toml")).unwrap();
    put(here, "both.toml", &format!("accept_changes = 'as agreed'\n{both}"));
    let (code, told) = holdpoint(here, &["resume", "--headless", "--answers", "both.toml"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(printed(&run), ["first", "another"]);
}

#[test]
fn what_has_begun_is_refused_and_named() {
    let (dir, run) = left();
    let here = dir.path();
    let before = read(&run).unwrap().head;
    for (text, reason, said) in [
        (
            BOOK.replace("echo first", "echo 1"),
            "better",
            "only/first is another (do): refused: only/first has begun",
        ),
        (BOOK.replace("echo second", "echo 2"), " ", "a reason is needed"),
        (BOOK.replace("id = \"only\"", "id = \"\""), "better", "cannot be used as it is now"),
    ] {
        put(here, "book.toml", &text);
        let (code, told) = holdpoint(here, &["resume", "--headless", "--accept-changes", reason]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(said), "{told}");
    }
    std::fs::remove_file(here.join("book.toml")).unwrap();
    let (code, told) = holdpoint(here, &["resume", "--headless", "--accept-changes", "better"]);
    assert!(code == Some(2) && told.contains("not there any more"), "{told}");
    assert_eq!(read(&run).unwrap().head, before, "nothing of it is recorded");
}

/// Asked on the terminal before it is taken: a line for each part, and a reason or nothing.
#[test]
fn a_person_is_asked_before_anything_goes_on() {
    for (typed, changed) in [("better so\r", true), ("\r", false)] {
        let (dir, run) = left();
        put(dir.path(), "book.toml", &BOOK.replace("echo second", "echo another"));
        let path = |name: &str| dir.path().join(name).display().to_string();
        let args = ["resume", "--site", &path("site.toml"), "--state", &path("runs")];
        let home = dir.path().display().to_string();
        let args: Vec<String> = args.map(str::to_owned).into();
        let mut cockpit =
            Cockpit::start(Path::new(HOLDPOINT), &args, &[("HOME", &home)], (24, 120));
        cockpit.until("asked", |c| c.text().contains("Type a reason"));
        assert!(cockpit.text().contains("only/second is another (do)"), "{}", cockpit.text());
        assert!(cockpit.cooked(), "the terminal is not taken yet");
        cockpit.send(typed);
        cockpit.until("opened", |c| c.text().contains("journal ok"));
        cockpit.send("q");
        cockpit.until("ended", |c| c.ended().is_some());
        let state = fold(&read(&run).unwrap().entries).unwrap();
        assert_eq!(
            state.redlined.as_ref().map(|r| r.accepted[0].reason.as_str()),
            changed.then_some("better so")
        );
        assert_eq!(state.text().contains("echo another"), changed);
    }
}

/// In the cockpit, from elsewhere than it began; a demo has no file.
#[test]
fn a_rehearsal_that_was_left_goes_by_its_changed_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    put(dir.path(), "book.toml", BOOK);
    let open = |args: &[&str]| {
        let mut args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
        args.extend(["--state".to_owned(), path("runs")]);
        // The notice names the file, however long its path is.
        Cockpit::start(Path::new(HOLDPOINT), &args, &[("HOME", &path("home"))], (24, 240))
    };
    let leave = |mut cockpit: Cockpit| {
        cockpit.until("its world", |c| {
            let run = std::fs::read_dir(path("runs")).ok().and_then(|mut d| d.next()?.ok());
            c.text().contains(" READY") && run.is_some_and(|d| d.path().join(beside::FILE).exists())
        });
        cockpit.send("q");
        cockpit.until("ended", |c| c.ended().is_some());
    };
    leave(open(&["rehearse", &path("book.toml")]));
    let run = std::fs::read_dir(path("runs")).unwrap().next().unwrap().unwrap().path();
    let state = || fold(&read(&run).unwrap().entries).unwrap();
    // What has begun cannot be another.
    put(dir.path(), "book.toml", &BOOK.replace("title = \"Two programs\"", "title = \"2\""));
    let (code, told) = holdpoint(dir.path(), &["resume", "--accept-changes", "better"]);
    assert!(code == Some(2) && told.contains("it holds for the whole run"), "{told}");
    put(dir.path(), "book.toml", &BOOK.replace("echo second", "echo another"));
    let mut asked = open(&["resume"]);
    asked.until("asked", |c| c.text().contains("Type a reason"));
    asked.send("\r");
    asked.until("told", |c| c.text().contains("changed since: only/second is another (do)"));
    leave(asked);
    assert_eq!(state().redlined, None);
    let mut accepted = open(&["resume", "--accept-changes", "it is better"]);
    accepted.until("told", |c| c.text().contains("accepted of "));
    leave(accepted);
    assert!(state().text().contains("echo another"));
    std::fs::remove_dir_all(path("runs")).unwrap();
    leave(open(&["demo"]));
    let (code, told) = holdpoint(dir.path(), &["resume", "--accept-changes", "better"]);
    assert!(code == Some(2) && told.contains("a demo has no runbook file"), "{told}");
}

/// With the place of what is wrong, as `check` has it; also where nothing was to be accepted.
#[test]
fn a_file_that_cannot_be_used_is_told_with_what_is_wrong_in_it() {
    let (dir, _) = left();
    let here = dir.path();
    for (text, says) in [
        (BOOK.replace("id = \"only\"", "id = \"\""), "book.toml:6:"),
        (BOOK.replace("title = \"Two programs\"", "title = "), "book.toml:3:"),
        (BOOK.replace("title =", "titel ="), " more; holdpoint check"),
    ] {
        put(here, "book.toml", &text);
        for (more, wanted) in [(&["--accept-changes", "better"][..], 2), (&[], 1)] {
            let (code, told) = holdpoint(here, &[&["resume", "--headless"], more].concat());
            assert_eq!(code, Some(wanted), "{told}");
            assert!(told.contains("cannot be used as it is now:\n") || wanted == 1, "{told}");
            assert!(told.contains(says) && told.contains("help: "), "{told}");
            assert!(told.contains("holdpoint check ") && told.contains("says all of it"), "{told}");
        }
    }
}

/// What comes with a refused part is not offered; what takes another part along says so.
#[test]
fn what_would_be_refused_is_not_offered() {
    let (dir, run) = left();
    let here = dir.path();
    let step = |id: &str| {
        let title = format!("title = \"{id}\"\nhold = \"release\"\nprobe = 'false'\n");
        let does = "do.shell.run = { argv = [\"true\"], timeout = \"1m\" }\n";
        format!("[[phase.step]]\nid = \"{id}\"\n{title}{does}")
    };
    let all = ["resume", "--headless", "--accept-changes", "better"];
    let before = BOOK.replacen("[[phase.step]]", &format!("{}[[phase.step]]", step("new")), 1);
    put(here, "book.toml", &before.replace("echo second", "echo another"));
    for more in [&[][..], &["--accept", "only/new"]] {
        let (code, told) = holdpoint(here, &[&all[..], more].concat());
        assert_eq!(code, Some(2), "{told}");
        let why = "refused: it comes with phase only: steps that have begun would come elsewhere";
        assert!(told.contains(why) && !told.contains("--accept only/new"), "{told}");
        assert!(told.ends_with("  --accept only/second\n"), "{told}");
    }
    let behind = BOOK.replace("\"First\"", "\"1\"") + &step("third");
    put(here, "book.toml", &behind);
    let (code, told) = holdpoint(here, &all);
    assert!(code == Some(2) && told.contains("  --accept only/third  # phase only "), "{told}");
    let (_, told) = holdpoint(here, &[&all[..], &["--accept", "only/third"]].concat());
    assert!(told.contains("accepted of ") && told.contains("only/third is new"), "{told}");
    let state = fold(&read(&run).unwrap().entries).unwrap();
    assert!(state.step(&"only/third".parse().unwrap()).is_some());
}
