//! A run on a lab in the cockpit: at the speed of a clock on the wall, faster while a soak is
//! watched.

use crate::cli::changed::{Changed, Wish, settled};
use crate::cli::conduct::{Begin, Begun, Conduct, conduct, stage};
use crate::cli::lab::demo::DEMO;
use crate::cli::lab::keeper::Keeper;
use crate::cli::lab::play::{LEFT, ended, header, lab_params, placed, read, told};
use crate::cli::lab::rehearse::lab_site;
use crate::cli::lab::strike::strike;
use crate::cli::run::{params, slot};
use crate::cli::site;
use crate::event::{Actor, Header, Role, Time};
use crate::journal::read_bytes;
use crate::lab::faults::{Fault, Planned};
use crate::lab::{self, Lab, World, beside, pace};
use crate::problem::render;
use crate::remote::{Clock, Remote};
use crate::run::{State, Status, over};
use crate::runbook::load;
use crate::session::{Keep, Live, Reopened, Stage, fold};
use crate::site::{KUBERNETES, Site};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// How many times as fast time goes while a soak is watched.
const FASTER: u32 = 50;

/// What is shown.
pub(crate) struct Screen {
    /// The runbook's text.
    pub(crate) text: String,
    /// Where it came from, for messages.
    pub(crate) path: String,
    /// Parameters, `NAME=VALUE`; the lab's own where they are not given.
    pub(crate) params: Vec<String>,
    /// The lab's own machine has a manifest.
    pub(crate) manifest: bool,
    /// How things are reached.
    pub(crate) site: Site,
    /// What the lab's cluster will say that it is.
    pub(crate) identity: Option<String>,
    /// When it begins.
    pub(crate) start: Time,
    /// The world as it is then; making it may take a moment.
    pub(crate) world: Box<dyn FnOnce(Time) -> World>,
    /// What goes wrong.
    pub(crate) faults: Vec<Fault>,
    /// How many times as fast as a clock on the wall time goes there.
    pub(crate) speed: u32,
    /// Draw with ASCII signs only.
    pub(crate) ascii: bool,
    /// Directory of all runs.
    pub(crate) runs: PathBuf,
}

/// Opens the cockpit until the change is done or its person leaves; true if it was done. On a
/// runtime whose time is paused.
pub(crate) async fn screen(what: Screen) -> Result<bool, String> {
    let Screen { text, path, params: given, manifest, site, start, world, faults, .. } = what;
    let (times, ascii, runs, identity) = (what.speed, what.ascii, what.runs, what.identity);
    let loaded = load(&text).map_err(|p| render(&path, &text, &p))?;
    placed(&loaded.runbook, &site, &faults)?;
    let runbook = Arc::new(loaded.runbook);
    let values = params(&runbook, &lab_params(&runbook, &given, manifest))?;
    let actor = Actor::Person { name: site::user(), role: Role::Driver };
    let window = slot(&runbook, None, start)?;
    let header = Header { window, ..header(&text, &path, values, &site, actor.clone()) };
    // The first frame says LAB: nobody should read WRITE without it, for however short a time.
    let known = identity.map(|uid| (KUBERNETES.to_owned(), uid)).into_iter().collect();
    let shown = Header { pins: known, ..header.clone() };
    let state = State::new(shown, Arc::clone(&runbook), start);
    let ground = Ground::lay(state, ascii, start, times)?;
    let mut world = world(start);
    world.take_stock();
    world.plan(&faults);
    world.speed = Some(times);
    let lab = ground.lab(world);
    let remote = lab::open(&lab, site, Arc::clone(&ground.clock));
    let header = Box::new(Header { pins: remote.identities().await, ..header });
    let begin = Begin::New { runbook, header, runs, keep: Keep::Durable };
    ground.walk(lab, remote, begin, actor, None).await
}

/// Takes a run up again, on the world that lies beside it, by its runbook's file as it is now if
/// that is accepted. On a runtime whose time is paused.
pub(crate) async fn again(run: Box<Reopened>, ascii: bool, accept: Wish) -> Result<bool, String> {
    let site = lab_site()?;
    if run.state.header.site != site.name {
        return Err(format!(
            "this rehearsal was on the site {}, which is not kept; begin another one",
            run.state.header.site
        ));
    }
    let Some(beside) = beside::read(&run.dir)? else {
        return Err(format!("there is no {} beside the journal; begin another demo", beside::FILE));
    };
    // Nothing happened there while nobody kept its clock.
    let start = beside.world.now.max(run.state.at);
    if beside.seq < run.last_effect {
        errln!(
            "holdpoint: the lab's world was last kept at entry {}, before the effect of entry {}, \
             which did not happen there then",
            beside.seq,
            run.last_effect
        );
    }
    // Before the terminal is taken.
    let Changed { then, notice } = changed(&run, accept)?;
    let actor = Actor::Person { name: site::user(), role: Role::Driver };
    let times = beside.world.speed.unwrap_or(1);
    let told: Vec<String> =
        [notice, goes_on(&beside.world.planned)].into_iter().flatten().collect();
    let notice = (!told.is_empty()).then(|| told.join("; "));
    let ground = Ground::lay(run.state.clone(), ascii, start, times)?;
    let lab = ground.lab(beside.world);
    let remote = lab::open(&lab, site, Arc::clone(&ground.clock));
    ground.walk(lab, remote, Begin::Again(run, then), actor, notice).await
}

/// A demo's runbook is no file that could have been changed.
fn changed(run: &Reopened, accept: Wish) -> Result<Changed, String> {
    match (run.state.header.runbook_path == DEMO, &accept.reason) {
        (true, Some(_)) => Err("a demo has no runbook file; there is nothing to accept".into()),
        (true, None) => Ok(Changed { then: None, notice: None }),
        (false, _) => settled(run, accept, true),
    }
}

/// What becomes of its faults.
fn goes_on(faults: &[Planned]) -> Option<String> {
    let one = |p: &Planned| {
        let stands = match (p.began, p.over) {
            (None, _) => "to come",
            (Some(_), None) => "there",
            (Some(_), Some(_)) => "over",
        };
        format!("{} ({stands})", p.asked())
    };
    let all: Vec<String> = faults.iter().map(one).collect();
    (!all.is_empty()).then(|| format!("its faults go on: {}", all.join(", ")))
}

/// What a lab's run in the cockpit stands on.
struct Ground {
    clock: Clock,
    stage: Stage,
    speed: watch::Sender<u32>,
    times: u32,
}

impl Ground {
    /// Drawn before the lab is made: that takes a moment.
    fn lay(state: State, ascii: bool, start: Time, times: u32) -> Result<Self, String> {
        let clock = lab::clock(start);
        let (speed, paced) = watch::channel(times);
        tokio::spawn(pace::drive(paced));
        let stage = stage(&state, ascii, start, "--headless")?;
        Ok(Self { clock, stage, speed, times })
    }

    fn lab(&self, world: World) -> Lab {
        let lab = Lab::new(world, Arc::clone(&self.clock));
        let driven = lab.clone();
        tokio::spawn(async move { driven.drive().await });
        lab
    }

    async fn walk(
        self,
        lab: Lab,
        remote: Remote,
        begin: Begin,
        actor: Actor,
        notice: Option<String>,
    ) -> Result<bool, String> {
        let Self { stage, speed, times, .. } = self;
        let kept = Arc::new(OnceLock::<Keeper>::new());
        let keeps = Arc::clone(&kept);
        let begun: Begun = Box::new(move |handle, dir| {
            // It is told once.
            let _ = keeps.set(Keeper::start(lab.clone(), handle.live.clone(), dir));
            tokio::spawn(hurry(handle.live.clone(), speed, times));
            if lab.with(|world| !world.planned.is_empty()) {
                tokio::spawn(strike(lab.clone(), handle.live.clone()));
            }
        });
        let stage = Some(stage);
        let answers = None;
        let done = conduct(Conduct { remote, begin, actor, answers, stage, begun, notice }).await?;
        let Some(keeper) = kept.get() else { return Ok(done) };
        if let Some(why) = keeper.end(done) {
            errln!("holdpoint: {why}");
        }
        read(keeper.lab()).iter().for_each(|line| outln!("{line}"));
        report(keeper.dir(), keeper.lab(), done)?;
        Ok(done && keeper.lab().with(|world| world.losses().is_empty()))
    }
}

/// What a rehearsal that nobody watches ends with, too.
fn report(dir: &Path, lab: &Lab, done: bool) -> Result<(), String> {
    let journal = dir.join(crate::journal::FILE);
    let bytes = std::fs::read(&journal).map_err(|e| format!("{}: {e}", journal.display()))?;
    let entries = read_bytes(&bytes).map_err(|e| e.to_string())?.entries;
    let how = match (done, ended(&entries)) {
        (true, _) => {
            let state = fold(&entries).map_err(|e| e.to_string())?;
            format!("ended: {}", over(&state))
        }
        (false, Some(_)) => "ended, not done".to_owned(),
        (false, None) => LEFT.to_owned(),
    };
    told(&entries, lab, None, &how).iter().for_each(|line| outln!("{line}"));
    Ok(())
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
