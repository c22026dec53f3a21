//! What a session line by line is told by signals: to stop as a shell's job, to go on, to end. What is
//! under way is not left alone for any of it.

use crate::event::Actor;
use crate::run::Intent;
use crate::session::Handle;
use crate::ui::busy;
use rustix::process::{Signal as Number, getpid, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn of(number: Number) -> SignalKind {
    SignalKind::from_raw(number.as_raw())
}

/// Whoever was stopped, and goes on, saw nothing meanwhile: the lease and all gates are asked for
/// anew.
pub(crate) async fn goes_on(handle: Handle) {
    let Ok(mut told) = signal(of(Number::CONT)) else { return };
    while told.recv().await.is_some() {
        // The run may be over.
        let _ = handle.ask(&Actor::System, Intent::Continued).await;
    }
}

/// Ctrl-Z.
pub(crate) async fn stops(handle: Handle) {
    let Ok(mut told) = signal(of(Number::TSTP)) else { return };
    while told.recv().await.is_some() {
        let under_way = busy(&handle.live.borrow().state);
        match under_way {
            Some(why) => errln!("holdpoint: {why}"),
            // By another signal: that one only comes here.
            None => drop(kill_process(getpid(), Number::STOP)),
        }
    }
}

/// Until it is told to end and nothing is under way; told so twice, at once.
pub(crate) async fn ends(handle: &Handle) {
    let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
    let mut told = kinds.map(signal);
    any(&mut told).await;
    let under_way = busy(&handle.live.borrow().state);
    let Some(why) = under_way else { return };
    errln!("holdpoint: {why}; the run is left when it has ended, or at once if told again");
    let mut live = handle.live.clone();
    tokio::select! {
        _ = live.wait_for(|now| busy(&now.state).is_none()) => {}
        () = any(&mut told) => {}
    }
}

/// Waits for one of them; for ever, where none can be waited for.
async fn any(told: &mut [std::io::Result<Signal>; 3]) {
    let waits = told.iter_mut().map(|signal| {
        Box::pin(async {
            let heard = match signal {
                Ok(signal) => signal.recv().await,
                Err(_) => None,
            };
            if heard.is_none() {
                std::future::pending::<()>().await;
            }
        })
    });
    futures::future::select_all(waits).await;
}
