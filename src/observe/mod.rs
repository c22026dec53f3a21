//! L3: live data. One file a source; each becomes [`Change`]s of the world.
//!
//! Requests, and why these:
//!
//! - **Raft** is asked voter by voter with a deadline each, since a deadlocked leader
//!   answers everything but `sys/health`. What a gate reads is shown too, in place of the next look.
//! - **Pods** of the namespaces that the site shows and the runbook names. First a LIST as a printed table without
//!   objects, namespace by namespace, four at a time, from the API server's cache: the rows
//!   of 20,000 pods in 5 MB, where a LIST of objects is 215 MB. Then a WATCH that begins
//!   with what there is (`sendInitialEvents`), as protobuf, of which only the wanted fields
//!   are decoded, object by object: identities, owners, claims. What is printed has no UID,
//!   so the source counts as *arriving*, which decides no gate, until the watch has told
//!   everything.
//! - **The other kinds** by the same watches as JSON: claims, volumes, classes, nodes,
//!   CSINodes and attachments of the whole cluster, because consumers of a class and
//!   attachments of a node are counted; StatefulSets and CronJobs of the namespaces shown.
//!   A server that cannot begin a watch with what there is gets a LIST in pages first.
//! - **Secrets** that the site names by a GET every 10 s, since a watch of secrets would
//!   bring their values.
//! - **Gates** never see any of that: they read afresh, quorum reads without a
//!   resourceVersion, of the sources and namespaces that they name ([`read`]).
//!
//! One slow source never delays another: each has a task and a deadline of its own.

mod asked;
mod http;
mod join;
mod judge;
mod kube;
mod pod;
mod raft;
mod rows;
mod slim;
mod watch;

pub use self::asked::{ASKED_FOR, describe, logs};
pub use self::judge::{Active, Probe, assemble, leading, verdict};

use crate::event::Time;
use crate::remote::{Clock, Remote, Trouble};
use crate::world::{Change, Reach, Reading, Source, Status, Update};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Fresh reads of these sources, never from a cache: for gates. A source that cannot be read says so in its
/// own change; nothing fails as a whole.
pub async fn read(remote: &Arc<Remote>, reading: &Reading) -> Vec<Change> {
    let (lasting, fleeting) = reading.parted();
    let mut changes = at_once(remote, &lasting).await;
    changes.extend(at_once(remote, &fleeting).await);
    changes.sort_by_key(|c| c.source);
    changes
}

/// The same, all of them at once.
pub async fn at_once(remote: &Arc<Remote>, reading: &Reading) -> Vec<Change> {
    let mut tasks = tokio::task::JoinSet::new();
    for (source, reach) in reading.iter() {
        let (remote, reach) = (Arc::clone(remote), reach.clone());
        tasks.spawn(async move { one(&remote, source, &reach).await });
    }
    let mut changes = Vec::new();
    while let Some(done) = tasks.join_next().await {
        changes.extend(done.ok());
    }
    // What was to be read and was not must not be judged on what a watch saw before.
    let lacking: Vec<_> = reading
        .iter()
        .map(|(s, _)| s)
        .filter(|s| !changes.iter().any(|c| c.source == *s))
        .collect();
    changes.extend(lacking.into_iter().map(|source| Change {
        source,
        status: Status::Unreachable { why: "the reading ended unexpectedly".into() },
        as_of: None,
        reach: None,
        update: Update::Nothing,
    }));
    changes.sort_by_key(|c| c.source);
    changes
}

/// In a box: each is thousands of bytes long, and goes through several hands.
async fn one(remote: &Remote, source: Source, reach: &Reach) -> Change {
    match source {
        Source::Raft => {
            let change = Box::pin(raft::read(remote)).await;
            remote.note_raft(&change);
            change
        }
        Source::Http => Box::pin(http::read(remote)).await,
        _ => Box::pin(kube::read(remote, source, reach)).await,
    }
}

/// A change for an answer of the API server, or for its absence.
pub(crate) fn change(
    remote: &Remote,
    source: Source,
    at: Time,
    answer: Result<Update, Trouble>,
) -> Change {
    let status =
        |status| Change { source, status, as_of: None, reach: None, update: Update::Nothing };
    match answer.map_err(|e| e.redacted(&remote.redactor())) {
        Ok(update) => Change { source, status: Status::Live, as_of: Some(at), reach: None, update },
        Err(Trouble::Forbidden(right)) => status(Status::Forbidden { right }),
        Err(Trouble::Unreachable(why)) => status(Status::Unreachable { why }),
        Err(other) => status(Status::Unreachable { why: other.to_string() }),
    }
}

/// How often a source is asked that cannot be watched.
const fn period(source: Source) -> Duration {
    match source {
        Source::Raft => Duration::from_secs(1),
        _ => Duration::from_secs(10),
    }
}

/// Gates look every second or two as well: what they read at the same moment is there by then.
const BEHIND: Duration = Duration::from_millis(50);

/// A sign of life is journalled at least this often while nothing changes; of a source that
/// is stale soon, more often.
const SIGN_OF_LIFE: u64 = 5_000;

/// Observes every source until the receiver is gone; namespaces are those of the site and
/// `named`, the runbook's.
pub fn spawn(remote: &Arc<Remote>, named: &BTreeSet<String>, out: &Sender<Change>) {
    watch::spawn(remote, named, out);
    for source in [Source::Raft, Source::Secrets, Source::Http] {
        let (remote, out) = (Arc::clone(remote), out.clone());
        tokio::spawn(async move { ask_again_and_again(&remote, source, &out).await });
    }
}

/// What must be allowed to be watched for the panes, with the runbook's namespaces: API group, resource, namespace
/// (`None`: the whole cluster).
#[must_use]
pub fn watched(
    remote: &Remote,
    named: &BTreeSet<String>,
) -> Vec<(&'static str, &'static str, Option<String>)> {
    watch::rights(remote, named)
}

async fn ask_again_and_again(remote: &Remote, source: Source, out: &Sender<Change>) {
    let clock: Clock = Arc::clone(&remote.clock);
    let mut last: Option<(Change, Time)> = None;
    let mut shown = None;
    loop {
        // What a gate has just read need not be asked of every voter again.
        let read = (source == Source::Raft).then(|| remote.raft_since(shown)).flatten();
        let by_a_gate = read.is_some();
        let change = match read {
            Some(change) => change,
            None => one(remote, source, &Reach::default()).await,
        };
        let now = clock();
        shown = change.as_of;
        let age = shown.filter(|_| by_a_gate).and_then(|at| now.age(at));
        let news = match &last {
            None => Some(change.clone()),
            Some((old, at)) => news(old, *at, &change, now),
        };
        if let Some(news) = news {
            last = Some((change, now));
            if out.send(news).await.is_err() {
                return;
            }
        }
        let wait = match age {
            Some(age) => period(source).saturating_sub(age.duration()),
            None => period(source) + BEHIND,
        };
        tokio::time::sleep(wait).await;
    }
}

/// What of a reading is worth an entry: the rows if they changed, a sign of life now and
/// then, else nothing.
fn news(old: &Change, at: Time, new: &Change, now: Time) -> Option<Change> {
    let same = old.status == new.status && old.update == new.update;
    if !same {
        if only_figures(old, new) && now.age(at).is_some_and(|age| age.0 < 2_000) {
            return None;
        }
        return Some(new.clone());
    }
    let due = SIGN_OF_LIFE.min(new.source.stale_after().0 / 3);
    now.age(at)
        .is_none_or(|age| age.0 >= due)
        .then(|| Change { update: Update::Nothing, ..new.clone() })
}

/// Raft differs only in indexes and latencies, which change all the time.
fn only_figures(old: &Change, new: &Change) -> bool {
    let (Update::Raft(a), Update::Raft(b)) = (&old.update, &new.update) else { return false };
    let calm = |raft: &crate::world::Raft| {
        let mut raft = raft.clone();
        (raft.committed, raft.rate) = (0, 0);
        for v in &mut raft.voters {
            (v.applied, v.committed, v.behind, v.latency_ms) = (0, 0, 0, 0);
            v.caught_up = true;
        }
        raft
    };
    old.status == new.status && calm(a) == calm(b)
}
