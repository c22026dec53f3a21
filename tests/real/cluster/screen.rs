//! The release-built cockpit in a pseudo-terminal, with the time of every change of its
//! screen.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What is shown, and since when.
struct Shown {
    parser: vt100::Parser,
    at: Instant,
    changes: u64,
}

pub struct Screen {
    shown: Arc<(Mutex<Shown>, Condvar)>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
}

impl Screen {
    pub fn open(args: &[String], (rows, cols): (u16, u16)) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_holdpoint"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut out = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let parser = vt100::Parser::new(rows, cols, 0);
        let shown = Arc::new((
            Mutex::new(Shown { parser, at: Instant::now(), changes: 0 }),
            Condvar::new(),
        ));
        let theirs = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = out.read(&mut buffer) {
                let at = Instant::now();
                let mut shown = theirs.0.lock().unwrap();
                shown.parser.process(&buffer[..n]);
                (shown.at, shown.changes) = (at, shown.changes + 1);
                theirs.1.notify_all();
            }
        });
        Self { shown, keys, child, _master: pair.master }
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    pub fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn look<T>(&self, at: impl Fn(&vt100::Screen) -> T) -> T {
        at(self.shown.0.lock().unwrap().parser.screen())
    }

    /// When it was so; panics with the screen if it never is.
    pub fn until(
        &self,
        what: &str,
        limit: Duration,
        so: impl Fn(&vt100::Screen) -> bool,
    ) -> Instant {
        let end = Instant::now() + limit;
        let mut shown = self.shown.0.lock().unwrap();
        loop {
            if so(shown.parser.screen()) {
                return shown.at;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} did not come:\n{}", shown.parser.screen().contents());
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The row with the cursor's bar.
pub fn cursor(screen: &vt100::Screen) -> Option<u16> {
    (0..screen.size().0).find(|row| screen.cell(*row, 4).is_some_and(vt100::Cell::inverse))
}
