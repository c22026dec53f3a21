//! Finding a site file, its pins, and the process's surroundings.

use crate::cli::check::read;
use crate::event::{Pins, Time};
use crate::problem::render;
use crate::remote::{Clock, Surroundings};
use crate::site::{Site, parse, parse_pins};
use crate::ui::{Environment, Look};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A site file, read, with its pins.
pub(crate) struct Found {
    /// How it was named: a file, or a name of the configuration.
    pub(crate) from: String,
    pub(crate) site: Site,
    pub(crate) pins: Option<Pins>,
    pub(crate) pins_path: PathBuf,
}

/// `--site NAME|PATH`: a path if it looks like one, else a name in the configuration.
pub(crate) fn find(site: &str) -> Result<Found, String> {
    let named = Path::new(site);
    let (path, from) = if site.contains('/') || named.extension().is_some_and(|e| e == "toml") {
        (PathBuf::from(site), absolute(named))
    } else {
        (config_home().join("holdpoint/sites").join(format!("{site}.toml")), site.to_owned())
    };
    let text = read(&path)?;
    let name = path.display().to_string();
    let site = parse(&text).map_err(|p| render(&name, &text, &p))?;
    let pins_path = path.with_extension("pins.toml");
    let pins = match std::fs::symlink_metadata(&pins_path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        _ => {
            let (name, text) = (pins_path.display().to_string(), read(&pins_path)?);
            Some(parse_pins(&text).map_err(|p| render(&name, &text, &p))?)
        }
    };
    Ok(Found { from, site, pins, pins_path })
}

/// A path as it is found from anywhere; as it was given where that cannot be told.
pub(crate) fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

#[allow(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

fn home() -> PathBuf {
    PathBuf::from(env("HOME").unwrap_or_else(|| ".".into()))
}

fn config_home() -> PathBuf {
    env("XDG_CONFIG_HOME").map_or_else(|| home().join(".config"), PathBuf::from)
}

/// Where runs live.
pub(crate) fn runs(state: Option<&Path>) -> PathBuf {
    match state {
        Some(dir) => dir.to_owned(),
        None => env("XDG_STATE_HOME")
            .map_or_else(|| home().join(".local/state"), PathBuf::from)
            .join("holdpoint/runs"),
    }
}

pub(crate) fn surroundings() -> Surroundings {
    Surroundings {
        home: home(),
        kubeconfig: env("KUBECONFIG"),
        vault_token: env("VAULT_TOKEN"),
        host: host(),
    }
}

/// This machine's name.
fn host() -> String {
    crate::text::clean_line(&rustix::system::uname().nodename().to_string_lossy())
}

/// What the terminal can show, and its kind.
pub(crate) fn look(ascii: bool) -> (Look, String) {
    let var = |name: &str| env(name).unwrap_or_default();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(env).unwrap_or_default();
    let of = Environment {
        no_color: var("NO_COLOR"),
        term: var("TERM"),
        colorterm: var("COLORTERM"),
        locale,
    };
    (Look::of(&of, ascii), of.term)
}

/// The wall clock.
#[allow(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub(crate) fn clock() -> Clock {
    Arc::new(|| Time::from(jiff::Timestamp::now()))
}

/// Who sits here.
pub(crate) fn user() -> String {
    let name = env("USER").or_else(|| env("LOGNAME"));
    crate::text::clean_line(
        &name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw())),
    )
}

/// Four hex digits, so that two runs of one second differ.
pub(crate) fn nonce() -> String {
    use std::io::Read;
    let mut bytes = [0_u8; 2];
    // Without a random source two runs of one second collide, which creating the
    // directory refuses.
    let _ = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    format!("{:02x}{:02x}", bytes[0], bytes[1])
}
