//! What `doctor` says of a site file whose voters are not raft's.

use crate::survey::served::{Served, served};

/// The site file with another text in it, and what is said of it.
fn examined(lab: &Served, text: &str) -> (Option<i32>, String) {
    std::fs::write(lab.place("other.toml"), text).unwrap();
    let out = lab.holdpoint(&["doctor", "--site", "other.toml", "--state", "runs"]);
    (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Who was refused for another site does not approve it by pinning once more.
#[test]
fn other_identities_are_not_written_over_those_that_were_pinned() {
    let lab = served("sup3rsecret", |_| ());
    let pin = || {
        let out = lab.holdpoint(&["doctor", "--site", "site.toml", "--pin", "--state", "runs"]);
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let file = lab.place("site.pins.toml");
    let (_, said) = pin();
    assert!(said.contains("ok   pins: written to"), "{said}");
    let pinned = std::fs::read_to_string(&file).unwrap();
    let other = pinned.replace("vault.cluster-id\" = \"", "vault.cluster-id\" = \"other-");
    assert_ne!(other, pinned);
    std::fs::write(&file, &other).unwrap();
    let (code, said) = pin();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("BAD  pins: not written: vault.cluster-id: pinned other-"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), other);
    // As pinned, it may be written again.
    std::fs::write(&file, &pinned).unwrap();
    assert!(pin().1.contains("ok   pins: written to"));
}

#[test]
fn voters_that_are_missing_or_mixed_up_are_named_with_a_remedy() {
    let lab = served("sup3rsecret", |_| ());
    let text = std::fs::read_to_string(lab.place("site.toml")).unwrap();
    let (code, said) = examined(&lab, &text);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok   voters: the site file names each of the 3"), "{said}");

    let addresses: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("address = ")).collect();
    let [first, _, last] = addresses[..] else { panic!("{text}") };
    let mixed = text.replace(first, "<>").replace(last, first).replace("<>", last);
    let at = text.find("[[vault.voter]]").unwrap();
    let next = at + 2 + text[at + 2..].find("[[vault.voter]]").unwrap();
    let missing = text[..at].to_owned() + &text[next..];
    let renamed = text.replace("name = \"vault-1\"", "name = \"vault-9\"");
    let twice = text.replace(first, last);
    for (text, wanted) in [
        (missing, &["BAD  vault-0: votes by raft's configuration", "add [[vault.voter]]"][..]),
        (mixed, &["BAD  vault-0: vault-2 answers at its address", "mixed up"]),
        (renamed, &["BAD  vault-9: is in the site file and not in raft's", "BAD  vault-1: votes"]),
        (twice, &["has the address of vault-0; give each voter its own"]),
    ] {
        let (code, said) = examined(&lab, &text);
        assert_eq!(code, Some(1), "{said}");
        assert!(wanted.iter().all(|w| said.contains(w)), "{wanted:?}: {said}");
        assert!(!said.contains("ok   voters"), "{said}");
    }
}

/// A tool that hangs, as one on a file system that does, is named and not waited for.
#[test]
fn a_tool_that_never_answers_or_fails_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let tool = |name: &str, does: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    tool("kubectl", "exec /bin/sleep 600");
    tool("vault", "echo broken >&2; exit 3");
    std::fs::write(dir.path().join("site.toml"), "format = 1\nname = \"e\"\n").unwrap();
    let mut doctor = std::process::Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(["doctor", "--site", "site.toml", "--state", "runs"])
        .current_dir(dir.path())
        .env("PATH", dir.path())
        .env("HOME", dir.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while doctor.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > end {
            doctor.kill().unwrap();
            panic!("it waits for a tool that hangs");
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let said = String::from_utf8_lossy(&doctor.wait_with_output().unwrap().stdout).into_owned();
    assert!(said.contains("warn kubectl: gives no version in 5 s; does it hang?"), "{said}");
    let wanted = "warn vault: does not tell its version: exit status: 3 (broken)";
    assert!(said.contains(wanted), "{said}");
}
