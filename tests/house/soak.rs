//! Soaks over several processes: only what somebody watched counts, and who only watches begins
//! nothing.

use crate::rehearsals::{on_lab_time, operator, small};
use crate::support::driver;
use holdpoint::cli::lab::play::{Play, begin};
use holdpoint::cli::lab::rehearse::lab_site;
use holdpoint::event::{Event, Span, Time};
use holdpoint::journal::{FILE, read_bytes};
use holdpoint::lab;
use holdpoint::run::Status;
use holdpoint::session::{Answers, Engine, Keep, reopen, unattended};
use std::sync::Arc;

const SOAK: &str = r#"
format = 1
id = "soak"
title = "A soak"
owner = "tests"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "soak"
title = "Watch"
hold = "none"
[phase.step.soak]
for = "1h"
[[phase.step.soak.watch]]
id = "answers"
that = 'raft.leader_answers'
says = "the leader answers"
"#;

/// An hour is to be observed; for a quarter of one nobody looks. It ends that much later, and does
/// not begin anew.
#[test]
fn a_soak_ends_as_much_later_as_nobody_looked() {
    soaked_with_a_gap(1);
}

/// The same of a day, six hours of which nobody looked. Some three minutes of two cores.
#[test]
#[ignore = "a day takes some three minutes; just soaked runs it"]
fn a_day_of_soak_ends_six_hours_later() {
    soaked_with_a_gap(24);
}

/// So many hours of soak, and a quarter of that time unseen in the middle.
fn soaked_with_a_gap(hours: u64) {
    let half = Span::secs(hours * 1800);
    let gap = Span::secs(hours * 900);
    let runs = tempfile::tempdir().unwrap();
    let play = Play {
        text: SOAK.replace("1h", &format!("{hours}h")),
        path: "soak.toml".into(),
        params: vec![],
        site: lab_site().unwrap(),
        world: small(),
        faults: vec![],
        answers: operator(),
        runs: Some(runs.path().to_owned()),
        nonce: "0000".into(),
    };
    let entries = on_lab_time(async {
        let playing = begin(play, driver()).await.unwrap();
        let soaked = |state: &holdpoint::run::State| {
            state.steps.get(&"only/soak".parse().unwrap()).map_or(0, |s| s.soak.observed_ms)
        };
        let mut live = playing.handle.live.clone();
        drop(live.wait_for(|l| soaked(&l.state) >= half.0).await.unwrap());
        let left = playing.end(false).await.unwrap();
        tokio::time::sleep(gap.duration()).await;
        let (world, dir) = (left.lab.with(|w| w.clone()), left.journal.unwrap());
        let clock = lab::clock(world.now);
        let lab = lab::Lab::new(world, Arc::clone(&clock));
        let driven = lab.clone();
        tokio::spawn(async move { driven.drive().await });
        let remote = lab::open(&lab, lab_site().unwrap(), Arc::clone(&clock));
        let resumed = reopen(&dir).unwrap().resume(driver(), clock, &Keep::Loosely).unwrap();
        let (handle, _) = Engine::resume(resumed, Arc::new(remote));
        let mut live = handle.live.clone();
        assert!(
            live.wait_for(|l| l.state.ended.is_some()).await.unwrap().state.ended == Some(true)
        );
        handle.close();
        let bytes = std::fs::read(dir.join(FILE)).unwrap();
        read_bytes(&bytes).unwrap().entries
    });
    let starts: Vec<Time> = entries
        .iter()
        .filter(|e| matches!(e.event, Event::SoakStarted { .. }))
        .map(|e| e.at)
        .collect();
    assert_eq!(starts.len(), 1, "it began anew");
    let ended = entries.iter().find(|e| matches!(e.event, Event::SoakEnded { .. })).unwrap();
    let late = ended.at.since(starts[0]).0.saturating_sub(2 * half.0);
    assert!((gap.0..gap.0 + 30_000).contains(&late), "{} minutes late", late / 60_000);
}

/// A step that would begin by itself does not behind a soak that is only watched.
#[test]
fn who_watches_a_soak_begins_nothing_behind_it() {
    let next = "[[phase.step]]\nid = \"down\"\ntitle = \"Step down\"\nhold = \"none\"\n\
                do.vault.step_down = { node = \"vault-2\" }\n";
    let play = Play {
        text: SOAK.replace("1h", "2m") + next,
        path: "soak.toml".into(),
        params: vec![],
        site: lab_site().unwrap(),
        world: small(),
        faults: vec![],
        answers: operator(),
        runs: None,
        nonce: "0000".into(),
    };
    let mut said = Vec::new();
    let played = on_lab_time(async {
        let playing = begin(play, driver()).await.unwrap();
        let mut live = playing.handle.live.clone();
        let soaks = |s: &holdpoint::run::State| {
            s.steps.get(&"only/soak".parse().unwrap()).is_some_and(|s| s.status == Status::Running)
        };
        drop(live.wait_for(|l| soaks(&l.state)).await.unwrap());
        let mut out = |line| {
            said.push(line);
            true
        };
        let over = unattended(&playing.handle, &driver(), &Answers::soaks(), &mut out).await;
        assert!(over);
        playing.end(false).await.unwrap()
    });
    assert!(said.last().unwrap().contains("the soak is over; only/down comes next"), "{said:?}");
    assert!(played.state.line_held.is_some());
    let kinds = |of: fn(&Event) -> bool| played.entries.iter().filter(|e| of(&e.event)).count();
    assert_eq!(kinds(|e| matches!(e, Event::SoakEnded { .. })), 1);
    assert_eq!(kinds(|e| matches!(e, Event::ReviewOpened { .. } | Event::Released { .. })), 0);
}

/// Who only watches it line by line reads what broke it, once, and that it is observed again.
#[test]
fn a_soak_that_breaks_is_told_and_that_its_clock_begins_anew() {
    for on_breach in ["restart", "pause"] {
        let on = format!("for = \"2m\"\non_breach = \"{on_breach}\"");
        let play = Play {
            text: SOAK.replace("for = \"1h\"", &on),
            path: "soak.toml".into(),
            params: vec![],
            site: lab_site().unwrap(),
            world: small(),
            faults: vec!["hung-leader@only/soak,for=30s".parse().unwrap()],
            answers: operator(),
            runs: None,
            nonce: "0000".into(),
        };
        let mut said: Vec<String> = Vec::new();
        let played = on_lab_time(async {
            let playing = begin(play, driver()).await.unwrap();
            let mut live = playing.handle.live.clone();
            let addr = "only/soak".parse().unwrap();
            let soaks = |s: &holdpoint::run::State| {
                s.steps.get(&addr).is_some_and(|s| s.status == Status::Running)
            };
            drop(live.wait_for(|l| soaks(&l.state)).await.unwrap());
            let mut out = |line| {
                said.push(line);
                true
            };
            let over = unattended(&playing.handle, &driver(), &Answers::soaks(), &mut out).await;
            playing.end(over).await.unwrap()
        });
        let broke = played.entries.iter().filter(|e| matches!(e.event, Event::SoakBroken { .. }));
        assert!(broke.count() > 0 && played.done, "{said:#?}");
        let at = |text: &str| -> Vec<usize> {
            let of = said.iter().enumerate().filter(|(_, line)| line.starts_with(text));
            of.map(|(at, _)| at).collect()
        };
        let (broken, again) =
            (at("soak only/soak BROKEN: "), at("soak only/soak is observed again"));
        assert!(broken.len() == 1 && again.len() == 1 && broken < again, "{said:#?}");
        let (broken, again) = (&said[broken[0]], &said[again[0]]);
        assert!(broken.contains("BROKEN: the leader answers: "), "{broken}");
        let anew = on_breach == "restart";
        let clock = if anew { "; its clock begins anew" } else { "; its clock stands at " };
        assert!(broken.contains(clock), "{broken}");
        assert_eq!(again.ends_with(", from the beginning"), anew, "{again}");
    }
}
