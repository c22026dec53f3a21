//! L4: the one loop. Intents come in, `run` decides, the journal makes events durable,
//! `run` folds them, effects go out to `action` and `observe`, results come back as
//! intents. Only this room appends to the journal.
//!
//! The loop is a task of its own and publishes each folded state; a terminal that draws
//! it never waits for a disk, and a disk that hangs never stops the drawing. When an
//! append fails the session is *show-only*: it publishes why, executes nothing more, and goes
//! on observing (`unrecorded`).

mod afterwards;
mod answers;
mod asking;
mod earlier;
mod engine;
mod handle;
mod joined;
mod lease;
mod leave;
mod moving;
mod open;
mod plain;
mod reopen;
mod say;
mod terminal;
mod tui;
mod unrecorded;
mod work;

pub use afterwards::{Due, Followed, Refused, Word, afterwards, follow, left};
pub use answers::{Answers, ByProbe, parse_answers};
pub use earlier::{goes_on, left_behind};
pub use engine::Engine;
pub use handle::{Handle, Live};
pub use open::{Keep, OpenError, Opening, fold, open};
pub use plain::{Out, plain, unattended};
pub use reopen::{Reopened, Resumed, reopen};
pub use terminal::{Taken, take};
pub use tui::{Stage, tui};
