//! How an action that runs hears that it is to end.

use crate::event::EffectId;
use tokio::sync::watch;

/// Which effect is to end, and why. Nobody, at first.
pub type Stops = watch::Sender<Option<(EffectId, String)>>;

/// The ear of one effect.
#[derive(Clone)]
pub struct Stop {
    effect: EffectId,
    asked: watch::Receiver<Option<(EffectId, String)>>,
}

impl Stop {
    /// Of that effect.
    #[must_use]
    pub fn new(effect: EffectId, stops: &Stops) -> Self {
        Self { effect, asked: stops.subscribe() }
    }

    /// Of an effect that nobody ends.
    #[must_use]
    pub fn never() -> Self {
        Self::new(EffectId(0), &Stops::default())
    }

    /// Why it is to end before it has begun, if it is.
    #[must_use]
    pub fn already(&self) -> Option<String> {
        let asked = self.asked.borrow();
        let mine = asked.as_ref().filter(|(effect, _)| *effect == self.effect);
        mine.map(|(_, why)| why.clone())
    }

    /// Waits until it is to end; why.
    pub async fn asked(&mut self) -> String {
        let mine = |asked: &Option<(EffectId, String)>| {
            asked.as_ref().is_some_and(|(effect, _)| *effect == self.effect)
        };
        if let Ok(asked) = self.asked.wait_for(mine).await {
            return asked.as_ref().map_or(String::new(), |(_, why)| why.clone());
        }
        // Nobody can ask any more.
        std::future::pending().await
    }
}
