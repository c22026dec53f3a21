//! The runbook's file, changed since a run was left: what is another in it, and whether the run goes
//! by that from now on. It is asked before the run is taken up, so that nothing begins meanwhile by
//! the text that is about to be replaced.

use crate::cli::check::read;
use crate::journal::Verdict;
use crate::run::{Intent, State, reasonable};
use crate::runbook::Difference;
use crate::session::Reopened;
use crate::text::clean_line;
use std::io::IsTerminal;
use std::path::Path;

/// What became of it.
pub(crate) struct Changed {
    /// What is asked of the run when it is taken up.
    pub(crate) then: Option<Intent>,
    /// What its person should know.
    pub(crate) notice: Option<String>,
}

/// Accepted with the reason that was given beforehand, or, where its person may be asked, with the
/// one that is typed. Without one the run goes on with what it went by.
pub(crate) fn settled(
    run: &Reopened,
    reason: Option<String>,
    asks: bool,
) -> Result<Changed, String> {
    let state = &run.state;
    let path = clean_line(&state.header.runbook_path);
    let damaged = matches!(run.verdict, Verdict::Tampered { .. });
    if damaged && reason.is_some() {
        return Err("the journal is damaged: nothing can be accepted there".into());
    }
    let stays = |why: &str| {
        let notice = format!("{path} {why}; the run goes on with {}", before(state));
        Changed { then: None, notice: Some(notice) }
    };
    let Ok(text) = read(Path::new(&state.header.runbook_path)) else {
        return match reason {
            Some(_) => Err(format!("{path} is not there any more; there is nothing to accept")),
            None => Ok(stays("is not there any more")),
        };
    };
    let found = state.redline(&text);
    // Also with a reason at hand: answers serve for many times, and what was accepted once is no
    // change any more.
    if found.is_empty() {
        return Ok(Changed { then: None, notice: None });
    }
    let names: Vec<String> = found.iter().map(|(d, _)| clean_line(&d.to_string())).collect();
    let told = stays(&format!("changed since: {}", names.join(", ")));
    let fits = found.iter().all(|(_, why)| why.is_none());
    let reason = match reason {
        Some(reason) => Some(reason),
        // What is only looked at is not changed either.
        None if damaged => None,
        None if asks && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() => {
            outln!("{path} changed since this run was left:");
            lines(&found).iter().for_each(|line| outln!("{line}"));
            if fits { asked(state) } else { None }
        }
        None => None,
    };
    let Some(reason) = reason else { return Ok(told) };
    reasonable(&reason).map_err(|e| e.to_string())?;
    if !fits {
        let refused = lines(&found).join("\n");
        return Err(format!("{path} changed since, and cannot be accepted:\n{refused}"));
    }
    let then = Some(Intent::Redline { runbook: text, reason });
    let notice = Some(format!("accepted of {path}: {}", names.join(", ")));
    Ok(Changed { then, notice })
}

/// What the run goes by without any change.
fn before(state: &State) -> String {
    match state.redlined.as_ref().and_then(|r| r.accepted.last()) {
        None => "what it began with".into(),
        Some(last) => clean_line(&format!("what {} accepted at {}", last.by, last.at)),
    }
}

/// A line for each part, with why it cannot be accepted.
fn lines(found: &[(Difference, Option<String>)]) -> Vec<String> {
    let line = |(d, why): &(Difference, Option<String>)| {
        let why = why.as_ref().map(|why| format!(": refused: {why}")).unwrap_or_default();
        clean_line(&format!("  {d}{why}"))
    };
    found.iter().map(line).collect()
}

/// A person's reason; none where nothing is typed.
fn asked(state: &State) -> Option<String> {
    let at = crate::cli::runs::at(state).unwrap_or_else(|| "between steps".into());
    outln!("The run stands at: {at}. Nothing of this has begun.");
    outln!("Why is it accepted? Type a reason; Enter alone goes on with {}:", before(state));
    let mut reason = String::new();
    // Whoever cannot be asked accepts nothing.
    std::io::stdin().read_line(&mut reason).ok()?;
    let reason = reason.trim();
    (!reason.is_empty()).then(|| reason.to_owned())
}
