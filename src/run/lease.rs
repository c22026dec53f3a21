//! The cluster's lease: what is known of it, the gate that it makes, and who may take it over.
//!
//! It is advisory, and a gate like any other: a person may go on without it, with a reason. The
//! recovery of a cluster must not need the cluster.

use crate::event::{Event, GateJudged, Judged, Lease, Mode, Observed, Time, Verdict};
use crate::run::intent::Refusal;
use crate::run::state::State;
use crate::runbook::model::{Does, Step};
use crate::runbook::verbs::changes_cluster;

/// Gate of a step that changes something through the API server.
pub(crate) const LEASE: &str = "lease";
/// What to do about one that somebody renews.
const ASKED: &str = "wait until it is let go, or take it over with a reason: take-lease REASON";
/// What a runbook needs that needs the lease.
const NEED: &str = "kubernetes";

impl State {
    /// The run keeps the cluster's lease while it goes on: it may change something there.
    #[must_use]
    pub fn wants_lease(&self) -> bool {
        self.header.mode == Mode::Write && self.runbook.needs.iter().any(|n| n == NEED)
    }
}

/// The gate, where a step has it. What is known must be no older than the lease lasts: then
/// somebody else may have it without our having heard of it.
pub(super) fn gate(state: &State, step: &Step, now: Time) -> Option<GateJudged> {
    let Does::Action(call) = &step.does else { return None };
    if !state.wants_lease() || !changes_cluster(&call.verb) {
        return None;
    }
    Some(GateJudged {
        gate: LEASE.into(),
        says: "this run holds the cluster's lease".into(),
        judged: judge(state.lease.as_ref(), now),
    })
}

fn judge(lease: Option<&Lease>, now: Time) -> Judged {
    let (verdict, why, holder, at) = match lease {
        Some(Lease::Taken { asked, lasts, .. } | Lease::Renewed { asked, lasts, .. }) => {
            let (verdict, why) = match now.age(*asked) {
                Some(age) if age <= *lasts => (Verdict::Pass, String::new()),
                Some(age) => {
                    let why = format!("it was last renewed {} ago and lasts {lasts}", age.brief());
                    (Verdict::Inconclusive, why)
                }
                None => {
                    (Verdict::Inconclusive, "the clock was set back since it was renewed".into())
                }
            };
            (verdict, why, Some("this run".to_owned()), Some(*asked))
        }
        Some(held @ Lease::Held { holder, expired, .. }) => {
            let how = match expired {
                true => "take it over: take-lease",
                false => ASKED,
            };
            (Verdict::Fail, format!("{held}; {how}"), Some(holder.clone()), None)
        }
        Some(lost @ Lease::Lost { holder: Some(holder), .. }) => {
            (Verdict::Fail, format!("{lost}; {ASKED}"), Some(holder.clone()), None)
        }
        Some(other) => (Verdict::Inconclusive, other.to_string(), None, None),
        None => (Verdict::Inconclusive, "it has not been asked for yet".into(), None, None),
    };
    let value = |value| Observed { name: "lease".into(), value, at };
    Judged { verdict, why, values: holder.map(value).into_iter().collect(), at: now }
}

/// A person takes it over: from who does not renew it any more, or with a reason.
pub(super) fn take(state: &State, reason: &str) -> Result<Vec<Event>, Refusal> {
    match &state.lease {
        _ if !state.wants_lease() => {
            Err(Refusal::new("this run changes nothing in the cluster, so it needs no lease"))
        }
        Some(held @ (Lease::Held { expired: false, .. } | Lease::Lost { holder: Some(_), .. }))
            if reason.is_empty() =>
        {
            Err(Refusal::new(format!(
                "{held} and may renew it; say why it is taken over all the same, or wait"
            )))
        }
        Some(Lease::Held { holder, .. } | Lease::Lost { holder: Some(holder), .. }) => {
            Ok(vec![Event::LeaseClaimed { from: holder.clone(), reason: reason.to_owned() }])
        }
        Some(Lease::Taken { .. } | Lease::Renewed { .. }) => {
            Err(Refusal::new("this run holds the lease already"))
        }
        Some(other) => {
            Err(Refusal::new(format!("{other}; where nobody holds it, it is taken by itself")))
        }
        None => Err(Refusal::new("the lease is still being asked for; wait a moment")),
    }
}

/// What its keeper saw, if it is news. A renewal always is: it is the evidence that the gate
/// goes by.
pub(super) fn seen(state: &State, news: &Lease) -> Vec<Event> {
    let known = match (&state.lease, news) {
        // Whoever it was lost to still has it.
        (
            Some(Lease::Lost { holder: Some(to), .. }),
            Lease::Held { holder, expired: false, .. },
        ) => to == holder,
        (was, news) => was.as_ref() == Some(news),
    };
    if known || !state.wants_lease() {
        return Vec::new();
    }
    vec![Event::Lease { news: news.clone() }]
}

pub(super) fn fold(state: &mut State, news: &Lease) {
    state.lease = Some(news.clone());
}

/// Nothing is known any more: nobody looked.
pub(super) fn forget(state: &mut State) {
    state.lease = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Span;

    #[test]
    fn only_a_renewal_that_still_counts_passes() {
        let (lease, lasts) = ("a/b".to_owned(), Span::secs(30));
        let ours = Lease::Renewed { lease: lease.clone(), asked: Time(1_000), lasts };
        let held = |expired| Lease::Held {
            lease: lease.clone(),
            holder: "other-run bob@host".into(),
            since: Some(Time(0)),
            expired,
        };
        let verdict = |l: Option<&Lease>, at| judge(l, Time(at)).verdict;
        assert_eq!(verdict(Some(&ours), 31_000), Verdict::Pass);
        assert_eq!(verdict(Some(&ours), 31_001), Verdict::Inconclusive);
        assert_eq!(verdict(None, 0), Verdict::Inconclusive);
        for lost in [Lease::Unread { why: "x".into() }, Lease::Released] {
            assert_eq!(verdict(Some(&lost), 0), Verdict::Inconclusive);
        }
        for expired in [false, true] {
            let judged = judge(Some(&held(expired)), Time(0));
            assert_eq!(judged.verdict, Verdict::Fail);
            let why = judged.why;
            assert!(why.contains("other-run bob@host holds it since 1970-01-01"), "{why}");
        }
    }
}
