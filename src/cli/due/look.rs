//! The sites on which checks of follow-ups are looked at: each asked once who it is.

use crate::cli::resume::all_shown;
use crate::cli::site;
use crate::event::{Judged, Pins};
use crate::observe;
use crate::remote::Remote;
use crate::run::{State, due_judged, due_reading};
use crate::runbook::Expr;
use crate::site::{KUBERNETES, VAULT, is_lab, mismatch};
use crate::text::clean_line;
use crate::world::{Reading, Source};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a site to say who it is, and for all that a check reads. A program that logs in may wait
/// for a person; a list must not.
const LONGEST: Duration = Duration::from_secs(30);

/// A site, and who it says that it is.
#[derive(Clone)]
struct Reached {
    remote: Arc<Remote>,
    found: Pins,
}

/// Those that were asked so far, by how they were named.
pub(crate) struct Sites {
    named: Option<String>,
    reached: BTreeMap<String, Result<Reached, String>>,
}

impl Sites {
    /// One for all runs, or each run's own.
    pub(crate) fn new(named: Option<&str>) -> Self {
        Self { named: named.map(str::to_owned), reached: BTreeMap::new() }
    }

    /// What the check of a follow-up sees now; nothing, where it has none.
    pub(crate) async fn judged(&mut self, state: &State, id: &str) -> Option<Judged> {
        let followup = state.runbook.followups.iter().find(|f| f.id == id)?;
        let check = followup.check.as_ref()?;
        match self.looked(state, check).await {
            Ok(judged) => Some(judged),
            Err(why) => Some(Judged::inconclusive(clean_line(&why), site::clock()())),
        }
    }

    async fn looked(&mut self, state: &State, check: &Expr) -> Result<Judged, String> {
        let header = &state.header;
        let named = self.named.clone().unwrap_or_else(|| header.site_from.clone());
        if named.is_empty() {
            return Err(match is_lab(&header.pins) {
                true => "it was a lab's own run, and its site went with it".into(),
                false => {
                    "the journal does not say how its site is reached; name it with --site".into()
                }
            });
        }
        let Reached { remote, found } = self.reached(&named).await?;
        let site = &remote.site;
        if site.name != header.site {
            return Err(format!("{named} is site {}, the run was on {}", site.name, header.site));
        }
        all_shown(site, &header.shows, &named)?;
        proved(&remote, &header.pins, &found)?;
        let reading = due_reading(state, check);
        let lacks = |system: &&str| !header.pins.contains_key(*system);
        if let Some(system) = systems(&reading).into_iter().find(lacks) {
            return Err(format!(
                "the run was opened without {system}, so nothing proves that this is the right one"
            ));
        }
        let changes = within("its answers", observe::read(&remote, &reading)).await?;
        Ok(due_judged(state, check, &changes, remote.now()))
    }

    async fn reached(&mut self, named: &str) -> Result<Reached, String> {
        if let Some(known) = self.reached.get(named) {
            return known.clone();
        }
        let reached = reach(named).await;
        self.reached.insert(named.to_owned(), reached.clone());
        reached
    }
}

async fn reach(named: &str) -> Result<Reached, String> {
    errln!("holdpoint: looking at site {named}");
    let found = site::find(named)?;
    let around = site::surroundings();
    let connected = Remote::connect(found.site, &around, site::clock());
    let remote = within("its login", connected).await?.map_err(|e| e.to_string())?;
    let found = within("its identities", remote.identities()).await?;
    Ok(Reached { remote: Arc::new(remote), found })
}

async fn within<T>(what: &str, asked: impl Future<Output = T>) -> Result<T, String> {
    let late = |_| format!("{what}: nothing in {} s", LONGEST.as_secs());
    tokio::time::timeout(LONGEST, asked).await.map_err(late)
}

/// Every identity that the run was held to is seen, and the same: what a check names may be of any.
fn proved(remote: &Remote, pinned: &Pins, found: &Pins) -> Result<(), String> {
    let wrong = mismatch(pinned, found);
    if !wrong.is_empty() {
        return Err(format!("this is another site: {}", wrong.join("; ")));
    }
    let Some(name) = pinned.keys().find(|name| !found.contains_key(*name)) else { return Ok(()) };
    let why = match &remote.kube {
        Err(why) if name == KUBERNETES => format!(" ({why})"),
        _ => String::new(),
    };
    Err(format!(
        "{name} cannot be read now{why}, so this may be another site; see holdpoint doctor"
    ))
}

/// Whose answers a check goes by.
fn systems(reading: &Reading) -> Vec<&'static str> {
    let system = |source| match source {
        Source::Raft => Some(VAULT),
        Source::Http => None,
        _ => Some(KUBERNETES),
    };
    reading.iter().filter_map(|(source, _)| system(source)).collect()
}
