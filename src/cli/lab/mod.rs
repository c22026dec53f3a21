//! Verbs on a lab: the only place where one is built.

pub mod demo;
mod ground;
mod keeper;
mod offered;
pub mod play;
pub mod rehearse;
mod screen;
mod serve;
mod strike;

use crate::cli::changed::Wish;
use crate::lab::faults::{FAULTS, MOMENTS};
use crate::session::Reopened;
use clap::Subcommand;
use std::process::ExitCode;

/// Verbs of `lab`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Offer the lab to other tools, on loopback only, until it is interrupted
    Serve(serve::Args),
    /// List the faults: what each does, and which step of the Vault runbook should catch it
    Faults,
}

pub(crate) fn run(verb: &Verb) -> ExitCode {
    match verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Faults => faults(),
    }
}

fn faults() -> ExitCode {
    for fault in FAULTS {
        outln!("{}\n    {}", fault.name, fault.does);
        outln!("    begins at {} unless told otherwise", fault.start);
        match fault.caught_by {
            [] => outln!("    lived through"),
            places => outln!("    caught by {}", places.join(" or ")),
        }
    }
    outln!("NAME@START has it begin elsewhere: after a time (90s), when a step's turn comes");
    outln!("(phase/step, phase[item]/step), or at an event of the run:");
    for (event, says) in MOMENTS {
        outln!("    {event}: {says}");
    }
    outln!("NAME,for=2m or NAME@START,for=2m has it heal");
    ExitCode::SUCCESS
}

/// Takes a demo or rehearsal up again, on the world that lies beside it.
pub(crate) fn resume(run: Box<Reopened>, ascii: bool, accept: Wish) -> ExitCode {
    on_lab_time(screen::again(run, ascii, accept))
}

/// Runs something on a lab's own time.
pub(crate) fn on_lab_time(work: impl Future<Output = Result<bool, String>>) -> ExitCode {
    let runtime = crate::lab::pace::runtime();
    crate::cli::ended(runtime.map_err(|e| format!("the runtime cannot be started: {e}")), work)
}
