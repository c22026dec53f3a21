//! What a rehearsal showed: which fault was caught, by what, and how it ended.

use crate::event::{Entry, Event, Outcome, Span, Time, Verdict};
use std::collections::BTreeMap;

/// Something that stood in a fault's way, or told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catch {
    /// When.
    pub at: Time,
    /// `gate`, `verify`, `plan`, `effect`, `guard`, `soak`, `phase`.
    pub kind: &'static str,
    /// `phase/step` without its item, `guard ID`, or the phase.
    pub place: String,
    /// What it said.
    pub why: String,
}

/// A fault as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Its name.
    pub name: &'static str,
    /// `NAME@START`, as it was asked for.
    pub asked: String,
    /// What its row in the list of faults says may catch it, if it began where its row has it.
    pub row: Option<&'static [&'static str]>,
    /// When it began.
    pub at: Time,
    /// When it was over, if it was.
    pub over: Option<Time>,
}

/// Everything that a run refused, doubted or saw fail, in order.
#[must_use]
pub fn catches(entries: &[Entry]) -> Vec<Catch> {
    entries.iter().flat_map(|entry| of(entry.at, &entry.event)).collect()
}

fn of(at: Time, event: &Event) -> Vec<Catch> {
    let one = |kind, place: String, why: &str| vec![Catch { at, kind, place, why: why.into() }];
    match event {
        Event::GatesJudged { step, gates } => gates
            .iter()
            .filter(|g| g.judged.verdict != Verdict::Pass)
            .map(|g| {
                let why = format!("{}: {} {}", g.says, g.judged.verdict, g.judged.why);
                Catch { at, kind: "gate", place: step.place(), why }
            })
            .collect(),
        Event::ProposalFailed { step, why } => one("plan", step.place(), why),
        Event::StepBlocked { step, why } => one("gate", step.place(), why),
        Event::PhaseBlocked { phase, why } => one("phase", phase.clone(), why),
        Event::VerifyFailed { step, why } => one("verify", step.place(), why),
        Event::SoakBroken { step, why } => one("soak", step.place(), why),
        Event::Changed { step, why, .. } => one("release", step.place(), &why.join("; ")),
        Event::EffectEnded { step, outcome, .. } => match outcome {
            Outcome::Ok => Vec::new(),
            Outcome::Failed(why) | Outcome::Unknown(why) => one("effect", step.place(), why),
        },
        Event::GuardBreached { guard, judged } => {
            one("guard", format!("guard {guard}"), &judged.why)
        }
        _ => Vec::new(),
    }
}

/// What a fault did is seen so long after it healed.
const AFTERWARDS: Span = Span::secs(60);

impl Struck {
    /// It was there then, or had been until just before.
    fn there(&self, at: Time) -> bool {
        // What healed has nothing to do with what comes much later.
        at >= self.at && self.over.is_none_or(|over| at <= over + AFTERWARDS)
    }

    /// What was caught may be what it did: it was there, and its row names that place or says
    /// nothing about where it began.
    fn meant(&self, c: &Catch) -> bool {
        let row = self.row.is_none_or(|places| places.contains(&c.place.as_str()));
        self.there(c.at) && row
    }
}

/// What was caught, what was missed, how long it took in the site's time.
#[must_use]
pub fn rehearsal(entries: &[Entry], struck: &[Struck], how: &str) -> Vec<String> {
    let all = catches(entries);
    let mut out = vec![String::new(), format!("The rehearsal {how}.")];
    let took = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => last.at.since(first.at),
        _ => Span(0),
    };
    out.push(format!("It took {} of the site's time.", took.brief()));
    for (n, fault) in struck.iter().enumerate() {
        let over = fault.over.map(|t| format!(", over after {}", t.since(fault.at).brief()));
        out.push(format!("fault {} at {}{}", fault.asked, fault.at, over.unwrap_or_default()));
        // A fault that came alone did whatever came after it.
        let alone = struck.len() == 1;
        let seen =
            firsts(all.iter().filter(|c| if alone { fault.there(c.at) } else { fault.meant(c) }));
        if seen.is_empty() {
            let quiet = !all.iter().any(|c| fault.there(c.at));
            let what = if quiet {
                "refused, failed or warned after it"
            } else {
                "caught is known to be its"
            };
            out.push(format!("  nothing {what}"));
        }
        for c in seen {
            let others = struck.iter().enumerate().filter(|(m, other)| *m != n && other.meant(c));
            let others: Vec<&str> = others.map(|(_, other)| other.asked.as_str()).collect();
            let or = match others.as_slice() {
                [] => String::new(),
                others => format!(", unless that was {}", others.join(" or ")),
            };
            let after = c.at.since(fault.at).brief();
            let Catch { kind, place, why, .. } = c;
            out.push(format!("  caught by the {kind} of {place} after {after}{or}: {why}"));
        }
    }
    if struck.len() > 1 {
        out.extend(nobodys(&all, struck));
    }
    out
}

/// What was caught while faults were there of which none is known to be caught there.
fn nobodys(all: &[Catch], struck: &[Struck]) -> Vec<String> {
    let there = |c: &Catch| -> Vec<&str> {
        struck.iter().filter(|s| s.there(c.at)).map(|s| s.asked.as_str()).collect()
    };
    let mine = |c: &&Catch| !there(c).is_empty() && !struck.iter().any(|s| s.meant(c));
    let line = |c: &Catch| {
        let Catch { kind, place, why, .. } = c;
        let there = there(c).join(", ");
        format!("  caught by the {kind} of {place}, while there was {there}: {why}")
    };
    let lines: Vec<String> = firsts(all.iter().filter(mine)).into_iter().map(line).collect();
    let head = (!lines.is_empty()).then(|| "of no fault for certain:".to_owned());
    head.into_iter().chain(lines).collect()
}

/// The first at each place of each kind, in order.
fn firsts<'a>(all: impl Iterator<Item = &'a Catch>) -> Vec<&'a Catch> {
    let mut seen = BTreeMap::new();
    for c in all {
        seen.entry((c.place.as_str(), c.kind)).or_insert(c);
    }
    let mut seen: Vec<&Catch> = seen.into_values().collect();
    seen.sort_by_key(|c| c.at);
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Actor, Judged};

    fn failed(at: i64, step: &str) -> Entry {
        let event = Event::VerifyFailed { step: step.parse().unwrap(), why: "not so".into() };
        Entry { seq: 0, at: Time(at * 1000), actor: Actor::System, event }
    }

    fn struck(
        asked: &str,
        row: Option<&'static [&'static str]>,
        at: i64,
        over: Option<i64>,
    ) -> Struck {
        let over = over.map(|s| Time(s * 1000));
        Struck { name: "", asked: asked.into(), row, at: Time(at * 1000), over }
    }

    fn told(entries: &[Entry], struck: &[Struck]) -> Vec<String> {
        let lines = rehearsal(entries, struck, "ended").split_off(3);
        let short = |line: String| line.replace(": not so", "");
        lines.into_iter().map(|l| short(l).split(" at ").next().unwrap().to_owned()).collect()
    }

    #[test]
    fn of_several_faults_a_catch_is_of_whom_its_row_says() {
        let (one, two) =
            (struck("a@p/s", Some(&["p/s"]), 0, None), struck("b@q/t", Some(&["q/t"]), 0, None));
        let entries = [failed(1, "p/s"), failed(2, "q[x]/t"), failed(3, "p/s")];
        assert_eq!(
            told(&entries, &[one, two]),
            [
                "fault a@p/s",
                "  caught by the verify of p/s after 1s",
                "fault b@q/t",
                "  caught by the verify of q/t after 2s"
            ],
        );
    }

    #[test]
    fn whom_two_could_mean_is_said_of_both_and_what_none_means_of_neither() {
        let both = [struck("a@p/s", Some(&["p/s"]), 0, None), struck("b@9s", None, 0, Some(10))];
        let entries = [failed(1, "p/s"), failed(2, "q/t"), failed(300, "q/t"), failed(301, "p/s")];
        assert_eq!(
            told(&entries, &both),
            [
                "fault a@p/s",
                "  caught by the verify of p/s after 1s, unless that was b@9s",
                "fault b@9s",
                "  caught by the verify of p/s after 1s, unless that was a@p/s",
                "  caught by the verify of q/t after 2s",
                "of no fault for certain:",
                "  caught by the verify of q/t, while there was a@p/s"
            ],
            "what began elsewhere than its row has it may be anything, until it is over"
        );
        let known = [struck("a@p/s", Some(&["p/s"]), 0, None), struck("c@p/s", Some(&[]), 0, None)];
        assert_eq!(
            told(&entries[1..2], &known),
            [
                "fault a@p/s",
                "  nothing caught is known to be its",
                "fault c@p/s",
                "  nothing caught is known to be its",
                "of no fault for certain:",
                "  caught by the verify of q/t, while there was a@p/s, c@p/s"
            ],
        );
    }

    #[test]
    fn a_fault_that_came_alone_did_what_came_after_it() {
        let judged = Judged::inconclusive("gone", Time(0));
        let breached = Event::GuardBreached { guard: "g".into(), judged };
        let guard = Entry { event: breached, ..failed(5, "p/s") };
        let one = [struck("a@p/s", Some(&[]), 2, None)];
        let lines = told(&[failed(1, "p/s"), guard, failed(6, "q/t")], &one);
        assert_eq!(
            lines,
            [
                "fault a@p/s",
                "  caught by the guard of guard g after 3s: gone",
                "  caught by the verify of q/t after 4s"
            ]
        );
    }
}
