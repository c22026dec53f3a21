//! The cockpit: keys in, screens out. It draws the published state and never waits for
//! the loop or a disk.

use crate::event::{Actor, Time};
use crate::journal::Health;
use crate::observe;
use crate::run::{Intent, State};
use crate::session::handle::{Handle, Live};
use crate::session::joined::Joined;
use crate::session::leave::{Leaving, leaving};
use crate::session::terminal::{Taken, copy, resume, suspend, take};
use crate::site::is_lab;
use crate::ui::{Asked, Entry, Frame, Look, Model, Overlay, busy, key};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::StreamExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// What a task brings back to the screen.
enum News {
    Message(String),
    /// To read, and what was said while it was waited for.
    Text(String, Vec<String>, String),
}

/// Whether the cockpit goes on.
#[derive(PartialEq, Eq)]
enum Then {
    Stay,
    Leave,
}

/// The wall clock with its zone, for the title bar only; a lab has a clock of its own.
#[allow(clippy::disallowed_methods, reason = "shown, never part of the run")]
fn wall_clock(shown: &Shown<'_>) -> String {
    if is_lab(&shown.state.header.pins) {
        return shown.now.timestamp().strftime("%H:%M:%S lab").to_string();
    }
    jiff::Zoned::now().strftime("%H:%M:%S %Z").to_string()
}

/// What someone who tries it on a lab is told first.
const FIRST: &str =
    "a lab, nothing here is real · Enter reviews, Enter again releases · ? all keys";

/// A terminal that shows the cockpit already, while the site and the journal are opened
/// behind it.
pub struct Stage {
    screen: Taken,
    model: Model,
    look: Look,
    /// One for all of its time: two would read each other's keys.
    input: EventStream,
    resumed: Signal,
    ends: [std::io::Result<Signal>; 3],
    /// Texts over several rows that the terminal was given in one piece.
    joined: Joined,
}

impl Stage {
    /// Takes the terminal and draws the first frame: the run as it will begin.
    pub fn open(state: &State, look: Look, now: Time) -> Result<Self, String> {
        // Before the terminal is taken: from then on every end gives it back.
        let resumed = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))
            .map_err(|e| e.to_string())?;
        let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
        let ends = kinds.map(signal);
        let screen = take().map_err(|e| format!("the terminal cannot be used: {e}"))?;
        let model = Model {
            message: Some(("finding out which site this is…".into(), now)),
            ..Model::default()
        };
        let input = EventStream::new();
        let mut stage =
            Self { screen, model, look, input, resumed, ends, joined: Joined::default() };
        // Nothing is known yet, which is not the same as that there is nothing.
        let mut state = state.clone();
        state.world.arriving();
        stage.draw(&Shown { state: &state, health: &Health::default(), show_only: None, now })?;
        Ok(stage)
    }

    /// Waits for what is opened behind it; none if its person leaves first.
    pub async fn behind<T>(&mut self, opening: impl Future<Output = T>) -> Option<T> {
        let input = &mut self.input;
        let [term, hup, int] = &mut self.ends;
        let left = async {
            while let Some(Ok(event)) = input.next().await {
                let Event::Key(k) = event else { continue };
                let control = k.modifiers.contains(KeyModifiers::CONTROL);
                if k.code == KeyCode::Char('q') || control && k.code == KeyCode::Char('c') {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            done = opening => Some(done),
            () = left => None,
            () = told(term) => None,
            () = told(hup) => None,
            () = told(int) => None,
        }
    }

    fn draw(&mut self, shown: &Shown<'_>) -> Result<(), String> {
        let screen = &mut self.screen.0;
        let size = screen.size().map_err(gone)?;
        self.model.size = (size.width, size.height);
        self.model.show_only = shown.show_only.is_some();
        self.model.follow(shown.state, shown.now);
        let frame = Frame {
            state: shown.state,
            model: &self.model,
            health: shown.health,
            show_only: shown.show_only,
            now: shown.now,
            clock: &wall_clock(shown),
            look: self.look,
        };
        let joins = matches!(self.model.overlay, Overlay::Command { .. });
        self.joined.draw(screen, &frame, joins).map_err(gone)?;
        Ok(())
    }
}

/// What is drawn of the run.
struct Shown<'a> {
    state: &'a State,
    health: &'a Health,
    show_only: Option<&'a str>,
    now: Time,
}

/// Runs the cockpit until its person leaves; true if the change was done.
pub async fn tui(
    mut stage: Stage,
    handle: Handle,
    actor: &Actor,
    notice: Option<String>,
) -> Result<bool, String> {
    let (tell, news) = mpsc::channel(16);
    let lab = is_lab(&handle.live.borrow().state.header.pins);
    let first = notice.map(|text| in_a_line(&text)).or_else(|| lab.then(|| FIRST.to_owned()));
    stage.model.message = first.map(|text| (text, handle.now()));
    let asking = Arc::new(AtomicUsize::new(0));
    Cockpit { handle, actor, stage, tell, asking, warned: false }.run(news).await
}

struct Cockpit<'a> {
    handle: Handle,
    actor: &'a Actor,
    stage: Stage,
    tell: mpsc::Sender<News>,
    /// Intents on their way to the loop.
    asking: Arc<AtomicUsize>,
    /// That what is left is not recorded was said: the next `q` leaves.
    warned: bool,
}

impl Cockpit<'_> {
    async fn run(mut self, mut news: mpsc::Receiver<News>) -> Result<bool, String> {
        let mut live = self.handle.live.clone();
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        loop {
            let now = live.borrow_and_update().clone();
            self.draw(&now)?;
            let [term, hup, int] = &mut self.stage.ends;
            let (resumed, input) = (&mut self.stage.resumed, &mut self.stage.input);
            let then = tokio::select! {
                event = input.next() => match event {
                    Some(Ok(event)) => self.event(&now, event).await?,
                    Some(Err(_)) | None => Then::Leave,
                },
                changed = live.changed() => {
                    if changed.is_err() {
                        // The loop has ended: what it published last stays on the screen.
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    Then::Stay
                }
                Some(n) = news.recv() => {
                    self.news(n);
                    Then::Stay
                }
                _ = clock.tick() => Then::Stay,
                _ = resumed.recv() => {
                    // Stopped and resumed from outside: the terminal may be anything now.
                    resume(&mut self.stage.screen.0).map_err(gone)?;
                    Then::Stay
                }
                () = told(term) => Then::Leave,
                () = told(hup) => Then::Leave,
                () = told(int) => Then::Leave,
            };
            if then == Then::Leave {
                return Ok(now.state.ended == Some(true));
            }
        }
    }

    fn draw(&mut self, now: &Live) -> Result<(), String> {
        self.stage.draw(&Shown {
            state: &now.state,
            health: &self.handle.health(),
            show_only: now.show_only.as_deref(),
            now: self.handle.now(),
        })
    }

    async fn event(&mut self, now: &Live, event: Event) -> Result<Then, String> {
        match event {
            Event::Key(k) if k.kind != KeyEventKind::Release => self.key(now, k).await,
            // A paste never fills a typed name, and a resize only draws again.
            _ => Ok(Then::Stay),
        }
    }

    async fn key(&mut self, now: &Live, k: KeyEvent) -> Result<Then, String> {
        // When the key came, not when the screen was drawn: a confirmation arms by it.
        let time = self.handle.now();
        let control = k.modifiers.contains(KeyModifiers::CONTROL);
        match k.code {
            KeyCode::Char('z') if control => match self.kept(now) {
                Some(why) => self.message(why, time),
                None => suspend(&mut self.stage.screen.0, &mut self.stage.resumed)
                    .await
                    .map_err(gone)?,
            },
            KeyCode::Char('c') if control => {
                self.message("q leaves; the run stays open in its journal".into(), time);
            }
            KeyCode::Char(_) if control => {}
            code => match key(&mut self.stage.model, &now.state, code, time) {
                Asked::Quit => {
                    match leaving(self.kept(now), now.show_only.is_some(), self.warned) {
                        Leaving::Go => return Ok(Then::Leave),
                        Leaving::Not(why) => self.message(why, time),
                        Leaving::Warned(why) => {
                            self.warned = true;
                            self.message(why, time);
                        }
                    }
                }
                asked => self.dispatch(asked),
            },
        }
        Ok(Then::Stay)
    }

    /// Why the terminal is not left now.
    fn kept(&self, now: &Live) -> Option<String> {
        let asking = self.asking.load(Ordering::SeqCst) > 0;
        // In show-only what was released never runs; what runs is still waited for.
        let waits = now.show_only.is_none() || now.state.running.is_some();
        busy(&now.state)
            .filter(|_| waits)
            .or(asking.then(|| "what you asked for is on its way; a moment".into()))
    }

    fn message(&mut self, text: String, at: Time) {
        self.stage.model.message = Some((text, at));
    }

    fn news(&mut self, news: News) {
        match news {
            News::Message(text) => self.message(text, self.handle.now()),
            News::Text(title, lines, waiting) => {
                let model = &mut self.stage.model;
                model.message = model.message.take().filter(|(said, _)| *said != waiting);
                // What is being typed is not taken away: its letters would be keys.
                let reads = matches!(model.overlay, Overlay::None | Overlay::Text { .. });
                match reads || matches!(model.overlay, Overlay::Command { .. }) {
                    true => model.read(title, lines),
                    false => {
                        let text = format!("{title} came while you were at this; ask again");
                        self.message(text, self.handle.now());
                    }
                }
            }
        }
    }

    fn dispatch(&mut self, asked: Asked) {
        let (handle, actor, tell) = (self.handle.clone(), self.actor.clone(), self.tell.clone());
        match asked {
            Asked::Nothing | Asked::Quit => {}
            Asked::Intent(intent) => {
                let asking = Arc::clone(&self.asking);
                asking.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // Leaving a review that was never opened is nothing to complain about.
                    let quiet = matches!(*intent, Intent::CloseReview { .. });
                    let answer = handle.ask(&actor, *intent).await;
                    asking.fetch_sub(1, Ordering::SeqCst);
                    if let Err(why) = answer
                        && !quiet
                    {
                        let _ = tell.send(News::Message(why)).await;
                    }
                });
            }
            Asked::MoveJournal(dir) => {
                tokio::spawn(async move {
                    let said = match handle.move_journal(&actor, Path::new(&dir)).await {
                        Ok(place) => format!("the journal goes on in {}", place.display()),
                        Err(why) => why,
                    };
                    let _ = tell.send(News::Message(said)).await;
                });
            }
            Asked::Copy(text) => {
                copy(&text);
                tokio::spawn(async move { tell.send(News::Message("copied".into())).await });
            }
            Asked::Describe(entry) => {
                self.message(waiting(&entry), handle.now());
                tokio::spawn(describe(handle, tell, entry));
            }
            Asked::Logs(entry, before) => {
                self.message(waiting(&entry), handle.now());
                tokio::spawn(logs(handle, tell, entry, before));
            }
        }
    }
}

/// Waits for a signal; for ever, where it cannot be waited for.
async fn told(signal: &mut std::io::Result<Signal>) {
    match signal {
        Ok(signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

fn gone(e: std::io::Error) -> String {
    format!("the terminal is gone: {e}")
}

/// What is said until the answer is there, or the deadline past.
fn waiting(entry: &Entry) -> String {
    let most = observe::ASKED_FOR.as_secs();
    format!("asking the API server about {}… {most} s at most", entry.name)
}

async fn describe(handle: Handle, tell: mpsc::Sender<News>, entry: Entry) {
    let text = observe::describe(&handle.remote, &entry.namespace, entry.kind, &entry.name).await;
    tell_text(&tell, "Describe", &entry, text.map_err(|e| e.to_string())).await;
}

async fn logs(handle: Handle, tell: mpsc::Sender<News>, entry: Entry, previous: bool) {
    let text = observe::logs(&handle.remote, &entry.namespace, &entry.name, previous).await;
    let title = if previous { "Previous log" } else { "Log" };
    tell_text(&tell, title, &entry, text.map_err(|e| e.to_string())).await;
}

async fn tell_text(
    tell: &mpsc::Sender<News>,
    title: &str,
    entry: &Entry,
    text: Result<Vec<String>, String>,
) {
    let news = match text {
        Ok(lines) => News::Text(format!(" {title} {} ", entry.name), lines, waiting(entry)),
        Err(why) => News::Message(format!("{}: {why}", entry.name)),
    };
    let _ = tell.send(news).await;
}

/// A notice for the last line of the screen: without what stands indented below its lines, which
/// a key shows.
fn in_a_line(notice: &str) -> String {
    let lines: Vec<&str> = notice.lines().filter(|line| !line.starts_with(' ')).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_fit_the_smallest_terminal() {
        let width = unicode_width::UnicodeWidthStr::width(FIRST);
        // The footer begins with a blank.
        assert!(width < usize::from(crate::ui::SMALLEST.0), "{width} columns: {FIRST}");
    }
}
