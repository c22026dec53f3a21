//! What a terminal can show: a pass over the finished screen, so that no view has to know.

use crate::ui::theme;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use ratatui::symbols::line;

/// Which colours there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// 256 or more.
    Many,
    /// The sixteen that every colour terminal has, as its owner set them.
    Sixteen,
    /// None: `NO_COLOR`.
    None,
}

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its colours.
    pub colours: Colours,
    /// Only ASCII: the locale is not UTF-8, or it was asked for.
    pub ascii: bool,
}

/// What the environment says of a terminal; empty where it says nothing.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `NO_COLOR`; any text counts (no-color.org).
    pub no_color: String,
    /// `TERM`.
    pub term: String,
    /// `COLORTERM`.
    pub colorterm: String,
    /// The first of `LC_ALL`, `LC_CTYPE`, `LANG` that says something, as in locale(7).
    pub locale: String,
}

impl Look {
    /// What the environment allows; `ascii` asks for ASCII whatever it allows.
    #[must_use]
    pub fn of(env: &Environment, ascii: bool) -> Self {
        let many = ["256color", "direct"].iter().any(|t| env.term.contains(t));
        let colours = if !env.no_color.is_empty() {
            Colours::None
        } else if many || !env.colorterm.is_empty() {
            Colours::Many
        } else {
            Colours::Sixteen
        };
        let charset = env.locale.to_ascii_lowercase().replace('-', "");
        Self { colours, ascii: ascii || !charset.contains("utf8") }
    }

    /// Takes from a finished screen what the terminal cannot show. Words stay: no state is
    /// told by colour or sign alone.
    pub(crate) fn apply(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if self.colours != Colours::Many {
                self.plainer(cell);
            }
            if self.ascii && !cell.symbol().is_ascii() {
                let sign = cell.symbol().chars().next().map_or(" ", ascii);
                cell.set_symbol(sign);
            }
        }
    }

    /// Grey is what sixteen colours lack: bright black is invisible on many terminals.
    fn plainer(self, cell: &mut Cell) {
        if cell.fg == theme::GREY {
            cell.fg = Color::Reset;
            cell.modifier |= Modifier::DIM;
        }
        if self.colours == Colours::None {
            if cell.fg == Color::Red {
                cell.modifier |= Modifier::UNDERLINED;
            }
            (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
        }
    }
}

/// One column for one column, so that nothing moves.
fn ascii(sign: char) -> &'static str {
    match sign {
        '\u{2713}' => "+",              // done, pass
        '\u{2717}' => "x",              // failed
        '\u{25b6}' => ">",              // in progress
        '\u{25cf}' => "*",              // ready
        '\u{00b7}' => ".",              // later
        '\u{25ce}' => "o",              // shown, done elsewhere
        '\u{21b7}' => "-",              // skipped
        '\u{21b6}' | '\u{25c4}' => "<", // undone, going back
        '\u{23f8}' => "=",              // held
        '\u{25c0}' => "<",              // touched
        '\u{258c}' | '\u{258f}' => "|", // cursor
        '\u{2026}' => "~",              // cut
        '\u{2192}' => ">",
        '\u{2013}' => "-",
        '\u{00d7}' => "x",
        c if line::HORIZONTAL.starts_with(c) => "-",
        c if line::VERTICAL.starts_with(c) => "|",
        '\u{250c}' | '\u{2510}' | '\u{2514}' | '\u{2518}' => "+",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_and_ascii_can_be_asked_for() {
        use Colours::{Many, None, Sixteen};
        for (no_color, term, colorterm, locale, colours, ascii) in [
            ("", "xterm-256color", "", "en_GB.UTF-8", Many, false),
            ("", "xterm", "truecolor", "C.utf8", Many, false),
            ("", "xterm-direct", "", "C.UTF-8", Many, false),
            ("", "linux", "", "de_DE.UTF-8@euro", Sixteen, false),
            ("", "vt220", "", "C", Sixteen, true),
            ("", "", "", "", Sixteen, true),
            ("1", "xterm-256color", "truecolor", "de_DE.ISO-8859-1", None, true),
        ] {
            let env = Environment {
                no_color: no_color.into(),
                term: term.into(),
                colorterm: colorterm.into(),
                locale: locale.into(),
            };
            assert_eq!(Look::of(&env, false), Look { colours, ascii }, "{env:?}");
            assert!(Look::of(&env, true).ascii);
        }
    }
}
