//! What the verbs print: a reader may go at any time (`| head -1`), and that ends no process.
//!
//! Whoever prints is told whether anybody reads still, so that a run can come to its next hold
//! and leave there. An output that cannot be written for another reason is said, at the end.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::OnceLock;

/// Why nothing is printed any more: nobody reads, or what the system says.
static LOST: OnceLock<Option<String>> = OnceLock::new();

/// A line on standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::cli::print::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Text on standard output.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::print::out(format_args!($($text)*)) };
}

/// A line on standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::cli::print::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// Text on standard error.
macro_rules! err {
    ($($text:tt)*) => { $crate::cli::print::err(format_args!($($text)*)) };
}

/// A line on standard output; false: nobody reads it.
pub(crate) fn line(text: String) -> bool {
    outln!("{text}");
    !lost()
}

pub(crate) fn out(text: Arguments<'_>) {
    if lost() {
        return;
    }
    let mut to = stdout().lock();
    if let Err(e) = to.write_fmt(text).and_then(|()| to.flush()) {
        // The first reason counts.
        let _ = LOST.set((e.kind() != ErrorKind::BrokenPipe).then(|| e.to_string()));
    }
}

/// There is nowhere else to say that this failed.
pub(crate) fn err(text: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(text);
}

/// Nobody reads what is printed any more.
pub(crate) fn lost() -> bool {
    LOST.get().is_some()
}

/// The exit code of a verb: its own, but what was to be written and is not was not done.
pub(crate) fn end(code: ExitCode) -> ExitCode {
    let Some(Some(why)) = LOST.get() else { return code };
    errln!("holdpoint: the output cannot be written: {why}");
    if code == ExitCode::SUCCESS { ExitCode::from(super::UNDONE) } else { code }
}
