//! Programs that were started here and outlived whoever started them: they are found again by a
//! mark in their environment, which what they start has as well.

use std::path::Path;

/// Whoever starts a program for a step sets this to the run and the step.
pub(crate) const MARK: &str = "HOLDPOINT_STEP";

/// A program that still runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// The group that ends with it.
    pub group: u32,
    /// Its arguments, the first ones of them.
    pub command: String,
}

/// The longest command that is shown.
const SHOWN: usize = 200;

/// Those with that mark, as far as this user may look into their environment: what became another
/// user, or began with an empty environment, is not found.
pub(super) fn marked(proc: &Path, mark: &str) -> std::io::Result<Vec<Running>> {
    let wanted = format!("{MARK}={mark}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(proc)? {
        let dir = entry?.path();
        let name = dir.file_name().and_then(|n| n.to_str());
        let Some(pid) = name.and_then(|n| n.parse().ok()) else { continue };
        // It may be somebody else's, or have ended meanwhile.
        let Ok(environment) = std::fs::read(dir.join("environ")) else { continue };
        if !environment.split(|b| *b == 0).any(|v| v == wanted.as_bytes()) {
            continue;
        }
        let stat = std::fs::read_to_string(dir.join("stat")).unwrap_or_default();
        let Some(group) = group(&stat) else { continue };
        found.push(Running { pid, group, command: command(&dir) });
    }
    found.sort_by_key(|r| r.pid);
    Ok(found)
}

/// The fifth field; the second is a name in brackets that may hold anything. None of a process
/// that has ended and only waits to be asked how.
fn group(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(1)?.parse().ok())?
}

fn command(dir: &Path) -> String {
    let bytes = std::fs::read(dir.join("cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
    let whole = words.join(" ");
    let mut shown: String = whole.trim_end().chars().take(SHOWN).collect();
    if shown.len() < whole.trim_end().len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_mark_and_runs_is_found() {
        let proc = tempfile::tempdir().unwrap();
        let put = |pid: &str, environ: &str, stat: &str| {
            let dir = proc.path().join(pid);
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("environ"), environ).unwrap();
            std::fs::write(dir.join("stat"), stat).unwrap();
            std::fs::write(dir.join("cmdline"), format!("sleep\0{}\0", "9".repeat(300))).unwrap();
        };
        put("70", "A=b\0HOLDPOINT_STEP=r/a/b\0C=d\0", "70 (x) y) S 1 69 69 0");
        put("8", "HOLDPOINT_STEP=r/a/b", "8 (sh) R 1 8 8 0");
        put("9", "HOLDPOINT_STEP=r/a/bc\0", "9 (sh) R 1 9 9 0");
        put("10", "X=HOLDPOINT_STEP=r/a/b\0", "10 (sh) R 1 10 10 0");
        put("11", "HOLDPOINT_STEP=r/a/b\0", "11 (sh) Z 1 11 11 0");
        put("self", "HOLDPOINT_STEP=r/a/b\0", "8 (sh) R 1 8 8 0");
        let found = marked(proc.path(), "r/a/b").unwrap();
        assert_eq!(found.iter().map(|r| (r.pid, r.group)).collect::<Vec<_>>(), [(8, 8), (70, 69)]);
        assert_eq!(found[0].command, format!("sleep {}…", "9".repeat(194)));
        assert!(marked(&proc.path().join("none"), "r/a/b").is_err());
    }
}
