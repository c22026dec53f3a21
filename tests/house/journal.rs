//! The journal: cut and flipped at every byte, and what is said of it.

mod beside;
mod tail;
mod writer;

use crate::support::*;
use holdpoint::event::*;
use holdpoint::journal::Verdict;
use holdpoint::journal::*;

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
            let read = read_bytes(&bytes).unwrap();
            assert_eq!(read.entries.len(), before, "flip {bits:#x} at {at}");
            let seen = matches!(read.verdict, Verdict::Tampered { .. });
            assert!(seen, "flip {bits:#x} at {at}: {}", read.verdict);
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
    let tail = |tail: &str| read(&format!("{}{tail}", &text[..last])).verdict;
    assert_eq!(tail("\0\0\0\0"), Verdict::Torn { after: 1, offset: last as u64, bytes: 4 });
    // What ends was written whole.
    for ended in ["{\"seq\":2,\"at\":\n", "no line of ours\n", "\n"] {
        assert!(matches!(tail(ended), Verdict::Tampered { seq: 2, .. }), "{}", tail(ended));
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
    assert!(of(vec![]).contains("no valid header"));
    let none = read_bytes(chained(vec![Event::LineFreed]).as_bytes()).unwrap().verdict.to_string();
    assert!(none.starts_with("tampered: entry 0 at byte 0: it is no header"), "{none}");
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

/// The journal of a whole roll on the lab, cut and flipped at places all over it: some here, as
/// many as `HOLDPOINT_PLACES` says where that is asked for.
#[test]
fn damage_anywhere_in_a_whole_runs_journal_is_seen() {
    use crate::rehearsals::{on_lab_time, operator, small, what};
    #[allow(clippy::disallowed_methods, reason = "how many is asked for from outside")]
    let places = std::env::var("HOLDPOINT_PLACES").ok().and_then(|n| n.parse().ok());
    let play = what(holdpoint::cli::lab::play::RUNBOOK, &[], operator(), small());
    let played = on_lab_time(holdpoint::cli::lab::play::play(play, &mut |_| true)).unwrap();
    assert!(played.entries.windows(2).all(|e| e[0].at <= e[1].at), "time runs back");
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
        let seen = matches!(flipped.verdict, Verdict::Tampered { .. });
        assert!(seen, "flip at {at}: {}", flipped.verdict);
    }
}
