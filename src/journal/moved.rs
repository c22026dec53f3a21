//! A mark beside a journal that could not be written any more: where its run goes on.

use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Its name.
const MOVED: &str = "moved-to";
/// What a mark says that has no text.
pub const ELSEWHERE: &str = "another directory";
/// No path is longer.
const LONGEST: u64 = 4096;

/// Leaves the mark, if that can be done at all.
pub fn mark_moved(dir: &Path, to: &str) -> io::Result<()> {
    let path = dir.join(MOVED);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(to.as_bytes())?;
    file.sync_all()
}

/// Where a run says that it goes on. For people: nothing is opened by it.
#[must_use]
pub fn moved_to(dir: &Path) -> Option<String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(dir.join(MOVED))
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    // A full disk may have made the file and not taken its text.
    let text = crate::text::clean_line(&String::from_utf8_lossy(&text));
    Some(if text.is_empty() { ELSEWHERE.into() } else { text })
}
