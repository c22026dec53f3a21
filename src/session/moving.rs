//! A run's journal goes on in another directory: where it cannot be written any more, or by
//! choice. The new segment begins with all that the run is, since the old one may lie where
//! nobody can read it, and says where that ends.

use crate::event::{Actor, Continues, Entry, Event, Header};
use crate::journal::{FileDisk, HealthState, JournalError, Writer, mark_moved};
use crate::run::{Intent, State, apply, decide, keyframe};
use crate::session::earlier::whole;
use crate::session::engine::Engine;
use crate::session::handle::Place;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The new place must answer within this.
const ANSWERS: Duration = Duration::from_secs(10);
/// The old one is told, where it answers within this.
const TOLD: Duration = Duration::from_secs(2);
/// Segments of one run in one directory.
const MOST: u32 = 1000;

/// Who asks for it, where to, and where the answer goes.
pub(super) type Moving = (Actor, PathBuf, oneshot::Sender<Result<PathBuf, String>>);

impl Engine {
    pub(super) async fn moved(&mut self, (actor, to, answer): Moving) {
        let result = self.move_to(&actor, &to).await;
        // Whoever asked may have gone.
        let _ = answer.send(result);
    }

    async fn move_to(&mut self, actor: &Actor, to: &Path) -> Result<PathBuf, String> {
        if self.damaged {
            return Err("the journal is damaged; begin another run of the runbook".into());
        }
        if self.state.ended.is_some() {
            return Err("the run is over; its journal stays where it is".into());
        }
        decide(&self.state, actor, &Intent::GoOn, self.remote.now()).map_err(|e| e.to_string())?;
        let failed = self.show_only.is_some();
        if let Some(why) = crate::ui::busy(&self.state).filter(|_| !failed) {
            return Err(why);
        }
        // What was under way when the journal failed still is, as far as records go.
        if let Some((effect, step)) = &self.unheard {
            self.state.running = Some((*effect, step.clone()));
        }
        let (header, first) = self.next_segment()?;
        let (dir, writer) = self.begun(to, header.clone(), first.clone()).await?;
        let mut state = State::new(header, Arc::clone(&self.state.runbook), first.at);
        apply(&mut state, &first).map_err(|e| e.to_string())?;
        let place = Place { writer: Arc::new(writer), dir: Some(dir.clone()) };
        self.told(actor, &dir.display().to_string(), failed).await;
        self.state = state;
        self.kept = (first.seq, place.writer.health().head);
        self.place.send_replace(place);
        self.show_only = None;
        self.published();
        // What the last process left comes before anything else, if that was not recorded yet.
        let on = self.first.take().unwrap_or_else(|| (actor.clone(), Intent::GoOn));
        self.take(&on.0, &on.1).await?;
        self.asked_then().await;
        if let Some(heard) = self.heard.take() {
            self.result(heard).await;
        }
        self.unheard = None;
        Ok(dir)
    }

    /// What is asked behind the first, once that is recorded.
    pub(super) async fn asked_then(&mut self) {
        let Some((actor, intent)) = self.then.clone().filter(|_| self.first.is_none()) else {
            return;
        };
        // A refusal is an entry, which its person reads.
        let _ = self.take(&actor, &intent).await;
        // What could not be recorded is asked again where it can.
        if self.show_only.is_none() {
            self.then = None;
        }
    }

    /// Its header, and the entry behind that.
    fn next_segment(&self) -> Result<(Header, Entry), String> {
        let now = self.state.now(self.remote.now());
        let place = self.place.borrow();
        let health = place.writer.health();
        let (seq, hash) = match health.synced_seq {
            Some(seq) => (seq, health.synced_head),
            None => self.kept.clone(),
        };
        let path = place.dir.as_ref().map(|dir| whole(dir).display().to_string());
        let run = self.state.header.run.clone();
        let continues = Some(Continues { run, seq, hash, path });
        let header = Header { continues, ..(*self.state.header).clone() };
        let kept =
            keyframe(&self.state).map_err(|e| format!("the run cannot be written down: {e}"))?;
        let event = Event::Keyframe { state: Box::new(kept) };
        Ok((header, Entry { seq: 1, at: now, actor: Actor::System, event }))
    }

    /// The new directory and its first entries, durable.
    async fn begun(
        &self,
        to: &Path,
        header: Header,
        first: Entry,
    ) -> Result<(PathBuf, Writer), String> {
        let (to, run) = (to.to_owned(), header.run.clone());
        let clock = Arc::clone(&self.remote.clock);
        let opened = Event::Opened { header: Box::new(header) };
        let zero = Entry { seq: 0, at: first.at, actor: first.actor.clone(), event: opened };
        let begin = async move {
            let made = tokio::task::spawn_blocking(move || made(&to, &run));
            let (dir, disk) = made.await.map_err(|e| e.to_string())??;
            let writer = Writer::start(Box::new(disk), None, Box::new(move || clock()));
            let writer = writer.map_err(|e| e.to_string())?;
            let (done, wait) = oneshot::channel();
            writer.append(vec![zero, first], true, Box::new(move |r| drop(done.send(r))));
            wait.await
                .map_err(|e| e.to_string())?
                .map_err(|why| format!("{}: {why}", dir.display()))?;
            Ok((dir, writer))
        };
        let late =
            || format!("it does not answer in {} s; name another directory", ANSWERS.as_secs());
        tokio::time::timeout(ANSWERS, begin).await.map_err(|_| late())?
    }

    /// The old place says where the run goes on, as far as anything can be written there.
    async fn told(&mut self, actor: &Actor, to: &str, failed: bool) {
        let place = self.place.borrow().clone();
        let healthy = !failed && place.writer.health().state == HealthState::Ok;
        if healthy {
            let (done, wait) = oneshot::channel();
            let entry = Entry {
                seq: self.state.seq + 1,
                at: self.state.now(self.remote.now()),
                actor: actor.clone(),
                event: Event::Moved { to: to.to_owned() },
            };
            place.writer.append(vec![entry], true, Box::new(move |r| drop(done.send(r))));
            if matches!(tokio::time::timeout(TOLD, wait).await, Ok(Ok(Ok(())))) {
                return;
            }
        }
        let Some(dir) = place.dir else { return };
        let to = to.to_owned();
        // A place that hangs holds up nobody.
        let left = tokio::task::spawn_blocking(move || mark_moved(&dir, &to));
        let _ = tokio::time::timeout(TOLD, left).await;
    }
}

/// A directory that was not there, named after the run and, where that is taken, its segment.
fn made(to: &Path, run: &str) -> Result<(PathBuf, FileDisk), String> {
    let to = std::path::absolute(to).map_err(|e| format!("{}: {e}", to.display()))?;
    for n in 1..=MOST {
        let dir = match n {
            1 => to.join(run),
            n => to.join(format!("{run}.{n}")),
        };
        match FileDisk::create(&dir) {
            Err(JournalError::Io { path, source })
                if path == dir && source.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return made.map(|disk| (dir, disk)).map_err(|e| e.to_string()),
        }
    }
    Err(format!("{} has {MOST} segments of this run; name another directory", to.display()))
}
