//! A run on a lab that nobody watches: as fast as it can be lived through, the same for the
//! same seed.

use crate::cli::lab::strike::strike;
use crate::cli::run::{params, slot};
use crate::event::{Actor, Entry, Event, FORMAT, Header, Mode, Span, Time};
use crate::journal::read_bytes;
use crate::lab::faults::Fault;
use crate::lab::{self, Lab, World, site as labsite};
use crate::problem::render;
use crate::report::{Struck, rehearsal};
use crate::run::State;
use crate::runbook::load;
use crate::runbook::model::Runbook;
use crate::session::{Answers, Engine, Handle, Keep, Opening, Out, open, unattended};
use crate::site::Site;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// The runbook of a demo.
pub const RUNBOOK: &str = include_str!("../../../runbooks/vault-raft-to-block.toml");
/// A soak of the lab: days of watching teach nothing there.
pub const SOAK: &str = "4m";
/// How long a rehearsal waits for what does not move.
const PATIENCE: Span = Span::secs(300);
/// When a lab that nobody watches begins: a Saturday evening.
pub const BEGINS: Time = Time(1_777_150_800_000);

/// What is played.
pub struct Play {
    /// The runbook's text.
    pub text: String,
    /// Where it came from, for messages.
    pub path: String,
    /// Parameters, `NAME=VALUE`; the lab's own where they are not given.
    pub params: Vec<String>,
    /// How things are reached.
    pub site: Site,
    /// The world it begins in.
    pub world: World,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What its operator does.
    pub answers: Answers,
    /// Directory for its journal; none keeps none.
    pub runs: Option<PathBuf>,
    /// Of its run id.
    pub nonce: String,
}

/// How it went.
pub struct Played {
    /// The change was done.
    pub done: bool,
    /// Every entry of its journal.
    pub entries: Vec<Entry>,
    /// The faults that came.
    pub struck: Vec<Struck>,
    /// Those that were to come, in words.
    pub wanted: Vec<String>,
    /// The last state.
    pub state: Arc<State>,
    /// The world afterwards.
    pub lab: Lab,
    /// Where its journal lies.
    pub journal: Option<PathBuf>,
}

impl Played {
    /// What a person reads afterwards.
    #[must_use]
    pub fn report(&self) -> Vec<String> {
        let how = match (&self.state.aborted, self.done) {
            (_, true) => "ended: every step is done and verified".to_owned(),
            (Some(why), _) => format!("was given up: {why}"),
            (None, false) => match self.state.current() {
                Some(step) => {
                    let status = self.state.steps.get(&step).map(|s| s.status.to_string());
                    format!("stopped at {step}, {}", status.unwrap_or_default())
                }
                None => "stopped between steps".to_owned(),
            },
        };
        let mut lines = told(&self.entries, &self.struck, &self.wanted, &how);
        lines.extend(read(&self.lab));
        lines
    }
}

/// The end of a rehearsal, for a person; a fault that never came is no good news.
pub(crate) fn told(
    entries: &[Entry],
    struck: &[Struck],
    wanted: &[String],
    how: &str,
) -> Vec<String> {
    let mut lines = rehearsal(entries, struck, how);
    let mut came: Vec<&str> = struck.iter().map(|s| s.asked.as_str()).collect();
    for fault in wanted {
        match came.iter().position(|asked| asked == fault) {
            Some(n) => drop(came.swap_remove(n)),
            None => lines.push(format!("fault {fault} never began: the run ended before")),
        }
    }
    lines
}

/// Files of this machine that were read as their step came.
pub(crate) fn read(lab: &Lab) -> Vec<String> {
    let read = lab.with(|world| world.read.clone());
    read.iter().map(|path| format!("read from this machine: {}", path.display())).collect()
}

/// Faults as they were asked for.
pub(crate) fn named(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|f| format!("{}@{}", f.kind.name, f.start)).collect()
}

/// Refuses a fault that is to begin at a step that the runbook does not have.
pub(crate) fn placed(runbook: &Runbook, faults: &[Fault]) -> Result<(), String> {
    for fault in faults {
        let Some(place) = fault.start.step() else { continue };
        let Some((phase, step)) = place.split_once('/') else { continue };
        let phase = phase.split('[').next().unwrap_or_default();
        let steps = runbook.phases.iter().filter(|p| p.id == phase).flat_map(|p| &p.steps);
        if !steps.into_iter().any(|s| s.id == step) {
            return Err(format!(
                "the runbook has no step {place}, at which {0} would begin; say when: {0}@90s, or \
                 {0}@phase/step",
                fault.kind.name
            ));
        }
    }
    Ok(())
}

/// The lab's own parameters for a runbook that has them; `manifest`: its machine has one.
pub(crate) fn lab_params(runbook: &Runbook, given: &[String], manifest: bool) -> Vec<String> {
    let own = [
        ("manifest", labsite::MANIFEST),
        ("anchor_dir", labsite::ANCHORS),
        ("second_copy", labsite::SECOND_COPY),
        ("soak", SOAK),
    ];
    let named = |name: &str| given.iter().any(|g| g.split('=').next() == Some(name));
    let own = own.iter().filter(|(name, _)| {
        runbook.params.contains_key(*name) && !named(name) && (manifest || *name != "manifest")
    });
    own.map(|(name, value)| format!("{name}={value}")).chain(given.iter().cloned()).collect()
}

/// The header of a run on a lab.
pub(crate) fn header(
    text: &str,
    path: &str,
    params: BTreeMap<String, serde_json::Value>,
    site: &Site,
    actor: Actor,
) -> Header {
    Header {
        format: FORMAT,
        run: String::new(),
        runbook: text.to_owned(),
        runbook_path: path.to_owned(),
        params,
        site: site.name.clone(),
        site_from: String::new(),
        window: None,
        site_values: site.json_values(),
        pins: BTreeMap::new(),
        mode: Mode::Write,
        version: env!("CARGO_PKG_VERSION").into(),
        opened_by: actor,
        continues: None,
    }
}

/// A run that is being played.
pub struct Playing {
    /// The way to its loop.
    pub handle: Handle,
    /// The world that it is about.
    pub lab: Lab,
    task: JoinHandle<()>,
    /// The world's own life, and the faults that are to come.
    beside: Vec<JoinHandle<()>>,
    struck: Arc<Mutex<Vec<Struck>>>,
    wanted: Vec<String>,
    kept: Option<Arc<Mutex<Vec<u8>>>>,
    dir: PathBuf,
}

/// Plays it to its end, or to where its operator stops. On a runtime whose time is paused.
pub async fn play(play: Play, out: &mut Out<'_>) -> Result<Played, String> {
    let mut answers = play.answers.clone();
    // Nobody mends anything there: what stands still for so long does for good.
    answers.patience.get_or_insert(PATIENCE);
    let actor = Actor::File { path: "rehearsal".into() };
    let playing = begin(play, actor.clone()).await?;
    let done = unattended(&playing.handle, &actor, &answers, out).await;
    playing.end(done).await
}

/// Opens it: from now on whoever holds it does what an operator does.
pub async fn begin(play: Play, actor: Actor) -> Result<Playing, String> {
    let Play { text, path, params: given, site, world, faults, answers: _, runs, nonce } = play;
    let loaded = load(&text).map_err(|p| render(&path, &text, &p))?;
    placed(&loaded.runbook, &faults)?;
    let manifest = world.files.get(labsite::MANIFEST.as_ref()).is_some();
    let values = params(&loaded.runbook, &lab_params(&loaded.runbook, &given, manifest))?;
    let header = header(&text, &path, values, &site, actor);
    let clock = lab::clock(world.now);
    let lab = Lab::new(world, Arc::clone(&clock));
    let driven = lab.clone();
    let mut beside = vec![tokio::spawn(async move { driven.drive().await })];
    let remote = lab::open(&lab, site, Arc::clone(&clock));
    let window = slot(&loaded.runbook, None, clock())?;
    let header = Header { pins: remote.identities().await, window, ..header };
    let kept = runs.is_none().then(Arc::default);
    let keep = kept.as_ref().map_or(Keep::Loosely, |kept| Keep::Memory(Arc::clone(kept)));
    let runbook = Arc::new(loaded.runbook);
    let runs = runs.unwrap_or_default();
    let opening = Opening { runs, header, runbook, nonce, clock, keep };
    let (state, writer, dir) = open(opening).await.map_err(|e| e.to_string())?;
    let (handle, task) = Engine::start(state, writer, Arc::new(remote));
    let (struck, wanted) = (Arc::default(), named(&faults));
    if !faults.is_empty() {
        let (lab, live, struck) = (lab.clone(), handle.live.clone(), Arc::clone(&struck));
        beside.push(tokio::spawn(strike(faults, lab, live, struck)));
    }
    Ok(Playing { handle, lab, task, beside, struck, wanted, kept, dir })
}

impl Playing {
    /// Closes it.
    pub async fn end(self, done: bool) -> Result<Played, String> {
        let Self { handle, lab, task, beside, struck, wanted, kept, dir } = self;
        let state = Arc::clone(&handle.live.borrow().state);
        handle.close();
        end(handle, task).await;
        beside.iter().for_each(JoinHandle::abort);
        let (bytes, journal) = match kept {
            Some(kept) => {
                let bytes =
                    std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
                (bytes, None)
            }
            None => {
                let bytes = std::fs::read(dir.join(crate::journal::FILE));
                (bytes.map_err(|e| e.to_string())?, Some(dir))
            }
        };
        let entries = read_bytes(&bytes).map_err(|e| e.to_string())?.entries;
        let struck = struck.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Played { done, entries, struck, wanted, state, lab, journal })
    }
}

async fn end(handle: Handle, task: JoinHandle<()>) {
    drop(handle);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), task).await;
}

/// How the run ended, by its last entry.
#[must_use]
pub fn ended(entries: &[Entry]) -> Option<bool> {
    entries.iter().rev().find_map(|e| match e.event {
        Event::Ended { done } => Some(done),
        _ => None,
    })
}
