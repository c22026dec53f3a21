//! `holdpoint demo`: the Vault runbook on a lab, nothing to configure.

use crate::cli::lab::on_lab_time;
use crate::cli::lab::play::{BEGINS, Play, RUNBOOK, play};
use crate::cli::lab::rehearse::{everything, lab_site};
use crate::cli::lab::screen::{Screen, screen};
use crate::cli::{print, site};
use crate::lab::site as labsite;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Play it all without a person and print what happens; the same seed prints the same
    #[arg(long)]
    headless: bool,
    /// What chance does
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times as fast as a clock on the wall the lab's time goes; while a soak is
    /// watched it is fifty times at least
    #[arg(long, value_name = "TIMES", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=20), conflicts_with = "headless")]
    speed: u32,
    /// Draw with ASCII signs only; so it is too where the locale is not UTF-8
    #[arg(long)]
    ascii: bool,
    /// Directory for runs; default: $XDG_STATE_HOME/holdpoint/runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match args.headless {
        true => on_lab_time(headless(args)),
        false => on_lab_time(cockpit(args)),
    }
}

/// What stands for its runbook's path.
pub(crate) const DEMO: &str = "demo";

async fn headless(args: &Args) -> Result<bool, String> {
    let what = Play {
        text: RUNBOOK.into(),
        path: DEMO.into(),
        params: Vec::new(),
        site: lab_site()?,
        world: labsite::world(args.seed, BEGINS),
        faults: Vec::new(),
        answers: everything(),
        runs: args.state.clone(),
        nonce: site::nonce(),
    };
    let mut out = print::line;
    let played = play(what, &mut out).await?;
    played.report().iter().for_each(|line| outln!("{line}"));
    Ok(played.well())
}

async fn cockpit(args: &Args) -> Result<bool, String> {
    let seed = args.seed;
    let what = Screen {
        text: RUNBOOK.into(),
        path: DEMO.into(),
        params: Vec::new(),
        manifest: true,
        site: lab_site()?,
        identity: Some(labsite::identity(seed, "")),
        start: site::clock()(),
        world: Box::new(move |start| labsite::world(seed, start)),
        faults: Vec::new(),
        speed: args.speed,
        ascii: args.ascii,
        runs: site::runs(args.state.as_deref()),
    };
    screen(what).await
}
