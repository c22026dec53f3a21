//! L0: text from outside. Everything that a server, a program or a file says passes here
//! once, before it becomes part of an event: control sequences, bidi overrides and `\r`
//! tricks are made harmless, secrets are replaced. Colour (SGR) may pass in output, not
//! in names.
//!
//! Secrets are looked for in whole lines, put together from chunks, first as they came
//! and again after control sequences were taken out, so that neither a chunk's border
//! nor an escape in the middle hides one.

mod clean;
mod counted;
mod intake;
mod json;

pub use clean::{clean_line, clean_output};
pub use counted::counted;
pub use intake::{Intake, Redactor};
pub use json::json;
