//! L3: documents from what is known. Pure.

mod plan;
mod rehearsal;

pub use plan::{OfSite, Resolved, known, plan};
pub use rehearsal::{Catch, Struck, catches, rehearsal};
