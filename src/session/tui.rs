//! The cockpit: keys in, screens out. It draws the published state and never waits for
//! the loop or a disk.

use crate::event::Actor;
use crate::observe;
use crate::run::Intent;
use crate::session::engine::Handle;
use crate::session::terminal::{copy, suspend, take};
use crate::ui::{Asked, Entry, Frame, Model, Overlay, draw, key};
use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures::StreamExt;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What a task brings back to the screen.
enum News {
    Message(String),
    Text(String, Vec<String>),
}

/// The wall clock with its zone, for the title bar only.
#[allow(clippy::disallowed_methods, reason = "shown, never part of the run")]
fn wall_clock() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S %Z").to_string()
}

/// Runs the cockpit until its person leaves; true if the change was done.
pub async fn tui(handle: Handle, actor: &Actor) -> Result<bool, String> {
    let mut screen = take().map_err(|e| format!("the terminal cannot be used: {e}"))?;
    let mut model = Model::default();
    let mut live = handle.live.clone();
    let mut input = EventStream::new();
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    let (tell, mut news) = mpsc::channel(16);
    let mut ends = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    loop {
        let now = live.borrow_and_update().clone();
        let time = handle.now();
        model.follow(&now.state, time);
        let health = handle.health();
        let wall = wall_clock();
        let shown = Frame {
            state: &now.state,
            model: &model,
            health: &health,
            show_only: now.show_only.as_deref(),
            now: time,
            clock: &wall,
        };
        screen.0.draw(|f| draw(f, &shown)).map_err(|e| format!("the terminal is gone: {e}"))?;
        tokio::select! {
            event = input.next() => match event {
                Some(Ok(Event::Key(k))) if k.kind != KeyEventKind::Release => {
                    // When the key came, not when the screen was drawn: a confirmation
                    // arms by it.
                    let time = handle.now();
                    let control = k.modifiers.contains(KeyModifiers::CONTROL);
                    match k.code {
                        KeyCode::Char('z') if control => {
                            if let Some((_, step)) = &now.state.running {
                                model.message = Some((format!("{step} is running; it is not left alone now"), time));
                            } else {
                                suspend(&mut screen.0).map_err(|e| e.to_string())?;
                            }
                        }
                        KeyCode::Char('c') if control => {
                            model.message = Some(("q leaves; the run stays open in its journal".into(), time));
                        }
                        KeyCode::Char(_) if control => {}
                        code => {
                            let asked = key(&mut model, &now.state, code, time);
                            if asked == Asked::Quit {
                                if now.state.running.is_none() {
                                    return Ok(now.state.ended == Some(true));
                                }
                                model.message = Some(("an effect is running; wait for its result".into(), time));
                            } else {
                                dispatch(asked, &handle, actor, &tell);
                            }
                        }
                    }
                }
                // A paste never fills a typed name, and a resize only draws again.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(now.state.ended == Some(true)),
            },
            changed = live.changed() => if changed.is_err() {
                // The loop has ended: what it published last stays on the screen.
                tokio::time::sleep(Duration::from_millis(200)).await;
            },
            Some(n) = news.recv() => match n {
                News::Message(text) => model.message = Some((text, time)),
                News::Text(title, lines) => model.overlay = Overlay::Text { title, lines, scroll: 0 },
            },
            _ = clock.tick() => {}
            _ = ends.recv() => return Ok(now.state.ended == Some(true)),
        }
    }
}

fn dispatch(asked: Asked, handle: &Handle, actor: &Actor, tell: &mpsc::Sender<News>) {
    let (handle, actor, tell) = (handle.clone(), actor.clone(), tell.clone());
    match asked {
        Asked::Nothing | Asked::Quit => {}
        Asked::Intent(intent) => {
            tokio::spawn(async move {
                // Leaving a review that was never opened is nothing to complain about.
                let quiet = matches!(*intent, Intent::CloseReview { .. });
                if let Err(why) = handle.ask(&actor, *intent).await
                    && !quiet
                {
                    let _ = tell.send(News::Message(why)).await;
                }
            });
        }
        Asked::Copy(text) => {
            copy(&text);
            tokio::spawn(async move { tell.send(News::Message("copied".into())).await });
        }
        Asked::Describe(entry) => {
            tokio::spawn(async move {
                let text =
                    observe::describe(&handle.remote, &entry.namespace, entry.kind, &entry.name)
                        .await;
                tell_text(&tell, "Describe", &entry, text.map_err(|e| e.to_string())).await;
            });
        }
        Asked::Logs(entry, previous) => {
            tokio::spawn(async move {
                let text =
                    observe::logs(&handle.remote, &entry.namespace, &entry.name, previous).await;
                let title = if previous { "Previous log" } else { "Log" };
                tell_text(&tell, title, &entry, text.map_err(|e| e.to_string())).await;
            });
        }
    }
}

async fn tell_text(
    tell: &mpsc::Sender<News>,
    title: &str,
    entry: &Entry,
    text: Result<Vec<String>, String>,
) {
    let news = match text {
        Ok(lines) => News::Text(format!(" {title} {} ", entry.name), lines),
        Err(why) => News::Message(why),
    };
    let _ = tell.send(news).await;
}
