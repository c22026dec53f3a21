//! What an effect prints.

use crate::action;
use crate::event::{EffectId, Stream};
use crate::run::Intent;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Output on its way to the journal. What a flood brings beyond the queue is dropped and
/// counted by the next line that fits.
pub(super) fn say(effect: EffectId, results: mpsc::Sender<Intent>) -> action::Say {
    let dropped = std::sync::atomic::AtomicU64::new(0);
    Arc::new(move |stream: Stream, text: String| {
        use std::sync::atomic::Ordering::Relaxed;
        let lost = dropped.load(Relaxed);
        let text =
            if lost > 0 { format!("{text} [{lost} lines before this were dropped]") } else { text };
        match results.try_send(Intent::Output { effect, stream, text }) {
            Ok(()) => dropped.fetch_sub(lost, Relaxed),
            Err(_) => dropped.fetch_add(1, Relaxed),
        };
    })
}
