//! The real program in a pseudo-terminal, on a site where nobody answers: the terminal is
//! given back on every way out.

use crate::pty::{Cockpit, HOLDPOINT};
use crate::support::*;
use holdpoint::event::Mode;
use holdpoint::run::Intent;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;

/// A site whose addresses refuse, in a directory of its own.
struct Nobody(tempfile::TempDir);

impl Nobody {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let voter = |n: usize| {
            format!(
                "[[vault.voter]]\nname = \"vault-{n}\"\naddress = \"http://127.0.0.1:{}\"\n",
                n + 1
            )
        };
        let voters: String = (0..3).map(voter).collect();
        let site = format!("format = 1\nname = \"nobody\"\n[vault]\n{voters}");
        std::fs::write(dir.path().join("site.toml"), site).unwrap();
        Self(dir)
    }

    fn watch(&self) -> Vec<String> {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        ["watch", "--site", &path("site.toml"), "--state", &path("runs")].map(str::to_owned).into()
    }

    fn open(&self, env: &[(&str, &str)], size: (u16, u16)) -> Cockpit {
        let home = self.0.path().display().to_string();
        let mut all = vec![("HOME", home.as_str())];
        all.extend(env);
        let mut cockpit = Cockpit::start(Path::new(HOLDPOINT), &self.watch(), &all, size);
        cockpit.until("opened", |c| c.text().contains("journal ok"));
        cockpit
    }
}

#[test]
fn leaving_and_signals_give_the_terminal_back() {
    let nobody = Nobody::new();
    for how in [None, Some(Signal::TERM), Some(Signal::HUP), Some(Signal::INT)] {
        let mut cockpit = nobody.open(&[], (24, 80));
        assert!(!cockpit.restored() && !cockpit.cooked());
        match how {
            None => cockpit.send("q"),
            Some(signal) => {
                kill_process(Pid::from_raw(cockpit.pid()).unwrap(), signal).unwrap();
            }
        }
        cockpit.until("ended", |c| c.ended().is_some());
        cockpit.until("restored", |c| c.restored() && c.text().contains("journal:"));
        assert!(cockpit.cooked(), "{how:?}");
        assert_eq!(cockpit.ended(), Some(1), "the change was not done: {how:?}");
    }
}

/// The site accepts and never answers: whoever waits for it can still leave, and nothing was
/// begun.
#[test]
fn a_site_that_never_answers_is_not_waited_for() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let nobody = Nobody::new();
    let site = format!(
        "format = 1\nname = \"silent\"\n[vault]\n[[vault.voter]]\nname = \"vault-0\"\naddress = \"{address}\"\n"
    );
    std::fs::write(nobody.0.path().join("site.toml"), site).unwrap();
    let home = nobody.0.path().display().to_string();
    let begin =
        || Cockpit::start(Path::new(HOLDPOINT), &nobody.watch(), &[("HOME", &home)], (24, 80));
    for how in [Ok("q"), Ok("\x03"), Err(Signal::TERM), Err(Signal::HUP), Err(Signal::INT)] {
        let mut cockpit = begin();
        cockpit.until("asking", |c| c.text().contains("finding out which site this is"));
        match how {
            Ok(key) => cockpit.send(key),
            Err(signal) => kill_process(Pid::from_raw(cockpit.pid()).unwrap(), signal).unwrap(),
        }
        cockpit.until("ended", |c| c.ended().is_some() && c.restored());
        assert!(cockpit.cooked(), "{how:?}");
        assert!(!nobody.0.path().join("runs").exists(), "{how:?}: a run was begun");
    }
}

/// Under a shell with job control, which is what resumes it.
#[test]
fn suspended_it_leaves_the_shell_a_terminal_and_resumed_it_draws_again() {
    let nobody = Nobody::new();
    let script =
        r#"set -m; "$0" "$@"; echo "stopped-$?"; read -r line; fg >/dev/null; echo "left-$?""#;
    let mut args = vec!["-c".to_owned(), script.into(), HOLDPOINT.into()];
    args.extend(nobody.watch());
    let home = nobody.0.path().display().to_string();
    let mut cockpit = Cockpit::start(Path::new("/bin/sh"), &args, &[("HOME", &home)], (24, 80));
    cockpit.until("opened", |c| c.text().contains("journal ok"));
    cockpit.send("\x1a");
    cockpit.until("suspended", |c| c.restored() && c.text().contains("stopped-"));
    assert!(cockpit.cooked());
    cockpit.send("\n");
    cockpit.until("resumed", |c| !c.restored() && c.text().contains("journal ok"));
    assert!(!cockpit.cooked());
    cockpit.send("q");
    cockpit.until("left", |c| c.restored() && c.text().contains("left-1"));
}

/// Nobody resumes a process whose shell is gone: it is not stopped, and goes on.
#[test]
fn without_a_shell_it_goes_on() {
    let nobody = Nobody::new();
    let mut cockpit = nobody.open(&[], (24, 80));
    cockpit.send("\x1a");
    let taken = |c: &mut Cockpit| c.raw().matches("\x1b[?1049h").count() == 2;
    cockpit.until("back", taken);
    cockpit.send("q");
    cockpit.until("ended", |c| c.ended().is_some());
    assert!(cockpit.cooked());
}

/// Set for the child that panics; whoever runs ignored tests does not want that.
const ON_PURPOSE: &str = "PANIC_ON_PURPOSE";

#[test]
#[ignore = "a child of the next test: it panics with the terminal taken"]
fn panicking() {
    if std::env::var_os(ON_PURPOSE).is_none() {
        return;
    }
    let taken = holdpoint::session::take().unwrap();
    std::thread::spawn(|| panic!("on purpose")).join().ok();
    drop(taken);
}

#[test]
fn a_panic_anywhere_gives_the_terminal_back_and_says_what_happened() {
    let args = ["--exact", "terminal::panicking", "--ignored", "--nocapture"].map(str::to_owned);
    let program = std::env::current_exe().unwrap();
    let mut child = Cockpit::start(&program, &args, &[(ON_PURPOSE, "1")], (24, 80));
    child.until("ended", |c| c.ended().is_some());
    child.until("said", |c| c.restored() && c.text().contains("on purpose"));
    assert!(child.raw().contains("\x1b[?1049h") && child.cooked());
    assert_eq!(child.ended(), Some(70));
}

#[test]
fn the_environment_says_what_the_terminal_can_show() {
    let nobody = Nobody::new();
    type Wanted = fn(&str) -> bool;
    let cases: [(&str, &str, Wanted); 4] = [
        ("TERM", "xterm-256color", |raw| raw.contains("38;5;245") && raw.contains('\u{2502}')),
        ("TERM", "linux", |raw| !raw.contains("38;5;245") && raw.contains("38;5;")),
        ("NO_COLOR", "1", |raw| !raw.contains("38;5;") && !raw.contains("48;5;")),
        ("LC_ALL", "C", |raw| raw.is_ascii() && raw.contains("38;5;245")),
    ];
    for (name, value, wanted) in cases {
        let cockpit = nobody.open(&[(name, value)], (24, 80));
        assert!(wanted(&cockpit.raw()), "{name}={value}:\n{}", cockpit.text());
    }
}

#[test]
fn it_follows_the_size_of_its_terminal() {
    let nobody = Nobody::new();
    let mut cockpit = nobody.open(&[], (24, 80));
    for (rows, cols, word) in [
        (40, 120, "HOLDPOINT"),
        (10, 40, "80×24 is wanted"),
        (24, 80, "2 storage"),
        (50, 200, "HOLDPOINT"),
    ] {
        cockpit.resize(rows, cols);
        cockpit.until(word, |c| c.text().contains(word));
    }
    cockpit.send("q");
    cockpit.until("ended", |c| c.ended().is_some());
}

#[test]
fn what_runs_or_is_about_to_is_not_left_alone() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    assert_eq!(holdpoint::ui::busy(&run.state), None);
    run.ask(&driver(), Intent::Release { step, digest, typed: "vault-0".into() }).unwrap();
    assert!(holdpoint::ui::busy(&run.state).unwrap().contains("about to run"));
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
    assert!(holdpoint::ui::busy(&run.state).unwrap().contains("is running"));
}
