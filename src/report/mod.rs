//! L3: documents from what is known. Pure.

mod plan;

pub use plan::{OfSite, Resolved, known, plan};
