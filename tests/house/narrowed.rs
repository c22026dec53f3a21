//! A site file that names less than when the run was opened, and a run that was not all done.

use crate::pty::HOLDPOINT;
use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status, left_for_later, over};
use std::fs::write;
use std::io::Write;
use std::process::{Command, Stdio};

const BOOK: &str = r#"format = 1
id = "asks"
title = "It asks a page"
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
[[phase.step.gate]]
that = '!http.exists(h, http[h].status == 200)'
says = "no page answers"
"#;

/// What a file hides would be taken for gone.
#[test]
fn a_site_file_that_names_less_is_not_gone_by() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let put = |name: &str, text: &str| write(here.join(name), text).unwrap();
    let holdpoint = |args: &[&str]| {
        let mut command = Command::new(HOLDPOINT);
        command.args(args).args(["--state", "runs"]).current_dir(here);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that refuses reads nothing.
        let _ = child.stdin.take().unwrap().write_all(b"quit\n");
        let out = child.wait_with_output().unwrap();
        let told = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8(told).unwrap())
    };
    let head = "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n";
    // Nobody listens there.
    let page = |name: &str| format!("[http.{name}]\nurl = \"http://127.0.0.1:1/\"\n");
    let whole = [head, &page("page"), &page("other")].concat();
    put("site.toml", &whole);
    put("site.pins.toml", "");
    put("book.toml", BOOK);
    let begun = ["run", "book.toml", "--site", "site.toml", "--ui", "plain"];
    assert_eq!(holdpoint(&begun).0, Some(1), "nobody released it");
    let resume = ["resume", "--ui", "plain"];
    for left in [head.to_owned(), [head, &page("page"), &page("renamed")].concat()] {
        put("site.toml", &left);
        let (code, told) = holdpoint(&resume);
        assert!(code == Some(2) && told.contains("endpoint other"), "{told}");
        assert!(told.contains("put it back"), "{told}");
    }
    // More than it named is fine.
    put("site.toml", &[whole, page("third")].concat());
    let (code, told) = holdpoint(&resume);
    assert!(code == Some(1) && !told.contains("put it back"), "{told}");
}

#[test]
fn a_run_with_a_skipped_step_does_not_say_that_all_is_done() {
    let book = "format = 1\nid = \"x\"\ntitle = \"X\"\nowner = \"o\"\n[[phase]]\nid = \"a\"\n\
        title = \"A\"\n[[phase.step]]\nid = \"s\"\ntitle = \"S\"\nmanual.instruction = \"Do it.\"\n\
        [[followup]]\nid = \"f\"\ntitle = \"F\"\ndue = \"1h\"\nowner = \"o\"\n";
    let mut run = Run::new(book, Mode::Write);
    let step: StepAddr = "a/s".parse().unwrap();
    for _ in 0..5 {
        run.look(vec![]);
    }
    assert_eq!(run.status("a/s"), Status::Ready);
    assert_eq!(left_for_later(&run.state), None, "it is not over");
    run.ask(&driver(), Intent::Skip { step, reason: "not today".into() }).unwrap();
    for _ in 0..5 {
        run.look(vec![]);
    }
    assert_eq!(run.state.ended, Some(true));
    assert_eq!(over(&run.state), "every step is over, and skipped were a/s");
    let left = left_for_later(&run.state);
    assert_eq!(left.as_deref(), Some("one thing is left for later: holdpoint runs --due"));
}
