//! The loop itself.

use crate::event::{Actor, EffectId, Entry, Event, Outcome, Time};
use crate::journal::{Health, Writer};
use crate::observe;
use crate::remote::Remote;
use crate::run::{
    Effect, Intent, Look, Question, State, apply, decide, doubted, question, reading,
};
use crate::runbook::namespaces;
use crate::session::reopen::Resumed;
use crate::session::unrecorded::{goes_on, only_reads, only_seen, told};
use crate::session::work::work;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// How often the loop looks whether it wants something.
const TICK: Duration = Duration::from_millis(250);
/// An answer that takes longer is lost.
const LOST: Duration = Duration::from_secs(20);
/// An effect does not start when writing that it starts took longer: what its gates read is
/// of before that.
const LATE: Duration = Duration::from_secs(5);
/// Guards are judged at least this often.
const GUARDS: Duration = Duration::from_secs(1);

/// Who asks, for what, and where the answer goes.
type Ask = (Actor, Intent, oneshot::Sender<Result<(), String>>);

/// What is published after each fold.
#[derive(Clone)]
pub struct Live {
    /// The folded state.
    pub state: Arc<State>,
    /// Why nothing is executed any more, if the journal failed.
    pub show_only: Option<String>,
}

/// A person's way to the loop.
#[derive(Clone)]
pub struct Handle {
    asks: mpsc::Sender<Ask>,
    /// The state as it is.
    pub live: watch::Receiver<Live>,
    writer: Arc<Writer>,
    /// For describe and logs.
    pub remote: Arc<Remote>,
}

impl Handle {
    /// Asks for something; the answer is the refusal, if it was refused.
    pub async fn ask(&self, actor: &Actor, intent: Intent) -> Result<(), String> {
        let (answer, wait) = oneshot::channel();
        if self.asks.send((actor.clone(), intent, answer)).await.is_err() {
            return Err("the run is over".into());
        }
        wait.await.unwrap_or_else(|_| Err("the run is over".into()))
    }

    /// The journal's health.
    #[must_use]
    pub fn health(&self) -> Health {
        self.writer.health()
    }

    /// Makes durable what is still batched and ends the journal's thread; gives up on a
    /// disk that hangs.
    pub fn close(&self) -> Health {
        self.writer.close()
    }

    /// Now, by the session's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.remote.now()
    }
}

/// The loop's own state.
pub struct Engine {
    state: State,
    writer: Arc<Writer>,
    remote: Arc<Remote>,
    results: mpsc::Sender<Intent>,
    publish: watch::Sender<Live>,
    show_only: Option<String>,
    asked_last: Option<(Look, u64)>,
    looking: bool,
    looked_at: Option<Instant>,
    guarded_at: Instant,
}

impl Engine {
    /// Starts observing and the loop; it ends when the run is closed or nobody holds a
    /// handle any more.
    pub fn start(
        state: State,
        writer: Writer,
        remote: Arc<Remote>,
    ) -> (Handle, tokio::task::JoinHandle<()>) {
        Self::resume(Resumed { state, writer, show_only: None, first: None }, remote)
    }

    /// The same for a run that is taken up again: what is asked first comes before anything
    /// else happens.
    pub fn resume(resumed: Resumed, remote: Arc<Remote>) -> (Handle, tokio::task::JoinHandle<()>) {
        let Resumed { state, writer, show_only, first } = resumed;
        let (results, inbox) = mpsc::channel(256);
        let (asks, asked) = mpsc::channel(16);
        let (changes, observed) = mpsc::channel(64);
        let live = Live { state: Arc::new(state.clone()), show_only: show_only.clone() };
        let (publish, watching) = watch::channel(live);
        let writer = Arc::new(writer);
        let (params, values) = (&state.header.params, &state.header.site_values);
        observe::spawn(&remote, &namespaces(&state.runbook, params, values), &changes);
        let handle = Handle {
            asks,
            live: watching,
            writer: Arc::clone(&writer),
            remote: Arc::clone(&remote),
        };
        let engine = Self {
            state,
            writer,
            remote,
            results,
            publish,
            show_only,
            asked_last: None,
            looking: false,
            looked_at: None,
            guarded_at: Instant::now(),
        };
        let task = tokio::spawn(engine.run(first, inbox, asked, observed));
        (handle, task)
    }

    async fn run(
        mut self,
        first: Option<(Actor, Intent)>,
        mut inbox: mpsc::Receiver<Intent>,
        mut asked: mpsc::Receiver<Ask>,
        mut observed: mpsc::Receiver<crate::world::Change>,
    ) {
        if let Some((actor, intent)) = first {
            // What cannot be recorded is shown: nothing is executed then.
            let _ = self.take(&actor, &intent).await;
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.state.ended.is_none() {
            tokio::select! {
                // People first: a flood of observations must not keep a hold waiting.
                biased;
                ask = asked.recv() => match ask {
                    Some((actor, intent, answer)) => {
                        let result = self.take(&actor, &intent).await;
                        // Whoever asked may have gone.
                        let _ = answer.send(result);
                    }
                    None => return,
                },
                Some(intent) = inbox.recv() => self.result(intent).await,
                Some(change) = observed.recv() => {
                    self.result(Intent::Observed { change: Box::new(change) }).await;
                }
                _ = tick.tick() => self.tick().await,
            }
            self.want();
        }
    }

    async fn tick(&mut self) {
        if self.guarded_at.elapsed() >= GUARDS {
            self.guarded_at = Instant::now();
            self.result(Intent::Tick).await;
        }
    }

    /// An intent of the system itself.
    async fn result(&mut self, intent: Intent) {
        let answers = |(look, ticket): &(Look, u64)| match &intent {
            Intent::Looked { look: l, ticket: t, .. } => l == look && t == ticket,
            Intent::Probed { step, ticket: t, .. } => {
                *look == Look::Doubt(step.clone()) && t == ticket
            }
            _ => false,
        };
        if self.asked_last.as_ref().is_some_and(answers) {
            self.looking = false;
        }
        // A refusal of the system is only ever about a run that is over.
        let _ = self.take(&Actor::System, &intent).await;
    }

    async fn take(&mut self, actor: &Actor, intent: &Intent) -> Result<(), String> {
        let now = self.remote.now();
        if let Some(why) = self.show_only.clone() {
            return self.unrecorded(actor, intent, &why, now);
        }
        match decide(&self.state, actor, intent, now) {
            Ok(events) => {
                let recorded = self.record(actor, events, now).await;
                match (&recorded, self.show_only.clone(), intent) {
                    // The journal failed with this very result: it is told all the same.
                    (Err(_), Some(why), Intent::EffectEnded { .. }) => {
                        self.unrecorded(actor, intent, &why, now)
                    }
                    _ => recorded,
                }
            }
            Err(refusal) => {
                let refused = Event::Refused { asked: intent.brief(), why: refusal.0.clone() };
                if self.state.ended.is_none() {
                    self.record(actor, vec![refused], now).await?;
                }
                Err(refusal.0)
            }
        }
    }

    /// What still goes on when nothing can be recorded.
    fn unrecorded(
        &mut self,
        actor: &Actor,
        intent: &Intent,
        why: &str,
        now: Time,
    ) -> Result<(), String> {
        let refused = Err(format!("show-only: {why}"));
        if let Intent::EffectEnded { effect, outcome, .. } = intent
            && let Some((running, step)) = &self.state.running
            && running == effect
        {
            // It was sent before the journal failed. Whoever looks must hear how it ended,
            // though no record says so; and may leave then.
            self.show_only = Some(format!("{step} {}, unrecorded; {why}", told(outcome)));
            self.state.running = None;
            self.published();
        }
        if !goes_on(intent) {
            return refused;
        }
        let events = decide(&self.state, actor, intent, now).map_err(|refusal| refusal.0)?;
        if !only_seen(&events) {
            return refused;
        }
        let mut effects = Vec::new();
        for entry in entries(&self.state, actor, events, now) {
            effects.extend(apply(&mut self.state, &entry).map_err(|e| e.to_string())?);
        }
        self.published();
        effects.into_iter().filter(only_reads).for_each(|effect| self.start_effect(effect));
        Ok(())
    }

    /// Durable first, then folded, then its effects.
    async fn record(&mut self, actor: &Actor, events: Vec<Event>, now: Time) -> Result<(), String> {
        if events.is_empty() {
            return Ok(());
        }
        let entries = entries(&self.state, actor, events, now);
        let durable = entries.iter().any(|e| e.event.must_be_durable());
        let (done, wait) = oneshot::channel();
        let asked = Instant::now();
        self.writer.append(entries.clone(), durable, Box::new(move |r| drop(done.send(r))));
        let written = wait.await.unwrap_or_else(|_| Err("the journal's thread ended".into()));
        if let Err(why) = written {
            self.show_only = Some(why.clone());
            self.published();
            return Err(format!("show-only: {why}"));
        }
        let mut effects = Vec::new();
        for entry in &entries {
            match apply(&mut self.state, entry) {
                Ok(follow) => effects.extend(follow),
                Err(e) => {
                    // What cannot be folded must not be acted on: nothing runs any more.
                    self.show_only = Some(format!("the run's state is broken: {e}"));
                    break;
                }
            }
        }
        self.published();
        let took = asked.elapsed();
        for effect in effects {
            match effect {
                _ if self.show_only.is_some() => break,
                Effect::Execute { effect, .. } if took > LATE => self.too_late(effect, took),
                effect => self.start_effect(effect),
            }
        }
        Ok(())
    }

    /// The effect is not started: the step fails, and is released anew on fresh data.
    fn too_late(&self, effect: EffectId, took: Duration) {
        let why = format!(
            "nothing was sent: the journal took {} s, and the gates were read before that",
            took.as_secs()
        );
        let results = self.results.clone();
        let outcome = Outcome::Failed(why);
        tokio::spawn(async move {
            let ended = Intent::EffectEnded { effect, outcome, result: Value::Null };
            // The loop may have ended.
            let _ = results.send(ended).await;
        });
    }

    fn published(&self) {
        let live = Live { state: Arc::new(self.state.clone()), show_only: self.show_only.clone() };
        // Nobody watching is no error.
        let _ = self.publish.send(live);
    }

    /// Asks the world what the run wants to know, one question at a time.
    fn want(&mut self) {
        let Some(Question { look, ticket, every }) = question(&self.state) else { return };
        let question = (look.clone(), ticket);
        let elapsed = self.looked_at.map_or(Duration::MAX, |at| at.elapsed());
        // A new question is asked at once, the same one again when it is due; one that is
        // in flight only when its answer must be lost.
        let wait = match (&self.asked_last, self.looking) {
            (Some(last), _) if *last != question => Duration::ZERO,
            // A probe may read a large file, or wait for a disk that hangs: not twice at once.
            (_, true) if matches!(look, Look::Doubt(_)) => LOST * 15,
            (_, true) => LOST,
            (_, false) => every.duration(),
        };
        let asks = self.show_only.is_none() || matches!(look, Look::Gates(_));
        if !asks || elapsed < wait {
            return;
        }
        self.looking = true;
        self.asked_last = Some(question);
        self.looked_at = Some(Instant::now());
        if let Look::Doubt(step) = &look {
            doubted(&self.state, step).into_iter().for_each(|probe| self.start_effect(probe));
            return;
        }
        let reading = reading(&self.state, &look);
        let (remote, results) = (Arc::clone(&self.remote), self.results.clone());
        tokio::spawn(async move {
            let changes = observe::read(&remote, &reading).await;
            // The loop may have ended.
            let _ = results.send(Intent::Looked { look, ticket, changes }).await;
        });
    }

    fn start_effect(&self, effect: Effect) {
        let (remote, results) = (Arc::clone(&self.remote), self.results.clone());
        tokio::spawn(work(remote, self.state.header.pins.clone(), results, effect));
    }
}

/// Events as the entries that come next.
fn entries(state: &State, actor: &Actor, events: Vec<Event>, now: Time) -> Vec<Entry> {
    events
        .into_iter()
        .zip(state.seq + 1..)
        .map(|(event, seq)| Entry { seq, at: now, actor: actor.clone(), event })
        .collect()
}
