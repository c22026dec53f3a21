//! `holdpoint rehearse`: tonight's change with tonight's failures, on a lab.

use crate::cli::check::read;
use crate::cli::lab::ground::{Ground, files, ground, needs};
use crate::cli::lab::on_lab_time;
use crate::cli::lab::play::{Play, Played, play};
use crate::cli::lab::screen::{Screen, screen};
use crate::cli::{print, refuse, site as cli_site};
use crate::lab::faults::{Fault, idle};
use crate::lab::site as labsite;
use crate::problem::render;
use crate::runbook::load;
use crate::session::{Answers, Out, parse_answers};
use crate::site::Site;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `rehearse`.
#[derive(clap::Args)]
pub struct Args {
    /// Runbook file
    runbook: PathBuf,
    /// Site: a name of the configuration, or a file; its names and values count, none of its
    /// addresses is contacted. Without it, those of the survey, or the lab's own
    #[arg(long)]
    site: Option<String>,
    /// Start from this survey, a file that `holdpoint survey` wrote; without it, from the lab's
    /// own site
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// What goes wrong: NAME, NAME@90s, NAME@phase/step or NAME@EVENT, with ,for=2m behind it if it
    /// heals; may be given several times. EVENT: election, soak, released:phase/step,
    /// done:phase/step; `holdpoint lab faults` lists and explains all of it
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// What chance does
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A parameter, NAME=VALUE; may be given several times. A value that is the path of a file of
    /// this machine, such as the manifest's, is read once; what is written stays in the lab
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Answers; without it everything that can be released is
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Play it without a person and print what happens; so it is too with answers, or where the
    /// output is no terminal
    #[arg(long)]
    headless: bool,
    /// How many times as fast as a clock on the wall the lab's time goes in the cockpit; while a soak is
    /// watched it is fifty times at least
    #[arg(long, value_name = "TIMES", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=20), conflicts_with = "headless")]
    speed: u32,
    /// Draw with ASCII signs only; so it is too where the locale is not UTF-8
    #[arg(long)]
    ascii: bool,
    /// Directory for runs; without a person none is kept unless it is given
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let text = match read(&args.runbook) {
        Ok(text) => text,
        Err(why) => return refuse(&why),
    };
    on_lab_time(session(args, text))
}

async fn session(args: &Args, text: String) -> Result<bool, String> {
    let faults = args.faults.iter().map(|f| f.parse()).collect::<Result<Vec<Fault>, String>>()?;
    let mut out = print::line;
    let answers = answers(args)?;
    let name = args.runbook.display().to_string();
    let runbook = load(&text).map_err(|p| render(&name, &text, &p))?.runbook;
    let found = ground(args.site.as_deref(), args.from.as_deref(), args.seed, &mut out)?;
    let Ground { site, mut world } = found;
    needs(&site, &runbook.needs)?;
    if site.values.is_empty() && args.from.is_some() && reads_values(&text) {
        out("  note: the runbook reads values of the site file (site.…), which no survey holds; give \
             --site as well".into());
    }
    files(&mut world, &args.params, &mut out)?;
    if let Some(why) = faults.iter().find_map(|f| idle(&world, f.kind.name)) {
        return Err(why);
    }
    let headless = args.headless || args.answers.is_some() || !std::io::stdout().is_terminal();
    if !headless {
        let manifest = world.files.get(&world.stage.manifest).is_some();
        let what = Screen {
            params: args.params.clone(),
            manifest,
            text,
            // It may be resumed from elsewhere.
            path: cli_site::absolute(&args.runbook),
            site,
            identity: labsite::identified(&world),
            start: world.now,
            world: Box::new(|_| world),
            faults,
            speed: args.speed,
            ascii: args.ascii,
            runs: cli_site::runs(args.state.as_deref()),
        };
        return screen(what).await;
    }
    let what = Play {
        text,
        path: name,
        params: args.params.clone(),
        site,
        world,
        faults,
        answers,
        runs: args.state.clone(),
        nonce: cli_site::nonce(),
    };
    let played = compared(what, &mut out).await?;
    played.report().iter().for_each(|line| outln!("{line}"));
    if let Some(journal) = &played.journal {
        outln!("journal: {}", journal.display());
    }
    Ok(played.well())
}

/// Plays it, and where there are faults once more without them, unseen: the difference is what
/// they did. Where that fails the run itself is told all the same.
pub async fn compared(what: Play, out: &mut Out<'_>) -> Result<Played, String> {
    let plain = (!what.faults.is_empty()).then(|| what.without_faults());
    let mut played = play(what, out).await?;
    if let Some(plain) = plain {
        played.compare(play(plain, &mut |_| true).await);
    }
    Ok(played)
}

/// Whether an expression of it may read the site file's values; comments may be taken for one.
fn reads_values(text: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = |at: usize| !text[..at].ends_with(|c| name(c) || c == '.' || c == '-');
    let goes_on = |at: usize| text[at + 5..].starts_with(name);
    text.match_indices("site.").any(|(at, _)| starts(at) && goes_on(at))
}

fn answers(args: &Args) -> Result<Answers, String> {
    let Some(path) = &args.answers else { return Ok(everything()) };
    let name = path.display().to_string();
    let text = read(path)?;
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
