//! The go/no-go poll before a step: each who is asked says go, or why not, and the gate has it by
//! name. Whoever drives writes down what was said; a no-go holds the step until it is taken back.

use crate::event::{Actor, Event, GateJudged, Judged, Observed, Span, StepAddr, Time, Verdict};
use crate::run::decide::reasonable;
use crate::run::intent::{Intent, Refusal};
use crate::run::step::StepState;
use crate::runbook::model::{Poll, Step};
use serde::{Deserialize, Serialize};

/// The gate's id.
pub const POLL: &str = "poll";
/// How it is written down, on a line of text.
pub const HOW: &str = "NAME go, or NAME no-go REASON";

/// What one who is asked said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Go.
    pub go: bool,
    /// Why, or why not.
    pub reason: String,
    /// When.
    pub at: Time,
    /// Who wrote it down.
    pub by: Actor,
}

/// What a line of text says: who, go or not, and why.
#[must_use]
pub fn said(text: &str) -> Option<(String, bool, String)> {
    let (who, rest) = text.trim().split_once(' ')?;
    let (word, reason) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    let go = match word {
        "go" => true,
        "no-go" => false,
        _ => return None,
    };
    Some((who.to_owned(), go, reason.trim().to_owned()))
}

/// The event with which an answer is written down.
pub(super) fn asked(addr: StepAddr, step: &Step, intent: &Intent) -> Result<Vec<Event>, Refusal> {
    let Intent::Poll { who, go, reason, .. } = intent else { return Ok(Vec::new()) };
    let Some(poll) = &step.poll else {
        return Err(Refusal::new("nobody is asked before this step"));
    };
    if !poll.of.contains(who) {
        let of = poll.of.join(", ");
        return Err(Refusal::new(format!("{who} is not asked here; asked are {of}")));
    }
    // A go needs no words; a no-go without any helps nobody.
    if !go || !reason.is_empty() {
        reasonable(reason)?;
    }
    let (who, go, reason) = (who.clone(), *go, reason.clone());
    Ok(vec![Event::Polled { step: addr, who, go, reason }])
}

/// Whose go is still wanted: who said nothing, or what does not count any more.
#[must_use]
pub fn wanted<'a>(poll: &'a Poll, s: &StepState, now: Time) -> Vec<&'a str> {
    // A no-go does not grow old: it is taken back, or stands.
    let young = |at: Time, lasts| now.age(at).is_some_and(|age| age <= lasts);
    let counts = |said: &Said| !said.go || poll.lasts.is_none_or(|lasts| young(said.at, lasts));
    let wanted = |who: &&String| !s.polled.get(*who).is_some_and(counts);
    poll.of.iter().filter(wanted).map(String::as_str).collect()
}

/// The gate, where a step has it.
pub(super) fn gate(step: &Step, s: Option<&StepState>, now: Time) -> Option<GateJudged> {
    let (poll, s) = (step.poll.as_ref()?, s?);
    let value = |(who, said): (&String, &Said)| Observed {
        name: who.clone(),
        value: if said.go { "go".into() } else { "no-go".into() },
        at: Some(said.at),
    };
    let values = s.polled.iter().filter(|(who, _)| poll.of.contains(who)).map(value).collect();
    let against: Vec<String> = poll
        .of
        .iter()
        .filter_map(|who| Some((who, s.polled.get(who).filter(|said| !said.go)?)))
        .map(|(who, said)| format!("{who} says no-go: {}", said.reason))
        .collect();
    let wanted = wanted(poll, s, now).into_iter().map(|who| lacking(who, s, poll.lasts, now));
    let wanted: Vec<String> = wanted.collect();
    let (verdict, why) = match (against.as_slice(), wanted.as_slice()) {
        ([], []) => (Verdict::Pass, String::new()),
        ([], wanted) => (Verdict::Inconclusive, wanted.join("; ")),
        (against, _) => (Verdict::Fail, against.join("; ")),
    };
    Some(GateJudged {
        gate: POLL.into(),
        says: "everybody who is asked says go".into(),
        judged: Judged { verdict, why, values, at: now },
    })
}

fn lacking(who: &str, s: &StepState, lasts: Option<Span>, now: Time) -> String {
    match (s.polled.get(who), lasts) {
        (Some(said), Some(lasts)) => match now.age(said.at) {
            Some(age) => format!("{who} said go {} ago, which counts for {lasts}", age.brief()),
            None => format!("{who} said go at {}, and the clock was set back since", said.at),
        },
        _ => format!("{who} has not said go"),
    }
}
