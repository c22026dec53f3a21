//! `pods/log`.

use super::call::Call;
use super::error::Refusal;
use super::{Body, list, reply};
use crate::event::Time;
use crate::lab::kube::console::Line;
use crate::lab::{Lab, World};
use bytes::Bytes;
use http::Response;
use serde_json::Value;
use std::io::Error;
use std::time::Duration;

/// Between looks for new lines of a followed log.
const LOOK: Duration = Duration::from_millis(500);

struct Follow {
    lab: Lab,
    call: Call,
    uid: String,
    container: String,
    /// How many lines are told, those that are lost among them.
    told: usize,
}

pub fn answer(lab: &Lab, call: &Call) -> Result<Response<Body>, Refusal> {
    let (text, uid, container, told) = lab.with(|world| read(world, call))?;
    if !call.query.flag("follow") || call.query.flag("previous") {
        return Ok(reply::bytes(200, "text/plain", text));
    }
    let follow = Follow { lab: lab.clone(), call: call.clone(), uid, container, told };
    let first = futures::stream::iter((!text.is_empty()).then(|| Ok(Bytes::from(text))));
    let rest = futures::stream::unfold(follow, |mut follow| async move {
        follow.next().await.map(|piece| (piece, follow))
    });
    Ok(reply::stream("text/plain", futures::StreamExt::chain(first, rest)))
}

fn read(world: &mut World, call: &Call) -> Result<(String, String, String, usize), Refusal> {
    let pod = list::found(world, call)?;
    let container = container(call, &pod)?;
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    waiting(&pod, &container, call)?;
    let (lost, lines) = world.console.lines(&uid, &container);
    let told = lost + lines.len();
    let lines = if call.query.flag("previous") {
        world.console.previous(&uid, &container).ok_or_else(|| {
            Refusal::bad(&format!(
                "previous terminated container \"{container}\" in pod \"{}\" not found",
                call.name()
            ))
        })?
    } else {
        lines
    };
    Ok((chosen(call, world.now, lines), uid, container, told))
}

fn container(call: &Call, pod: &Value) -> Result<String, Refusal> {
    let names = |list: &str| -> Vec<String> {
        let all = pod["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|c| c["name"].as_str().map(str::to_owned)).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    match call.query.get("container") {
        Some(name) if main.iter().chain(&init).any(|n| n == name) => Ok(name.to_owned()),
        Some(name) => {
            Err(Refusal::bad(&format!("container {name} is not valid for pod {}", call.name())))
        }
        None => match main.as_slice() {
            [one] => Ok(one.clone()),
            many => Err(Refusal::bad(&format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                call.name(),
                many.join(" ")
            ))),
        },
    }
}

/// A container that never started has no log.
fn waiting(pod: &Value, container: &str, call: &Call) -> Result<(), Refusal> {
    let mut statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let status = statuses.find(|s| s["name"].as_str() == Some(container));
    let why = match status {
        Some(s) if s["state"]["waiting"].is_object() && s["lastState"]["terminated"].is_null() => {
            let reason = s["state"]["waiting"]["reason"].as_str().unwrap_or("waiting to start");
            format!("is waiting to start: {reason}")
        }
        _ => return Ok(()),
    };
    Err(Refusal::bad(&format!("container \"{container}\" in pod \"{}\" {why}", call.name())))
}

fn chosen(call: &Call, now: Time, lines: &[Line]) -> String {
    let since = call.query.number("sinceSeconds").and_then(|s| i64::try_from(s).ok());
    let since = since.map(|s| Time(now.0 - s * 1000));
    let recent: Vec<&Line> =
        lines.iter().filter(|l| since.is_none_or(|since| l.at >= since)).collect();
    let tail = call.query.number("tailLines").and_then(|n| usize::try_from(n).ok());
    let skip = tail.map_or(0, |tail| recent.len().saturating_sub(tail));
    recent[skip..].iter().map(|line| printed(call, line)).collect()
}

fn printed(call: &Call, line: &Line) -> String {
    if call.query.flag("timestamps") {
        return format!("{} {}\n", line.at.timestamp(), line.text);
    }
    format!("{}\n", line.text)
}

impl Follow {
    /// The next lines; none when the pod is gone.
    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let lab = self.lab.clone();
            let (there, text) = lab.with(|world| self.look(world));
            if !text.is_empty() {
                return Some(Ok(text.into()));
            }
            if !there {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn look(&mut self, world: &World) -> (bool, String) {
        let pod = world.store.get(&self.call.key());
        let there = pod.is_some_and(|p| p["metadata"]["uid"].as_str() == Some(&self.uid));
        let (lost, lines) = world.console.lines(&self.uid, &self.container);
        let all = lost + lines.len();
        // Fewer than before: the container started anew.
        let told = if all < self.told { lost } else { self.told.max(lost) };
        self.told = all;
        (there, lines[told - lost..].iter().map(|line| printed(&self.call, line)).collect())
    }
}
