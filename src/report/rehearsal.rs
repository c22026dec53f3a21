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
    /// Which of several there: a gate's id.
    pub id: String,
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
    /// What that row says, wherever it began.
    pub places: &'static [&'static str],
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
    let one = |kind, place: String, why: &str| {
        vec![Catch { at, kind, place, id: String::new(), why: why.into() }]
    };
    match event {
        Event::GatesJudged { step, gates } => gates
            .iter()
            .filter(|g| g.judged.verdict != Verdict::Pass)
            .map(|g| {
                let why = format!("{}: {} {}", g.says, g.judged.verdict, g.judged.why);
                Catch { at, kind: "gate", place: step.place(), id: g.gate.clone(), why }
            })
            .collect(),
        Event::ProposalFailed { step, why } => one("plan", step.place(), why),
        Event::StepBlocked { step, why } => one("gate", step.place(), why),
        Event::PhaseBlocked { phase, why } => one("phase", phase.clone(), why),
        Event::VerifyFailed { step, why } => one("verify", step.place(), why),
        Event::SoakBroken { step, why } | Event::SoakUnseen { step, why } => {
            one("soak", step.place(), why)
        }
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

impl Catch {
    /// The same check said no, whatever it said.
    fn is_of(&self, other: &Self) -> bool {
        (self.kind, &self.place, &self.id) == (other.kind, &other.place, &other.id)
    }

    fn line(&self, when: &str) -> String {
        let Self { kind, place, why, .. } = self;
        format!("  caught by the {kind} of {place}{when}: {why}")
    }
}

impl Struck {
    /// It was there then, or had been until just before.
    fn there(&self, at: Time) -> bool {
        // What healed has nothing to do with what comes much later.
        at >= self.at && self.over.is_none_or(|over| at <= over + AFTERWARDS)
    }

    /// No step looked at anything after it. A guard may have, without time for a breach.
    fn is_late(&self, entries: &[Entry]) -> bool {
        let looked = |e: &&Entry| e.event.step().is_some();
        entries.iter().rev().find(looked).is_none_or(|last| self.at >= last.at)
    }

    /// Where it came too late for what should catch it: that.
    fn over_before(&self, entries: &[Entry]) -> String {
        let about = |place: &str| {
            let of = |e: &&Entry| e.event.step().is_some_and(|step| step.place() == place);
            entries.iter().rev().find(of).is_some_and(|last| last.at < self.at)
        };
        if self.places.is_empty() || !self.places.iter().all(|place| about(place)) {
            return String::new();
        }
        format!("; what should catch it was over by then: {}", self.places.join(" and "))
    }

    /// What was caught may be what it did: it was there, and its row names that place or says
    /// nothing about where it began.
    fn meant(&self, c: &Catch) -> bool {
        let row = self.row.is_none_or(|places| places.contains(&c.place.as_str()));
        self.there(c.at) && row
    }
}

/// What was caught, what was missed, how long it took in the site's time. `without`: the same
/// run without any fault, where it is known; what says no there, too, is no fault's.
#[must_use]
pub fn rehearsal(
    entries: &[Entry],
    struck: &[Struck],
    without: Option<&[Entry]>,
    how: &str,
) -> Vec<String> {
    let plain = without.map(catches).unwrap_or_default();
    let (anyway, all): (Vec<Catch>, Vec<Catch>) =
        catches(entries).into_iter().partition(|c| plain.iter().any(|p| p.is_of(c)));
    let mut out = vec![String::new(), format!("The rehearsal {how}.")];
    let took = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => last.at.since(first.at),
        _ => Span(0),
    };
    out.push(format!("It took {} of the site's time.", took.brief()));
    let same = without.is_some_and(|without| is_same(entries, without));
    for (n, fault) in struck.iter().enumerate() {
        let over = fault.over.map(|t| format!(", over after {}", t.since(fault.at).brief()));
        out.push(format!("fault {} at {}{}", fault.asked, fault.at, over.unwrap_or_default()));
        // What one that came alone changed is known where the run without it is.
        let alone = struck.len() == 1 && without.is_some();
        let seen =
            firsts(all.iter().filter(|c| if alone { fault.there(c.at) } else { fault.meant(c) }));
        if seen.is_empty() {
            let quiet = !all.iter().any(|c| fault.there(c.at));
            let over = fault.over_before(entries);
            out.push(match quiet {
                _ if same => {
                    "  it changed nothing that a step looks at: the run without it is the same"
                        .into()
                }
                _ if fault.is_late(entries) => {
                    "  it began as the run ended: no step looked any more".into()
                }
                true => format!("  nothing refused, failed or warned after it{over}"),
                false => "  nothing caught is known to be its".into(),
            });
        }
        for c in seen {
            let others = struck.iter().enumerate().filter(|(m, other)| *m != n && other.meant(c));
            let others: Vec<&str> = others.map(|(_, other)| other.asked.as_str()).collect();
            let or = match others.as_slice() {
                [] => String::new(),
                others => format!(", unless that was {}", others.join(" or ")),
            };
            out.push(c.line(&format!(" after {}{or}", c.at.since(fault.at).brief())));
        }
    }
    if struck.len() > 1 || without.is_none() {
        out.extend(nobodys(&all, struck));
    }
    let anyway = if struck.is_empty() { Vec::new() } else { firsts(anyway.iter()) };
    out.extend((!anyway.is_empty()).then(|| "without any fault, too:".to_owned()));
    out.extend(anyway.iter().map(|c| c.line("")));
    out
}

/// The same was judged and done at the same times. How a run is called is not what happens in
/// it, and what only panes show says nothing of its steps.
fn is_same(entries: &[Entry], without: &[Entry]) -> bool {
    let told = |e: &&Entry| !matches!(e.event, Event::Opened { .. } | Event::Observed { .. });
    let (mut one, mut other) = (entries.iter().filter(told), without.iter().filter(told));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if (a.at, &a.event) == (b.at, &b.event) => {}
            _ => return false,
        }
    }
}

/// What was caught while faults were there of which none is known to be caught there.
fn nobodys(all: &[Catch], struck: &[Struck]) -> Vec<String> {
    let there = |c: &Catch| -> Vec<&str> {
        struck.iter().filter(|s| s.there(c.at)).map(|s| s.asked.as_str()).collect()
    };
    let mine = |c: &&Catch| !there(c).is_empty() && !struck.iter().any(|s| s.meant(c));
    let line = |c: &Catch| c.line(&format!(", while there was {}", there(c).join(", ")));
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
        Struck { name: "", asked: asked.into(), row, places: &[], at: Time(at * 1000), over }
    }

    fn told(entries: &[Entry], struck: &[Struck]) -> Vec<String> {
        beside(entries, struck, None)
    }

    fn beside(entries: &[Entry], struck: &[Struck], without: Option<&[Entry]>) -> Vec<String> {
        let lines = rehearsal(entries, struck, without, "ended").split_off(3);
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
    fn of_a_fault_that_came_alone_is_what_the_run_without_it_does_not_say() {
        let judged = Judged::inconclusive("gone", Time(0));
        let breached = Event::GuardBreached { guard: "g".into(), judged };
        let guard = Entry { event: breached, ..failed(5, "p/s") };
        let one = [struck("a@p/s", Some(&[]), 2, None)];
        let entries = [failed(1, "p/s"), guard, failed(6, "q/t")];
        let plain = [failed(1, "p/s"), failed(3, "q/t")];
        assert_eq!(
            beside(&entries, &one, Some(&plain)),
            [
                "fault a@p/s",
                "  caught by the guard of guard g after 3s: gone",
                "without any fault, too:",
                "  caught by the verify of p/s",
                "  caught by the verify of q/t",
            ]
        );
        assert_eq!(
            told(&entries, &one),
            [
                "fault a@p/s",
                "  nothing caught is known to be its",
                "of no fault for certain:",
                "  caught by the guard of guard g, while there was a@p/s: gone",
                "  caught by the verify of q/t, while there was a@p/s",
            ],
            "and where that is not known, what its row says"
        );
    }

    #[test]
    fn what_changed_nothing_and_what_came_too_late_were_not_lived_through() {
        let opened = |at: i64| Entry {
            event: Event::StepOpened { step: "p/s".parse().unwrap() },
            ..failed(at, "p/s")
        };
        let ended = |at: i64| Entry { event: Event::Ended { done: true }, ..failed(at, "p/s") };
        let run = [opened(1), opened(2), ended(4)];
        let said = |at: i64, without: &[Entry]| {
            beside(&run, &[struck("a@p/s", None, at, None)], Some(without))[1].clone()
        };
        assert_eq!(
            said(1, &run),
            "  it changed nothing that a step looks at: the run without it is the same"
        );
        let sooner = [opened(1), opened(2), ended(3)];
        assert_eq!(said(1, &sooner), "  nothing refused, failed or warned after it");
        assert_eq!(said(3, &sooner), "  it began as the run ended: no step looked any more");
    }
}
