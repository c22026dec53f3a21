//! A session whose clock is set under it.

use super::{Begun, Fate, ONE_POD, Odd, proposed, status, step};
use crate::support::driver;
use holdpoint::event::{Event, Lease, Time};
use holdpoint::journal::read_bytes;
use holdpoint::run::{Intent, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const HOUR: i64 = 3_600_000;

/// Set back, it is said and nothing is released until a person has looked; set forward, everything
/// goes on by fresh reads. Entries' times run back nowhere but where that is said.
#[tokio::test]
async fn a_clock_that_is_set_under_a_session_is_said() {
    let ahead = Arc::new(AtomicI64::new(0));
    let disk = Odd { kept: Arc::default(), at: "no such line", fate: Fate::Full, full: false };
    let kept = Arc::clone(&disk.kept);
    let by = Arc::clone(&ahead);
    let begun = Begun::by_clock(Box::new(disk), None, false, ONE_POD, move |clock| {
        let by = Arc::clone(&by);
        Arc::new(move || Time(clock().0 + by.load(Ordering::SeqCst)))
    })
    .await;
    let digest = begun.review().await;
    ahead.store(-HOUR, Ordering::SeqCst);
    let live = begun.until("said", |l| l.state.line_held.is_some()).await;
    let (why, _) = live.state.line_held.clone().unwrap();
    assert!(why.starts_with("the clock was set back "), "{why}");
    let refused = begun.release(digest).await.unwrap_err();
    assert!(refused.contains("holdpoint holds the line: the clock was set back"), "{refused}");
    begun.handle.ask(&driver(), Intent::FreeLine).await.unwrap();
    begun.handle.ask(&driver(), Intent::CloseReview { step: step() }).await.unwrap();
    let digest = begun.review().await;
    ahead.store(2 * HOUR, Ordering::SeqCst);
    // Its gates are read anew before anything is sent.
    begun.release(digest).await.unwrap();
    begun.until("done", |l| status(l) == Some(Status::Done)).await;
    assert!(proposed(&begun.handle.live.borrow()).is_some());
    begun.handle.close();
    let entries = read_bytes(&kept.lock().unwrap()).unwrap().entries;
    let back: Vec<&Event> =
        entries.windows(2).filter(|e| e[1].at < e[0].at).map(|e| &e[1].event).collect();
    assert!(matches!(back.as_slice(), [Event::ClockSetBack { .. }]), "{back:?}");
}

/// What is recorded while something else is being decided is recorded before it, by a later time: as the
/// lease is let go before the end record. Here every look at the clock takes a while.
#[tokio::test]
async fn entries_times_do_not_run_back_at_a_runs_end() {
    let disk = Odd { kept: Arc::default(), at: "no such line", fate: Fate::Full, full: false };
    let kept = Arc::clone(&disk.kept);
    let text = ONE_POD.replacen("owner", "needs = [\"kubernetes\"]\nowner", 1);
    let begun = Begun::by_clock(Box::new(disk), None, false, &text, |clock| {
        let looks = AtomicI64::new(0);
        Arc::new(move || Time(clock().0 + looks.fetch_add(1, Ordering::SeqCst)))
    })
    .await;
    begun.until("a lease", |l| matches!(l.state.lease, Some(Lease::Taken { .. }))).await;
    let digest = begun.review().await;
    begun.release(digest).await.unwrap();
    begun.until("ended", |l| l.state.ended.is_some()).await;
    begun.handle.close();
    let entries = read_bytes(&kept.lock().unwrap()).unwrap().entries;
    let released = |e: &Event| matches!(e, Event::Lease { news: Lease::Released });
    assert!(entries.iter().any(|e| released(&e.event)), "the lease was not let go");
    let back = entries.windows(2).find(|e| e[1].at < e[0].at);
    assert!(back.is_none(), "{back:?}");
}
