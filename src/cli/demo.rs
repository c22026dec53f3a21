//! `holdpoint demo`: the Vault runbook on a lab.

use crate::cli::conduct::{Conduct, conduct, stage};
use crate::cli::run::params;
use crate::cli::{UNDONE, refuse, site};
use crate::event::{Actor, FORMAT, Header, Mode, Role, Time};
use crate::lab::{self, Lab, pace, site as labsite};
use crate::run::{State, Status};
use crate::runbook::load;
use crate::session::{Answers, Handle};
use std::collections::BTreeMap;
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
    /// Draw with ASCII signs only; so it is too where the locale is not UTF-8
    #[arg(long)]
    ascii: bool,
    /// Directory for runs; default: $XDG_STATE_HOME/holdpoint/runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

const RUNBOOK: &str = include_str!("../../runbooks/vault-raft-to-block.toml");
/// A soak of the demo; of the site's own time, which a soak runs through faster.
const SOAK: &str = "10m";
/// How many times as fast time goes while a soak is watched.
const FASTER: u32 = 100;
/// When a lab that nobody watches begins: a Saturday evening.
const BEGINS: Time = Time(1_777_150_800_000);

pub(crate) fn run(args: &Args) -> ExitCode {
    let runtime = match pace::runtime() {
        Ok(runtime) => runtime,
        Err(e) => return refuse(&format!("the runtime cannot be started: {e}")),
    };
    let code = match runtime.block_on(session(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNDONE),
        Err(why) => refuse(&why),
    };
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

async fn session(args: &Args) -> Result<bool, String> {
    let loaded = load(RUNBOOK).map_err(|_| "the runbook within is broken")?;
    let runbook = Arc::new(loaded.runbook);
    let given = [
        ("manifest", labsite::MANIFEST),
        ("anchor_dir", labsite::ANCHORS),
        ("second_copy", labsite::SECOND_COPY),
        ("soak", SOAK),
    ];
    let given: Vec<String> = given.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let params = params(&runbook, &given)?;
    let start = if args.headless { BEGINS } else { site::clock()() };
    let clock = lab::clock(start);
    let actor = match args.headless {
        true => Actor::File { path: "demo".into() },
        false => Actor::Person { name: site::user(), role: Role::Driver },
    };
    let header = Header {
        format: FORMAT,
        run: String::new(),
        runbook: RUNBOOK.into(),
        runbook_path: "demo".into(),
        params,
        site: "lab".into(),
        site_values: BTreeMap::new(),
        pins: BTreeMap::new(),
        mode: Mode::Write,
        version: env!("CARGO_PKG_VERSION").into(),
        opened_by: actor,
        continues: None,
    };
    let (speed, paced) = watch::channel(1);
    let stage = match args.headless {
        true => None,
        false => {
            tokio::spawn(pace::drive(paced));
            Some(stage(&header, &runbook, args.ascii, start)?)
        }
    };
    let lab = Lab::new(labsite::world(args.seed, start), Arc::clone(&clock));
    let driven = lab.clone();
    tokio::spawn(async move { driven.drive().await });
    let site = crate::site::parse(&labsite::site_file())
        .map_err(|p| format!("the lab's site file is broken: {p:?}"))?;
    let remote = lab::open(&lab, site, clock);
    let header = Header { pins: remote.identities().await, ..header };
    let answers = args
        .headless
        .then(|| Answers::everything(BTreeMap::from([("statefulset/how".into(), "here".into())])));
    let begun: Box<dyn FnOnce(&Handle)> = Box::new(move |handle| {
        tokio::spawn(hurry(handle.live.clone(), speed));
    });
    let runs = site::runs(args.state.as_deref());
    let inline = args.headless;
    conduct(Conduct { remote, runbook, header, runs, inline, answers, stage, begun }).await
}

/// Time goes faster while there is nothing to do but to watch.
async fn hurry(mut live: watch::Receiver<crate::session::Live>, speed: watch::Sender<u32>) {
    while live.changed().await.is_ok() {
        let times = if soaks(&live.borrow_and_update().state) { FASTER } else { 1 };
        speed.send_if_modified(|s| std::mem::replace(s, times) != times);
    }
}

fn soaks(state: &State) -> bool {
    let step = state.current().and_then(|addr| state.steps.get(&addr).map(|s| s.status));
    step == Some(Status::Running) && state.running.is_none()
}
