//! A program here, by its arguments; never a string through a shell.

use crate::action::args::Args;
use crate::action::{Ended, Say, Seen, Stop, quoted};
use crate::event::{Outcome, Probed, Proposal, Span, Stream, Target};
use crate::remote::{MARK, Remote, apart_soon};
use crate::runbook::verbs::seconds_of;
use crate::text::{Intake, Redactor};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Bytes of standard output that `result.out` keeps.
const KEPT: usize = 64 * 1024;

pub(crate) fn plan(args: &Args<'_>) -> Result<Proposal, String> {
    let argv = args.list("argv");
    let Some(program) = argv.first().filter(|p| !p.is_empty()) else {
        return Err("argv names no program".into());
    };
    // `timeout 0` waits for ever.
    let timeout = seconds_of("shell.run", "timeout", args.text("timeout")?)?;
    let words: Vec<_> = argv.iter().map(|a| quoted(a)).collect();
    let timed = format!("timeout -k 5 {} {}", timeout.0 / 1000, words.join(" "));
    let command = match args.opt("dir") {
        Some(dir) => format!("(cd {} && {timed})", quoted(dir)),
        None => timed,
    };
    Ok(Proposal {
        verb: "shell.run".into(),
        sentence: format!("run {} here, {timeout} at most", words.join(" ")),
        targets: vec![Target {
            kind: "program".into(),
            namespace: None,
            name: program.clone(),
            uid: None,
            created: None,
            note: String::new(),
        }],
        material: BTreeMap::new(),
        request: json!({"argv": argv, "timeout": timeout, "dir": args.opt("dir")}),
        commands: vec![command],
        cautions: Vec::new(),
        before: Value::Null,
    })
}

/// What still runs of a step that was started before, by somebody who is gone.
async fn running(remote: &Remote, mark: &str) -> Result<Option<String>, String> {
    let (machine, mark) = (Arc::clone(&remote.machine), mark.to_owned());
    let found = apart_soon(&remote.machine, move || machine.marked(&mark)).await;
    let found = found.and_then(|r| r.map_err(|e| format!("/proc: {e}")));
    let found = found.map_err(|why| format!("whether it still runs cannot be seen: {why}"))?;
    let Some(first) = found.first() else { return Ok(None) };
    let more = match found.len() - 1 {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    // What to do stands first: a narrow screen shows no more.
    Ok(Some(format!(
        "pid {}{more} on {}: let it end, or end it: kill -- -{}; nobody watches its time limit any \
         more; {}",
        first.pid, remote.host, first.group, first.command
    )))
}

/// Why a program is not started: it was, and still runs, or that cannot be seen.
pub async fn outlived(remote: &Remote, mark: &str) -> Option<String> {
    match running(remote, mark).await {
        Ok(found) => found.map(|who| format!("it still runs: {who}")),
        Err(why) => Some(why),
    }
}

/// Whether it still runs; what it did, only a probe of the runbook's can tell.
pub(crate) async fn probe(remote: &Remote, mark: &str) -> Seen {
    match running(remote, mark).await {
        Ok(Some(why)) => (Probed::Running, why, Value::Null),
        Ok(None) => {
            let why =
                "it does not run here; the program itself does not tell whether it did its work";
            (Probed::Unknown, why.into(), Value::Null)
        }
        Err(why) => (Probed::Unknown, why, Value::Null),
    }
}

pub(crate) async fn execute(
    remote: &Remote,
    mark: &str,
    proposal: &Proposal,
    say: &Say,
    mut stop: Stop,
) -> Ended {
    let request = &proposal.request;
    let argv: Vec<&str> = request
        .get("argv")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let timeout = request
        .get("timeout")
        .and_then(Value::as_str)
        .and_then(|s| s.parse::<Span>().ok())
        .unwrap_or_default();
    let Some((program, rest)) = argv.split_first() else {
        return (Outcome::Failed("argv names no program".into()), Value::Null);
    };
    if let Some(said) = remote.machine.scripted(&argv) {
        return scripted(remote, said, say);
    }
    if let Some(why) = outlived(remote, mark).await {
        return (Outcome::Failed(format!("not started: {why}")), Value::Null);
    }
    if let Some(why) = stop.already() {
        return (Outcome::Failed(format!("not started: {why}")), Value::Null);
    }
    let mut command = Command::new(program);
    command
        .env(MARK, mark)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    if let Some(dir) = request.get("dir").and_then(Value::as_str) {
        command.current_dir(dir);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => return (Outcome::Failed(format!("{program}: {e}")), Value::Null),
    };
    let group = child.id();
    let redactor = remote.redactor();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let pump_out = tokio::spawn(pump(out, Stream::Out, redactor.clone(), say.clone()));
    let pump_err = tokio::spawn(pump(err, Stream::Err, redactor, say.clone()));
    let status = ended(&mut child, timeout, &mut stop).await;
    // What it left running in the background may hold its output open: that is waited for a
    // moment, then it is ended with its group.
    let both = async { (pump_out.await.unwrap_or_default(), pump_err.await.is_ok()) };
    tokio::pin!(both);
    let kept = match tokio::time::timeout(LINGER, &mut both).await {
        Ok((kept, _)) => kept,
        Err(_) => {
            signal(group, Signal::KILL);
            tokio::time::timeout(LINGER, &mut both).await.map_or(String::new(), |(kept, _)| kept)
        }
    };
    let result = |status: i32| json!({"status": status, "out": kept, "at": remote.now()});
    match status {
        Ok(Ok(s)) if s.success() => (Outcome::Ok, result(0)),
        Ok(Ok(s)) => {
            (Outcome::Failed(format!("{program} ended with {s}")), result(s.code().unwrap_or(-1)))
        }
        Ok(Err(e)) => (Outcome::Unknown(e.to_string()), result(-1)),
        // What it did until then, it does not say.
        Err(why) => (Outcome::Unknown(format!("{program} was {why}")), result(-1)),
    }
}

/// Waits for it; past its time, or when it is to end, it is ended with all that it started.
async fn ended(
    child: &mut Child,
    timeout: Span,
    stop: &mut Stop,
) -> Result<std::io::Result<ExitStatus>, String> {
    let group = child.id();
    let why = tokio::select! {
        status = child.wait() => return Ok(status),
        () = tokio::time::sleep(timeout.duration()) => format!("ended after {timeout}"),
        why = stop.asked() => format!("stopped: {why}"),
    };
    // As `timeout -k` does.
    signal(group, Signal::TERM);
    // A shell in front of what does the work is gone at once: the others have their time as well.
    let all_gone = async {
        let _ = child.wait().await;
        while is_there(group) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(GRACE, all_gone).await;
    signal(group, Signal::KILL);
    Err(why)
}

/// What a machine on which nothing is started says to a command.
fn scripted(remote: &Remote, said: Result<(i32, String), String>, say: &Say) -> Ended {
    let (status, out) = match said {
        Ok(said) => said,
        Err(why) => return (Outcome::Failed(why), Value::Null),
    };
    out.lines().for_each(|line| say(Stream::Out, line.to_owned()));
    let outcome = match status {
        0 => Outcome::Ok,
        status => Outcome::Failed(format!("it ended with status {status}")),
    };
    (outcome, json!({"status": status, "out": out, "at": remote.now()}))
}

/// How long output is waited for after the program itself has ended.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// How long a program that is told to end has for it.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

fn pid(group: Option<u32>) -> Option<rustix::process::Pid> {
    group.and_then(|g| i32::try_from(g).ok()).and_then(rustix::process::Pid::from_raw)
}

/// Whether anything of the program's group is there still.
fn is_there(group: Option<u32>) -> bool {
    pid(group).is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok())
}

/// To the program and what it started.
fn signal(group: Option<u32>, signal: Signal) {
    if let Some(pid) = pid(group) {
        // It may have ended by itself meanwhile.
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

async fn pump(
    from: Option<impl AsyncRead + Unpin>,
    stream: Stream,
    redactor: Redactor,
    say: Say,
) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut intake = Intake::new(redactor);
    let mut kept = String::new();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n) = from.read(&mut buffer).await {
        let lines =
            if n == 0 { intake.finish().into_iter().collect() } else { intake.push(&buffer[..n]) };
        for line in lines {
            if kept.len() < KEPT {
                kept.push_str(&line);
                kept.push('\n');
            }
            say(stream, line);
        }
        if n == 0 {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::rig;
    use crate::runbook::model::{Arg, Call};

    #[tokio::test]
    async fn what_still_runs_is_neither_offered_nor_started() {
        let remote = rig::remote(None, &[], "").await;
        let call = Call {
            verb: "shell.run".into(),
            args: BTreeMap::from([
                ("argv".into(), Arg::List(vec!["true".into()])),
                ("timeout".into(), Arg::Text("5s".into())),
            ]),
        };
        let proposal = plan(&Args::new(&call)).unwrap();
        let say: Say = Arc::new(|_, _| {});
        let mut old = Command::new("sleep").arg("60").env(MARK, "run/a/b").spawn().unwrap();
        let pid = old.id().unwrap();
        // Until it has become what it is to be, it is whoever started it.
        while outlived(&remote, "run/a/b").await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let told = outlived(&remote, "run/a/b").await.unwrap();
        assert!(
            told.contains(&format!("it still runs: pid {pid} on ")) && told.ends_with("; sleep 60"),
            "{told}"
        );
        let (outcome, _) = execute(&remote, "run/a/b", &proposal, &say, Stop::never()).await;
        assert_eq!(outcome, Outcome::Failed(format!("not started: {told}")));
        assert_eq!(probe(&remote, "run/a/b").await.0, Probed::Running);
        // Another step, another run.
        for other in ["run/a/c", "other/a/b"] {
            assert_eq!(
                execute(&remote, other, &proposal, &say, Stop::never()).await.0,
                Outcome::Ok
            );
        }
        old.kill().await.unwrap();
        assert_eq!(probe(&remote, "run/a/b").await.0, Probed::Unknown);
        assert_eq!(
            execute(&remote, "run/a/b", &proposal, &say, Stop::never()).await.0,
            Outcome::Ok
        );
    }

    fn of_shell(script: &str, dir: &std::path::Path) -> Proposal {
        let call = Call {
            verb: "shell.run".into(),
            args: BTreeMap::from([
                ("argv".into(), Arg::List(["sh", "-c", script].map(String::from).into())),
                ("timeout".into(), Arg::Text("50s".into())),
                ("dir".into(), Arg::Text(dir.display().to_string())),
            ]),
        };
        plan(&Args::new(&call)).unwrap()
    }

    /// It is told to end, may say something to that, and takes along what it started.
    #[tokio::test]
    async fn what_is_stopped_ends_with_all_that_it_started() {
        let kept = tempfile::tempdir().unwrap();
        let remote = rig::remote(None, &[], "").await;
        let script = "trap 'echo told; exit 3' TERM; (trap '' TERM; sleep 60) & \
                      echo $! > child; echo begun; wait";
        let proposal = of_shell(script, kept.path());
        let (heard, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let say: Say = Arc::new(move |_, line| heard.send(line).unwrap());
        let (stops, effect) = (crate::action::Stops::default(), crate::event::EffectId(7));
        let stop = Stop::new(effect, &stops);
        let acting =
            tokio::spawn(
                async move { execute(&remote, "run/a/stop", &proposal, &say, stop).await },
            );
        assert_eq!(lines.recv().await.unwrap(), "begun");
        stops.send_replace(Some((crate::event::EffectId(6), "another".into())));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!acting.is_finished(), "it was not meant");
        stops.send_replace(Some((effect, "guard quorum breached".into())));
        let (outcome, _) = acting.await.unwrap();
        let why = "sh was stopped: guard quorum breached".to_owned();
        assert_eq!(outcome, Outcome::Unknown(why));
        assert_eq!(lines.recv().await.unwrap(), "told");
        let child = std::fs::read_to_string(kept.path().join("child")).unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        let all_gone = async {
            while !gone() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let hang = std::time::Duration::from_secs(30);
        tokio::time::timeout(hang, all_gone).await.expect("what it started still runs");
    }

    /// The shell in front is gone with the first signal; what does the work has its time all the
    /// same. What is to end before it has begun does not begin.
    #[tokio::test]
    async fn what_works_behind_a_shell_may_clear_up_when_it_is_stopped() {
        let kept = tempfile::tempdir().unwrap();
        let remote = rig::remote(None, &[], "").await;
        let script = "(trap 'sleep 0.3; echo cleared > cleared; exit' TERM; echo begun; \
                      sleep 60 & wait); true";
        let proposal = of_shell(script, kept.path());
        let (stops, effect) = (crate::action::Stops::default(), crate::event::EffectId(7));
        let asked = stops.clone();
        // It is told to end by its first line.
        let say: Say = Arc::new(move |_, _| drop(asked.send_replace(Some((effect, "b".into())))));
        let stop = || Stop::new(effect, &stops);
        let (outcome, _) = execute(&remote, "run/a/behind", &proposal, &say, stop()).await;
        assert_eq!(outcome, Outcome::Unknown("sh was stopped: b".into()));
        let cleared = kept.path().join("cleared");
        assert!(cleared.exists(), "it had no time");
        std::fs::remove_file(&cleared).unwrap();
        let (outcome, _) = execute(&remote, "run/a/behind", &proposal, &say, stop()).await;
        assert_eq!(outcome, Outcome::Failed("not started: b".into()));
    }
}
