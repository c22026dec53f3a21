//! Time in a lab's own process: the async runtime's clock is stopped, and either jumps to
//! the next thing that is due as soon as nothing is left to do (a rehearsal that nobody
//! watches), or is driven here, at the speed of a clock on the wall or faster.

use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

/// How often time is driven.
const STEP: Duration = Duration::from_millis(20);

/// A runtime whose time stands still until it is driven, or until nothing is left to do.
pub fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().start_paused(true).build()
}

/// Drives time, so many times as fast as it is, for as long as this is polled.
pub async fn drive(speed: watch::Receiver<u32>) {
    let (beat, mut beats) = mpsc::channel(1);
    // While a blocking task is under way, time does not jump by itself.
    tokio::task::spawn_blocking(move || {
        loop {
            std::thread::sleep(STEP);
            if beat.blocking_send(()).is_err() {
                return;
            }
        }
    });
    while beats.recv().await.is_some() {
        let times = *speed.borrow();
        // In small steps, so that whatever polls every second or two is not left behind.
        for _ in 0..times.div_ceil(SMOOTH) {
            tokio::time::advance(STEP * times.min(SMOOTH)).await;
        }
    }
}

/// Steps of time that are driven at once.
const SMOOTH: u32 = 25;
