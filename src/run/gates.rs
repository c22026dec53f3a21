//! Judging gates and guards on a picture of the world.

use crate::event::{GateJudged, Judged, StepAddr, Time, Verdict};
use crate::run::failure::failure;
use crate::run::lease;
use crate::run::poll;
use crate::run::scheduled;
use crate::run::state::State;
use crate::run::step::Override;
use crate::run::window;
use crate::runbook::model::{Gate, Hold, NEEDED, SECOND_PERSON, Step};
use crate::runbook::{Expr, Seen};
use crate::world::{Change, Reading, World};

/// Overrides of a review, by gate.
pub(crate) type Overrides = std::collections::BTreeMap<String, Override>;

/// Prefix of a guard's id among a step's gates.
pub(crate) const GUARD: &str = "guard:";

/// The override that covers a gate: one that was given for the failure that it has now.
pub(crate) fn covered<'a>(gate: &GateJudged, overrides: &'a Overrides) -> Option<&'a Override> {
    let judged = &gate.judged;
    let same = |o: &&Override| o.verdict == judged.verdict && o.failure == failure(judged);
    overrides.get(&gate.gate).filter(same).filter(|_| !window::is_early(gate))
}

/// It neither passes nor is overridden.
pub(crate) fn lacks(gate: &GateJudged, overrides: &Overrides) -> bool {
    gate.judged.verdict != Verdict::Pass && covered(gate, overrides).is_none()
}

/// Every gate passes or is overridden.
pub(crate) fn all_pass(gates: &[GateJudged], overrides: &Overrides) -> bool {
    !gates.iter().any(|g| lacks(g, overrides))
}

/// The world with fresh reads laid over it. What was not read keeps its own age, and so
/// cannot pass for fresh.
pub(crate) fn overlaid(world: &World, changes: &[Change]) -> World {
    let mut fresh = world.clone();
    for change in changes {
        fresh.apply(change);
    }
    fresh
}

/// What a step's gates and the run's guards name.
pub(crate) fn reading(state: &State, addr: &StepAddr) -> Reading {
    let gates = state.step(addr).map(|s| s.gates.as_slice()).unwrap_or_default();
    let of_guards = state.runbook.guards.iter().map(|g| &g.that);
    let when = state.step(addr).filter(|s| s.acts()).and_then(|s| s.when.as_ref());
    let all = gates.iter().map(|g| &g.that).chain(of_guards).chain(when);
    asked(state, Some(addr), &[], all.chain(scheduled::reads(state, addr)))
}

/// What expressions name: sources, and namespaces by the names that they have now.
pub(crate) fn asked<'a>(
    state: &State,
    addr: Option<&StepAddr>,
    remaining: &[String],
    exprs: impl IntoIterator<Item = &'a Expr>,
) -> Reading {
    let scope = state.scope(addr, &state.world, remaining, state.at);
    let (seen, mut reading) = (Seen::new(&scope), Reading::default());
    exprs.into_iter().for_each(|e| e.ask_seen(&seen, &mut reading));
    reading
}

/// How an expression is judged: with what it was judged on, or briefly.
type Judge = fn(&Expr, &Seen<'_>) -> Judged;

/// Judges a step's gates, then the guards that would hold the line.
pub(crate) fn judge(state: &State, addr: &StepAddr, world: &World, now: Time) -> Vec<GateJudged> {
    judge_by(Expr::judge_seen, state, addr, world, now)
}

/// The same for whoever asks only whether it is another judgement than the last one.
pub(crate) fn judge_briefly(
    state: &State,
    addr: &StepAddr,
    world: &World,
    now: Time,
) -> Vec<GateJudged> {
    judge_by(Expr::judge_briefly, state, addr, world, now)
}

fn judge_by(
    judge: Judge,
    state: &State,
    addr: &StepAddr,
    world: &World,
    now: Time,
) -> Vec<GateJudged> {
    let Some(step) = state.step(addr) else { return Vec::new() };
    let scope = state.scope(Some(addr), world, &[], now);
    let seen = Seen::new(&scope);
    let mut judged: Vec<_> = step.gates.iter().map(|g| one(judge, g, &seen)).collect();
    judged.extend(needed(judge, step, &seen));
    // A way back is there for when a guard is breached.
    let guards = state.runbook.guards.iter().filter(|_| !state.going_back());
    judged.extend(guards.map(|g| GateJudged {
        gate: format!("{GUARD}{}", g.id),
        says: g.says.clone(),
        judged: judge(&g.that, &seen),
    }));
    judged.extend(poll::gate(step, state.steps.get(addr).map(|s| &**s), now));
    judged.extend(window::gate(state, addr, now));
    judged.extend(scheduled::gate(state, addr, world, now));
    judged.extend(lease::gate(state, step, now));
    if step.hold == Hold::TwoPerson {
        judged.push(GateJudged {
            gate: SECOND_PERSON.into(),
            says: "a second person approves".into(),
            judged: Judged::inconclusive(
                "nobody else is attached to this run; override it with the reason",
                now,
            ),
        });
    }
    judged
}

/// What a step is there for may be done before anybody releases it, by somebody else or by a command
/// that was claimed too soon: done once more it would hit what took its place.
fn needed(judge: Judge, step: &Step, seen: &Seen<'_>) -> Option<GateJudged> {
    let when = step.when.as_ref().filter(|_| step.acts())?;
    let mut judged = judge(when, seen);
    if judged.verdict == Verdict::Fail {
        judged.why = format!("not any more: {}", judged.why);
    }
    Some(GateJudged { gate: NEEDED.into(), says: "it is still needed".into(), judged })
}

/// Judges one gate.
pub(crate) fn one(judge: Judge, gate: &Gate, seen: &Seen<'_>) -> GateJudged {
    GateJudged {
        gate: gate.id.clone(),
        says: gate.says.render_seen(seen).unwrap_or_else(|_| gate.says.text.clone()),
        judged: judge(&gate.that, seen),
    }
}

/// Whether a new judgement tells a reader anything new: a verdict, a reason, or values
/// after a while. Keeps the journal of a step that waits for hours small.
pub(crate) fn is_news(old: &[GateJudged], at: Option<Time>, new: &[GateJudged], now: Time) -> bool {
    let Some(at) = at else { return true };
    let verdicts = |g: &[GateJudged]| -> Vec<(String, Verdict, String)> {
        g.iter().map(|g| (g.gate.clone(), g.judged.verdict, failure(&g.judged))).collect()
    };
    verdicts(old) != verdicts(new) || now.age(at).is_none_or(|age| age.0 >= 5_000)
}

/// What the gates lack, in words.
pub(crate) fn lacking(gates: &[GateJudged], overrides: &Overrides) -> Vec<String> {
    gates
        .iter()
        .filter(|g| lacks(g, overrides))
        .map(|g| format!("{}: {} ({})", g.says, g.judged.verdict, g.judged.why))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(gate: &str, verdict: Verdict, why: &str) -> GateJudged {
        let judged = Judged { verdict, why: why.into(), values: Vec::new(), at: Time(0) };
        GateJudged { gate: gate.into(), says: "so".into(), judged }
    }

    /// What was overridden is a failure with its verdict: false is worse than not known.
    #[test]
    fn an_override_is_of_one_verdict_and_one_reason() {
        let given = Override {
            reason: "known".into(),
            verdict: Verdict::Inconclusive,
            failure: "no answer".into(),
        };
        let overrides = Overrides::from([("a".to_owned(), given)]);
        for (gate, verdict, why, covers) in [
            ("a", Verdict::Inconclusive, "no answer", true),
            ("a", Verdict::Fail, "no answer", false),
            ("a", Verdict::Inconclusive, "no path", false),
            ("b", Verdict::Inconclusive, "no answer", false),
        ] {
            let gate = judged(gate, verdict, why);
            assert_eq!(covered(&gate, &overrides).is_some(), covers, "{gate:?}");
            assert_eq!(lacks(&gate, &overrides), !covers, "{gate:?}");
        }
        assert!(!lacks(&judged("a", Verdict::Pass, ""), &overrides));
    }

    /// Whoever reads the journal of a step that waits is told what is another, and now and then the rest.
    #[test]
    fn the_same_judgement_is_news_after_five_seconds() {
        let old = [judged("a", Verdict::Fail, "no")];
        let at = Time(60_000);
        let news = |new: GateJudged, after: i64| {
            let now = Time(at.0 + after);
            is_news(&old, Some(at), &[new], now)
        };
        let same = || judged("a", Verdict::Fail, "no");
        assert!(!news(same(), 0) && !news(same(), 4_999));
        assert!(news(same(), 5_000));
        assert!(news(same(), -60_000), "its time is to come: the clock was set back");
        assert!(is_news(&old, None, &old, at), "nobody was told");
        for other in [
            judged("b", Verdict::Fail, "no"),
            judged("a", Verdict::Inconclusive, "no"),
            judged("a", Verdict::Fail, "not so"),
        ] {
            assert!(news(other, 0));
        }
        assert!(is_news(&old, Some(at), &[], at));
    }
}
