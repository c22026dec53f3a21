//! All that is watched, in one place: rows are kept pruned, joined when something of theirs
//! changed, and what differs from what was told before is told.

use crate::event::Time;
use crate::observe::watch::feed::{Delta, News, Report};
use crate::observe::watch::kinds::Kind;
use crate::observe::watch::stores::Stores;
use crate::observe::{SIGN_OF_LIFE, change};
use crate::remote::{Remote, Trouble};
use crate::site::Kubernetes;
use crate::world::{Change, Reach, Source, Status, Update};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::Instant;

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
    /// Something was heard of them.
    dirty: BTreeSet<Source>,
    /// Their rows may be others since they were told: a sign of life alone joins nothing.
    moved: BTreeSet<Source>,
    together: Duration,
    out: Sender<Change>,
}

/// Kinds that a source's rows are made of; the first gives the rows.
const fn kinds(source: Source) -> &'static [Kind] {
    match source {
        Source::Claims => &[Kind::Claims, Kind::Pods, Kind::Statefulsets],
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
            moved: super::SOURCES.into(),
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
        let of = |source: &Source| kinds(*source).contains(&kind);
        if matches!(report.news, News::Glimpse(_) | News::Deltas(_) | News::Complete) {
            self.moved.extend(super::SOURCES.into_iter().filter(of));
        }
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
        // It does not change; told with the first status.
        let told = self.said.get(&source).is_some_and(|said| said.status.is_some());
        let reach = (source.has_reach() && !told).then(|| self.reach());
        let said = self.said.entry(source).or_default();
        let of_first = |f: &&Told| Some(&f.kind) == kinds(source).first();
        let rows_are_known = source == Source::Pods
            || self.feeds.iter().filter(of_first).all(|f| f.complete)
                && self.feeds.iter().any(|f| of_first(&f));
        let mut updates = Vec::new();
        if rows_are_known && self.moved.remove(&source) {
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
            (Some(now), Some(then)) => now.age(then).is_none_or(|age| age.0 >= SIGN_OF_LIFE),
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
            Change {
                source,
                as_of: as_of.filter(|_| i == last),
                status,
                reach: reach.clone().filter(|_| i == last),
                update,
            }
        };
        updates.into_iter().enumerate().map(said).collect()
    }

    /// The namespaces that are watched; pods stand for every kind that has any.
    fn reach(&self) -> Reach {
        let scopes = self.feeds.iter().filter(|f| f.kind == Kind::Pods).map(|f| &f.namespace);
        let mut reach = Reach::of(scopes.clone().flatten().cloned());
        reach.every = scopes.clone().any(Option::is_none);
        reach.shown = self.remote.site.kubernetes.as_ref().is_some_and(Kubernetes::shows_any);
        reach
    }

    /// How a source is: as its worst feed, and as old as its oldest.
    fn standing(&self, source: Source) -> (Status, Option<Time>) {
        let kinds = kinds(source);
        // Asked with each sign of life, and there may be hundreds of feeds.
        let all: Vec<&Told> = self.feeds.iter().filter(|f| kinds.contains(&f.kind)).collect();
        // Without a namespace there is nothing to show; claims still come.
        if kinds.first().is_none_or(|first| !all.iter().any(|f| f.kind == *first)) {
            return (Status::NotConfigured, None);
        }
        let troubles = || all.iter().filter_map(|f| f.trouble.as_ref());
        let worst = troubles().find(|t| matches!(t, Trouble::Forbidden(_)));
        if let Some(trouble) = worst.or_else(|| troubles().next()) {
            let change = change(&self.remote, source, self.remote.now(), Err(trouble.clone()));
            return (change.status, None);
        }
        if all.iter().any(|f| !f.complete) {
            let (have, of) = match source {
                Source::Pods => self.rows.identities(),
                _ => (0, 0),
            };
            return (Status::Arriving { have, of }, None);
        }
        (Status::Live, all.iter().filter_map(|f| f.alive).min())
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
