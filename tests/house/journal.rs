//! The journal: cut and flipped at every byte, and on a disk that fails or hangs.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::journal::Verdict;
use holdpoint::journal::*;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn lines() -> Vec<String> {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = run.reach_running();
    run.system(holdpoint::run::Intent::EffectEnded {
        effect,
        outcome: Outcome::Ok,
        result: serde_json::json!({"a": "\"hash\":\""}),
    });
    let mut head = ZERO_HASH.to_owned();
    let tail = run.entries.split_off(run.entries.len() - 8);
    let small = run.entries.drain(..2).chain(tail);
    small
        .zip(0..)
        .map(|(mut e, seq)| {
            e.seq = seq;
            let (text, hash) = line(&e, &head).unwrap();
            head = hash;
            text
        })
        .collect()
}

/// At every byte: the verdict is right, and no valid entry before the damage is lost.
#[test]
fn every_cut_is_seen() {
    let lines = lines();
    let whole = lines.concat().into_bytes();
    let ends: Vec<usize> = lines
        .iter()
        .scan(0, |at, l| {
            *at += l.len();
            Some(*at)
        })
        .collect();
    for cut in 0..whole.len() {
        let complete = ends.iter().filter(|e| **e <= cut).count();
        match read_bytes(&whole[..cut]) {
            Err(_) => assert_eq!(complete, 0, "cut at {cut}"),
            Ok(read) => {
                assert_eq!(read.entries.len(), complete, "cut at {cut}");
                let clean = ends.contains(&cut);
                assert_eq!(read.verdict == Verdict::Open, clean, "cut at {cut}: {}", read.verdict);
                if !clean {
                    assert!(
                        matches!(read.verdict, Verdict::Torn { .. }),
                        "cut at {cut}: {}",
                        read.verdict
                    );
                }
            }
        }
    }
}

#[test]
fn every_flip_is_seen() {
    let lines = lines();
    let whole = lines.concat().into_bytes();
    let ends: Vec<usize> = lines
        .iter()
        .scan(0, |at, l| {
            *at += l.len();
            Some(*at)
        })
        .collect();
    for at in 0..whole.len() {
        for bits in [0x01, 0x20, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            let before = ends.iter().filter(|e| **e <= at).count();
            match read_bytes(&bytes) {
                Err(_) => assert_eq!(before, 0, "flip at {at}"),
                Ok(read) => {
                    assert_eq!(read.entries.len(), before, "flip {bits:#x} at {at}");
                    assert_ne!(read.verdict, Verdict::Open, "flip {bits:#x} at {at}");
                    assert_ne!(read.verdict, Verdict::Complete);
                }
            }
        }
    }
}

#[test]
fn what_no_crash_makes_is_tampering() {
    let lines = lines();
    let with = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        edit(&mut lines);
        read_bytes(lines.concat().as_bytes()).unwrap().verdict
    };
    let edits: [&dyn Fn(&mut Vec<String>); 6] = [
        &|l| drop(l.remove(4)),
        &|l| l.swap(3, 4),
        &|l| l[3] = l[3].replace('\n', "\r\n"),
        &|l| l[3] = format!(" {}", l[3]),
        &|l| {
            let at = l[3].len() - 67;
            l[3] = format!("{}{}", &l[3][..at], l[3][at..].to_uppercase());
        },
        &|l| l.insert(3, l[2].clone()),
    ];
    for (i, edit) in edits.into_iter().enumerate() {
        let verdict = with(edit);
        assert!(matches!(verdict, Verdict::Tampered { .. }), "edit {i}: {verdict}");
    }
}

#[test]
fn copies_are_compared() {
    let lines = lines();
    let of = |lines: &[String]| read_bytes(lines.concat().as_bytes()).unwrap();
    assert_eq!(compare(&of(&lines), &of(&lines)), Against::Same);
    assert_eq!(
        compare(&of(&lines[..6]), &of(&lines)),
        Against::Shorter { by: lines.len() as u64 - 6 }
    );
    assert_eq!(
        compare(&of(&lines), &of(&lines[..6])),
        Against::Longer { by: lines.len() as u64 - 6 }
    );
}

/// A disk that fails at the nth call, or waits for a word at each.
struct BadDisk {
    fail_at: Option<usize>,
    calls: usize,
    gate: Option<Receiver<()>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl BadDisk {
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        if let Some(gate) = &self.gate {
            let _ = gate.recv_timeout(Duration::from_secs(20));
        }
        if Some(self.calls) == self.fail_at {
            Err(io::Error::from_raw_os_error(28))
        } else {
            Ok(())
        }
    }
}

impl Disk for BadDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.call()?;
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.call()
    }
}

fn entry(seq: u64) -> Entry {
    Entry { seq, at: Time(0), actor: Actor::System, event: Event::LineFreed }
}

fn append(writer: &Writer, seq: u64) -> Receiver<Result<(), String>> {
    let (done, wait) = channel();
    writer.append(vec![entry(seq)], true, Box::new(move |r| drop(done.send(r))));
    wait
}

#[test]
fn any_failure_poisons_for_good() {
    for fail_at in 1..=6 {
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk =
            BadDisk { fail_at: Some(fail_at), calls: 0, gate: None, written: Arc::clone(&written) };
        let writer = Writer::start(Box::new(disk), None, Box::new(|| Time(1))).unwrap();
        let results: Vec<_> = (0..5)
            .map(|i| append(&writer, i).recv_timeout(Duration::from_secs(20)).unwrap().is_ok())
            .collect();
        let good = (fail_at - 1) / 2;
        let expected: Vec<bool> = (0..5).map(|i| i < good).collect();
        assert_eq!(results, expected, "failing at call {fail_at}");
        assert!(matches!(writer.health().state, HealthState::Failed { .. }));
        // Nothing was written behind the failure.
        let lines = written.lock().unwrap().iter().filter(|b| **b == b'\n').count();
        assert!(lines <= good + 1);
    }
}

#[test]
fn a_hung_disk_blocks_nobody_and_is_said() {
    let (open, gate) = channel();
    let disk = BadDisk { fail_at: None, calls: 0, gate: Some(gate), written: Arc::default() };
    let writer = Writer::start(Box::new(disk), None, Box::new(|| Time(7))).unwrap();
    let wait = append(&writer, 0);
    assert!(wait.recv_timeout(Duration::from_millis(100)).is_err());
    assert_eq!(writer.health().state, HealthState::Waiting { since: Time(7) });
    assert_eq!(writer.health().synced_seq, None);
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    assert!(wait.recv_timeout(Duration::from_secs(20)).unwrap().is_ok());
    drop(open);
    let health = writer.close();
    assert_eq!((health.state, health.synced_seq), (HealthState::Ok, Some(0)));
}

#[test]
fn a_directory_that_is_not_ours_alone_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(FileDisk::create(&open.join("run")).is_err());
    let link = dir.path().join("link");
    symlink(dir.path(), &link).unwrap();
    assert!(FileDisk::create(&link.join("run")).is_err());
    let run = dir.path().join("fine");
    let disk = FileDisk::create(&run).unwrap();
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&run), mode(&run.join(FILE))), (0o700, 0o600));
    drop(disk);
    assert!(FileDisk::create(&run).is_err(), "an existing run is not overwritten");
}
