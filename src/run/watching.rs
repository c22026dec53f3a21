//! What is looked at again and again: a verify until it settles, a soak until it is over,
//! guards all the while.

use crate::event::{Event, Span, StepAddr, Time, Verdict};
use crate::run::clock;
use crate::run::gates;
use crate::run::probing::left;
use crate::run::state::{GuardState, State};
use crate::run::step::StepState;
use crate::run::still;
use crate::runbook::model::{Does, OnBreach, OnGuard, Step};
use crate::runbook::{Expr, Seen};
use crate::world::{Source, Status, World};

/// So often it is journalled that a guard goes on not to hold, until it counts as breached.
const TOLD: Span = Span::secs(5);

pub(super) fn verify(
    state: &State,
    addr: &StepAddr,
    step: &Step,
    s: &StepState,
    world: &World,
    now: Time,
) -> Vec<Event> {
    let way = s.way;
    let Some(verify) = &step.verify else {
        let mut events = left(state, addr, step, s, now);
        events.push(Event::Verified { step: addr.clone(), way });
        return events;
    };
    let judged = verify.that.judge(&state.scope(Some(addr), world, &[], now));
    let verdict = judged.verdict;
    let why = judged.why.clone();
    let mut events = vec![Event::VerifyJudged { step: addr.clone(), judged }];
    let settling = s.settling.after(verdict, now);
    if settling.passes >= verify.passes && settling.passing >= verify.over {
        events.extend(left(state, addr, step, s, now));
        events.push(Event::Verified { step: addr.clone(), way });
        return events;
    }
    if settling.looked > verify.within {
        let why = if why.is_empty() { "it did not settle".to_owned() } else { why };
        events.push(Event::VerifyFailed {
            step: addr.clone(),
            why: format!("not so after {}: {why}", verify.within),
        });
    }
    events
}

pub(super) fn soak(
    state: &State,
    addr: &StepAddr,
    step: &Step,
    s: &StepState,
    world: &World,
    now: Time,
) -> Vec<Event> {
    let Does::Soak { length, watch, on_breach } = &step.does else { return Vec::new() };
    let scope = state.scope(Some(addr), world, &[], now);
    let seen = Seen::new(&scope);
    let gates: Vec<_> = watch.iter().map(|g| gates::one(Expr::judge_briefly, g, &seen)).collect();
    let none = std::collections::BTreeMap::new();
    let (failing, others): (Vec<_>, Vec<_>) =
        gates.into_iter().partition(|g| g.judged.verdict == Verdict::Fail);
    if let Some(why) = gates::lacking(&failing, &none).first() {
        let mut events = Vec::new();
        // Once a breach, and again only when its reason changes.
        let counted = s.soak.last.is_some() || s.soak.unseen.is_some();
        if counted || s.soak.broken.as_ref() != Some(why) {
            events.push(Event::SoakBroken { step: addr.clone(), why: why.clone() });
        }
        return events;
    }
    if let Some(why) = gates::lacking(&others, &none).into_iter().next() {
        // What nobody saw neither counts nor breaks: a soak of a day does not begin anew for a
        // server that was away for a minute. One that is broken stays so.
        let other = |old: &String| still(old) != still(&why);
        let news = s.soak.last.is_some() || s.soak.unseen.as_ref().is_some_and(other);
        return match news {
            true => vec![Event::SoakUnseen { step: addr.clone(), why }],
            false => Vec::new(),
        };
    }
    if s.soak.last.is_none() && s.soak.unseen.is_none() && *on_breach == OnBreach::Restart {
        return vec![Event::SoakStarted { step: addr.clone() }];
    }
    let observed_ms = s.soak.observed_ms + clock::observed(s.soak.last, now).0;
    let counted = Event::SoakCounted { step: addr.clone(), observed_ms };
    let length = length.render(&scope).ok().and_then(|l| l.parse::<Span>().ok());
    match length {
        Some(length) if observed_ms >= length.0 => {
            vec![counted, Event::SoakEnded { step: addr.clone(), reason: None }]
        }
        _ => vec![counted],
    }
}

pub(super) fn guards(state: &State, seen: &Seen<'_>, now: Time) -> Vec<Event> {
    let mut events = Vec::new();
    for guard in &state.runbook.guards {
        // Before its sources were heard for the first time nothing is known, and nothing is amiss: as a
        // gate it passes nothing meanwhile.
        if !guard.that.sources.iter().all(|source| heard(seen.world(), *source)) {
            continue;
        }
        let held = |g: &GuardState| g.judged.verdict == Verdict::Pass;
        // The usual case, many times a second: it holds as before, and nobody asks why. A breach is
        // over as soon as it passes.
        if state.guards.get(&guard.id).is_some_and(held)
            && guard.that.verdict_seen(seen) == Verdict::Pass
        {
            continue;
        }
        let judged = guard.that.judge_seen(seen);
        let id = guard.id.clone();
        let pass = judged.verdict == Verdict::Pass;
        match state.guards.get(&id) {
            Some(g) if pass && g.breached => events.push(Event::GuardHolds { guard: id, judged }),
            // First, so that one that wavers between false and not known breaches as well.
            Some(g)
                if !pass
                    && !g.breached
                    && g.judged.verdict != Verdict::Pass
                    && Span(g.failing.0 + clock::watched(g.seen, now).0) >= guard.debounce =>
            {
                events.push(Event::GuardBreached { guard: id, judged });
            }
            Some(g)
                if g.judged.verdict != judged.verdict
                    || (!pass && !g.breached && now.since(g.seen) >= TOLD) =>
            {
                events.push(Event::GuardJudged { guard: id, judged });
            }
            Some(_) => {}
            None => events.push(Event::GuardJudged { guard: id, judged }),
        }
    }
    let breached = breached(&events);
    events.extend(held(state, &breached));
    events.extend(stopped(state, &breached));
    events
}

/// It answered once, or said that it does not.
fn heard(world: &World, source: Source) -> bool {
    let standing = world.sources.get(&source);
    standing.is_some_and(|s| s.as_of.is_some() || !matches!(s.status, Status::Arriving { .. }))
}

fn breached(events: &[Event]) -> Option<String> {
    let breached: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            Event::GuardBreached { guard, .. } => Some(format!("guard {guard} breached")),
            _ => None,
        })
        .collect();
    (!breached.is_empty()).then(|| breached.join(", "))
}

/// A breach holds the line, if nobody does yet. Only a person frees it: also when the guard
/// holds again, somebody has to have looked at what happened.
fn held(state: &State, breached: &Option<String>) -> Option<Event> {
    // While one goes back the guard is what one goes back for.
    let holds = state.line_held.is_none() && !state.going_back();
    breached.clone().filter(|_| holds).map(|reason| Event::LineHeld { reason })
}

/// It also ends what runs, where the step says so; on the way back as little as above.
fn stopped(state: &State, breached: &Option<String>) -> Option<Event> {
    let why = breached.clone().filter(|_| !state.going_back())?;
    let (effect, step) = state.running.clone()?;
    let stops = state.step(&step).is_some_and(|s| s.on_breach == OnGuard::Stop);
    stops.then_some(Event::Stopping { step, effect, why })
}
