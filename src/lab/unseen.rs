//! What nobody looked at in a world that was made of a survey. It is not nothing: whoever asks
//! for it is told that it is not known, or a gate would take it for an empty list.

use crate::lab::kube::Kind;
use crate::survey::{Scope, kept};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Kinds that no survey holds and that the lab makes none of by itself.
const NEVER: [&str; 3] = ["configmaps", "services", "serviceaccounts"];

/// What was not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// Namespaces that were looked into; none: all of them.
    pub within: Option<BTreeSet<String>>,
    /// Secrets that were looked for, by namespace and name.
    pub secrets: BTreeSet<(String, String)>,
    /// Lists that could not be read: a kind's id, and a namespace or all.
    pub lists: BTreeSet<(String, Option<String>)>,
}

impl Unseen {
    /// Whether that is hidden; an empty namespace is all of them, an empty name all in it.
    #[must_use]
    pub fn hides(&self, kind: &Kind, namespace: &str, name: &str) -> bool {
        if kind.id == "secrets" {
            return !self.secrets.contains(&(namespace.to_owned(), name.to_owned()));
        }
        let shown = kept(kind.id).is_some_and(|k| k.scope == Scope::Shown);
        let outside = |within: &BTreeSet<String>| !within.contains(namespace);
        let hole = |(id, place): &(String, Option<String>)| {
            let here = place.as_deref().is_none_or(|p| namespace.is_empty() || p == namespace);
            id == kind.id && here
        };
        NEVER.contains(&kind.id)
            || shown && self.within.as_ref().is_some_and(outside)
            || self.lists.iter().any(hole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::kube::kind;

    #[test]
    fn what_was_not_looked_at_is_hidden() {
        let unseen = Unseen {
            within: Some(BTreeSet::from(["vault".to_owned()])),
            secrets: BTreeSet::from([("vault".to_owned(), "key".to_owned())]),
            lists: BTreeSet::from([("nodes".to_owned(), None)]),
        };
        for (id, namespace, name, hidden) in [
            ("pods", "vault", "", false),
            ("pods", "", "", true),
            ("pods", "web", "a", true),
            ("persistentvolumeclaims", "", "", false),
            ("nodes", "", "", true),
            ("secrets", "vault", "key", false),
            ("secrets", "vault", "other", true),
            ("configmaps", "vault", "a", true),
            ("events", "vault", "", false),
        ] {
            assert_eq!(
                unseen.hides(kind(id).unwrap(), namespace, name),
                hidden,
                "{id} {namespace}"
            );
        }
    }
}
