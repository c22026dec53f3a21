//! The terminal taken and given back, on every way out.

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::backend::CrosstermBackend;
use std::io::{Stdout, Write, stdout};
use std::time::Duration;
use tokio::signal::unix::Signal;

/// A stop that has not come by then will not come.
const NOT_STOPPED: Duration = Duration::from_millis(500);

pub(crate) type Screen = ratatui::Terminal<CrosstermBackend<Stdout>>;

/// Gives the terminal back when it is dropped.
pub struct Taken(pub(crate) Screen);

/// Takes the terminal: raw, on its other screen, given back on every way out.
pub fn take() -> std::io::Result<Taken> {
    // A panic anywhere gives the terminal back before it says what happened.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
        std::process::exit(70);
    }));
    let screen = enter().and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(stdout())));
    match screen {
        Ok(screen) => Ok(Taken(screen)),
        Err(e) => {
            // Half taken is worse than not taken.
            give_back();
            Err(e)
        }
    }
}

fn enter() -> std::io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Once more does no harm.
pub(crate) fn give_back() {
    let _ =
        execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, crossterm::cursor::Show);
    let _ = disable_raw_mode();
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// To the terminal's clipboard, over ssh as well (OSC 52).
pub(crate) fn copy(text: &str) {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let _ = write!(stdout(), "\x1b]52;c;{encoded}\x07");
    let _ = stdout().flush();
}

/// Stops this process as a shell's job, with the terminal given back meanwhile.
///
/// `resumed` is told of SIGCONT. It is waited for, since another thread may still run for a
/// moment after the signal was sent: it must not take the terminal again before the stop. A
/// process without a shell that could resume it is not stopped at all, hence the deadline.
pub(crate) async fn suspend(screen: &mut Screen, resumed: &mut Signal) -> std::io::Result<()> {
    give_back();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
    let _ = tokio::time::timeout(NOT_STOPPED, resumed.recv()).await;
    resume(screen)
}

/// Takes the terminal as it may be after a stop, and draws everything anew.
pub(crate) fn resume(screen: &mut Screen) -> std::io::Result<()> {
    enter()?;
    anew(screen)
}

/// Everything is drawn anew the next time.
pub(crate) fn anew(screen: &mut Screen) -> std::io::Result<()> {
    // Not `clear`, which asks the terminal where its cursor is while another task reads the
    // terminal's answers.
    let area = screen.size()?.into();
    screen.resize(area)
}
