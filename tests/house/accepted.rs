//! Parts of a changed runbook that are accepted on a terminal: what cannot be is asked for again,
//! and what is left is named.

use crate::pty::{Cockpit, HOLDPOINT};
use crate::redlined::left;
use holdpoint::journal::read;
use holdpoint::session::fold;
use std::path::Path;

#[test]
fn a_name_that_is_refused_is_asked_for_again_and_what_is_left_is_named() {
    let (dir, run) = left();
    let book = std::fs::read_to_string(dir.path().join("book.toml")).unwrap();
    let book = book.replace("echo second", "echo another").replace("\"First\"", "\"1\"");
    let book = book.replace("\"Two programs\"", "\"2\"");
    std::fs::write(dir.path().join("book.toml"), book).unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let args = ["resume", "--site", &path("site.toml"), "--state", &path("runs")];
    let home = dir.path().display().to_string();
    let args: Vec<String> = args.map(str::to_owned).into();
    let mut cockpit = Cockpit::start(Path::new(HOLDPOINT), &args, &[("HOME", &home)], (50, 120));
    cockpit.until("asked which", |c| c.text().contains("or all, of: only/second"));
    for (typed, says) in [
        ("only/first", "only/first is refused: only/first has begun"),
        ("only/second, only/third", "only/third is none of what changed"),
        (",", " is none of what changed"),
    ] {
        cockpit.send(&format!("{typed}\r"));
        let again = format!("{says}. Type names of: only/second; Enter alone accepts none:");
        cockpit.until("asked again", |c| c.text().contains(&again));
        assert!(!cockpit.text().contains("Type a reason"), "{}", cockpit.text());
    }
    cockpit.send("only/second\r");
    cockpit.until("asked why", |c| c.text().contains("Type a reason"));
    cockpit.send("better so\r");
    let told = "accepted of book.toml: only/second is another (do); left as they were: ";
    let line = |c: &Cockpit| c.text().lines().find(|l| l.contains(told)).map(str::to_owned);
    cockpit.until("told", |c| line(c).is_some());
    let left = line(&cockpit).unwrap();
    let left = left.split_once(told).unwrap().1;
    assert!(left.contains("only/first") && left.contains("title"), "{left}");
    cockpit.send("q");
    cockpit.until("ended", |c| c.ended().is_some());
    let state = fold(&read(&run).unwrap().entries).unwrap();
    assert!(state.text().contains("echo another") && state.text().contains("\"First\""));
}
