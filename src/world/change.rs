//! Changes of the world: what the journal keeps and the fold applies.

use crate::event::Time;
use crate::world::{
    Claim, Class, CronJob, Http, Node, Pod, Raft, Reach, Secret, Shared, Source, Standing,
    StatefulSet, Status, Volume, World,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows that came or changed, and keys of rows that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Rows<T> {
    /// New or changed rows, whole; shared with the tables that they are put into.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "shared")]
    pub upsert: Vec<Arc<T>>,
    /// Keys, as [`Keyed::key`] gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// The upserts are everything: rows not named are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { upsert: Vec::new(), remove: Vec::new(), whole: false }
    }
}

/// Shared rows are written and read as rows.
mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        rows: &[Arc<T>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(rows.iter().map(|row| &**row))
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Arc<T>>, D::Error> {
        Ok(Vec::<T>::deserialize(from)?.into_iter().map(Arc::new).collect())
    }
}

/// What changed in one source's part of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "of", content = "rows")]
pub enum Update {
    /// Only the standing changed, or only a sign of life came.
    Nothing,
    /// The whole of raft.
    Raft(Shared<Raft>),
    /// Claims.
    Claims(Rows<Claim>),
    /// Volumes.
    Volumes(Rows<Volume>),
    /// Classes.
    Classes(Rows<Class>),
    /// Pods.
    Pods(Rows<Pod>),
    /// StatefulSets.
    Statefulsets(Rows<StatefulSet>),
    /// CronJobs.
    Cronjobs(Rows<CronJob>),
    /// Nodes.
    Nodes(Rows<Node>),
    /// Secrets' existence.
    Secrets(Rows<Secret>),
    /// Endpoints that were asked.
    Http(BTreeMap<String, Http>),
}

/// One observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub source: Source,
    /// How the source is.
    pub status: Status,
    /// Its last sign of life; `None` keeps the one before.
    pub as_of: Option<Time>,
    /// The namespaces that it now covers; `None`: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// What changed.
    pub update: Update,
}

/// A row with a key of its own within its table.
pub trait Keyed {
    /// Its namespace; empty for kinds that have none.
    fn namespace(&self) -> &str;
    /// Its name.
    fn name(&self) -> &str;
    /// `namespace/name`, or the name where there is no namespace.
    fn key(&self) -> String {
        match self.namespace() {
            "" => self.name().to_owned(),
            namespace => format!("{namespace}/{}", self.name()),
        }
    }
}

macro_rules! keyed {
    (namespaced: $($n:ty),*; global: $($g:ty),*) => {
        $(impl Keyed for $n {
            fn namespace(&self) -> &str { &self.namespace }
            fn name(&self) -> &str { &self.name }
        })*
        $(impl Keyed for $g {
            fn namespace(&self) -> &str { "" }
            fn name(&self) -> &str { &self.name }
        })*
    };
}
keyed!(namespaced: Claim, Pod, StatefulSet, CronJob, Secret; global: Volume, Class, Node);

impl<T> Rows<T> {
    /// Everything there is.
    #[must_use]
    pub fn all(rows: Vec<T>) -> Self {
        let upsert = rows.into_iter().map(Arc::new).collect();
        Self { upsert, remove: Vec::new(), whole: true }
    }

    /// Nothing changes by it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upsert.is_empty() && self.remove.is_empty() && !self.whole
    }
}

impl World {
    /// Folds one observation in.
    pub fn apply(&mut self, change: &Change) {
        match &change.update {
            Update::Nothing => {}
            Update::Raft(raft) => self.raft = raft.clone(),
            Update::Claims(rows) => self.claims.apply(rows),
            Update::Volumes(rows) => self.volumes.apply(rows),
            Update::Classes(rows) => self.classes.apply(rows),
            Update::Pods(rows) => self.pods.apply(rows),
            Update::Statefulsets(rows) => self.statefulsets.apply(rows),
            Update::Cronjobs(rows) => self.cronjobs.apply(rows),
            Update::Nodes(rows) => self.nodes.apply(rows),
            Update::Secrets(rows) => self.secrets.apply(rows),
            // All that the site names were asked: what it names no longer is not known.
            Update::Http(answers) => self.http.clone_from(answers),
        }
        let unheard = || Arc::new(Standing::unheard(change.source));
        let standing = self.sources.entry(change.source).or_insert_with(unheard);
        let standing = Arc::make_mut(standing);
        standing.status = change.status.clone();
        standing.as_of = change.as_of.or(standing.as_of);
        if let Some(reach) = &change.reach {
            standing.reach.clone_from(reach);
        }
    }

    /// Every source is waited for: how a run looks before anything was asked.
    pub fn arriving(&mut self) {
        for source in Source::ALL {
            let standing = Standing {
                status: Status::Arriving { have: 0, of: 0 },
                as_of: None,
                stale_after: source.stale_after(),
                reach: Reach::default(),
            };
            self.sources.insert(source, Arc::new(standing));
        }
    }

    /// How a source stands; *not configured* for one that was never heard of.
    #[must_use]
    pub fn standing(&self, source: Source) -> Standing {
        let heard = self.sources.get(&source).map(|standing| Standing::clone(standing));
        heard.unwrap_or_else(|| Standing::unheard(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, uid: &str) -> Claim {
        Claim { namespace: "vault".into(), name: name.into(), uid: uid.into(), ..Claim::default() }
    }

    fn change(rows: Rows<Claim>) -> Change {
        Change {
            source: Source::Claims,
            status: Status::Live,
            as_of: Some(Time(1000)),
            reach: None,
            update: Update::Claims(rows),
        }
    }

    #[test]
    fn rows_stay_sorted_and_whole_replaces() {
        let mut world = World::default();
        world.apply(&change(Rows::all(vec![claim("b", "1"), claim("a", "2")])));
        world.apply(&change(Rows {
            upsert: vec![Arc::new(claim("b", "3"))],
            remove: vec!["vault/x".into()],
            whole: false,
        }));
        let names: Vec<_> =
            world.claims.iter().map(|c| (c.name.as_str(), c.uid.as_str())).collect();
        assert_eq!(names, [("a", "2"), ("b", "3")]);
        world.apply(&change(Rows { upsert: vec![], remove: vec!["vault/a".into()], whole: false }));
        assert_eq!(world.claims.len(), 1);
        world.apply(&change(Rows::all(vec![])));
        assert!(world.claims.is_empty());
    }

    /// All endpoints are asked at once: one that was not asked any more is not known, however fresh the others.
    #[test]
    fn an_endpoint_that_is_asked_no_longer_is_gone() {
        let mut world = World::default();
        for name in ["page", "other"] {
            world.apply(&Change {
                source: Source::Http,
                status: Status::Live,
                as_of: Some(Time(0)),
                reach: None,
                update: Update::Http([(name.to_owned(), Http::default())].into()),
            });
        }
        assert_eq!(world.http.keys().collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn an_unreachable_source_keeps_its_rows_and_its_time() {
        let mut world = World::default();
        world.apply(&change(Rows::all(vec![claim("a", "1")])));
        world.apply(&Change {
            source: Source::Claims,
            status: Status::Unreachable { why: "connection refused".into() },
            as_of: None,
            reach: None,
            update: Update::Nothing,
        });
        let standing = world.standing(Source::Claims);
        assert_eq!(world.claims.len(), 1);
        assert!(!standing.fresh(Time(1000)));
        assert_eq!(standing.words(Time(61_000)), "unreachable, heard 1m00 ago: connection refused");
    }
}
