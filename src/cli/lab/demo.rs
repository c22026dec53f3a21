//! `holdpoint demo`: the Vault runbook on a lab, nothing to configure.

use crate::cli::conduct::{Conduct, conduct, stage};
use crate::cli::lab::on_lab_time;
use crate::cli::lab::play::{BEGINS, Play, RUNBOOK, header, lab_params, play};
use crate::cli::lab::rehearse::{everything, lab_site};
use crate::cli::run::params;
use crate::cli::site;
use crate::event::{Actor, Header, Role};
use crate::lab::{self, Lab, pace, site as labsite};
use crate::run::{State, Status};
use crate::runbook::load;
use crate::session::{Handle, Keep, Live};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::watch;

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

/// How many times as fast time goes while a soak is watched.
const FASTER: u32 = 50;

pub(crate) fn run(args: &Args) -> ExitCode {
    match args.headless {
        true => on_lab_time(headless(args)),
        false => on_lab_time(cockpit(args)),
    }
}

async fn headless(args: &Args) -> Result<bool, String> {
    let what = Play {
        text: RUNBOOK.into(),
        path: "demo".into(),
        params: Vec::new(),
        site: lab_site()?,
        world: labsite::world(args.seed, BEGINS),
        faults: Vec::new(),
        answers: everything(),
        runs: args.state.clone(),
        nonce: site::nonce(),
    };
    let mut out = |line: String| println!("{line}");
    let played = play(what, &mut out).await?;
    played.report().iter().for_each(|line| println!("{line}"));
    Ok(played.done)
}

async fn cockpit(args: &Args) -> Result<bool, String> {
    let loaded = load(RUNBOOK).map_err(|_| "the runbook within is broken")?;
    let runbook = Arc::new(loaded.runbook);
    let values = params(&runbook, &lab_params(RUNBOOK, &[], true)?)?;
    let site = lab_site()?;
    let actor = Actor::Person { name: site::user(), role: Role::Driver };
    let header = header(RUNBOOK, "demo", values, &site, actor);
    let start = site::clock()();
    let clock = lab::clock(start);
    let (speed, paced) = watch::channel(args.speed);
    tokio::spawn(pace::drive(paced));
    // Drawn before the lab is made: that takes a moment.
    let stage = Some(stage(&header, &runbook, args.ascii, start)?);
    let lab = Lab::new(labsite::world(args.seed, start), Arc::clone(&clock));
    let driven = lab.clone();
    tokio::spawn(async move { driven.drive().await });
    let remote = lab::open(&lab, site, clock);
    let header = Header { pins: remote.identities().await, ..header };
    let times = args.speed;
    let begun: Box<dyn FnOnce(&Handle)> = Box::new(move |handle| {
        tokio::spawn(hurry(handle.live.clone(), speed, times));
    });
    let runs = site::runs(args.state.as_deref());
    let keep = Keep::Durable;
    conduct(Conduct { remote, runbook, header, runs, keep, answers: None, stage, begun }).await
}

/// Time goes faster while there is nothing to do but to watch.
async fn hurry(mut live: watch::Receiver<Live>, speed: watch::Sender<u32>, ordinary: u32) {
    while live.changed().await.is_ok() {
        let times = if soaks(&live.borrow_and_update().state) { FASTER } else { ordinary };
        speed.send_if_modified(|s| std::mem::replace(s, times) != times);
    }
}

fn soaks(state: &State) -> bool {
    let step = state.current().and_then(|addr| state.steps.get(&addr).map(|s| s.status));
    step == Some(Status::Running) && state.running.is_none()
}
