//! What follows from a fold: effects begin, and the world is asked what the run wants to know.

use crate::event::{EffectId, Outcome};
use crate::observe;
use crate::run::{
    Effect, Intent, Look, Purpose, Question, doubted, planned_anew, question, reading,
};
use crate::session::engine::Engine;
use crate::session::work::work;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An answer that takes longer is lost.
const LOST: Duration = Duration::from_secs(20);
/// One that may read a large file, or wait for a disk that hangs.
const LOST_LATE: Duration = LOST.saturating_mul(15);
/// So long after one failed a plan is made anew.
const ANEW: Duration = Duration::from_secs(5);

/// Plans for reviews.
#[derive(Default)]
pub(super) struct Planning {
    /// One is made anew.
    asked: bool,
    /// When that began, or when one was told last.
    at: Option<Instant>,
}

impl Planning {
    /// One was made, or cannot be.
    pub(super) fn heard(&mut self, intent: &Intent) {
        if matches!(intent, Intent::Prepared { purpose: Purpose::Review, .. }) {
            *self = Self { asked: false, at: Some(Instant::now()) };
        }
    }
}

impl Engine {
    /// The effect is not started: the step fails, and is released anew on fresh data.
    pub(super) fn too_late(&self, effect: EffectId, took: Duration) {
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

    /// Asks the world what the run wants to know, one question at a time.
    pub(super) fn want(&mut self) {
        let Some(Question { look, ticket, every }) = question(&self.state) else { return };
        let question = (look.clone(), ticket);
        let elapsed = self.looked_at.map_or(Duration::MAX, |at| at.elapsed());
        // A new question is asked at once, the same one again when it is due; one that is
        // in flight only when its answer must be lost.
        let wait = match (&self.asked_last, self.looking) {
            (Some(last), _) if *last != question => Duration::ZERO,
            // Not twice at once.
            (_, true) if matches!(look, Look::Doubt(_)) => LOST_LATE,
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

    /// Makes the plan of an open review anew that could not be made, one at a time.
    pub(super) fn plan_anew(&mut self) {
        let wait = if self.planning.asked { LOST_LATE } else { ANEW };
        let waits = self.planning.at.is_some_and(|at| at.elapsed() < wait);
        if waits || self.show_only.is_some() {
            return;
        }
        let Some(effect) = planned_anew(&self.state) else { return };
        self.planning = Planning { asked: true, at: Some(Instant::now()) };
        self.start_effect(effect);
    }

    pub(super) fn start_effect(&self, effect: Effect) {
        let (remote, results) = (Arc::clone(&self.remote), self.results.clone());
        let header = &self.state.header;
        let of = (header.run.clone(), header.pins.clone());
        let (keeper, stops) = (self.keeper.clone(), self.stops.clone());
        tokio::spawn(work(remote, of, results, keeper, stops, effect));
    }
}
