//! The writer: on a file, on a disk that fails or hangs, and in a directory that is not ours.

use super::*;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn what_was_appended_lies_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("runs").join("one");
    let disk = FileDisk::create(&run).unwrap();
    assert!(FileDisk::create(&run).is_err());
    let writer = Writer::start(Box::new(disk), None, Box::new(|| Time(1))).unwrap();
    let (done, wait) = channel();
    let first = Entry { seq: 0, at: Time(0), actor: Actor::System, event: opened(FORMAT) };
    writer.append(vec![first, entry(1)], false, Box::new(move |r| drop(done.send(r))));
    assert!(wait.recv_timeout(Duration::from_secs(20)).unwrap().is_ok());
    // Written, and not yet durable.
    assert_eq!((writer.health().entries, writer.health().synced_seq), (2, None));
    assert!(append(&writer, 2).recv_timeout(Duration::from_secs(20)).unwrap().is_ok());
    let health = writer.close();
    assert_eq!((health.entries, health.synced_seq, health.synced_at), (3, Some(2), Some(Time(1))));
    let read = read(&run).unwrap();
    assert_eq!((read.entries.len(), &read.head), (3, &health.head));
    let late = append(&writer, 3).recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(late, Err("the journal is closed".into()));
}

#[test]
fn what_need_not_be_durable_becomes_so_when_it_is_quiet() {
    let disk = BadDisk { fail_at: None, calls: 0, gate: None, written: Arc::default() };
    let writer = Writer::start(Box::new(disk), None, Box::new(|| Time(1))).unwrap();
    writer.append(vec![entry(0)], false, Box::new(|_| {}));
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while writer.health().synced_seq != Some(0) {
        assert!(std::time::Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn closing_gives_up_on_a_disk_that_hangs() {
    let (never, gate) = channel();
    let disk = BadDisk { fail_at: None, calls: 0, gate: Some(gate), written: Arc::default() };
    let writer = Writer::start(Box::new(disk), None, Box::new(|| Time(7))).unwrap();
    let wait = append(&writer, 0);
    // The disk would hang for longer than this test may take.
    let started = std::time::Instant::now();
    assert!(matches!(writer.close().state, HealthState::Waiting { .. }));
    assert!(started.elapsed() < Duration::from_secs(15));
    assert!(wait.try_recv().is_err());
    drop(never);
}

/// Whoever waits is told in the end, once, and nothing more is begun: the disk may come back in
/// the middle of anything.
#[test]
fn a_disk_that_hangs_is_given_up() {
    let (go, gate) = channel();
    let written = Arc::default();
    let disk = BadDisk { fail_at: None, calls: 0, gate: Some(gate), written: Arc::clone(&written) };
    let patience = Duration::from_millis(300);
    let writer = Writer::patient(Box::new(disk), None, Box::new(|| Time(7)), patience).unwrap();
    let (first, second) = (append(&writer, 0), append(&writer, 1));
    for wait in [&first, &second] {
        let why = wait.recv_timeout(Duration::from_secs(60)).unwrap().unwrap_err();
        assert!(why.contains("has not answered for 0 s"), "{why}");
    }
    assert!(matches!(writer.health().state, HealthState::Waiting { .. }));
    assert!(append(&writer, 2).recv_timeout(Duration::from_secs(60)).unwrap().is_err());
    // It answers at last: what it had taken is there, what came later is not, and nobody who
    // was told that it is not is told otherwise.
    drop(go);
    writer.close();
    assert!(first.try_recv().is_err() && second.try_recv().is_err());
    let written = String::from_utf8_lossy(&written.lock().unwrap()).into_owned();
    assert!(written.contains("\"seq\":0"), "{written}");
    assert!(!written.contains("\"seq\":1") && !written.contains("\"seq\":2"), "{written}");
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
