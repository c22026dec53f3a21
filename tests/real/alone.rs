//! A rehearsal starts no program, contacts nobody and writes nothing: seen by the kernel's
//! own record, in a network namespace that has only loopback.

use crate::site::HOLDPOINT;
use std::path::PathBuf;
use std::process::Command;

const TOUCHES: &str = r#"
format = 1
id = "touches"
title = "A step that would make a file"
owner = "tests"
[[phase]]
id = "one"
title = "One"
[[phase.step]]
id = "touch"
title = "Make a file"
hold = "release"
do.shell.run = { argv = ["touch", "@FILE@"], timeout = "10s" }
probe = 'false'
undo.none = "the file stays"
"#;

#[test]
fn a_rehearsal_and_a_demo_keep_to_themselves() {
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("alone-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (file, runbook) = (dir.join("made"), dir.join("touches.toml"));
    let text = TOUCHES.replace("@FILE@", &file.display().to_string());
    std::fs::write(&runbook, text).unwrap();
    let runbook = runbook.display().to_string();
    let (out, log) = traced(&dir, "rehearse", &["rehearse", &runbook]);
    assert!(out.contains("not simulated"), "{out}");
    assert!(!file.exists());
    quiet(&log);
    let (out, log) = traced(&dir, "demo", &["demo", "--headless"]);
    assert!(out.contains("every step is done and verified"), "{out}");
    quiet(&log);
}

/// Its output, and what the kernel was asked for.
pub fn traced(dir: &std::path::Path, name: &str, args: &[&str]) -> (String, String) {
    let log = dir.join(format!("{name}.strace"));
    let out = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
            "strace",
            "-f",
            "-qq",
        ])
        .args(["-e", "trace=execve,execveat,connect,bind,sendto,openat,creat,mkdir,unlink,rename"])
        .arg("-o")
        .arg(&log)
        .arg(HOLDPOINT)
        .args(args)
        .env_remove("HOLDPOINT_REAL_BIN")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(log.exists(), "{errors}");
    (text + &errors, std::fs::read_to_string(log).unwrap())
}

/// One program, no address, no file that is written.
pub fn quiet(log: &str) {
    let programs: Vec<_> = log.lines().filter(|l| l.contains("execve")).collect();
    assert_eq!(programs.len(), 1, "{programs:#?}");
    let told = |l: &&str| ["connect(", "bind(", "sendto("].iter().any(|c| l.contains(c));
    let talked: Vec<_> = log.lines().filter(told).collect();
    assert!(talked.is_empty(), "{talked:#?}");
    let made = |l: &&str| {
        ["O_WRONLY", "O_RDWR", "O_CREAT", "creat(", "mkdir(", "unlink(", "rename("]
            .iter()
            .any(|c| l.contains(c))
            && !l.contains("/dev/null")
    };
    let written: Vec<_> = log.lines().filter(made).collect();
    assert!(written.is_empty(), "{written:#?}");
}
