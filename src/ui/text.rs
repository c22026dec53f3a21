//! Fitting text into columns by display width.

use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// At most `width` columns; what is cut ends in `…`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// A line of at most `width` columns; what is cut ends in `…`, in the style of what it
/// was cut from.
pub(crate) fn fit(line: Line<'static>, width: usize) -> Line<'static> {
    if line.width() <= width {
        return line;
    }
    let mut fitted = Line { spans: Vec::new(), ..line };
    let mut room = width;
    for span in line.spans {
        let wide = span.width();
        // The last column is the ellipsis's: something behind this is cut in any case.
        if wide < room {
            room -= wide;
            fitted.spans.push(span);
            continue;
        }
        let text = format!("{} ", span.content);
        fitted.spans.push(Span { content: cut(&text, room).into(), ..span });
        break;
    }
    fitted
}

/// Exactly `width` columns, to the left.
pub(crate) fn left(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let pad = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(pad))
}

/// Exactly `width` columns, to the right: numbers.
pub(crate) fn right(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let pad = width.saturating_sub(text.width());
    format!("{}{text}", " ".repeat(pad))
}

/// In lines of at most `width` columns, at any character: commands and UIDs are compared,
/// not read.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > width.max(1) {
            lines.push(String::new());
            used = 0;
        }
        used += w;
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
    }
    lines
}

/// In lines of at most `width` columns, between words where there are any.
pub(crate) fn words(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if word.width() > width {
            lines.extend(wrap(word, width));
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// `88,214`: digits in groups.
pub(crate) fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if n < 0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cut_in_silence() {
        for (text, width, wanted) in
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 2, ""), ("abc", 1, "…"), ("abc", 0, "")]
        {
            assert_eq!(cut(text, width), wanted);
        }
        for (width, wanted) in [(6, "abcdef"), (5, "abcd…"), (4, "abc…"), (3, "ab…"), (0, "")]
        {
            let line = Line::from(vec![Span::raw("abc"), Span::raw("def")]);
            assert_eq!(fit(line, width).to_string(), wanted);
        }
        assert_eq!(left("a", 3), "a  ");
        assert_eq!(right("a", 3), "  a");
        assert_eq!(wrap("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(words("one two three", 7), ["one two", "three"]);
        for (n, wanted) in [
            (0, "0"),
            (999, "999"),
            (88_214, "88,214"),
            (-1234, "-1,234"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(n), wanted);
        }
    }
}
