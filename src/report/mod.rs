//! L3: documents from what is known. Pure.

mod commands;
mod plan;
mod rehearsal;

pub use commands::Resolved;
pub use plan::{OfSite, known, plan};
pub use rehearsal::{Catch, Struck, catches, rehearsal};
