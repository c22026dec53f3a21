//! L3: connections to a site, shared by actions and observers: the API server, each
//! voter by itself, plain http. The clock comes from outside.
//!
//! Secrets are held here and nowhere above; [`Secret`] does not print itself.

mod context;
mod exec;
mod files;
mod held;
mod kube;
mod kubeconfig;
mod lease;
mod local;
mod marked;
#[cfg(test)]
pub(crate) mod responder;
#[cfg(test)]
pub(crate) mod rig;
mod tunnel;
mod vault;
mod wire;

pub(crate) use self::exec::run_in_pod;
pub(crate) use self::files::soon;
pub use self::kube::{Trouble, review_access, trouble};
pub use self::lease::{LeaseFound, LeaseWrite, read_lease, write_lease};
pub use self::local::{FileMeta, Ground, Machine, Opened, Sink};
pub(crate) use self::local::{apart, apart_soon};
pub(crate) use self::marked::MARK;
pub use self::marked::Running;
pub use self::vault::{Asked, Silence, VoterClient};
pub use self::wire::{Wire, WireError};
pub(crate) use self::wire::{root, whole};

use self::files::read_soon;
use self::held::Held;
pub(crate) use self::local::Here;
use self::wire::Sockets;
use crate::event::{Pins, Time};
use crate::site::Site;
use crate::text::Redactor;
use crate::world::Change;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Where time comes from.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How a program ended that ran elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Its exit code.
    pub exit: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Something that must not be shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// To be kept.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, to be sent.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What the environment says; read once, by the command line.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `HOME`.
    pub home: PathBuf,
    /// `KUBECONFIG`.
    pub kubeconfig: Option<String>,
    /// `VAULT_TOKEN`.
    pub vault_token: Option<String>,
    /// This machine's name.
    pub host: String,
}

/// A site, connected.
pub struct Remote {
    /// The site file.
    pub site: Site,
    /// The API server, or why there is none.
    pub kube: Result<::kube::Client, String>,
    /// Paths of the kubeconfig in use, for equivalent commands.
    pub kubeconfig: Vec<PathBuf>,
    /// One a voter, in the site file's order.
    pub voters: Vec<VoterClient>,
    /// Where Vault's token and its certificate authority lie, for equivalent commands; the
    /// token's is none where it comes from the environment.
    pub vault_files: (Option<PathBuf>, Option<PathBuf>),
    /// Vault's token, or why there is none.
    pub token: Result<Secret, String>,
    /// For endpoints.
    pub http: Arc<dyn Wire>,
    /// Where files are kept and programs run.
    pub machine: Arc<dyn Machine>,
    /// This machine's name, for whoever asks who holds the lease.
    pub host: String,
    /// Where time comes from.
    pub clock: Clock,
    /// Secrets that are held.
    held: Arc<Held>,
    /// Who led since when, each seen once.
    leaderships: Mutex<BTreeSet<(String, String)>>,
    /// The leader's commit index as it was last counted, when, and the rate then.
    index: Mutex<(i64, Option<Instant>, i64)>,
    /// Raft as it was read last.
    raft: Mutex<Option<Change>>,
}

/// What a site is reached by.
pub struct Parts {
    /// The site file.
    pub site: Site,
    /// The API server, or why there is none.
    pub kube: Result<::kube::Client, String>,
    /// One a voter.
    pub voters: Vec<VoterClient>,
    /// Vault's token, or why there is none.
    pub token: Result<Secret, String>,
    /// For endpoints.
    pub http: Arc<dyn Wire>,
    /// Where files are kept and programs run.
    pub machine: Arc<dyn Machine>,
}

/// Why a site cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

impl Remote {
    /// Reads credentials and builds clients; nothing is sent yet.
    pub async fn connect(
        site: Site,
        around: &Surroundings,
        clock: Clock,
    ) -> Result<Self, ConnectError> {
        let kubeconfig = kubeconfig_paths(&site, around);
        let held = Arc::<Held>::default();
        let client = async {
            match &site.kubernetes {
                Some(k) => self::kubeconfig::client(&kubeconfig, &k.context, &held).await,
                None => Err("the site file has no [kubernetes]".into()),
            }
        };
        let token_path = token_file(&site, around);
        // Both may be waited for: a person waits once.
        let (kube, token) = tokio::join!(client, token(token_path.as_deref(), around));
        let ca_path = site.vault.as_ref().and_then(|v| v.ca_file.as_deref());
        let ca_path = ca_path.map(|path| expand(path, around));
        let mut voters = Vec::new();
        if let Some(vault) = &site.vault {
            let ca = match &ca_path {
                Some(path) => Some(read_soon(path).await.map_err(ConnectError)?),
                None => None,
            };
            for at in vault.voter.get_ref() {
                voters.push(
                    VoterClient::new(at, &vault.namespace, ca.as_deref()).map_err(ConnectError)?,
                );
            }
        }
        let http = Sockets::wire(Duration::from_secs(2), None).map_err(ConnectError)?;
        let files = (token_path, ca_path);
        let machine = Here::machine();
        let parts = Parts { site, kube, voters, token, http, machine };
        let host = around.host.clone();
        let it = Self { kubeconfig, vault_files: files, host, ..Self::of(parts, clock) };
        Ok(it.holding(held))
    }

    /// A site by its parts: behind sockets, or a lab's.
    #[must_use]
    pub fn of(parts: Parts, clock: Clock) -> Self {
        let Parts { site, kube, voters, token, http, machine } = parts;
        Self {
            site,
            kube,
            kubeconfig: Vec::new(),
            voters,
            vault_files: (None, None),
            token,
            http,
            machine,
            host: "lab".into(),
            clock,
            held: Arc::default(),
            leaderships: Mutex::default(),
            index: Mutex::default(),
            raft: Mutex::default(),
        }
        .holding(Arc::default())
    }

    /// With these secrets, and the token.
    fn holding(mut self, held: Arc<Held>) -> Self {
        if let Ok(token) = &self.token {
            held.keep(token.reveal());
        }
        self.held = held;
        self
    }

    /// For text from outside, where it enters: every secret that is held by now.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.held.redactor()
    }

    /// Identities as the site tells them now; what cannot be asked is missing.
    pub async fn identities(&self) -> Pins {
        let mut pins = Pins::new();
        let kubernetes = async { self::kube::identity(self.kube.as_ref().ok()?).await.ok() };
        // Each voter by itself: one that belongs to another cluster must show.
        let asked = self.voters.iter().map(|v| v.cluster_id(self.kube.as_ref().ok()));
        let (uid, ids) = tokio::join!(kubernetes, futures::future::join_all(asked));
        pins.extend(uid.map(|uid| (crate::site::KUBERNETES.to_owned(), uid)));
        let ids: BTreeSet<String> = ids.into_iter().flatten().collect();
        if !ids.is_empty() {
            let ids: Vec<String> = ids.into_iter().collect();
            pins.insert(crate::site::VAULT.into(), ids.join(" and "));
        }
        pins
    }

    /// A leader was seen, leading since then. The same node elected twice counts twice, and
    /// an answer that comes late counts nothing twice.
    pub(crate) fn note_leadership(&self, name: &str, since: &str) {
        let mut seen = self.leaderships.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert((name.to_owned(), since.to_owned()));
    }

    /// Elections seen since observation began.
    #[must_use]
    pub fn elections(&self) -> i64 {
        let seen = self.leaderships.lock().unwrap_or_else(PoisonError::into_inner).len();
        i64::try_from(seen.saturating_sub(1)).unwrap_or(i64::MAX)
    }

    /// Raft was read just now.
    pub(crate) fn note_raft(&self, change: &Change) {
        *self.raft.lock().unwrap_or_else(PoisonError::into_inner) = Some(change.clone());
    }

    /// The latest reading of raft, if it began later than that.
    pub(crate) fn raft_since(&self, than: Option<Time>) -> Option<Change> {
        let read = self.raft.lock().unwrap_or_else(PoisonError::into_inner);
        read.clone().filter(|change| than.is_some() && change.as_of > than)
    }

    /// Entries a second since the index was counted before; it is counted once a second.
    pub(crate) fn index_rate(&self, committed: i64) -> i64 {
        let mut last = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let apart = last.1.map(|then| then.elapsed());
        match apart {
            Some(apart) if apart < Duration::from_secs(1) => return last.2,
            Some(apart) if last.0 > 0 && committed > 0 => {
                let seconds = i64::try_from(apart.as_millis()).unwrap_or(i64::MAX).max(1);
                last.2 = (committed - last.0).max(0) * 1000 / seconds;
            }
            _ => last.2 = 0,
        }
        (last.0, last.1) = (committed, Some(Instant::now()));
        last.2
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        (self.clock)()
    }
}

/// The kubeconfig in use: one file, or those that `KUBECONFIG` lists, which are merged as
/// kubectl does.
#[must_use]
pub fn kubeconfig_paths(site: &Site, around: &Surroundings) -> Vec<PathBuf> {
    if let Some(path) = site.kubernetes.as_ref().and_then(|k| k.kubeconfig.as_ref()) {
        return vec![expand(path, around)];
    }
    let listed = around.kubeconfig.iter().flat_map(std::env::split_paths);
    let listed: Vec<_> = listed.filter(|p| !p.as_os_str().is_empty()).collect();
    if listed.is_empty() { vec![around.home.join(".kube/config")] } else { listed }
}

fn expand(path: &str, around: &Surroundings) -> PathBuf {
    path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |rest| around.home.join(rest))
}

/// The file that Vault's token is read from; none where the environment holds it.
///
/// A token's file first if the site names one, since a stray variable of another site
/// must not win over it.
#[must_use]
pub fn token_file(site: &Site, around: &Surroundings) -> Option<PathBuf> {
    let vault = site.vault.as_ref()?;
    match (&vault.token_file, &around.vault_token) {
        (Some(path), _) => Some(expand(path, around)),
        (None, Some(_)) => None,
        (None, None) => Some(around.home.join(".vault-token")),
    }
}

async fn token(file: Option<&Path>, around: &Surroundings) -> Result<Secret, String> {
    let text = match (file, &around.vault_token) {
        (Some(path), _) => String::from_utf8_lossy(&read_soon(path).await?).into_owned(),
        (None, Some(token)) => token.clone(),
        (None, None) => return Err("the site file has no [vault]".into()),
    };
    let text = text.trim();
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the Vault token is empty or not one word; log in with `vault login`".into());
    }
    Ok(Secret::new(text.to_owned()))
}
