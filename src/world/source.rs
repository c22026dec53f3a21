//! Where data comes from, how that source is, and plain http endpoints.

use crate::event::{Span, Time};
use crate::world::Reach;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A source of observations. An expression's top-level name tells which it needs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Vault's voters.
    Raft,
    /// PersistentVolumeClaims.
    Claims,
    /// PersistentVolumes.
    Volumes,
    /// StorageClasses.
    Classes,
    /// Pods.
    Pods,
    /// StatefulSets.
    Statefulsets,
    /// CronJobs.
    Cronjobs,
    /// Nodes and VolumeAttachments.
    Nodes,
    /// Existence of named Secrets.
    Secrets,
    /// HTTP endpoints.
    Http,
}

impl Source {
    /// Every source, in the order of panes.
    pub const ALL: [Self; 10] = [
        Self::Raft,
        Self::Claims,
        Self::Volumes,
        Self::Classes,
        Self::Pods,
        Self::Statefulsets,
        Self::Cronjobs,
        Self::Nodes,
        Self::Secrets,
        Self::Http,
    ];

    /// The name in expressions: the field of [`super::World`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raft => "raft",
            Self::Claims => "claims",
            Self::Volumes => "volumes",
            Self::Classes => "classes",
            Self::Pods => "pods",
            Self::Statefulsets => "statefulsets",
            Self::Cronjobs => "cronjobs",
            Self::Nodes => "nodes",
            Self::Secrets => "secrets",
            Self::Http => "http",
        }
    }

    /// The source behind a top-level name of an expression.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Its rows are those of certain namespaces.
    #[must_use]
    pub const fn has_reach(self) -> bool {
        matches!(self, Self::Claims | Self::Pods | Self::Statefulsets | Self::Cronjobs)
    }

    /// The age from which its data counts as stale, unless the site file says otherwise.
    /// Raft is asked every second, secrets and http every 10 s; a watch gives a sign of
    /// life at least every 20 s.
    #[must_use]
    pub const fn stale_after(self) -> Span {
        match self {
            Self::Raft => Span::secs(6),
            Self::Secrets | Self::Http => Span::secs(30),
            _ => Span::secs(40),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a source is. Never an empty table instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Status {
    /// Answers.
    Live,
    /// Answers, and has not told everything yet: what is shown is a part, or lacks UIDs.
    Arriving {
        /// Rows with their identity.
        have: u64,
        /// Rows known of; 0 before the first answer.
        of: u64,
    },
    /// Does not answer; what is shown is from before.
    Unreachable {
        /// The error, in words.
        why: String,
    },
    /// Answers, but not to us.
    Forbidden {
        /// The missing right: `list persistentvolumeclaims`.
        right: String,
    },
    /// The site file does not name it.
    NotConfigured,
}

/// A source's status with its last sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How it is.
    pub status: Status,
    /// When its data was last known to be true: the source's last sign of life, not the
    /// object's last change.
    pub as_of: Option<Time>,
    /// Age from which it is stale; [`Source::stale_after`] unless the site says otherwise.
    pub stale_after: Span,
    /// The namespaces that it covers, where it has any.
    #[serde(default)]
    pub reach: Reach,
}

impl Standing {
    /// A source that was never heard of.
    pub(super) fn unheard(source: Source) -> Self {
        Self {
            status: Status::NotConfigured,
            as_of: None,
            stale_after: source.stale_after(),
            reach: Reach::default(),
        }
    }

    /// Live and recent: the only state on which a gate is decided.
    #[must_use]
    pub fn fresh(&self, now: Time) -> bool {
        let age = self.as_of.and_then(|t| now.age(t));
        self.status == Status::Live && age.is_some_and(|age| age <= self.stale_after)
    }

    /// In words, for a pane's title or an inconclusive verdict: `1s ago`,
    /// `stale since 4m12`, `unreachable: connection refused`.
    #[must_use]
    pub fn words(&self, now: Time) -> String {
        match (&self.status, self.as_of) {
            (Status::Live, None) => "nothing heard yet".into(),
            (Status::Live, Some(t)) if self.fresh(now) => format!("{} ago", now.since(t).brief()),
            (Status::Live, Some(t)) if now.age(t).is_none() => {
                "heard before the clock was set back".into()
            }
            (Status::Live, Some(t)) => format!("stale since {}", now.since(t).brief()),
            (Status::Arriving { of: 0, .. }, _) => "no answer yet".into(),
            (Status::Arriving { have, of }, _) => format!("identities {have} of {of}"),
            (Status::Unreachable { why }, None) => format!("unreachable: {why}"),
            (Status::Unreachable { why }, Some(t)) => {
                format!("unreachable, heard {} ago: {why}", now.since(t).brief())
            }
            (Status::Forbidden { right }, _) => format!("forbidden: {right}"),
            (Status::NotConfigured, _) => "not configured".into(),
        }
    }
}

/// One answer of an HTTP endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Http {
    /// Status code; 0 when there was no answer.
    pub status: i64,
    /// Milliseconds to the complete answer.
    pub latency_ms: i64,
    /// The first 4 KiB of the body, control sequences removed.
    pub body: String,
    /// Why there was no answer; empty if there was one.
    pub error: String,
}
