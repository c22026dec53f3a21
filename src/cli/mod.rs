//! L5: the command line, one file a verb. Only here is anything read from the process's
//! environment, and only here is anything printed outside the cockpit.
//!
//! Exit codes: 0 done; 1 the change did not finish, a check of the world failed, or what was to be
//! printed could not be written; 2 usage or input error; 130 interrupted. That nobody reads the
//! output changes none of them.

#[macro_use]
mod print;

mod changed;
pub mod check;
mod conduct;
pub mod doctor;
mod due;
pub mod lab;
pub mod plan;
pub mod resume;
pub mod run;
pub mod runs;
pub mod schema;
mod signals;
pub mod site;
mod standing;
pub mod survey;
pub mod verify;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Usage or input error.
pub const INPUT: u8 = 2;
/// The change did not finish, or a check of the world failed.
pub const UNDONE: u8 = 1;

#[derive(Parser)]
#[command(name = "holdpoint", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Try it: a simulated site, the Vault runbook, nothing to configure
    Demo(lab::demo::Args),
    /// Play a runbook on a lab, with faults, and say what caught them
    Rehearse(lab::rehearse::Args),
    /// Take a picture of a site that a rehearsal starts from: no secrets, nothing is changed
    Survey(survey::Args),
    /// The simulated site by itself
    Lab {
        #[command(subcommand)]
        verb: lab::Verb,
    },
    /// Open the cockpit on a runbook
    Run(run::Args),
    /// Take up a run again that was left, or whose process ended
    Resume(resume::Args),
    /// Watch the soak of a run that was left; nothing begins behind it
    Soak(resume::SoakArgs),
    /// List runs: how each stands, and where
    Runs(runs::Args),
    /// Watch a site, without a runbook; nothing is executed
    Watch(run::WatchArgs),
    /// Check runbooks
    Check(check::Args),
    /// Print a runbook as a Markdown plan
    Plan(plan::Args),
    /// Check reach, identity, rights and tokens before a change
    Doctor(doctor::Args),
    /// Say whether a run's journal is whole
    Verify(verify::Args),
    /// Print a JSON schema, or the names that expressions may use
    Schema(schema::Args),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// Parses the arguments and runs.
#[must_use]
pub fn main() -> ExitCode {
    // One TLS provider for every client, before any is built; a second call is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    print::end(verb(Cli::parse().verb))
}

fn verb(verb: Verb) -> ExitCode {
    match verb {
        Verb::Demo(args) => lab::demo::run(&args),
        Verb::Rehearse(args) => lab::rehearse::run(&args),
        Verb::Survey(args) => survey::run(&args),
        Verb::Lab { verb } => lab::run(&verb),
        Verb::Run(args) => run::run(&args),
        Verb::Resume(args) => resume::run(&args),
        Verb::Soak(args) => resume::soak(&args),
        Verb::Runs(args) => runs::run(&args),
        Verb::Watch(args) => run::watch(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Plan(args) => plan::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Verify(args) => verify::run(&args),
        Verb::Schema(args) => schema::run(&args),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "holdpoint", &mut text);
            out!("{}", String::from_utf8_lossy(&text));
            ExitCode::SUCCESS
        }
    }
}

/// Something went wrong that the person at the keyboard can mend.
pub(crate) fn refuse(why: &str) -> ExitCode {
    errln!("holdpoint: {why}");
    ExitCode::from(INPUT)
}

/// Waits for what asks a site. A disk or server that hangs must not hang the exit.
pub(crate) fn waited<T>(
    runtime: Result<tokio::runtime::Runtime, String>,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    let runtime = runtime?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(done)
}

/// The same for what is done or not: how the process ends.
pub(crate) fn ended(
    runtime: Result<tokio::runtime::Runtime, String>,
    work: impl Future<Output = Result<bool, String>>,
) -> ExitCode {
    match waited(runtime, work).and_then(|done| done) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNDONE),
        Err(why) => refuse(&why),
    }
}

/// The async runtime: two threads suffice for waiting.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("the runtime cannot be started: {e}"))
}
