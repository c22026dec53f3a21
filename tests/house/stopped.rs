//! What ends a program under way, and what does not: a guard's breach, where its step says so; no
//! signal to the session.

use crate::pty::HOLDPOINT;
use holdpoint::event::{Event, Outcome};
use holdpoint::journal::read;
use std::fs::{read_to_string, write};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// It ends when it is told to, and says so; by itself only after a minute.
const SCRIPT: &str =
    "trap 'echo told > told; exit 1' TERM; echo begun > begun; sleep 60 & wait; echo over > over";

fn prepared(dir: &Path, port: u16, script: &str) {
    let put = |name: &str, text: &str| write(dir.join(name), text).unwrap();
    put(
        "site.toml",
        &format!(
            "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n\
             [http.page]\nurl = \"http://127.0.0.1:{port}/\"\n"
        ),
    );
    put("site.pins.toml", "");
    put("answers.toml", "[release]\n'only/long' = ''\n'only/next' = ''\n");
    let step = |id: &str, more: &str, script: &str| {
        format!(
            "[[phase.step]]\nid = \"{id}\"\ntitle = \"T\"\nhold = \"release\"\n{more}\n\
             do.shell.run = {{ argv = [\"sh\", \"-c\", {script:?}], timeout = \"5m\" }}\n"
        )
    };
    put(
        "book.toml",
        &format!(
            "format = 1\nid = \"long\"\ntitle = \"It takes long\"\nowner = \"tests\"\n\
             [[guard]]\nid = \"page\"\nthat = 'http[\"page\"].status == 200'\n\
             says = \"the page is there\"\nfor = \"1s\"\n\
             [[phase]]\nid = \"only\"\ntitle = \"Only\"\n{}{}",
            step("long", "on_breach = \"stop\"", script),
            step("next", "", "echo next > next"),
        ),
    );
}

#[test]
fn a_breach_ends_the_program_and_holds_the_line() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    prepared(dir, listener.local_addr().unwrap().port(), SCRIPT);
    let begun = dir.join("begun");
    // The page is there until the program runs. The thread ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let status = if begun.exists() { "503 Gone" } else { "200 OK" };
            let _ = stream.read(&mut [0; 4096]);
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let ran = Command::new(HOLDPOINT)
        .args(["run", "book.toml", "--site", "site.toml", "--state", "runs"])
        .args(["--ui", "plain", "--answers", "answers.toml"])
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert_eq!(read_to_string(dir.join("told")).unwrap(), "told\n", "{said}");
    assert!(!dir.join("over").exists() && !dir.join("next").exists());
    let run = std::fs::read_dir(dir.join("runs")).unwrap().next().unwrap().unwrap().path();
    let read = read(&run).unwrap();
    let at = |what: &dyn Fn(&Event) -> bool| read.entries.iter().position(|e| what(&e.event));
    let breached = at(&|e| matches!(e, Event::GuardBreached { .. })).unwrap();
    let held = at(&|e| matches!(e, Event::LineHeld { .. })).unwrap();
    let stopping = at(&|e| matches!(e, Event::Stopping { .. })).unwrap();
    let ended = at(&|e| {
        matches!(e, Event::EffectEnded { outcome: Outcome::Unknown(why), .. }
            if why == "sh was stopped: guard page breached")
    });
    assert!(breached < held && held < stopping && Some(stopping) < ended, "{said}");
    assert!(said.contains("sh was stopped: guard page breached"), "{said}");
}

/// The session is stopped only between effects, and ends behind the one that runs.
#[test]
fn a_session_that_is_told_to_stop_or_end_sees_its_program_through() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends when this test lets it.
    prepared(
        dir,
        port,
        "echo begun > begun; until [ -e end ]; do sleep 0.1; done; echo over > over",
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let mut ran = Command::new(HOLDPOINT)
        .args(["run", "book.toml", "--site", "site.toml", "--state", "runs"])
        .args(["--ui", "plain", "--answers", "answers.toml"])
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = |what: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(60);
        while !what() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(&|| dir.join("begun").exists());
    let pid = rustix::process::Pid::from_child(&ran);
    for number in [rustix::process::Signal::TSTP, rustix::process::Signal::TERM] {
        rustix::process::kill_process(pid, number).unwrap();
    }
    // It answers each: by then neither has stopped nor ended it.
    let mut told = std::io::BufRead::lines(std::io::BufReader::new(ran.stderr.take().unwrap()));
    for wanted in ["only/long is running", "only/long is running"] {
        let line = told.by_ref().map(|l| l.unwrap()).find(|l| l.contains("is running")).unwrap();
        assert!(line.contains(wanted), "{line}");
    }
    assert!(ran.try_wait().unwrap().is_none() && !dir.join("over").exists());
    write(dir.join("end"), "").unwrap();
    let left: Vec<String> = told.map(|l| l.unwrap()).collect();
    assert_eq!(ran.wait().unwrap().code(), Some(1), "{left:?}");
    assert!(dir.join("over").exists() && !dir.join("next").exists(), "{left:?}");
    assert!(left.iter().any(|l| l.contains("the run stays open in its journal")), "{left:?}");
    let run = std::fs::read_dir(dir.join("runs")).unwrap().next().unwrap().unwrap().path();
    let entries = read(&run).unwrap().entries;
    let ended = |e: &Event| matches!(e, Event::EffectEnded { outcome: Outcome::Ok, .. });
    assert!(entries.iter().any(|e| ended(&e.event)), "its end is recorded");
}
