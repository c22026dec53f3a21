//! L0: the typed picture of what is observed: raft, claims, volumes, classes, pods,
//! workloads, nodes, secrets' existence, http.
//!
//! Panes draw it, gates read it, the journal keeps its changes. The same types are the
//! names and types of expressions in runbooks (`docs/world.md` is generated from them):
//! a doc comment here is documentation for runbook authors. No secret value has a place
//! in it. Fields are what people and gates need, not what servers send.

mod change;
mod kube;
mod raft;
mod reach;
mod shared;
mod source;
mod table;

pub use change::{Change, Keyed, Rows, Update};
pub use kube::{
    Claim, Class, Consumers, CronJob, Node, NodeDriver, Pod, Secret, StatefulSet, Volume,
};
pub use raft::{Answer, Raft, Voter, VoterVerdict};
pub use reach::{Reach, Reading};
pub use shared::Shared;
pub use source::{Http, Source, Standing, Status};
pub use table::{Iter, Table};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that is observed of a site.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct World {
    /// Vault's raft, each voter asked by itself.
    pub raft: Shared<Raft>,
    /// PersistentVolumeClaims of all namespaces; `pods` and `of_pod` of those where pods are
    /// looked at.
    pub claims: Table<Claim>,
    /// PersistentVolumes.
    pub volumes: Table<Volume>,
    /// StorageClasses.
    pub classes: Table<Class>,
    /// Pods of the namespaces that the site and the runbook name. What compares a row's
    /// `namespace` with a value is asked for by that name; without, it means the site's.
    pub pods: Table<Pod>,
    /// StatefulSets of those namespaces.
    pub statefulsets: Table<StatefulSet>,
    /// CronJobs of those namespaces.
    pub cronjobs: Table<CronJob>,
    /// Nodes with their volume attachments.
    pub nodes: Table<Node>,
    /// Secrets that the site names: whether they exist, never what they hold.
    pub secrets: Table<Secret>,
    /// HTTP endpoints of the site file, by name.
    pub http: BTreeMap<String, Http>,
    /// How each source is, and when it was last heard.
    #[schemars(skip)]
    pub sources: BTreeMap<Source, Arc<Standing>>,
}
