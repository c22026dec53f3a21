//! A run on a lab that nobody watches: as fast as it can be lived through, the same for the
//! same seed.

use crate::cli::run::params;
use crate::event::{Actor, Entry, Event, FORMAT, Header, Mode, StepAddr, Time};
use crate::journal::read_bytes;
use crate::lab::faults::{Fault, Start, fault};
use crate::lab::{self, Lab, World, site as labsite};
use crate::problem::render;
use crate::report::{Struck, rehearsal};
use crate::run::{State, Status};
use crate::runbook::load;
use crate::session::{Answers, Engine, Handle, Keep, Live, Opening, open, unattended};
use crate::site::Site;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The runbook of a demo.
pub const RUNBOOK: &str = include_str!("../../../runbooks/vault-raft-to-block.toml");
/// A soak of the lab: days of watching teach nothing there.
pub const SOAK: &str = "10m";
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
        rehearsal(&self.entries, &self.struck, &how)
    }
}

/// The lab's own parameters for a runbook that has them; `manifest`: its machine has one.
pub(crate) fn lab_params(
    text: &str,
    given: &[String],
    manifest: bool,
) -> Result<Vec<String>, String> {
    let runbook = load(text).map_err(|p| format!("{} problems", p.len()))?.runbook;
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
    Ok(own.map(|(name, value)| format!("{name}={value}")).chain(given.iter().cloned()).collect())
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
        site_values: site.json_values(),
        pins: BTreeMap::new(),
        mode: Mode::Write,
        version: env!("CARGO_PKG_VERSION").into(),
        opened_by: actor,
        continues: None,
    }
}

/// Plays it to its end, or to where its operator stops. On a runtime whose time is paused.
pub async fn play(play: Play, out: &mut dyn FnMut(String)) -> Result<Played, String> {
    let Play { text, path, params: given, site, world, faults, answers, runs, nonce } = play;
    let loaded = load(&text).map_err(|p| render(&path, &text, &p))?;
    let manifest = world.files.get(labsite::MANIFEST.as_ref()).is_some();
    let given = lab_params(&text, &given, manifest)?;
    let values = params(&loaded.runbook, &given)?;
    let actor = Actor::File { path: "rehearsal".into() };
    let header = header(&text, &path, values, &site, actor.clone());
    let clock = lab::clock(world.now);
    let lab = Lab::new(world, Arc::clone(&clock));
    let driven = lab.clone();
    let drive = tokio::spawn(async move { driven.drive().await });
    let remote = lab::open(&lab, site, Arc::clone(&clock));
    let header = Header { pins: remote.identities().await, ..header };
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = if runs.is_some() { Keep::Loosely } else { Keep::Memory(Arc::clone(&kept)) };
    let in_file = runs.is_some();
    let runbook = Arc::new(loaded.runbook);
    let runs = runs.unwrap_or_default();
    let opening = Opening { runs, header, runbook, nonce, clock, keep };
    let (state, writer, dir) = open(opening).await.map_err(|e| e.to_string())?;
    let (handle, task) = Engine::start(state, writer, Arc::new(remote));
    let struck = Arc::new(Mutex::new(Vec::new()));
    let strikes: Vec<_> = faults
        .into_iter()
        .map(|f| tokio::spawn(strike(f, lab.clone(), handle.live.clone(), Arc::clone(&struck))))
        .collect();
    let done = unattended(&handle, &actor, &answers, out).await;
    strikes.iter().for_each(tokio::task::JoinHandle::abort);
    let state = Arc::clone(&handle.live.borrow().state);
    handle.close();
    end(handle, task).await;
    drive.abort();
    let bytes = match in_file {
        true => std::fs::read(dir.join(crate::journal::FILE)).map_err(|e| e.to_string())?,
        false => std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    let entries = read_bytes(&bytes).map_err(|e| e.to_string())?.entries;
    let struck = struck.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let journal = in_file.then_some(dir);
    Ok(Played { done, entries, struck, state, lab, journal })
}

async fn end(handle: Handle, task: tokio::task::JoinHandle<()>) {
    drop(handle);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), task).await;
}

/// Lets a fault begin and heal when it is to.
pub(crate) async fn strike(
    what: Fault,
    lab: Lab,
    mut live: watch::Receiver<Live>,
    struck: Arc<Mutex<Vec<Struck>>>,
) {
    match &what.start {
        Start::After(span) => tokio::time::sleep(span.duration()).await,
        Start::Step(place) => loop {
            if turn(&live.borrow_and_update().state, place) {
                break;
            }
            if live.changed().await.is_err() {
                return;
            }
        },
    }
    let name = what.kind.name;
    let at = lab.with(|world| {
        fault(world, name, true);
        world.now
    });
    let mine = {
        let mut all = struck.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Struck { name: name.into(), at, over: None });
        all.len() - 1
    };
    let Some(lasts) = what.lasts else { return };
    tokio::time::sleep(lasts.duration()).await;
    let over = lab.with(|world| {
        fault(world, name, false);
        world.now
    });
    if let Some(s) = struck.lock().unwrap_or_else(PoisonError::into_inner).get_mut(mine) {
        s.over = Some(over);
    }
}

/// That step's turn has come: `phase/step`, of whatever item.
fn turn(state: &State, place: &str) -> bool {
    state.current().is_some_and(|step| {
        let begun = state.steps.get(&step).is_some_and(|s| s.status != Status::Pending);
        begun && StepAddr { item: None, ..step }.to_string() == place
    })
}

/// How the run ended, by its last entry.
#[must_use]
pub fn ended(entries: &[Entry]) -> Option<bool> {
    entries.iter().rev().find_map(|e| match e.event {
        Event::Ended { done } => Some(done),
        _ => None,
    })
}
