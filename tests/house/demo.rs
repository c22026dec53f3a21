//! What somebody sees who tries the demo.

use crate::fingers::press;
use crate::pty::{Cockpit, HOLDPOINT};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Nobody reads WRITE without LAB, not for the moment that making the lab takes.
#[test]
fn the_first_frame_says_that_it_is_a_lab() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().display().to_string();
    let book = "runbooks/vault-raft-to-block.toml";
    for verb in [&["demo"][..], &["rehearse", book]] {
        let mut args: Vec<String> = verb.iter().map(|&a| a.to_owned()).collect();
        args.extend(["--state".to_owned(), state.clone()]);
        let mut cockpit = Cockpit::start(Path::new(HOLDPOINT), &args, &[], (40, 120));
        cockpit.until("drawn", |c| c.raw().contains("WRITE"));
        let raw = cockpit.raw();
        assert!(raw.find("LAB") < raw.find("WRITE") && raw.contains("LAB"), "{raw:?}");
    }
}

/// The command on the whole screen: the terminal itself has it in one line, wider than it is.
fn command_in_one_piece(cockpit: &mut Cockpit) {
    let long = |c: &Cockpit| {
        let text = c.text();
        let long: Vec<_> =
            text.lines().filter(|l| l.chars().count() > 120).map(str::to_owned).collect();
        long
    };
    cockpit.send("\u{1b}OQ");
    cockpit.until("the command", |c| {
        long(c)
            .iter()
            .any(|l| l.contains("vault operator raft snapshot save") && l.contains("tar -tzf"))
    });
    let whole = cockpit.text();
    assert!(!whole.contains('│') && !whole.contains("Release preflight"), "{whole}");
    cockpit.send("c");
    cockpit.until("the review", |c| c.text().contains("Release preflight/anchor"));
    assert_eq!(long(cockpit), Vec::<String>::new(), "rows are rows again");
}

/// The whole runbook, by keys, on a lab whose time goes faster than a person types.
#[test]
fn the_whole_runbook_is_walked_by_keys_on_the_demo() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("runs");
    let args = ["demo", "--speed", "16", "--state", &state.display().to_string()];
    let env = [("HOME", &*home.path().display().to_string())];
    let mut cockpit =
        Cockpit::start(Path::new(HOLDPOINT), &args.map(str::to_owned), &env, (40, 120));
    cockpit.until("opened", |c| c.text().contains("nothing here is real"));
    let (mut last, end) = (String::new(), Instant::now() + Duration::from_secs(400));
    let mut looked = false;
    loop {
        let text = cockpit.text();
        assert!(Instant::now() < end, "not done in time:\n{text}");
        assert_eq!(cockpit.ended(), None, "the cockpit ended:\n{text}");
        assert!(!text.contains(" FAILED") && !text.contains("IN DOUBT"), "{text}");
        if text.contains("Every step is done and verified") {
            assert!(text.contains(" LAB "), "{text}");
            break;
        }
        if !looked && text.contains("Release preflight/anchor") && text.contains("Press Enter") {
            command_in_one_piece(&mut cockpit);
            looked = true;
            continue;
        }
        press(&mut cockpit, &text, &mut last, Duration::from_millis(100));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(looked);
    cockpit.send("q");
    cockpit.until("ended", |c| c.ended().is_some() && c.restored());
    assert_eq!(cockpit.ended(), Some(0));
    let runs: Vec<_> = std::fs::read_dir(state).unwrap().map(|d| d.unwrap().path()).collect();
    assert_eq!(runs.len(), 1);
    let verdict = Command::new(HOLDPOINT).arg("verify").arg(&runs[0]).output().unwrap();
    assert!(String::from_utf8_lossy(&verdict.stdout).starts_with("complete"), "{verdict:?}");
}
