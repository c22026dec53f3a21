//! L2: the run core. `decide` turns an intent into events or a refusal, `apply` folds
//! events into the state and says which effects follow. Pure: no clock, no randomness,
//! no IO; time comes with the intent.
//!
//! What the core never does: start an effect without a durable `Released` before it,
//! judge on stale data, or assume how an effect ended. What it is not resilient
//! against: a stream with gaps (the journal refuses those); repeated, late or lost
//! *results* are harmless, since each carries the ticket of the question it answers.

mod advance;
mod anew;
mod apply;
mod back;
mod clock;
mod decide;
mod due;
mod evidence;
mod failure;
mod fields;
mod follow;
mod gates;
mod intent;
mod keyframe;
mod lease;
mod life;
mod offered;
mod over;
mod poll;
mod probing;
mod redline;
mod remaining;
mod results;
mod resume;
mod scheduled;
mod startable;
mod state;
mod step;
mod wants;
mod watching;
mod window;

pub use anew::planned_anew;
pub use apply::{ApplyError, apply};
pub use decide::{decide, reasonable};
pub use due::{due_judged, due_reading};
pub(crate) use failure::still;
pub use follow::render_call;
pub use intent::{Effect, Intent, Look, Purpose, Refusal};
pub use keyframe::keyframe;
pub use life::{Illegal, Move, Status, legal, table};
pub use over::{any_skipped, left_for_later, over};
pub use poll::{HOW, POLL, Said, said, wanted};
pub use probing::doubted;
pub use redline::{Accepted, Redlined};
pub use scheduled::SCHEDULED;
pub use state::{
    Back, GuardState, ItemState, OutputLine, PhaseState, PhaseStatus, State, undone_by,
};
pub use step::{Override, Settling, SoakState, StepState};
pub use wants::{Question, Want, question, reading, wants};
pub use window::WINDOW;
