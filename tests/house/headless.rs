//! The program itself, without a person: `demo --headless`.

use std::process::{Child, Command, Output, Stdio};

/// With nothing of whoever runs the tests: neither their site nor their time zone.
fn demo(seed: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(["demo", "--headless", "--seed", seed])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn told(child: Child) -> String {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success() && errors.is_empty(), "{status} {errors}\n{text}");
    text
}

#[test]
fn the_same_seed_prints_the_same_to_the_byte_and_ends_done() {
    let running = ["1", "1", "2"].map(demo);
    let [one, again, other] = running.map(told);
    let differs = one.lines().zip(again.lines()).find(|(a, b)| a != b);
    assert!(one == again, "{differs:?}");
    assert_ne!(one, other, "chance does nothing");
    for text in [one, other] {
        let last = "The rehearsal ended: every step is done and verified.";
        assert!(text.lines().any(|line| line == last), "{text}");
        // Also where several ended before anything was printed.
        let over: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("final/")?.split_once("#1 done:"))
            .map(|(step, _)| step)
            .collect();
        assert_eq!(over, ["classes", "peers", "kept", "http", "together"]);
    }
}
