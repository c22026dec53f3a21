//! Kinds that are watched: where they are asked, and how an object becomes a row. What a
//! row does not need is dropped here, object by object, before the next is read.

use crate::observe::join::{Attachment, Csi};
use crate::observe::{pod, rows, slim};
use crate::world::{Claim, Class, CronJob, Keyed, Node, Pod, StatefulSet, Volume};
use serde_json::from_str;

/// A kind that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pods,
    Claims,
    Volumes,
    Classes,
    Statefulsets,
    Cronjobs,
    Nodes,
    CsiNodes,
    Attachments,
}

impl Kind {
    /// Watched in the whole cluster, whatever the site shows.
    pub(super) const EVERYWHERE: [Self; 6] = [
        Self::Claims,
        Self::Volumes,
        Self::Classes,
        Self::Nodes,
        Self::CsiNodes,
        Self::Attachments,
    ];

    /// Group with version, and resource.
    const fn place(self) -> (&'static str, &'static str) {
        const CORE: &str = "/api/v1";
        const STORAGE: &str = "/apis/storage.k8s.io/v1";
        match self {
            Self::Pods => (CORE, "pods"),
            Self::Claims => (CORE, "persistentvolumeclaims"),
            Self::Volumes => (CORE, "persistentvolumes"),
            Self::Nodes => (CORE, "nodes"),
            Self::Statefulsets => ("/apis/apps/v1", "statefulsets"),
            Self::Cronjobs => ("/apis/batch/v1", "cronjobs"),
            Self::Classes => (STORAGE, "storageclasses"),
            Self::CsiNodes => (STORAGE, "csinodes"),
            Self::Attachments => (STORAGE, "volumeattachments"),
        }
    }

    /// The API group; empty for the core.
    pub(super) fn group(self) -> &'static str {
        self.place().0.strip_prefix("/apis/").and_then(|g| g.split('/').next()).unwrap_or("")
    }

    /// The resource's name.
    pub(super) const fn plural(self) -> &'static str {
        self.place().1
    }

    /// Path of the list, of one namespace or of all.
    pub(crate) fn path(self, namespace: Option<&str>) -> String {
        let (base, plural) = self.place();
        match namespace {
            Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
            None => format!("{base}/{plural}"),
        }
    }

    /// Pods are many and large: they come as protobuf.
    pub(super) const fn protobuf(self) -> bool {
        matches!(self, Self::Pods)
    }
}

/// An object, pruned.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Pod(Pod),
    Claim(Claim),
    Volume(Volume),
    Class(Class),
    Statefulset(StatefulSet),
    Cronjob(CronJob),
    Node(Node),
    Csi(Csi),
    Attachment(Attachment),
}

impl Row {
    pub(super) fn keyed(&self) -> &dyn Keyed {
        match self {
            Self::Pod(row) => row,
            Self::Claim(row) => row,
            Self::Volume(row) => row,
            Self::Class(row) => row,
            Self::Statefulset(row) => row,
            Self::Cronjob(row) => row,
            Self::Node(row) => row,
            Self::Csi(row) => row,
            Self::Attachment(row) => row,
        }
    }
}

/// An object of that kind from its JSON.
pub(super) fn row(kind: Kind, json: &str) -> Result<Row, String> {
    let odd = |e| format!("an object of {} cannot be read: {e}", kind.plural());
    let read = || -> Result<Row, serde_json::Error> {
        Ok(match kind {
            Kind::Pods => Row::Pod(pod::row((&from_str::<slim::Pod>(json)?).into())),
            Kind::Claims => Row::Claim(rows::claim(from_str(json)?)),
            Kind::Volumes => Row::Volume(rows::volume(from_str(json)?)),
            Kind::Classes => Row::Class(rows::class(from_str(json)?)),
            Kind::Statefulsets => Row::Statefulset(rows::statefulset(from_str(json)?)),
            Kind::Cronjobs => Row::Cronjob(rows::cronjob(from_str(json)?)),
            Kind::Nodes => Row::Node(rows::node(from_str(json)?)),
            Kind::CsiNodes => Row::Csi(rows::csi(from_str(json)?)),
            Kind::Attachments => Row::Attachment(rows::attachment(from_str(json)?)),
        })
    };
    read().map_err(odd)
}
