//! Whether a gate still fails as it did: what an override covers.
//!
//! Compared is the explanation: the rows and figures that do not hold, or why nothing is known.
//! Left out of it is what moves by itself while a person looks: ages, and the figures of fields
//! that count on as long as the site lives. Names keep their digits.

use crate::event::Judged;
use crate::run::step::StepState;
use crate::runbook::NOTHING_SAID;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Last names of fields whose figures move by themselves.
const MOVING: [&str; 6] = ["applied", "behind", "committed", "latency_ms", "now", "rate"];
/// Bytes of a mark: a person types it, and meets one gate's failures only.
const MARK: usize = 3;
/// Stands for what was left out.
const LEFT_OUT: &str = "~";

/// What makes a failure this one and no other.
pub(crate) fn failure(judged: &Judged) -> String {
    let mut text = still(&judged.why);
    if judged.why == NOTHING_SAID {
        // The values that it was judged on are all there is to tell it from another.
        for value in &judged.values {
            text += &format!("; {}", still(&format!("{} is {}", value.name, value.value)));
        }
    }
    text
}

/// A short name for what a gate says, for an override to carry: the same as long as an override
/// that was given for it would cover it.
pub(crate) fn mark(judged: &Judged) -> String {
    let digest = Sha256::digest(format!("{}: {}", judged.verdict, failure(judged)));
    digest.iter().take(MARK).fold(String::new(), |mut mark, byte| {
        // Writing to a String cannot fail.
        let _ = write!(mark, "{byte:02x}");
        mark
    })
}

impl StepState {
    /// What an override of this gate has to carry: a short name for what it says now.
    #[must_use]
    pub fn mark(&self, gate: &str) -> Option<String> {
        self.gates.iter().find(|g| g.gate == gate).map(|g| mark(&g.judged))
    }
}

/// The text without what moves by itself.
pub(crate) fn still(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let moves = match words.as_slice() {
            [.., path, is] if is == "is" => MOVING.contains(&last(path)),
            _ => false,
        };
        let moves = moves || is_age(bare);
        words.push(if moves && !bare.is_empty() {
            word.replacen(bare, LEFT_OUT, 1)
        } else {
            word.to_owned()
        });
    }
    words.join(" ")
}

/// The field that a path ends in.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// `59s`, `4m12`, `1h42`, `23d`, `1.5s`, `2h30m`.
fn is_age(word: &str) -> bool {
    let mut rest = word;
    let mut unit = "";
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        if digits == 0 {
            return false;
        }
        let (_, tail) = rest.split_at(digits);
        if tail.is_empty() {
            // Minutes behind hours, seconds behind minutes.
            return unit == "h" || unit == "m";
        }
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        (unit, rest) = tail.split_at(end);
        if !["ns", "µs", "ms", "s", "m", "h", "d"].contains(&unit) {
            return false;
        }
    }
    !unit.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Observed, Time, Verdict};

    fn of(why: &str, values: &[(&str, &str)]) -> String {
        let value = |(name, value): &(&str, &str)| Observed {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            at: None,
        };
        failure(&Judged {
            verdict: Verdict::Fail,
            why: why.into(),
            values: values.iter().map(value).collect(),
            at: Time(0),
        })
    }

    #[test]
    fn ages_and_what_counts_on_make_no_other_failure() {
        for (one, other) in [
            ("raft is stale since 59s", "raft is stale since 1m00"),
            ("raft is stale since 1h42", "raft is stale since 23d"),
            (
                "claims is unreachable, heard 2s ago: refused",
                "claims is unreachable, heard 3s ago: refused",
            ),
            (
                "http a gives no answer: no answer within 1.5s",
                "http a gives no answer: no answer within 250ms",
            ),
            ("raft.committed is 7, raft.quorum is 2", "raft.committed is 12, raft.quorum is 2"),
            ("now is 2026-04-25T16:18:00.000Z; x", "now is 2026-04-25T16:18:02.000Z; x"),
        ] {
            assert_eq!(of(one, &[]), of(other, &[]));
        }
    }

    #[test]
    fn another_object_reason_or_figure_is_another_failure() {
        for (one, other) in [
            ("not so for vault-0 (sealed)", "not so for vault-1 (sealed)"),
            ("not so for vault-0 (sealed)", "not so for vault-0 (hung)"),
            ("not so for vault-0 (sealed)", "not so for vault-0 (sealed), vault-1 (sealed)"),
            ("raft.unsealed is 2, raft.quorum is 2", "raft.unsealed is 1, raft.quorum is 2"),
            ("raft.leader is vault-1", "raft.leader is vault-2"),
            ("evidence.anchor.copies is 1", "evidence.anchor.copies is 0"),
            ("raft is stale since 59s", "raft is unreachable, heard 59s ago: refused"),
            ("claims is forbidden: list a", "claims is forbidden: list b"),
            ("at a rate of 4", "at a rate of 5"),
            ("pods 4s", "pods 4x"),
            ("pods 4", "pods 5"),
        ] {
            assert_ne!(of(one, &[]), of(other, &[]), "{one}");
        }
    }

    /// What an override carries tells failures and verdicts apart as an override does.
    #[test]
    fn a_mark_names_a_failure() {
        let judged = |verdict, why: &str| Judged {
            verdict,
            why: why.into(),
            values: Vec::new(),
            at: Time(0),
        };
        let fails = |why| mark(&judged(Verdict::Fail, why));
        assert_eq!(fails("stale since 59s"), fails("stale since 1m00"));
        assert_ne!(fails("not so for vault-0"), fails("not so for vault-1"));
        assert_ne!(fails("x"), mark(&judged(Verdict::Inconclusive, "x")));
        assert_eq!(fails("x").len(), 6);
    }

    /// Where nothing is said of why it is false, the values are compared; where something is,
    /// those of what holds beside it are not.
    #[test]
    fn where_nothing_is_said_the_values_tell() {
        let seen = |value| [("pods", value)];
        assert_ne!(of("it is false", &seen("[a, b]")), of("it is false", &seen("[a, c]")));
        assert_eq!(of("not so for a", &seen("[a, b]")), of("not so for a", &seen("[a, c]")));
        let counts = |value| [("raft.applied", value)];
        assert_eq!(of("it is false", &counts("7")), of("it is false", &counts("8")));
    }
}
