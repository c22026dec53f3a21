//! A snapshot read back: whole, and which index it ends at.

use crate::remote::{Machine, Opened};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

pub(crate) fn sha256(machine: &dyn Machine, path: &Path) -> Result<String, String> {
    Ok(summed(machine, path)?.1)
}

/// A file, open at its beginning, and its sum: whoever goes on with it has what was summed, also
/// where its name is another file's by then.
pub(crate) fn summed(
    machine: &dyn Machine,
    path: &Path,
) -> Result<(Box<dyn Opened>, String), String> {
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = machine.open(path).map_err(named)?;
    let sum = sum(file.as_mut()).map_err(named)?;
    Ok((file, sum))
}

/// The sum of all of a file, which stands at its beginning again.
fn sum(file: &mut dyn Opened) -> std::io::Result<String> {
    file.rewind()?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => sha.update(&buffer[..n]),
        }
    }
    file.rewind()?;
    Ok(hex(&sha.finalize()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// A snapshot that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Raft index that it ends at.
    pub index: i64,
    /// Of the whole file.
    pub sha256: String,
    /// The raft configuration in it: where raft talks to each node, by the node's id.
    pub peers: BTreeMap<String, String>,
}

/// Reads a snapshot as Vault wrote it: a gzip tar with meta.json, state.bin and
/// SHA256SUMS; every sum must fit.
pub fn check_snapshot(machine: &dyn Machine, path: &Path) -> Result<Checked, String> {
    let bad = |e: std::io::Error| format!("{} is no whole snapshot: {e}", path.display());
    let mut file = machine.open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let unpacked = flate2::read::GzDecoder::new(BufReader::new(&mut file));
    let mut archive = tar::Archive::new(unpacked);
    let (mut sums, mut stated, mut index) = (BTreeMap::new(), BTreeMap::new(), None);
    let mut peers = BTreeMap::new();
    for entry in archive.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        let name = entry.path().map_err(bad)?.display().to_string();
        if name == "SHA256SUMS" {
            let mut text = String::new();
            entry.by_ref().take(64 * 1024).read_to_string(&mut text).map_err(bad)?;
            stated = text
                .lines()
                .filter_map(|l| l.split_once("  "))
                .map(|(sum, name)| (name.trim().to_owned(), sum.to_owned()))
                .collect();
            continue;
        }
        let mut sha = Sha256::new();
        let mut head = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = entry.read(&mut buffer).map_err(bad)?;
            if n == 0 {
                break;
            }
            sha.update(&buffer[..n]);
            if name == "meta.json" && head.len() < 1 << 20 {
                head.extend_from_slice(&buffer[..n]);
            }
        }
        if name == "meta.json" {
            let meta: Value =
                serde_json::from_slice(&head).map_err(|e| format!("meta.json: {e}"))?;
            index = meta.get("Index").and_then(Value::as_i64);
            peers = configured(&meta);
        }
        sums.insert(name, hex(&sha.finalize()));
    }
    for name in ["meta.json", "state.bin"] {
        match (stated.get(name), sums.get(name)) {
            (Some(a), Some(b)) if a == b => {}
            (_, None) => return Err(format!("{} has no {name}", path.display())),
            (None, _) => {
                return Err(format!("{}: SHA256SUMS does not name {name}", path.display()));
            }
            _ => return Err(format!("{}: the checksum of {name} does not fit", path.display())),
        }
    }
    let index = index.ok_or_else(|| format!("{}: meta.json has no Index", path.display()))?;
    drop(archive);
    Ok(Checked { index, sha256: sum(file.as_mut()).map_err(bad)?, peers })
}

/// Nodes of a snapshot's raft configuration and where each is.
fn configured(meta: &Value) -> BTreeMap<String, String> {
    let servers = meta.pointer("/Configuration/Servers").and_then(Value::as_array);
    let text = |server: &Value, key: &str| server.get(key)?.as_str().map(str::to_owned);
    let one = |server: &Value| Some((text(server, "ID")?, text(server, "Address")?));
    servers.into_iter().flatten().filter_map(one).collect()
}
