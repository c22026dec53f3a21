//! `holdpoint check FILE…`: every problem of every file, with its place and a remedy.

use crate::problem::{Problem, render};
use crate::runbook;
use crate::text::counted;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Runbook files
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let mut bad = false;
    for file in &args.files {
        match read(file) {
            Ok(text) => match runbook::load(&text) {
                Ok(loaded) => {
                    err!("{}", render(&file.display().to_string(), &text, &loaded.warnings));
                    let steps: usize = loaded.runbook.phases.iter().map(|p| p.steps.len()).sum();
                    let (steps, phases) =
                        (counted(steps, "step"), counted(loaded.runbook.phases.len(), "phase"));
                    let (file, id) = (file.display(), &loaded.runbook.id);
                    outln!("{file}: ok: {id} in {phases}, {steps}");
                }
                Err(problems) => {
                    bad = true;
                    report(file, &text, &problems);
                }
            },
            Err(why) => {
                bad = true;
                errln!("{why}");
            }
        }
    }
    if bad { ExitCode::from(super::INPUT) } else { ExitCode::SUCCESS }
}

fn report(file: &Path, text: &str, problems: &[Problem]) {
    err!("{}", render(&file.display().to_string(), text, problems));
    let errors = problems.iter().filter(|p| !p.warning).count();
    errln!("{}: {errors} errors, {} warnings", file.display(), problems.len() - errors);
}

/// A text file of a sane size, or why it is none, with its name, its place and a remedy.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let shown = file.display();
    let meta = std::fs::metadata(file).map_err(|e| format!("{shown}: {e}; check the path"))?;
    if meta.is_dir() {
        return Err(format!("{shown}: is a directory; name a file"));
    }
    if !meta.is_file() {
        return Err(format!("{shown}: is no regular file; name a file"));
    }
    let file = std::fs::File::open(file).map_err(|e| format!("{shown}: {e}"))?;
    text_of(file, runbook::LARGEST).map_err(|why| match why {
        Unread::Failed(e) => format!("{shown}: {e}"),
        Unread::At { line, column, what, remedy } => {
            format!("{shown}:{line}:{column}: {what}\n  help: {remedy}")
        }
    })
}

/// Why bytes are no text.
#[derive(Debug)]
enum Unread {
    Failed(std::io::Error),
    At { line: usize, column: usize, what: String, remedy: &'static str },
}

impl Unread {
    /// At the first byte behind `good`, which is text.
    fn behind(good: &str, what: String, remedy: &'static str) -> Self {
        let line = good.matches('\n').count() + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::At { line, column, what, remedy }
    }
}

/// Counts what it reads: what a file says of its size is not what a growing one has.
fn text_of(from: impl Read, most: usize) -> Result<String, Unread> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes).map_err(Unread::Failed)?;
    let whole = bytes.len() <= most;
    bytes.truncate(most);
    let too_large = |text: &str| {
        let what = format!("has more than {most} bytes, the most that is read");
        Unread::behind(text, what, "is this the right file? a runbook or site file is far smaller")
    };
    let bad = match String::from_utf8(bytes) {
        Ok(text) if whole => return Ok(text),
        Ok(text) => return Err(too_large(&text)),
        Err(bad) => bad,
    };
    let (error, bytes) = (bad.utf8_error(), bad.as_bytes());
    let at = error.valid_up_to();
    let text = std::str::from_utf8(&bytes[..at]).unwrap_or_default();
    // A letter that only the limit cuts in two is none that is wrong.
    if !whole && error.error_len().is_none() {
        return Err(too_large(text));
    }
    let what = format!("byte {at} is 0x{:02x}, no UTF-8 text", bytes[at]);
    Err(Unread::behind(text, what, "is this the right file? name one of text, saved as UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(bytes: impl Read, most: usize) -> (usize, usize, String) {
        match text_of(bytes, most) {
            Err(Unread::At { line, column, what, remedy }) => {
                assert!(remedy.contains("right file?"), "{remedy}");
                (line, column, what)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reading_ends_though_the_file_does_not() {
        let (line, column, what) = why(std::io::repeat(b'#'), 1000);
        assert!(what.contains("more than 1000 bytes"), "{what}");
        assert_eq!((line, column), (1, 1001));
        assert_eq!(text_of(&b"abc"[..], 3).ok().as_deref(), Some("abc"));
    }

    #[test]
    fn the_first_byte_that_is_no_text_has_its_place() {
        for (bytes, most, at, said) in [
            (&b"\xff"[..], 9, (1, 1), "byte 0 is 0xff"),
            (b"a = 1\nb = \"\xc3\xa9\xe9\"\n", 99, (2, 7), "byte 13 is 0xe9"),
            // A letter that the end cuts in two.
            (b"a\n\xc3", 99, (2, 1), "byte 2 is 0xc3"),
            // What is bad comes before what is too much.
            (b"\n\xffabc", 3, (2, 1), "byte 1 is 0xff"),
            (b"a\nbc\n", 3, (2, 2), "more than 3 bytes"),
            (b"a\n\xc3\xa9", 3, (2, 1), "more than 3 bytes"),
        ] {
            let (line, column, what) = why(bytes, most);
            assert_eq!((line, column), at, "{bytes:?}: {what}");
            assert!(what.contains(said), "{what}");
        }
    }
}
