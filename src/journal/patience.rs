//! Whoever waits for a disk that hangs is told so in the end: by a thread that does not touch it.

use crate::journal::write::{Done, locked};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What is said of what came too late.
pub(super) const CLOSED: &str = "the journal is closed";

/// Who waits for entries, in the order in which they were given.
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Default)]
struct Queue {
    next: u64,
    waits: VecDeque<(u64, Done)>,
    /// Why nobody is waited for any more.
    given_up: Option<String>,
    /// The writer's thread is no more.
    ended: bool,
}

impl Waiting {
    /// Starts the thread that watches. Time is the system's own, which a lab does not hurry.
    pub(super) fn start(patience: Duration) -> std::io::Result<Arc<Self>> {
        let waiting = Arc::new(Self { queue: Mutex::default(), moved: Condvar::new() });
        let theirs = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name("journal-watch".into())
            .spawn(move || theirs.watch(patience))?;
        Ok(waiting)
    }

    /// Somebody waits; none if it is known that nothing will come.
    pub(super) fn begin(&self, done: Done) -> Option<u64> {
        let mut queue = locked(&self.queue);
        if let Some(why) = queue.given_up.clone() {
            drop(queue);
            done(Err(why));
            return None;
        }
        let order = queue.next;
        queue.next += 1;
        queue.waits.push_back((order, done));
        self.moved.notify_all();
        Some(order)
    }

    /// Somebody still waits for it. What nobody does is not begun: whoever waited was told that it
    /// may not be there, and acts on that.
    pub(super) fn stands(&self, order: u64) -> bool {
        locked(&self.queue).waits.iter().any(|(o, _)| *o == order)
    }

    /// It came back. Who was told before that it does not is not told twice.
    pub(super) fn finish(&self, order: u64, result: Result<(), String>) {
        let mut queue = locked(&self.queue);
        let found = queue.waits.iter().position(|(o, _)| *o == order);
        let done = found.and_then(|at| queue.waits.remove(at));
        self.moved.notify_all();
        drop(queue);
        if let Some((_, done)) = done {
            done(result);
        }
    }

    /// No order comes back any more.
    pub(super) fn end(&self) {
        locked(&self.queue).ended = true;
        self.moved.notify_all();
    }

    fn watch(&self, patience: Duration) {
        let mut queue = locked(&self.queue);
        loop {
            let Some((order, _)) = queue.waits.front() else {
                if queue.ended {
                    return;
                }
                queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let order = *order;
            let stands = |q: &mut Queue| {
                !q.ended && q.waits.front().is_some_and(|(front, _)| *front == order)
            };
            let (after, timed) = self
                .moved
                .wait_timeout_while(queue, patience, stands)
                .unwrap_or_else(PoisonError::into_inner);
            queue = after;
            if queue.ended || timed.timed_out() {
                // A writer that ended had taken nothing of what still waits then.
                let why = match queue.ended {
                    true => CLOSED.to_owned(),
                    false => format!(
                        "the journal has not answered for {} s, and what it took of this is not \
                         known: see to its disk, leave (q), then holdpoint resume",
                        patience.as_secs()
                    ),
                };
                queue.given_up = Some(why.clone());
                let waits = std::mem::take(&mut queue.waits);
                drop(queue);
                waits.into_iter().for_each(|(_, done)| done(Err(why.clone())));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    const LONG: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_secs(60);

    fn begin(waiting: &Waiting) -> (u64, Receiver<Result<(), String>>) {
        let (done, wait) = channel();
        let order = waiting.begin(Box::new(move |r| drop(done.send(r)))).unwrap();
        (order, wait)
    }

    /// An answer is to who asked for it, whoever asked before.
    #[test]
    fn each_waits_for_its_own_order() {
        let waiting = Waiting::start(LONG).unwrap();
        let ((first, one), (second, two)) = (begin(&waiting), begin(&waiting));
        waiting.finish(second, Ok(()));
        assert!(two.try_recv().is_ok() && one.try_recv().is_err());
        assert!(waiting.stands(first) && !waiting.stands(second));
        waiting.finish(first, Err("full".into()));
        assert_eq!(one.try_recv(), Ok(Err("full".into())));
    }

    /// What a writer that is no more leaves is not waited for, and nobody watches it.
    #[test]
    fn with_the_writer_the_waiting_ends() {
        let waiting = Waiting::start(LONG).unwrap();
        let (_, wait) = begin(&waiting);
        waiting.end();
        assert_eq!(wait.recv_timeout(SOON), Ok(Err(CLOSED.into())));
        let idle = Waiting::start(LONG).unwrap();
        idle.end();
        let ended = |_| {
            std::thread::sleep(Duration::from_millis(10));
            Arc::strong_count(&idle) == 1
        };
        assert!((0..6000).any(ended), "its thread is there still");
    }
}
