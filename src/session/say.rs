//! What an effect prints: so much of its beginning, and its end. What lies between is counted:
//! a program that prints without end fills neither the journal nor the memory.

use crate::action;
use crate::event::{EffectId, Stream};
use crate::run::Intent;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Bytes of an effect's output that are kept of its beginning.
const HEAD: usize = 4 << 20;
/// And of its end.
const TAIL: usize = 64 << 10;

/// Output on its way to the journal.
#[derive(Clone)]
pub(super) struct Voice {
    effect: EffectId,
    results: mpsc::Sender<Intent>,
    held: Arc<Mutex<Held>>,
}

/// What did not go out at once.
#[derive(Default)]
struct Held {
    /// Bytes that went out.
    said: usize,
    /// Lines that came when the queue was full; told by the next one that fits.
    lost: u64,
    /// Beyond the beginning: the last lines, and what was dropped before them.
    tail: VecDeque<(Stream, String)>,
    tail_bytes: usize,
    dropped: (u64, u64),
}

impl Voice {
    pub(super) fn new(effect: EffectId, results: mpsc::Sender<Intent>) -> Self {
        Self { effect, results, held: Arc::default() }
    }

    /// For whoever prints.
    pub(super) fn say(&self) -> action::Say {
        let voice = self.clone();
        Arc::new(move |stream, text| voice.line(stream, text))
    }

    /// A line. What a flood brings beyond the queue is dropped and counted by the next line that
    /// fits.
    fn line(&self, stream: Stream, text: String) {
        let mut held = locked(&self.held);
        if held.said >= HEAD {
            return held.keep(stream, text);
        }
        let bytes = text.len();
        let text = match held.lost {
            0 => text,
            lost => format!("{text} [{lost} lines before this were dropped]"),
        };
        match self.results.try_send(Intent::Output { effect: self.effect, stream, text }) {
            Ok(()) => {
                held.lost = 0;
                held.said += bytes;
            }
            Err(_) => held.lost += 1,
        }
    }

    /// The last lines, when nothing more comes.
    pub(super) async fn end(&self) {
        let (tail, note) = locked(&self.held).end();
        let note = note.map(|text| (Stream::Note, text));
        for (stream, text) in note.into_iter().chain(tail) {
            // The loop may have ended.
            let _ = self.results.send(Intent::Output { effect: self.effect, stream, text }).await;
        }
    }
}

impl Held {
    fn keep(&mut self, stream: Stream, text: String) {
        self.tail_bytes += text.len();
        self.tail.push_back((stream, text));
        while self.tail_bytes > TAIL && self.tail.len() > 1 {
            let Some((_, old)) = self.tail.pop_front() else { break };
            self.tail_bytes -= old.len();
            self.dropped.0 += 1;
            self.dropped.1 += old.len() as u64;
        }
    }

    fn end(&mut self) -> (VecDeque<(Stream, String)>, Option<String>) {
        let (lines, bytes) = self.dropped;
        let note =
            (lines > 0).then(|| format!("{lines} lines, {bytes} bytes of output were not kept"));
        let lost = (self.lost > 0).then(|| format!("{} lines before this were dropped", self.lost));
        (std::mem::take(&mut self.tail), note.or(lost))
    }
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loop reads all the while, or not at all; how many bytes and lines come to it.
    async fn through(lines: usize, line: &str, reads: bool) -> Vec<String> {
        let (results, mut inbox) = mpsc::channel(256);
        let voice = Voice::new(EffectId(1), results);
        let say = voice.say();
        let mut got = Vec::new();
        let mut read = |inbox: &mut mpsc::Receiver<Intent>| {
            while let Ok(Intent::Output { text, .. }) = inbox.try_recv() {
                got.push(text);
            }
        };
        for n in 0..lines {
            say(Stream::Out, format!("{n} {line}"));
            if reads {
                read(&mut inbox);
            }
        }
        let ending = tokio::spawn(async move { voice.end().await });
        while !ending.is_finished() {
            read(&mut inbox);
            tokio::task::yield_now().await;
        }
        read(&mut inbox);
        got
    }

    #[tokio::test]
    async fn of_a_flood_the_beginning_and_the_end_are_kept_and_the_rest_is_counted() {
        let line = "x".repeat(1000);
        let got = through(20_000, &line, true).await;
        let bytes: usize = got.iter().map(String::len).sum();
        assert!(bytes < HEAD + TAIL + 4000, "{bytes}");
        assert!(got[0].starts_with("0 ") && got.last().unwrap().starts_with("19999 "));
        let note = got.iter().find(|l| l.ends_with("were not kept")).unwrap();
        let counted: usize = note.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(counted + got.len() - 1, 20_000, "{note}");
    }

    #[tokio::test]
    async fn a_line_as_long_as_the_tail_is_the_tail() {
        let got = through(200, &"y".repeat(TAIL), true).await;
        assert!(got.last().unwrap().starts_with("199 "));
        let bytes: usize = got.iter().map(String::len).sum();
        assert!(bytes < HEAD + 3 * TAIL, "{bytes}");
    }

    #[tokio::test]
    async fn what_nobody_reads_is_dropped_and_counted() {
        let got = through(1000, "z", false).await;
        assert!(got.iter().any(|l| l.contains("744 lines before this were dropped")), "{got:?}");
    }

    #[tokio::test]
    async fn a_little_is_kept_as_it_is() {
        assert_eq!(through(3, "a", true).await, ["0 a", "1 a", "2 a"]);
    }
}
