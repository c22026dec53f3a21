//! What a request is about: its path and its query.

use super::error::Refusal;
use crate::lab::kube::{KINDS, Kind};
use std::collections::BTreeMap;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Objects or one of them.
    Objects(Place),
    /// A review: it is answered and not kept.
    Review(&'static str),
    /// Anything that is no resource: versions, health, discovery.
    Other,
    /// A resource that is not there in a group that is.
    NoResource,
}

/// Objects or one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub kind: &'static Kind,
    /// Empty: of all namespaces, or of none.
    pub namespace: String,
    pub name: Option<String>,
    /// `status`, `log`; empty for the object itself.
    pub sub: String,
}

const REVIEWS: [(&str, &str); 4] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// Takes a path apart.
pub fn route(path: &str) -> Route {
    let parts: Vec<String> = path.split('/').filter(|p| !p.is_empty()).map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Route::Other,
    };
    let known = KINDS.iter().any(|k| k.group == group && k.version == version)
        || version == "v1" && REVIEWS.iter().any(|(g, _)| *g == group);
    if rest.is_empty() || !known {
        return Route::Other;
    }
    if let [plural] = rest
        && let Some((_, review)) = REVIEWS.iter().find(|(g, p)| *g == group && p == plural)
    {
        return Route::Review(review);
    }
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, more @ ..]
            if *plural != "status" && *plural != "finalize" =>
        {
            (*namespace, [&[*plural], more].concat())
        }
        rest => ("", rest.to_vec()),
    };
    let Some(kind) = KINDS
        .iter()
        .find(|k| k.group == group && k.version == version && Some(&k.plural) == rest.first())
    else {
        return Route::NoResource;
    };
    if rest.len() > 3 || !kind.namespaced && !namespace.is_empty() {
        return Route::NoResource;
    }
    Route::Objects(Place {
        kind,
        namespace: namespace.to_owned(),
        name: rest.get(1).map(|&n| n.to_owned()),
        sub: rest.get(2).map(|&s| s.to_owned()).unwrap_or_default(),
    })
}

/// A request's query.
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    pub fn of(text: Option<&str>) -> Self {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in text.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            map.entry(decoded(&key.replace('+', " ")))
                .or_default()
                .push(decoded(&value.replace('+', " ")));
        }
        Self(map)
    }

    /// Its first value; empty counts as not there, as it does for the real server.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.first().map(String::as_str).filter(|v| !v.is_empty())
    }

    pub fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.0.contains_key(key) && !matches!(self.get(key), Some("false" | "0"))
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    /// The resource version, if one is named.
    pub fn version(&self) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get("resourceVersion") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Refusal::internal(&format!(
                "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
            ))
        })
    }
}

fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let code = (*first == b'%')
            .then(|| more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_as_the_real_server_does() {
        let place = |path: &str| match route(path) {
            Route::Objects(p) => format!("{} {} {:?} {}", p.kind.id, p.namespace, p.name, p.sub),
            other => format!("{other:?}"),
        };
        for (path, what) in [
            ("/api/v1/pods", "pods  None "),
            ("/api/v1/namespaces/a/pods/p/log", "pods a Some(\"p\") log"),
            ("/api/v1/namespaces/a", "namespaces  Some(\"a\") "),
            ("/api/v1/namespaces/a/status", "namespaces  Some(\"a\") status"),
            ("/apis/apps/v1/namespaces/a/statefulsets", "statefulsets.apps a None "),
            ("/apis/apps/v1/nosuch", "NoResource"),
            ("/apis/nosuch/v1/pods", "Other"),
            ("/apis/apps/v1", "Other"),
            ("/healthz", "Other"),
        ] {
            assert_eq!(place(path), what, "{path}");
        }
        let query = Query::of(Some("a=b%3Dc+d&watch&x=%zz"));
        assert_eq!(
            (query.get("a"), query.flag("watch"), query.get("x")),
            (Some("b=c d"), true, Some("%zz"))
        );
    }
}
