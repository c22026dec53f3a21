//! `holdpoint plan RUNBOOK`: the change as a Markdown document.

use crate::cli::check::read;
use crate::cli::{refuse, run::params_or_names};
use crate::problem::render;
use crate::report::plan;
use crate::runbook::load;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Runbook file
    runbook: PathBuf,
    /// A parameter, NAME=VALUE; one that is not given stays as its name
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let name = args.runbook.display().to_string();
    let text = match read(&args.runbook) {
        Ok(text) => text,
        Err(why) => return refuse(&format!("{name}: {why}")),
    };
    let loaded = match load(&text) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&render(&name, &text, &problems)),
    };
    match params_or_names(&loaded.runbook, &args.params) {
        Ok(params) => {
            print!("{}", plan(&loaded.runbook, &params));
            ExitCode::SUCCESS
        }
        Err(why) => refuse(&why),
    }
}
