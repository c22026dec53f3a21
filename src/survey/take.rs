//! Reading a site: with the clients that the cockpit uses, by lists in pages, each page pruned
//! before the next is asked for. Nothing is written, and of Secrets only metadata is asked for.

use super::fields::{KINDS, Kept, Scope, labels_of, prune};
use super::mask::Shape;
use super::{Cluster, FORMAT, Lack, MAGIC, NEVER, SecretSeen, SitePart, Survey, voters};
use crate::remote::{Remote, Trouble, trouble};
use crate::world::Reach;
use kube::Client;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest wait for a page.
const DEADLINE: Duration = Duration::from_secs(20);
/// Objects of a page.
const PAGE: usize = 500;
/// The form in which a Secret is asked for: its name, its kind, how many keys it has, and its
/// metadata.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Takes a survey; `more` are namespaces besides those that the site shows. What cannot be
/// read is told in [`Survey::lacks`], and nothing fails as a whole.
pub async fn take(remote: &Remote, more: &[String]) -> Survey {
    let mut lacks = Vec::new();
    let taken_at = remote.now();
    let kubernetes = match (&remote.kube, &remote.site.kubernetes) {
        (_, None) => None,
        (Ok(client), Some(_)) => Some(cluster(client, remote, more, &mut lacks).await),
        (Err(_), Some(_)) => {
            let why = "the kubeconfig or its context cannot be used; `holdpoint doctor` says why";
            lacks.push(Lack::new("the cluster", why));
            None
        }
    };
    let vault = match &remote.site.vault {
        Some(_) => Some(voters::take(remote, &mut lacks).await),
        None => None,
    };
    Survey {
        holdpoint: MAGIC.into(),
        format: FORMAT,
        taken_at,
        taken_by: env!("CARGO_PKG_VERSION").into(),
        pseudonyms: false,
        site: SitePart::of(&remote.site),
        kubernetes,
        vault,
        lacks,
        never: NEVER.map(str::to_owned).to_vec(),
    }
}

async fn cluster(
    client: &Client,
    remote: &Remote,
    more: &[String],
    lacks: &mut Vec<Lack>,
) -> Cluster {
    let mut cluster = Cluster { version: version(client).await, ..Cluster::default() };
    let scopes = scopes(remote, more);
    cluster.namespaces = scopes.iter().map(|s| s.as_deref().unwrap_or("*").to_owned()).collect();
    let mut server = Server { client, gone: None };
    let mut labels = BTreeSet::new();
    // Workloads say which labels of the others matter, so those come last.
    let selects = |kind: &&Kept| !matches!(kind.id, "nodes" | "persistentvolumeclaims" | "pods");
    let (first, last): (Vec<&Kept>, Vec<&Kept>) = KINDS.iter().partition(selects);
    for kind in first.into_iter().chain(last) {
        let everywhere = [None];
        let scopes = if kind.scope == Scope::Shown { &scopes[..] } else { &everywhere };
        let mut kept = Vec::new();
        for scope in scopes {
            let mut page = |object: &Value| {
                labels.extend(labels_of(object));
                kept.extend(prune(kind, object, &labels, &mut cluster.misshapen));
            };
            if let Err(trouble) = server.list(kind, scope.as_deref(), &mut page).await {
                let lack = lack(kind.plural, scope.as_deref(), &trouble);
                lacks.push(Lack { kind: Some(kind.id.into()), namespace: scope.clone(), ..lack });
            }
        }
        cluster.objects.insert(kind.id.to_owned(), kept);
    }
    absent(&cluster, lacks);
    for wanted in &remote.site.secret {
        match server.secret(&wanted.namespace, &wanted.name).await {
            Ok(seen) => cluster.secrets.push(seen),
            Err(trouble) => {
                let what = format!("secret {}", wanted.name);
                lacks.push(lack(&what, Some(&wanted.namespace), &trouble));
            }
        }
    }
    cluster
}

/// Namespaces that were looked into and are none: a name with a slip of the pen has no pods.
fn absent(cluster: &Cluster, lacks: &mut Vec<Lack>) {
    let there = cluster.objects.get("namespaces").map_or(&[][..], Vec::as_slice);
    let is = |name: &String| there.iter().any(|n| n["metadata"]["name"] == name.as_str());
    for name in cluster.namespaces.iter().filter(|n| *n != "*" && !there.is_empty() && !is(n)) {
        lacks.push(Lack::new(format!("namespace {name}"), "the cluster has none of that name"));
    }
}

/// An API server, which is not waited for again and again once it does not answer.
struct Server<'a> {
    client: &'a Client,
    gone: Option<Trouble>,
}

impl Server<'_> {
    async fn list(
        &mut self,
        kind: &Kept,
        namespace: Option<&str>,
        each: &mut impl FnMut(&Value),
    ) -> Result<(), Trouble> {
        match &self.gone {
            Some(gone) => Err(gone.clone()),
            None => list(self.client, kind, namespace, each).await.inspect_err(|e| self.note(e)),
        }
    }

    async fn secret(&mut self, namespace: &str, name: &str) -> Result<SecretSeen, Trouble> {
        match &self.gone {
            Some(gone) => Err(gone.clone()),
            None => secret(self.client, namespace, name).await.inspect_err(|e| self.note(e)),
        }
    }

    fn note(&mut self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Unreachable(_)) {
            self.gone = Some(trouble.clone());
        }
    }
}

/// Namespaces that the site shows, Vault's, and those asked for besides.
fn scopes(remote: &Remote, more: &[String]) -> Vec<Option<String>> {
    let Some(site) = &remote.site.kubernetes else { return Vec::new() };
    let vault = remote.site.vault.iter().map(|v| v.namespace.clone());
    let asked = Reach { shown: true, ..Reach::of(more.iter().cloned().chain(vault)) };
    site.scopes(&asked)
}

/// In words of our own: a server's message may name what it likes.
fn lack(what: &str, namespace: Option<&str>, trouble: &Trouble) -> Lack {
    let place = namespace.map_or_else(|| " everywhere".into(), |n| format!(" in namespace {n}"));
    let why = match trouble {
        Trouble::Forbidden(_) => "forbidden: a right is missing; `holdpoint doctor` names it",
        Trouble::NotFound(_) => "the API server does not know it",
        Trouble::Unreachable(_) => "the API server does not answer",
        Trouble::Conflict(_) | Trouble::Other(_) => "the API server refused",
    };
    Lack::new(format!("{what}{place}"), why)
}

async fn ask(client: &Client, path: &str, accept: &str) -> Result<Value, Trouble> {
    let request = http::Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new());
    let request = request.map_err(|_| Trouble::Other("no path".into()))?;
    match tokio::time::timeout(DEADLINE, client.request::<Value>(request)).await {
        Ok(answer) => answer.map_err(trouble),
        Err(_) => Err(Trouble::Unreachable("no answer".into())),
    }
}

async fn version(client: &Client) -> String {
    let told = ask(client, "/version", "application/json").await.unwrap_or_default();
    let text = told["gitVersion"].as_str().unwrap_or_default();
    // Vendors write a plus into it.
    let fits = Shape::Word.fits(&text.replace('+', ""));
    if fits { text.to_owned() } else { String::new() }
}

/// Every object of a kind, page by page.
async fn list(
    client: &Client,
    kind: &Kept,
    namespace: Option<&str>,
    each: &mut impl FnMut(&Value),
) -> Result<(), Trouble> {
    let within = namespace.map(|n| format!("/namespaces/{n}")).unwrap_or_default();
    let mut more = String::new();
    loop {
        let path = format!("{}{within}/{}?limit={PAGE}{more}", kind.api, kind.plural);
        let page = ask(client, &path, "application/json").await?;
        page["items"].as_array().into_iter().flatten().for_each(&mut *each);
        match page["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => more = format!("&continue={}", encoded(token)),
            _ => return Ok(()),
        }
    }
}

/// A token in a query; it is base64 mostly, with signs that mean something there.
fn encoded(token: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    token.bytes().fold(String::new(), |mut text, b| {
        if plain(b) {
            text.push(char::from(b));
        } else {
            text += &format!("%{b:02X}");
        }
        text
    })
}

/// That a Secret is there and what its keys are called. Its values are not asked for: as a
/// table row it comes with how many there are, and who wrote which field is told by name. What
/// `kubectl apply` noted in an annotation may hold them; it is dropped here with all else.
async fn secret(client: &Client, namespace: &str, name: &str) -> Result<SecretSeen, Trouble> {
    let mut seen = SecretSeen {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        exists: false,
        count: 0,
        keys: Vec::new(),
    };
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
    let table = match ask(client, &path, TABLE).await {
        Ok(table) => table,
        Err(Trouble::NotFound(_)) => return Ok(seen),
        Err(trouble) => return Err(trouble),
    };
    let columns = table["columnDefinitions"].as_array();
    let at = columns.and_then(|all| all.iter().position(|c| c["name"] == "Data"));
    let row = &table["rows"][0];
    seen.exists = row.is_object();
    seen.count = at.and_then(|at| row["cells"][at].as_u64()).unwrap_or(0);
    let entries = row["object"]["metadata"]["managedFields"].as_array();
    let fields = entries.into_iter().flatten().filter_map(|e| e["fieldsV1"]["f:data"].as_object());
    let keys: BTreeSet<String> = fields
        .flat_map(serde_json::Map::keys)
        .filter_map(|key| key.strip_prefix("f:"))
        .filter(|key| Shape::Word.fits(key))
        .map(str::to_owned)
        .collect();
    seen.keys = keys.into_iter().take(usize::try_from(seen.count).unwrap_or(0)).collect();
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_keeps_its_meaning_in_a_query() {
        assert_eq!(encoded("ab+/c="), "ab%2B%2Fc%3D");
    }
}
