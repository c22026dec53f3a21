//! What Holdpoint itself reports: readings, proposals, results, time.

use crate::event::{EffectId, Event, Mode, Outcome, Proposal, StepAddr, Time, Way};
use crate::run::advance;
use crate::run::clock;
use crate::run::follow::rendered;
use crate::run::gates;
use crate::run::intent::{Intent, Look, Purpose};
use crate::run::lease;
use crate::run::life::Status;
use crate::run::offered;
use crate::run::probing::{Own, captures, probed};
use crate::run::state::State;
use crate::run::step::StepState;
use crate::run::wants::turn;
use crate::run::watching::{guards, soak, verify};
use crate::runbook::Seen;
use crate::runbook::model::{Does, Hold, Step};
use crate::world::{Change, World};
use serde_json::Value;

/// Events for an intent of the system. Stale and repeated answers lead to none.
pub(crate) fn system(state: &State, intent: &Intent, now: Time) -> Vec<Event> {
    if state.aborted.is_some() {
        return Vec::new();
    }
    match intent {
        Intent::Tick => {
            let mut events = watched(state, &state.world, now);
            events.extend(offered::in_time(state, now));
            events
        }
        Intent::Continued => vec![Event::Continued],
        Intent::ClockSetBack => clock::set_back(state, now),
        Intent::Leased { news } => lease::seen(state, news),
        Intent::Observed { change } => {
            let mut events = vec![Event::Observed { change: change.clone() }];
            // What names nothing of it is judged as time passes.
            let guards = state.runbook.guards.iter().map(|g| &g.that);
            let offers = state.runbook.backouts.iter().filter_map(|b| b.when.as_ref());
            if guards.chain(offers).any(|e| e.sources.contains(&change.source)) {
                let mut world = state.world.clone();
                world.apply(change);
                events.extend(watched(state, &world, now));
            }
            events
        }
        Intent::Looked { look, ticket, changes } => looked(state, look, *ticket, changes, now),
        Intent::Prepared { step, ticket, purpose, changes, proposal } => {
            let Some(s) = current(state, step, *ticket) else { return Vec::new() };
            let world = gates::overlaid(&state.world, changes);
            match purpose {
                Purpose::Review => reviewed(state, step, s, &world, proposal.as_ref(), now),
                Purpose::Execute => execute(state, step, s, &world, proposal.as_ref(), now),
            }
        }
        Intent::Output { effect, stream, text } => match &state.running {
            Some((running, _)) if running == effect => {
                vec![Event::Output { effect: *effect, stream: *stream, text: text.clone() }]
            }
            _ => Vec::new(),
        },
        Intent::EffectEnded { effect, outcome, result } => {
            ended(state, *effect, outcome, result, now)
        }
        Intent::Probed { step, ticket, verdict, why, result, changes } => {
            let Some(s) = current(state, step, *ticket) else { return Vec::new() };
            let world = gates::overlaid(&state.world, changes);
            let own = Own { verdict: *verdict, why, result };
            probed(state, step, s, &world, &own, now)
        }
        _ => Vec::new(),
    }
}

/// What is looked at all the while.
fn watched(state: &State, world: &World, now: Time) -> Vec<Event> {
    let scope = state.scope(None, world, &[], now);
    let seen = Seen::new(&scope);
    let mut events = guards(state, &seen, now);
    events.extend(offered::offers(state, &seen));
    events
}

/// The step, if the answer is to its present question. One that waits while a way back is
/// walked has none.
fn current<'a>(state: &'a State, addr: &StepAddr, ticket: u64) -> Option<&'a StepState> {
    let in_hand = !state.going_back() || state.current().as_ref() == Some(addr);
    state.steps.get(addr).map(|s| &**s).filter(|s| in_hand && s.ticket == ticket)
}

fn looked(state: &State, look: &Look, ticket: u64, changes: &[Change], now: Time) -> Vec<Event> {
    let world = gates::overlaid(&state.world, changes);
    match look {
        Look::Advance => {
            let asked = match state.current() {
                Some(addr) => state.steps.get(&addr).map(|s| s.ticket),
                None => Some(turn(state)),
            };
            if asked != Some(ticket) {
                return Vec::new();
            }
            advance::next(state, &world, now)
        }
        Look::Gates(addr) => match current(state, addr, ticket) {
            Some(s) => gates_seen(state, addr, s, &world, now),
            None => Vec::new(),
        },
        Look::Verify(addr) => match (current(state, addr, ticket), state.step(addr)) {
            (Some(s), Some(step)) if s.status == Status::Verifying => {
                verify(state, addr, step, s, &world, now)
            }
            _ => Vec::new(),
        },
        // Its answer is a probe's.
        Look::Doubt(_) => Vec::new(),
        Look::Soak(addr) => match (current(state, addr, ticket), state.step(addr)) {
            (Some(s), Some(step)) if s.status == Status::Running => {
                soak(state, addr, step, s, &world, now)
            }
            _ => Vec::new(),
        },
    }
}

fn gates_seen(
    state: &State,
    addr: &StepAddr,
    s: &StepState,
    world: &World,
    now: Time,
) -> Vec<Event> {
    if !matches!(s.status, Status::Ready | Status::Blocked | Status::Confirming) {
        return Vec::new();
    }
    // The first look is told in any case.
    let first = s.gates.is_empty();
    let judge = if first { gates::judge } else { gates::judge_briefly };
    let judged = judge(state, addr, world, now);
    let pass = gates::all_pass(&judged, &s.overrides);
    let mut events = Vec::new();
    if gates::is_news(&s.gates, s.gates_at, &judged, now) {
        let gates = if first { judged } else { gates::judge(state, addr, world, now) };
        events.push(Event::GatesJudged { step: addr.clone(), gates });
    }
    if pass && s.status != Status::Confirming && state.line_held.is_none() {
        events.extend(by_itself(state, addr, s));
    }
    events
}

/// What a step whose gates pass does without being asked.
fn by_itself(state: &State, addr: &StepAddr, s: &StepState) -> Vec<Event> {
    let Some(step) = state.step(addr) else { return Vec::new() };
    if !matches!(step.hold, Hold::None | Hold::Witness) {
        return Vec::new();
    }
    let addr = addr.clone();
    match &step.does {
        Does::Check => checking(state, addr, step),
        Does::Soak { .. } => vec![Event::SoakStarted { step: addr }],
        Does::Action(_) if state.header.mode == Mode::Write && !s.unplanned => {
            vec![Event::ReviewOpened { step: addr }]
        }
        _ => Vec::new(),
    }
}

/// Begins the verify; a step that has none is done.
pub(super) fn checking(state: &State, addr: StepAddr, step: &Step) -> Vec<Event> {
    let way = state.steps.get(&addr).map_or(Way::Ran, |s| s.way);
    let checking = Event::Checking { step: addr.clone() };
    match step.verify {
        Some(_) => vec![checking],
        None => vec![checking, Event::Verified { step: addr, way }],
    }
}

fn reviewed(
    state: &State,
    addr: &StepAddr,
    s: &StepState,
    world: &World,
    proposal: Option<&Result<Box<Proposal>, String>>,
    now: Time,
) -> Vec<Event> {
    if s.status != Status::Confirming {
        return Vec::new();
    }
    let gates = gates::judge(state, addr, world, now);
    let pass = gates::all_pass(&gates, &s.overrides);
    let mut events = vec![Event::GatesJudged { step: addr.clone(), gates }];
    let mut digest = String::new();
    match proposal {
        Some(Ok(p)) => {
            digest = p.digest();
            events.push(Event::Proposed {
                step: addr.clone(),
                proposal: p.clone(),
                digest: digest.clone(),
            });
        }
        Some(Err(why)) => {
            events.push(Event::ProposalFailed { step: addr.clone(), why: why.clone() });
        }
        None => {}
    }
    let Some(step) = state.step(addr) else { return events };
    let acts = matches!(step.does, Does::Action(_));
    if acts && proposal.is_none() {
        let why =
            rendered(state, addr).err().map_or("it was not resolved".into(), |e| e.to_string());
        let why = format!("its arguments cannot be filled in: {why}");
        events.push(Event::ProposalFailed { step: addr.clone(), why });
    }
    // What cannot begin by itself stays in its review, for a person to see.
    let alone = matches!(step.hold, Hold::None | Hold::Witness)
        && !s.unplanned
        && !matches!(step.does, Does::Manual { .. })
        && (state.header.mode == Mode::Write || !acts)
        && (matches!(proposal, Some(Ok(_))) || !acts);
    if alone && pass && state.line_held.is_none() {
        events.push(Event::Released { step: addr.clone(), digest });
    }
    events
}

/// The last look before the effect: what was released must be what runs.
fn execute(
    state: &State,
    addr: &StepAddr,
    s: &StepState,
    world: &World,
    proposal: Option<&Result<Box<Proposal>, String>>,
    now: Time,
) -> Vec<Event> {
    let Some(step) = state.step(addr) else { return Vec::new() };
    if s.status != Status::Released {
        return Vec::new();
    }
    let gates = gates::judge_briefly(state, addr, world, now);
    let mut why = gates::lacking(&gates, &s.overrides);
    if let Some((reason, by)) = &state.line_held {
        why.push(format!("{by} holds the line: {reason}"));
    }
    let released = s.proposal.as_ref();
    let mut material = false;
    match (&step.does, released, proposal) {
        (Does::Action(_), Some((old, digest)), Some(Ok(new))) if *digest != new.digest() => {
            material = true;
            why.push("what was released is not what is there now".into());
            why.extend(old.diff(new));
        }
        (Does::Action(_), Some(_), Some(Ok(_))) => {}
        (Does::Action(_), _, Some(Err(e))) => why.push(e.clone()),
        (Does::Action(_), _, _) => why.push("the plan could not be resolved again".into()),
        _ => {}
    }
    if !why.is_empty() {
        let gates = gates::judge(state, addr, world, now);
        return vec![
            Event::Changed { step: addr.clone(), why, material },
            Event::GatesJudged { step: addr.clone(), gates },
        ];
    }
    match (&step.does, released) {
        (Does::Action(_), Some((_, digest))) => vec![Event::EffectStarted {
            step: addr.clone(),
            effect: EffectId(state.next_effect),
            digest: digest.clone(),
        }],
        (Does::Soak { .. }, _) => {
            // A soak that a person released starts like one that starts by itself.
            vec![
                Event::ReviewClosed { step: addr.clone() },
                Event::SoakStarted { step: addr.clone() },
            ]
        }
        _ => checking(state, addr.clone(), step),
    }
}

fn ended(
    state: &State,
    effect: EffectId,
    outcome: &Outcome,
    result: &Value,
    now: Time,
) -> Vec<Event> {
    let Some((_, addr)) = state.running.as_ref().filter(|(running, _)| *running == effect) else {
        return Vec::new();
    };
    let mut events = vec![Event::EffectEnded {
        step: addr.clone(),
        effect,
        outcome: outcome.clone(),
        result: result.clone(),
    }];
    let Some(step) = state.step(addr) else { return events };
    if *outcome == Outcome::Ok {
        events.extend(captures(state, addr, step, Some(result), now));
        if step.verify.is_none() {
            events.push(Event::Verified { step: addr.clone(), way: Way::Ran });
        }
    }
    events
}
