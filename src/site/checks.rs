//! What of a site file cannot be so.

use crate::problem::Problem;
use crate::site::{ALL, Site, Vault, lease, scheduled};
use serde::de::{Deserialize, Deserializer, Error};
use toml::Spanned;

/// A name that is shown: it has letters, and nothing in it steers a terminal.
pub(crate) fn plain<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let shown = crate::text::clean_line(&name);
    if name.trim().is_empty() || shown != name {
        return Err(D::Error::custom(format!(
            "{name:?} is no name; write one in plain characters, without control sequences"
        )));
    }
    Ok(name)
}

/// What can be asked with GET.
pub(crate) fn web<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let url = String::deserialize(from)?;
    match no_address(&url) {
        Some(NotSo::Secret) => Err(D::Error::custom(format!("{HELD}; {HOLDS_NONE}"))),
        Some(NotSo::Web) => {
            Err(D::Error::custom(format!("{url:?} is no address; write https://host/path")))
        }
        None => Ok(url),
    }
}

const HELD: &str =
    "this address holds a user or a password, which would stand in the journal and on the screen";
const HOLDS_NONE: &str = "write https://host:port: a site file holds no secrets";

/// Why something is no address that can be asked.
enum NotSo {
    /// Of another scheme, or none at all.
    Web,
    /// It says who asks, and with what.
    Secret,
}

fn no_address(text: &str) -> Option<NotSo> {
    let Ok(url) = reqwest::Url::parse(text) else { return Some(NotSo::Web) };
    if !matches!(url.scheme(), "http" | "https") || text.contains(char::is_control) {
        return Some(NotSo::Web);
    }
    (!url.username().is_empty() || url.password().is_some()).then_some(NotSo::Secret)
}

pub(super) fn check(site: &Site, problems: &mut Vec<Problem>) {
    if let Some(namespaces) = site.kubernetes.as_ref().and_then(|k| k.namespaces.as_ref()) {
        check_namespaces(namespaces, problems);
    }
    if let Some(kubernetes) = &site.kubernetes {
        lease::check(&kubernetes.lease, problems);
    }
    scheduled::check(&site.scheduled, problems);
    if let Some(vault) = &site.vault {
        check_voters(vault, site.kubernetes.is_some(), problems);
    }
}

fn check_namespaces(namespaces: &Spanned<Vec<String>>, problems: &mut Vec<Problem>) {
    let listed = namespaces.get_ref();
    if listed.is_empty() {
        problems.push(Problem::error(
            namespaces.span(),
            "no namespace is named, so no pod would ever be seen",
            "write namespaces = [\"vault\"], or [\"*\"] for all; without pods leave the line out",
        ));
    }
    if listed.len() > 1 && listed.iter().any(|n| n == ALL) {
        problems.push(Problem::error(
            namespaces.span(),
            "\"*\" is every namespace, and there are others beside it",
            "write namespaces = [\"*\"], or name each one",
        ));
    }
    for (i, name) in listed.iter().enumerate() {
        let plain = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if name != ALL && !plain {
            problems.push(Problem::error(
                namespaces.span(),
                format!("{name:?} is no namespace"),
                "write its name, as kubectl shows it",
            ));
        }
        if listed[..i].contains(name) {
            problems.push(Problem::error(
                namespaces.span(),
                format!("{name} is named twice"),
                "name it once",
            ));
        }
    }
}

fn check_voters(vault: &Vault, kubernetes: bool, problems: &mut Vec<Problem>) {
    let span = vault.voter.span();
    let voters = vault.voter.get_ref();
    if voters.is_empty() {
        problems.push(Problem::error(
            span.clone(),
            "vault has no voters",
            "add a [[vault.voter]] for each",
        ));
    }
    for (i, voter) in voters.iter().enumerate() {
        if voters[..i].iter().any(|v| v.name == voter.name) {
            problems.push(Problem::error(
                span.clone(),
                format!("there are two voters {}", voter.name),
                "give each its raft node id",
            ));
        }
        match &voter.address {
            None if voter.port_forward.is_none() => problems.push(Problem::error(
                span.clone(),
                format!("{} cannot be reached", voter.name),
                "give an address, or port_forward = 8200",
            )),
            Some(a) => match no_address(a.get_ref()) {
                Some(NotSo::Web) => problems.push(Problem::error(
                    a.span(),
                    "this is no address",
                    "write https://host:port",
                )),
                // Not its place: that would show the line.
                Some(NotSo::Secret) => {
                    problems.push(Problem::error(span.clone(), HELD, HOLDS_NONE))
                }
                None => {}
            },
            None => {}
        }
        if voter.port_forward.is_some() && !kubernetes {
            problems.push(Problem::error(
                span.clone(),
                format!("{} is reached by port-forward, but there is no [kubernetes]", voter.name),
                "add [kubernetes] with the context",
            ));
        }
    }
}
