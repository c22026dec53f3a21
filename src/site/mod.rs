//! L1: the site file: how to reach things, never a secret.
//!
//! Pure: text in, [`Site`] or problems out. The caller says where home is.

mod checks;
mod lease;
mod scheduled;
mod shows;

pub use self::lease::LeaseAt;

use self::lease::Lease;
use crate::event::{Pins, Scheduled, Span};
use crate::problem::Problem;
use crate::runbook::of_toml;
use crate::world::{Reach, Source};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A site.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Version of the format: 1.
    #[schemars(with = "u32")]
    format: Spanned<u32>,
    /// Its name, shown all the time.
    #[serde(deserialize_with = "checks::plain")]
    pub name: String,
    /// The cluster.
    pub kubernetes: Option<Kubernetes>,
    /// Vault.
    pub vault: Option<Vault>,
    /// Secrets whose existence is observed.
    #[serde(default)]
    pub secret: Vec<SecretRef>,
    /// Endpoints by name.
    #[serde(default)]
    pub http: BTreeMap<String, Endpoint>,
    /// What expressions see as `site`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub values: BTreeMap<String, toml::Value>,
    /// Ages from which sources count as stale, where the defaults don't fit.
    #[serde(default)]
    pub stale: BTreeMap<Source, Span>,
    /// What comes by itself at its times, and that Kubernetes does not know of: no step that acts
    /// begins when it would come in between.
    #[serde(default)]
    #[schemars(with = "Vec<Scheduled>")]
    scheduled: Vec<Spanned<Scheduled>>,
    /// What may be written.
    #[serde(default)]
    pub write: WriteRules,
}

impl Site {
    /// What comes by itself.
    #[must_use]
    pub fn listed(&self) -> Vec<Scheduled> {
        self.scheduled.iter().map(|s| s.get_ref().clone()).collect()
    }

    /// What expressions see as `site`.
    #[must_use]
    pub fn json_values(&self) -> BTreeMap<String, serde_json::Value> {
        let json =
            |(k, v): (&String, &toml::Value)| Some((k.clone(), serde_json::to_value(v).ok()?));
        self.values.iter().filter_map(json).collect()
    }
}

/// How to reach the API server.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Path; default: `KUBECONFIG`, then `~/.kube/config`.
    pub kubeconfig: Option<String>,
    /// Context in it.
    pub context: String,
    /// Namespaces whose pods, StatefulSets and CronJobs are shown; `["*"]`: all.
    #[schemars(with = "Option<Vec<String>>")]
    namespaces: Option<Spanned<Vec<String>>>,
    /// What keeps two hosts from driving the same change: one for the whole cluster, so
    /// whoever drives changes there must name the same one.
    #[serde(default)]
    #[schemars(with = "Lease")]
    lease: Lease,
}

/// All namespaces, in the list of a site file.
const ALL: &str = "*";

impl Kubernetes {
    /// The cluster's lease: where it lies, and how long it lasts.
    #[must_use]
    pub fn lease(&self) -> (&LeaseAt, Span) {
        (&self.lease.at, self.lease.lasts)
    }

    /// Namespaces as the file lists them.
    #[must_use]
    pub fn listed(&self) -> &[String] {
        self.namespaces.as_ref().map(|n| n.get_ref().as_slice()).unwrap_or_default()
    }

    /// What is asked for, scope by scope, in the file's order and then by name; `None` is
    /// every namespace at once.
    #[must_use]
    pub fn scopes(&self, asked: &Reach) -> Vec<Option<String>> {
        let shown = if asked.shown { self.listed() } else { &[] };
        if asked.every || shown.iter().any(|n| n == ALL) {
            return vec![None];
        }
        let named = asked.named.iter().filter(|n| !shown.contains(n));
        shown.iter().chain(named).cloned().map(Some).collect()
    }

    /// There is a namespace that is shown.
    #[must_use]
    pub fn shows_any(&self) -> bool {
        !self.listed().is_empty()
    }

    /// Pods and workloads of that namespace are shown.
    #[must_use]
    pub fn shows(&self, namespace: &str) -> bool {
        self.listed().iter().any(|n| n == ALL || n == namespace)
    }
}

/// How to reach Vault.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// Namespace of its pods.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// File with the token; default: `VAULT_TOKEN`, then `~/.vault-token`.
    pub token_file: Option<String>,
    /// Authority that signed its certificates.
    pub ca_file: Option<String>,
    /// Its voters.
    #[schemars(with = "Vec<VoterAt>")]
    pub voter: Spanned<Vec<VoterAt>>,
}

fn default_namespace() -> String {
    "vault".into()
}

/// A voter: by address, through the API server, or both.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoterAt {
    /// Its raft node id.
    #[serde(deserialize_with = "checks::plain")]
    pub name: String,
    /// `https://host:port`.
    #[schemars(with = "Option<String>")]
    pub address: Option<Spanned<String>>,
    /// The port of its pod, reached by port-forward when there is no address or its path
    /// is lost.
    pub port_forward: Option<u16>,
}

/// A Secret's name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// An endpoint.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// What is asked, with GET.
    #[serde(deserialize_with = "checks::web")]
    pub url: String,
}

/// What may be written at all.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRules {
    /// Runs may write without `--write`.
    #[serde(default)]
    pub allow: bool,
    /// An answers file may release steps.
    #[serde(default)]
    pub unattended: bool,
}

/// What a runbook needs and this site does not have, each with the remedy.
#[must_use]
pub fn lacking(site: &Site, needs: &[String]) -> Vec<String> {
    let has = |need: &str| match need {
        "kubernetes" => site.kubernetes.is_some(),
        "vault" => site.vault.is_some(),
        _ => false,
    };
    let lacks = needs.iter().filter(|n| !has(n));
    lacks.map(|n| format!("the runbook needs {n}; add [{n}] to the site file")).collect()
}

/// How the identity of a lab's cluster begins. Identities of real clusters are chance, so
/// that one begins so once in four thousand million.
pub const LAB_MARK: &str = "1ab51de0-";

/// Whether identities are a lab's: told by what answered, never by a file.
#[must_use]
pub fn is_lab(pins: &Pins) -> bool {
    pins.get(KUBERNETES).is_some_and(|uid| uid.starts_with(LAB_MARK))
}

/// Reads a site file.
pub fn parse(text: &str) -> Result<Site, Vec<Problem>> {
    let site: Site = toml::from_str(text).map_err(|e| {
        let mut problem = of_toml(&e, 0..0);
        if ["token`", "password`", "secret_id`"].iter().any(|s| problem.message.contains(s)) {
            problem.remedy = "a site file holds no secrets; name the file with token_file".into();
        }
        vec![problem]
    })?;
    let mut problems = Vec::new();
    if *site.format.get_ref() != 1 {
        problems.push(Problem::error(
            site.format.span(),
            "this format is not known",
            "write format = 1",
        ));
    }
    checks::check(&site, &mut problems);
    if problems.is_empty() { Ok(site) } else { Err(problems) }
}

/// Pinned identities as a file.
#[must_use]
pub fn render_pins(pins: &Pins) -> String {
    use std::fmt::Write;
    let mut text =
        String::from("# Identities of this site; written by `holdpoint doctor --pin`.\n");
    for (name, value) in pins {
        let _ = writeln!(text, "\"{name}\" = \"{value}\"");
    }
    text
}

/// Reads such a file.
pub fn parse_pins(text: &str) -> Result<Pins, Vec<Problem>> {
    toml::from_str(text).map_err(|e| vec![of_toml(&e, 0..0)])
}

/// Pin of a cluster: the UID of its namespace kube-system.
pub const KUBERNETES: &str = "kubernetes.kube-system-uid";
/// Pin of Vault: its cluster id.
pub const VAULT: &str = "vault.cluster-id";

/// Identities that a site has and that were not found, in words.
#[must_use]
pub fn unread(site: &Site, found: &Pins) -> Vec<String> {
    let has = [(KUBERNETES, site.kubernetes.is_some()), (VAULT, site.vault.is_some())];
    let lacking = has.iter().filter(|(name, there)| *there && !found.contains_key(*name));
    lacking.map(|(name, _)| format!("{name} cannot be read now")).collect()
}

/// What differs between what is pinned and what was found; both are named.
#[must_use]
pub fn mismatch(pinned: &Pins, found: &Pins) -> Vec<String> {
    pinned
        .iter()
        .filter_map(|(name, pin)| match found.get(name) {
            Some(now) if now != pin => Some(format!("{name}: pinned {pin}, found {now}")),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(namespaces: &str) -> Vec<String> {
        let text = format!(
            "format = 1\nname = \"x\"\n[kubernetes]\ncontext = \"x\"\nnamespaces = {namespaces}\n"
        );
        parse(&text).err().unwrap_or_default().into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn every_namespace_stands_alone() {
        for (text, wanted) in [
            (r#"["*"]"#, ""),
            (r#"["a", "b-1"]"#, ""),
            ("[]", "no namespace is named, so no pod would ever be seen"),
            (r#"["*", "a"]"#, "\"*\" is every namespace, and there are others beside it"),
            (r#"["a", "a"]"#, "a is named twice"),
            (r#"["a*"]"#, "\"a*\" is no namespace"),
            (r#"["a/b?x"]"#, "\"a/b?x\" is no namespace"),
        ] {
            assert_eq!(problems(text).join("; "), wanted, "{text}");
        }
    }
}
