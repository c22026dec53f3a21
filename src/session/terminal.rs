//! The terminal taken and given back, on every way out.

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::backend::CrosstermBackend;
use std::io::{Stdout, Write, stdout};

pub(crate) type Screen = ratatui::Terminal<CrosstermBackend<Stdout>>;

/// Gives the terminal back when it is dropped.
pub(crate) struct Taken(pub(crate) Screen);

pub(crate) fn take() -> std::io::Result<Taken> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
    // A panic anywhere gives the terminal back before it says what happened.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
        std::process::exit(70);
    }));
    Ok(Taken(ratatui::Terminal::new(CrosstermBackend::new(stdout()))?))
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
pub(crate) fn suspend(screen: &mut Screen) -> std::io::Result<()> {
    give_back();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
    screen.clear()
}
