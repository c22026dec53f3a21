//! What every voter says of itself without a token: health, leader, seal; and what the
//! active one says of all.

use super::answer::{Ask, Verb};
use super::reply::{self, Reply};
use super::state::Led;
use super::text::{Object, Text, object};
use super::{VERSION, life, peers, raft, seal, truth};
use crate::event::{Span, Time};
use crate::lab::World;
use serde_json::json;

/// How often a standby says hello to the active node.
const ECHO: Span = Span::secs(5);
/// When it does so first.
const FIRST_ECHO: Span = Span::secs(1);

/// Endpoints that each node answers by itself, sealed or not.
pub(super) fn local(world: &mut World, name: &str, ask: &Ask) -> Option<Reply> {
    let sealed = world.vault.voters.get(name).is_some_and(|v| v.sealed);
    let reply = match (ask.path.as_str(), ask.verb) {
        ("sys/health", Verb::Read) => health(world, name, ask),
        ("sys/leader", Verb::Read) if sealed => reply::error(503, "Vault is sealed"),
        ("sys/leader", Verb::Read) => leader(world, name),
        ("sys/seal-status", Verb::Read) => seal_status(world, name),
        ("sys/init", Verb::Read) => {
            reply::json(200, &json!({"initialized": initialised(world, name)}))
        }
        ("sys/init", Verb::Write) => seal::init(world, name),
        ("sys/unseal", Verb::Write) => seal::unseal_asked(world, name, ask),
        ("sys/seal", Verb::Write) if sealed => reply::done(),
        ("sys/storage/raft/join", Verb::Write) => {
            if let Some(voter) = world.vault.voters.get_mut(name) {
                voter.led_by_hand = true;
            }
            life::retry(world, name);
            reply::json(200, &json!({"joined": true}))
        }
        ("sys/storage/raft/bootstrap", Verb::Write) if !sealed => {
            let says = "could not bootstrap clustered storage: error bootstrapping cluster: \
                        cluster already has state";
            reply::error(500, says)
        }
        ("sys/health" | "sys/leader" | "sys/seal-status" | "sys/init" | "sys/unseal", _) => {
            reply::error(405, "")
        }
        _ => return None,
    };
    Some(reply)
}

/// It has data, or was told by a leader how the seal is shaped.
fn initialised(world: &World, name: &str) -> bool {
    let challenged = world.vault.voters.get(name).is_some_and(|v| v.challenged);
    challenged || truth::disk(world, name).is_some_and(|d| d.data.keyring.is_some())
}

/// The leader as a voter knows it: one that began to follow a moment ago does not yet. Who is
/// left without a quorum goes on naming the last one, who is in the store.
pub(super) fn known(world: &World, name: &str) -> Option<String> {
    let Some(led) = world.vault.led.as_ref() else {
        let has_it = truth::disk(world, name).is_some_and(|d| d.data.keyring.is_some());
        return world.vault.last.clone().filter(|_| has_it);
    };
    let voter = world.vault.voters.get(name)?;
    let follows = voter.follows.is_some_and(|f| world.now >= f.began + Span(200).min(late(f)));
    (raft::leads(world, name) || follows).then(|| led.node.clone())
}

fn late(follows: super::Follows) -> Span {
    follows.until.since(follows.began)
}

fn health(world: &World, name: &str, ask: &Ask) -> Reply {
    let code = |name: &str, else_is: u16| match ask.query.get(name) {
        None => Some(else_is),
        Some(text) => text.parse::<u16>().ok().filter(|c| (100..1000).contains(c)),
    };
    let (Some(active), Some(standby), Some(sealed_code), Some(uninit), Some(_)) = (
        code("activecode", 200),
        code("standbycode", 429),
        code("sealedcode", 503),
        code("uninitcode", 501),
        code("drsecondarycode", 472).and(code("performancestandbycode", 473)),
    ) else {
        return reply::error(400, "");
    };
    let yes = |text: &String| matches!(text.as_str(), "1" | "t" | "T" | "true" | "True" | "TRUE");
    let standby_ok = ask.query.get("standbyok").is_some_and(yes);
    let sealed = world.vault.voters.get(name).is_none_or(|v| v.sealed);
    let leads = !sealed && raft::leads(world, name);
    let code = match (initialised(world, name), sealed, leads) {
        (false, ..) => uninit,
        (_, true, _) => sealed_code,
        (_, _, true) => active,
        _ if standby_ok => active,
        _ => standby,
    };
    let mode = if known(world, name).is_some() { "disabled" } else { "unknown" };
    let body = Object::new()
        .field("initialized", &initialised(world, name))
        .field("sealed", &sealed)
        .field("standby", &!leads)
        .field("performance_standby", &false)
        .field("replication_performance_mode", &mode)
        .field("replication_dr_mode", &mode)
        .field("server_time_utc", &(world.now.0 / 1000))
        .field("version", &VERSION)
        .field("enterprise", &false);
    let body = name_cluster(world, name, body, sealed)
        .field("echo_duration_ms", &i32::from(!leads))
        .field("clock_skew_ms", &0)
        .field("replication_primary_canary_age_ms", &0);
    reply::text(code, body.end())
}

/// Name and id of its cluster, which a sealed voter does not tell.
fn name_cluster(world: &World, name: &str, body: Object, sealed: bool) -> Object {
    let keyring = truth::disk(world, name).and_then(|d| d.data.keyring.as_ref());
    match keyring.filter(|_| !sealed) {
        Some(keyring) => body
            .field("cluster_name", &keyring.cluster_name)
            .field("cluster_id", &keyring.cluster_id),
        None => body,
    }
}

const YEAR_ONE: &str = "0001-01-01T00:00:00Z";

fn leader(world: &World, name: &str) -> Reply {
    let known = known(world, name);
    let at = known.as_ref().and_then(|led| world.vault.voters.get(led));
    let led = world.vault.led.as_ref().filter(|_| raft::leads(world, name));
    let applied = truth::applied(world, name);
    let since = led.map_or_else(|| YEAR_ONE.to_owned(), |led| led.since.to_string());
    let body = object! {
        "ha_enabled": true, "is_self": led.is_some(), "active_time": since,
        "leader_address": at.map(|v| v.api.as_str()).unwrap_or_default(),
        "leader_cluster_address": at.map(cluster).unwrap_or_default(),
        "performance_standby": false, "performance_standby_last_remote_wal": 0,
        "raft_committed_index": applied, "raft_applied_index": applied,
    };
    reply::text(200, body)
}

fn cluster(voter: &super::Voter) -> String {
    format!("https://{}", voter.cluster)
}

pub(super) fn seal_status(world: &World, name: &str) -> Reply {
    let (initialised, sealed) =
        (initialised(world, name), world.vault.voters.get(name).is_none_or(|v| v.sealed));
    let shares = i32::from(initialised);
    let body = Object::new()
        .field("type", &"shamir")
        .field("initialized", &initialised)
        .field("sealed", &sealed)
        .field("t", &shares)
        .field("n", &shares)
        .field("progress", &0)
        .field("nonce", &"")
        .field("version", &VERSION)
        .field("build_date", &"")
        .field("migration", &false);
    let body = name_cluster(world, name, body, sealed)
        .field("recovery_seal", &false)
        .field("storage_type", &"raft");
    reply::text(200, body.end())
}

/// When the leader heard of a standby last, if it has since it leads.
pub(super) fn echo(world: &World, led: &Led, name: &str) -> Option<Time> {
    let voter = world.vault.voters.get(name)?;
    let began = voter.follows.map_or(led.since, |f| f.began.max(led.since));
    let until = voter.left.unwrap_or(world.now).min(world.now);
    let first = began + FIRST_ECHO;
    let missed = voter.follows.is_none() && voter.left.is_none();
    if until < first || missed {
        return None;
    }
    Some(first + Span(until.since(first).0 / ECHO.0 * ECHO.0))
}

pub(super) fn ha_status(world: &mut World) -> Reply {
    let Some(led) = world.vault.led.clone() else { return reply::error(500, "") };
    let mut nodes = Vec::new();
    for (name, voter) in &world.vault.voters {
        let active = *name == led.node;
        let echo = echo(world, &led, name);
        if !active && (echo.is_none() || !peers::configured(world, name)) {
            continue;
        }
        nodes.push(Text(object! {
            "hostname": name, "api_address": voter.api, "cluster_address": cluster(voter),
            "active_node": active, "last_echo": echo.filter(|_| !active),
            "echo_duration_ms": i32::from(!active), "clock_skew_ms": 0,
            "replication_primary_canary_age_ms": 0, "version": VERSION,
            "upgrade_version": VERSION,
        }));
    }
    reply::told(world, &object! { "nodes": nodes }, "system", true)
}
