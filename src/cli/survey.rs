//! `holdpoint survey`: a picture of the live site, for rehearsals.

use crate::cli::doctor::write_private;
use crate::cli::{ended, runtime, site};
use crate::event::Time;
use crate::remote::Remote;
use crate::survey::{self, Survey};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `survey`.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is written to the site. Of Secrets only metadata is asked for, and of that only the names of
keys are kept.
What could not be read is told, is told in the file as well, and makes the exit code 1.
A rehearsal starts from the file: holdpoint rehearse RUNBOOK --from FILE")]
pub struct Args {
    /// Site: a name of the configuration, or a file
    #[arg(long)]
    site: String,
    /// File for the survey, JSON that only its owner can read; default: SITE-TIME.survey.json here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A namespace besides those that the site shows and Vault's; may be given several times
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// Replace names, but those that a runbook needs: of Vault's namespace and what lies in it, of
    /// the Secrets that the site file names, of StorageClasses and endpoints
    #[arg(long)]
    pseudonyms: bool,
}

/// Largest file that is read back.
const LARGEST: u64 = 256 << 20;

pub(crate) fn run(args: &Args) -> ExitCode {
    ended(runtime(), session(args))
}

async fn session(args: &Args) -> Result<bool, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(wrong) = args.namespaces.iter().find(|n| n.is_empty() || !n.chars().all(plain)) {
        return Err(format!("--namespace {wrong:?}: write its name, as kubectl shows it"));
    }
    let found = site::find(&args.site)?;
    let clock = site::clock();
    let out = args.out.clone().unwrap_or_else(|| default_name(&found.site.name, clock()));
    free(&out)?;
    let remote = Remote::connect(found.site, &site::surroundings(), clock)
        .await
        .map_err(|e| e.to_string())?;
    let mut survey = survey::take(&remote, &args.namespaces).await;
    if args.pseudonyms {
        survey::disguise(&mut survey);
    }
    let text = survey::render(&survey)?;
    summary(&survey).iter().for_each(|line| errln!("{line}"));
    // A night on which something was away must not cost the survey of the night before.
    if load(&out).is_ok_and(|before| before.lacks.len() < survey.lacks.len()) {
        let shown = out.display();
        errln!("not written: {shown} holds more; name another file with --out, or remove it");
        return Ok(false);
    }
    write_private(&out, &text)?;
    errln!("written: {} kB that only you can read; look through it", text.len().div_ceil(1000));
    outln!("{}", out.display());
    Ok(survey.lacks.is_empty())
}

/// A file in the working directory, by site and minute.
fn default_name(site: &str, now: Time) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let site: String = site.chars().map(plain).collect();
    let time = now.timestamp().strftime("%Y%m%dT%H%M%SZ");
    PathBuf::from(format!("{site}-{time}.survey.json"))
}

/// Only another survey is written over.
fn free(out: &Path) -> Result<(), String> {
    if out.exists() && load(out).is_err() {
        let shown = out.display();
        return Err(format!("{shown} is there and is no survey; name another file with --out"));
    }
    Ok(())
}

/// What is in it and what is not, in lines.
pub(crate) fn summary(survey: &Survey) -> Vec<String> {
    let mut lines = vec![format!("survey of {}, {}", survey.site.name, survey.taken_at)];
    if let Some(cluster) = &survey.kubernetes {
        let count = |(id, all): (&String, &Vec<_>)| {
            let name = id.split('.').next().unwrap_or_default();
            (!all.is_empty()).then(|| format!("{} {name}", all.len()))
        };
        let counts: Vec<String> = cluster.objects.iter().filter_map(count).collect();
        lines.push(match counts.is_empty() {
            true => "  Kubernetes: nothing could be read".into(),
            false => format!("  Kubernetes {}: {}", cluster.version, counts.join(", ")),
        });
        let secret = |s: &survey::SecretSeen| match s.exists {
            true => format!("{}/{} ({} keys)", s.namespace, s.name, s.count),
            false => format!("{}/{} is not there", s.namespace, s.name),
        };
        let secrets: Vec<String> = cluster.secrets.iter().map(secret).collect();
        if !secrets.is_empty() {
            lines.push(format!("  secrets by name: {}", secrets.join(", ")));
        }
        if cluster.misshapen > 0 {
            let n = cluster.misshapen;
            lines.push(format!("  {n} texts were not of the form that their field has: left out"));
        }
    }
    if let Some(vault) = &survey.vault {
        let leader = vault.voters.iter().find(|v| v.leads);
        let leads = leader.map_or("nobody leads".into(), |v| {
            format!("{} leads, at index {}", v.name, v.committed)
        });
        let answer = vault.voters.iter().filter(|v| v.answers).count();
        lines.push(format!("  Vault: {answer} of {} voters answer, {leads}", vault.voters.len()));
    }
    if survey.pseudonyms {
        lines.push(
            "  names are others, but in Vault's namespace and of Secrets, classes and endpoints"
                .into(),
        );
    }
    for lack in &survey.lacks {
        lines.push(format!("NOT IN IT: {}: {}", lack.what, lack.why));
    }
    lines
}

/// Reads a survey.
///
/// # Errors
/// With the file's name and what to do.
pub(crate) fn load(path: &Path) -> Result<Survey, String> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|e| format!("{shown}: {e}; check the path"))?;
    if !meta.is_file() {
        return Err(format!("{shown}: is no file; name one that `holdpoint survey` wrote"));
    }
    let file = std::fs::File::open(path).map_err(|e| format!("{shown}: {e}"))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| format!("{shown}: {e}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{shown}: has more than {LARGEST} bytes; no survey is that large"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{shown}: is no text; name a file that `holdpoint survey` wrote"))?;
    survey::parse(&text).map_err(|e| format!("{shown}: {e}"))
}
