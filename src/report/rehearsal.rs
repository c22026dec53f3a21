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
    pub name: String,
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
    for fault in struck {
        let over = fault.over.map(|t| format!(", over after {}", t.since(fault.at).brief()));
        out.push(format!("fault {} at {}{}", fault.name, fault.at, over.unwrap_or_default()));
        let mut seen = BTreeMap::new();
        // What healed has nothing to do with what comes much later.
        let until = fault.over.map(|over| over + AFTERWARDS);
        let near = |c: &&Catch| c.at >= fault.at && until.is_none_or(|until| c.at <= until);
        for c in all.iter().filter(near) {
            seen.entry((c.place.as_str(), c.kind)).or_insert(c);
        }
        let mut seen: Vec<&Catch> = seen.into_values().collect();
        seen.sort_by_key(|c| c.at);
        if seen.is_empty() {
            out.push("  nothing refused, failed or warned after it".into());
        } else if struck.len() > 1 {
            out.push("  what was caught after it, whichever fault it was:".into());
        }
        for c in seen {
            let after = c.at.since(fault.at).brief();
            out.push(format!("  caught by the {} of {} after {after}: {}", c.kind, c.place, c.why));
        }
    }
    out
}
