//! The journal's disk fails, once or from then on, or hangs, at one call: whichever call that is,
//! nothing is sent whose record is not durable, the session says so, and once the disk is well again the
//! run goes on to its end.

use super::{Begun, proposed, status, step};
use crate::support::driver;
use futures::StreamExt;
use holdpoint::cli::lab::rehearse::lab_site;
use holdpoint::event::{Event, Probed, Time};
use holdpoint::journal::{Disk, FILE, HealthState, Verdict, read_bytes};
use holdpoint::lab;
use holdpoint::run::{Intent, Status};
use holdpoint::session::{Engine, Handle, Keep, Live, Reopened, reopen};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A healthy run of the one pod makes more calls than this.
const CALLS: usize = 26;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Half of it is written, then it fails so, from then on.
    Fails(i32),
    /// The same, but only this once.
    Once(i32),
    /// It never comes back.
    Hangs,
}

/// What is on the disk, and how much of it would be after a power cut.
#[derive(Default)]
pub(super) struct Platter {
    pub(super) bytes: Vec<u8>,
    durable: usize,
    calls: usize,
    struck: bool,
}

pub(super) struct Striking {
    platter: Arc<Mutex<Platter>>,
    at: usize,
    how: How,
    over: Arc<AtomicBool>,
}

impl Striking {
    /// Whether this call is struck, and what comes of it.
    fn call(&self, bytes: &[u8]) -> io::Result<()> {
        let strikes = {
            let mut platter = self.platter.lock().unwrap();
            platter.calls += 1;
            let strikes = match self.how {
                How::Once(_) => platter.calls == self.at + 1,
                _ => platter.calls > self.at,
            };
            platter.struck |= strikes;
            if strikes && self.how != How::Hangs {
                platter.bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
            }
            strikes
        };
        match (strikes, self.how) {
            (false, _) => Ok(()),
            (true, How::Fails(why) | How::Once(why)) => Err(io::Error::from_raw_os_error(why)),
            (true, How::Hangs) => {
                while !self.over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(io::Error::from(io::ErrorKind::TimedOut))
            }
        }
    }
}

impl Disk for Striking {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.call(bytes)?;
        self.platter.lock().unwrap().bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.call(&[])?;
        let mut platter = self.platter.lock().unwrap();
        platter.durable = platter.bytes.len();
        Ok(())
    }
}

/// What an operator does next: releases the one step, and goes by its probe where it is in doubt.
async fn on(handle: &Handle, now: &Live) {
    let probed = now.state.steps.get(&step()).and_then(|s| s.probed.as_ref()).map(|p| p.0);
    let ask = match (status(now), probed) {
        (Some(Status::Ready), _) => Some(Intent::Review { step: step() }),
        (Some(Status::Confirming), _) => proposed(now).map(|digest| Intent::Release {
            step: step(),
            digest,
            typed: now.state.confirm_text(&step()),
        }),
        (Some(Status::InDoubt), Some(Probed::Done)) => Some(Intent::Accept { step: step() }),
        (Some(Status::InDoubt), Some(Probed::NotDone)) => Some(Intent::Retry { step: step() }),
        _ => None,
    };
    if let Some(intent) = ask {
        // A refusal, as while the gates are still being read, is asked again.
        let actor = driver();
        let asked = handle.ask(&actor, intent);
        let _ = tokio::time::timeout(Duration::from_secs(3), asked).await;
    }
}

/// The run goes on from what is there, to its end.
async fn goes_on(begun: &Begun, reopened: Reopened, what: &str) {
    let theirs = begun.handle.clone();
    let clock: Arc<dyn Fn() -> Time + Send + Sync> = Arc::new(move || theirs.now());
    let remote = lab::open(&begun.lab, lab_site().unwrap(), Arc::clone(&clock));
    let resumed = reopened.resume(driver(), clock, &Keep::Durable).unwrap();
    assert!(resumed.show_only.is_none() && resumed.first.is_some(), "{what}");
    let (handle, _) = Engine::resume(resumed, Arc::new(remote));
    let end = Instant::now() + Duration::from_secs(60);
    let mut live = handle.live.clone();
    loop {
        let now = live.borrow_and_update().clone();
        assert!(now.show_only.is_none(), "{what}: {:?}", now.show_only);
        if now.state.ended.is_some() {
            assert_eq!(now.state.ended, Some(true), "{what}");
            break;
        }
        assert!(Instant::now() < end, "{what}: it did not go on: {:?}", status(&now));
        on(&handle, &now).await;
        let _ = tokio::time::timeout(Duration::from_millis(100), live.changed()).await;
    }
    let gone = |what: &str| what.starts_with("DELETE ") && what.ends_with("/pods/vault-0");
    let deeds = begun.lab.with(|world| world.deeds.iter().filter(|d| gone(&d.what)).count());
    assert_eq!(deeds, 1, "{what}: the pod was deleted so often");
}

/// Releases the one step, and waits until it is done or the disk has its way; whether it was done.
async fn driven(begun: &Begun, how: How) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    let mut live = begun.handle.live.clone();
    loop {
        assert!(Instant::now() < end, "neither done nor stopped");
        let now = live.borrow_and_update().clone();
        if now.show_only.is_some() {
            return false;
        }
        if now.state.ended.is_some() {
            return true;
        }
        // The screen says that it waits; nobody here waits with it.
        let health = begun.handle.health().state;
        if how == How::Hangs
            && let HealthState::Waiting { since } = health
            && begun.handle.now().since(since) >= holdpoint::event::Span::secs(2)
        {
            return false;
        }
        on(&begun.handle, &now).await;
        let _ = tokio::time::timeout(Duration::from_millis(100), live.changed()).await;
    }
}

/// One call of a run is struck; true if the run was done before it came to that call.
async fn struck(at: usize, how: How) -> bool {
    let (platter, over) = (Arc::<Mutex<Platter>>::default(), Arc::<AtomicBool>::default());
    let disk = Striking { platter: Arc::clone(&platter), at, how, over: Arc::clone(&over) };
    let begun = Begun::on(Box::new(disk)).await;
    let before = begun.pod_uid();
    let done = driven(&begun, how).await;
    // What was sent too late is sent by now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let deleted = begun.pod_uid() != before;
    let (bytes, durable) = {
        let platter = platter.lock().unwrap();
        assert!(platter.struck || done, "call {at} was never made");
        (platter.bytes.clone(), platter.durable)
    };
    over.store(true, Ordering::Relaxed);
    let started = |bytes: &[u8]| {
        let read = read_bytes(bytes).map(|r| r.entries).unwrap_or_default();
        read.iter().any(|e| matches!(e.event, Event::EffectStarted { .. }))
    };
    assert!(!deleted || started(&bytes[..durable]), "{how:?} at {at}: done without a record");
    if done || durable == 0 {
        return done;
    }
    // Room is made, or the disk comes back: the run goes on from what is there.
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(dir.path().join(FILE), &bytes).unwrap();
    std::fs::set_permissions(dir.path().join(FILE), std::fs::Permissions::from_mode(0o600))
        .unwrap();
    let reopened = reopen(dir.path()).unwrap();
    assert!(
        matches!(reopened.verdict, Verdict::Open | Verdict::Torn { .. }),
        "{how:?} at {at}: {}",
        reopened.verdict
    );
    goes_on(&begun, reopened, &format!("{how:?} at {at}")).await;
    done
}

#[tokio::test]
async fn whichever_call_fails_or_hangs_nothing_is_sent_without_a_record() {
    // No room, a bad disk, one that was mounted anew to be read only: each call fails for good by one
    // of them, and once by another.
    const WHY: [i32; 3] = [28, 5, 30];
    let cases = (1..=CALLS).flat_map(|at| {
        [(at, How::Fails(WHY[at % 3])), (at, How::Once(WHY[(at + 1) % 3])), (at, How::Hangs)]
    });
    let told: Vec<bool> = futures::stream::iter(cases)
        .map(|(at, how)| struck(at, how))
        .buffer_unordered(12)
        .collect()
        .await;
    let done = told.iter().filter(|done| **done).count();
    // It is the run that is struck, not what comes after it.
    assert!(done < told.len() / 4, "{done} of {} were done before", told.len());
}
