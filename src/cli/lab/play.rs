//! A run on a lab that nobody watches: as fast as it can be lived through, the same for the
//! same seed.

use crate::cli::lab::strike::{missed, strike, struck};
use crate::cli::run::{params, slot};
use crate::event::{Actor, Entry, Event, FORMAT, Header, Mode, Span, Time};
use crate::journal::{self, Kept};
use crate::lab::faults::Fault;
use crate::lab::{self, Lab, World, site as labsite};
use crate::problem::render;
use crate::report::{Struck, rehearsal};
use crate::run::{State, over};
use crate::runbook::load;
use crate::runbook::model::Runbook;
use crate::runbook::types::nearest;
use crate::session::{Answers, Engine, Handle, Keep, Opening, Out, open, unattended};
use crate::site::Site;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
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

impl Play {
    /// The same without anything that goes wrong; nothing of it is kept.
    pub(crate) fn without_faults(&self) -> Self {
        Self {
            text: self.text.clone(),
            path: self.path.clone(),
            params: self.params.clone(),
            site: self.site.clone(),
            world: self.world.clone(),
            faults: Vec::new(),
            answers: self.answers.clone(),
            runs: None,
            nonce: self.nonce.clone(),
        }
    }
}

/// How it went.
pub struct Played {
    /// The change was done.
    pub done: bool,
    /// Every entry of its journal.
    pub entries: Vec<Entry>,
    /// The faults that came.
    pub struck: Vec<Struck>,
    /// The journal of the same run without any fault, where somebody played it.
    pub without: Option<Vec<Entry>>,
    /// Why nobody could, though somebody tried.
    pub alone: Option<String>,
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
            (_, true) => format!("ended: {}", over(&self.state)),
            (Some(why), _) => format!("was given up: {why}"),
            (None, false) => match self.state.current() {
                Some(step) => {
                    let status = self.state.steps.get(&step).map(|s| s.status.to_string());
                    format!("stopped at {step}, {}", status.unwrap_or_default())
                }
                None => "stopped between steps".to_owned(),
            },
        };
        let mut lines = told(&self.entries, &self.lab, self.without.as_deref(), &how);
        lines.extend(self.alone.iter().map(|why| {
            format!("it could not be compared with the same run without any fault: {why}")
        }));
        lines.extend(read(&self.lab));
        lines
    }

    /// How the same run without any fault went, or why nobody knows.
    pub fn compare(&mut self, other: Result<Self, String>) {
        match other {
            Ok(other) => self.without = Some(other.entries),
            Err(why) => self.alone = Some(why),
        }
    }

    /// What the change cost that it should not have, whatever the run says of itself.
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        self.lab.with(|world| world.losses())
    }

    /// It was done, and cost nothing.
    #[must_use]
    pub fn well(&self) -> bool {
        self.done && self.losses().is_empty()
    }
}

/// How a rehearsal ended that its person left open.
pub(crate) const LEFT: &str = "was left";

/// The end of a rehearsal, for a person; a fault that never came is no good news.
pub(crate) fn told(
    entries: &[Entry],
    lab: &Lab,
    without: Option<&[Entry]>,
    how: &str,
) -> Vec<String> {
    let (came, missed, losses) = lab.with(|world| (struck(world), missed(world), world.losses()));
    let mut lines = rehearsal(entries, &came, without, how);
    let never = |fault| match how {
        LEFT => format!("fault {fault} has not begun; resume goes on with it"),
        _ => format!("fault {fault} never began: the run ended before"),
    };
    lines.extend(missed.into_iter().map(never));
    lines.extend(losses.into_iter().map(|what| format!("LOST: {what}")));
    lines
}

/// Files of this machine that were read as their step came.
pub(crate) fn read(lab: &Lab) -> Vec<String> {
    let read = lab.with(|world| world.read.clone());
    read.iter().map(|path| format!("read from this machine: {}", path.display())).collect()
}

/// Refuses a fault that is to begin at a step or an item that the runbook does not have there.
pub(crate) fn placed(runbook: &Runbook, site: &Site, faults: &[Fault]) -> Result<(), String> {
    faults.iter().try_for_each(|fault| {
        let Some(place) = fault.start.step() else { return Ok(()) };
        lies(runbook, site, place).map_err(|why| {
            let name = fault.kind.name;
            format!("{why}; say when {name} begins: {name}@90s, or {name}@phase/step")
        })
    })
}

/// Whether there is such a place; if not, what is nearest.
fn lies(runbook: &Runbook, site: &Site, place: &str) -> Result<(), String> {
    let steps: Vec<String> = runbook
        .sections()
        .flat_map(|p| p.steps.iter().map(move |s| format!("{}/{}", p.id, s.id)))
        .collect();
    // An item may have any sign in its name, an id neither of these.
    let (open, shut) = (place.find('['), place.rfind("]/"));
    let (bare, item) = match (open, shut) {
        (Some(open), Some(shut)) if open < shut => {
            (format!("{}{}", &place[..open], &place[shut + 1..]), Some(&place[open + 1..shut]))
        }
        _ => (place.to_owned(), None),
    };
    if !steps.contains(&bare) {
        let near = nearest(&bare, steps.iter());
        return Err(format!("the runbook has no step {place}: {near}"));
    }
    let phase = bare.split('/').next().unwrap_or_default();
    let each = runbook.section(phase).and_then(|p| p.each.as_ref());
    match (item, each) {
        (Some(item), None) => Err(format!("{phase} is walked once, without {item}: write {bare}")),
        // What else items come from is not known before their phase opens.
        (Some(item), Some(each)) if each.of.text.contains("raft.voters") => {
            let voters = site.vault.iter().flat_map(|v| v.voter.get_ref());
            let names: Vec<String> = voters.map(|v| v.name.clone()).collect();
            match names.iter().any(|name| name == item) {
                true => Ok(()),
                false => Err(format!(
                    "the site has no voter {item} for {place}: {}",
                    nearest(item, names.iter())
                )),
            }
        }
        _ => Ok(()),
    }
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
        shows: site.shows(),
        pins: BTreeMap::new(),
        mode: Mode::Write,
        version: env!("CARGO_PKG_VERSION").into(),
        opened_by: actor,
        continues: None,
        scheduled: site.listed(),
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
    kept: Option<Kept>,
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
    let Play { text, path, params: given, site, mut world, faults, answers: _, runs, nonce } = play;
    let loaded = load(&text).map_err(|p| render(&path, &text, &p))?;
    placed(&loaded.runbook, &site, &faults)?;
    world.take_stock();
    world.plan(&faults);
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
    if !faults.is_empty() {
        beside.push(tokio::spawn(strike(lab.clone(), handle.live.clone())));
    }
    Ok(Playing { handle, lab, task, beside, kept, dir })
}

impl Playing {
    /// Closes it.
    pub async fn end(self, done: bool) -> Result<Played, String> {
        let Self { handle, lab, task, beside, kept, dir } = self;
        let state = Arc::clone(&handle.live.borrow().state);
        handle.close();
        end(handle, task).await;
        beside.iter().for_each(JoinHandle::abort);
        let (entries, journal) = match kept {
            Some(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                (std::mem::take(&mut *kept), None)
            }
            None => (journal::read(&dir).map_err(|e| e.to_string())?.entries, Some(dir)),
        };
        let struck = lab.with(|world| struck(world));
        Ok(Played { done, entries, struck, without: None, alone: None, state, lab, journal })
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
