//! All that is watched, in one place: rows are kept pruned, joined when something of theirs
//! changed, and what differs from what was told before is told.

use crate::event::Time;
use crate::observe::join::{self, Attachment, Csi};
use crate::observe::watch::feed::{Delta, News, Report};
use crate::observe::watch::kinds::{Kind, Row};
use crate::observe::{SIGN_OF_LIFE, change};
use crate::remote::{Remote, Trouble};
use crate::world::{
    Change, Claim, Class, CronJob, Keyed, Node, Pod, Rows, Source, StatefulSet, Status, Table,
    Update, Volume,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::Instant;

/// Rows of one change at most: a journal's line of them stays below a megabyte.
const CHUNK: usize = 1000;

/// One feed, as the hub sees it.
struct Told {
    kind: Kind,
    namespace: Option<String>,
    /// It told everything at least once.
    complete: bool,
    /// While it tells everything: keys that came so far.
    telling: Option<HashSet<String>>,
    alive: Option<Time>,
    trouble: Option<Trouble>,
}

/// Rows by kind.
#[derive(Default)]
struct Stores {
    pods: Table<Pod>,
    claims: Table<Claim>,
    volumes: Table<Volume>,
    classes: Table<Class>,
    statefulsets: Table<StatefulSet>,
    cronjobs: Table<CronJob>,
    nodes: Table<Node>,
    csi: Table<Csi>,
    attachments: Table<Attachment>,
}

/// What was told of a source.
#[derive(Default)]
struct Said {
    status: Option<Status>,
    as_of: Option<Time>,
    /// Its rows were told at least once.
    rows: bool,
    /// When it is looked at again.
    rested: Option<Instant>,
}

pub(super) struct Hub {
    remote: Arc<Remote>,
    feeds: Vec<Told>,
    rows: Stores,
    /// Tables as they were told; joined ones under their first kind.
    told: Stores,
    said: BTreeMap<Source, Said>,
    dirty: BTreeSet<Source>,
    together: Duration,
    out: Sender<Change>,
}

/// Kinds that a source's rows are made of; the first gives the rows.
const fn kinds(source: Source) -> &'static [Kind] {
    match source {
        Source::Claims => &[Kind::Claims, Kind::Pods],
        Source::Volumes => &[Kind::Volumes],
        Source::Classes => &[Kind::Classes, Kind::Claims, Kind::Volumes],
        Source::Pods => &[Kind::Pods],
        Source::Statefulsets => &[Kind::Statefulsets],
        Source::Cronjobs => &[Kind::Cronjobs],
        Source::Nodes => &[Kind::Nodes, Kind::CsiNodes, Kind::Attachments],
        Source::Raft | Source::Secrets | Source::Http => &[],
    }
}

impl Hub {
    pub(super) fn new(
        remote: Arc<Remote>,
        plan: &[(Kind, Option<String>)],
        together: Duration,
        out: Sender<Change>,
    ) -> Self {
        let feed = |(kind, namespace): &(Kind, Option<String>)| Told {
            kind: *kind,
            namespace: namespace.clone(),
            complete: false,
            telling: None,
            alive: None,
            trouble: None,
        };
        Self {
            remote,
            feeds: plan.iter().map(feed).collect(),
            rows: Stores::default(),
            told: Stores::default(),
            said: BTreeMap::new(),
            // Each says at once that it is on its way.
            dirty: super::SOURCES.into(),
            together,
            out,
        }
    }

    /// Until nobody listens, or no feed is left.
    pub(super) async fn run(mut self, mut inbox: Receiver<Report>) {
        loop {
            // What has come is taken together; what comes while a source rests is told
            // together.
            while let Ok(report) = inbox.try_recv() {
                self.take(report);
            }
            let Ok(next) = self.tell().await else { return };
            let report = match next {
                None => inbox.recv().await,
                Some(next) => match tokio::time::timeout_at(next, inbox.recv()).await {
                    Ok(report) => report,
                    Err(_) => continue,
                },
            };
            match report {
                Some(report) => self.take(report),
                None => return,
            }
        }
    }

    fn take(&mut self, report: Report) {
        let Some(feed) = self.feeds.get_mut(report.feed) else { return };
        let kind = feed.kind;
        match report.news {
            News::Glimpse(rows) => {
                // Late ones are worth nothing.
                if feed.telling.is_none() && !feed.complete {
                    rows.into_iter().for_each(|row| self.rows.put(row));
                }
            }
            News::Begin => feed.telling = Some(HashSet::new()),
            News::Deltas(deltas) => {
                match &mut feed.telling {
                    Some(seen) => seen.extend(deltas.iter().map(Delta::key)),
                    None => feed.hears(report.at),
                }
                self.deltas(kind, deltas);
            }
            News::Complete => {
                if let Some(seen) = feed.telling.take() {
                    self.rows.keep(kind, feed.namespace.as_deref(), &seen);
                }
                feed.complete = true;
                feed.hears(report.at);
            }
            News::Alive => {
                if feed.telling.is_none() {
                    feed.hears(report.at);
                }
            }
            News::Broken(trouble) => feed.trouble = Some(trouble),
        }
        let of = |source: &Source| kinds(*source).contains(&kind);
        self.dirty.extend(super::SOURCES.into_iter().filter(of));
    }

    fn deltas(&mut self, kind: Kind, deltas: Vec<Delta>) {
        for delta in deltas {
            match delta {
                Delta::Put(row) => self.rows.put(row),
                Delta::Gone(row) => self.rows.remove(kind, row.keyed()),
            }
        }
    }

    /// Tells what has changed of the sources that have rested; when the next one has.
    async fn tell(&mut self) -> Result<Option<Instant>, ()> {
        let mut next = None;
        for source in std::mem::take(&mut self.dirty) {
            let rested = self.said.get(&source).and_then(|said| said.rested);
            if let Some(at) = rested.filter(|at| *at > Instant::now()) {
                self.dirty.insert(source);
                next = Some(next.map_or(at, |n: Instant| n.min(at)));
                continue;
            }
            for change in self.changes(source) {
                self.out.send(change).await.map_err(drop)?;
            }
        }
        Ok(next)
    }

    fn changes(&mut self, source: Source) -> Vec<Change> {
        let (status, as_of) = self.standing(source);
        let said = self.said.entry(source).or_default();
        let of_first = |f: &&Told| Some(&f.kind) == kinds(source).first();
        let rows_are_known = source == Source::Pods
            || self.feeds.iter().filter(of_first).all(|f| f.complete)
                && self.feeds.iter().any(|f| of_first(&f));
        let mut updates = Vec::new();
        if rows_are_known {
            let site = self.remote.site.kubernetes.as_ref();
            updates = self.rows.since(&mut self.told, source, said.rows, site);
        }
        // The first rows replace what a journal that goes on may hold.
        said.rows |= !updates.is_empty();
        // Joining costs as much where nothing comes of it. Only the very first word, that
        // it is on its way, delays nothing: the first rows come right behind it.
        if said.status.is_some() {
            said.rested = Some(Instant::now() + self.together);
        }
        let due = match (as_of, said.as_of) {
            (Some(now), Some(then)) => now.since(then).0 >= SIGN_OF_LIFE,
            (now, then) => now.is_some() && then.is_none(),
        };
        if updates.is_empty() {
            if said.status.as_ref() == Some(&status) && !due {
                return Vec::new();
            }
            updates.push(Update::Nothing);
        }
        said.status = Some(status.clone());
        said.as_of = as_of.or(said.as_of);
        let last = updates.len() - 1;
        let said = |(i, update)| {
            // In parts, it is not true before the last one.
            let status = match (&status, i < last) {
                (Status::Live, true) => Status::Arriving { have: 0, of: 0 },
                _ => status.clone(),
            };
            Change { source, as_of: as_of.filter(|_| i == last), status, update }
        };
        updates.into_iter().enumerate().map(said).collect()
    }

    /// How a source is: as its worst feed, and as old as its oldest.
    fn standing(&self, source: Source) -> (Status, Option<Time>) {
        let of = |kinds: &'static [Kind]| self.feeds.iter().filter(|f| kinds.contains(&f.kind));
        let all = || of(kinds(source));
        // Without a namespace there is nothing to show; claims still come.
        if kinds(source).first().is_none_or(|first| !self.feeds.iter().any(|f| f.kind == *first)) {
            return (Status::NotConfigured, None);
        }
        let troubles = || all().filter_map(|f| f.trouble.as_ref());
        let worst = troubles().find(|t| matches!(t, Trouble::Forbidden(_)));
        if let Some(trouble) = worst.or_else(|| troubles().next()) {
            let change = change(source, self.remote.now(), Err(trouble.clone()));
            return (change.status, None);
        }
        if all().any(|f| !f.complete) {
            let (have, of) = match source {
                Source::Pods => self.rows.identities(),
                _ => (0, 0),
            };
            return (Status::Arriving { have, of }, None);
        }
        (Status::Live, all().filter_map(|f| f.alive).min())
    }
}

impl Told {
    /// It answers, and what it told is true.
    fn hears(&mut self, at: Time) {
        self.alive = Some(at);
        self.trouble = None;
    }
}

impl Delta {
    fn key(&self) -> String {
        let (Self::Put(row) | Self::Gone(row)) = self;
        row.keyed().key()
    }
}

/// Puts a row in; one that says the same as before changes nothing, not even a pointer.
fn put<T: Keyed + Clone + PartialEq>(table: &mut Table<T>, row: T) {
    if table.find(row.namespace(), row.name()) != Some(&row) {
        table.put(Arc::new(row));
    }
}

impl Stores {
    fn put(&mut self, row: Row) {
        match row {
            Row::Pod(row) => put(&mut self.pods, row),
            Row::Claim(row) => put(&mut self.claims, row),
            Row::Volume(row) => put(&mut self.volumes, row),
            Row::Class(row) => put(&mut self.classes, row),
            Row::Statefulset(row) => put(&mut self.statefulsets, row),
            Row::Cronjob(row) => put(&mut self.cronjobs, row),
            Row::Node(row) => put(&mut self.nodes, row),
            Row::Csi(row) => put(&mut self.csi, row),
            Row::Attachment(row) => put(&mut self.attachments, row),
        }
    }

    fn remove(&mut self, kind: Kind, key: &dyn Keyed) {
        let (namespace, name) = (key.namespace(), key.name());
        match kind {
            Kind::Pods => self.pods.remove(namespace, name),
            Kind::Claims => self.claims.remove(namespace, name),
            Kind::Volumes => self.volumes.remove(namespace, name),
            Kind::Classes => self.classes.remove(namespace, name),
            Kind::Statefulsets => self.statefulsets.remove(namespace, name),
            Kind::Cronjobs => self.cronjobs.remove(namespace, name),
            Kind::Nodes => self.nodes.remove(namespace, name),
            Kind::CsiNodes => self.csi.remove(namespace, name),
            Kind::Attachments => self.attachments.remove(namespace, name),
        }
    }

    /// Takes out what was not told when everything in that scope was.
    fn keep(&mut self, kind: Kind, scope: Option<&str>, seen: &HashSet<String>) {
        let kept = |row: &dyn Keyed| {
            scope.is_some_and(|s| s != row.namespace()) || seen.contains(&row.key())
        };
        match kind {
            Kind::Pods => self.pods.retain(|r| kept(r)),
            Kind::Claims => self.claims.retain(|r| kept(r)),
            Kind::Volumes => self.volumes.retain(|r| kept(r)),
            Kind::Classes => self.classes.retain(|r| kept(r)),
            Kind::Statefulsets => self.statefulsets.retain(|r| kept(r)),
            Kind::Cronjobs => self.cronjobs.retain(|r| kept(r)),
            Kind::Nodes => self.nodes.retain(|r| kept(r)),
            Kind::CsiNodes => self.csi.retain(|r| kept(r)),
            Kind::Attachments => self.attachments.retain(|r| kept(r)),
        }
    }

    /// Pods with their UID, and all.
    fn identities(&self) -> (u64, u64) {
        let known = self.pods.iter().filter(|p| !p.uid.is_empty()).count();
        (known as u64, self.pods.len() as u64)
    }

    /// What of a source is new since it was told, in parts; `again`: its rows were told
    /// before.
    fn since(
        &self,
        told: &mut Self,
        source: Source,
        again: bool,
        site: Option<&crate::site::Kubernetes>,
    ) -> Vec<Update> {
        let rows = self;
        match source {
            Source::Pods => parts(&mut told.pods, rows.pods.clone(), again, Update::Pods),
            Source::Claims => {
                let now = join::claims(&rows.claims, &rows.pods);
                parts(&mut told.claims, now, again, Update::Claims)
            }
            Source::Volumes => {
                parts(&mut told.volumes, rows.volumes.clone(), again, Update::Volumes)
            }
            Source::Classes => {
                let now = join::classes(&rows.classes, &rows.claims, &rows.volumes, site);
                parts(&mut told.classes, now, again, Update::Classes)
            }
            Source::Statefulsets => {
                let now = rows.statefulsets.clone();
                parts(&mut told.statefulsets, now, again, Update::Statefulsets)
            }
            Source::Cronjobs => {
                parts(&mut told.cronjobs, rows.cronjobs.clone(), again, Update::Cronjobs)
            }
            Source::Nodes => {
                let now = join::nodes(&rows.nodes, &rows.csi, &rows.attachments);
                parts(&mut told.nodes, now, again, Update::Nodes)
            }
            Source::Raft | Source::Secrets | Source::Http => Vec::new(),
        }
    }
}

fn parts<T: Keyed + PartialEq>(
    told: &mut Table<T>,
    now: Table<T>,
    again: bool,
    update: fn(Rows<T>) -> Update,
) -> Vec<Update> {
    let rows = if again { now.since(told) } else { now.to_rows() };
    *told = now;
    let mut upserts = rows.upsert.chunks(CHUNK).map(<[_]>::to_vec);
    let upsert = upserts.next().unwrap_or_default();
    let first = Rows { upsert, remove: rows.remove, whole: rows.whole };
    let rest = upserts.map(|upsert| Rows { upsert, ..Rows::default() });
    std::iter::once(first).chain(rest).filter(|r| !r.is_empty()).map(update).collect()
}
