//! The kubelets' stand-in: what happens to a pod on its node.
//!
//! A [`Run`] is what a kubelet would know of one pod. It is stepped forward whenever
//! something is due or changed, and says when it wants to be looked at next; a pod that runs
//! and does nothing wants nothing.

mod adopt;
mod container;
mod logs;
mod mount;
mod status;
mod voter;

pub(super) use self::adopt::adopt;
use self::container::{Container, State};
pub use self::logs::{logs, say};
pub(super) use self::status::set_condition;
pub(super) use self::voter::{disk as voter_disk, is as is_voter};
use super::events::{Note, emit};
use super::object::{PODS, key, list, marked, name, namespace, text, uid};
use super::{Again, Role, after, pods, soon};
use crate::event::{Span, Time};
use crate::lab::World;
use crate::lab::kube::{Deleting, Key};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a kubelet knows of a pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    uid: String,
    node: String,
    ip: String,
    since: Time,
    stage: Stage,
    init: Vec<Container>,
    main: Vec<Container>,
    mounting: mount::Tries,
    /// When the containers that were told to end will have ended.
    ending: Option<Time>,
    /// When the API server hears that all have.
    over: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Mounting,
    Init,
    Main,
}

/// A pod with a node changed or is gone.
pub(super) fn look(world: &mut World, key: &Key) {
    soon(world, Role::Kubelet, key.clone());
}

/// Something that the pod may wait for changed.
pub(super) fn look_if_waiting(world: &mut World, key: &Key) {
    if world.control.runs.get(key).is_some_and(|r| r.stage == Stage::Mounting) {
        look(world, key);
    }
}

/// What a voter's readiness probe would find has changed.
pub fn readiness_changed(world: &mut World, pod: &str) {
    let runs = world.control.runs.keys().filter(|key| key.name == pod);
    for key in runs.cloned().collect::<Vec<_>>() {
        // The next probe sees it.
        let wait = Span(world.chance.between(300, 3000));
        after(world, Role::Kubelet, key, wait);
    }
}

/// A container ends with that code and for that reason, as if killed from outside.
pub fn kill(world: &mut World, namespace: &str, pod: &str, container: &str, code: i32, why: &str) {
    let key = key(PODS, namespace, pod);
    let (Some(mut run), Some(pod)) = (world.control.runs.remove(&key), world.store.get(&key))
    else {
        return;
    };
    if let Some(at) = run.main.iter().position(|c| c.name == container) {
        container::finish(world, &pod, &mut run.main, at, code, why);
    }
    world.control.runs.insert(key.clone(), run);
    soon(world, Role::Kubelet, key);
}

pub(super) fn reconcile(world: &mut World, key: &Key) -> Result<(), Again> {
    let pod = world.store.get(key).filter(|p| !text(&p["spec"]["nodeName"]).is_empty());
    let known = world.control.runs.get(key).map(|r| r.uid.clone());
    if known.is_some_and(|known| pod.as_ref().is_none_or(|p| uid(p) != known)) {
        forget(world, key);
    }
    let Some(pod) = pod else { return Ok(()) };
    let mut run = match world.control.runs.remove(key) {
        Some(run) => run,
        None if pods::ended(&pod) => {
            if marked(&pod) {
                gone(world, key, &pod);
            }
            return Ok(());
        }
        // Somebody else speaks for it.
        None if !marked(&pod) && !list(&pod["status"]["containerStatuses"]).is_empty() => {
            return Ok(());
        }
        None => admit(world, &pod),
    };
    let quiet = world.control.runs_only.as_ref().is_some_and(|only| *only != key.namespace);
    let next = match marked(&pod) {
        true => end(world, &pod, &mut run),
        false if quiet => None,
        false => live(world, &pod, &mut run),
    };
    if !quiet {
        status::write(world, key, &pod, &run);
    }
    let over = run.over.is_some_and(|at| at <= world.now);
    world.control.runs.insert(key.clone(), run);
    if over {
        gone(world, key, &pod);
    } else if let Some(at) = next {
        let wait = at.since(world.now).max(Span(1));
        after(world, Role::Kubelet, key.clone(), wait);
    }
    Ok(())
}

fn admit(world: &mut World, pod: &Value) -> Run {
    let containers = |of: &str| {
        list(&pod["spec"][of])
            .iter()
            .map(|c| Container::new(text(&c["name"]), text(&c["image"])))
            .collect()
    };
    let (init, main) = (containers("initContainers"), containers("containers"));
    world.control.addresses += 1;
    let n = world.control.addresses;
    Run {
        uid: uid(pod).into(),
        node: text(&pod["spec"]["nodeName"]).into(),
        ip: format!("127.20.{}.{}", n / 250 % 250, n % 250 + 2),
        since: world.now,
        stage: Stage::Mounting,
        init,
        main,
        mounting: mount::Tries::default(),
        ending: None,
        over: None,
    }
}

/// Steps a pod forward; when it is to be looked at next.
fn live(world: &mut World, pod: &Value, run: &mut Run) -> Option<Time> {
    if run.stage == Stage::Mounting {
        match mount::mount(world, pod, run) {
            mount::Mounts::Done => run.stage = Stage::Init,
            mount::Mounts::Waiting(next) => return next,
        }
    }
    if run.stage == Stage::Init {
        for at in 0..run.init.len() {
            let next = container::step(world, pod, &mut run.init, at, true);
            if !run.init[at].succeeded() {
                return next;
            }
        }
        run.stage = Stage::Main;
    }
    (0..run.main.len()).filter_map(|at| container::step(world, pod, &mut run.main, at, false)).min()
}

/// Ends a pod that is being deleted.
fn end(world: &mut World, pod: &Value, run: &mut Run) -> Option<Time> {
    let running = |c: &Container| matches!(c.state, State::Running { .. });
    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
    let all = || run.init.iter().chain(&run.main);
    let due = match run.ending {
        Some(due) => due.min(world.now + Span::secs(grace)),
        None => {
            let names: Vec<String> = all().filter(|c| running(c)).map(|c| c.name.clone()).collect();
            for container in &names {
                let said = format!("Stopping container {container}");
                tell(world, pod, container, false, "Killing", &said);
            }
            let (least, most) = if names.is_empty() { (50, 200) } else { (500, 3000) };
            world.now + Span(world.chance.between(least, most).min(grace.saturating_mul(1000)))
        }
    };
    run.ending = Some(due);
    if due > world.now {
        return Some(due);
    }
    if run.over.is_none() {
        for containers in [&mut run.init, &mut run.main] {
            for at in 0..containers.len() {
                container::stop(world, pod, containers, at);
            }
        }
        run.over = Some(world.now + Span(world.chance.between(50, 150)));
    }
    run.over
}

/// The API server is told that nothing of the pod is left.
fn gone(world: &mut World, key: &Key, pod: &Value) {
    let how = Deleting { uid: Some(uid(pod).into()), version: None, grace: 0 };
    let _gone = world.store.delete(key, &how, world.now);
}

/// A pod that is gone: what still ran is killed.
fn forget(world: &mut World, key: &Key) {
    let Some(run) = world.control.runs.remove(key) else { return };
    let first = run.main.first();
    if first.is_some_and(|c| c.name == voter::CONTAINER && matches!(c.state, State::Running { .. }))
    {
        crate::lab::vault::stopped(world, &key.name);
    }
    world.console.forget(&run.uid);
}

/// An Event from the pod's kubelet, about a container or, without a name, the pod.
fn tell(
    world: &mut World,
    pod: &Value,
    container: &str,
    warning: bool,
    reason: &str,
    message: &str,
) {
    let field = if container.is_empty() {
        String::new()
    } else {
        format!("spec.containers{{{container}}}")
    };
    let host = text(&pod["spec"]["nodeName"]);
    emit(world, pod, &Note { warning, reason, source: "kubelet", message, host, field: &field });
}

/// How the kubelet names a pod in its messages.
fn full_name(pod: &Value) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}
