//! One kind in one scope, told to the hub for as long as that listens: everything once,
//! then every change, again from the last version after every end of a watch.

use crate::event::Time;
use crate::observe::watch::Pace;
use crate::observe::watch::kinds::{Kind, Row};
use crate::observe::watch::wire::{self, Broken, Event};
use crate::remote::{Remote, Trouble};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{BoxStream, ReadyChunks};
use kube::Client;
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

/// Frames that are taken together where they have come together.
const BATCH: usize = 64;

/// What a feed tells.
#[derive(Debug)]
pub(super) enum News {
    /// Rows without identity, for a first look.
    Glimpse(Vec<Row>),
    /// Everything is told anew from here.
    Begin,
    /// Changes, in order.
    Deltas(Vec<Delta>),
    /// Everything has been told.
    Complete,
    /// A sign of life: what was told is true at this time.
    Alive,
    /// It is broken; what is done about it is in the words.
    Broken(Trouble),
}

/// One change.
#[derive(Debug)]
pub(super) enum Delta {
    Put(Row),
    Gone(Row),
}

/// News of one feed.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) feed: usize,
    pub(super) at: Time,
    pub(super) news: News,
}

/// One kind in one scope.
pub(super) struct Feed {
    pub(super) number: usize,
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) remote: Arc<Remote>,
    pub(super) client: Client,
    pub(super) pace: Pace,
    /// How many of its kind may tell everything at once.
    pub(super) turns: Arc<Semaphore>,
    /// What its kind was asked last of its history.
    pub(super) history: History,
    pub(super) hub: Sender<Report>,
}

/// When a kind was asked for the version that it has, and which that is, if it answered: one
/// for the watches of all namespaces.
pub(super) type History = Arc<Mutex<Option<(Instant, Option<u64>)>>>;

/// How one attempt ended.
enum End {
    /// Nobody listens any more.
    Unheard,
    /// Something else.
    Broken(Broken),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

type Frames = ReadyChunks<BoxStream<'static, Result<Bytes, Broken>>>;

impl Feed {
    pub(super) async fn run(self) {
        // Where to go on; `None`: all must be told anew.
        let mut version = None;
        let mut told_before = false;
        let mut failures = 0;
        loop {
            let following = version.is_some();
            let attempt = if following {
                self.follow(&mut version).await
            } else {
                self.tell_all(&mut version, told_before).await
            };
            let wait = match attempt {
                Ok(()) => {
                    told_before = true;
                    // A server that tells everything and then says *gone* gets no rest
                    // without this.
                    if following {
                        failures = 0;
                    }
                    continue;
                }
                Err(End::Unheard) => return,
                Err(End::Broken(Broken::Trouble(trouble))) => {
                    failures += 1;
                    let wait = self.back_off(failures);
                    if !self.tell(News::Broken(in_words(trouble, wait, failures))).await {
                        return;
                    }
                    wait
                }
                // The version is too old. Once is no trouble; again and again is no loop.
                Err(End::Broken(Broken::Expired | Broken::NoInitialEvents)) => {
                    version = None;
                    failures += 1;
                    if failures == 1 { Duration::ZERO } else { self.back_off(failures) }
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// By the clock and the feed: no two cockpits fail in the same millisecond, and on a lab
    /// it is the same each time.
    fn back_off(&self, failures: u32) -> Duration {
        let now = u64::try_from(self.remote.now().0).unwrap_or(0);
        self.pace.back_off(failures, now << 8 | self.number as u64)
    }

    /// True if it is heard.
    async fn tell(&self, news: News) -> bool {
        let report = Report { feed: self.number, at: self.remote.now(), news };
        self.hub.send(report).await.is_ok()
    }

    async fn must_tell(&self, news: News) -> Result<(), End> {
        if self.tell(news).await { Ok(()) } else { Err(End::Unheard) }
    }

    /// Tells everything there is. The first time any state of the API server's cache will
    /// do; later only one that is up to date, since another server's may lie behind.
    async fn tell_all(&self, version: &mut Option<String>, again: bool) -> Result<(), End> {
        let _turn = self.turns.acquire().await;
        self.must_tell(News::Begin).await?;
        match self.stream_all(version, again).await {
            Err(End::Broken(Broken::NoInitialEvents)) => self.list_all(version, again).await?,
            other => other?,
        }
        self.must_tell(News::Complete).await
    }

    async fn stream_all(&self, version: &mut Option<String>, again: bool) -> Result<(), End> {
        let oldest = if again { "" } else { "&resourceVersion=0" };
        let query = format!(
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds={}{oldest}",
            self.pace.telling.as_secs()
        );
        let mut frames = self.open(&query).await?;
        let mut at = String::new();
        loop {
            let Some(batch) = self.next(&mut frames, self.pace.answer).await? else {
                let why = "the watch ended before it had told everything";
                return Err(Broken::Trouble(Trouble::Unreachable(why.into())).into());
            };
            if self.told(batch, &mut at).await? {
                *version = Some(at);
                return Ok(());
            }
        }
    }

    /// For servers that cannot begin a watch with what there is.
    async fn list_all(&self, version: &mut Option<String>, again: bool) -> Result<(), End> {
        let first = if again { "limit=500" } else { "limit=500&resourceVersion=0" };
        let mut query = first.to_owned();
        loop {
            let namespace = self.namespace.as_deref();
            let page =
                wire::page(&self.client, self.kind, namespace, &query, self.pace.answer).await?;
            let deltas = page.rows.into_iter().map(Delta::Put).collect();
            self.must_tell(News::Deltas(deltas)).await?;
            if page.more.is_empty() {
                *version = Some(page.version);
                return Ok(());
            }
            query = format!("limit=500&continue={}", escaped(&page.more));
        }
    }

    /// Tells every change behind a version, until the server ends the watch.
    async fn follow(&self, version: &mut Option<String>) -> Result<(), End> {
        let mut at = version.clone().unwrap_or_default();
        let limit = self.pace.watch;
        let query =
            format!("resourceVersion={}&timeoutSeconds={}", escaped(&at), limit.as_secs().max(1));
        let began = Instant::now();
        let mut frames = self.open(&query).await?;
        self.must_tell(News::Alive).await?;
        let mut silent = true;
        let end = loop {
            match self.next(&mut frames, limit + self.pace.slack).await {
                Ok(Some(batch)) => {
                    silent = false;
                    match self.told(batch, &mut at).await {
                        Ok(_) => *version = Some(at.clone()),
                        Err(end) => break Err(end),
                    }
                }
                Ok(None) => break Ok(()),
                Err(end) => break Err(end.into()),
            }
        };
        if end.is_err() || !silent {
            return end;
        }
        if began.elapsed() < self.pace.shortest {
            let why = "the watch was ended at once";
            return Err(Broken::Trouble(Trouble::Unreachable(why.into())).into());
        }
        if self.is_of_another_history(&at, began).await {
            *version = None;
        }
        Ok(())
    }

    /// A watch that brought nothing is the rule for a kind in which nothing happens: there
    /// is no bookmark for a version that has not moved. It is also what a version of
    /// another history brings, as after a restore of etcd: it would wait for events that
    /// never come. The cache's own version tells; it is that of the kind, whatever the
    /// namespace, so one watch asks for all that ended with it.
    async fn is_of_another_history(&self, at: &str, began: Instant) -> bool {
        // Who waits while another one asks goes by that answer, if it is one or not: a server that
        // hangs is not asked in turn.
        let waits = self.history.try_lock().is_err();
        let mut asked = self.history.lock().await;
        let young = |when: Instant| when.elapsed() < self.pace.watch / 4;
        let there = match *asked {
            Some((when, there)) if when > began && waits => there,
            Some((when, there @ Some(_))) if when > began && young(when) => there,
            _ => asked.insert((Instant::now(), self.cached().await)).1,
        };
        matches!((there, at.parse::<u64>()), (Some(there), Ok(ours)) if there < ours)
    }

    /// The version of what the server has in its cache; the list that carries it is empty.
    async fn cached(&self) -> Option<u64> {
        let query = "resourceVersion=0&fieldSelector=metadata.name%3Dnobody.is.called.that";
        let namespace = self.namespace.as_deref();
        let page = wire::page(&self.client, self.kind, namespace, query, self.pace.answer).await;
        page.ok().and_then(|p| p.version.parse::<u64>().ok())
    }

    async fn open(&self, query: &str) -> Result<Frames, Broken> {
        let namespace = self.namespace.as_deref();
        let frames =
            wire::watch(&self.client, self.kind, namespace, query, self.pace.answer).await?;
        Ok(frames.ready_chunks(BATCH))
    }

    /// The next frames, or the end. Silence beyond the limit is a dead connection: it is
    /// dropped, and with it its socket.
    async fn next(
        &self,
        frames: &mut Frames,
        limit: Duration,
    ) -> Result<Option<Vec<Result<Bytes, Broken>>>, Broken> {
        match tokio::time::timeout(limit, frames.next()).await {
            Ok(batch) => Ok(batch),
            Err(_) => Err(Broken::silent("the watch has been silent", limit)),
        }
    }

    /// Tells a batch; true behind the bookmark that says that all has been told.
    async fn told(&self, batch: Vec<Result<Bytes, Broken>>, at: &mut String) -> Result<bool, End> {
        let mut deltas = Vec::with_capacity(batch.len());
        let mut complete = false;
        let mut broken = None;
        for frame in batch {
            let (delta, version) = match frame.and_then(|f| wire::event(self.kind, f)) {
                Ok(Event::Put(row, version)) => (Some(Delta::Put(row)), version),
                Ok(Event::Gone(row, version)) => (Some(Delta::Gone(row)), version),
                Ok(Event::Bookmark { version, complete: end }) => {
                    complete |= end;
                    (None, version)
                }
                Err(e) => {
                    broken = Some(e);
                    break;
                }
            };
            deltas.extend(delta);
            *at = version;
        }
        // What came before the break was told and counts.
        let news = if deltas.is_empty() { News::Alive } else { News::Deltas(deltas) };
        self.must_tell(news).await?;
        broken.map_or(Ok(complete), |e| Err(e.into()))
    }
}

fn in_words(trouble: Trouble, wait: Duration, failures: u32) -> Trouble {
    match trouble {
        Trouble::Forbidden(_) => trouble,
        Trouble::Unreachable(why) | Trouble::Other(why) | Trouble::Conflict(why) => {
            Trouble::Unreachable(format!(
                "{why}; attempt {} in {:.1} s",
                failures + 1,
                wait.as_secs_f32()
            ))
        }
        Trouble::NotFound(why) => Trouble::Unreachable(why),
    }
}

/// A value of a query.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

impl Pace {
    /// Twice as long each time, up to a limit, and anything between half of it and all:
    /// many cockpits must not come back at once.
    fn back_off(&self, failures: u32, salt: u64) -> Duration {
        let (first, most) = self.back_off;
        let whole = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(salt);
        let part = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
        whole / 2 + (whole / 2) * part / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_its_limit_and_is_never_nothing() {
        let pace = Pace::default();
        let (first, most) = pace.back_off;
        for failures in 1..40 {
            let wait = pace.back_off(failures, 7);
            assert!(wait >= first / 2 && wait <= most, "{failures}: {wait:?}");
        }
        assert!(pace.back_off(30, 7) >= most / 2);
        let waits: std::collections::BTreeSet<_> =
            (0..20).map(|salt| pace.back_off(30, salt)).collect();
        assert!(waits.len() > 1, "no jitter");
        assert_eq!(escaped("a/b=&é"), "a%2Fb%3D%26%C3%A9");
    }
}
