//! A lab's world beside its run: it goes on exactly, it is there when the process was killed,
//! and a broken one is said.

use crate::pty::{Cockpit, HOLDPOINT};
use holdpoint::event::{Span, Time};
use holdpoint::lab::kube::{Deleting, Key, kind};
use holdpoint::lab::{World, beside, faults, site, vault};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// In the middle of something: a voter's pod is on its way, and somebody is to be elected.
fn busy(seed: u64) -> World {
    let now = Time(1_777_150_800_000);
    let mut world = site::world(seed, now);
    let pod = Key::new(kind("pods").unwrap(), "vault", "vault-1");
    let how = Deleting { grace: 30, ..Deleting::default() };
    world.store.delete(&pod, &how, now).unwrap();
    world.advance(now + Span::secs(4));
    faults::fault(&mut world, vault::LEADER_STOPPED, true);
    world.advance(now + Span::secs(5));
    world
}

#[test]
fn a_world_that_was_kept_goes_on_exactly_as_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    for seed in [1, 2] {
        let mut one = busy(seed);
        beside::write(dir.path(), 7, &one).unwrap();
        let kept = beside::read(dir.path()).unwrap().unwrap();
        assert_eq!(kept.seq, 7);
        let mut two = kept.world;
        let as_text = |world: &World| serde_json::to_string(world).unwrap();
        assert!(one.next().is_some() && as_text(&one) == as_text(&two), "right after");
        for minutes in [1, 2, 60, 600] {
            let until = one.now + Span::secs(60 * minutes);
            one.advance(until);
            two.advance(until);
            assert!(as_text(&one) == as_text(&two), "seed {seed}, {minutes} minutes later");
        }
        let events = |w: &World| w.store.list(kind("events").unwrap(), None).count();
        assert_eq!(events(&one), events(&two));
        let (leads, mark) = (vault::leader(&one), one.mark());
        assert!(leads.is_some() && leads.as_deref() != Some("vault-2"), "{leads:?}");
        // Answering what is asked is no change.
        two.advance(one.now + Span(1));
        assert_eq!(two.mark(), mark);
    }
    let mode = dir.path().join(beside::FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Faults that are to come, and how fast its time goes, are a part of what is kept.
#[test]
fn a_world_keeps_the_faults_that_are_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(1, Time(0));
    let wanted = ["api-slow@10s,for=20s", "api-outage@roll/claims", "path-lost@1h30m"];
    world.plan(&wanted.map(|fault| fault.parse().unwrap()));
    let strike = |world: &mut World, secs: u64, place: &str| {
        world.advance(Time(0) + Span::secs(secs));
        let next = world.strike(|start| start.step() == Some(place));
        beside::write(dir.path(), 1, world).unwrap();
        *world = beside::read(dir.path()).unwrap().unwrap().world;
        (next.map(|at| at.since(Time(0))), world.faults.iter().cloned().collect::<Vec<_>>())
    };
    let none: [&str; 0] = [];
    let (next, there) = strike(&mut world, 9, "");
    assert_eq!((next, there), (Some(Span::secs(10)), none.map(str::to_owned).to_vec()));
    let (next, there) = strike(&mut world, 11, "");
    assert_eq!((next, there), (Some(Span::secs(31)), vec!["api-slow".to_owned()]));
    let (next, there) = strike(&mut world, 40, "roll/claims");
    assert_eq!((next, there), (Some(Span::secs(5400)), vec!["api-outage".to_owned()]));
    let seen = world.planned.iter().map(|p| (p.began.is_some(), p.over.is_some()));
    assert_eq!(seen.collect::<Vec<_>>(), [(true, true), (true, false), (false, false)]);
}

/// A rehearsal that its person left goes on with its faults, as fast as it went.
#[test]
fn a_rehearsal_goes_on_with_its_faults_and_its_speed() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("runs").display().to_string();
    let run = || std::fs::read_dir(home.path().join("runs")).ok()?.next()?.ok().map(|d| d.path());
    let book = "runbooks/vault-raft-to-block.toml";
    let args = ["rehearse", book, "--fault", "hung-leader@90h", "--speed", "8", "--state", &state];
    let open = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
        Cockpit::start(Path::new(HOLDPOINT), &args, &[], (40, 120))
    };
    let mut cockpit = open(&args);
    cockpit.until("its world", |c| {
        c.text().contains(" READY") && run().is_some_and(|dir| dir.join(beside::FILE).exists())
    });
    cockpit.send("q");
    cockpit.until("ended", |c| c.ended().is_some());
    let report = cockpit.raw();
    assert!(report.contains("fault hung-leader@90h has not begun; resume goes on"), "{report}");
    let before = beside::read(&run().unwrap()).unwrap().unwrap().world;
    let mut again = open(&["resume", "--state", &state]);
    again.until("taken up", |c| c.text().contains("its faults go on: hung-leader@90h (to come)"));
    again.send("q");
    again.until("ended", |c| c.ended().is_some());
    let after = beside::read(&run().unwrap()).unwrap().unwrap().world;
    assert_eq!((after.speed, &after.planned), (Some(8), &before.planned));
}

#[test]
fn a_broken_world_is_said_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    assert!(beside::read(dir.path()).unwrap().is_none());
    let path = dir.path().join(beside::FILE);
    beside::write(dir.path(), 1, &World::new(1, Time(0))).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    let cut = &whole[..whole.len() / 2];
    let other = whole.replacen("\"format\":1", "\"format\":9", 1);
    let alien = whole.replacen("\"objects\":[]", "\"objects\":[[{\"kind\":\"x\"},1]]", 1);
    for text in [cut, &other, &alien, "", "[]", "\u{0}"] {
        std::fs::write(&path, text).unwrap();
        let why = beside::read(dir.path()).unwrap_err();
        assert!(why.contains("world.json") && why.contains("begin another"), "{why}");
    }
    let nowhere = dir.path().join("nowhere");
    assert!(beside::write(&nowhere, 1, &World::new(1, Time(0))).is_err());
}

/// The demo is killed: its world lies beside its journal, not far behind it. A demo that its
/// person leaves keeps it as well.
#[test]
fn a_killed_demo_leaves_its_world() {
    for kill in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("runs");
        let args = ["demo", "--speed", "8", "--state", &state.display().to_string()];
        let env = [("HOME", &*home.path().display().to_string())];
        let mut cockpit =
            Cockpit::start(Path::new(HOLDPOINT), &args.map(str::to_owned), &env, (40, 120));
        let run = || std::fs::read_dir(&state).ok()?.next()?.ok().map(|d| d.path());
        cockpit.until("its world", |c| {
            c.text().contains(" READY") && run().is_some_and(|dir| dir.join(beside::FILE).exists())
        });
        let dir = run().unwrap();
        if kill {
            let pid = Pid::from_raw(cockpit.pid()).unwrap();
            kill_process(pid, Signal::KILL).unwrap();
        } else {
            cockpit.send("q");
        }
        cockpit.until("ended", |c| c.ended().is_some());
        let kept = beside::read(&dir).unwrap().unwrap();
        let journal = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
        let entries = journal.lines().count() as u64;
        // Killed, it may know of observations that were not written any more; what was sent was
        // written before.
        assert!(kept.seq > 0 && (kill || kept.seq < entries), "{} of {entries}", kept.seq);
        let mut world = kept.world;
        let pods = world.store.list(kind("pods").unwrap(), None).count();
        world.advance(world.now + Span::secs(600));
        assert_eq!(world.store.list(kind("pods").unwrap(), None).count(), pods);
        assert_eq!(vault::leader(&world).as_deref(), Some("vault-2"));
    }
}
