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

/// Journal lines for these events, with hashes that fit.
fn chained(events: Vec<Event>) -> String {
    let mut head = ZERO_HASH.to_owned();
    let mut text = String::new();
    for (event, seq) in events.into_iter().zip(0..) {
        let entry = Entry { seq, at: Time(0), actor: Actor::System, event };
        let (line, hash) = line(&entry, &head).unwrap();
        text += &line;
        head = hash;
    }
    text
}

fn opened(format: u32) -> Event {
    let header = (*Run::new(RUNBOOK, Mode::Write).state.header).clone();
    Event::Opened { header: Box::new(Header { format, ..header }) }
}

#[test]
fn an_end_record_closes_and_nothing_may_follow_it() {
    let ended = || Event::Ended { done: true };
    let read = |text: &str| read_bytes(text.as_bytes()).unwrap().verdict;
    let whole = chained(vec![opened(FORMAT), Event::LineFreed, ended()]);
    assert_eq!(read(&whole), Verdict::Complete);
    // An entry that fits, garbage that no crash of a closed journal leaves.
    let longer = chained(vec![opened(FORMAT), ended(), Event::LineFreed]);
    assert!(matches!(read(&longer), Verdict::Tampered { seq: 2, .. }), "{}", read(&longer));
    let garbage = format!("{whole}x");
    let at = whole.len() as u64;
    assert!(
        matches!(read(&garbage), Verdict::Tampered { seq: 3, offset, .. } if offset == at),
        "{}",
        read(&garbage)
    );
}

#[test]
fn a_tail_is_torn_where_it_begins_and_a_changed_line_is_not() {
    let text = chained(vec![opened(FORMAT), Event::LineFreed, Event::LineFreed]);
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    let read = |text: &str| read_bytes(text.as_bytes()).unwrap();
    for cut in [last + 1, last + 20, text.len() - 1] {
        let torn = Verdict::Torn { after: 1, offset: last as u64, bytes: (cut - last) as u64 };
        assert_eq!(read(&text[..cut]).verdict, torn);
    }
    // Blocks of zeroes, or half of something else with a newline in it.
    for tail in ["\0\0\0\0", "{\"seq\":2,\"at\":\n", "no line of ours\n"] {
        let verdict = read(&format!("{}{tail}", &text[..last])).verdict;
        let bytes = tail.len() as u64;
        assert_eq!(verdict, Verdict::Torn { after: 1, offset: last as u64, bytes });
    }
    // Whole, and yet it does not fit.
    let changed = text.replacen("line-freed", "line-held!", 2);
    let verdict = read(&changed).verdict;
    assert!(matches!(verdict, Verdict::Tampered { seq: 1, .. }), "{verdict}");
    let only_last = format!("{}{}", &text[..last], text[last..].replace("freed", "frxed"));
    let verdict = read(&only_last).verdict;
    let offset = last as u64;
    assert!(matches!(verdict, Verdict::Tampered { seq: 2, offset: o, .. } if o == offset));
}

#[test]
fn another_format_and_no_header_are_said() {
    let of = |events| read_bytes(chained(events).as_bytes()).unwrap_err().to_string();
    let newer = of(vec![opened(FORMAT + 1)]);
    assert!(newer.contains(&format!("has format {}", FORMAT + 1)), "{newer}");
    for events in [vec![Event::LineFreed], vec![]] {
        assert!(of(events).contains("no valid header"));
    }
    let twice = chained(vec![opened(FORMAT), opened(FORMAT)]);
    let verdict = read_bytes(twice.as_bytes()).unwrap().verdict;
    assert!(matches!(verdict, Verdict::Tampered { seq: 1, .. }), "{verdict}");
}

/// A stated hash that is no lower-case hex is refused as such, also where it would fit.
#[test]
fn a_hash_is_sixty_four_lower_case_hex_digits() {
    let text = chained(vec![opened(FORMAT), Event::LineFreed]);
    let why = |text: &str| match read_bytes(text.as_bytes()).unwrap().verdict {
        Verdict::Tampered { why, .. } => why,
        other => panic!("{other}"),
    };
    let end = text.len() - "\"}\n".len();
    for tail in ["A", "g", "0123456789", ""] {
        let wrong = format!("{}{tail}\"}}\n", &text[..end - 1]);
        assert!(why(&wrong).contains("64 lower-case hex"), "{tail}: {}", why(&wrong));
    }
    let digit = if text.as_bytes()[end - 1] == b'0' { "1" } else { "0" };
    let other = format!("{}{digit}\"}}\n", &text[..end - 1]);
    assert!(why(&other).contains("does not fit"));
}

#[test]
fn verdicts_say_what_they_are() {
    let torn = Verdict::Torn { after: 3, offset: 90, bytes: 7 };
    let tampered = Verdict::Tampered { seq: 4, offset: 91, why: "because".into() };
    for (said, wanted) in [
        (Verdict::Complete.to_string(), vec!["complete"]),
        (Verdict::Open.to_string(), vec!["open", "no end record"]),
        (torn.to_string(), vec!["torn", "7 bytes", "entry 3", "byte 90"]),
        (tampered.to_string(), vec!["tampered", "entry 4", "byte 91", "because"]),
        (Against::Same.to_string(), vec!["same"]),
        (Against::Longer { by: 5 }.to_string(), vec!["on 5 entries"]),
        (Against::Shorter { by: 6 }.to_string(), vec!["cut", "6 entries"]),
        (Against::Differs { at: 8 }.to_string(), vec!["differs", "entry 8"]),
    ] {
        assert!(wanted.iter().all(|w| said.contains(w)), "{said}");
    }
}

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

/// The journal of a whole roll on the lab, cut and flipped at places all over it: some here, as
/// many as `HOLDPOINT_PLACES` says where that is asked for.
#[test]
fn damage_anywhere_in_a_whole_runs_journal_is_seen() {
    use crate::rehearsals::{on_lab_time, operator, small, what};
    #[allow(clippy::disallowed_methods, reason = "how many is asked for from outside")]
    let places = std::env::var("HOLDPOINT_PLACES").ok().and_then(|n| n.parse().ok());
    let play = what(holdpoint::cli::lab::play::RUNBOOK, &[], operator(), small());
    let played = on_lab_time(holdpoint::cli::lab::play::play(play, &mut |_| true)).unwrap();
    let mut head = ZERO_HASH.to_owned();
    let (mut whole, mut ends) = (Vec::new(), Vec::new());
    for entry in &played.entries {
        let (text, hash) = line(entry, &head).unwrap();
        whole.extend(text.into_bytes());
        ends.push(whole.len());
        head = hash;
    }
    assert_eq!(read_bytes(&whole).unwrap().verdict, Verdict::Complete);
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..places.unwrap_or(100_u32) {
        let at = chance.usize(ends[0]..whole.len());
        let before = ends.iter().filter(|end| **end <= at).count();
        let cut = read_bytes(&whole[..at]).unwrap();
        assert_eq!(cut.entries.len(), before, "cut at {at}");
        match ends.contains(&at) {
            true => assert_eq!(cut.verdict, Verdict::Open, "cut at {at}"),
            false => {
                assert!(
                    matches!(cut.verdict, Verdict::Torn { .. }),
                    "cut at {at}: {}",
                    cut.verdict
                );
            }
        }
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << chance.u8(..8);
        let flipped = read_bytes(&bytes).unwrap();
        assert_eq!(flipped.entries.len(), before, "flip at {at}");
        let seen = matches!(flipped.verdict, Verdict::Torn { .. } | Verdict::Tampered { .. });
        assert!(seen, "flip at {at}: {}", flipped.verdict);
    }
}
