//! A guard's breach ends a program whose step says so, and nothing comes after it.

use crate::pty::HOLDPOINT;
use holdpoint::event::{Event, Outcome};
use holdpoint::journal::read;
use std::fs::{read_to_string, write};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// It ends when it is told to, and says so; by itself only after a minute.
const SCRIPT: &str =
    "trap 'echo told > told; exit 1' TERM; echo begun > begun; sleep 60 & wait; echo over > over";

fn prepared(dir: &Path, port: u16) {
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
            step("long", "on_breach = \"stop\"", SCRIPT),
            step("next", "", "echo next > next"),
        ),
    );
}

#[test]
fn a_breach_ends_the_program_and_holds_the_line() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    prepared(dir, listener.local_addr().unwrap().port());
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
