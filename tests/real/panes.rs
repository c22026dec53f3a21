//! What the panes show, row by row, against what `kubectl` and `vault` say.

use crate::pty::Cockpit;
use crate::site::Site;
use serde_json::Value;
use std::process::Command;

/// Zooms each pane in turn and compares its rows.
pub fn agree(site: &Site, cockpit: &mut Cockpit) {
    let wanted = [("1", peers(site)), ("2", claims(site)), ("4", pods(site))];
    for (pane, rows) in wanted {
        cockpit.send("\u{1b}");
        // Keys that come right behind an escape are read as one with it.
        cockpit.until("all panes", |c| c.text().contains(" 0 Runbook"));
        cockpit.send(pane);
        cockpit.send("z");
        cockpit.until(&format!("pane {pane} with {rows:?}"), |c| {
            let text = c.text();
            rows.iter().all(|words| shows(&text, words))
        });
        println!("pane {pane} agrees: {rows:?}");
    }
}

/// A line that begins with the first word, behind the pane's frame, and has the others in
/// their order.
fn shows(text: &str, words: &[String]) -> bool {
    text.lines().any(|line| {
        let mut seen = line.split_whitespace().filter(|w| !["│", "▌", "┃", "|"].contains(w));
        seen.next().map(|w| w.trim_start_matches(['│', '▌'])) == Some(&words[0])
            && words[1..].iter().all(|word| seen.any(|w| w.trim_end_matches('│') == word))
    })
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

/// Name, class, volume, phase; a volume is shown without the `pvc-` that each begins with,
/// and cut where it is long.
fn claims(site: &Site) -> Vec<Vec<String>> {
    let list = site.json(&["-n", "vault", "get", "pvc"]);
    let rows: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            let volume = text(&c["spec"]["volumeName"]);
            vec![
                text(&c["metadata"]["name"]),
                text(&c["spec"]["storageClassName"]),
                volume.trim_start_matches("pvc-").to_owned(),
                text(&c["status"]["phase"]),
            ]
        })
        .collect();
    assert_eq!(rows.len(), 6);
    rows
}

/// Name, ready, status, restarts, node.
fn pods(site: &Site) -> Vec<Vec<String>> {
    let list = site.kubectl(&["-n", "vault", "get", "pods", "-o", "wide", "--no-headers"]);
    let rows: Vec<Vec<String>> = list
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            vec![words[0].into(), words[1].into(), words[2].into(), words[3].into()]
        })
        .collect();
    assert!(rows.len() >= 3, "{list}");
    rows
}

/// Node and role.
fn peers(site: &Site) -> Vec<Vec<String>> {
    let out = Command::new(site.bin.join("vault"))
        .args(["operator", "raft", "list-peers", "-format=json"])
        .env("VAULT_ADDR", &site.voters()[0].1)
        .env("VAULT_TOKEN", site.token())
        .output()
        .unwrap();
    let peers: Value = serde_json::from_slice(&out.stdout).unwrap();
    let servers = peers["data"]["config"]["servers"].as_array().unwrap();
    assert_eq!(servers.iter().filter(|s| s["voter"] == true).count(), 3, "{peers}");
    servers
        .iter()
        .map(|s| {
            let role = if s["leader"] == true { "LEADER" } else { "follower" };
            vec![text(&s["node_id"]), role.to_owned()]
        })
        .collect()
}
