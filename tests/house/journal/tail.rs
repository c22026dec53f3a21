//! What a crash leaves at a journal's end, and what was changed there by somebody or something else.

use super::*;

/// A journal's bytes, and where its last line begins.
fn journal() -> (Vec<u8>, usize) {
    let whole = lines().concat().into_bytes();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    (whole, last)
}

fn verdict(bytes: &[u8]) -> Verdict {
    read_bytes(bytes).unwrap().verdict
}

fn is_torn(bytes: &[u8]) -> bool {
    match verdict(bytes) {
        Verdict::Torn { .. } => true,
        Verdict::Tampered { .. } => false,
        other => panic!("{other}"),
    }
}

/// A line that ends was written whole: whichever bit of it is another one, no crash made it so. Nor did
/// one turn the end of it into something else.
#[test]
fn whichever_bit_of_the_last_entry_is_another_it_was_changed() {
    let (whole, last) = journal();
    let seq = whole.iter().filter(|b| **b == b'\n').count() as u64 - 1;
    for at in last..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            match verdict(&bytes) {
                Verdict::Tampered { seq: s, offset, .. } => {
                    assert_eq!((s, offset), (seq, last as u64), "bit {bit} at {at}");
                }
                other => panic!("bit {bit} at {at}: {other}"),
            }
        }
    }
}

/// A line that lacks its end, and is no beginning of one.
#[test]
fn what_does_not_begin_as_an_entry_does_is_no_torn_one() {
    let (whole, last) = journal();
    let line = &whole[last..whole.len() - 1];
    assert!(is_torn(&whole[..whole.len() - 1]), "it lacks only its end");
    let with = |tail: &[u8]| is_torn(&[&whole[..last], tail].concat());
    assert!(with(&line[..1]) && with(&line[..line.len() / 2]));
    // In the middle of a letter, and of what is escaped.
    let half = |what: &str| [&line[..40], what.as_bytes()].concat();
    assert!(with(&half("é")[..41]) && with(&half("\\")));
    assert!(!with(&half("\u{e9}x").iter().map(|b| b ^ 0x40).collect::<Vec<_>>()));
    let mut broken = half("éx");
    broken[41] = b'x';
    assert!(!with(&broken), "no letter");
    assert!(!with(&half("\t")), "no entry has one");
    let other = line.iter().rev().copied().collect::<Vec<_>>();
    assert!(!with(&other[..20]) && !with(b"x"));
    // Of another place in the chain.
    let seq = String::from_utf8(line.to_vec()).unwrap().replacen("\"seq\":9", "\"seq\":8", 1);
    assert_ne!(seq.as_bytes(), line);
    assert!(!with(&seq.as_bytes()[..60]));
    // Whole but for its end, and it does not fit; whole, and more behind it.
    let mut changed = line.to_vec();
    changed[30] ^= 1;
    assert!(!with(&changed));
    assert!(!with(&[line, b" "].concat()));
}

/// After a power cut some file systems have zeroes for blocks that were not written.
#[test]
fn blocks_that_were_not_written_are_torn() {
    let (whole, _) = journal();
    // A last line over several blocks.
    let text = "x".repeat(4000);
    let read = read_bytes(&whole).unwrap();
    let (seq, at, actor) = (read.entries.len() as u64, Time(0), Actor::System);
    let entry = Entry { seq, at, actor, event: Event::LineHeld { reason: text } };
    let (long, _) = line(&entry, &read.head).unwrap();
    let begin = whole.len();
    let whole = [whole, long.into_bytes()].concat();
    let zeroed = |from: usize, to: usize| {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0);
        bytes
    };
    let block = begin.next_multiple_of(512);
    let end = whole.len();
    // All of it, its end, one block in the middle, the rest of the block in which it begins.
    for (from, to) in [(begin, end), (block, end), (block + 512, block + 1024), (begin, block)] {
        let bytes = zeroed(from, to);
        let torn =
            Verdict::Torn { after: seq - 1, offset: begin as u64, bytes: (end - begin) as u64 };
        assert_eq!(verdict(&bytes), torn, "{from} to {to}");
    }
    let mut two = zeroed(block, block + 512);
    two[block + 1024..block + 1536].fill(0);
    assert!(is_torn(&two));
    assert!(is_torn(&[&whole[..begin], &[0; 700]].concat()), "the file is longer than it was");
    // A disk writes nothing smaller.
    for (from, to) in [
        (block, block + 1),
        (block + 1, block + 512),
        (block, block + 511),
        (begin + 1, block),
        (begin, block + 1),
        (end - 1, end),
    ] {
        assert!(!is_torn(&zeroed(from, to)), "{from} to {to}");
    }
    // What was durable stands before what was not.
    let behind = [zeroed(block, block + 512).as_slice(), b"{\"seq\":"].concat();
    assert!(!is_torn(&behind));
    assert!(is_torn(&[zeroed(block, block + 512).as_slice(), &[0; 9]].concat()));
}

/// However its first line is damaged, what has entries is a journal.
#[test]
fn a_journal_whose_first_entry_is_damaged_is_tampered_with() {
    let (whole, _) = journal();
    let header = whole.iter().position(|b| *b == b'\n').unwrap();
    for at in (0..=header).filter(|at| at % 41 < 12 || header - at < 80) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x80;
        let read = read_bytes(&bytes).unwrap();
        assert!(read.entries.is_empty() && read.valid_bytes == 0);
        let said = read.verdict.to_string();
        assert!(said.starts_with("tampered: entry 0 at byte 0: "), "{at}: {said}");
    }
    // Without any behind it, as far as it still begins or ends as one.
    for at in [0, 40, header - 1] {
        let mut bytes = whole[..=header].to_vec();
        bytes[at] ^= 1;
        assert!(matches!(verdict(&bytes), Verdict::Tampered { seq: 0, .. }), "{at}");
    }
    for none in ["", "\n", "text\nand more\n", "{\"seq\":1}\n", "{\"seq\":0,\"at\":\"", "\0\0\0"] {
        let why = read_bytes(none.as_bytes()).unwrap_err().to_string();
        assert!(why.contains("no valid header"), "{none:?}: {why}");
        // Where blocks are missing, more than a header may be.
        let head = none.is_empty() || none.starts_with("{\"seq\":0");
        assert_eq!(why.contains("nothing was begun"), head, "{none:?}: {why}");
    }
}
