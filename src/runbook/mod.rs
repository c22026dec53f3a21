//! L1: the runbook: TOML to a checked, compiled document.
//!
//! `model` is what a runbook means once it has passed the lint; everything above works
//! on that. `parse` reads TOML with spans, `lint` walks every expression against the
//! documented world, `expr` compiles and evaluates CEL, `schema` gives JSON schemas and
//! the world's documentation. Pure: text in, document or problems out. No file is
//! opened here; includes are handed in.

pub mod model;
pub mod types;
pub mod verbs;

mod after;
mod because;
mod capture;
mod convert;
mod differs;
mod empty;
mod expr;
mod lint;
mod parse;
mod raw;
mod reach;
mod redline;
mod spell;
mod steps;
mod table;
mod undo;
mod valued;
mod walk;
mod why;

pub use capture::{Capture, Kept};
pub use differs::{along, merged};
pub use expr::{EvalError, Expr, LONGEST, Scope, Template};
pub(crate) use expr::{NOTHING_SAID, Seen};
pub(crate) use parse::of_toml;
pub use parse::{LARGEST, Loaded, check_param, load};
pub use raw::RawRunbook;
pub use reach::namespaces;
pub use redline::{Difference, How, Part, redline};
