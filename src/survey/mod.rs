//! L3: a survey, a picture of a live site that a rehearsal starts from.
//!
//! What is kept is named, field by field and with the form that its text may have
//! ([`fields`]); whatever is not named there is not kept. A list of what to leave out would
//! be a promise about everything that anybody ever puts into an object, which nobody can give.
//! So no text that people or programs write freely gets in: no values of variables, arguments,
//! ConfigMaps or Secrets, no annotations but those that controllers steer by, no messages, no
//! Events. What is read back goes through the same list, whoever wrote the file.
//!
//! Format 1, JSON in one file, 0600: see [`Survey`]. A field that is added has a default; what
//! an old program would misread is another format.

mod fields;
mod file;
mod handle;
mod mask;
mod names;
mod site;
mod take;
mod voters;

pub use self::fields::{KINDS, Kept, Scope, kept, labels_of, prune};
pub use self::file::{Unreadable, parse, render};
pub use self::names::disguise;
pub use self::site::{Door, SitePart};
pub use self::take::take;

use crate::event::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The only format that there is.
pub const FORMAT: u32 = 1;
/// What such a file says that it is.
pub const MAGIC: &str = "survey";

/// A picture of a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// [`MAGIC`].
    pub holdpoint: String,
    /// [`FORMAT`].
    pub format: u32,
    /// When.
    pub taken_at: Time,
    /// The version of the program that took it.
    pub taken_by: String,
    /// Names are not the site's own.
    #[serde(default)]
    pub pseudonyms: bool,
    /// What of the site file a rehearsal needs.
    pub site: SitePart,
    /// The cluster, where the site has one.
    pub kubernetes: Option<Cluster>,
    /// Vault, where the site has one.
    pub vault: Option<Vault>,
    /// What could not be read, and so is not in it.
    pub lacks: Vec<Lack>,
    /// What is never in it, in words.
    pub never: Vec<String>,
}

/// The cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// As the API server says it: `v1.34.4`; empty if it did not.
    pub version: String,
    /// Objects by kind, `statefulsets.apps`, with the fields of [`fields`].
    pub objects: BTreeMap<String, Vec<Value>>,
    /// Namespaces whose pods and workloads were looked at; `*` is all.
    pub namespaces: Vec<String>,
    /// Secrets that the site file names: that they are there, never what is in them.
    pub secrets: Vec<SecretSeen>,
    /// Fields whose text was not of the form that it should have, and so was left out.
    #[serde(default)]
    pub misshapen: u64,
}

/// That a Secret is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSeen {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// It is there.
    pub exists: bool,
    /// How many keys it has.
    pub count: u64,
    /// Names of its keys, as far as its metadata tells them.
    pub keys: Vec<String>,
}

/// Vault, as its voters tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vault {
    /// One a voter of the site file.
    pub voters: Vec<VoterSeen>,
    /// The raft configuration; none if it could not be read.
    pub peers: Option<Vec<Peer>>,
}

/// What a voter says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterSeen {
    /// Its raft node id.
    pub name: String,
    /// It told its seal and its leader; else nothing below is known.
    pub answers: bool,
    /// Its version: `1.18.1`.
    pub version: String,
    /// What kind of seal it has: `shamir`, `awskms`.
    pub seal: String,
    /// It has data.
    pub initialized: bool,
    /// It has no key for what lies on its disk.
    pub sealed: bool,
    /// It says that it leads.
    pub leads: bool,
    /// Its own commit index.
    pub committed: u64,
    /// Its own applied index.
    pub applied: u64,
}

/// A server of the raft configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Raft node id.
    pub name: String,
    /// It votes.
    pub votes: bool,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// What: `pods in namespace vault`.
    pub what: String,
    /// Why, in this program's words: what a server says may hold anything.
    pub why: String,
    /// The kind whose list it is, where it is one.
    #[serde(default)]
    pub kind: Option<String>,
    /// The namespace of that list; none where all were asked for at once.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// What is never in a survey, for people.
pub const NEVER: [&str; 6] = [
    "values of Secrets and ConfigMaps; of Secrets that the site file names only how many keys \
     there are and what they are called",
    "variables, arguments and commands of containers, and volumes that are no claims",
    "annotations but those that controllers steer by; labels but those that something selects by",
    "Vault's tokens, keys, secrets and policies",
    "credentials, kubeconfigs and addresses of servers",
    "messages, Events, logs and managed fields",
];

impl Lack {
    /// Something that is no list.
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), kind: None, namespace: None }
    }
}

impl Survey {
    /// Objects of a kind.
    #[must_use]
    pub fn objects(&self, kind: &str) -> &[Value] {
        let cluster = self.kubernetes.as_ref();
        cluster.and_then(|c| c.objects.get(kind)).map_or(&[], Vec::as_slice)
    }
}
