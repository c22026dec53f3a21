//! A run from its header to its end, whatever it runs on: what `run`, `watch`, `demo` and
//! `rehearse` have in common.

use crate::cli::{print, signals, site};
use crate::event::{Actor, Header, Time};
use crate::journal::{Health, HealthState};
use crate::remote::Remote;
use crate::run::{Intent, State};
use crate::runbook::model::Runbook;
use crate::session::{
    Answers, Engine, Handle, Keep, Live, Opening, Reopened, Resumed, Stage, open, plain, tui,
};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What wants to know of a run that has begun, and of its directory.
pub(crate) type Begun = Box<dyn FnOnce(&Handle, &Path)>;

/// A run to be.
pub(crate) struct Conduct {
    pub(crate) remote: Remote,
    pub(crate) begin: Begin,
    /// Who is at it.
    pub(crate) actor: Actor,
    pub(crate) answers: Option<Answers>,
    /// The terminal, if it is full screen; else it goes line by line.
    pub(crate) stage: Option<Stage>,
    /// What its person should know first.
    pub(crate) notice: Option<String>,
    /// Told of the run and its directory when it has begun.
    pub(crate) begun: Begun,
}

/// How it begins.
pub(crate) enum Begin {
    /// With a journal of its own.
    New {
        runbook: Arc<Runbook>,
        /// Seq 0, without its run id.
        header: Box<Header>,
        /// Directory of all runs.
        runs: PathBuf,
        /// How its journal is kept.
        keep: Keep,
    },
    /// Where the last process left it.
    /// With what is asked then, before anything happens by itself.
    Again(Box<Reopened>, Option<Intent>),
}

/// Takes the terminal, if it can draw a screen, and shows the run as it will begin. `instead` is
/// what does without one.
pub(crate) fn stage(state: &State, ascii: bool, now: Time, instead: &str) -> Result<Stage, String> {
    if !std::io::stdout().is_terminal() {
        return Err(format!("this is no terminal; use {instead}"));
    }
    let (look, term) = site::look(ascii);
    if term == "dumb" {
        return Err(format!("this terminal (TERM=dumb) cannot draw a screen; use {instead}"));
    }
    Stage::open(state, look, now)
}

/// What was to be accepted is not, and nothing may look as if it were.
fn not_accepted(live: &Live) -> String {
    let refused = live.state.refused.as_ref().map(|(_, why, _)| why.clone());
    let why = live.show_only.clone().or(refused).unwrap_or_default();
    format!("the changed runbook is not accepted: {why}")
}

/// Opens the journal and runs until the change is done or its person leaves; true if it
/// was done.
pub(crate) async fn conduct(run: Conduct) -> Result<bool, String> {
    let Conduct { remote, begin, actor, answers, mut stage, begun, mut notice } = run;
    let clock = Arc::clone(&remote.clock);
    let (handle, task, dir) = match begin {
        Begin::New { runbook, header, runs, keep } => {
            let header = *header;
            let opening = Opening { runs, header, runbook, nonce: site::nonce(), clock, keep };
            let (state, writer, dir) = open(opening).await.map_err(|e| e.to_string())?;
            let new = Resumed {
                state,
                writer,
                show_only: None,
                first: None,
                then: None,
                dir: Some(dir.clone()),
            };
            let (handle, task) = Engine::resume(new, Arc::new(remote));
            (handle, task, dir)
        }
        Begin::Again(run, then) => {
            let (dir, left, text) = (run.dir.clone(), run.state.seq, run.state.redlined.clone());
            let asks = then.is_some();
            let mut resumed =
                run.resume(actor.clone(), clock, &Keep::Durable).map_err(|e| e.to_string())?;
            resumed.then = then.map(|intent| (actor.clone(), intent));
            let (handle, task) = Engine::resume(resumed, Arc::new(remote));
            // What the last process left is not what this one goes on from.
            let mut live = handle.live.clone();
            let taken_up = live.wait_for(|now| {
                let s = &now.state;
                let answered = !asks || s.redlined != text || s.refused.is_some();
                s.seq > left && answered || now.show_only.is_some()
            });
            match &mut stage {
                None => drop(taken_up.await),
                Some(stage) => {
                    if stage.behind(taken_up).await.is_none() {
                        return Ok(false);
                    }
                }
            }
            if asks && handle.live.borrow().state.redlined == text {
                notice = Some(not_accepted(&handle.live.borrow()));
            }
            (handle, task, dir)
        }
    };
    begun(&handle, &dir);
    let goes_on = tokio::spawn(signals::goes_on(handle.clone()));
    let done = match stage {
        None => line_by_line(&handle, &dir, &actor, answers.as_ref(), notice).await,
        Some(stage) => {
            let done = match tui(stage, handle.clone(), &actor, notice).await {
                Ok(done) => done,
                Err(why) => {
                    handle.leave().await;
                    return Err(why);
                }
            };
            let dir = handle.dir().unwrap_or_else(|| dir.clone());
            outln!("journal: {}", dir.display());
            done
        }
    };
    handle.leave().await;
    goes_on.abort();
    let last = handle.live.borrow().clone();
    let health = handle.close();
    match last.damaged {
        // What was only looked at lacks nothing that it had.
        true => errln!("holdpoint: {}: {}", last.way_out(), dir.display()),
        false => lacks(last.show_only, &health, &dir),
    }
    drop(handle);
    // The loop ends when its last handle is gone; what it has in hand is bounded.
    let _ = tokio::time::timeout(Duration::from_secs(3), task).await;
    Ok(done)
}

/// The run without a screen, until it is done or left; whether it was done.
async fn line_by_line(
    handle: &Handle,
    dir: &Path,
    actor: &Actor,
    answers: Option<&Answers>,
    notice: Option<String>,
) -> bool {
    outln!("journal: {}", dir.display());
    notice.iter().for_each(|notice| outln!("{notice}"));
    let stops = tokio::spawn(signals::stops(handle.clone()));
    let mut print = print::line;
    let done = tokio::select! {
        done = plain(handle, actor, answers, &mut print) => done,
        () = signals::ends(handle) => {
            errln!("holdpoint: told to end; the run stays open in its journal: {}", dir.display());
            false
        }
    };
    stops.abort();
    if !done && print::lost() {
        errln!(
            "holdpoint: nobody reads the output any more; the run was left as soon as nothing \
             ran, and stays open in its journal: {}",
            dir.display()
        );
    }
    done
}

/// Says what the journal may lack: a run that goes on from it goes on without that.
fn lacks(lost: Option<String>, health: &Health, dir: &Path) {
    let hangs = matches!(health.state, HealthState::Waiting { .. });
    let hangs = hangs.then(|| "the journal did not answer when it was closed".to_owned());
    let Some(why) = lost.or(hangs) else { return };
    let since = match health.synced_seq {
        Some(seq) => format!("what came after entry {seq} may not be recorded"),
        None => "nothing of this is recorded".into(),
    };
    errln!(
        "holdpoint: {since}: {why}; holdpoint resume goes on from what is there: {}",
        dir.display()
    );
}
