//! Keeps a run's world beside it, at a bounded rate, on a thread of its own: a disk that hangs
//! holds up neither the lab nor the screen.

use crate::lab::{Lab, World, beside};
use crate::session::Live;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The shortest time between two writes, by the clock on the wall.
const APART: Duration = Duration::from_secs(1);
/// How often it is looked whether anything changed, by the lab's time.
const LOOK: Duration = Duration::from_millis(500);

/// Where it is kept, and how that goes.
#[derive(Clone)]
pub(crate) struct Keeper {
    lab: Lab,
    live: watch::Receiver<Live>,
    dir: PathBuf,
    state: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// Nothing more is written by the thread.
    closed: bool,
    /// Why the last write failed, if it did.
    trouble: Option<String>,
}

impl Keeper {
    /// Begins to keep it.
    pub(crate) fn start(lab: Lab, live: watch::Receiver<Live>, dir: &Path) -> Self {
        let keeper = Self { lab, live, dir: dir.to_owned(), state: Arc::default() };
        let (sender, worlds) = sync_channel(1);
        let writer = keeper.clone();
        // Without a thread the world is written once, at the end.
        let _ = std::thread::Builder::new().spawn(move || writer.write_all(&worlds));
        let looker = keeper.clone();
        tokio::spawn(async move {
            let mut last = None;
            loop {
                let mark = looker.lab.with(|world| world.mark());
                if last.as_ref() != Some(&mark) {
                    match sender.try_send(looker.now()) {
                        Ok(()) => last = Some(mark),
                        Err(TrySendError::Full(_)) => {}
                        Err(TrySendError::Disconnected(_)) => return,
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        keeper
    }

    /// The entry first: the world has lived through at least that one.
    fn now(&self) -> (u64, World) {
        let seq = self.live.borrow().state.seq;
        (seq, self.lab.with(|world| world.clone()))
    }

    fn write_all(&self, worlds: &Receiver<(u64, World)>) {
        while let Ok((seq, world)) = worlds.recv() {
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.closed {
                    return;
                }
                state.trouble = beside::write(&self.dir, seq, &world).err();
            }
            std::thread::sleep(APART);
        }
    }

    /// The last word: as it is now, or nothing where the run is over. What went wrong, if
    /// anything did.
    pub(crate) fn end(&self, over: bool) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        if over {
            beside::remove(&self.dir);
            return None;
        }
        let (seq, world) = self.now();
        let written = beside::write(&self.dir, seq, &world).err();
        written.map(|why| format!("the lab's world is not kept, so this run cannot go on: {why}"))
    }
}
