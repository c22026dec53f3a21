//! Rows as they are kept, by kind, and what of them is new since they were told.

use crate::observe::join::{self, Attachment, Csi};
use crate::observe::watch::kinds::{Kind, Row};
use crate::site::Kubernetes;
use crate::world::{
    Claim, Class, CronJob, Keyed, Node, Pod, Rows, Source, StatefulSet, Table, Update, Volume,
};
use std::collections::HashSet;
use std::sync::Arc;

/// Rows of one change at most: a journal's line of them stays below a megabyte.
const CHUNK: usize = 1000;

/// Rows by kind.
#[derive(Default)]
pub(super) struct Stores {
    pub(super) pods: Table<Pod>,
    claims: Table<Claim>,
    volumes: Table<Volume>,
    classes: Table<Class>,
    statefulsets: Table<StatefulSet>,
    cronjobs: Table<CronJob>,
    nodes: Table<Node>,
    csi: Table<Csi>,
    attachments: Table<Attachment>,
}

/// Puts a row in; one that says the same as before changes nothing, not even a pointer.
fn put<T: Keyed + Clone + PartialEq>(table: &mut Table<T>, row: T) {
    if table.find(row.namespace(), row.name()) != Some(&row) {
        table.put(Arc::new(row));
    }
}

impl Stores {
    pub(super) fn put(&mut self, row: Row) {
        match row {
            Row::Pod(row) => put(&mut self.pods, row),
            Row::Claim(row) => put(&mut self.claims, row),
            Row::Volume(row) => put(&mut self.volumes, row),
            Row::Class(row) => put(&mut self.classes, row),
            Row::Statefulset(row) => put(&mut self.statefulsets, row),
            Row::Cronjob(row) => put(&mut self.cronjobs, row),
            Row::Node(row) => put(&mut self.nodes, row),
            Row::Csi(row) => put(&mut self.csi, row),
            Row::Attachment(row) => put(&mut self.attachments, row),
        }
    }

    pub(super) fn remove(&mut self, kind: Kind, key: &dyn Keyed) {
        let (namespace, name) = (key.namespace(), key.name());
        match kind {
            Kind::Pods => self.pods.remove(namespace, name),
            Kind::Claims => self.claims.remove(namespace, name),
            Kind::Volumes => self.volumes.remove(namespace, name),
            Kind::Classes => self.classes.remove(namespace, name),
            Kind::Statefulsets => self.statefulsets.remove(namespace, name),
            Kind::Cronjobs => self.cronjobs.remove(namespace, name),
            Kind::Nodes => self.nodes.remove(namespace, name),
            Kind::CsiNodes => self.csi.remove(namespace, name),
            Kind::Attachments => self.attachments.remove(namespace, name),
        }
    }

    /// Takes out what was not told when everything in that scope was.
    pub(super) fn keep(&mut self, kind: Kind, scope: Option<&str>, seen: &HashSet<String>) {
        let kept = |row: &dyn Keyed| {
            scope.is_some_and(|s| s != row.namespace()) || seen.contains(&row.key())
        };
        match kind {
            Kind::Pods => self.pods.retain(|r| kept(r)),
            Kind::Claims => self.claims.retain(|r| kept(r)),
            Kind::Volumes => self.volumes.retain(|r| kept(r)),
            Kind::Classes => self.classes.retain(|r| kept(r)),
            Kind::Statefulsets => self.statefulsets.retain(|r| kept(r)),
            Kind::Cronjobs => self.cronjobs.retain(|r| kept(r)),
            Kind::Nodes => self.nodes.retain(|r| kept(r)),
            Kind::CsiNodes => self.csi.retain(|r| kept(r)),
            Kind::Attachments => self.attachments.retain(|r| kept(r)),
        }
    }

    /// Pods with their UID, and all.
    pub(super) fn identities(&self) -> (u64, u64) {
        let known = self.pods.iter().filter(|p| !p.uid.is_empty()).count();
        (known as u64, self.pods.len() as u64)
    }

    /// What of a source is new since it was told, in parts; `again`: its rows were told
    /// before.
    pub(super) fn since(
        &self,
        told: &mut Self,
        source: Source,
        again: bool,
        site: Option<&Kubernetes>,
    ) -> Vec<Update> {
        let rows = self;
        match source {
            Source::Pods => parts(&mut told.pods, rows.pods.clone(), again, Update::Pods),
            Source::Claims => {
                let now = join::claims(&rows.claims, &rows.pods, &rows.statefulsets);
                parts(&mut told.claims, now, again, Update::Claims)
            }
            Source::Volumes => {
                parts(&mut told.volumes, rows.volumes.clone(), again, Update::Volumes)
            }
            Source::Classes => {
                let now = join::classes(&rows.classes, &rows.claims, &rows.volumes, site);
                parts(&mut told.classes, now, again, Update::Classes)
            }
            Source::Statefulsets => {
                let now = rows.statefulsets.clone();
                parts(&mut told.statefulsets, now, again, Update::Statefulsets)
            }
            Source::Cronjobs => {
                parts(&mut told.cronjobs, rows.cronjobs.clone(), again, Update::Cronjobs)
            }
            Source::Nodes => {
                let now = join::nodes(&rows.nodes, &rows.csi, &rows.attachments);
                parts(&mut told.nodes, now, again, Update::Nodes)
            }
            Source::Raft | Source::Secrets | Source::Http => Vec::new(),
        }
    }
}

fn parts<T: Keyed + PartialEq>(
    told: &mut Table<T>,
    now: Table<T>,
    again: bool,
    update: fn(Rows<T>) -> Update,
) -> Vec<Update> {
    let rows = if again { now.since(told) } else { now.to_rows() };
    *told = now;
    let mut upserts = rows.upsert.chunks(CHUNK).map(<[_]>::to_vec);
    let upsert = upserts.next().unwrap_or_default();
    let first = Rows { upsert, remove: rows.remove, whole: rows.whole };
    let rest = upserts.map(|upsert| Rows { upsert, ..Rows::default() });
    std::iter::once(first).chain(rest).filter(|r| !r.is_empty()).map(update).collect()
}
