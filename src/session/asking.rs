//! What follows from a fold: effects begin, and the world is asked what the run wants to know.

use crate::event::{EffectId, Outcome};
use crate::observe;
use crate::run::{Effect, Intent, Look, Question, doubted, question, reading};
use crate::session::engine::Engine;
use crate::session::work::work;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An answer that takes longer is lost.
const LOST: Duration = Duration::from_secs(20);

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

    pub(super) fn start_effect(&self, effect: Effect) {
        let (remote, results) = (Arc::clone(&self.remote), self.results.clone());
        let header = &self.state.header;
        let of = (header.run.clone(), header.pins.clone());
        let (keeper, stops) = (self.keeper.clone(), self.stops.clone());
        tokio::spawn(work(remote, of, results, keeper, stops, effect));
    }
}
