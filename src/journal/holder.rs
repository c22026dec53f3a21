//! Which process has a run open, as far as the system says without being asked much.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The process that took the lock on a run's directory; none where that cannot be told, as in another
/// namespace or on another machine.
#[must_use]
pub fn holder(dir: &Path) -> Option<u32> {
    let meta = std::fs::metadata(dir).ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = taken(&locks, meta.dev(), meta.ino())?;
    // What it started may hold the lock on, and it may be gone.
    Path::new("/proc").join(pid.to_string()).exists().then_some(pid)
}

/// `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF`; who waits has an arrow there.
fn taken(locks: &str, dev: u64, ino: u64) -> Option<u32> {
    let place = format!("{:02x}:{:02x}:{ino}", rustix::fs::major(dev), rustix::fs::minor(dev));
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, at, ..] if *at == place => pid.parse().ok().filter(|p| *p > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_took_the_lock_is_told_from_who_waits_and_from_other_places() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:42 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 8 fe:00:421 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 9 fe:00:42 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 10 fe:00:42 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 fe:00:43 0 EOF\n";
        let dev = rustix::fs::makedev(0xfe, 0);
        assert_eq!(taken(locks, dev, 42), Some(9));
        assert_eq!(taken(locks, dev, 43), None, "of another namespace");
        assert_eq!(taken(locks, rustix::fs::makedev(0xfe, 1), 42), None);
    }
}
