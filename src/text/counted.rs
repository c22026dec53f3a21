//! How many of something.

/// With its plural: `1 step`, `2 steps`.
#[must_use]
pub fn counted(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}
