//! The commands of a plan's actions.

use std::fmt::Write;

/// An action as it would be now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// For which item, and at which answer to a question, where that matters.
    pub of: Option<String>,
    /// Its commands, or why there are none now.
    pub commands: Commands,
    /// Why it would be refused before the steps above it are done.
    pub refused: Option<String>,
}

impl Resolved {
    /// Why there are no commands now.
    #[must_use]
    pub fn unknown(why: String) -> Self {
        Self { of: None, commands: Err(why), refused: None }
    }
}

/// Commands, or why there are none.
pub type Commands = Result<Vec<String>, String>;

/// One line a command; items and answers that have the same one share it.
pub(crate) fn command_lines(out: &mut String, resolved: &[Resolved]) {
    let mut told: Vec<(&Resolved, Vec<&str>)> = Vec::new();
    for r in resolved {
        let same = |(other, _): &&mut (&Resolved, Vec<&str>)| {
            (&other.commands, &other.refused) == (&r.commands, &r.refused)
        };
        let of = r.of.as_deref();
        match told.iter_mut().find(same) {
            Some((_, all)) => all.extend(of),
            None => told.push((r, of.into_iter().collect())),
        }
    }
    for (Resolved { commands, refused, .. }, of) in told {
        let of = match of.as_slice() {
            [] => String::new(),
            all => format!(" for {}", all.join(", ")),
        };
        match commands {
            Ok(commands) => {
                for command in commands {
                    let _ = writeln!(out, "  - command{of}: {}", code(command));
                }
            }
            Err(why) => {
                let _ = writeln!(out, "  - command{of}: not known now: {why}");
            }
        }
        if let Some(why) = refused {
            let _ = writeln!(out, "  - as things are now, before the steps above it: {why}");
        }
    }
}

/// Code within a line, fenced by more backticks than it has in a row.
fn code(text: &str) -> String {
    let most = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(most + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}
