//! Whether the site file's voters are raft's: one that is not watched can be lost unseen, and
//! of two whose addresses are mixed up the wrong one would be asked, and waited for.

use super::{Level, Report};
use crate::remote::{Asked, Remote, Secret, VoterClient};
use crate::text::clean_line;
use reqwest::{Method, Url};
use serde_json::Value;

/// A node of raft, by the active node's word.
#[derive(Debug, Clone, Default)]
struct Server {
    id: String,
    votes: bool,
    leads: bool,
    /// Where it says that it is to be asked; empty if it is not told.
    api: String,
}

/// A voter of the site file.
#[derive(Debug, Clone)]
struct Named {
    name: String,
    address: Option<String>,
}

type Finding = (Level, String, String);

pub(super) async fn examine(remote: &Remote, report: &mut Report) {
    let at = |v: &VoterClient| Named { name: v.name.clone(), address: v.address.clone() };
    let named: Vec<Named> = remote.voters.iter().map(at).collect();
    let mut found = alike(&named);
    // Why the active node could not be asked was told with the sources.
    if let Some((asked, servers)) = active(remote).await {
        found.extend(compare(&named, &asked, &servers));
        if found.is_empty() {
            let votes = servers.iter().filter(|s| s.votes).count();
            let words = format!("the site file names each of the {votes} in raft's configuration");
            report.say(Level::Ok, "voters", &words);
        }
    }
    for (level, what, words) in found {
        report.say(level, &what, &words);
    }
}

/// Raft's configuration, and which voter of the site file it was asked of.
async fn active(remote: &Remote) -> Option<(String, Vec<Server>)> {
    let token = remote.token.as_ref().ok()?;
    for voter in &remote.voters {
        let Some(leader) = ask(remote, voter, "sys/leader", None).await else { continue };
        if leader.get("is_self").and_then(Value::as_bool) != Some(true) {
            continue;
        }
        let path = "sys/storage/raft/configuration";
        let Some(configuration) = ask(remote, voter, path, Some(token)).await else { continue };
        let ha = ask(remote, voter, "sys/ha-status", Some(token)).await;
        return Some((voter.name.clone(), servers(&configuration, &ha.unwrap_or_default())));
    }
    None
}

async fn ask(
    remote: &Remote,
    voter: &VoterClient,
    path: &str,
    token: Option<&Secret>,
) -> Option<Value> {
    let base = voter.base(remote.kube.as_ref().ok()).await.ok()?;
    let asked = voter.ask(&base, Method::GET, path, token, None).await.ok()?;
    let Asked { code, body, .. } = asked;
    (code == 200).then_some(body)
}

/// Both know a node by its cluster address; only one of them knows where it is asked.
fn servers(configuration: &Value, ha: &Value) -> Vec<Server> {
    let text =
        |v: &Value, name: &str| clean_line(v.get(name).and_then(Value::as_str).unwrap_or(""));
    let flag = |v: &Value, name: &str| v.get(name).and_then(Value::as_bool).unwrap_or(false);
    let list = |v: &Value, at: &str| v.pointer(at).and_then(Value::as_array).cloned();
    let nodes = list(ha, "/data/nodes").unwrap_or_default();
    let api = |address: &str| {
        let end = format!("//{address}");
        let node = nodes.iter().find(|n| text(n, "cluster_address").ends_with(&end));
        node.map(|n| text(n, "api_address")).unwrap_or_default()
    };
    let of = |s: &Value| Server {
        id: text(s, "node_id"),
        votes: flag(s, "voter"),
        leads: flag(s, "leader"),
        api: api(&text(s, "address")),
    };
    list(configuration, "/data/config/servers").unwrap_or_default().iter().map(of).collect()
}

/// Host and port of an address, to compare two.
fn place(address: &str) -> Option<(String, u16)> {
    let url = Url::parse(address).ok()?;
    Some((url.host_str()?.to_lowercase(), url.port_or_known_default()?))
}

/// Two voters at one address: one of them is never asked.
fn alike(named: &[Named]) -> Vec<Finding> {
    let at = |n: &Named| n.address.as_deref().and_then(place);
    let twin = |(i, n): (usize, &Named)| {
        let twin = named[..i].iter().find(|other| at(n).is_some() && at(other) == at(n))?;
        let words = format!("has the address of {}; give each voter its own", twin.name);
        Some((Level::Bad, n.name.clone(), words))
    };
    named.iter().enumerate().filter_map(twin).collect()
}

fn compare(named: &[Named], asked: &str, servers: &[Server]) -> Vec<Finding> {
    let mut found = Vec::new();
    for s in servers.iter().filter(|s| !named.iter().any(|n| n.name == s.id)) {
        let (level, what) = match s.votes {
            true => (Level::Bad, "votes"),
            false => (Level::Warn, "is a node without a vote"),
        };
        let words = format!(
            "{what} by raft's configuration and is not in the site file, so nobody watches it; \
             add [[vault.voter]] with name = \"{}\" and its address",
            s.id
        );
        found.push((level, s.id.clone(), words));
    }
    let nodes = || servers.iter().map(|s| s.id.as_str()).collect::<Vec<_>>().join(", ");
    for n in named {
        match servers.iter().find(|s| s.id == n.name) {
            None => {
                let words = format!(
                    "is in the site file and not in raft's configuration, whose nodes are {}; \
                     correct the name, or take it out",
                    nodes()
                );
                found.push((Level::Bad, n.name.clone(), words));
            }
            Some(s) if !s.votes => found.push((
                Level::Warn,
                n.name.clone(),
                "does not vote by raft's configuration; quorum does not count it".into(),
            )),
            Some(_) => {}
        }
    }
    found.extend(misplaced(named, asked, servers));
    found
}

/// Addresses at which another node answers, as far as that can be told: the leader by raft's
/// word, the others by the addresses that they give for themselves, or by a host's name.
fn misplaced(named: &[Named], asked: &str, servers: &[Server]) -> Vec<Finding> {
    let remedy = "addresses in the site file may be mixed up: give each voter its own";
    let mut found = Vec::new();
    if let Some(leader) = servers.iter().find(|s| s.leads && s.id != asked) {
        let words =
            format!("{} answers at its address, by raft's configuration; {remedy}", leader.id);
        found.push((Level::Bad, asked.to_owned(), words));
    }
    for n in named.iter().filter(|n| n.name != asked) {
        let Some(own) = n.address.as_deref().and_then(place) else { continue };
        let mut there = servers.iter().filter(|s| place(&s.api).as_ref() == Some(&own));
        // One address for all of them, as of a balancer, tells nothing.
        if let (Some(other), None) = (there.next(), there.next())
            && other.id != n.name
        {
            let words =
                format!("its address is the one that {} gives for itself; {remedy}", other.id);
            found.push((Level::Bad, n.name.clone(), words));
            continue;
        }
        let host = own.0.split('.').next().unwrap_or_default();
        if host != n.name && servers.iter().any(|s| s.id == host) {
            let words = format!("its address has the name of {host}; {remedy}");
            found.push((Level::Warn, n.name.clone(), words));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::json;

    fn named(list: &[(&str, &str)]) -> Vec<Named> {
        let of = |(name, address): &(&str, &str)| Named {
            name: (*name).into(),
            address: (!address.is_empty()).then(|| (*address).into()),
        };
        list.iter().map(of).collect()
    }

    /// `a` leads, and each is asked at a name of its own.
    fn three() -> Vec<Server> {
        let of = |id: &str| Server {
            id: id.into(),
            votes: true,
            leads: id == "a",
            api: format!("https://{id}.vault-internal:8200"),
        };
        ["a", "b", "c"].map(of).into()
    }

    fn said(named: &[Named], asked: &str, servers: &[Server]) -> Vec<String> {
        let mut all = alike(named);
        all.extend(compare(named, asked, servers));
        let mark = |level| if level == Level::Bad { "BAD" } else { "warn" };
        all.into_iter()
            .map(|(level, what, words)| format!("{} {what} {words}", mark(level)))
            .collect()
    }

    #[test]
    fn voters_of_the_site_file_are_those_of_raft_each_at_its_own_address() {
        let forwarded = named(&[("a", ""), ("b", ""), ("c", "")]);
        assert_eq!(said(&forwarded, "a", &three()), [""; 0]);
        let outside = named(&[
            ("a", "https://x.example.net"),
            ("b", "https://b.example.net"),
            ("c", "https://y:1"),
        ]);
        assert_eq!(said(&outside, "a", &three()), [""; 0]);
        let mut balanced = three();
        balanced.iter_mut().for_each(|s| s.api = "https://vault.example.net".into());
        assert_eq!(said(&outside, "a", &balanced), [""; 0]);
        let mut silent = three();
        silent[1].votes = false;
        let internal = |id: &str| format!("https://{id}.vault-internal:8200");
        let (at_b, at_c) = (internal("b"), internal("C"));
        for (site, asked, servers, wanted) in [
            (
                named(&[("a", ""), ("b", "")]),
                "a",
                three(),
                "BAD c votes by raft's configuration and is not in the site file",
            ),
            (
                named(&[("a", ""), ("b", ""), ("c", ""), ("d", "")]),
                "a",
                three(),
                "BAD d is in the site file and not in raft's configuration, whose nodes are a, b, c",
            ),
            (forwarded.clone(), "a", silent.clone(), "warn b does not vote"),
            (named(&[("a", ""), ("c", "")]), "a", silent, "warn b is a node without a vote"),
            (forwarded, "b", three(), "BAD b a answers at its address"),
            (
                named(&[("a", ""), ("b", &at_c), ("c", &at_b)]),
                "a",
                three(),
                "BAD b its address is the one that c gives for itself",
            ),
            (
                named(&[("a", ""), ("b", "https://c.example.net"), ("c", "")]),
                "a",
                three(),
                "warn b its address has the name of c",
            ),
            (
                named(&[("a", ""), ("b", "http://one:1"), ("c", "http://ONE:1/")]),
                "a",
                three(),
                "BAD c has the address of b",
            ),
        ] {
            let all = said(&site, asked, &servers);
            assert!(all.iter().any(|s| s.starts_with(wanted)), "{wanted}: {all:?}");
            assert!(all.iter().all(|s| s.contains(';')), "a remedy: {all:?}");
        }
    }

    /// The leader says who is there; `b` is asked first, and does not lead.
    #[tokio::test]
    async fn a_voter_that_the_site_file_lacks_is_found_at_the_leader() {
        let server = |id: &str| json!({"node_id": id, "voter": true, "leader": id == "a", "address": format!("{id}:8201")});
        for (third, bad) in [("c", true), ("b", false)] {
            let servers: Vec<Value> = if bad {
                ["a", "b", third].map(server).into()
            } else {
                ["a", "b"].map(server).into()
            };
            let leader = Responder::start(move |asked, _| match asked {
                "GET /v1/sys/leader" => Reply::Json(200, json!({"is_self": true})),
                "GET /v1/sys/storage/raft/configuration" => {
                    Reply::Json(200, json!({"data": {"config": {"servers": servers}}}))
                }
                _ => Reply::Json(
                    200,
                    json!({"data": {"nodes": [
                    {"cluster_address": "https://b:8201", "api_address": "https://b:8200"}]}}),
                ),
            })
            .await;
            let other = Responder::start(|_, _| Reply::Json(200, json!({"is_self": false}))).await;
            let at = |r: &Responder| format!("address = {:?}", r.url);
            let remote = rig::remote(None, &[("b", &at(&other)), ("a", &at(&leader))], "").await;
            let mut report = Report::default();
            examine(&remote, &mut report).await;
            assert_eq!(report.bad, bad, "{third}");
            assert!(other.seen().iter().all(|a| a == "GET /v1/sys/leader"));
        }
    }
}
