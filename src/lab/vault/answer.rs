//! The HTTP API of a voter: who answers, who forwards, who is silent, and which endpoint it is.

use super::reply::{self, Reply};
use super::state::Process;
use super::{access, election, fault, kv, mounts, peers, raft, seal, snapshot, status};
use crate::lab::{Lab, World};
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::time::Duration;

/// How often a request that gets no answer looks whether that is over.
const HELD: Duration = Duration::from_millis(250);

/// What a request comes to just now.
enum Said {
    Now(Reply),
    /// Nothing, until something changes.
    Never,
    Gone(ErrorKind),
}

/// What is asked, taken apart.
pub(super) struct Ask {
    pub verb: Verb,
    /// Without `/v1/`, decoded.
    pub path: String,
    /// As it came, for redirects.
    pub target: String,
    pub query: BTreeMap<String, String>,
    pub body: Value,
    pub raw: Bytes,
    pub token: Option<String>,
    stay: bool,
}

/// Vault's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Read,
    List,
    Write,
    Delete,
    Other,
}

/// Answers a request to that voter. What a hung process is asked gets no answer for as long
/// as it hangs; nothing is locked meanwhile.
///
/// # Errors
/// Refused where no process listens, timed out where the path is lost, reset where the
/// process ended while the request waited.
pub async fn answer(
    lab: &Lab,
    voter: &str,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Error> {
    let head = request.method() == Method::HEAD;
    let ask = Ask::new(request);
    let mut held = None;
    loop {
        let (said, boot) = lab.with(|world| {
            let said = decide(world, voter, &ask);
            if let Said::Now(reply) = &said
                && reply.status().is_success()
                && matches!(ask.verb, Verb::Write | Verb::Delete)
            {
                world.did(format!("{voter} {:?} /v1/{}", ask.verb, ask.path), "");
            }
            (said, world.vault.voters.get(voter).map_or(0, |v| v.boots))
        });
        match said {
            _ if held.is_some_and(|b| b != boot) => return Err(ErrorKind::ConnectionReset.into()),
            Said::Now(mut reply) => {
                if head {
                    *reply.body_mut() = Bytes::new();
                }
                return Ok(reply);
            }
            Said::Gone(_) if held.is_some() => return Err(ErrorKind::ConnectionReset.into()),
            Said::Gone(kind) => return Err(kind.into()),
            Said::Never => {
                held = Some(boot);
                tokio::time::sleep(HELD).await;
            }
        }
    }
}

impl Ask {
    fn new(request: Request<Bytes>) -> Self {
        let (parts, raw) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let url = parts.uri.query().map(|q| reqwest::Url::parse(&format!("http://voter/?{q}")));
        let query: BTreeMap<String, String> = url
            .and_then(Result::ok)
            .map(|u| u.query_pairs().into_owned().collect())
            .unwrap_or_default();
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let bearer = || header("authorization").and_then(|v| v.strip_prefix("Bearer "));
        let verb = match parts.method.as_str() {
            "GET" if query.get("list").is_some_and(|v| v == "true") => Verb::List,
            "GET" | "HEAD" => Verb::Read,
            "LIST" => Verb::List,
            "PUT" | "POST" => Verb::Write,
            "DELETE" => Verb::Delete,
            _ => Verb::Other,
        };
        Self {
            verb,
            path: decoded(parts.uri.path()),
            target: target.clone(),
            query,
            body: crate::text::json(&raw).unwrap_or(Value::Null),
            token: header("x-vault-token").or_else(bearer).map(str::to_owned),
            stay: header("x-vault-no-request-forwarding").is_some_and(|v| v == "true"),
            raw,
        }
    }
}

fn decoded(path: &str) -> String {
    let path = path.strip_prefix("/v1/").unwrap_or(path);
    if !path.contains('%') {
        return path.to_owned();
    }
    // Of all that is in the tree only a query is decoded; there a plus would be a space.
    let asked = format!("http://voter/?p={}", path.replace('+', "%2B").replace('&', "%26"));
    let url = reqwest::Url::parse(&asked).ok();
    let pair = url.and_then(|u| u.query_pairs().next().map(|(_, v)| v.into_owned()));
    pair.unwrap_or_else(|| path.to_owned())
}

fn decide(world: &mut World, name: &str, ask: &Ask) -> Said {
    if let Err(kind) = fault::connect(world, name) {
        return Said::Gone(kind);
    }
    let Some(voter) = world.vault.voters.get(name) else {
        return Said::Gone(ErrorKind::ConnectionRefused);
    };
    match voter.process {
        Process::Paused => return Said::Never,
        _ if voter.jammed => return Said::Never,
        Process::Hung if ask.path != "sys/leader" => return Said::Never,
        _ => {}
    }
    if !ask.target.starts_with("/v1/") {
        let body = Bytes::from_static(b"404 page not found\n");
        return Said::Now(reply::bytes(404, "text/plain; charset=utf-8", body));
    }
    let sealed = voter.sealed;
    if let Some(reply) = status::local(world, name, ask) {
        let jammed = world.vault.voters.get(name).is_some_and(|v| v.jammed);
        return if jammed { Said::Never } else { Said::Now(reply) };
    }
    if sealed {
        return Said::Now(reply::error(503, "Vault is sealed"));
    }
    if raft::leads(world, name) {
        return active(world, ask);
    }
    standby(world, name, ask)
}

/// Endpoints that are never forwarded.
const STAYS: [&str; 3] =
    ["sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force", "sys/host-info"];

fn standby(world: &mut World, name: &str, ask: &Ask) -> Said {
    if ask.path == "sys/seal" && ask.verb == Verb::Write {
        let says = "vault cannot seal when in standby mode; please restart instead";
        return Said::Now(reply::error(500, says));
    }
    let leader = status::known(world, name).and_then(|led| {
        let voter = world.vault.voters.get(&led)?;
        // One that is stopped is waited for, whether it leads still or did last.
        let there = raft::leads(world, &led) || voter.process == Process::Paused;
        Some((voter.api.clone(), if there { voter.process } else { Process::Absent }))
    });
    match leader {
        None | Some((_, Process::Absent)) => {
            let says = "local node not active but active cluster node not found";
            Said::Now(reply::error(500, says))
        }
        Some((api, _)) if ask.stay || STAYS.contains(&ask.path.as_str()) => {
            Said::Now(reply::elsewhere(&format!("{api}{}", ask.target)))
        }
        Some((_, Process::Running)) => active(world, ask),
        Some(_) => Said::Never,
    }
}

/// The active node's part. All of it is audited.
fn active(world: &mut World, ask: &Ask) -> Said {
    let led = world.vault.led.as_ref();
    let stuck =
        led.and_then(|led| world.vault.voters.get(&led.node)).is_some_and(|v| v.audit_stuck);
    let reads = led.is_some_and(|led| world.now < led.reads_until);
    if stuck || reads {
        return Said::Never;
    }
    let needs: &[&str] = match (ask.verb, ask.path.as_str()) {
        (_, "sys/step-down" | "sys/seal" | "sys/rotate") => &["update", "sudo"],
        (Verb::Read | Verb::Other, _) => &["read"],
        (Verb::List, _) => &["list"],
        (Verb::Write, _) => &["update"],
        (Verb::Delete, _) => &["delete"],
    };
    let token = match access::admitted(world, ask, needs) {
        Ok(token) => token,
        Err(reply) => return Said::Now(*reply),
    };
    // A write that reaches no quorum is not acknowledged.
    let asks_only = ["sys/capabilities-self", "sys/step-down", "sys/seal"];
    let writes = matches!(ask.verb, Verb::Write | Verb::Delete);
    if writes && !asks_only.contains(&ask.path.as_str()) && !raft::serves(world) {
        return Said::Never;
    }
    Said::Now(route(world, ask, &token))
}

fn route(world: &mut World, ask: &Ask, token: &super::Token) -> Reply {
    match (ask.verb, ask.path.trim_end_matches('/')) {
        (Verb::Write, "sys/step-down") => {
            election::hand_over(world);
            reply::done()
        }
        (Verb::Write, "sys/seal") => seal::seal(world),
        (_, "sys/step-down" | "sys/seal") => reply::error(405, ""),
        (Verb::Read, "sys/ha-status") => status::ha_status(world),
        (Verb::Read, "auth/token/lookup-self") => access::lookup(world, ask, token),
        (Verb::Write, "auth/token/renew-self") => access::renew(world, ask, token),
        (Verb::Write, "auth/token/revoke-self") => access::revoke(world, ask),
        (Verb::Write, "auth/token/create") => access::create(world, ask),
        (Verb::Write, "sys/capabilities-self") => access::capabilities(world, ask, token),
        (verb, path) => {
            if let Some(rest) = path.strip_prefix("sys/storage/raft/") {
                return match rest {
                    "snapshot" | "snapshot-force" => snapshot::route(world, ask),
                    rest => peers::route(world, ask, rest),
                };
            }
            match path.strip_prefix("sys/") {
                Some(rest) => mounts::route(world, ask, verb, rest),
                None => kv::route(world, ask),
            }
        }
    }
}
