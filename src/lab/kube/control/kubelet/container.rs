//! The life of one container: creating, running, ended, backing off, running again.

use super::super::faults;
use super::super::object::{annotation, text};
use super::{full_name, tell, voter};
use crate::event::{Span, Time};
use crate::lab::World;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// On a pod: the code that its containers end with, which otherwise run for ever, or in a job
/// end with 0.
const EXIT_CODE: &str = "lab/exit-code";
/// On a pod: how long its containers run before they end, as in `20s`.
const RUNS_FOR: &str = "lab/runs-for";
/// A container that ran so long has not crashed in a loop.
const STEADY: Span = Span::secs(600);
const LONGEST_BACKOFF: u64 = 300;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Container {
    pub name: String,
    pub image: String,
    pub state: State,
    /// How it ended the last time.
    pub last: Option<Ended>,
    pub restarts: u32,
    /// Seconds of the next back-off; none before the second crash.
    backoff: u64,
    pub ready: bool,
    /// When its readiness probe first succeeds, or a voter is asked again.
    probe: Time,
    /// How often a voter's probe failed since it started.
    failed: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    Waiting,
    Creating(Time),
    Running {
        since: Time,
        ends: Option<(Time, i32)>,
    },
    /// For good, or until then.
    Ended(Ended, Option<Time>),
    BackOff(Time),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub code: i32,
    pub reason: String,
    pub started: Time,
    pub finished: Time,
}

impl Container {
    pub(super) fn new(name: &str, image: &str) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            state: State::Waiting,
            last: None,
            restarts: 0,
            backoff: 0,
            ready: false,
            probe: Time(0),
            failed: 0,
        }
    }

    pub(super) fn succeeded(&self) -> bool {
        matches!(&self.state, State::Ended(how, None) if how.code == 0)
    }

    /// One that was found running.
    pub(super) fn running(
        name: &str,
        image: &str,
        since: Time,
        ends: Option<(Time, i32)>,
        ready: bool,
    ) -> Self {
        let state = State::Running { since, ends };
        Self { state, ready, ..Self::new(name, image) }
    }

    /// Seconds that it waits now.
    pub(super) fn backing_off(&self) -> u64 {
        self.backoff
    }
}

/// Steps a container forward; when it is to be looked at next.
pub(super) fn step(
    world: &mut World,
    pod: &Value,
    all: &mut [Container],
    at: usize,
    init: bool,
) -> Option<Time> {
    loop {
        let now = world.now;
        match all[at].state.clone() {
            State::Waiting => {
                let (least, most) = if init { (300, 1000) } else { (1000, 4000) };
                let slow = !init && faults::on(world, faults::SLOW_REJOIN);
                let wait = if slow { 600_000 } else { world.chance.between(least, most) };
                all[at].state = State::Creating(now + Span(wait));
            }
            State::Creating(due) | State::BackOff(due) | State::Ended(_, Some(due))
                if due > now =>
            {
                return Some(due);
            }
            State::Creating(_) => start(world, pod, &mut all[at], at, init),
            State::Running { ends: Some((due, code)), .. } if due <= now => {
                let why = if code == 0 { "Completed" } else { "Error" };
                finish(world, pod, all, at, code, why);
            }
            State::Running { ends, .. } => {
                let probe = if init { None } else { probe(world, pod, &mut all[at], at) };
                return ends.map(|(due, _)| due).into_iter().chain(probe).min();
            }
            State::Ended(_, None) => return None,
            State::Ended(how, Some(_)) => fall_back(world, pod, &mut all[at], how),
            State::BackOff(_) => again(world, pod, &mut all[at]),
        }
    }
}

fn start(world: &mut World, pod: &Value, container: &mut Container, at: usize, init: bool) {
    let (name, image) = (container.name.clone(), container.image.clone());
    let pulled = format!("Container image \"{image}\" already present on machine");
    tell(world, pod, &name, false, "Pulled", &pulled);
    tell(world, pod, &name, false, "Created", &format!("Created container: {name}"));
    tell(world, pod, &name, false, "Started", &format!("Started container {name}"));
    let now = world.now;
    let mut ends = fate(world, pod, init);
    if !init && at == 0 && voter::is(world, pod) {
        ends = voter::start(world, pod).or(ends);
    }
    container.failed = 0;
    container.probe = now + first_probe(world, pod, at);
    container.state = State::Running { since: now, ends };
}

/// When a container ends by itself, and how.
pub(super) fn fate(world: &mut World, pod: &Value, init: bool) -> Option<(Time, i32)> {
    let code = annotation(pod, EXIT_CODE).parse::<i32>().ok().filter(|_| !init);
    let lasting = text(&pod["spec"]["restartPolicy"]) == "Always";
    if !init && lasting && code.is_none() {
        return None;
    }
    let (least, most) = if init || code.is_some() { (500, 2000) } else { (2000, 20_000) };
    let runs = Span(world.chance.between(least, most));
    let runs = annotation(pod, RUNS_FOR).parse().ok().filter(|_| !init).unwrap_or(runs);
    Some((world.now + runs, code.unwrap_or(0)))
}

fn first_probe(world: &mut World, pod: &Value, at: usize) -> Span {
    let probe = &pod["spec"]["containers"][at]["readinessProbe"];
    if probe.is_null() {
        return Span(0);
    }
    let seconds = |field: &str, otherwise: u64| probe[field].as_u64().unwrap_or(otherwise);
    let period = Span::secs(seconds("periodSeconds", 10)).0;
    Span(
        Span::secs(seconds("initialDelaySeconds", 0)).0
            + world.chance.between(200, period.max(200)),
    )
}

/// Whether a running container is ready; when to ask again if it is not.
fn probe(world: &mut World, pod: &Value, container: &mut Container, at: usize) -> Option<Time> {
    if container.probe > world.now {
        return Some(container.probe);
    }
    let ready = !voter::is(world, pod) || voter::ready(world, pod, at);
    let was = std::mem::replace(&mut container.ready, ready);
    if ready {
        container.failed = 0;
        return None;
    }
    if at == 0 && (was || container.failed == 0) {
        let said = "Readiness probe failed: Key                     Value\n---                     -----\nSealed                  true";
        tell(world, pod, &container.name.clone(), true, "Unhealthy", said);
    }
    // A change is told; asking is for what nobody told, and ever more rarely.
    container.failed += 1;
    let wait = Span((2000 << container.failed.min(5)).min(60_000));
    Some(world.now + wait)
}

/// A container ended by itself or was killed.
pub(super) fn finish(
    world: &mut World,
    pod: &Value,
    all: &mut [Container],
    at: usize,
    code: i32,
    why: &str,
) {
    let State::Running { since, .. } = all[at].state else { return };
    if at == 0 && voter::is(world, pod) {
        voter::stop(world, pod);
    }
    let now = world.now;
    let ended = Ended { code, reason: why.into(), started: since, finished: now };
    let restarts = match text(&pod["spec"]["restartPolicy"]) {
        "Never" => false,
        "OnFailure" => code != 0,
        // An init container that did its work is done.
        _ => code != 0 || !is_init(pod, &all[at].name),
    };
    if now.since(since) >= STEADY {
        all[at].backoff = 0;
    }
    let due = restarts.then(|| now + Span(world.chance.between(200, 1000)));
    all[at].ready = false;
    all[at].state = State::Ended(ended, due);
}

fn is_init(pod: &Value, name: &str) -> bool {
    super::list(&pod["spec"]["initContainers"]).iter().any(|c| text(&c["name"]) == name)
}

/// The first crash is followed by a start at once, each further one by a longer wait.
fn fall_back(world: &mut World, pod: &Value, container: &mut Container, how: Ended) {
    container.last = Some(how);
    if container.backoff == 0 && container.restarts == 0 {
        again(world, pod, container);
        return;
    }
    container.backoff = match container.backoff {
        0 => 10,
        before => (before * 2).min(LONGEST_BACKOFF),
    };
    let said = format!(
        "Back-off restarting failed container {} in pod {}",
        container.name,
        full_name(pod)
    );
    tell(world, pod, &container.name.clone(), true, "BackOff", &said);
    container.state = State::BackOff(world.now + Span::secs(container.backoff));
}

fn again(world: &mut World, pod: &Value, container: &mut Container) {
    container.restarts += 1;
    super::logs::turn(world, pod, &container.name);
    container.state = State::Creating(world.now + Span(world.chance.between(300, 1000)));
}

/// A container that is told to end, ends.
pub(super) fn stop(world: &mut World, pod: &Value, all: &mut [Container], at: usize) {
    finish(world, pod, all, at, 0, "Completed");
    if let State::Ended(_, again) = &mut all[at].state {
        *again = None;
    }
}
