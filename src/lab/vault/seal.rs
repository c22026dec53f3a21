//! The seal: one key, one share.

use super::answer::Ask;
use super::reply::{self, Reply};
use super::state::Process;
use super::{ROOT_TOKEN, election, files, life, raft, status, truth};
use crate::lab::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What a wrong key comes to, innermost.
const WRONG: &str = "error decrypting seal wrapped value\nerror decrypting using seal shamir: \
                     cipher: message authentication failed";

/// With an empty disk the key has to answer the leader's challenge.
const CHALLENGE: &str = "error decrypting challenge";

/// Unseals it, or begins to; why the key does not open it.
pub(super) fn unseal(world: &mut World, pod: &str, key: &str) -> Result<(), String> {
    let bytes = bytes(key)?;
    if bytes.len() < 16 {
        return Err("invalid key: key is shorter than minimum 16 bytes".into());
    }
    let Some(voter) = world.vault.voters.get(pod).filter(|v| v.process == Process::Running) else {
        return Err("Vault is not running".into());
    };
    let (sealed, challenged, joining) = (voter.sealed, voter.challenged, voter.joining);
    let own = truth::disk(world, pod).and_then(|d| d.data.keyring.as_ref());
    let theirs = truth::data(world).and_then(|d| d.keyring.as_ref());
    let keyring = match own {
        Some(own) => own,
        None if challenged => theirs.ok_or("Vault is not initialized")?,
        None => return Err("Vault is not initialized".into()),
    };
    if !sealed || joining {
        return Ok(());
    }
    if STANDARD.decode(&keyring.key).ok().as_deref() != Some(bytes.as_slice()) {
        if own.is_some() {
            return Err(format!(
                "unable to retrieve stored keys: invalid key: failed to decrypt keys from \
                 storage: {WRONG}"
            ));
        }
        if let Some(voter) = world.vault.voters.get_mut(pod) {
            voter.jammed = !voter.led_by_hand;
        }
        return Err(format!("{CHALLENGE}: {WRONG}"));
    }
    if own.is_none() {
        life::prove(world, pod);
        return Ok(());
    }
    let raft = &mut world.vault;
    if let Some(voter) = raft.voters.get_mut(pod) {
        if let Some(disk) = raft.disks.get_mut(&voter.disk) {
            files::recover(disk)?;
        }
        (voter.sealed, voter.left) = (false, None);
    }
    let named = truth::peers(world).contains_key(pod);
    if named && raft::leads_on(world) {
        life::follow(world, pod, (300, 2_500));
    }
    election::tidy(world);
    Ok(())
}

/// Keys are written as hex or as base64.
fn bytes(key: &str) -> Result<Vec<u8>, String> {
    let pair = |i: usize| key.get(i..i + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
    let hex: Option<Vec<u8>> = (0..key.len()).step_by(2).map(pair).collect();
    hex.or_else(|| STANDARD.decode(key).ok())
        .ok_or_else(|| "'key' must be a valid hex or base64 string".into())
}

pub(super) fn unseal_asked(world: &mut World, pod: &str, ask: &Ask) -> Reply {
    let reset = ask.body.get("reset").and_then(Value::as_bool).unwrap_or(false);
    let key = ask.body.get("key").and_then(Value::as_str).unwrap_or_default();
    if key.is_empty() && !reset {
        let says = "'key' must be specified in request body as JSON, or 'reset' set to true";
        return reply::error(400, says);
    }
    if !reset && let Err(why) = unseal(world, pod, key) {
        let broken = why.starts_with(CHALLENGE) || why.starts_with("raft recovery");
        return reply::error(if broken { 500 } else { 400 }, &why);
    }
    status::seal_status(world, pod)
}

/// The leader seals itself; the others elect.
pub(super) fn seal(world: &mut World) -> Reply {
    let Some(leader) = world.vault.led.as_ref().map(|led| led.node.clone()) else {
        return reply::error(503, "Vault is sealed");
    };
    close(world, &leader);
    election::hand_over(world);
    reply::done()
}

/// A voter forgets its key; its sidecar will look.
pub(super) fn close(world: &mut World, pod: &str) {
    life::park(world, pod);
    if let Some(voter) = world.vault.voters.get_mut(pod) {
        voter.sealed = true;
    }
    life::poll(world, pod, (1_000, 10_000));
}

/// A new cluster on an empty disk, unless there is one already.
pub(super) fn init(world: &mut World, pod: &str) -> Reply {
    if truth::data(world).is_some_and(|d| d.keyring.is_some()) {
        return reply::error(400, "Vault is already initialized");
    }
    let again = world.vault.disks.values().any(|d| d.data.keyring.is_some());
    let mut data = truth::fresh(world);
    let (key, token) = match again {
        true => renewed(world, &mut data),
        false => (super::UNSEAL_KEY.to_owned(), ROOT_TOKEN.to_owned()),
    };
    data.peers.insert(pod.to_owned(), true);
    let disk = world.vault.voters.get(pod).map(|v| v.disk.clone()).unwrap_or_default();
    if let Some(disk) = world.vault.disks.get_mut(&disk) {
        (disk.data, disk.applied, disk.term) = (std::sync::Arc::new(data), 40, 2);
    }
    let hex: String = bytes(&key).unwrap_or_default().iter().map(|b| format!("{b:02x}")).collect();
    reply::json(
        200,
        &json!({
            "keys": [hex], "keys_base64": [key], "root_token": token,
        }),
    )
}

/// A cluster after another one: with a key and a token of its own, and nothing in it.
fn renewed(world: &mut World, data: &mut super::Data) -> (String, String) {
    let key = STANDARD.encode(format!("LAB{}", world.chance.uuid()));
    let token = format!("hvs.LAB{}", world.chance.uuid().replace('-', ""));
    if let Some(keyring) = data.keyring.as_mut() {
        key.clone_into(&mut keyring.key);
    }
    let root = data.tokens.remove(ROOT_TOKEN);
    data.tokens.clear();
    data.tokens.extend(root.map(|root| (token.clone(), root)));
    data.versioned.clear();
    data.plain.clear();
    (key, token)
}
