//! Bytes by chunks to harmless lines without secrets.

use crate::text::{clean_line, clean_output};
use aho_corasick::AhoCorasick;
use base64::Engine;

/// A line longer than this is cut in two.
const LONGEST_LINE: usize = 64 * 1024;
/// Shorter secrets are not looked for: they would blacken ordinary text.
const SHORTEST_SECRET: usize = 4;
/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

/// Replaces secrets.
#[derive(Debug, Clone)]
pub struct Redactor {
    finder: Option<AhoCorasick>,
    longest: usize,
}

impl Redactor {
    /// For these secrets, and their base64 and JSON forms.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for secret in secrets.into_iter().filter(|s| s.len() >= SHORTEST_SECRET) {
            forms.push(secret.to_owned());
            forms.push(base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret));
            let json = serde_json::to_string(secret).unwrap_or_default();
            forms.push(json.trim_matches('"').to_owned());
        }
        forms.sort_by_key(|f| std::cmp::Reverse(f.len()));
        forms.dedup();
        let longest = forms.first().map_or(0, String::len);
        let finder = (!forms.is_empty()).then(|| AhoCorasick::new(&forms).ok()).flatten();
        Self { finder, longest }
    }

    /// The text without secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        match &self.finder {
            Some(finder) => {
                let mut out = String::with_capacity(text.len());
                finder.replace_all_with(text, &mut out, |_, _, out| {
                    out.push_str(REDACTED);
                    true
                });
                out
            }
            None => text.to_owned(),
        }
    }

    /// A line of output: harmless, and without secrets even if an escape hid one.
    #[must_use]
    pub fn output(&self, text: &str) -> String {
        let plain = clean_line(text);
        if self.finder.as_ref().is_some_and(|f| f.is_match(&plain)) {
            return self.redact(&plain);
        }
        self.redact(&clean_output(text))
    }

    /// A name or message: harmless and without secrets.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        self.redact(&clean_line(text))
    }
}

/// Puts lines together from chunks.
#[derive(Debug)]
pub struct Intake {
    redactor: Redactor,
    pending: Vec<u8>,
}

impl Intake {
    /// Nothing read yet.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, pending: Vec::new() }
    }

    /// Complete lines that a chunk brings.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in chunk.split_inclusive(|b| *b == b'\n') {
            let (text, ended) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            self.pending.extend_from_slice(text);
            while self.pending.len() > LONGEST_LINE + self.redactor.longest {
                // What might be the head of a secret stays for the next piece.
                lines.push(self.take(LONGEST_LINE));
            }
            if ended {
                lines.push(self.take(self.pending.len()));
            }
        }
        lines
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Option<String> {
        (!self.pending.is_empty()).then(|| self.take(self.pending.len()))
    }

    fn take(&mut self, at: usize) -> String {
        let mut at = at;
        if at < self.pending.len() {
            // Not inside a secret: the piece ends where one that reaches over it begins. Among
            // the bytes as they came: garbage is longer as text.
            let over = self.redactor.finder.as_ref().and_then(|f| {
                let mut all = f.find_iter(&self.pending);
                all.find(|m| m.start() < at && m.end() > at).map(|m| m.start())
            });
            at = over.unwrap_or(at).max(1);
        }
        let rest = self.pending.split_off(at);
        let line = std::mem::replace(&mut self.pending, rest);
        let text = String::from_utf8_lossy(&line);
        self.redactor.output(text.trim_end_matches('\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hvs.CAESIJ-very-secret";

    fn through(bytes: &[u8], chunk: usize) -> String {
        let mut intake = Intake::new(Redactor::new([SECRET, "abc"]));
        let mut lines: Vec<String> = bytes.chunks(chunk).flat_map(|c| intake.push(c)).collect();
        lines.extend(intake.finish());
        lines.join("\n")
    }

    #[test]
    fn secrets_are_found_however_they_are_cut_or_dressed() {
        let base64 = base64::engine::general_purpose::STANDARD.encode(SECRET);
        let dressed = format!("{}\u{1b}[0m{}", &SECRET[..6], &SECRET[6..]);
        for chunk in [1, 3, 7, 1000] {
            for text in
                [format!("x {SECRET} y\nz"), format!("b {base64}\n"), format!("d {dressed} e")]
            {
                let out = through(text.as_bytes(), chunk);
                assert!(out.contains(REDACTED), "{out}");
                assert!(!out.contains(&SECRET[6..]), "{out}");
            }
        }
        assert_eq!(through(b"abc stays, it is too short", 5), "abc stays, it is too short");
    }

    /// As text, garbage is three times as long: a place in the one is none in the other.
    #[test]
    fn garbage_before_a_secret_does_not_have_it_cut_in_two() {
        for before in [1, 5, SECRET.len() - 1] {
            let mut bytes = vec![0xff; LONGEST_LINE - before];
            bytes.extend_from_slice(SECRET.as_bytes());
            bytes.extend(vec![b'y'; LONGEST_LINE]);
            let out = through(&bytes, 4096);
            assert!(out.contains(REDACTED) && !out.contains("CAES"), "{before}");
            assert!(!out.contains("-secret"), "{before}");
        }
    }

    #[test]
    fn what_steers_a_terminal_does_not_come_through() {
        let bytes: Vec<u8> =
            (0..=255_u8).chain(*b"\x1b]52;c;eA==\x07\x1b[2J\x1bP1$r\x1b\\x\x9b31m").collect();
        for chunk in [1, 2, 7, 1000] {
            let out = through(&bytes, chunk);
            let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\u{1b}');
            assert!(!out.contains(steers), "{out:?}");
            // Colours may pass, and nothing else that begins so.
            assert!(
                out.match_indices('\u{1b}').all(|(at, _)| out[at..].starts_with("\u{1b}[")),
                "{out:?}"
            );
            assert!(!out.contains("52;c") || !out.contains("\u{1b}]"), "{out:?}");
        }
    }

    #[test]
    fn an_endless_line_is_cut_but_never_inside_a_secret() {
        let mut text = vec![b'x'; LONGEST_LINE - 5];
        text.extend_from_slice(SECRET.as_bytes());
        text.extend(vec![b'y'; LONGEST_LINE]);
        let out = through(&text, 4096);
        assert!(!out.contains("secret"));
        assert!(out.contains(REDACTED));
    }
}
