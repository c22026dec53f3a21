//! Tokens and what they may.

use super::answer::Ask;
use super::reply::{self, Reply};
use super::state::{Data, Token};
use super::text::Object;
use super::{TOKEN_EXPIRES, raft, truth};
use crate::lab::World;
use serde_json::{Value, json};

/// A token that is valid now.
pub(super) fn valid(world: &World, token: &str) -> Option<Token> {
    let token = truth::data(world)?.tokens.get(token)?;
    let over = token.expires.is_some_and(|at| at <= world.now);
    (!over && !world.suffers(TOKEN_EXPIRES)).then(|| token.clone())
}

/// The token of a request, if it may do that.
pub(super) fn admitted(world: &World, ask: &Ask, needs: &[&str]) -> Result<Token, Box<Reply>> {
    let Some(token) = ask.token.as_deref() else {
        return Err(Box::new(reply::error(403, "permission denied")));
    };
    let Some(token) = valid(world, token) else {
        let says = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n";
        return Err(Box::new(reply::error(403, says)));
    };
    let may = truth::data(world).map(|data| rights(data, &token, &ask.path)).unwrap_or_default();
    let root = may.iter().any(|m| m == "root");
    if root || needs.iter().all(|n| may.iter().any(|m| m == n)) {
        return Ok(token);
    }
    Err(Box::new(reply::listed(403, "permission denied")))
}

/// What a token may at a path; the longest rule that fits decides.
pub(super) fn rights(data: &Data, token: &Token, path: &str) -> Vec<String> {
    if token.policies.iter().any(|p| p == "root") {
        return vec!["root".into()];
    }
    let path = path.trim_end_matches('/');
    let fits = |rule: &str| match rule.strip_suffix('*') {
        Some(start) => path.starts_with(start) || path == start.trim_end_matches('/'),
        None => path == rule,
    };
    let rules = token.policies.iter().filter_map(|p| data.policies.get(p)).flatten();
    let fitting: Vec<_> = rules.filter(|r| fits(&r.path)).collect();
    let longest = fitting.iter().map(|r| r.path.len()).max();
    let mut may: Vec<String> = fitting
        .iter()
        .filter(|r| Some(r.path.len()) == longest)
        .flat_map(|r| r.may.clone())
        .collect();
    may.sort();
    may.dedup();
    if may.is_empty() { vec!["deny".into()] } else { may }
}

pub(super) fn capabilities(world: &mut World, ask: &Ask, token: &Token) -> Reply {
    let list = |name: &str| match ask.body.get(name) {
        Some(Value::Array(paths)) => {
            paths.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(Value::String(path)) => vec![path.clone()],
        _ => Vec::new(),
    };
    let paths: Vec<String> = list("paths").into_iter().chain(list("path")).collect();
    if paths.is_empty() {
        return reply::error(400, "paths must be supplied");
    }
    let mut said = serde_json::Map::new();
    if let Some(data) = truth::data(world) {
        for path in &paths {
            said.insert(path.clone(), json!(rights(data, token, path)));
        }
    }
    if let [only] = paths.as_slice() {
        said.insert("capabilities".into(), said.get(only).cloned().unwrap_or_default());
    }
    reply::wrapped(world, &Value::Object(said), "system", true)
}

pub(super) fn lookup(world: &mut World, ask: &Ask, token: &Token) -> Reply {
    let mut said = Object::new()
        .field("accessor", &token.accessor)
        .field("creation_time", &(token.created.0 / 1000))
        .field("creation_ttl", &token.ttl.map_or(0, |t| t.0 / 1000))
        .field("display_name", &token.display)
        .field("entity_id", &"")
        .field("expire_time", &token.expires)
        .field("explicit_max_ttl", &0)
        .field("id", &ask.token);
    if token.ttl.is_some() {
        said = said.field("issue_time", &token.created).field("renewable", &true);
    }
    let said = said
        .field("meta", &())
        .field("num_uses", &0)
        .field("orphan", &token.ttl.is_none())
        .field("path", &token.path)
        .field("policies", &token.policies)
        .field("ttl", &token.expires.map_or(0, |at| at.since(world.now).0 / 1000))
        .field("type", &"service");
    reply::told(world, &said.end(), "token", false)
}

pub(super) fn renew(world: &mut World, ask: &Ask, token: &Token) -> Reply {
    let Some(ttl) = token.ttl else { return reply::error(400, "invalid lease ID") };
    let (now, id) = (world.now, ask.token.clone().unwrap_or_default());
    raft::write(world, |data| {
        if let Some(token) = data.tokens.get_mut(&id) {
            token.expires = Some(now + ttl);
        }
    });
    authenticated(world, &id, token)
}

pub(super) fn revoke(world: &mut World, ask: &Ask) -> Reply {
    raft::write(world, |data| {
        data.tokens.retain(|id, _| Some(id) != ask.token.as_ref());
    });
    reply::done()
}

/// A token with the policies and the time that were asked for.
pub(super) fn create(world: &mut World, ask: &Ask) -> Reply {
    let names = match ask.body.get("policies") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(names)) => names.split(',').collect(),
        _ => Vec::new(),
    };
    let own = names.into_iter().filter(|n| !n.is_empty()).map(str::to_owned);
    let mut policies: Vec<String> = own.chain(["default".into()]).collect();
    policies.sort();
    policies.dedup();
    let ttl = match ask.body.get("ttl") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(n)) => n.as_u64().map(crate::event::Span::secs),
        _ => None,
    };
    let ttl = ttl.unwrap_or(crate::event::Span::secs(32 * 86_400));
    let (id, accessor) = (world.chance.suffix(20), world.chance.suffix(20));
    let id = format!("hvs.LAB{id}");
    let token = Token {
        accessor: format!("LAB{accessor}"),
        display: "token".into(),
        path: "auth/token/create".into(),
        created: world.now,
        ttl: Some(ttl),
        expires: Some(world.now + ttl),
        policies,
    };
    let made = token.clone();
    raft::write(world, |data| {
        data.tokens.insert(id.clone(), made);
    });
    authenticated(world, &id, &token)
}

fn authenticated(world: &mut World, id: &str, token: &Token) -> Reply {
    let mut body = reply::envelope(world, &Value::Null, "token", false);
    let auth = json!({
        "client_token": id, "accessor": token.accessor, "policies": token.policies,
        "token_policies": token.policies, "metadata": null,
        "lease_duration": token.ttl.map_or(0, |t| t.0 / 1000), "renewable": true,
        "entity_id": "", "token_type": "service", "orphan": false, "mfa_requirement": null,
        "num_uses": 0,
    });
    body.insert("auth".into(), auth);
    reply::json(200, &Value::Object(body))
}
