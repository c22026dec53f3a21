//! The actions that a runbook may name: arguments, results and what they look at.
//!
//! One table serves the lint, the schema, the documents and `action`, so that they
//! cannot disagree.

use crate::event::{Span, SpanError};
use crate::runbook::types::Ty;

/// Kind of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    /// Text, may hold templates.
    Text,
    /// The same, a duration in whole seconds, and of no less than these.
    Seconds(u64),
    /// A list of texts.
    List,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
}

/// An argument.
#[derive(Debug, Clone, Copy)]
pub struct ArgSpec {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: ArgKind,
    /// It must be given.
    pub required: bool,
    /// What it is.
    pub says: &'static str,
}

/// An action.
#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// `family.action`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub says: &'static str,
    /// Its arguments.
    pub args: &'static [ArgSpec],
    /// Something goes away: it needs gates, a verify and a word about undo.
    pub destructive: bool,
    /// Fields of `result`: name and type.
    pub result: &'static [(&'static str, Scalar)],
}

/// Types of result fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    Text,
    /// Whole number.
    Int,
    /// True or false.
    Bool,
    /// A point in time.
    Time,
}

impl Scalar {
    pub(crate) fn ty(self) -> Ty {
        match self {
            Self::Text => Ty::String,
            Self::Int => Ty::Int,
            Self::Bool => Ty::Bool,
            Self::Time => Ty::Time,
        }
    }
}

const fn arg(name: &'static str, kind: ArgKind, required: bool, says: &'static str) -> ArgSpec {
    ArgSpec { name, kind, required, says }
}

const NAMESPACE: ArgSpec =
    arg("namespace", ArgKind::Text, false, "namespace; default: the one of the site's Vault");
const TEMPORARY: ArgSpec = arg(
    "temporary",
    ArgKind::Text,
    false,
    "directories that are no place for it, with colons; default: /tmp:/var/tmp:/dev/shm:/run",
);
const AT: (&str, Scalar) = ("at", Scalar::Time);

/// Every action.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "kube.delete_statefulset",
        says: "delete a StatefulSet and leave its pods and claims alone (cascade orphan)",
        args: &[
            arg("name", ArgKind::Text, true, "its name"),
            NAMESPACE,
            arg(
                "successor",
                ArgKind::Text,
                false,
                "the manifest that it is re-created from, compared before anything is deleted; none if empty",
            ),
        ],
        destructive: true,
        result: &[AT],
    },
    Verb {
        name: "kube.keep_manifest",
        says: "write a StatefulSet's manifest, as it is now, to a file from which it can be made again, and copy that to a second place",
        args: &[
            arg("name", ArgKind::Text, true, "the StatefulSet's name"),
            NAMESPACE,
            arg("dir", ArgKind::Text, true, "directory for the file"),
            arg("copy_to", ArgKind::Text, true, "directory for the second copy"),
            TEMPORARY,
        ],
        destructive: false,
        result: &[("path", Scalar::Text), ("sha256", Scalar::Text), ("copies", Scalar::Int), AT],
    },
    Verb {
        name: "kube.delete_claims",
        says: "delete the claims of a pod, each by its UID, without waiting for them to go",
        args: &[arg("of_pod", ArgKind::Text, true, "the pod whose claims they are"), NAMESPACE],
        destructive: true,
        result: &[("count", Scalar::Int), AT],
    },
    Verb {
        name: "kube.create_claims",
        says: "create claims for a pod by name, as the StatefulSet of a manifest would but of a class of their own",
        args: &[
            arg("of_pod", ArgKind::Text, true, "the pod that will mount them"),
            arg("class", ArgKind::Text, true, "their StorageClass"),
            arg("manifest", ArgKind::Text, true, "the StatefulSet's manifest, with the templates"),
            NAMESPACE,
        ],
        destructive: false,
        result: &[("count", Scalar::Int), AT],
    },
    Verb {
        name: "kube.delete_pod",
        says: "delete a pod, by its UID",
        args: &[
            arg("name", ArgKind::Text, true, "its name"),
            NAMESPACE,
            arg("grace", ArgKind::Seconds(0), false, "grace period; default: the pod's own"),
        ],
        destructive: true,
        result: &[AT],
    },
    Verb {
        name: "kube.remove_protection",
        says: "remove the finalizer kubernetes.io/pvc-protection from claims that are being deleted",
        args: &[arg("of_pod", ArgKind::Text, true, "the pod whose claims they are"), NAMESPACE],
        destructive: true,
        result: &[("count", Scalar::Int), AT],
    },
    Verb {
        name: "kube.apply",
        says: "apply a manifest on the server side",
        args: &[
            arg("manifest", ArgKind::Text, true, "path of a YAML or JSON file with one object"),
            arg(
                "field_manager",
                ArgKind::Text,
                false,
                "name of the field manager; default: holdpoint",
            ),
            arg("force", ArgKind::Bool, false, "take over fields that others manage"),
        ],
        destructive: false,
        result: &[("uid", Scalar::Text), ("generation", Scalar::Int), AT],
    },
    Verb {
        name: "kube.wait",
        says: "wait until a pod is Ready, or gone",
        args: &[
            arg("pod", ArgKind::Text, true, "its name"),
            NAMESPACE,
            arg("until", ArgKind::Text, true, "`ready` or `deleted`"),
            arg("within", ArgKind::Seconds(1), true, "how long at most"),
        ],
        destructive: false,
        result: &[AT],
    },
    Verb {
        name: "vault.snapshot_save",
        says: "save a raft snapshot, check it, and copy it to a second place",
        args: &[
            arg("dir", ArgKind::Text, true, "directory for it"),
            arg("copy_to", ArgKind::Text, true, "directory for the second copy"),
            TEMPORARY,
        ],
        destructive: false,
        result: &[
            ("path", Scalar::Text),
            ("bytes", Scalar::Int),
            ("index", Scalar::Int),
            ("sha256", Scalar::Text),
            ("checked", Scalar::Bool),
            ("copies", Scalar::Int),
            AT,
        ],
    },
    Verb {
        name: "vault.snapshot_restore",
        says: "restore a raft snapshot: everything that was written since is lost",
        args: &[
            arg("path", ArgKind::Text, true, "the snapshot's file"),
            arg("force", ArgKind::Bool, false, "also one of another cluster, with its unseal keys"),
        ],
        destructive: true,
        result: &[AT],
    },
    Verb {
        name: "vault.step_down",
        says: "make the node that leads step down",
        args: &[arg("node", ArgKind::Text, true, "the leader, by name")],
        destructive: false,
        result: &[AT],
    },
    Verb {
        name: "vault.peers_file",
        says: "write raft/peers.json in a voter's pod: once unsealed anew, that voter alone is the cluster",
        args: &[
            arg("node", ArgKind::Text, true, "the voter with the good disk, by name"),
            arg(
                "anchor",
                ArgKind::Text,
                true,
                "a snapshot of the cluster: its raft configuration says where raft talks to the voter",
            ),
            NAMESPACE,
            arg("container", ArgKind::Text, false, "the container of Vault; default: vault"),
            arg(
                "data_dir",
                ArgKind::Text,
                false,
                "where raft's data lies in it; default: /vault/data",
            ),
        ],
        destructive: true,
        result: &[("path", Scalar::Text), AT],
    },
    Verb {
        name: "vault.rebuild",
        says: "make a new cluster of a voter with an empty disk and restore a snapshot into it: the keys and tokens that were saved are valid again",
        args: &[
            arg("node", ArgKind::Text, true, "the voter, by name; no voter may have data"),
            arg("path", ArgKind::Text, true, "the snapshot's file"),
        ],
        destructive: true,
        result: &[AT],
    },
    Verb {
        name: "shell.run",
        says: "run a program here, without a shell",
        args: &[
            arg("argv", ArgKind::List, true, "program and arguments"),
            arg("timeout", ArgKind::Seconds(1), true, "it is ended after this"),
            arg("dir", ArgKind::Text, false, "where it runs"),
        ],
        destructive: false,
        result: &[("status", Scalar::Int), ("out", Scalar::Text), AT],
    },
];

/// Whether an action changes something through the API server: it takes the cluster's lease.
#[must_use]
pub fn changes_cluster(verb: &str) -> bool {
    verb.starts_with("kube.") && verb != "kube.keep_manifest"
}

/// Whether the world tells afterwards that an action was done. Where it does not, a runbook's
/// own probe decides.
#[must_use]
pub fn tells(verb: &str) -> bool {
    !["shell.run", "vault.snapshot_restore"].contains(&verb)
}

/// Whether an action may be ended in the middle: it only waits or reads, or it is a program of
/// which the runbook's author says so.
#[must_use]
pub fn can_stop(verb: &str) -> bool {
    ["kube.wait", "vault.snapshot_save", "shell.run"].contains(&verb)
}

/// The action of that name.
#[must_use]
pub fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|v| v.name == name)
}

/// A duration as servers and tools take it: what is less than a second would be none there.
pub fn seconds(text: &str, least: u64) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e: SpanError| e.to_string())?;
    match span.0 {
        ms if ms % 1000 != 0 => Err(format!("{span} is not in whole seconds")),
        ms if ms < least * 1000 => Err(format!("{span} is less than {least} s")),
        _ => Ok(span),
    }
}

/// The same for an argument of an action, once its text is known.
pub fn seconds_of(action: &str, name: &str, text: &str) -> Result<Span, String> {
    let kind = verb(action).and_then(|v| v.args.iter().find(|a| a.name == name)).map(|a| a.kind);
    let least = if let Some(ArgKind::Seconds(least)) = kind { least } else { 0 };
    seconds(text, least).map_err(|why| format!("`{name}`: {why}"))
}
