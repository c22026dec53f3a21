//! Where the cluster's lease lies.

use crate::event::Span;
use crate::problem::Problem;
use serde::Deserialize;
use toml::Spanned;

/// The lease, as a site file names it.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, from = "Written")]
#[schemars(with = "Written")]
pub(super) struct Lease {
    pub(super) at: LeaseAt,
    pub(super) lasts: Span,
    spans: [Option<std::ops::Range<usize>>; 3],
}

/// Its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseAt {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for LeaseAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A `coordination.k8s.io/v1` Lease.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Lease")]
struct Written {
    /// Its namespace; default: `kube-system`, which every cluster has.
    #[schemars(with = "Option<String>")]
    namespace: Option<Spanned<String>>,
    /// Its name; default: `holdpoint`.
    #[schemars(with = "Option<String>")]
    name: Option<Spanned<String>>,
    /// How long it is left to a run that does not renew it; whole seconds, default: 30s.
    #[schemars(with = "Option<Span>")]
    lasts: Option<Spanned<Span>>,
}

impl From<Written> for Lease {
    fn from(written: Written) -> Self {
        let Written { namespace, name, lasts } = written;
        let spans = [
            namespace.as_ref().map(Spanned::span),
            name.as_ref().map(Spanned::span),
            lasts.as_ref().map(Spanned::span),
        ];
        let or = |text: Option<Spanned<String>>, own: &str| {
            text.map_or_else(|| own.to_owned(), Spanned::into_inner)
        };
        Self {
            at: LeaseAt { namespace: or(namespace, "kube-system"), name: or(name, "holdpoint") },
            lasts: lasts.map_or(Span::secs(30), Spanned::into_inner),
            spans,
        }
    }
}

impl Default for Lease {
    fn default() -> Self {
        Written::default().into()
    }
}

pub(super) fn check(lease: &Lease, problems: &mut Vec<Problem>) {
    let span = |n: usize| lease.spans[n].clone().unwrap_or(0..0);
    let plain = |text: &str, dots: bool| {
        !text.is_empty()
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || dots && c == '.'
            })
    };
    for (n, text, dots) in [(0, &lease.at.namespace, false), (1, &lease.at.name, true)] {
        if !plain(text, dots) {
            let what = ["namespace", "name of a lease"][n];
            let remedy = "write it as kubectl shows it: small letters, digits, dashes";
            problems.push(Problem::error(span(n), format!("{text:?} is no {what}"), remedy));
        }
    }
    let lasts = lease.lasts;
    if lasts < Span::secs(2) || lasts > Span::secs(3600) || !lasts.0.is_multiple_of(1000) {
        problems.push(Problem::error(
            span(2),
            format!("a lease cannot last {lasts}"),
            "write whole seconds, from 2s to 1h; it is renewed three times as often",
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::event::Span;
    use crate::site::{Site, parse};

    fn site(lease: &str) -> Result<Site, String> {
        let text = format!("format = 1\nname = \"x\"\n[kubernetes]\ncontext = \"x\"\n{lease}\n");
        parse(&text).map_err(|p| p.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn it_has_a_place_in_every_cluster_and_a_site_may_name_another() {
        let of = |text: &str| {
            let site = site(text).unwrap();
            let (at, lasts) = site.kubernetes.as_ref().unwrap().lease();
            (at.to_string(), lasts)
        };
        assert_eq!(of(""), ("kube-system/holdpoint".into(), Span::secs(30)));
        let other = "[kubernetes.lease]\nnamespace = \"ops\"\nname = \"a.b\"\nlasts = \"1m\"";
        assert_eq!(of(other), ("ops/a.b".into(), Span::secs(60)));
        for (line, why) in [
            ("lasts = \"1s\"", "a lease cannot last 1s"),
            ("lasts = \"2500ms\"", "a lease cannot last 2s500ms"),
            ("lasts = \"2h\"", "a lease cannot last 2h"),
            ("name = \"a/b\"", "\"a/b\" is no name of a lease"),
            ("namespace = \"a.b\"", "\"a.b\" is no namespace"),
            ("namespace = \"\"", "\"\" is no namespace"),
        ] {
            assert_eq!(site(&format!("[kubernetes.lease]\n{line}")).unwrap_err(), why);
        }
        assert!(site("[kubernetes.lease]\nholder = \"x\"").is_err());
    }
}
