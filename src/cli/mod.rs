//! L5: the command line, one file a verb. Only here is anything read from the process's
//! environment, and only here is anything printed outside the cockpit.
//!
//! Exit codes: 0 done; 1 the change did not finish or a check of the world failed;
//! 2 usage or input error; 130 interrupted.

pub mod check;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Usage or input error.
pub const INPUT: u8 = 2;

#[derive(Parser)]
#[command(name = "holdpoint", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check runbooks (and site files, named *.site.toml or with a [kubernetes] or [vault] table)
    Check(check::Args),
}

/// Parses the arguments and runs.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Check(args) => check::run(&args),
    }
}
