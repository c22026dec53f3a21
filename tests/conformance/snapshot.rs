//! Snapshots, and what a restore brings back.

use super::answer::{Answer, Done, Wrong, so, wrong};
use super::run::cases;
use super::voter::Voter;
use super::world::World;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

cases![
    a_snapshot_is_an_archive_with_sums,
    a_snapshot_names_index_and_configuration,
    a_standby_has_no_snapshot,
    a_snapshot_needs_a_token,
    a_restore_brings_values_back,
    a_broken_snapshot_is_refused,
];

const SNAPSHOT: &str = "sys/storage/raft/snapshot";
const LONG: Duration = Duration::from_secs(30);

async fn saved(leader: &Voter) -> Result<Answer, Wrong> {
    leader.ask(Method::GET, SNAPSHOT, Vec::new(), LONG).await.code(200)
}

async fn restore(leader: &Voter, path: &str, bytes: Vec<u8>) -> Answer {
    leader.ask(Method::POST, path, bytes, LONG).await
}

fn files(archive: &Answer) -> Result<BTreeMap<String, Vec<u8>>, Wrong> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive.raw.as_slice()));
    let mut all = BTreeMap::new();
    let read = tar.entries().and_then(|entries| {
        for entry in entries {
            let mut entry = entry?;
            let name = entry.path()?.display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            all.insert(name, bytes);
        }
        Ok(())
    });
    match read {
        Ok(()) => Ok(all),
        Err(e) => wrong("a gzipped tar", e),
    }
}

async fn a_snapshot_is_an_archive_with_sums(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    let seen = saved(&leader).await?;
    so(seen.header("content-type") == "application/gzip", "gzip", seen.header("content-type"))?;
    so(
        seen.header("content-disposition") == "attachment",
        "an attachment",
        seen.header("content-disposition"),
    )?;
    let files = files(&seen)?;
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let wanted = ["SHA256SUMS", "SHA256SUMS.sealed", "meta.json", "state.bin"];
    so(names == wanted, format!("{wanted:?}"), format!("{names:?}"))?;
    let sums: String = ["meta.json", "state.bin"]
        .iter()
        .map(|f| {
            let sum = Sha256::digest(&files[*f]);
            let hex: String = sum.iter().map(|b| format!("{b:02x}")).collect();
            format!("{hex}  {f}\n")
        })
        .collect();
    let said = String::from_utf8_lossy(&files["SHA256SUMS"]).into_owned();
    // Their order is by chance.
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    so(sorted(&sums) == sorted(&said), sums, said)?;
    so(!files["SHA256SUMS.sealed"].is_empty() && !files["state.bin"].is_empty(), "content", "none")
}

/// It is at least as new as what was committed before it was asked for.
async fn a_snapshot_names_index_and_configuration(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    let index = w.write(&leader, "snapshot", "index").await?;
    let files = files(&saved(&leader).await?)?;
    let meta: Value = serde_json::from_slice(&files["meta.json"]).unwrap_or_default();
    let servers: Vec<Value> = (0..3)
        .map(|n| json!({"Suffrage": 0, "ID": format!("vault-{n}"), "Address": "$any"}))
        .collect();
    let wanted = json!({
        "Version": 1, "ID": "bolt-snapshot", "Index": "$any", "Term": "$any", "Peers": null,
        "Configuration": {"Servers": servers}, "ConfigurationIndex": "$any",
        "Size": files["state.bin"].len(),
    });
    if let Some(it) = super::answer::difference(&wanted, Some(&meta), "") {
        return wrong(it, &meta);
    }
    so(meta["Index"].as_u64() >= Some(index), format!("index {index} or later"), &meta)?;
    so(meta["Term"].as_u64() > Some(0), "a term", &meta)
}

/// Other requests are forwarded; for this one it always says where to go.
async fn a_standby_has_no_snapshot(w: &World) -> Done {
    let (leader, [standby, _]) = w.calm().await?;
    let there = format!("{}/v1/{SNAPSHOT}", leader.base());
    let seen = standby.ask(Method::GET, SNAPSHOT, Vec::new(), LONG).await.code(307)?;
    so(seen.header("location") == there && seen.raw.is_empty(), &there, seen.header("location"))?;
    for path in [SNAPSHOT, "sys/storage/raft/snapshot-force"] {
        let seen = restore(&standby, path, b"anything".to_vec()).await.code(307)?;
        let there = format!("{}/v1/{path}", leader.base());
        so(seen.header("location") == there, there, seen.header("location"))?;
    }
    Ok(())
}

async fn a_snapshot_needs_a_token(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    leader.clone().token(None).get(SNAPSHOT).await.errors(403, &["permission denied"])?;
    let wrong = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n";
    leader.token(Some("hvs.none")).get(SNAPSHOT).await.errors(403, &[wrong])?;
    Ok(())
}

/// Both ways, the plain one and by force: the values are those of the moment, on every voter.
async fn a_restore_brings_values_back(w: &World) -> Done {
    for path in [SNAPSHOT, "sys/storage/raft/snapshot-force"] {
        let (leader, _) = w.calm().await?;
        w.write(&leader, "restored", "before").await?;
        let archive = saved(&leader).await?.raw;
        w.write(&leader, "restored", "after").await?;
        w.write(&leader, "new", "after").await?;
        let seen = restore(&leader, path, archive).await.code(204)?;
        so(seen.raw.is_empty(), "no body", seen.text())?;
        w.eventually("the value of before", async || {
            let leader = w.leader().await?;
            leader.get("kv/data/restored").await.code(200)?.has(&json!({
                "data": {"data": {"v": "before"}},
            }))
        })
        .await?;
        let (leader, standbys) = w.calm().await?;
        leader.get("kv/data/new").await.code(404)?;
        let index = leader.get("sys/leader").await.number("/raft_committed_index")?;
        for standby in &standbys {
            w.applied(standby, index).await?;
        }
    }
    Ok(())
}

async fn a_broken_snapshot_is_refused(w: &World) -> Done {
    let (leader, _) = w.calm().await?;
    w.write(&leader, "broken", "kept").await?;
    let archive = saved(&leader).await?.raw;
    let half = archive[..archive.len() / 2].to_vec();
    for bytes in [half, b"no archive".to_vec(), Vec::new()] {
        let seen = restore(&leader, SNAPSHOT, bytes).await;
        so(seen.code >= 400, "a refusal", format!("{} {}", seen.code, seen.text()))?;
    }
    leader.get("kv/data/broken").await.code(200)?.has(&json!({
        "data": {"data": {"v": "kept"}},
    }))?;
    Ok(())
}
