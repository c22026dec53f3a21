//! The life of a step: one table of legal moves.

use crate::event::{Event, Outcome};
use std::fmt;

/// Where a step is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Status {
    /// Its turn has not come.
    Pending,
    /// Its turn; the gates pass.
    Ready,
    /// Its turn; a gate fails or is inconclusive.
    Blocked,
    /// A person looks at its review.
    Confirming,
    /// A person released it; gates and proposal are read once more.
    Released,
    /// Its effect runs, or its soak.
    Running,
    /// Its command was shown, to be run elsewhere.
    Shown,
    /// Said to be done elsewhere; the action's probe looks.
    Claimed,
    /// Its verify runs.
    Verifying,
    /// Done and verified.
    Done,
    /// Did not work; waits for a person.
    Failed,
    /// Its effect may or may not have happened.
    InDoubt,
    /// Left out by a person.
    Skipped,
    /// Its `when` was false.
    NotNeeded,
    /// The run was given up before it ended.
    Aborted,
    /// It was done, or may have been, and what undoes it was done after it.
    Undone,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 16] = [
        Self::Pending,
        Self::Ready,
        Self::Blocked,
        Self::Confirming,
        Self::Released,
        Self::Running,
        Self::Shown,
        Self::Claimed,
        Self::Verifying,
        Self::Done,
        Self::Failed,
        Self::InDoubt,
        Self::Skipped,
        Self::NotNeeded,
        Self::Aborted,
        Self::Undone,
    ];

    /// Nothing more happens to it by itself or by a person, but that it may be asked again
    /// whether it is needed.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::NotNeeded | Self::Aborted | Self::Undone)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Blocked => "blocked",
            Self::Confirming => "confirming",
            Self::Released => "released",
            Self::Running => "running",
            Self::Shown => "shown",
            Self::Claimed => "claimed",
            Self::Verifying => "verifying",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::InDoubt => "in doubt",
            Self::Skipped => "skipped",
            Self::NotNeeded => "not needed",
            Self::Aborted => "aborted",
            Self::Undone => "undone",
        })
    }
}

/// What moves a step: an event reduced to what its legality depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// `StepOpened`
    Open,
    /// `NotNeeded`
    NotNeeded,
    /// `GatesJudged`, all pass or are overridden
    GatesPass,
    /// `GatesJudged`, one does not
    GatesHold,
    /// `ReviewOpened`
    Review,
    /// `ReviewClosed`, gates pass
    Close,
    /// `ReviewClosed`, gates do not pass
    CloseBlocked,
    /// `Proposed`, `ProposalFailed`, `Overridden`
    Annotate,
    /// `Polled`
    Poll,
    /// `Released`
    Release,
    /// `Changed`
    Changed,
    /// `EffectStarted`
    Start,
    /// `EffectEnded`, ok
    EndOk,
    /// `EffectEnded`, failed
    EndFailed,
    /// `EffectEnded`, unknown
    EndUnknown,
    /// `Shown`
    Show,
    /// `Claimed`
    Claim,
    /// `Unclaimed`
    Unclaim,
    /// `Checking`
    Check,
    /// `VerifyJudged`
    Judge,
    /// `Verified`
    Verify,
    /// `VerifyFailed`
    VerifyFail,
    /// `Probed`
    Probe,
    /// `Retried`
    Retry,
    /// `Retried`, of a step that waits, failed or is in doubt and has a `when`
    Anew,
    /// `Skipped`
    Skip,
    /// `Chosen`
    Choose,
    /// `SoakStarted`
    SoakStart,
    /// `SoakBroken`, `SoakUnseen`, `SoakCounted`
    Soak,
    /// `SoakEnded`
    SoakEnd,
    /// `Aborted`, for every step that is neither over nor in doubt
    Abort,
    /// `Verified` of the step that undoes it
    Undo,
}

impl Move {
    /// Every move.
    pub const ALL: [Self; 32] = [
        Self::Open,
        Self::NotNeeded,
        Self::GatesPass,
        Self::GatesHold,
        Self::Review,
        Self::Close,
        Self::CloseBlocked,
        Self::Annotate,
        Self::Poll,
        Self::Release,
        Self::Changed,
        Self::Start,
        Self::EndOk,
        Self::EndFailed,
        Self::EndUnknown,
        Self::Show,
        Self::Claim,
        Self::Unclaim,
        Self::Check,
        Self::Judge,
        Self::Verify,
        Self::VerifyFail,
        Self::Probe,
        Self::Retry,
        Self::Anew,
        Self::Skip,
        Self::Choose,
        Self::SoakStart,
        Self::Soak,
        Self::SoakEnd,
        Self::Abort,
        Self::Undo,
    ];

    /// The move that an event makes; `gates_pass` is what its gates add up to, with
    /// overrides. `None` for events that move no step.
    #[must_use]
    pub fn of(event: &Event, gates_pass: bool) -> Option<Self> {
        Some(match event {
            Event::StepOpened { .. } => Self::Open,
            Event::NotNeeded { .. } => Self::NotNeeded,
            Event::GatesJudged { .. } if gates_pass => Self::GatesPass,
            Event::GatesJudged { .. } => Self::GatesHold,
            Event::ReviewOpened { .. } => Self::Review,
            Event::ReviewClosed { .. } if gates_pass => Self::Close,
            Event::ReviewClosed { .. } => Self::CloseBlocked,
            Event::Proposed { .. } | Event::ProposalFailed { .. } | Event::Overridden { .. } => {
                Self::Annotate
            }
            Event::Polled { .. } => Self::Poll,
            Event::Released { .. } => Self::Release,
            Event::Changed { .. } => Self::Changed,
            Event::EffectStarted { .. } => Self::Start,
            Event::EffectEnded { outcome: Outcome::Ok, .. } => Self::EndOk,
            Event::EffectEnded { outcome: Outcome::Failed(_), .. } => Self::EndFailed,
            Event::EffectEnded { outcome: Outcome::Unknown(_), .. } => Self::EndUnknown,
            Event::Shown { .. } => Self::Show,
            Event::Claimed { .. } => Self::Claim,
            Event::Unclaimed { .. } => Self::Unclaim,
            Event::Checking { .. } => Self::Check,
            Event::VerifyJudged { .. } => Self::Judge,
            Event::Verified { .. } => Self::Verify,
            Event::VerifyFailed { .. } => Self::VerifyFail,
            Event::Probed { .. } => Self::Probe,
            Event::Retried { anew: true, .. } => Self::Anew,
            Event::Retried { .. } => Self::Retry,
            Event::Skipped { .. } => Self::Skip,
            Event::Chosen { .. } => Self::Choose,
            Event::SoakStarted { .. } => Self::SoakStart,
            Event::SoakBroken { .. } | Event::SoakUnseen { .. } | Event::SoakCounted { .. } => {
                Self::Soak
            }
            Event::SoakEnded { .. } => Self::SoakEnd,
            _ => return None,
        })
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "its turn comes, and its `when` holds",
            Self::NotNeeded => "its turn comes, and its `when` is false",
            Self::GatesPass => "gates are judged; each passes or is overridden",
            Self::GatesHold => "gates are judged; one does not pass",
            Self::Review => "its review is opened",
            Self::Close => "its review is left; the gates pass",
            Self::CloseBlocked => "its review is left; a gate does not pass",
            Self::Annotate => "it is resolved, cannot be resolved, or a gate is overridden",
            Self::Poll => "somebody who is asked says go or no-go",
            Self::Release => "it is released",
            Self::Changed => "something changed between release and effect",
            Self::Start => "its effect starts, durably recorded",
            Self::EndOk => "its effect ended well",
            Self::EndFailed => "its effect failed",
            Self::EndUnknown => "nobody knows how its effect ended",
            Self::Show => "its command is shown, to be run elsewhere",
            Self::Claim => "it is claimed done",
            Self::Unclaim => "the claim is taken back, or proves wrong",
            Self::Check => "its verify begins",
            Self::Judge => "its verify is judged once",
            Self::Verify => "its verify settled, or it has none",
            Self::VerifyFail => "its verify did not settle in time",
            Self::Probe => "its probe looked",
            Self::Retry => "it is tried again, or asked again whether it is needed",
            Self::Anew => "it is tried or asked for again and has a `when`, which is asked first",
            Self::Skip => "it is skipped, with a reason",
            Self::Choose => "its question is answered",
            Self::SoakStart => "its soak's clock starts, or starts again",
            Self::Soak => "its soak was counted, or broke",
            Self::SoakEnd => "its soak is over, or ended early with a reason",
            Self::Abort => "the run is given up",
            Self::Undo => "what undoes it is done",
        })
    }
}

/// A move that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a step that is {from} cannot {by:?}")]
pub struct Illegal {
    /// Where it is.
    pub from: Status,
    /// What was tried.
    pub by: Move,
}

/// The table: where a move leads from a status.
pub fn legal(from: Status, by: Move) -> Result<Status, Illegal> {
    use Status as S;
    let to = match (from, by) {
        (S::Pending, Move::Open)
        | (S::Ready | S::Blocked, Move::GatesPass)
        | (S::Confirming | S::Released, Move::Close)
        | (S::Released, Move::Changed)
        | (S::Shown | S::Claimed | S::Verifying, Move::Unclaim)
        | (S::Failed | S::InDoubt, Move::Retry) => S::Ready,
        (S::Pending, Move::NotNeeded) => S::NotNeeded,
        // Whether a step is needed may be asked again: its turn comes anew. What failed may have
        // failed because it is no longer needed; what waits may not be needed any more.
        (S::NotNeeded | S::Done, Move::Retry)
        | (S::Ready | S::Blocked | S::Failed | S::InDoubt, Move::Anew) => S::Pending,
        (S::Ready | S::Blocked, Move::GatesHold)
        | (S::Confirming | S::Released, Move::CloseBlocked) => S::Blocked,
        (S::Ready | S::Blocked, Move::Review)
        | (S::Confirming, Move::GatesPass | Move::GatesHold | Move::Annotate) => S::Confirming,
        // Up to the last look before the effect somebody may say no.
        (s @ (S::Ready | S::Blocked | S::Confirming | S::Released), Move::Poll) => s,
        (S::Confirming, Move::Release) => S::Released,
        (S::Released, Move::Start)
        | (S::Ready | S::Running, Move::SoakStart)
        | (S::Running, Move::Soak) => S::Running,
        (S::Running, Move::EndOk)
        | (S::Ready | S::Released | S::Claimed | S::InDoubt, Move::Check)
        | (S::Verifying, Move::Judge) => S::Verifying,
        (S::Running, Move::EndFailed) | (S::Verifying, Move::VerifyFail) => S::Failed,
        (S::Running | S::Released, Move::EndUnknown) | (S::InDoubt, Move::Probe) => S::InDoubt,
        (S::Confirming, Move::Show) => S::Shown,
        (S::Shown, Move::Claim) | (S::Claimed, Move::Probe) => S::Claimed,
        (S::Verifying, Move::Verify) | (S::Ready, Move::Choose) | (S::Running, Move::SoakEnd) => {
            S::Done
        }
        (S::Ready | S::Blocked | S::Failed | S::InDoubt | S::Shown, Move::Skip) => S::Skipped,
        // No run is given up while an effect runs, and what is in doubt stays so.
        (s, Move::Abort) if !s.is_over() && s != S::InDoubt => S::Aborted,
        // What has had an effect, or may have had one, in whichever attempt; not in the middle.
        (s, Move::Undo)
            if !matches!(s, S::Running | S::Released | S::Confirming | S::Aborted | S::Undone) =>
        {
            S::Undone
        }
        _ => return Err(Illegal { from, by }),
    };
    Ok(to)
}

/// Every legal move, as documents print it.
#[must_use]
pub fn table() -> Vec<(Status, Move, Status)> {
    let pairs = Status::ALL.into_iter().flat_map(|s| Move::ALL.into_iter().map(move |m| (s, m)));
    pairs.filter_map(|(s, m)| legal(s, m).ok().map(|to| (s, m, to))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What must hold of the table whatever moves are added.
    #[test]
    fn only_a_release_leads_to_an_effect_and_only_a_verify_to_done() {
        for (from, by, to) in table() {
            if by == Move::Start {
                assert_eq!((from, to), (Status::Released, Status::Running));
            }
            // One that is released stays so while somebody who is asked is heard.
            if to == Status::Released && (from, by) != (to, Move::Poll) {
                assert_eq!((from, by), (Status::Confirming, Move::Release));
            }
            if to == Status::Done {
                assert!(matches!(by, Move::Verify | Move::Choose | Move::SoakEnd), "{from} {by:?}");
            }
            if from.is_over() {
                let asked = matches!(from, Status::NotNeeded | Status::Done);
                let again = asked && (by, to) == (Move::Retry, Status::Pending);
                let undone = by == Move::Undo && (asked || from == Status::Skipped);
                assert!(again || undone, "{from} {by:?}");
            }
            if to == Status::Undone {
                assert_eq!(by, Move::Undo);
            }
            if matches!(by, Move::Abort | Move::Anew) {
                assert!(!from.is_over());
            }
        }
        assert!(legal(Status::InDoubt, Move::Verify).is_err());
        assert!(legal(Status::Blocked, Move::Check).is_err());
    }

    #[test]
    fn every_status_can_be_reached_and_left_or_is_over() {
        let table = table();
        for s in Status::ALL {
            assert!(s == Status::Pending || table.iter().any(|(_, _, to)| *to == s), "{s}");
            let left = table.iter().any(|(from, _, to)| *from == s && *to != s);
            assert!(left || s.is_over(), "{s}");
        }
    }

    /// Documents tell them apart by that.
    #[test]
    fn every_move_says_what_it_is() {
        let said: std::collections::BTreeSet<_> = Move::ALL.iter().map(Move::to_string).collect();
        assert_eq!(said.len(), Move::ALL.len());
    }
}
