//! Who holds the cluster's lease: what keeps two hosts from driving the same change at once.

use crate::event::{Span, Time};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What was seen of it, or became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Lease {
    /// This run has it now: it was free, its own, or taken over from somebody.
    Taken {
        /// `namespace/name`.
        lease: String,
        /// When that was asked for, by this machine's clock.
        asked: Time,
        /// Nobody else takes it for so long after that.
        lasts: Span,
        /// Whose it was, if it was taken over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// This run still has it.
    Renewed {
        /// `namespace/name`.
        lease: String,
        /// When that was asked for, by this machine's clock.
        asked: Time,
        /// Nobody else takes it for so long after that.
        lasts: Span,
    },
    /// Somebody else has it.
    Held {
        /// `namespace/name`.
        lease: String,
        /// Run, person and host.
        holder: String,
        /// Since when, by their clock; none where they do not say.
        since: Option<Time>,
        /// They did not renew it for as long as it lasts, by this machine's clock.
        expired: bool,
    },
    /// This run had it, and that is over.
    Lost {
        /// Why.
        why: String,
        /// Who has it now, if somebody has.
        holder: Option<String>,
    },
    /// Nothing is known of it: no answer, no right.
    Unread {
        /// Why.
        why: String,
    },
    /// This run let it go.
    Released,
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { lease, from: None, .. } => write!(f, "this run holds {lease}"),
            Self::Taken { lease, from: Some(from), .. } => {
                write!(f, "this run took {lease} over from {from}")
            }
            Self::Renewed { lease, .. } => write!(f, "this run still holds {lease}"),
            Self::Held { holder, since, expired, .. } => {
                write!(f, "{holder} holds it")?;
                if let Some(since) = since {
                    write!(f, " since {since}")?;
                }
                match expired {
                    true => f.write_str(" and does not renew it any more"),
                    false => Ok(()),
                }
            }
            Self::Lost { why, holder: None } => write!(f, "it was lost: {why}"),
            Self::Lost { why, holder: Some(holder) } => {
                write!(f, "it was lost: {why}; {holder} holds it")
            }
            Self::Unread { why } => write!(f, "who holds it is not known: {why}"),
            Self::Released => f.write_str("this run let it go"),
        }
    }
}
