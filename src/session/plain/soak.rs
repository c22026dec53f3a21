//! A soak in lines: what broke it, and that it is observed again. Its status stays the same
//! all the while, so nothing else would say so.

use crate::event::{Span, StepAddr};
use crate::run::{State, Status, StepState, still};
use crate::runbook::model::{Does, OnBreach};

/// The soak in hand, as it was when it was looked at last.
#[derive(Default)]
pub(super) struct Soaks {
    seen: Option<Seen>,
}

struct Seen {
    addr: StepAddr,
    attempt: u32,
    observed_ms: u64,
    broken: bool,
    why: Option<String>,
    unseen: Option<String>,
}

impl Soaks {
    pub(super) fn news(&mut self, state: &State) -> Vec<String> {
        let addr = state.current();
        let does = addr.as_ref().and_then(|a| state.step(a)).map(|step| &step.does);
        let s = addr.as_ref().and_then(|a| state.steps.get(a));
        match (addr.as_ref(), s, does) {
            (Some(addr), Some(s), Some(Does::Soak { on_breach, .. }))
                if s.status == Status::Running =>
            {
                self.looked(addr, s, *on_breach)
            }
            _ => {
                self.seen = None;
                Vec::new()
            }
        }
    }

    fn looked(&mut self, addr: &StepAddr, s: &StepState, on_breach: OnBreach) -> Vec<String> {
        let now = Seen {
            addr: addr.clone(),
            attempt: s.attempt,
            observed_ms: s.soak.observed_ms,
            broken: s.soak.last.is_none() && s.soak.unseen.is_none() && s.soak.broken.is_some(),
            // Figures that move by themselves make no other breach.
            why: s.soak.broken.as_deref().map(still),
            unseen: s.soak.unseen.as_deref().map(still),
        };
        let old = self.seen.take().filter(|o| o.addr == *addr && o.attempt == s.attempt);
        let was = old.as_ref().is_some_and(|o| o.broken);
        let another = old.as_ref().is_some_and(|o| o.why != now.why);
        // Several entries may come before anybody prints: a breach that is over by then is told too.
        let missed = another || old.as_ref().is_some_and(|o| now.observed_ms < o.observed_ms);
        let why = s.soak.broken.clone().unwrap_or_default();
        let so_far = Span(s.soak.observed_ms).brief();
        let clock = match on_breach {
            OnBreach::Restart => "its clock begins anew".to_owned(),
            OnBreach::Pause => format!("its clock stands at {so_far}"),
        };
        let broke = format!("soak {addr} BROKEN: {why}; {clock}");
        let again = match on_breach {
            OnBreach::Restart => format!("soak {addr} is observed again, from the beginning"),
            OnBreach::Pause => format!("soak {addr} is observed again, from {so_far} on"),
        };
        let unseen = old.as_ref().and_then(|o| o.unseen.as_ref());
        if let Some(why) = s.soak.unseen.as_ref().filter(|_| unseen != now.unseen.as_ref()) {
            self.seen = Some(now);
            return vec![format!(
                "soak {addr} is not observed: {why}; its clock stands at {so_far}"
            )];
        }
        if unseen.is_some() && now.unseen.is_none() && !now.broken && !missed {
            self.seen = Some(now);
            return vec![format!("soak {addr} is observed again, from {so_far} on")];
        }
        let lines = match (was, now.broken) {
            (false, true) => vec![broke],
            (true, true) if another => vec![format!("soak {addr} is still BROKEN: {why}")],
            (true, false) => vec![again],
            (false, false) if missed => vec![broke, again],
            _ => Vec::new(),
        };
        self.seen = Some(now);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Time;

    /// Last counted at, counted so far, what broke last; and what is printed of it.
    type Look<'a> = (Option<i64>, u64, Option<&'a str>, &'a [&'a str]);

    fn printed(on_breach: OnBreach, looks: &[Look<'_>]) {
        let addr: StepAddr = "a[x]/soak".parse().unwrap();
        let (mut soaks, mut s) = (Soaks::default(), StepState::new());
        for (n, (last, observed_ms, broken, said)) in looks.iter().enumerate() {
            s.soak.last = last.map(Time);
            s.soak.observed_ms = *observed_ms;
            s.soak.broken = broken.map(str::to_owned);
            assert_eq!(soaks.looked(&addr, &s, on_breach), *said, "look {n}");
        }
    }

    #[test]
    fn a_breach_is_printed_once_and_that_its_clock_begins_anew() {
        let sealed = Some("unsealed: fail (vault-0, 4s old)");
        let older = Some("unsealed: fail (vault-0, 5s old)");
        let hung = Some("answers: fail (vault-1)");
        printed(
            OnBreach::Restart,
            &[
                (Some(0), 0, None, &[]),
                (Some(9), 90_000, None, &[]),
                (
                    None,
                    90_000,
                    sealed,
                    &[
                        "soak a[x]/soak BROKEN: unsealed: fail (vault-0, 4s old); its clock begins anew",
                    ],
                ),
                (None, 90_000, older, &[]),
                (None, 90_000, hung, &["soak a[x]/soak is still BROKEN: answers: fail (vault-1)"]),
                (Some(20), 0, hung, &["soak a[x]/soak is observed again, from the beginning"]),
                (Some(30), 10_000, hung, &[]),
                // The same once more, over before anything was printed.
                (
                    Some(40),
                    0,
                    hung,
                    &[
                        "soak a[x]/soak BROKEN: answers: fail (vault-1); its clock begins anew",
                        "soak a[x]/soak is observed again, from the beginning",
                    ],
                ),
            ],
        );
    }

    /// What broke before anybody printed is old; what is broken now is told to whoever comes.
    #[test]
    fn a_clock_that_stands_says_where() {
        let hung = Some("answers: fail");
        printed(OnBreach::Pause, &[(Some(5), 60_000, hung, &[]), (Some(9), 64_000, hung, &[])]);
        printed(
            OnBreach::Pause,
            &[
                (
                    None,
                    60_000,
                    hung,
                    &["soak a[x]/soak BROKEN: answers: fail; its clock stands at 1m00"],
                ),
                (Some(9), 60_000, hung, &["soak a[x]/soak is observed again, from 1m00 on"]),
            ],
        );
    }

    #[test]
    fn a_clock_that_stands_because_nobody_sees_it_is_no_breach() {
        let addr: StepAddr = "a[x]/soak".parse().unwrap();
        let (mut soaks, mut s) = (Soaks::default(), StepState::new());
        s.soak.observed_ms = 60_000;
        let mut look = |last: Option<i64>, unseen: Option<&str>, broken: Option<&str>| {
            s.soak.last = last.map(Time);
            s.soak.unseen = unseen.map(str::to_owned);
            s.soak.broken = broken.map(str::to_owned);
            soaks.looked(&addr, &s, OnBreach::Restart).join("|")
        };
        assert_eq!(look(Some(1), None, None), "");
        let said = look(None, Some("unsealed: no path, 3s old"), None);
        let stands = "its clock stands at 1m00";
        assert_eq!(
            said,
            format!("soak a[x]/soak is not observed: unsealed: no path, 3s old; {stands}")
        );
        assert_eq!(look(None, Some("unsealed: no path, 5s old"), None), "");
        let said = look(None, Some("unsealed: no route"), None);
        assert_eq!(said, format!("soak a[x]/soak is not observed: unsealed: no route; {stands}"));
        assert_eq!(look(Some(9), None, None), "soak a[x]/soak is observed again, from 1m00 on");
        look(None, Some("unsealed: no route"), None);
        let said = look(None, None, Some("unsealed: fail"));
        assert_eq!(said, "soak a[x]/soak BROKEN: unsealed: fail; its clock begins anew");
    }
}
