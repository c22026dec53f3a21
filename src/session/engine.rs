//! The loop itself.

use crate::action::Stops;
use crate::event::{Actor, EffectId, Entry, Event, Lease, StepAddr, Time};
use crate::journal::Writer;
use crate::observe;
use crate::remote::Remote;
use crate::run::{Effect, Intent, Look, State, apply, decide};
use crate::runbook::namespaces;
use crate::session::asking::Planning;
use crate::session::handle::{Ask, Handle, Live, Place};
use crate::session::lease::Keeper;
use crate::session::moving::Moving;
use crate::session::reopen::Resumed;
use crate::session::unrecorded::{goes_on, harmless, only_seen, told};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// How often the loop looks whether it wants something.
const TICK: Duration = Duration::from_millis(250);
/// An effect does not start when writing that it starts took longer: what its gates read is
/// of before that.
const LATE: Duration = Duration::from_secs(5);
/// A journal that is to be moved away has so long to answer.
const ANSWERS: Duration = Duration::from_secs(2);
/// Guards are judged at least this often, also while what none of them names changes all the time.
const GUARDS: Duration = Duration::from_secs(1);

/// The loop's own state.
pub struct Engine {
    pub(super) state: State,
    pub(super) place: watch::Sender<Place>,
    pub(super) remote: Arc<Remote>,
    pub(super) results: mpsc::Sender<Intent>,
    publish: watch::Sender<Live>,
    pub(super) show_only: Option<String>,
    pub(super) asked_last: Option<(Look, u64)>,
    pub(super) looking: bool,
    pub(super) looked_at: Option<Instant>,
    pub(super) planning: Planning,
    guarded_at: Instant,
    pub(super) keeper: Option<Keeper>,
    /// Which effect is to end before it is through.
    pub(super) stops: Stops,
    moves: mpsc::Receiver<Moving>,
    /// Asked for while the journal did not answer.
    moving: Option<Moving>,
    /// What was read of the journal ends in damage: nothing goes on from there.
    pub(super) damaged: bool,
    /// The last entry that was durable when this process began, and its hash.
    pub(super) kept: (u64, String),
    /// What is asked first, until it is recorded.
    pub(super) first: Option<(Actor, Intent)>,
    /// What is asked behind that.
    pub(super) then: Option<(Actor, Intent)>,
    /// The effect that ran when the journal failed, and how it ended.
    pub(super) unheard: Option<(EffectId, StepAddr)>,
    pub(super) heard: Option<Intent>,
}

impl Engine {
    /// Starts observing and the loop; it ends when the run is closed or nobody holds a
    /// handle any more.
    pub fn start(
        state: State,
        writer: Writer,
        remote: Arc<Remote>,
    ) -> (Handle, tokio::task::JoinHandle<()>) {
        let (first, then) = (None, None);
        Self::resume(Resumed { state, writer, show_only: None, first, then, dir: None }, remote)
    }

    /// The same for a run that is taken up again: what is asked first comes before anything
    /// else happens.
    pub fn resume(resumed: Resumed, remote: Arc<Remote>) -> (Handle, tokio::task::JoinHandle<()>) {
        let Resumed { state, writer, show_only, first, then, dir } = resumed;
        let (results, inbox) = mpsc::channel(256);
        let (asks, asked) = mpsc::channel(16);
        let (changes, observed) = mpsc::channel(64);
        let damaged = show_only.is_some();
        let live = Live { state: Arc::new(state.clone()), show_only: show_only.clone(), damaged };
        let actor = first.as_ref().map_or(&state.header.opened_by, |(actor, _)| actor);
        // A run that is only looked at keeps nothing.
        let keeps = show_only.is_none();
        let keeper =
            keeps.then(|| Keeper::start(&state, &remote, actor, results.clone())).flatten();
        let (publish, watching) = watch::channel(live);
        let kept = (state.seq, writer.health().head);
        let (place, placed) = watch::channel(Place { writer: Arc::new(writer), dir });
        let (move_to, moves) = mpsc::channel(1);
        let (params, values) = (&state.header.params, &state.header.site_values);
        observe::spawn(&remote, &namespaces(&state.runbook, params, values), &changes);
        let handle = Handle {
            asks,
            live: watching,
            moves: move_to,
            place: placed,
            remote: Arc::clone(&remote),
        };
        let engine = Self {
            state,
            place,
            remote,
            results,
            publish,
            damaged,
            show_only,
            asked_last: None,
            looking: false,
            looked_at: None,
            planning: Planning::default(),
            guarded_at: Instant::now(),
            keeper,
            stops: Stops::default(),
            moves,
            moving: None,
            kept,
            first,
            then,
            unheard: None,
            heard: None,
        };
        let task = tokio::spawn(engine.run(inbox, asked, observed));
        (handle, task)
    }

    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Intent>,
        mut asked: mpsc::Receiver<Ask>,
        mut observed: mpsc::Receiver<crate::world::Change>,
    ) {
        if let Some((actor, intent)) = self.first.clone()
            // What cannot be recorded is shown: nothing is executed then.
            && self.take(&actor, &intent).await.is_ok()
        {
            self.first = None;
        }
        self.asked_then().await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.state.ended.is_none() {
            if let Some(moving) = self.moving.take() {
                self.moved(moving).await;
            }
            tokio::select! {
                // People first: a flood of observations must not keep a hold waiting.
                biased;
                ask = asked.recv() => match ask {
                    Some(Ask::Intent(actor, intent, answer)) => {
                        let result = self.take(&actor, &intent).await;
                        // Whoever asked may have gone.
                        let _ = answer.send(result);
                    }
                    Some(Ask::Leave(answer)) => {
                        if crate::ui::busy(&self.state).is_none() {
                            self.let_go().await;
                        }
                        let _ = answer.send(());
                    }
                    None => return,
                },
                Some(moving) = self.moves.recv() => self.moved(moving).await,
                Some(intent) = inbox.recv() => self.result(intent).await,
                Some(change) = observed.recv() => {
                    self.result(Intent::Observed { change: Box::new(change) }).await;
                }
                _ = tick.tick() => self.tick().await,
            }
            self.want();
            self.plan_anew();
        }
    }

    async fn tick(&mut self) {
        if self.guarded_at.elapsed() >= GUARDS {
            self.guarded_at = Instant::now();
            self.result(Intent::Tick).await;
        }
    }

    /// An intent of the system itself.
    pub(super) async fn result(&mut self, intent: Intent) {
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
        self.planning.heard(&intent);
        // A refusal of the system is only ever about a run that is over.
        let _ = self.take(&Actor::System, &intent).await;
    }

    pub(super) async fn take(&mut self, actor: &Actor, intent: &Intent) -> Result<(), String> {
        let clock = self.remote.now();
        if self.state.was_set_back(clock) {
            // Before anything is decided by it. What cannot be recorded is shown.
            let _ = self.taken(&Actor::System, &Intent::ClockSetBack, clock).await;
        }
        self.taken(actor, intent, self.state.now(clock)).await
    }

    async fn taken(&mut self, actor: &Actor, intent: &Intent, now: Time) -> Result<(), String> {
        if let Some(why) = self.show_only.clone() {
            return self.unrecorded(actor, intent, &why, now);
        }
        match decide(&self.state, actor, intent, now) {
            Ok(events) => {
                if events.iter().any(|e| matches!(e, Event::Ended { .. })) {
                    // Before the end record, behind which nothing stands.
                    self.let_go().await;
                }
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

    /// Lets the lease go, where it is ours.
    async fn let_go(&mut self) {
        let Some(keeper) = self.keeper.take() else { return };
        if keeper.let_go().await && self.show_only.is_none() {
            let (now, news) = (self.state.now(self.remote.now()), Lease::Released);
            // It is so, whether or not it can be recorded.
            let _ = self.record(&Actor::System, vec![Event::Lease { news }], now).await;
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
            self.unheard = self.state.running.take();
            self.heard = Some(intent.clone());
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
        effects.into_iter().filter(harmless).for_each(|effect| self.start_effect(effect));
        Ok(())
    }

    /// Durable first, then folded, then its effects. Something may have been recorded since it was
    /// decided.
    async fn record(&mut self, actor: &Actor, events: Vec<Event>, now: Time) -> Result<(), String> {
        if events.is_empty() {
            return Ok(());
        }
        let entries = entries(&self.state, actor, events, self.state.now(now));
        let durable = entries.iter().any(|e| e.event.must_be_durable());
        let (done, wait) = oneshot::channel();
        let asked = Instant::now();
        let writer = Arc::clone(&self.place.borrow().writer);
        writer.append(entries.clone(), durable, Box::new(move |r| drop(done.send(r))));
        let written = self.written(wait).await;
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

    /// What the journal says; that it says nothing, once its person has it moved away.
    async fn written(
        &mut self,
        mut wait: oneshot::Receiver<Result<(), String>>,
    ) -> Result<(), String> {
        let ended =
            |r: Result<_, _>| r.unwrap_or_else(|_| Err("the journal's thread ended".into()));
        tokio::select! {
            biased;
            r = &mut wait => return ended(r),
            Some(moving) = self.moves.recv() => self.moving = Some(moving),
        }
        // What is only slow is waited for: an entry that is given up may be there all the same.
        match tokio::time::timeout(ANSWERS, wait).await {
            Ok(r) => ended(r),
            Err(_) => Err("the journal does not answer".into()),
        }
    }

    pub(super) fn published(&self) {
        let (show_only, damaged) = (self.show_only.clone(), self.damaged);
        let live = Live { state: Arc::new(self.state.clone()), show_only, damaged };
        // Nobody watching is no error.
        let _ = self.publish.send(live);
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
