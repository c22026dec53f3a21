//! What containers print, and what is answered to commands in them.

use crate::event::Time;
use crate::lab::{World, vault};
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
pub fn exec(world: &mut World, pod: &Value, container: &str, argv: &[String]) -> Ran {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    if let Some(ran) = on_disk(world, pod, container, &words) {
        return ran;
    }
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

/// The one script that is known to write: its first word into the file of its second.
const WRITE: &str = "printf '%s\\n' \"$0\" >\"$1\"";

/// Looking at a voter's data directory, and writing there. None: it is about nothing of that.
fn on_disk(world: &mut World, pod: &Value, container: &str, words: &[&str]) -> Option<Ran> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let failed = |stderr: String, exit| Some(Ran { stderr, exit, ..Ran::default() });
    let missing = |program: &str, path: &str, exit| {
        failed(format!("{program}: {path}: No such file or directory\n"), exit)
    };
    match words {
        ["ls", path] => {
            let dir = below(pod, container, path)?;
            match vault::files_in(world, &name, &dir) {
                Some(names) => Some(Ran { stdout: names.join("\n") + "\n", ..Ran::default() }),
                None => missing("ls", path, 2),
            }
        }
        ["cat", path] => {
            let file = below(pod, container, path)?;
            match vault::file_of(world, &name, &file) {
                Some(text) => Some(Ran { stdout: text.to_owned(), ..Ran::default() }),
                None => missing("cat", path, 1),
            }
        }
        ["sh", "-c", WRITE, text, path] => {
            let file = below(pod, container, path)?;
            match vault::write_file(world, &name, &file, &format!("{text}\n")) {
                true => Some(Ran::default()),
                false => failed(format!("sh: can't create {path}: Permission denied\n"), 1),
            }
        }
        _ => None,
    }
}

/// The rest of a path that lies where that container mounts the claim of the template `data`.
fn below(pod: &Value, container: &str, path: &str) -> Option<String> {
    let all = pod["spec"]["containers"].as_array()?;
    let own = all.iter().find(|c| c["name"] == container)?;
    let at = match own["volumeMounts"].as_array() {
        Some(mounts) => mounts.iter().find(|m| m["name"] == "data")?["mountPath"].as_str()?,
        // A survey does not hold where what is mounted.
        None => "/vault/data",
    };
    let rest = path.strip_prefix(at)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/').to_owned())
}

fn unknown(what: &str) -> Ran {
    Ran { stderr: format!("{what}: not simulated in the lab\n"), exit: 127, ..Ran::default() }
}
