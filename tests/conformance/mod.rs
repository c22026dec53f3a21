//! What servers do, in cases that run on the real ones and on the lab alike.
//!
//! The README beside this file says what a case is. A test binary includes this module by its
//! path, gives it something that is [`Servers`], and asserts on [`run::all`].

mod adoption;
mod answer;
mod binding;
mod calm;
mod cascade;
mod election;
mod leases;
mod patches;
mod preconditions;
mod protection;
mod race;
mod rejoin;
mod rights;
pub mod run;
mod snapshot;
mod status;
mod tables;
mod things;
mod voter;
mod watch;
mod world;

use futures::future::LocalBoxFuture;
use std::time::Duration;

/// What a case may do besides asking the servers.
///
/// What there is before the first case:
///
/// - the nodes `node-1` to `node-3`;
/// - the classes `nfs-proxmox` (provisioner `nfs.csi.k8s.io`, Immediate) and `proxmox-lvm`
///   (`csi.proxmox.sinextra.dev`, WaitForFirstConsumer), both Retain, and somebody who provisions
///   for every class of these provisioners, and removes released volumes where it says Delete;
/// - a namespace `vault` with a StatefulSet `vault` of three pods, each of which is a Vault on the
///   claims `data-vault-N` and `audit-vault-N`, with raft node id and pod name the same, unsealed
///   from the Secret `vault-unseal-key`, with a store of values of version 2 at `kv/`;
/// - in every namespace the ConfigMap `kube-root-ca.crt`.
///
/// Pods outside `vault` get a node and are ended when they are deleted; nobody but the case
/// reports how they are.
pub trait Servers {
    /// A client of the Kubernetes API, which asks once: it never retries by itself.
    fn kube<'a>(&'a self, user: &'a User) -> LocalBoxFuture<'a, kube::Client>;
    /// Base address of a voter's own API, as the voter itself names it.
    fn voter(&self, n: usize) -> String;
    /// Sends a request to a voter: not to anything in front of it. Whoever asks gives up by
    /// dropping this. The error says why there is no answer.
    fn send(
        &self,
        n: usize,
        request: http::Request<Vec<u8>>,
    ) -> LocalBoxFuture<'_, Result<http::Response<Vec<u8>>, String>>;
    fn root_token(&self) -> String;
    /// How many cases run at the same time, of those that do not disturb each other.
    fn at_once(&self) -> usize;
    /// Lets time pass, for the servers.
    fn wait(&self, how_long: Duration) -> LocalBoxFuture<'_, ()>;
    /// Does to the servers what no request can do.
    fn act(&self, act: Act) -> LocalBoxFuture<'_, ()>;
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// Of the group `system:masters`.
    Admin,
    /// The user `limited` of the group `readers`: may get, list and watch everything.
    Reader,
    /// The user `only-NAMESPACE`, who may do everything in that namespace and nothing outside.
    Only(String),
    /// Whose token nobody knows.
    Stranger,
}

/// What no request can do. Voters go by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A voter's process stops, and takes connections that it never answers.
    Stop(usize),
    /// It goes on.
    Continue(usize),
    /// A voter's disk blocks while somebody writes: it deadlocks.
    Hang(usize),
    /// The disk works again.
    Heal(usize),
    /// Whether somebody unseals what is sealed.
    Unsealer(bool),
    /// Versions before this moment are forgotten.
    Forget,
}
