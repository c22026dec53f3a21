//! Texts that are wider than the screen: given to the terminal in one piece, it breaks them itself
//! and knows that their rows are one line, so that a selection has no line ends of its own.

use crate::session::terminal::{Screen, anew};
use crate::ui::{Frame, draw};
use crossterm::cursor::MoveTo;
use crossterm::queue;
use crossterm::style::Print;
use ratatui::buffer::Buffer;
use std::io::Write;
use std::ops::RangeInclusive;

/// The row in which it begins, what it says, and the screen's width, by which it is broken.
type Text = (u16, String, u16);

/// Those that the terminal has in one piece.
#[derive(Default)]
pub(crate) struct Joined(Vec<Text>);

impl Joined {
    /// Draws the screen; `any`: there may be such texts on it.
    pub(crate) fn draw(
        &mut self,
        screen: &mut Screen,
        frame: &Frame<'_>,
        any: bool,
    ) -> std::io::Result<()> {
        // Rows that were one text are rows again: the terminal forgets it with what they say.
        if !self.0.is_empty() && !any {
            anew(screen)?;
            self.0.clear();
        }
        let mut joined = Vec::new();
        let drawn = screen.draw(|f| joined = draw(f, frame))?;
        let texts = texts(drawn.buffer, &joined);
        if texts == self.0 {
            return Ok(());
        }
        if !self.0.is_empty() {
            anew(screen)?;
            screen.draw(|f| drop(draw(f, frame)))?;
        }
        join(screen.backend_mut(), &texts)?;
        self.0 = texts;
        Ok(())
    }
}

/// The texts in these rows of the screen.
fn texts(screen: &Buffer, joined: &[RangeInclusive<u16>]) -> Vec<Text> {
    let width = screen.area.width;
    let row = |y: u16| -> String {
        // What lies under the second half of a wide character is no text.
        let mut cells = (0..width).map(|x| screen[(x, y)].symbol());
        let mut text = String::new();
        while let Some(symbol) = cells.next() {
            text.push_str(symbol);
            let wide = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            for _ in 0..wide {
                cells.next();
            }
        }
        text
    };
    let text = |rows: &RangeInclusive<u16>| {
        let whole: String = rows.clone().map(row).collect();
        (*rows.start(), whole.trim_end().to_owned(), width)
    };
    joined.iter().map(text).collect()
}

/// Writes them over the same cells.
fn join(out: &mut impl Write, texts: &[Text]) -> std::io::Result<()> {
    for (y, text, _) in texts {
        queue!(out, MoveTo(0, *y), Print(text))?;
    }
    out.flush()
}
