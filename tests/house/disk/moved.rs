//! The journal goes on in another directory: because its disk is full, because it hangs, or by
//! choice; and what the old place and the new one say of it.

use super::{Begun, Fate, Odd, proposed, status, step};
use crate::pty::HOLDPOINT;
use crate::support::{RUNBOOK, Run, driver, header};
use holdpoint::event::*;
use holdpoint::journal::{Disk, FILE, FileDisk, HealthState, Verdict, read, read_bytes};
use holdpoint::run::{Intent, State, Status, keyframe};
use holdpoint::session::{fold, reopen};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A run whose disk is full from a line on, and that lies in a directory of its own.
async fn full(at: &'static str, dir: &Path) -> Begun {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let disk = Odd { kept: Arc::clone(&kept), at, fate: Fate::Full, full: false };
    let mut begun = Begun::behind(Box::new(disk), Some(dir.to_owned()), false).await;
    begun.kept = kept;
    begun
}

/// Where the journal that was moved says that it began.
fn continues(entries: &[Entry]) -> Continues {
    let Event::Opened { header } = &entries[0].event else { panic!("{:?}", entries[0]) };
    header.continues.clone().unwrap()
}

/// Releases the step in hand and sees it done.
async fn goes_on(begun: &Begun) {
    let digest = begun.review().await;
    begun.release(digest).await.unwrap();
    begun.until("done", |l| l.state.ended == Some(true)).await;
}

#[tokio::test]
async fn from_a_full_disk_it_goes_on_elsewhere() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let begun = full("effect-started", old.path()).await;
    let before = begun.pod_uid();
    let digest = begun.review().await;
    begun.release(digest).await.unwrap();
    begun.until("show-only", |l| l.show_only.is_some()).await;
    let dir = begun.handle.move_journal(&driver(), new.path()).await.unwrap();
    assert_eq!(dir.parent(), Some(new.path()));
    assert_eq!(begun.handle.dir(), Some(dir.clone()));
    let live = begun.until("it is recorded again", |l| l.show_only.is_none()).await;
    let s = &live.state.steps[&step()];
    assert!(s.changed[0].contains("nothing was sent"), "{:?}", s.changed);
    assert_eq!(begun.pod_uid(), before);
    goes_on(&begun).await;
    begun.handle.close();

    let there = read(&dir).unwrap();
    assert_eq!(there.verdict, Verdict::Complete);
    let from = continues(&there.entries);
    let first = read_bytes(&begun.kept.lock().unwrap()).unwrap();
    assert_eq!(first.hashes[usize::try_from(from.seq).unwrap()], from.hash);
    assert_eq!(from.path.as_deref(), Some(old.path().to_str().unwrap()));
    assert_eq!(fold(&there.entries).unwrap().ended, Some(true));
    // The old place was full for the journal, and took the mark.
    let mark = std::fs::read_to_string(old.path().join("moved-to")).unwrap();
    assert_eq!(mark, dir.display().to_string());
}

/// What had been sent when the disk filled up is recorded in the new place, as it ended.
#[tokio::test]
async fn what_ended_unrecorded_is_recorded_there_and_sent_once() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let begun = full("\"type\":\"effect-ended\"", old.path()).await;
    let digest = begun.review().await;
    begun.release(digest).await.unwrap();
    let live = begun.until("show-only", |l| {
        l.show_only.as_ref().is_some_and(|why| why.contains("only/pod was done, unrecorded"))
    });
    assert!(live.await.state.running.is_none());
    begun.handle.move_journal(&driver(), new.path()).await.unwrap();
    begun.until("done", |l| l.state.ended == Some(true)).await;
    let deeds = begun.lab.with(|w| w.deeds.iter().filter(|d| d.what.contains("DELETE")).count());
    assert_eq!(deeds, 1);
    begun.handle.close();
    let entries = read(&begun.handle.dir().unwrap()).unwrap().entries;
    let of =
        |e: &&Entry| matches!(e.event, Event::EffectStarted { .. } | Event::EffectEnded { .. });
    let told: Vec<&Entry> = entries.iter().filter(of).collect();
    assert!(
        matches!(
            told.as_slice(),
            [Entry { event: Event::EffectEnded { outcome: Outcome::Ok, .. }, .. }]
        ),
        "{told:?}"
    );
}

/// A disk that never comes back from a line on, until it is let go.
#[derive(Clone, Default)]
struct Hangs {
    reached: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Disk for Hangs {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if String::from_utf8_lossy(bytes).contains("review-opened") {
            self.reached.store(true, Ordering::Relaxed);
            while !self.over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_disk_that_hangs_is_left() {
    let new = tempfile::tempdir().unwrap();
    let hangs = Hangs::default();
    let begun = Begun::behind(Box::new(hangs.clone()), None, false).await;
    begun.until("ready", |l| status(l) == Some(Status::Ready)).await;
    let handle = begun.handle.clone();
    let asked =
        tokio::spawn(async move { handle.ask(&driver(), Intent::Review { step: step() }).await });
    // Any other line keeps the journal waiting for a moment, too.
    while !hangs.reached.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(begun.handle.health().state, HealthState::Waiting { .. }));
    begun.handle.move_journal(&driver(), new.path()).await.unwrap();
    // Whoever asked in vain is told so.
    assert!(asked.await.unwrap().unwrap_err().contains("the journal does not answer"));
    goes_on(&begun).await;
    hangs.over.store(true, Ordering::Relaxed);
    begun.handle.close();
    let entries = read(&begun.handle.dir().unwrap()).unwrap().entries;
    assert_eq!(fold(&entries).unwrap().ended, Some(true));
}

fn holdpoint(args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(HOLDPOINT).args(args).output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(text).unwrap())
}

/// By choice: both places say so, `verify` follows, and the old one is not resumed.
#[tokio::test]
async fn both_places_tell_and_verify_follows() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("runs");
    let old = runs.join(header("", Mode::Write).run);
    let disk = FileDisk::create(&old).unwrap();
    let begun = Begun::behind(Box::new(disk), Some(old.clone()), false).await;
    begun.until("ready", |l| status(l) == Some(Status::Ready)).await;
    let blocked = root.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let why = begun.handle.move_journal(&driver(), &blocked).await.unwrap_err();
    assert!(why.contains("file"), "{why}");
    assert_eq!(begun.handle.dir(), Some(old.clone()), "it stays where it was");
    // In the same directory it is another segment of that name; from there once more elsewhere.
    let second = begun.handle.move_journal(&driver(), &runs).await.unwrap();
    let third = begun.handle.move_journal(&driver(), &root.path().join("third")).await.unwrap();
    goes_on(&begun).await;
    begun.handle.close();
    let path = |p: &Path| p.display().to_string();
    assert_eq!(path(&second), format!("{}.2", path(&old)));
    assert_eq!(third.file_name(), old.file_name());

    let (code, told) = holdpoint(&["verify", &path(&third)]);
    assert_eq!(
        (code, told.matches("it fits; that segment is open").count()),
        (Some(0), 2),
        "{told}"
    );
    let (_, told) = holdpoint(&["runs", "--state", &path(&runs)]);
    let moved: Vec<&str> = told.lines().filter(|l| l.contains("  moved ")).collect();
    assert!(moved.len() == 2 && moved[0].contains(&path(&second)), "{told}");
    assert!(moved[1].contains(&format!("goes on in {}", path(&third))), "{told}");
    let name = old.file_name().unwrap().to_str().unwrap().to_owned();
    let (code, told) = holdpoint(&["resume", &name, "--state", &path(&runs)]);
    assert!(code == Some(2) && told.contains(&format!("goes on in {}", path(&second))), "{told}");

    // The first segment loses its end: what comes after does not stand on it any more.
    let file = second.join(FILE);
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let seq = usize::try_from(continues(&read(&third).unwrap().entries).seq).unwrap();
    std::fs::write(&file, format!("{}\n", lines[..seq].join("\n"))).unwrap();
    let (code, told) = holdpoint(&["verify", &path(&third)]);
    assert!(code == Some(1) && told.contains("that entry is not there"), "{told}");
    std::fs::write(&file, whole.replacen("vault-0", "vault-1", 1)).unwrap();
    let (code, told) = holdpoint(&["verify", &path(&third)]);
    assert!(
        code == Some(1) && told.contains("cannot be read") || told.contains("not there"),
        "{told}"
    );
    std::fs::remove_file(&file).unwrap();
    let (code, told) = holdpoint(&["verify", &path(&third)]);
    assert!(code == Some(1) && told.contains("that segment cannot be read"), "{told}");
}

/// A later segment as it begins.
fn segment(state: &State, kept: serde_json::Value) -> Vec<Entry> {
    let continues = Continues { run: "r".into(), seq: 7, hash: "0".into(), path: None };
    let header = Header { continues: Some(continues), ..(*state.header).clone() };
    let events =
        [Event::Opened { header: Box::new(header) }, Event::Keyframe { state: Box::new(kept) }];
    let entry = |(seq, event)| Entry { seq, at: state.at, actor: driver(), event };
    (0..).zip(events).map(entry).collect()
}

/// All that a run is but its place in the stream, which is another.
fn all(state: &State) -> String {
    let mut state = state.clone();
    (state.seq, state.moved) = (0, None);
    state.header = Arc::new(header("", Mode::Write));
    for s in Arc::make_mut(&mut state.steps).values_mut() {
        Arc::make_mut(s).ticket = 0;
    }
    format!("{state:?}")
}

#[test]
fn a_keyframe_has_all_that_a_run_is() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let same = |run: &Run| {
        let kept = keyframe(&run.state).unwrap();
        // As it is read from a file.
        let entries = serde_json::to_string(&segment(&run.state, kept)).unwrap();
        let entries: Vec<Entry> = serde_json::from_str(&entries).unwrap();
        let folded = fold(&entries).unwrap();
        assert_eq!(all(&folded), all(&run.state));
        assert!(folded.steps.values().all(|s| s.ticket == 1), "no question of before stands");
    };
    same(&run);
    let (_, effect) = run.reach_running();
    same(&run);
    let text = "\u{fffd}x".to_owned();
    run.system(Intent::Output { effect, stream: Stream::Out, text });
    run.ask(&driver(), Intent::HoldLine { reason: "wait".into() }).unwrap();
    let result = serde_json::json!({"a": [1, 2.5, null]});
    run.system(Intent::EffectEnded { effect, outcome: Outcome::Ok, result });
    run.look(crate::support::well(run.now));
    let _ = run.ask(&driver(), Intent::Claim { step: "one[vault-0]/claims".parse().unwrap() });
    assert!(!run.state.evidence.is_empty() && run.state.refused.is_some());
    same(&run);
    run.ask(&driver(), Intent::FreeLine).unwrap();
    let section = "undo".to_owned();
    run.ask(&driver(), Intent::GoBack { section, reason: "late".into() }).unwrap();
    same(&run);
}

#[test]
fn a_keyframe_stands_at_the_beginning_of_a_later_segment_and_is_of_its_runbook() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = run.reach_running();
    let outcome = Outcome::Failed("no".into());
    run.system(Intent::EffectEnded { effect, outcome, result: serde_json::json!({}) });
    let section = "undo".to_owned();
    run.ask(&driver(), Intent::GoBack { section, reason: "late".into() }).unwrap();
    let kept = keyframe(&run.state).unwrap();
    let good = segment(&run.state, kept.clone());
    fold(&good).unwrap();
    let refused = |entries: &[Entry]| fold(entries).unwrap_err().to_string();
    let mut no_later = good.clone();
    no_later[0] = run.entries[0].clone();
    assert!(refused(&no_later).contains("later segment"));
    let mut twice = good.clone();
    twice.push(Entry { seq: 2, ..good[1].clone() });
    assert!(refused(&twice).contains("later segment"));
    for (at, by) in
        [("/phases/0/id", "other"), ("/phases/1/id", "other"), ("/steps/0/0", "one[vault-0]/other")]
    {
        let mut other = kept.clone();
        *other.pointer_mut(at).unwrap() = by.into();
        assert!(refused(&segment(&run.state, other)).contains("runbook"), "{at}");
    }
    let mut more = kept;
    more["more"] = 1.into();
    assert!(refused(&segment(&run.state, more)).contains("more"));
}

/// Nothing goes on from what was cut out of the middle.
#[tokio::test]
async fn a_damaged_journal_is_not_moved() {
    let root = tempfile::tempdir().unwrap();
    let old = root.path().join("run");
    let begun =
        Begun::behind(Box::new(FileDisk::create(&old).unwrap()), Some(old.clone()), false).await;
    let digest = begun.review().await;
    begun.handle.close();
    assert!(!digest.is_empty() && proposed(&begun.handle.live.borrow()).is_some());
    drop(begun);
    let file = old.join(FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 30;
    bytes[second] ^= 1;
    let copy = root.path().join("copy");
    drop(FileDisk::create(&copy).unwrap());
    std::fs::write(copy.join(FILE), bytes).unwrap();
    let clock: holdpoint::remote::Clock = Arc::new(|| super::BEGAN);
    let resumed = reopen(&copy).unwrap();
    let keep = holdpoint::session::Keep::Durable;
    let resumed = resumed.resume(driver(), Arc::clone(&clock), &keep).unwrap();
    let lab = super::lab::Lab::new(super::World::new(1, super::BEGAN), Arc::clone(&clock));
    let remote = super::lab::open(&lab, super::lab_site().unwrap(), clock);
    let (handle, _) = super::Engine::resume(resumed, Arc::new(remote));
    let why = handle.move_journal(&driver(), &root.path().join("new")).await.unwrap_err();
    assert!(why.contains("the journal is damaged"), "{why}");
    assert!(!root.path().join("new").exists());
}
