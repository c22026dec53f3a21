//! The sites on which checks of follow-ups are looked at: each asked once who it is.

use crate::cli::site;
use crate::event::{Judged, Pins};
use crate::observe;
use crate::remote::Remote;
use crate::run::{State, due_judged, due_reading};
use crate::runbook::Expr;
use crate::site::{KUBERNETES, VAULT, is_lab, mismatch};
use crate::world::{Reading, Source};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A site, and who it says that it is.
#[derive(Clone)]
struct Reached {
    name: String,
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
            Err(why) => Some(Judged::inconclusive(why, site::clock()())),
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
        let Reached { name, remote, found } = self.reached(&named).await?;
        if name != header.site {
            return Err(format!("{named} is site {name}, the run was on {}", header.site));
        }
        let wrong = mismatch(&header.pins, &found);
        if !wrong.is_empty() {
            return Err(format!("this is another site: {}", wrong.join("; ")));
        }
        let reading = due_reading(state, check);
        let lacks =
            |system: &&str| !header.pins.contains_key(*system) || !found.contains_key(*system);
        if let Some(system) = systems(&reading).into_iter().find(lacks) {
            return Err(format!("{system} cannot be read now, so this may be another site"));
        }
        let changes = observe::read(&remote, &reading).await;
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
    let found = site::find(named)?;
    let name = found.site.name.clone();
    let remote = Remote::connect(found.site, &site::surroundings(), site::clock()).await;
    let remote = Arc::new(remote.map_err(|e| e.to_string())?);
    let found = remote.identities().await;
    Ok(Reached { name, remote, found })
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
