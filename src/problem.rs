//! A problem in a file that a person wrote: where, what, and what to do about it.

use crate::text::clean_line;
use std::ops::Range;

/// One finding in a runbook or site file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the file that it is about; empty at 0 for the file as a whole.
    pub span: Range<usize>,
    /// What is wrong, lower case, without repeating the source.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Only a warning: the file is usable.
    pub warning: bool,
}

impl Problem {
    /// Something that makes the file unusable.
    pub fn error(
        span: Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { span, message: message.into(), remedy: remedy.into(), warning: false }
    }

    /// Something that works, but may surprise.
    pub fn warning(
        span: Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { span, message: message.into(), remedy: remedy.into(), warning: true }
    }
}

/// The text without what steers a terminal; every byte stays where it is.
fn shown(text: &str) -> String {
    let plain = |c: char| {
        let own = c.to_string();
        if c == '\n' || c == '\t' || clean_line(&own) == own {
            own
        } else {
            "?".repeat(c.len_utf8())
        }
    };
    text.chars().map(plain).collect()
}

/// Longest line of which an excerpt is drawn: the drawing counts columns in sixteen bits, and no
/// person reads a longer one.
const WIDEST: usize = 4000;

/// A problem in a file that no excerpt is drawn of.
fn bare(name: &str, text: &str, p: &Problem, start: usize) -> String {
    let before = text.get(..start).unwrap_or_default();
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    format!("  × {}\n   at {name}:{line}:{column}\n  help: {}\n", p.message, p.remedy)
}

/// All problems of one file, with excerpts, in the file's order.
#[must_use]
pub fn render(name: &str, text: &str, problems: &[Problem]) -> String {
    use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, Severity};
    let text = &shown(text);
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|p| p.span.start);
    let wide = text.lines().any(|l| l.len() > WIDEST);
    let mut out = String::new();
    for p in sorted {
        let start = p.span.start.min(text.len());
        if wide {
            out.push_str(&bare(name, text, p, start));
            continue;
        }
        let length = p.span.end.min(text.len()).saturating_sub(start);
        let diagnostic = MietteDiagnostic::new(p.message.clone())
            .with_severity(if p.warning { Severity::Warning } else { Severity::Error })
            .with_help(p.remedy.clone())
            .with_label(LabeledSpan::underline(start..start + length));
        let report = miette::Report::new(diagnostic)
            .with_source_code(miette::NamedSource::new(name, text.to_owned()));
        if handler.render_report(&mut out, report.as_ref()).is_err() {
            out.push_str(&p.message);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_too_long_to_be_drawn_is_told_by_its_place() {
        let text = format!("x = 1\ntitle = \"{}\" foo", "a".repeat(70_000));
        let at = text.len() - 3;
        let out = render("a.toml", &text, &[Problem::error(at..at + 3, "no", "take it out")]);
        assert!(out.contains("a.toml:2:70012") && out.contains("take it out"), "{out}");
    }

    /// What a file holds is shown and never obeyed; the mark stays under its word.
    #[test]
    fn an_excerpt_steers_no_terminal() {
        let text = "id = \"\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\"\nwrong = 1\n";
        let at = text.find("wrong").unwrap_or_default();
        let problem = Problem::error(at..at + 5, "unknown field", "take it out");
        let out = render("a.toml", text, &[problem]);
        assert!(out.contains("wrong = 1") && out.contains("id = \"?]0;x??"), "{out}");
        assert!(out.chars().all(|c| c == '\n' || clean_line(&c.to_string()) == c.to_string()));
    }
}
