//! Who may do what: users by bearer token, each with rules as RBAC's roles have them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Someone who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `admin`.
    pub name: String,
    /// `system:masters`.
    pub groups: Vec<String>,
    /// What they may; everything else is forbidden.
    pub rules: Vec<Rule>,
}

/// Verbs on resources. `*` is any; an empty list of namespaces is the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `get`, `delete`.
    pub verbs: Vec<String>,
    /// API groups; empty text is the core.
    pub groups: Vec<String>,
    /// `pods`, `pods/exec`.
    pub resources: Vec<String>,
    /// Where.
    pub namespaces: Vec<String>,
    /// What a review says of where the right comes from.
    #[serde(default)]
    pub by: Option<String>,
}

impl Rule {
    /// A rule for the whole cluster.
    #[must_use]
    pub fn new(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Self {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
        Self {
            verbs: owned(verbs),
            groups: owned(groups),
            resources: owned(resources),
            namespaces: Vec::new(),
            by: None,
        }
    }

    fn allows(&self, act: &Act<'_>) -> bool {
        let has = |list: &[String], what: &str| list.iter().any(|l| l == "*" || l == what);
        // `*/scale` and `pods/*` are forms that RBAC knows too; nobody here uses them.
        has(&self.verbs, act.verb)
            && has(&self.groups, act.group)
            && has(&self.resources, act.resource)
            && (self.namespaces.is_empty() || has(&self.namespaces, act.namespace))
    }
}

/// Something that someone wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// `deletecollection`.
    pub verb: &'a str,
    /// Empty for the core.
    pub group: &'a str,
    /// With the subresource: `pods/log`.
    pub resource: &'a str,
    /// Empty for the whole cluster.
    pub namespace: &'a str,
}

impl User {
    /// One who may everything.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            name: "admin".into(),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            rules: vec![Rule::new(&["*"], &["*"], &["*"])],
        }
    }

    /// Who brings no token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            rules: Vec::new(),
        }
    }

    /// Whether they may.
    #[must_use]
    pub fn may(&self, act: &Act<'_>) -> bool {
        // Everyone who is known may ask what they may.
        let review = matches!(act.group, "authorization.k8s.io" | "authentication.k8s.io")
            && act.resource.starts_with("selfsubject")
            && self.groups.iter().any(|g| g == "system:authenticated");
        review || self.grants(act).is_some()
    }

    /// The rule that allows it.
    #[must_use]
    pub fn grants(&self, act: &Act<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.allows(act))
    }
}

/// Users by bearer token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Access {
    users: BTreeMap<String, User>,
    #[serde(default)]
    everyone: Option<User>,
}

impl Access {
    /// Lets someone in.
    pub fn admit(&mut self, token: &str, user: User) {
        self.users.insert(token.to_owned(), user);
    }

    /// Takes whoever brings no token for that user. kubectl needs it: it keeps its token to
    /// itself where the connection is not TLS.
    pub fn trust(&mut self, user: User) {
        self.everyone = Some(user);
    }

    /// Who brings that `Authorization`; none: nobody is known by it.
    #[must_use]
    pub fn user(&self, authorization: Option<&str>) -> Option<User> {
        match authorization {
            None => Some(self.everyone.clone().unwrap_or_else(User::anonymous)),
            Some(text) => self.users.get(text.strip_prefix("Bearer ")?.trim()).cloned(),
        }
    }
}
