//! What a crash can leave of the last write, and what it cannot.
//!
//! The writer appends whole lines, makes them durable, and only then does anything follow from them.
//! So a line that ends was written whole, and one that does not end was never durable. A process
//! that dies, or a disk that is full, leaves the head of a line. A power cut may leave zeroes, too:
//! some file systems keep a file's new size and not all of the blocks behind it. None of that changes
//! a byte that was written.

/// What file systems write as a whole is a multiple of this.
const BLOCK: usize = 512;

/// Whether a crash can have left what stands from `offset` on, where the entry `seq` would begin;
/// `fits` says whether a line that lacks nothing but its end is that entry.
pub(super) fn torn(bytes: &[u8], offset: usize, seq: u64, fits: impl Fn(&[u8]) -> bool) -> bool {
    let rest = &bytes[offset..];
    match rest.iter().position(|b| *b == 0) {
        None => is_head(rest, seq, fits),
        Some(at) => is_head(&rest[..at], seq, fits) && unwritten(bytes, offset + at),
    }
}

/// Whether a crash left blocks that were not written. On a disk that loses what it said to be durable,
/// an entry that something followed from may have stood there.
pub(crate) fn is_unwritten(tail: &[u8]) -> bool {
    tail.contains(&0)
}

/// The head of a line: as one begins, without what ends it or is in none, and nothing behind the
/// brace that closes it.
fn is_head(part: &[u8], seq: u64, fits: impl Fn(&[u8]) -> bool) -> bool {
    let begins = format!("{{\"seq\":{seq},\"at\":\"");
    let begins = part.iter().zip(begins.as_bytes()).all(|(is, should)| is == should);
    let text = match std::str::from_utf8(part) {
        Ok(_) => true,
        // It may be cut in the middle of a letter.
        Err(e) => e.error_len().is_none(),
    };
    let plain = part.iter().all(|b| *b >= b' ');
    begins && text && plain && closing(part).is_none_or(|at| at + 1 == part.len() && fits(part))
}

/// Where the brace is that closes the first one.
fn closing(part: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    part.iter().position(|b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => {
                depth = depth.saturating_sub(1);
                return depth == 0;
            }
            _ => {}
        }
        false
    })
}

/// Zeroes are whole blocks, but that they may begin where a line ended and end with the file; and
/// nothing but the rest of the very line that they are in has any text behind them.
fn unwritten(bytes: &[u8], first: usize) -> bool {
    let mut at = first;
    while let Some(from) = bytes[at..].iter().position(|b| *b == 0).map(|n| at + n) {
        at = bytes[from..].iter().position(|b| *b != 0).map_or(bytes.len(), |n| from + n);
        let behind_a_line = from == 0 || bytes[from - 1] == b'\n';
        let begins = behind_a_line || from.is_multiple_of(BLOCK);
        if !begins || !(at == bytes.len() || at.is_multiple_of(BLOCK)) {
            return false;
        }
    }
    let mut lines = bytes[first..].split(|b| *b == b'\n').skip(1);
    lines.all(|line| line.iter().all(|b| *b == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the entry 5, at the beginning of a file; `fits` is what is said of a line without its end.
    fn is_torn(text: &str, fits: bool) -> bool {
        torn(text.as_bytes(), 0, 5, |_| fits)
    }

    #[test]
    fn a_head_is_torn_and_what_stands_behind_a_whole_one_is_not() {
        assert!(is_torn("{\"seq\":5,\"at\":\"2026", false));
        // Whole but for its end: as it fits.
        for fits in [true, false] {
            assert_eq!(is_torn("{\"seq\":5,\"at\":\"x\"}", fits), fits);
            assert_eq!(
                is_torn("{\"seq\":5,\"at\":\"{\"}", fits),
                fits,
                "a brace in a text is none"
            );
        }
        assert!(!is_torn("{\"seq\":5,\"at\":\"x\"} and more", true));
        // A quote that is escaped does not end its text, wherever the escape stands.
        assert!(is_torn("{\"seq\":5,\"at\":\"x\\\"}y", false));
        assert!(is_torn("{\"seq\":5,\"at\":\"x\",\\\"}", false));
    }

    #[test]
    fn zeroes_are_blocks_behind_a_head() {
        let head = "{\"seq\":5,\"at\":\"2026";
        let filled = |text: &str| format!("{text}{}", "x".repeat(BLOCK - text.len()));
        let zeroes = "\0".repeat(BLOCK);
        assert!(is_torn(&format!("{}{zeroes}", filled(head)), false));
        assert!(!is_torn(&format!("{}{zeroes}", filled("x")), false), "that is no head");
        assert!(is_torn(&zeroes, false), "nothing of it was written");
        assert!(is_unwritten(zeroes.as_bytes()) && !is_unwritten(head.as_bytes()));
    }
}
