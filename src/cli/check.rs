//! `holdpoint check FILE…`: every problem of every file, with its place and a remedy.

use crate::problem::{Problem, render};
use crate::runbook;
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
                    eprint!("{}", render(&file.display().to_string(), &text, &loaded.warnings));
                    let steps: usize = loaded.runbook.phases.iter().map(|p| p.steps.len()).sum();
                    println!(
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
                eprintln!("{}: {why}", file.display());
            }
        }
    }
    if bad { ExitCode::from(super::INPUT) } else { ExitCode::SUCCESS }
}

fn report(file: &Path, text: &str, problems: &[Problem]) {
    eprint!("{}", render(&file.display().to_string(), text, problems));
    let errors = problems.iter().filter(|p| !p.warning).count();
    eprintln!("{}: {errors} errors, {} warnings", file.display(), problems.len() - errors);
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
    if meta.len() > runbook::LARGEST as u64 {
        return Err(format!(
            "has {} bytes, a runbook has at most {}; is this the right file?",
            meta.len(),
            runbook::LARGEST
        ));
    }
    let bytes = std::fs::read(file).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|e| {
        format!("is no UTF-8 text (byte {}); is this the right file?", e.utf8_error().valid_up_to())
    })
}
