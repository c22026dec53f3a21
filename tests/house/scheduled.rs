//! What the site lists as scheduled: from its file to the gate.

use crate::pty::HOLDPOINT;
use holdpoint::event::{Event, Verdict};
use holdpoint::journal::read;
use holdpoint::run::SCHEDULED;
use std::path::Path;
use std::process::{Command, Stdio};

const BOOK: &str = r#"format = 1
id = "one"
title = "One program"
owner = "tests"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "print"
title = "Print"
hold = "release"
estimate = "1s"
probe = 'false'
do.shell.run = { argv = ["true"], timeout = "1m" }
"#;

/// A run to its end on a site with this list.
fn ran(dir: &Path, list: &str) -> (Option<i32>, String) {
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    let site = "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n";
    put("site.toml", &format!("{site}{list}"));
    put("site.pins.toml", "");
    put("answers.toml", "[release]\n'only/print' = ''\n");
    put("book.toml", BOOK);
    let out = Command::new(HOLDPOINT)
        .args(["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--answers"])
        .args(["answers.toml", "--state", "runs"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(told).unwrap())
}

#[test]
fn the_sites_own_list_makes_a_gate() {
    let dir = tempfile::tempdir().unwrap();
    // Every four years: not now.
    let list =
        "[[scheduled]]\nname = \"leap\"\nschedule = \"0 3 29 2 *\"\nzone = \"Europe/Berlin\"\n";
    let (code, told) = ran(dir.path(), list);
    assert_eq!(code, Some(0), "{told}");
    let run = std::fs::read_dir(dir.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    let entries = read(&run).unwrap().entries;
    let Event::Opened { header } = &entries[0].event else { panic!() };
    assert_eq!(header.scheduled[0].name, "leap");
    let gate = entries.iter().find_map(|e| match &e.event {
        Event::GatesJudged { gates, .. } => gates.iter().find(|g| g.gate == SCHEDULED),
        _ => None,
    });
    let judged = &gate.expect("the gate").judged;
    assert_eq!(judged.verdict, Verdict::Pass);
    let next = &judged.values[0].value;
    assert!(next.starts_with("leap at ") && next.ends_with("02-29T02:00:00.000Z"), "{next}");
}

#[test]
fn a_list_that_cannot_be_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (line, zone, why) in [
        ("03:00", "", "`03:00` is no cron line of five fields"),
        ("0 3 * * *", "Berlin", "`Berlin` is no time zone"),
    ] {
        let list =
            format!("[[scheduled]]\nname = \"x\"\nschedule = \"{line}\"\nzone = \"{zone}\"\n");
        let (code, told) = ran(dir.path(), &list);
        assert!(code == Some(2) && told.contains(why), "{told}");
    }
}
