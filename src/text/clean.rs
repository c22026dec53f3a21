//! Making text harmless.

/// Longest colour sequence that may pass.
const LONGEST_SGR: usize = 24;

/// A name or a message in one line: no control sequence of any kind, newlines and tabs
/// as spaces, characters that nobody sees as `�`.
#[must_use]
pub fn clean_line(text: &str) -> String {
    neutral(text, false)
}

/// A line of output: as a name, but colour passes.
#[must_use]
pub fn clean_output(text: &str) -> String {
    neutral(text, true)
}

fn neutral(text: &str, colour: bool) -> String {
    // Nearly all text: names, classes, identities.
    let mut rest = text.as_bytes();
    while let [b' '..=b'~', more @ ..] = rest {
        rest = more;
    }
    if rest.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut coloured = false;
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match escape(&mut chars) {
                Some(sgr) if colour => {
                    coloured = true;
                    out.push_str(&sgr);
                }
                _ => {}
            },
            // The one-character form of CSI.
            '\u{9b}' => {
                let _ = csi(&mut chars);
            }
            '\n' | '\t' | '\r' => out.push(' '),
            c if c.is_control() || invisible(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    if coloured {
        out.push_str("\u{1b}[0m");
    }
    out
}

/// Takes one escape sequence away; gives it back if it is a colour.
fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    match chars.peek()? {
        '[' => {
            chars.next();
            csi(chars)
        }
        ']' | 'P' | '^' | '_' | 'X' => {
            chars.next();
            // A string sequence ends with BEL or ST; an unfinished one takes all the rest.
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    break;
                }
            }
            None
        }
        _ => {
            chars.next();
            None
        }
    }
}

fn csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut body = String::new();
    while let Some(c) = chars.next_if(|c| matches!(c, ' '..='?')) {
        body.push(c);
    }
    let last = chars.next_if(|c| matches!(c, '@'..='~'))?;
    let plain = body.chars().all(|c| c.is_ascii_digit() || c == ';' || c == ':');
    (last == 'm' && plain && body.len() <= LONGEST_SGR).then(|| format!("\u{1b}[{body}m"))
}

/// Characters that change how others are read, or that nobody sees.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        for (dirty, name, output) in [
            ("plain", "plain", "plain"),
            ("a\u{1b}[31mred", "ared", "a\u{1b}[31mred\u{1b}[0m"),
            ("a\u{1b}[2Jb", "ab", "ab"),
            ("\u{1b}]52;c;ZXZpbA==\u{7}x", "x", "x"),
            ("\u{1b}]8;;http://example.net\u{1b}\\link", "link", "link"),
            ("\u{1b}Pq never ends", "", ""),
            ("\u{9b}31mx", "x", "x"),
            ("safe\rEVIL", "safe EVIL", "safe EVIL"),
            ("a\u{202e}b", "a\u{fffd}b", "a\u{fffd}b"),
            ("a\u{200b}b\u{0}", "a\u{fffd}b\u{fffd}", "a\u{fffd}b\u{fffd}"),
            ("two\nlines\t", "two lines ", "two lines "),
            ("\u{1b}[?1049h", "", ""),
            ("\u{1b}", "", ""),
        ] {
            assert_eq!(clean_line(dirty), name, "{dirty:?}");
            assert_eq!(clean_output(dirty), output, "{dirty:?}");
        }
    }
}
