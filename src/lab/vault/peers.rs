//! The raft configuration and autopilot, as the active node tells them.

use super::answer::{Ask, Verb};
use super::reply::{self, Reply};
use super::state::Led;
use super::text::{Object, Text, object};
use super::{VERSION, election, raft, status, truth};
use crate::event::{Span, Time};
use crate::lab::World;
use serde_json::{Map, Value, json};

/// Autopilot's `last_contact_threshold`.
const CONTACT: Span = Span::secs(10);

pub(super) fn configured(world: &World, name: &str) -> bool {
    truth::peers(world).contains_key(name)
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &str) -> Reply {
    match (ask.verb, rest) {
        (Verb::Read, "configuration") => configuration(world),
        (Verb::Read, "autopilot/state") => state(world),
        (Verb::Read, "autopilot/configuration") => settings(world),
        (Verb::Write, "autopilot/configuration") => configure(world, ask),
        (Verb::Write, "remove-peer") => remove(world, ask),
        (_, "configuration" | "autopilot/state" | "autopilot/configuration" | "remove-peer") => {
            reply::listed(405, "unsupported operation")
        }
        _ => reply::listed(404, "unsupported path"),
    }
}

fn address<'a>(world: &'a World, name: &str) -> &'a str {
    world.vault.voters.get(name).map(|v| v.cluster.as_str()).unwrap_or_default()
}

fn configuration(world: &mut World) -> Reply {
    let led = world.vault.led.as_ref().map(|led| led.node.clone());
    let server = |(name, votes): (&String, &bool)| {
        Text(object! {
            "address": address(world, name), "leader": Some(name) == led.as_ref(),
            "node_id": name, "protocol_version": "3", "voter": *votes,
        })
    };
    let servers: Vec<Text> = truth::peers(world).iter().map(server).collect();
    let config = Text(object! { "index": 0, "servers": servers });
    reply::told(world, &object! { "config": config }, "system", false)
}

/// What autopilot thinks of one server.
struct Server {
    contact: Span,
    seen: (u64, u64),
    healthy: bool,
    since: Time,
}

fn server(world: &World, led: &Led, name: &str) -> Server {
    if led.node == name {
        let seen = (led.term, led.commit(world.now));
        return Server { contact: Span(0), seen, healthy: true, since: led.since };
    }
    let echo = status::echo(world, led, name);
    let contact = world.now.since(echo.unwrap_or(led.since));
    let applied = truth::applied(world, name);
    let seen = echo.map_or((0, 0), |_| (led.term, applied));
    // `max_trailing_logs` of 1000.
    let healthy = echo.is_some() && contact < CONTACT && applied + 1000 > led.commit(world.now);
    let voter = world.vault.voters.get(name);
    let began = voter.and_then(|v| v.follows).map_or(led.since, |f| f.began.max(led.since));
    let since = match (healthy, echo) {
        (false, Some(echo)) if contact >= CONTACT => echo + CONTACT,
        (false, _) => began,
        (true, _) => began + Span::secs(1),
    };
    Server { contact, seen, healthy, since }
}

fn state(world: &mut World) -> Reply {
    let Some(led) = world.vault.led.clone() else { return reply::error(500, "") };
    let peers = truth::peers(world);
    let (mut servers, mut healthy_voters, mut all) = (Object::new(), 0_usize, true);
    for (name, votes) in &peers {
        let seen = server(world, &led, name);
        all &= seen.healthy;
        healthy_voters += usize::from(seen.healthy && *votes);
        let kind = match (*name == led.node, votes) {
            (true, _) => "leader",
            (_, true) => "voter",
            _ => "non-voter",
        };
        let said = object! {
            "address": address(world, name), "healthy": seen.healthy, "id": name,
            "last_contact": go_span(seen.contact), "last_index": seen.seen.1,
            "last_term": seen.seen.0, "name": name, "node_status": "alive", "node_type": "voter",
            "stable_since": seen.since, "status": kind, "version": VERSION,
        };
        servers = servers.entry(name, &Text(said));
    }
    let voting: Vec<&String> = peers.iter().filter(|(_, v)| **v).map(|(n, _)| n).collect();
    let tolerance = healthy_voters.saturating_sub(voting.len() / 2 + 1);
    let others = voting.iter().filter(|n| ***n != led.node);
    let voters: Vec<&String> = std::iter::once(&led.node).chain(others.copied()).collect();
    let said = object! {
        "failure_tolerance": tolerance, "healthy": all, "leader": led.node,
        "servers": Text(servers.end()), "voters": voters,
    };
    reply::told(world, &said, "system", false)
}

/// A span of time as Go writes it.
fn go_span(span: Span) -> String {
    match span.0 {
        0 => "0s".into(),
        ms @ 1..1000 => format!("{ms}ms"),
        ms if ms % 1000 == 0 && ms < 60_000 => format!("{}s", ms / 1000),
        ms if ms < 60_000 => format!("{}.{:03}s", ms / 1000, ms % 1000),
        ms if ms < 3_600_000 => {
            format!("{}m{}.{:03}s", ms / 60_000, ms / 1000 % 60, ms % 1000)
        }
        ms => {
            format!("{}h{}m{}.{:03}s", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
        }
    }
}

fn defaults() -> Map<String, Value> {
    let all = json!({
        "cleanup_dead_servers": false, "dead_server_last_contact_threshold": "24h0m0s",
        "disable_upgrade_migration": false, "last_contact_threshold": "10s",
        "max_trailing_logs": 1000, "min_quorum": 0, "server_stabilization_time": "10s",
    });
    if let Value::Object(all) = all { all } else { Map::new() }
}

fn settings(world: &mut World) -> Reply {
    let mut said = defaults();
    if let Some(data) = truth::data(world) {
        said.extend(data.autopilot.clone());
    }
    reply::wrapped(world, &Value::Object(said), "system", false)
}

fn configure(world: &mut World, ask: &Ask) -> Reply {
    let known = defaults();
    let body = ask.body.as_object().cloned().unwrap_or_default();
    let changed: Vec<(String, Value)> =
        body.into_iter().filter(|(name, _)| known.contains_key(name)).collect();
    raft::write(world, |data| data.autopilot.extend(changed));
    reply::done()
}

fn remove(world: &mut World, ask: &Ask) -> Reply {
    let Some(id) = ask.body.get("server_id").and_then(Value::as_str).filter(|id| !id.is_empty())
    else {
        return reply::error(400, "no server id provided");
    };
    if configured(world, id) {
        raft::write(world, |data| {
            data.peers.remove(id);
        });
        election::leave(world, id);
    }
    reply::done()
}
