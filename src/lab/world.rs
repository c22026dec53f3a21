//! Everything that exists in a lab, and the handle to it.

use crate::event::{Span, Time};
use crate::lab::bell::{Bell, Changes};
use crate::lab::faults::{Planned, kind_of};
use crate::lab::kube::{Access, Console, Kind, Store, control};
use crate::lab::vault::Raft;
use crate::lab::{Chance, Files, Stage, Stock, Task, Unseen};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Everything that exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    /// What time it is in there; it never goes back.
    pub now: Time,
    /// Where chance comes from.
    pub chance: Chance,
    /// The API server's objects.
    pub store: Store,
    /// Who may ask the API server for what.
    #[serde(default)]
    pub access: Access,
    /// What containers printed.
    #[serde(default)]
    pub console: Console,
    /// The voters.
    pub vault: Raft,
    /// The lab's own machine's files.
    pub files: Files,
    /// What controllers and kubelets remember.
    pub control: control::Control,
    /// Hosts that lead to whoever leads Vault. Where no voter and none of these is, nobody
    /// answers.
    #[serde(default)]
    pub doors: BTreeSet<String>,
    /// What nobody looked at, where a survey made it.
    #[serde(default)]
    pub unseen: Option<Unseen>,
    /// What the change is about: where faults act.
    #[serde(default)]
    pub stage: Stage,
    /// What there was as the change began.
    #[serde(default)]
    pub stock: Stock,
    /// What goes wrong just now, by name; a second one of a kind is called `NAME#2`.
    pub faults: BTreeSet<String>,
    /// What is to go wrong in this rehearsal, and what did.
    #[serde(default)]
    pub planned: Vec<Planned>,
    /// How many times as fast as a clock on the wall its time was to go; nothing: as fast.
    #[serde(default)]
    pub speed: Option<u32>,
    /// Files of the real machine that were read.
    #[serde(default)]
    pub read: BTreeSet<PathBuf>,
    agenda: BTreeMap<Time, Vec<Task>>,
    /// What was asked of its servers and changed something, the latest last.
    #[serde(skip)]
    pub deeds: VecDeque<Deed>,
}

/// A request that changed something: the world's own record, for who wants to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// When.
    pub at: Time,
    /// Method and path; before it the voter, if it was one's.
    pub what: String,
    /// Of the object that it was bound to, if to any.
    pub uid: String,
}

/// So many are remembered.
const DEEDS: usize = 10_000;

impl World {
    /// Remembers what changed something.
    pub(super) fn did(&mut self, what: String, uid: &str) {
        if self.deeds.len() == DEEDS {
            self.deeds.pop_front();
        }
        self.deeds.push_back(Deed { at: self.now, what, uid: uid.to_owned() });
    }

    /// An empty world.
    #[must_use]
    pub fn new(seed: u64, now: Time) -> Self {
        Self {
            now,
            chance: Chance::new(seed),
            store: Store::default(),
            access: Access::default(),
            console: Console::default(),
            vault: Raft::default(),
            files: Files::default(),
            control: control::Control::default(),
            doors: BTreeSet::new(),
            unseen: None,
            stage: Stage::default(),
            stock: Stock::default(),
            faults: BTreeSet::new(),
            planned: Vec::new(),
            speed: None,
            read: BTreeSet::new(),
            agenda: BTreeMap::new(),
            deeds: VecDeque::new(),
        }
    }

    /// To be done so much later. Tasks due at one time run in the order they were entered.
    pub fn later(&mut self, after: Span, task: Task) {
        self.agenda.entry(self.now + after).or_default().push(task);
    }

    /// A fault of that kind is there.
    #[must_use]
    pub fn suffers(&self, kind: &str) -> bool {
        self.faults.iter().any(|entry| kind_of(entry) == kind)
    }

    /// When the next task is due.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.agenda.keys().next().copied()
    }

    /// Lives until `now`: all that is due, each at its own time, controllers following.
    pub fn advance(&mut self, now: Time) {
        self.settle();
        while let Some(at) = self.next().filter(|at| *at <= now) {
            let due = self.agenda.remove(&at).unwrap_or_default();
            self.now = self.now.max(at);
            for task in due {
                task.run(self);
                self.settle();
            }
        }
        self.now = self.now.max(now);
    }

    /// Something that differs once anything happened here; that time passed and questions
    /// were answered is nothing.
    #[must_use]
    pub fn mark(&self) -> String {
        let mut vault = self.vault.clone();
        vault.requests = 0;
        let vault = serde_json::to_string(&vault).unwrap_or_default();
        let (store, next) = (self.store.version(), self.next());
        let faults = format!("{:?} {:?}", self.faults, self.planned);
        format!("{store} {next:?} {faults} {} {vault}", self.files.mark())
    }

    /// Lets controllers look at what changed until none has anything to do.
    pub fn settle(&mut self) {
        while let Some(touched) = self.store.take_touched() {
            control::look(self, &touched);
        }
    }
}

/// A world that transports share.
#[derive(Clone)]
pub struct Lab {
    world: Arc<Mutex<World>>,
    clock: Arc<dyn Fn() -> Time + Send + Sync>,
    /// The agenda may have something earlier now.
    planned: Arc<Notify>,
    bell: Arc<Bell>,
}

impl Lab {
    /// A handle to that world, which lives by that clock.
    #[must_use]
    pub fn new(world: World, clock: Arc<dyn Fn() -> Time + Send + Sync>) -> Self {
        let bell = Arc::new(Bell::new(&world));
        Self { world: Arc::new(Mutex::new(world)), clock, planned: Arc::default(), bell }
    }

    /// Asks or changes something, now.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let before = world.next();
        world.advance((self.clock)());
        let result = act(&mut world);
        world.settle();
        let next = world.next();
        let woken = self.bell.ring(&world);
        drop(world);
        woken.iter().for_each(|listeners| listeners.notify_waiters());
        if next.is_some() && (before.is_none() || next < before) {
            self.planned.notify_one();
        }
        result
    }

    /// Tells when objects of that kind change.
    #[must_use]
    pub fn changes(&self, kind: &'static Kind) -> Changes {
        self.bell.listen(kind)
    }

    /// Wakes when something is due, for ever.
    pub async fn drive(&self) {
        loop {
            let (now, next) = self.with(|world| (world.now, world.next()));
            let wait = next.map(|at| at.since(now).max(Span(1)).duration());
            tokio::select! {
                biased;
                () = self.planned.notified() => {}
                () = tokio::time::sleep(wait.unwrap_or(std::time::Duration::from_secs(3600))) => {}
            }
        }
    }
}
