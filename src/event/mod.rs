//! L0: what happened. Ids, time, actors, proposals and the closed set of events.
//!
//! Everything that a run is lives in a stream of [`Entry`]s: the live cockpit, a
//! partner and a replay fold the same stream. A kind of thing that can happen has
//! exactly one variant of [`Event`] here; whoever adds one extends the fold in
//! `run::apply` in the same change (its match has no wildcard arm).
//!
//! This room imports nothing of ours but `world` and does no IO: no clock, no
//! randomness, no file.

mod actor;
mod address;
mod cron;
mod entry;
mod judged;
mod lease;
mod proposal;
mod scheduled;
mod slot;
mod time;

pub use actor::{Actor, Role};
pub use address::{AddressError, EffectId, StepAddr};
pub use cron::{Schedule, Zone};
pub use entry::{
    Continues, Entry, Event, FORMAT, Header, Mode, Outcome, Pins, Probed, Stream, Way,
};
pub use judged::{GateJudged, Judged, Observed, Verdict};
pub use lease::Lease;
pub use proposal::{Proposal, Target};
pub use scheduled::{Scheduled, read as read_schedule};
pub use slot::{Slot, SlotError};
pub use time::{Span, SpanError, Time};
