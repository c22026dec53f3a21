//! The runbook's file, changed since a run was left: what is another in it, and whether the run goes
//! by that from now on. It is asked before the run is taken up, so that nothing begins meanwhile by
//! the text that is about to be replaced.

use crate::action::quoted;
use crate::cli::check::read;
use crate::journal::Verdict;
use crate::problem::render;
use crate::run::{Intent, State, reasonable};
use crate::runbook::{Difference, Part, along, load, merged};
use crate::session::Reopened;
use crate::text::clean_line;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;

/// What became of it.
pub(crate) struct Changed {
    /// What is asked of the run when it is taken up.
    pub(crate) then: Option<Intent>,
    /// What its person should know.
    pub(crate) notice: Option<String>,
}

/// What is accepted, as it was said beforehand.
#[derive(Default, Clone)]
pub(crate) struct Wish {
    /// Why; without one nothing is accepted unless a person says so.
    pub(crate) reason: Option<String>,
    /// Which parts, by name; all of them where none is named.
    pub(crate) parts: Vec<String>,
}

/// So many problems of a file that cannot be used are shown.
const MOST: usize = 3;

/// A part that is another, and why it cannot be accepted, if it cannot.
type Found = (Difference, Option<String>);

/// Accepted with the reason that was given beforehand, or, where its person may be asked, with the
/// one that is typed. Without one the run goes on with what it went by.
pub(crate) fn settled(run: &Reopened, wish: Wish, asks: bool) -> Result<Changed, String> {
    let state = &run.state;
    let path = clean_line(&state.header.runbook_path);
    let damaged = matches!(run.verdict, Verdict::Tampered { .. });
    if damaged && wish.reason.is_some() {
        return Err("the journal is damaged: nothing can be accepted there".into());
    }
    let stays = |why: &str, diff: &str| {
        let notice = format!("{path} {why}; the run goes on with {}{diff}", before(state));
        Changed { then: None, notice: Some(notice) }
    };
    let Ok(text) = read(Path::new(&state.header.runbook_path)) else {
        return match wish.reason {
            Some(_) => Err(format!("{path} is not there any more; there is nothing to accept")),
            None => Ok(stays("is not there any more", "")),
        };
    };
    let found = tied(state.redline(&text));
    // Also with a reason at hand: answers serve for many times, and what was accepted once is no
    // change any more.
    if found.is_empty() {
        return Ok(Changed { then: None, notice: None });
    }
    if let Some(wrong) = unusable(&path, &text) {
        return match wish.reason {
            Some(_) => Err(format!("{path} cannot be used as it is now{wrong}")),
            None => Ok(stays("changed since, and cannot be used as it is now", &wrong)),
        };
    }
    let diff: String = lines(&found).iter().map(|line| format!("\n{line}")).collect();
    let told = stays(&format!("changed since: {}", names(&found)), &diff);
    let wish = match &wish.reason {
        Some(_) => wish,
        // What is only looked at is not changed either.
        None if damaged => return Ok(told),
        None if asks && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() => {
            outln!("{path} changed since this run was left:");
            lines(&found).iter().for_each(|line| outln!("{line}"));
            asked(state, &found)
        }
        None => return Ok(told),
    };
    let Some(reason) = wish.reason else { return Ok(told) };
    reasonable(&reason).map_err(|e| e.to_string())?;
    let taken =
        taken(&found, &wish.parts).map_err(|why| format!("{path} changed since, and {why}"))?;
    let (accepted, left): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|(d, _)| taken.contains(&d.part));
    // A line for the cockpit, which shows no other: by the file's name alone.
    let file = path.rsplit('/').next().unwrap_or(&path);
    let mut notice = format!("accepted of {file}: {}", names(&accepted));
    let runbook = match left.as_slice() {
        [] => text,
        left => {
            let parts: Vec<_> = left.iter().map(|(d, _)| clean_line(&d.part.to_string())).collect();
            let (parts, left) = (parts.join(", "), lines(left).join("\n"));
            notice = format!("{notice}; left as they were: {parts}\n{left}");
            merged(state.text(), &text, &taken)?
        }
    };
    Ok(Changed { then: Some(Intent::Redline { runbook, reason }), notice: Some(notice) })
}

/// The parts that are meant, with what has to come along; none of them may be one that is refused.
fn taken(found: &[Found], wanted: &[String]) -> Result<BTreeSet<Part>, String> {
    let all: Vec<Difference> = found.iter().map(|(d, _)| d.clone()).collect();
    let part = |name: &String| {
        let one = all.iter().find(|d| d.part.to_string() == *name);
        let known = || all.iter().map(|d| d.part.to_string()).collect::<Vec<_>>().join(", ");
        one.map(|d| d.part.clone())
            .ok_or_else(|| format!("{name} is none of what did; name one of: {}", known()))
    };
    let named: BTreeSet<Part> = match wanted {
        [] => all.iter().map(|d| d.part.clone()).collect(),
        some => some.iter().map(part).collect::<Result<_, _>>()?,
    };
    let taken = along(&all, &named);
    let refused: Vec<Found> =
        found.iter().filter(|(d, why)| why.is_some() && taken.contains(&d.part)).cloned().collect();
    if refused.is_empty() {
        return Ok(taken);
    }
    let free: Vec<Found> = found.iter().filter(|(_, why)| why.is_none()).cloned().collect();
    let accept = |(d, _): &Found| {
        let mut with = along(&all, &BTreeSet::from([d.part.clone()]));
        with.remove(&d.part);
        let with: Vec<String> = with.iter().map(|p| clean_line(&p.to_string())).collect();
        let with = with.join(", ");
        let with = if with.is_empty() { with } else { format!("  # {with} comes along") };
        format!("\n  --accept {}{with}", quoted(&clean_line(&d.part.to_string())))
    };
    let others = match free.as_slice() {
        [] => String::new(),
        free => {
            let free: String = free.iter().map(accept).collect();
            format!("\nThe others can be accepted by name, and these stay as they were:{free}")
        }
    };
    Err(format!("cannot be accepted:\n{}{others}", lines(&refused).join("\n")))
}

/// A part that comes with one that is refused is refused as well: a step that is new or gone comes
/// with the order of its phase.
fn tied(found: Vec<Found>) -> Vec<Found> {
    let all: Vec<Difference> = found.iter().map(|(d, _)| d.clone()).collect();
    let why = |d: &Difference| {
        let with = along(&all, &BTreeSet::from([d.part.clone()]));
        found.iter().filter(|(other, _)| with.contains(&other.part)).find_map(|(other, why)| {
            Some(format!("it comes with {}: {}", other.part, why.as_ref()?))
        })
    };
    let ties: Vec<Option<String>> =
        found.iter().map(|(d, own)| own.clone().or_else(|| why(d))).collect();
    all.iter().cloned().zip(ties).collect()
}

/// What is wrong with the file, as `check` says it: the first of it where it is much.
fn unusable(path: &str, text: &str) -> Option<String> {
    let mut problems = load(text).err()?;
    problems.retain(|p| !p.warning);
    problems.sort_by_key(|p| p.span.start);
    let more = problems.len().saturating_sub(MOST);
    problems.truncate(MOST);
    let more = if more == 0 { String::new() } else { format!("{more} more; ") };
    let shown = render(path, text, &problems);
    let says = format!("holdpoint check {} says all of it", quoted(path));
    Some(format!(":\n{}\n{more}{says}", shown.trim_end()))
}

fn names(found: &[Found]) -> String {
    let names: Vec<String> = found.iter().map(|(d, _)| clean_line(&d.to_string())).collect();
    names.join(", ")
}

/// What the run goes by without any change.
fn before(state: &State) -> String {
    match state.redlined.as_ref().and_then(|r| r.accepted.last()) {
        None => "what it began with".into(),
        Some(last) => clean_line(&format!("what {} accepted at {}", last.by, last.at)),
    }
}

/// Each part, with why it cannot be accepted, and under it what it was and what it is.
fn lines(found: &[Found]) -> Vec<String> {
    let mut lines = Vec::new();
    for (difference, why) in found {
        let why = why.as_ref().map(|why| format!(": refused: {why}")).unwrap_or_default();
        for (at, line) in difference.told().enumerate() {
            let why = if at == 0 { why.as_str() } else { "" };
            lines.push(clean_line(&format!("  {line}{why}")));
        }
    }
    lines
}

/// What a person accepts, and why; without a reason where nothing is typed.
fn asked(state: &State, found: &[Found]) -> Wish {
    let free = found.iter().filter(|(_, why)| why.is_none());
    let free: Vec<String> = free.map(|(d, _)| d.part.to_string()).collect();
    let mut wish = Wish::default();
    if free.is_empty() {
        return wish;
    }
    let at = crate::cli::runs::at(state).unwrap_or_else(|| "between steps".into());
    outln!("The run stands at: {at}. What is not refused has not begun.");
    if found.len() > 1 {
        let all = free.join(", ");
        outln!("Which are accepted? Type names with commas between, or all, of: {all}");
        outln!("Enter alone accepts none: the run goes on with {}:", before(state));
        loop {
            wish.parts = match typed().as_deref() {
                None => return wish,
                Some("all") => free.clone(),
                Some(names) => names.split(',').map(|n| n.trim().to_owned()).collect(),
            };
            let Some(why) = refused(found, &wish.parts) else { break };
            // Before a reason is typed for it.
            outln!("{why}. Type names of: {all}; Enter alone accepts none:");
        }
    }
    outln!("Why is it accepted? Type a reason; Enter alone goes on with {}:", before(state));
    wish.reason = typed();
    wish
}

/// Why these cannot be accepted by name.
fn refused(found: &[Found], parts: &[String]) -> Option<String> {
    let of = |name: &String| match found.iter().find(|(d, _)| d.part.to_string() == *name) {
        None => Some(format!("{} is none of what changed", clean_line(name))),
        Some((_, why)) => Some(format!("{} is refused: {}", clean_line(name), why.as_ref()?)),
    };
    parts.iter().find_map(of).or_else(|| taken(found, parts).err())
}

/// A line that is typed; none where it is empty. Whoever cannot be asked accepts nothing.
fn typed() -> Option<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}
