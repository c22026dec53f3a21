//! A program in a pseudo-terminal: keys in, screens out.

#![allow(dead_code, reason = "each test program uses a part of it")]

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const HOLDPOINT: &str = env!("CARGO_BIN_EXE_holdpoint");

/// Nothing here takes a tenth of it; a program that hangs fails its test by it.
const HANGS: Duration = Duration::from_secs(60);

pub struct Cockpit {
    screen: Arc<Mutex<vt100::Parser>>,
    bytes: Arc<Mutex<Vec<u8>>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
}

impl Cockpit {
    pub fn open(args: &[String], size: (u16, u16)) -> Self {
        Self::start(Path::new(HOLDPOINT), args, &[], size)
    }

    /// Rows and columns; `env` goes over what a colour terminal in UTF-8 has.
    pub fn start(
        program: &Path,
        args: &[String],
        env: &[(&str, &str)],
        (rows, cols): (u16, u16),
    ) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.cwd(env!("CARGO_MANIFEST_DIR"));
        for name in ["NO_COLOR", "COLORTERM", "LC_CTYPE", "LANG"] {
            command.env_remove(name);
        }
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")].iter().chain(env) {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let mut out = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, cols, 0)));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (theirs, all) = (Arc::clone(&screen), Arc::clone(&bytes));
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n) = out.read(&mut buffer) {
                if n == 0 {
                    return;
                }
                theirs.lock().unwrap().process(&buffer[..n]);
                all.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { screen, bytes, keys, child, master: pair.master }
    }

    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Everything that was ever written.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// The terminal is back on its ordinary screen.
    pub fn restored(&self) -> bool {
        !self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Lines are edited and echoed by the kernel, as a shell expects them.
    pub fn cooked(&self) -> bool {
        let modes = format!("{:?}", self.master.get_termios().unwrap().local_flags);
        modes.contains("ICANON") && modes.contains("ECHO")
    }

    pub fn resize(&self, rows: u16, cols: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(rows, cols);
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    pub fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.process_id().unwrap()).unwrap()
    }

    pub fn ended(&mut self) -> Option<u32> {
        self.child.try_wait().unwrap().map(|s| s.exit_code())
    }

    /// Waits until it is so.
    pub fn until(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        let started = Instant::now();
        while !so(self) {
            assert!(started.elapsed() < HANGS, "never {what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
