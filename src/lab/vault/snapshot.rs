//! Snapshots as Vault writes them: a gzip tar of `meta.json`, `state.bin`, `SHA256SUMS` and
//! `SHA256SUMS.sealed`. The state is a row of storage entries, as `vault operator raft snapshot
//! inspect` reads them; what lies in them is JSON here.

use super::answer::{Ask, Verb};
use super::reply::{self, Reply};
use super::state::{Data, Keyring};
use super::{SNAPSHOT_EMPTY, election, raft, seal, truth};
use crate::event::Span;
use crate::lab::World;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderValue, header};
use prost::Message;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Error, Read};

pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    let force = ask.path.trim_end_matches('/').ends_with("-force");
    match ask.verb {
        Verb::Read if !force => save(world),
        Verb::Write => restore(world, ask, force),
        _ => reply::listed(405, "unsupported operation"),
    }
}

fn save(world: &mut World) -> Reply {
    let body = match packed(world) {
        Ok(body) => body,
        Err(e) => return reply::listed(500, &format!("failed to write snapshot: {e}")),
    };
    let body = match world.suffers(SNAPSHOT_EMPTY) {
        true => body.get(..body.len() / 2).unwrap_or_default().to_vec(),
        false => body,
    };
    let mut reply = reply::bytes(200, "application/gzip", Bytes::from(body));
    let attached = HeaderValue::from_static("attachment");
    reply.headers_mut().insert(header::CONTENT_DISPOSITION, attached);
    reply
}

/// An entry of Vault's storage, each with its length before it.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// One entry a kind of data.
fn written(data: &Data) -> Result<Vec<u8>, Error> {
    let mut state = Vec::new();
    if let Value::Object(parts) = serde_json::to_value(data)? {
        for (name, part) in parts {
            let entry = Entry { key: format!("{ENTRIES}{name}"), value: part.to_string().into() };
            entry.encode_length_delimited(&mut state)?;
        }
    }
    Ok(state)
}

fn read(mut state: &[u8]) -> Result<Data, Error> {
    let mut parts = Map::new();
    while !state.is_empty() {
        let entry = Entry::decode_length_delimited(&mut state)?;
        let name = entry.key.trim_start_matches(ENTRIES).to_owned();
        parts.insert(name, serde_json::from_slice(&entry.value)?);
    }
    Ok(serde_json::from_value(Value::Object(parts))?)
}

const ENTRIES: &str = "core/lab/";

fn packed(world: &World) -> Result<Vec<u8>, Error> {
    let none = || Error::other("nobody leads");
    let led = world.vault.led.as_ref().ok_or_else(none)?;
    let data = truth::data(world).ok_or_else(none)?;
    let keyring = data.keyring.as_ref().ok_or_else(none)?;
    let state = written(data)?;
    let index = led.commit(world.now);
    let server = |(name, votes): (&String, &bool)| {
        let at = world.vault.voters.get(name).map(|v| v.cluster.as_str()).unwrap_or_default();
        json!({"Suffrage": u8::from(!votes), "ID": name, "Address": at})
    };
    let servers: Vec<Value> = data.peers.iter().map(server).collect();
    let meta = json!({
        "Version": 1, "ID": "bolt-snapshot", "Index": index, "Term": led.term, "Peers": null,
        "Configuration": {"Servers": servers}, "ConfigurationIndex": index.min(led.base),
        "Size": state.len(),
    });
    let meta = format!("{meta}\n").into_bytes();
    let sums = format!("{}  state.bin\n{}  meta.json\n", hex(&state), hex(&meta));
    let sealed = proof(keyring, sums.as_bytes());
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let parts = [
        ("meta.json", meta.as_slice()),
        ("state.bin", &state),
        ("SHA256SUMS", sums.as_bytes()),
        ("SHA256SUMS.sealed", &sealed),
    ];
    for (name, bytes) in parts {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(bytes.len() as u64);
        header.set_mtime(u64::try_from(world.now.0 / 1000).unwrap_or(0));
        archive.append_data(&mut header, name, bytes)?;
    }
    archive.into_inner()?.finish()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// What only a cluster with that key can have written: the real one encrypts the sums.
fn proof(keyring: &Keyring, sums: &[u8]) -> Vec<u8> {
    let mut sha = Sha256::new();
    sha.update(keyring.key.as_bytes());
    sha.update(keyring.cluster_id.as_bytes());
    sha.update(sums);
    sha.finalize().to_vec()
}

fn unpacked(raw: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    // Whatever broke it, the real one says this.
    let says =
        "failed to read snapshot file: failed to read or write snapshot data: unexpected EOF";
    let broken = |_: Error| says.to_owned();
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Err("failed to decompress snapshot: unexpected EOF".into());
    }
    let mut archive = tar::Archive::new(GzDecoder::new(raw));
    let mut parts = BTreeMap::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        parts.insert(name, bytes);
    }
    Ok(parts)
}

/// The state of a snapshot whose sums fit, and whether this cluster wrote it.
fn checked(raw: &[u8], keyring: Option<&Keyring>) -> Result<(Data, bool), String> {
    let parts = unpacked(raw)?;
    let part = |name: &str| {
        let none = || format!("failed to read snapshot file: {name} is missing");
        parts.get(name).ok_or_else(none)
    };
    let (state, sums) = (part("state.bin")?, part("SHA256SUMS")?);
    let text = String::from_utf8_lossy(sums);
    for name in ["state.bin", "meta.json"] {
        let line = format!("{}  {name}", hex(part(name)?));
        if !text.lines().any(|l| l == line) {
            return Err(format!(
                "failed checking integrity of snapshot: hash check failed for {name:?}"
            ));
        }
    }
    let data = read(state).map_err(|e| format!("failed to restore snapshot: {e}"))?;
    let own = keyring.is_some_and(|k| proof(k, sums) == *part("SHA256SUMS.sealed").unwrap_or(sums));
    Ok((data, own))
}

fn restore(world: &mut World, ask: &Ask, force: bool) -> Reply {
    let keyring = truth::data(world).and_then(|d| d.keyring.clone());
    let (saved, own) = match checked(&ask.raw, keyring.as_ref()) {
        Ok(read) => read,
        Err(why) => return reply::listed(500, &why),
    };
    if !own && !force {
        let says = "could not verify hash file, possibly the snapshot is using a different set \
                    of unseal keys; use the snapshot-force API to bypass this check";
        return reply::error(400, says);
    }
    let opens = saved.keyring.as_ref().map(|k| &k.key) == keyring.as_ref().map(|k| &k.key);
    raft::write(world, |data| {
        // The raft configuration stays that of the cluster that is restored into.
        let peers = std::mem::take(&mut data.peers);
        *data = Data { peers, ..saved };
    });
    let reads = Span(world.chance.between(2_000, 6_000));
    if let Some(led) = world.vault.led.as_mut() {
        (led.base, led.reads_until) = (led.base + 12, world.now + reads);
    }
    if !opens {
        // Nobody of this cluster has the key of what they hold now.
        let names: Vec<String> = world.vault.voters.keys().cloned().collect();
        for pod in names {
            if raft::up(world, &pod) {
                seal::close(world, &pod);
            }
        }
        election::hand_over(world);
    }
    reply::done()
}
