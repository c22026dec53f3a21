//! A person's way to the loop.

use crate::event::{Actor, Time};
use crate::journal::{Health, Writer};
use crate::remote::Remote;
use crate::run::{Intent, State};
use crate::session::moving::Moving;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Who leaves waits so long for the lease to be let go.
const LEAVES: Duration = Duration::from_secs(3);

/// What a person's side asks of the loop, and where the answer goes.
pub(super) enum Ask {
    /// Something of the run.
    Intent(Actor, Intent, oneshot::Sender<Result<(), String>>),
    /// Its person leaves: the lease is let go, unless something is under way.
    Leave(oneshot::Sender<()>),
}

/// What is published after each fold.
#[derive(Clone)]
pub struct Live {
    /// The folded state.
    pub state: Arc<State>,
    /// Why nothing is executed any more, if the journal failed.
    pub show_only: Option<String>,
    /// The journal was damaged when it was opened: it is only looked at.
    pub damaged: bool,
}

impl Live {
    /// What can be done where nothing is executed any more.
    #[must_use]
    pub fn way_out(&self) -> &'static str {
        match self.damaged {
            true => {
                "nothing is written and nothing is executed: what stands before the damage is only \
                 looked at, and it is neither moved nor resumed further; keep the directory as it is, \
                 and begin another run of the runbook: holdpoint run"
            }
            false => {
                "nothing is executed any more; `journal move DIR` goes on elsewhere, or see to its \
                 disk and go on with holdpoint resume"
            }
        }
    }
}

/// Where the journal is written now.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) writer: Arc<Writer>,
    /// None for one in memory.
    pub(super) dir: Option<PathBuf>,
}

/// A person's way to the loop.
#[derive(Clone)]
pub struct Handle {
    pub(super) asks: mpsc::Sender<Ask>,
    /// The state as it is.
    pub live: watch::Receiver<Live>,
    pub(super) moves: mpsc::Sender<Moving>,
    pub(super) place: watch::Receiver<Place>,
    /// For describe and logs.
    pub remote: Arc<Remote>,
}

impl Handle {
    /// Asks for something; the answer is the refusal, if it was refused.
    pub async fn ask(&self, actor: &Actor, intent: Intent) -> Result<(), String> {
        let (answer, wait) = oneshot::channel();
        if self.asks.send(Ask::Intent(actor.clone(), intent, answer)).await.is_err() {
            return Err("the run is over".into());
        }
        wait.await.unwrap_or_else(|_| Err("the run is over".into()))
    }

    /// Its person leaves: others may have the lease, unless something is under way.
    pub async fn leave(&self) {
        let (answer, wait) = oneshot::channel();
        let left = async {
            self.asks.send(Ask::Leave(answer)).await.ok()?;
            wait.await.ok()
        };
        // The loop may have ended, or wait for a disk that hangs.
        let _ = tokio::time::timeout(LEAVES, left).await;
    }

    /// The journal's health.
    #[must_use]
    pub fn health(&self) -> Health {
        self.place.borrow().writer.health()
    }

    /// Where it lies; none for one in memory.
    #[must_use]
    pub fn dir(&self) -> Option<PathBuf> {
        self.place.borrow().dir.clone()
    }

    /// The journal goes on in a directory of its own in this one; which.
    pub async fn move_journal(&self, actor: &Actor, to: &Path) -> Result<PathBuf, String> {
        let (answer, wait) = oneshot::channel();
        if self.moves.send((actor.clone(), to.to_owned(), answer)).await.is_err() {
            return Err("the run is over".into());
        }
        wait.await.unwrap_or_else(|_| Err("the run is over".into()))
    }

    /// Makes durable what is still batched and ends the journal's thread; gives up on a
    /// disk that hangs.
    pub fn close(&self) -> Health {
        let place = self.place.borrow().clone();
        place.writer.close()
    }

    /// Now, by the session's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.remote.now()
    }
}
