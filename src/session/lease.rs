//! Keeps the cluster's lease while a run goes on: takes it, renews it, lets it go, and reports
//! what it saw as intents.
//!
//! Whether somebody else's lease is expired is judged as client-go does: by how long *this*
//! process has seen it unchanged, never by comparing the clocks of two machines. Nothing is
//! taken from anybody by itself: an expired lease waits for a person, since whoever held it
//! may have died in the middle of a change.

use crate::event::{Actor, Lease, Span};
use crate::remote::{LeaseFound, LeaseWrite, Remote, Trouble, read_lease, write_lease};
use crate::run::{Intent, State};
use crate::site::LeaseAt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// So often in the time that it lasts it is renewed.
const TIMES: u32 = 3;
/// Letting go is given up after this; the lease then ends by itself.
const LET_GO: Duration = Duration::from_secs(2);
/// Of two who write at once one is told, and looks again; so often in one round.
const AGAIN: u32 = 3;

enum Order {
    /// Look, and renew it, now.
    Look(oneshot::Sender<()>),
    /// Take it over, if it is still theirs.
    Take(String),
    /// Let it go for good; whether it was.
    LetGo(oneshot::Sender<bool>),
}

/// The way to the task that keeps the lease. It ends with the last of these.
#[derive(Clone)]
pub(super) struct Keeper(mpsc::Sender<Order>);

impl Keeper {
    /// Begins, where a run keeps the lease at all.
    pub(super) fn start(
        state: &State,
        remote: &Arc<Remote>,
        actor: &Actor,
        results: mpsc::Sender<Intent>,
    ) -> Option<Self> {
        if !state.wants_lease() || state.ended.is_some() || state.aborted.is_some() {
            return None;
        }
        let (at, lasts) = remote.site.kubernetes.as_ref()?.lease();
        let run = state.header.run.clone();
        let (orders, inbox) = mpsc::channel(4);
        let keeping = Keeping {
            at: at.clone(),
            lasts: lasts.duration(),
            identity: format!("{run} {actor}@{}", remote.host),
            run,
            remote: Arc::clone(remote),
            results,
            mine: None,
            seen: None,
            beaten: false,
        };
        tokio::spawn(keeping.run(inbox));
        Some(Self(orders))
    }

    /// Looks and renews now; what was seen is reported before this comes back.
    pub(super) async fn look(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.send(Order::Look(done)).await.is_ok() {
            // It ends only with the process.
            let _ = wait.await;
        }
    }

    pub(super) async fn take(&self, from: String) {
        // It ends only with the process.
        let _ = self.0.send(Order::Take(from)).await;
    }

    /// Whether there was a lease to let go, and it was.
    pub(super) async fn let_go(&self) -> bool {
        let (done, wait) = oneshot::channel();
        let asked = async {
            self.0.send(Order::LetGo(done)).await.ok()?;
            wait.await.ok()
        };
        tokio::time::timeout(LET_GO, asked).await.ok().flatten().unwrap_or(false)
    }
}

struct Keeping {
    at: LeaseAt,
    lasts: Duration,
    run: String,
    /// What stands in the lease: the run, and for people who and where.
    identity: String,
    remote: Arc<Remote>,
    results: mpsc::Sender<Intent>,
    /// What this process wrote last.
    mine: Option<Mine>,
    /// Somebody else's, as it stood when it was first seen so.
    seen: Option<(String, Instant)>,
    /// Another process of this very run took it from this one: it is not taken back by itself.
    beaten: bool,
}

struct Mine {
    transitions: i32,
    /// When the last renewal was asked for.
    renewed: Instant,
    /// It was reported as lost, since it could not be renewed in time.
    lost: bool,
}

impl Keeping {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let began = Instant::now();
            self.round(None).await;
            let next = began + self.lasts / TIMES;
            loop {
                tokio::select! {
                    order = orders.recv() => match order {
                        Some(Order::Look(done)) => {
                            self.round(None).await;
                            // Whoever waited may have gone.
                            let _ = done.send(());
                        }
                        Some(Order::Take(from)) => self.round(Some(&from)).await,
                        Some(Order::LetGo(done)) => {
                            let _ = done.send(self.let_go().await);
                            return;
                        }
                        None => return,
                    },
                    () = tokio::time::sleep_until(next) => break,
                }
            }
        }
    }

    /// Looks at the lease, and does with it what is to be done.
    async fn round(&mut self, from: Option<&str>) {
        for _ in 0..AGAIN {
            match self.once(from).await {
                Err(Trouble::Conflict(_)) => {}
                Ok(news) => return self.report(news).await,
                Err(trouble) => return self.failed(trouble).await,
            }
        }
        let busy = Trouble::Other("others write it all the time".into());
        self.failed(busy).await;
    }

    async fn once(&mut self, from: Option<&str>) -> Result<Lease, Trouble> {
        let client = self.remote.kube.as_ref();
        let client = client.map_err(|why| Trouble::Unreachable(why.clone()))?.clone();
        let found = read_lease(&client, &self.at).await?;
        let still = |found: &LeaseFound, mine: &Mine| {
            found.holder == self.identity && found.transitions == mine.transitions
        };
        match (&self.mine, &found) {
            (Some(mine), Some(found)) if still(found, mine) => {
                let lost = mine.lost;
                self.write(&client, Some(found), false).await.map(
                    |(lease, asked, lasts)| match lost {
                        true => Lease::Taken { lease, asked, lasts, from: None },
                        false => Lease::Renewed { lease, asked, lasts },
                    },
                )
            }
            (Some(_), _) => {
                // What happened meanwhile nobody here saw: that it is free again is not all.
                self.mine = None;
                let holder = found.map(|f| f.holder).filter(|h| !h.is_empty());
                self.beaten |= holder.as_deref().is_some_and(|h| of_run(h, &self.run));
                let why = match &holder {
                    Some(_) => "somebody else took it",
                    None => "somebody else let it go, or deleted it",
                };
                Ok(Lease::Lost { why: why.into(), holder })
            }
            (None, None) => self.taken(&client, None, None).await,
            (None, Some(f)) if f.holder.is_empty() => {
                self.taken(&client, found.as_ref(), None).await
            }
            (None, Some(f)) if of_run(&f.holder, &self.run) && !self.beaten => {
                self.taken(&client, found.as_ref(), None).await
            }
            (None, Some(f)) if from == Some(f.holder.as_str()) => {
                let from = f.holder.clone();
                self.taken(&client, found.as_ref(), Some(from)).await
            }
            (None, Some(f)) => Ok(self.theirs(f)),
        }
    }

    async fn taken(
        &mut self,
        client: &kube::Client,
        found: Option<&LeaseFound>,
        from: Option<String>,
    ) -> Result<Lease, Trouble> {
        let (lease, asked, lasts) = self.write(client, found, true).await?;
        (self.seen, self.beaten) = (None, false);
        Ok(Lease::Taken { lease, asked, lasts, from })
    }

    async fn write(
        &mut self,
        client: &kube::Client,
        found: Option<&LeaseFound>,
        hands: bool,
    ) -> Result<(String, crate::event::Time, Span), Trouble> {
        // Before it is sent: others count from when they see it, which is later.
        let (asked, renewed) = (self.remote.now(), Instant::now());
        let holder = Some(self.identity.as_str());
        let write = LeaseWrite { holder, lasts: self.lasts, now: asked, hands };
        let written = write_lease(client, &self.at, found, write).await?;
        self.mine = Some(Mine { transitions: written.transitions, renewed, lost: false });
        let lasts = Span(u64::try_from(self.lasts.as_millis()).unwrap_or(u64::MAX));
        Ok((self.at.to_string(), asked, lasts))
    }

    /// Somebody else's; it counts as expired when it stood so for as long as it lasts.
    fn theirs(&mut self, found: &LeaseFound) -> Lease {
        let since = match &self.seen {
            Some((version, since)) if *version == found.version => *since,
            _ => {
                let now = Instant::now();
                self.seen = Some((found.version.clone(), now));
                now
            }
        };
        Lease::Held {
            lease: self.at.to_string(),
            holder: found.holder.clone(),
            since: found.since,
            expired: since.elapsed() >= found.lasts,
        }
    }

    /// No answer, no right. What is ours stays so until its time is over, and can be renewed
    /// later, if nobody took it then; but nothing is released meanwhile.
    async fn failed(&mut self, trouble: Trouble) {
        let trouble = match trouble.redacted(&self.remote.redactor()) {
            Trouble::Forbidden(why) => format!(
                "forbidden: {why}; it takes get, create and update of leases.coordination.k8s.io in {}",
                self.at.namespace
            ),
            other => format!("{}: {other}", self.at),
        };
        let news = match &mut self.mine {
            Some(mine) if mine.lost => return,
            Some(mine) if mine.renewed.elapsed() >= self.lasts => {
                mine.lost = true;
                let why = format!("it could not be renewed in time: {trouble}");
                Lease::Lost { why, holder: None }
            }
            _ => Lease::Unread { why: trouble },
        };
        self.report(news).await;
    }

    async fn let_go(&mut self) -> bool {
        let (Some(mine), Ok(client)) = (&self.mine, &self.remote.kube) else { return false };
        let Ok(Some(found)) = read_lease(client, &self.at).await else { return false };
        if found.holder != self.identity || found.transitions != mine.transitions {
            return false;
        }
        let (lasts, now) = (self.lasts, self.remote.now());
        let write = LeaseWrite { holder: None, lasts, now, hands: false };
        write_lease(client, &self.at, Some(&found), write).await.is_ok()
    }

    async fn report(&self, news: Lease) {
        // The loop may have ended.
        let _ = self.results.send(Intent::Leased { news }).await;
    }
}

/// Whether a holder is a process of that run.
fn of_run(holder: &str, run: &str) -> bool {
    holder.strip_prefix(run).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
