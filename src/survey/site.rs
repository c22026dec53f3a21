//! What of a site file a rehearsal needs: names, and how they belong together. No address,
//! no path, none of the values that expressions see: those may be anything.

use super::mask::Shape;
use crate::event::Span;
use crate::site::{SecretRef, Site};
use crate::world::Source;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an endpoint is to a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// Vault's health, whoever leads.
    Vault,
    /// The same, where a standby counts as well.
    VaultStandby,
    /// Nothing that a lab has: nobody answers there.
    Elsewhere,
}

impl Door {
    /// What that address is.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let path = url.split_once("://").and_then(|(_, rest)| Some(rest.split_once('/')?.1));
        let Some(path) = path else { return Self::Elsewhere };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match (path, query.split('&').any(|q| q == "standbyok=true" || q == "standbyok=1")) {
            ("v1/sys/health", false) => Self::Vault,
            ("v1/sys/health", true) => Self::VaultStandby,
            _ => Self::Elsewhere,
        }
    }
}

/// Names of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitePart {
    /// Its own.
    pub name: String,
    /// It has a cluster.
    pub kubernetes: bool,
    /// Namespaces that are shown; `*` is all.
    pub namespaces: Vec<String>,
    /// The namespace of Vault's pods, where the site has Vault.
    pub vault: Option<String>,
    /// Vault's voters.
    pub voters: Vec<String>,
    /// Secrets whose existence is looked at.
    pub secrets: Vec<(String, String)>,
    /// Endpoints by name.
    pub endpoints: BTreeMap<String, Door>,
    /// From which age sources are stale.
    pub stale: BTreeMap<Source, Span>,
}

impl SitePart {
    /// Of a site file.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let kubernetes = site.kubernetes.as_ref();
        let vault = site.vault.as_ref();
        let voters = vault.iter().flat_map(|v| v.voter.get_ref()).map(|v| v.name.clone());
        let secret = |s: &SecretRef| (s.namespace.clone(), s.name.clone());
        let endpoint =
            |(name, e): (&String, &crate::site::Endpoint)| (name.clone(), Door::of(&e.url));
        Self {
            name: site.name.clone(),
            kubernetes: kubernetes.is_some(),
            namespaces: kubernetes.map(|k| k.listed().to_vec()).unwrap_or_default(),
            vault: vault.map(|v| v.namespace.clone()),
            voters: voters.collect(),
            secrets: site.secret.iter().map(secret).collect(),
            endpoints: site.http.iter().map(endpoint).collect(),
            stale: site.stale.clone(),
        }
    }

    /// Whether its names are names; they get into a site file.
    pub(super) fn check(&self) -> Result<(), String> {
        let secrets = self.secrets.iter().flat_map(|(namespace, name)| [namespace, name]);
        let names = self.namespaces.iter().filter(|n| *n != "*").chain(&self.vault);
        let all: BTreeSet<&String> = names.chain(&self.voters).chain(secrets).collect();
        match all.into_iter().find(|n| n.is_empty() || !Shape::Word.fits(n)) {
            Some(_) => Err("a name in its site is none".into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_what_it_is_for_is_kept() {
        for (url, door) in [
            ("https://vault.example.net/v1/sys/health?standbyok=true", Door::VaultStandby),
            ("https://u:p@vault.example.net:8200/v1/sys/health", Door::Vault),
            ("https://example.net/hook/t0ken", Door::Elsewhere),
            ("https://example.net", Door::Elsewhere),
        ] {
            assert_eq!(Door::of(url), door, "{url}");
        }
    }
}
