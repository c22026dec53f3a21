//! A session whose disk fails or hangs, on a lab: the real loop, the real writer, the real
//! clients.

mod clocks;
mod cut;
mod every;
mod limited;
mod moved;

use crate::support::{driver, header};
use holdpoint::action;
use holdpoint::cli::lab::rehearse::lab_site;
use holdpoint::event::{EffectId, Entry, Event, Mode, Outcome, Probed, StepAddr, Time};
use holdpoint::journal::{Disk, Writer, read_bytes};
use holdpoint::lab::{self, Lab, World, kube, site};
use holdpoint::remote::Clock;
use holdpoint::run::{Intent, State, Status, apply};
use holdpoint::runbook::load;
use holdpoint::runbook::model::{Arg, Call};
use holdpoint::session::{Engine, Handle, Live, Resumed};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// One pod goes, and is gone.
const ONE_POD: &str = r#"
format = 1
id = "one-pod"
title = "One pod goes"
owner = "tests"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "pod"
title = "Delete pod vault-0"
why = "To see it come back."
risk = "destructive"
confirm = "vault-0"
do.kube.delete_pod = { namespace = "vault", name = "vault-0" }
undo.none = "it comes back by itself"
[[phase.step.gate]]
id = "there"
that = 'pods.exists(p, p.name == "vault-0")'
says = "vault-0 is there"
[phase.step.verify]
that = 'pods.exists(p, p.name == "vault-0")'
"#;

const BEGAN: Time = Time(1_777_150_800_000);

/// What becomes of lines that hold a text.
#[derive(Clone, Copy)]
enum Fate {
    /// The disk is full from there on.
    Full,
    /// They take longer than what was read before is worth.
    Slow,
    /// They never come back, as long as the test lasts.
    Hangs,
}

struct Odd {
    kept: Arc<Mutex<Vec<u8>>>,
    at: &'static str,
    fate: Fate,
    full: bool,
}

impl Disk for Odd {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.full || String::from_utf8_lossy(bytes).contains(self.at) {
            match self.fate {
                Fate::Slow => std::thread::sleep(Duration::from_millis(5_200)),
                Fate::Hangs => std::thread::sleep(Duration::from_secs(3_600)),
                Fate::Full => {
                    self.full = true;
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
            }
        }
        self.kept.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run that has begun, its world and what its journal holds.
struct Begun {
    handle: Handle,
    lab: Lab,
    kept: Arc<Mutex<Vec<u8>>>,
    drives: tokio::task::JoinHandle<()>,
}

impl Begun {
    async fn new(at: &'static str, fate: Fate) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let disk = Odd { kept: Arc::clone(&kept), at, fate, full: false };
        let mut begun = Self::on(Box::new(disk)).await;
        begun.kept = kept;
        begun
    }

    /// On any disk; who keeps what is written on it is whoever made it.
    async fn on(disk: Box<dyn Disk>) -> Self {
        Self::behind(disk, None, false).await
    }

    /// The same for one that lies somewhere; or with the step in doubt from the beginning: its
    /// delete gave no answer, and nothing came of it.
    async fn behind(disk: Box<dyn Disk>, dir: Option<PathBuf>, in_doubt: bool) -> Self {
        Self::by_clock(disk, dir, in_doubt, ONE_POD, |clock| clock).await
    }

    /// The same of another runbook, by another clock than the lab's own, which is made of that.
    async fn by_clock(
        disk: Box<dyn Disk>,
        dir: Option<PathBuf>,
        in_doubt: bool,
        text: &str,
        other: impl FnOnce(Clock) -> Clock,
    ) -> Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        let world = WORLD.get_or_init(|| site::world(1, BEGAN)).clone();
        let clock = lab::clock(world.now);
        let lab = Lab::new(world, Arc::clone(&clock));
        let clock = other(clock);
        let remote = lab::open(&lab, lab_site().unwrap(), Arc::clone(&clock));
        let driven = lab.clone();
        let drives = tokio::spawn(async move { driven.drive().await });
        let header = holdpoint::event::Header {
            pins: remote.identities().await,
            ..header(text, Mode::Write)
        };
        let runbook = Arc::new(load(text).unwrap().runbook);
        let first = Entry {
            seq: 0,
            at: clock(),
            actor: driver(),
            event: Event::Opened { header: Box::new(header.clone()) },
        };
        let mut state = State::new(header, runbook, clock());
        if in_doubt {
            doubted(&mut state, &remote, clock()).await;
        }
        let theirs = Arc::clone(&clock);
        let patience = Duration::from_secs(10);
        let writer = Writer::patient(disk, None, Box::new(move || theirs()), patience).unwrap();
        writer.append(vec![first], true, Box::new(drop));
        let new = Resumed { state, writer, show_only: None, first: None, then: None, dir };
        let (handle, _) = Engine::resume(new, Arc::new(remote));
        Self { handle, lab, kept: Arc::default(), drives }
    }

    async fn until(&self, what: &str, so: impl FnMut(&Live) -> bool) -> Live {
        let mut live = self.handle.live.clone();
        let wait = tokio::time::timeout(Duration::from_secs(60), live.wait_for(so));
        wait.await.unwrap_or_else(|_| panic!("never {what}")).unwrap().clone()
    }

    async fn review(&self) -> String {
        self.until("ready", |l| status(l) == Some(Status::Ready)).await;
        self.handle.ask(&driver(), Intent::Review { step: step() }).await.unwrap();
        let live = self.until("a plan", |l| proposed(l).is_some()).await;
        proposed(&live).unwrap()
    }

    async fn release(&self, digest: String) -> Result<(), String> {
        let typed = self.handle.live.borrow().state.confirm_text(&step());
        self.handle.ask(&driver(), Intent::Release { step: step(), digest, typed }).await
    }

    async fn deleted_elsewhere(&self) {
        let path = "/api/v1/namespaces/vault/pods/vault-0?gracePeriodSeconds=0";
        let delete = http::Request::delete(path).body(Vec::new()).unwrap();
        kube::client(&self.lab).request::<serde_json::Value>(delete).await.unwrap();
    }

    fn pod_uid(&self) -> Option<String> {
        let pods = kube::kind("pods").unwrap();
        self.lab.with(|world| {
            let mut found = world.store.list(pods, Some("vault"));
            let (_, pod) = found.find(|(key, _)| key.name == "vault-0")?;
            Some(pod["metadata"]["uid"].as_str()?.to_owned())
        })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.drives.abort();
    }
}

/// Everything up to an effect that gave no answer, as the loop would have folded it.
async fn doubted(state: &mut State, remote: &holdpoint::remote::Remote, at: Time) {
    let of = |name: &str, text: &str| (name.to_owned(), Arg::Text(text.to_owned()));
    let args = [of("namespace", "vault"), of("name", "vault-0")].into();
    let call = Call { verb: "kube.delete_pod".into(), args };
    let proposal = action::resolve(remote, &state.header.pins, &call).await.unwrap();
    let (effect, digest) = (EffectId(1), proposal.digest());
    let (outcome, result) = (Outcome::Unknown("no answer".into()), serde_json::json!(null));
    for event in [
        Event::PhaseOpened { phase: "only".into(), items: None },
        Event::StepOpened { step: step() },
        Event::ReviewOpened { step: step() },
        Event::Proposed { step: step(), proposal: Box::new(proposal), digest: digest.clone() },
        Event::Released { step: step(), digest: digest.clone() },
        Event::EffectStarted { step: step(), effect, digest },
        Event::EffectEnded { step: step(), effect, outcome, result },
    ] {
        let entry = Entry { seq: state.seq + 1, at, actor: driver(), event };
        apply(state, &entry).unwrap();
    }
}

fn step() -> StepAddr {
    "only/pod".parse().unwrap()
}

fn status(live: &Live) -> Option<Status> {
    live.state.steps.get(&step()).map(|s| s.status)
}

fn proposed(live: &Live) -> Option<String> {
    live.state.steps.get(&step()).and_then(|s| s.proposal.as_ref()).map(|(_, d)| d.clone())
}

#[tokio::test]
async fn an_effect_whose_record_took_too_long_is_not_sent() {
    let begun = Begun::new("effect-started", Fate::Slow).await;
    let before = begun.pod_uid();
    let digest = begun.review().await;
    // Waiting for the disk, who released it is not told yet; what becomes of it is.
    begun.release(digest).await.unwrap();
    let live = begun.until("failed", |l| status(l) == Some(Status::Failed)).await;
    assert_eq!(live.show_only, None);
    assert_eq!((begun.pod_uid(), before.is_some()), (before, true), "the pod was deleted");
    begun.handle.close();
    let entries = read_bytes(&begun.kept.lock().unwrap()).unwrap().entries;
    let ended = entries.iter().find_map(|e| match &e.event {
        Event::EffectEnded { outcome, .. } => Some(format!("{outcome:?}")),
        _ => None,
    });
    assert!(ended.unwrap().contains("nothing was sent: the journal took 5 s"));
}

#[tokio::test]
async fn with_a_full_disk_nothing_is_sent_and_the_panes_go_on() {
    let begun = Begun::new("effect-started", Fate::Full).await;
    let before = begun.pod_uid();
    let digest = begun.review().await;
    begun.release(digest.clone()).await.unwrap();
    let live = begun.until("show-only", |l| l.show_only.is_some()).await;
    assert!(live.show_only.unwrap().contains("cannot write"));
    let refused = begun.release(digest).await.unwrap_err();
    assert!(refused.starts_with("show-only: cannot write"), "{refused}");
    assert_eq!(begun.pod_uid(), before);

    // What happens elsewhere is still seen, though it is no longer recorded.
    let written = begun.kept.lock().unwrap().len();
    let uid = before.unwrap();
    let gone = uid.clone();
    begun.deleted_elsewhere().await;
    begun
        .until("another vault-0", |l| {
            l.state.world.pods.iter().any(|p| p.name == "vault-0" && p.uid != gone)
        })
        .await;
    assert_eq!(begun.kept.lock().unwrap().len(), written);
}

/// The disk is full before anybody looked at a step: its plan and command can be had.
#[tokio::test]
async fn with_a_full_disk_a_command_can_still_be_looked_up() {
    let begun = Begun::new("review-opened", Fate::Full).await;
    begun.until("ready", |l| status(l) == Some(Status::Ready)).await;
    let (handle, actor) = (&begun.handle, driver());
    let review = || handle.ask(&actor, Intent::Review { step: step() });
    assert!(review().await.unwrap_err().contains("show-only"));
    review().await.unwrap();
    let live = begun.until("a plan", |l| proposed(l).is_some()).await;
    let plan = &live.state.steps[&step()].proposal.as_ref().unwrap().0;
    assert!(plan.commands[0].contains("kubectl"), "{:?}", plan.commands);
    let refused = begun.release(proposed(&live).unwrap()).await.unwrap_err();
    assert!(refused.contains("show-only"), "{refused}");
    let skip = Intent::Skip { step: step(), reason: "it is late".into() };
    assert!(begun.handle.ask(&driver(), skip).await.unwrap_err().contains("show-only"));
}

/// The disk answers nothing any more: after a while the session says so, starts nothing, and goes
/// on showing.
#[tokio::test]
async fn with_a_disk_that_hangs_the_session_goes_on_and_starts_nothing() {
    let begun = Begun::new("effect-started", Fate::Hangs).await;
    let before = begun.pod_uid();
    let digest = begun.review().await;
    begun.release(digest.clone()).await.unwrap();
    let live = begun.until("show-only", |l| l.show_only.is_some()).await;
    let why = live.show_only.unwrap();
    assert!(why.contains("has not answered for 10 s") && why.contains("holdpoint resume"), "{why}");
    assert!(begun.release(digest).await.unwrap_err().starts_with("show-only: the journal has not"));
    assert_eq!((begun.pod_uid(), live.state.running.is_none()), (before, true));
}

/// It hangs when the effect was sent already: how that ended is told, though no record says so,
/// and then nothing keeps anybody.
#[tokio::test]
async fn what_was_sent_before_the_disk_hung_is_told() {
    for fate in [Fate::Hangs, Fate::Full] {
        let begun = Begun::new("effect-ended", fate).await;
        let digest = begun.review().await;
        begun.release(digest).await.unwrap();
        let live = begun
            .until("told", |l| l.show_only.as_ref().is_some_and(|w| w.contains("unrecorded")))
            .await;
        let why = live.show_only.unwrap();
        assert!(why.starts_with("only/pod was done, unrecorded; "), "{why}");
        assert!(live.state.running.is_none() && holdpoint::ui::busy(&live.state).is_none());
    }
}

/// What was not so when its probe looked first is so a while later: the doubt is settled without
/// anybody's trying again.
#[tokio::test]
async fn a_doubt_is_asked_again_by_itself() {
    let disk = Odd { kept: Arc::default(), at: "no such line", fate: Fate::Full, full: false };
    let begun = Begun::behind(Box::new(disk), None, true).await;
    let probed = |l: &Live| l.state.steps.get(&step())?.probed.as_ref().map(|(p, _)| *p);
    begun.until("looked at", |l| probed(l) == Some(Probed::NotDone)).await;
    begun.deleted_elsewhere().await;
    let live = begun.until("done", |l| probed(l) == Some(Probed::Done)).await;
    assert_eq!((status(&live), live.state.steps[&step()].attempt), (Some(Status::InDoubt), 1));
    begun.handle.ask(&driver(), Intent::Accept { step: step() }).await.unwrap();
}
