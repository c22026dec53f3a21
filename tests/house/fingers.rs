//! What somebody presses who wants to get on with the Vault runbook, and looks first.

use crate::pty::Cockpit;
use std::time::{Duration, Instant};

/// The key that a person would press, seeing this screen.
///
/// `calm` is how long it is looked at first: a confirmation arms half a second after it opened.
pub fn press(cockpit: &mut Cockpit, text: &str, last: &mut String, calm: Duration) {
    let key = if let Some(i) = text.find("Type ") {
        let name = text[i + 5..].split(' ').next().unwrap_or_default().to_owned();
        // What is typed already is not typed twice.
        if text.contains(&format!("  {name}▏")) {
            "\r".to_owned()
        } else if text.contains("  ▏") {
            name
        } else {
            "\u{7f}".repeat(40)
        }
    } else if text.contains("Press Enter to release") {
        if text.contains("resolving") {
            return;
        }
        "\r".to_owned()
    } else if text.contains("▌ elsewhere") {
        "j".to_owned()
    } else if text.contains("▌ here")
        || text.contains("Enter answer")
        || text.contains("Enter review")
    {
        // A step that begins by itself needs no review.
        if text.contains("Enter review") && !text.contains("READY") {
            return;
        }
        let own = [
            "/voters ",
            "/class ",
            "/unseal-key ",
            "/controller ",
            "/security-context ",
            "/old-volumes ",
            "/nodes ",
            "/backup ",
            "/adopted ",
            "/moved ",
            "/back ",
            "/soak ",
            "/classes ",
            "/peers ",
            "/http ",
        ];
        if own.iter().any(|s| text.contains(s))
            && text.contains("Step ")
            && !text.contains("Enter answer")
            && !text.contains("▌ here")
        {
            return;
        }
        "\r".to_owned()
    } else {
        return;
    };
    let state = format!(
        "{key}{}",
        text.lines()
            .filter(|l| l.contains("Step ") || l.contains("▏") || l.contains("Enter"))
            .collect::<String>()
    );
    if *last == state {
        // The same screen again: give it time, then press once more.
        std::thread::sleep(calm);
    }
    *last = state;
    std::thread::sleep(calm);
    let before = cockpit.text();
    cockpit.send(&key);
    // On a busy machine the screen follows late; a key for what was seen before it does is
    // one too many.
    let end = Instant::now() + Duration::from_secs(3);
    while typed(&cockpit.text()) == typed(&before) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The line that is typed, and what the footer offers.
fn typed(text: &str) -> Vec<String> {
    let lines = text.lines();
    lines.filter(|l| l.contains('▏') || l.contains("Enter")).map(str::to_owned).collect()
}
