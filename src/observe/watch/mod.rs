//! Kubernetes for the panes: watches, joined to rows, told as changes.
//!
//! A task a kind and scope (`feed`) tells one hub; the hub (`hub`) keeps pruned rows, joins
//! them, and tells what changed, at most every 100 ms. `glimpse` is the first look at pods,
//! `wire` the protocol, `kinds` what an object is pruned to.
//!
//! A watch is closed by the server after 20 s, by our wish, and begun again where it ended:
//! so every source gives a sign of life at least that often, through the very connection
//! that its changes would come by. One that is silent for longer is open and dead; it is
//! dropped, its source says so, and it is tried again, later each time.

mod feed;
mod glimpse;
mod hub;
mod kinds;
#[cfg(test)]
mod script;
mod stores;
#[cfg(test)]
mod tests;
mod wire;

use self::feed::{Feed, History};
use self::hub::Hub;
pub(crate) use self::kinds::Kind;
use crate::observe::change;
use crate::remote::{Remote, Trouble};
use crate::world::{Change, Reach, Source, Status, Update};
use kube::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{Semaphore, mpsc};

/// Sources that are watched.
pub(super) const SOURCES: [Source; 7] = [
    Source::Claims,
    Source::Volumes,
    Source::Classes,
    Source::Pods,
    Source::Statefulsets,
    Source::Cronjobs,
    Source::Nodes,
];

/// Times; tests have shorter ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long a watch stays open.
    watch: Duration,
    /// Silence beyond that is a dead connection.
    slack: Duration,
    /// A watch that brought nothing and was shorter is a refusal.
    shortest: Duration,
    /// Longest wait for an answer, and for the next part of it.
    answer: Duration,
    /// Longest time to tell everything.
    telling: Duration,
    /// First wait after a failure, and the longest.
    back_off: (Duration, Duration),
    /// Changes are told at most this often.
    together: Duration,
    /// Longest first look.
    glimpse: Duration,
    /// Other kinds wait for it no longer than this.
    head_start: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(20),
            slack: Duration::from_secs(5),
            shortest: Duration::from_secs(1),
            answer: Duration::from_secs(8),
            telling: Duration::from_secs(300),
            back_off: (Duration::from_millis(500), Duration::from_secs(15)),
            together: Duration::from_millis(100),
            glimpse: Duration::from_secs(2),
            head_start: Duration::from_millis(200),
        }
    }
}

/// Watches until the receiver is gone.
pub(super) fn spawn(remote: &Arc<Remote>, named: &BTreeSet<String>, out: &Sender<Change>) {
    spawn_at(remote, named, out, Pace::default());
}

fn spawn_at(remote: &Arc<Remote>, named: &BTreeSet<String>, out: &Sender<Change>, pace: Pace) {
    let unreachable = |why: &String| {
        let trouble = Trouble::Unreachable(why.clone());
        SOURCES.map(|source| change(remote, source, remote.now(), Err(trouble.clone())))
    };
    match (&remote.kube, &remote.site.kubernetes) {
        (_, None) => tell_once(out, SOURCES.map(not_configured)),
        (Err(why), _) => tell_once(out, unreachable(why)),
        (Ok(client), Some(_)) => start(remote, client, &plan(remote, named), out, pace),
    }
}

fn not_configured(source: Source) -> Change {
    Change {
        source,
        status: Status::NotConfigured,
        as_of: None,
        reach: None,
        update: Update::Nothing,
    }
}

/// What will not change while this process runs.
fn tell_once(out: &Sender<Change>, changes: [Change; SOURCES.len()]) {
    let out = out.clone();
    tokio::spawn(async move {
        for change in changes {
            // The receiver is gone only when nobody looks any more.
            let _ = out.send(change).await;
        }
    });
}

/// Every kind in every scope that it is watched in; pods first.
fn plan(remote: &Remote, named: &BTreeSet<String>) -> Vec<(Kind, Option<String>)> {
    let asked = Reach { shown: true, ..Reach::of(named.iter().cloned()) };
    let scopes = remote.site.kubernetes.as_ref().map(|k| k.scopes(&asked)).unwrap_or_default();
    let of = |kind: Kind| scopes.iter().map(move |scope| (kind, scope.clone()));
    of(Kind::Pods)
        .chain(Kind::EVERYWHERE.map(|kind| (kind, None)))
        .chain(of(Kind::Statefulsets))
        .chain(of(Kind::Cronjobs))
        .collect()
}

/// What must be allowed to be watched: group, resource, namespace (`None`: all).
pub(super) fn rights(
    remote: &Remote,
    named: &BTreeSet<String>,
) -> Vec<(&'static str, &'static str, Option<String>)> {
    let right = |(kind, namespace): (Kind, _)| (kind.group(), kind.plural(), namespace);
    plan(remote, named).into_iter().map(right).collect()
}

fn start(
    remote: &Arc<Remote>,
    client: &Client,
    plan: &[(Kind, Option<String>)],
    out: &Sender<Change>,
    pace: Pace,
) {
    let (tell, inbox) = channel(16);
    tokio::spawn(Hub::new(Arc::clone(remote), plan, pace.together, out.clone()).run(inbox));
    // Pods of four namespaces at once: more would only share the same two or three cores.
    let (of_pods, of_others) = (Arc::new(Semaphore::new(4)), Arc::new(Semaphore::new(64)));
    let mut histories: BTreeMap<Kind, History> = BTreeMap::new();
    let feed = |(number, (kind, namespace)): (usize, &(Kind, Option<String>))| Feed {
        number,
        kind: *kind,
        namespace: namespace.clone(),
        remote: Arc::clone(remote),
        client: client.clone(),
        pace,
        turns: Arc::clone(if *kind == Kind::Pods { &of_pods } else { &of_others }),
        history: Arc::clone(histories.entry(*kind).or_default()),
        hub: mpsc::Sender::clone(&tell),
    };
    let (pods, others): (Vec<_>, Vec<_>) =
        plan.iter().enumerate().map(feed).partition(|f| f.kind == Kind::Pods);
    let (remote, client) = (Arc::clone(remote), client.clone());
    tokio::spawn(async move {
        let scopes: Vec<_> = pods.iter().map(|f| (f.number, f.namespace.clone())).collect();
        let looking = glimpse::look(&remote, &client, &scopes, pace.glimpse, &tell);
        tokio::pin!(looking);
        // The first look has the server to itself for a moment: a dozen handshakes at once
        // would triple its time.
        let looked = tokio::time::timeout(pace.head_start, &mut looking).await.is_ok();
        others.into_iter().for_each(|f| drop(tokio::spawn(f.run())));
        if !looked {
            looking.await;
        }
        pods.into_iter().for_each(|f| drop(tokio::spawn(f.run())));
    });
}
