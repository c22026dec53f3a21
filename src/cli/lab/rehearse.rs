//! `holdpoint rehearse`: tonight's change with tonight's failures, on a lab.

use crate::cli::check::read;
use crate::cli::lab::on_lab_time;
use crate::cli::lab::play::{BEGINS, Play, play};
use crate::cli::{refuse, site};
use crate::lab::faults::Fault;
use crate::lab::site as labsite;
use crate::problem::render;
use crate::session::{Answers, parse_answers};
use crate::site::Site;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `rehearse`.
#[derive(clap::Args)]
pub struct Args {
    /// Runbook file
    runbook: PathBuf,
    /// What goes wrong: NAME, NAME@90s or NAME@phase/step, with ,for=2m behind it if it heals; may be given
    /// several times; `holdpoint lab faults` lists them
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// What chance does
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A parameter, NAME=VALUE; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Answers; without it everything that can be released is
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Keep the journal in this directory for runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let text = match read(&args.runbook) {
        Ok(text) => text,
        Err(why) => return refuse(&format!("{}: {why}", args.runbook.display())),
    };
    on_lab_time(session(args, text))
}

async fn session(args: &Args, text: String) -> Result<bool, String> {
    let faults = args.faults.iter().map(|f| f.parse()).collect::<Result<Vec<Fault>, String>>()?;
    let what = Play {
        text,
        path: args.runbook.display().to_string(),
        params: args.params.clone(),
        site: lab_site()?,
        world: labsite::world(args.seed, BEGINS),
        faults,
        answers: answers(args)?,
        runs: args.state.clone(),
        nonce: site::nonce(),
    };
    let mut out = |line: String| println!("{line}");
    let played = play(what, &mut out).await?;
    played.report().iter().for_each(|line| println!("{line}"));
    if let Some(journal) = &played.journal {
        println!("journal: {}", journal.display());
    }
    Ok(played.done)
}

fn answers(args: &Args) -> Result<Answers, String> {
    let Some(path) = &args.answers else { return Ok(everything()) };
    let name = path.display().to_string();
    let text = read(path).map_err(|e| format!("{name}: {e}"))?;
    parse_answers(&text).map_err(|p| render(&name, &text, &p))
}

/// An operator who releases whatever can be released.
#[must_use]
pub fn everything() -> Answers {
    Answers::everything(BTreeMap::from([("statefulset/how".into(), "here".into())]))
}

/// The lab's own site.
pub fn lab_site() -> Result<Site, String> {
    crate::site::parse(&labsite::site_file())
        .map_err(|p| format!("the lab's site file is broken: {p:?}"))
}
