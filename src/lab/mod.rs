//! L3: the lab, a simulated site that the real client code talks to.
//!
//! One [`World`] holds everything that exists, as plain data: the API server's objects, the
//! voters, and an agenda of what is going to happen. It is a state machine without a thread
//! or a clock of its own: whoever asks it something says what time it is, it first lives
//! through all that was due until then, each at its own time and in order, and then answers.
//! So the same seed and the same questions at the same times give the same answers, and a
//! world can be written down and read back.
//!
//! [`Lab`] is the handle that transports share; its driver task wakes when something is due,
//! so that watches hear of it.
//!
//! Faults are entries of the world like any other; the badge LAB comes from the identity
//! that this room gives out, never from a site file.

mod bell;
pub mod beside;
mod chance;
pub mod faults;
pub mod kube;
mod machine;
mod open;
pub mod pace;
pub mod site;
mod stage;
mod stock;
pub mod surveyed;
mod task;
mod unseen;
pub mod vault;
mod wire;
mod world;

pub use self::bell::{Changes, Heard};
pub use self::chance::Chance;
pub use self::machine::{Files, SECOND_COPY_DIFFERS, real};
pub use self::open::{clock, open};
pub use self::stage::Stage;
pub use self::stock::Stock;
pub use self::task::Task;
pub use self::unseen::Unseen;
pub use self::world::{Lab, World};
