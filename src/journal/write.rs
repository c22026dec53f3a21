//! The writer, on a thread of its own.

use crate::event::{Entry, Time};
use crate::journal::disk::Disk;
use crate::journal::format::{ZERO_HASH, line};
use crate::journal::patience::{CLOSED, Waiting};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Called when entries are durable (or written, for those that need not be), or cannot be.
pub type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Batched entries become durable after this much quiet at the latest.
const QUIET: Duration = Duration::from_secs(1);
/// An answer that takes longer counts as none: nothing is written any more, and whoever waits is
/// told. Longer than a disk that wakes up or a server that fails over takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Closing waits this long for a disk that hangs.
const CLOSE: Duration = Duration::from_secs(2);

/// How the journal is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HealthState {
    /// There is none yet.
    #[default]
    Opening,
    /// Nothing outstanding.
    Ok,
    /// A write or sync has not come back.
    Waiting {
        /// Since when.
        since: Time,
    },
    /// It failed; nothing is written any more.
    Failed {
        /// What the system said.
        why: String,
    },
}

/// The journal's health, for the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// How it is.
    pub state: HealthState,
    /// Entries written.
    pub entries: u64,
    /// Seq of the last durable entry.
    pub synced_seq: Option<u64>,
    /// Its hash.
    pub synced_head: String,
    /// When it became durable.
    pub synced_at: Option<Time>,
    /// Hash of the last entry written.
    pub head: String,
}

type Clock = Box<dyn Fn() -> Time + Send>;

enum Order {
    Append { entries: Vec<Entry>, durable: bool, order: u64 },
    Close,
}

/// Appends entries, in order.
pub struct Writer {
    health: Arc<Mutex<Health>>,
    way: Way,
}

enum Way {
    Thread {
        orders: Sender<Order>,
        waiting: Arc<Waiting>,
        closed: Mutex<Receiver<()>>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
    Inline(Mutex<Worker>),
    Kept(Kept),
}

/// Entries of a journal that nobody will read.
pub type Kept = Arc<Mutex<Vec<Entry>>>;

impl Writer {
    /// Starts the thread. `head` is the hash of the last entry there is.
    pub fn start(disk: Box<dyn Disk>, head: Option<String>, clock: Clock) -> std::io::Result<Self> {
        Self::patient(disk, head, clock, PATIENCE)
    }

    /// The same with another patience for a disk that hangs.
    pub fn patient(
        disk: Box<dyn Disk>,
        head: Option<String>,
        clock: Clock,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let waiting = Waiting::start(patience)?;
        let theirs = Arc::clone(&waiting);
        let (orders, inbox) = channel();
        let (closing, closed) = channel();
        let mut worker = Worker::new(disk, head, clock);
        let health = Arc::clone(&worker.health);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            worker.run(&inbox, &theirs);
            theirs.end();
            // Nobody may be listening any more.
            let _ = closing.send(());
        })?;
        let (closed, thread) = (Mutex::new(closed), Mutex::new(Some(thread)));
        Ok(Self { health, way: Way::Thread { orders, waiting, closed, thread } })
    }

    /// Writes on the caller's own thread, which waits for the disk: for a rehearsal, whose
    /// time must not pass while a disk is slow.
    #[must_use]
    pub fn inline(disk: Box<dyn Disk>, head: Option<String>, clock: Clock) -> Self {
        let worker = Worker::new(disk, head, clock);
        Self { health: Arc::clone(&worker.health), way: Way::Inline(Mutex::new(worker)) }
    }

    /// Keeps entries as they are, without a line and a hash of any: for a rehearsal of which only
    /// its report is wanted.
    #[must_use]
    pub fn kept(entries: Kept) -> Self {
        let health = Health { state: HealthState::Ok, head: ZERO_HASH.into(), ..Health::default() };
        Self { health: Arc::new(Mutex::new(health)), way: Way::Kept(entries) }
    }

    /// Appends; never blocks, unless it writes inline. `done` is called on the writer's
    /// thread.
    pub fn append(&self, entries: Vec<Entry>, durable: bool, done: Done) {
        let (orders, waiting) = match &self.way {
            Way::Thread { orders, waiting, .. } => (orders, waiting),
            Way::Inline(worker) => return done(locked(worker).write(&entries, durable)),
            Way::Kept(kept) => {
                let last = entries.last().map(|e| e.seq);
                let mut health = locked(&self.health);
                health.entries = last.map_or(health.entries, |seq| seq + 1);
                drop(health);
                locked(kept).extend(entries);
                return done(Ok(()));
            }
        };
        let Some(order) = waiting.begin(done) else { return };
        if orders.send(Order::Append { entries, durable, order }).is_err() {
            waiting.finish(order, Err(CLOSED.into()));
        }
    }

    /// How it is now.
    #[must_use]
    pub fn health(&self) -> Health {
        locked(&self.health).clone()
    }

    /// Makes durable what is batched and ends the thread; gives up on a disk that hangs.
    pub fn close(&self) -> Health {
        match &self.way {
            Way::Inline(worker) => locked(worker).guarded(Worker::sync),
            Way::Kept(_) => {}
            Way::Thread { orders, closed, thread, .. } => {
                // A send fails only when the thread has ended already.
                let _ = orders.send(Order::Close);
                let ended = locked(closed).recv_timeout(CLOSE) != Err(RecvTimeoutError::Timeout);
                if ended && let Some(thread) = locked(thread).take() {
                    let _ = thread.join();
                }
            }
        }
        self.health()
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    disk: Box<dyn Disk>,
    head: String,
    clock: Clock,
    health: Arc<Mutex<Health>>,
    unsynced: Option<u64>,
    failed: Option<String>,
}

impl Worker {
    fn new(disk: Box<dyn Disk>, head: Option<String>, clock: Clock) -> Self {
        let head = head.unwrap_or_else(|| ZERO_HASH.to_owned());
        let health = Health { state: HealthState::Ok, head: head.clone(), ..Health::default() };
        Self {
            disk,
            head,
            clock,
            health: Arc::new(Mutex::new(health)),
            unsynced: None,
            failed: None,
        }
    }

    fn write(&mut self, entries: &[Entry], durable: bool) -> Result<(), String> {
        self.guarded(|w| w.append(entries, durable));
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn run(&mut self, inbox: &Receiver<Order>, waiting: &Waiting) {
        loop {
            let order = match (self.unsynced, inbox.recv_timeout(QUIET)) {
                (_, Ok(order)) => order,
                (Some(_), Err(RecvTimeoutError::Timeout)) => {
                    self.guarded(Self::sync);
                    continue;
                }
                (None, Err(RecvTimeoutError::Timeout)) => continue,
                (_, Err(RecvTimeoutError::Disconnected)) => Order::Close,
            };
            match order {
                Order::Append { order, .. } if !waiting.stands(order) => {}
                Order::Append { entries, durable, order } => {
                    waiting.finish(order, self.write(&entries, durable));
                }
                Order::Close => {
                    self.guarded(Self::sync);
                    return;
                }
            }
        }
    }

    /// Runs one step on the disk with the screen told that it is under way.
    fn guarded(&mut self, step: impl FnOnce(&mut Self) -> Result<(), String>) {
        if self.failed.is_some() {
            return;
        }
        locked(&self.health).state = HealthState::Waiting { since: (self.clock)() };
        let state = match step(self) {
            Ok(()) => HealthState::Ok,
            Err(why) => {
                self.failed = Some(why.clone());
                HealthState::Failed { why }
            }
        };
        locked(&self.health).state = state;
    }

    fn append(&mut self, entries: &[Entry], durable: bool) -> Result<(), String> {
        let mut bytes = String::new();
        let mut head = self.head.clone();
        for entry in entries {
            let (text, hash) = line(entry, &head).map_err(|e| e.to_string())?;
            bytes.push_str(&text);
            head = hash;
        }
        let Some(last) = entries.last() else { return Ok(()) };
        self.disk.append(bytes.as_bytes()).map_err(|e| format!("cannot write: {e}"))?;
        self.head.clone_from(&head);
        self.unsynced = Some(last.seq);
        {
            let mut health = locked(&self.health);
            health.entries = last.seq + 1;
            health.head = head;
        }
        if durable { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), String> {
        let Some(seq) = self.unsynced else { return Ok(()) };
        self.disk.sync().map_err(|e| format!("cannot make it durable: {e}"))?;
        self.unsynced = None;
        let now = (self.clock)();
        let mut health = locked(&self.health);
        health.synced_seq = Some(seq);
        health.synced_head = self.head.clone();
        health.synced_at = Some(now);
        Ok(())
    }
}
