//! Test help: an API server that follows a script, and what is seen of it.

use crate::observe::watch::{Pace, spawn_at, wire};
use crate::remote::responder::{Open, Reply, Responder};
use crate::remote::rig;
use crate::world::{Change, Source, Status, Update, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};

/// Times at which a test ends before its reader has lost patience.
pub(super) const PACE: Pace = Pace {
    watch: Duration::from_secs(1),
    slack: Duration::from_millis(300),
    shortest: Duration::from_millis(20),
    answer: Duration::from_secs(2),
    telling: Duration::from_secs(20),
    back_off: (Duration::from_millis(20), Duration::from_millis(100)),
    together: Duration::from_millis(5),
    glimpse: Duration::from_secs(2),
    head_start: Duration::from_millis(5),
};

/// A watch that the server ends in time.
pub(super) const IN_TIME: Open = Open::For(Duration::from_millis(400));

/// Answers by resource, in their order; then a cluster in which nothing happens.
struct Script(Mutex<HashMap<&'static str, Vec<Reply>>>);

impl Script {
    fn answer(&self, asked: &str) -> Reply {
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        let resource = path.rsplit('/').next().unwrap();
        let special = ["includeObject", "fieldSelector"].into_iter().find(|s| query.contains(s));
        let name = special.unwrap_or(resource);
        if let Some(next) = self.0.lock().unwrap().get_mut(name)
            && !next.is_empty()
        {
            return next.remove(0);
        }
        if query.contains("fieldSelector") {
            return Reply::Json(200, json!({"items": null, "metadata": {"resourceVersion": "7"}}));
        }
        let all = query.contains("sendInitialEvents");
        let open = if all { Open::Yes } else { IN_TIME };
        match name {
            "includeObject" => Reply::Json(404, json!({})),
            "pods" => Reply::Pieces(vec![wire::bookmark("1", all)], open),
            _ => Reply::Lines(vec![bookmark("1", all)], open),
        }
    }
}

pub(super) struct Rig {
    pub(super) api: Responder,
    pub(super) changes: Receiver<Change>,
    pub(super) world: World,
    pub(super) seen: Vec<Change>,
}

impl Rig {
    pub(super) async fn start(
        script: impl IntoIterator<Item = (&'static str, Vec<Reply>)>,
    ) -> Self {
        Self::beside(&[], script).await
    }

    /// Namespaces are watched beside the site's own.
    pub(super) async fn beside(
        namespaces: &[&str],
        script: impl IntoIterator<Item = (&'static str, Vec<Reply>)>,
    ) -> Self {
        let named: BTreeSet<String> = namespaces.iter().map(|&n| n.to_owned()).collect();
        let script = Script(Mutex::new(script.into_iter().collect()));
        let api = Responder::start(move |asked, _| script.answer(asked)).await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let (out, changes) = channel(64);
        spawn_at(&remote, &named, &out, PACE);
        Self { api, changes, world: World::default(), seen: Vec::new() }
    }

    /// Folds changes until it is so.
    pub(super) async fn until(&mut self, what: &str, so: impl Fn(&World) -> bool) {
        let hang = tokio::time::Instant::now() + Duration::from_secs(60);
        while !so(&self.world) {
            let next = tokio::time::timeout_at(hang, self.changes.recv()).await;
            let change = next.unwrap_or_else(|_| panic!("{what}: {:?}", self.world)).unwrap();
            self.world.apply(&change);
            self.seen.push(change);
            // Changes that go on coming are no reason to wait for ever.
            assert!(tokio::time::Instant::now() < hang, "{what}: {:?}", self.world);
        }
    }

    pub(super) async fn until_live(&mut self, source: Source) {
        self.until("live", |w| w.standing(source).status == Status::Live).await;
    }

    /// Updates of a source that brought rows, since the last time.
    pub(super) fn rows(&mut self, source: Source) -> Vec<Update> {
        let of = |c: &Change| c.source == source && c.update != Update::Nothing;
        std::mem::take(&mut self.seen).into_iter().filter(of).map(|c| c.update).collect()
    }

    pub(super) fn volumes(&self) -> Vec<(&str, &str)> {
        self.world.volumes.iter().map(|v| (v.name.as_str(), v.phase.as_str())).collect()
    }

    /// Queries of a resource's watches so far.
    pub(super) fn asked(&self, resource: &str) -> Vec<String> {
        let of = |asked: String| {
            let (path, query) = asked.split_once('?')?;
            path.ends_with(&format!("/{resource}")).then(|| query.to_owned())
        };
        self.api.seen().into_iter().filter_map(of).collect()
    }
}

pub(super) fn bookmark(version: &str, complete: bool) -> String {
    let note = if complete { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    json!({"type": "BOOKMARK", "object": {"kind": "X", "apiVersion": "v1",
        "metadata": {"resourceVersion": version, "annotations": note}}})
    .to_string()
}

pub(super) fn object(name: &str, phase: &str, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": version,
            "managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {}}}]},
        "spec": {"storageClassName": "fast"}, "status": {"phase": phase}})
}

pub(super) fn event(kind: &str, name: &str, phase: &str, version: &str) -> String {
    json!({"type": kind, "object": object(name, phase, version)}).to_string()
}

pub(super) fn gone() -> String {
    json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "code": 410,
        "reason": "Expired", "message": "too old resource version: 7 (9)"}})
    .to_string()
}
