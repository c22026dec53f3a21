//! What containers print, and what is answered to commands in them.

use crate::event::Time;
use crate::lab::World;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Lines that a container keeps; older ones are lost, as with a kubelet.
const KEPT: usize = 2000;

/// A line and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was printed.
    pub at: Time,
    /// Without its end.
    pub text: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Output {
    /// How many lines are lost.
    lost: usize,
    now: Vec<Line>,
    previous: Option<Vec<Line>>,
}

/// Outputs by pod's UID and container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Console {
    outputs: BTreeMap<String, BTreeMap<String, Output>>,
}

impl Console {
    /// A container prints a line.
    pub fn say(&mut self, at: Time, uid: &str, container: &str, text: &str) {
        let of_pod = self.outputs.entry(uid.to_owned()).or_default();
        let output = of_pod.entry(container.to_owned()).or_default();
        output.now.push(Line { at, text: text.to_owned() });
        if output.now.len() > KEPT {
            output.now.remove(0);
            output.lost += 1;
        }
    }

    /// A container starts anew: what it printed is the previous incarnation's.
    pub fn restarted(&mut self, uid: &str, container: &str) {
        let of_pod = self.outputs.entry(uid.to_owned()).or_default();
        let output = of_pod.entry(container.to_owned()).or_default();
        output.previous = Some(std::mem::take(&mut output.now));
        output.lost = 0;
    }

    /// A pod is gone for good.
    pub fn forget(&mut self, uid: &str) {
        self.outputs.remove(uid);
    }

    /// What a container printed, and how many lines before it are lost.
    #[must_use]
    pub fn lines(&self, uid: &str, container: &str) -> (usize, &[Line]) {
        let output = self.outputs.get(uid).and_then(|pod| pod.get(container));
        output.map_or((0, &[]), |o| (o.lost, o.now.as_slice()))
    }

    /// What its previous incarnation printed; none: there was none.
    #[must_use]
    pub fn previous(&self, uid: &str, container: &str) -> Option<&[Line]> {
        self.outputs.get(uid)?.get(container)?.previous.as_deref()
    }
}

/// What a command in a container did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code.
    pub exit: i32,
}

/// Answers a command in a container. Nothing runs on this machine: a few commands are
/// known, everything else is not simulated.
pub fn exec(_world: &mut World, pod: &Value, _container: &str, argv: &[String]) -> Ran {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let said = |text: String| Ran { stdout: text + "\n", ..Ran::default() };
    match words.as_slice() {
        ["echo", rest @ ..] => said(rest.join(" ")),
        ["true"] | ["sh" | "/bin/sh", "-c", "true"] => Ran::default(),
        ["false"] => Ran { exit: 1, ..Ran::default() },
        ["hostname"] => said(pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()),
        ["sh" | "/bin/sh" | "bash", "-c", script] => match script.trim().strip_prefix("echo ") {
            Some(rest) if !rest.contains(['|', ';', '&', '$', '`', '>', '<']) => {
                said(rest.trim().trim_matches(['"', '\'']).to_owned())
            }
            _ => unknown(script),
        },
        _ => unknown(&words.join(" ")),
    }
}

fn unknown(what: &str) -> Ran {
    Ran { stderr: format!("{what}: not simulated in the lab\n"), exit: 127, ..Ran::default() }
}
