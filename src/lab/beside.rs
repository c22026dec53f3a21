//! A world beside the run that happens in it, so that a run whose process was killed has
//! somewhere to go on.
//!
//! One JSON file in the run's directory, 0600: `{"holdpoint": "world", "format": 1, "seq": N,
//! "world": {…}}`. It is replaced as a whole, so that there is always one that was whole; how
//! often is its writer's business, so it may be older than the journal's end. `seq` is the last
//! entry of the journal that the world has surely lived through.

use crate::lab::World;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Its name in the run's directory.
pub const FILE: &str = "world.json";
/// What it says that it is.
const MAGIC: &str = "world";
/// The only format that there is.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    holdpoint: &'a str,
    format: u32,
    seq: u64,
    world: &'a World,
}

#[derive(Deserialize)]
struct Head {
    holdpoint: String,
    format: u32,
}

/// A world that was read.
#[derive(Debug, Deserialize)]
pub struct Beside {
    /// The last entry that it has surely lived through.
    pub seq: u64,
    /// The world.
    pub world: World,
}

/// Writes a world into a run's directory, whole or not at all.
///
/// # Errors
/// With the file, in words.
pub fn write(dir: &Path, seq: u64, world: &World) -> Result<(), String> {
    let path = dir.join(FILE);
    let part = dir.join("world.part");
    let whole = Written { holdpoint: MAGIC, format: FORMAT, seq, world };
    let text = serde_json::to_string(&whole).map_err(|e| format!("{}: {e}", path.display()))?;
    let written = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&part)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&part, &path)
    };
    written().map_err(|e| format!("{}: {e}", path.display()))
}

/// Takes it away: what is over needs no world.
pub fn remove(dir: &Path) {
    // One that stays is only in nobody's way.
    let _ = std::fs::remove_file(dir.join(FILE));
}

/// Reads the world of a run; none if it has none.
///
/// # Errors
/// It is there and of no use; in words, with what to do.
pub fn read(dir: &Path) -> Result<Option<Beside>, String> {
    let path: PathBuf = dir.join(FILE);
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{shown}: {e}; without its world a demo cannot go on")),
    };
    let broken = |e: serde_json::Error| {
        format!(
            "{shown}: the lab's world is broken at line {}, column {}; this demo cannot go on, \
             begin another one",
            e.line(),
            e.column()
        )
    };
    let head: Head = serde_json::from_str(&text).map_err(broken)?;
    if head.holdpoint != MAGIC || head.format != FORMAT {
        return Err(format!(
            "{shown}: is no world of format {FORMAT}; go on with the version that wrote it, or \
             begin another demo"
        ));
    }
    serde_json::from_str(&text).map(Some).map_err(broken)
}
