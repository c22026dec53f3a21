//! Keeps a run's world beside it, at a bounded rate, on a thread of its own: a disk that hangs
//! holds up neither the lab nor the screen.

use crate::lab::{Lab, World, beside};
use crate::session::Live;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The shortest time between two writes, by the clock on the wall.
const APART: Duration = Duration::from_secs(1);
/// And as many times as long as the last one took, so that a large world is written less often.
const TIMES: u32 = 10;
/// How often it is looked whether anything changed, by the lab's time.
const LOOK: Duration = Duration::from_millis(500);

/// How long the end waits for a write that is under way.
const PATIENCE: u32 = 100;

/// Where it is kept.
#[derive(Clone)]
pub(crate) struct Keeper {
    lab: Lab,
    live: watch::Receiver<Live>,
    dir: PathBuf,
    /// The thread waits for a world.
    waits: Arc<AtomicBool>,
    /// Held while something is written; true: nothing more is.
    closed: Arc<Mutex<bool>>,
}

impl Keeper {
    /// The run's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The world that is kept.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Begins to keep it.
    pub(crate) fn start(lab: Lab, live: watch::Receiver<Live>, dir: &Path) -> Self {
        let (waits, closed) = (Arc::default(), Arc::default());
        let keeper = Self { lab, live, dir: dir.to_owned(), waits, closed };
        let (sender, worlds) = sync_channel(1);
        let writer = keeper.clone();
        // Without a thread the world is written once, at the end.
        let _ = std::thread::Builder::new().spawn(move || writer.write_all(&worlds));
        let looker = keeper.clone();
        tokio::spawn(async move {
            let mut last = None;
            loop {
                tokio::time::sleep(LOOK).await;
                if !looker.waits.load(Ordering::Relaxed) {
                    continue;
                }
                let mark = looker.lab.with(|world| world.mark());
                if last.as_ref() != Some(&mark) {
                    match sender.try_send(looker.now()) {
                        Ok(()) => last = Some(mark),
                        Err(TrySendError::Full(_)) => {}
                        Err(TrySendError::Disconnected(_)) => return,
                    }
                }
            }
        });
        keeper
    }

    /// The entry first: the world has lived through at least that one.
    fn now(&self) -> (u64, World) {
        let seq = self.live.borrow().state.seq;
        (seq, self.lab.with(|world| world.clone()))
    }

    #[allow(clippy::disallowed_methods, reason = "a disk takes its time on the wall")]
    fn write_all(&self, worlds: &Receiver<(u64, World)>) {
        loop {
            self.waits.store(true, Ordering::Relaxed);
            let Ok((seq, world)) = worlds.recv() else { return };
            self.waits.store(false, Ordering::Relaxed);
            let began = Instant::now();
            {
                let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
                if *closed {
                    return;
                }
                // The last word is had by the end, which says what went wrong.
                let _ = beside::write(&self.dir, seq, &world);
            }
            std::thread::sleep(APART.max(began.elapsed().saturating_mul(TIMES)));
        }
    }

    /// The last word: as it is now, or nothing where the run is over. What went wrong, if
    /// anything did.
    pub(crate) fn end(&self, over: bool) -> Option<String> {
        let not = |why: &str| {
            Some(format!("the lab's world is not kept, so this run cannot go on: {why}"))
        };
        let closed = (0..PATIENCE).find_map(|_| {
            let free = self.closed.try_lock().ok();
            if free.is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
            free
        });
        let Some(mut closed) = closed else {
            return not(&format!("{} does not answer", self.dir.display()));
        };
        *closed = true;
        if over {
            beside::remove(&self.dir);
            return None;
        }
        let (seq, world) = self.now();
        beside::write(&self.dir, seq, &world).err().and_then(|why| not(&why))
    }
}
