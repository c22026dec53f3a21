//! `holdpoint check FILE…`: every problem of every file, with its place and a remedy.

use crate::problem::{Problem, render};
use crate::runbook;
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
                    outln!(
                        "{}: ok: {} in {} phases, {steps} steps",
                        file.display(),
                        loaded.runbook.id,
                        loaded.runbook.phases.len()
                    );
                }
                Err(problems) => {
                    bad = true;
                    report(file, &text, &problems);
                }
            },
            Err(why) => {
                bad = true;
                errln!("{}: {why}", file.display());
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

/// A text file of a sane size, or why it is none.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(file).map_err(|e| format!("{e}; check the path"))?;
    if meta.is_dir() {
        return Err("is a directory; name a file".into());
    }
    if !meta.is_file() {
        return Err("is no regular file; name a file".into());
    }
    let file = std::fs::File::open(file).map_err(|e| e.to_string())?;
    text_of(file, runbook::LARGEST)
}

/// Counts what it reads: what a file says of its size is not what a growing one has.
fn text_of(from: impl Read, most: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() > most {
        return Err(format!(
            "has more than {most} bytes, the most that is read; is this the right file?"
        ));
    }
    String::from_utf8(bytes).map_err(|e| {
        format!("is no UTF-8 text (byte {}); is this the right file?", e.utf8_error().valid_up_to())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_though_the_file_does_not() {
        let why = text_of(std::io::repeat(b'#'), 1000).unwrap_err();
        assert!(why.contains("more than 1000 bytes") && why.contains("right file?"), "{why}");
        assert_eq!(text_of(&b"abc"[..], 3).as_deref(), Ok("abc"));
        assert!(text_of(&[0xff_u8][..], 3).is_err_and(|why| why.contains("no UTF-8")));
    }
}
