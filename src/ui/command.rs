//! The commands of a step on the whole screen, without borders. A text that is wider than the
//! screen goes on in the next row, as a terminal itself would let it, so that a selection takes it
//! in one piece; what is higher is scrolled.

use crate::event::StepAddr;
use crate::run::{State, Status};
use crate::runbook::model::Does;
use crate::ui::detail;
use crate::ui::text::wrap;
use crate::ui::theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph};
use std::ops::RangeInclusive;

/// Rows that are one text.
pub(crate) type Joined = RangeInclusive<u16>;

/// Draws it from a row on; which rows of the screen are one text.
pub(crate) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    addr: &StepAddr,
    scroll: usize,
) -> Vec<Joined> {
    let rows = rows(state, addr, usize::from(area.width));
    let room = usize::from(area.height);
    let fits = rows.len() <= room;
    let room = if fits { room } else { room.saturating_sub(1) };
    let skip = scroll.min(rows.len().saturating_sub(room));
    let shown: Vec<&(usize, String)> = rows.iter().skip(skip).take(room).collect();
    let mut lines: Vec<Line<'static>> =
        shown.iter().map(|(_, row)| Line::raw(row.clone())).collect();
    if !fits {
        let below = rows.len() - skip - shown.len();
        let more =
            format!("# rows above: {skip} (PgUp) · below: {below} (PgDn) · y copies all of it");
        lines.push(Line::styled(more, theme::caution()));
    }
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines), area);
    joined(&shown, area.y)
}

/// The row from which on all the rest fits: below the title's two rows, and above how much there is
/// more and the keys.
pub(crate) fn last(state: &State, addr: &StepAddr, (width, height): (u16, u16)) -> usize {
    let room = usize::from(height).saturating_sub(4);
    rows(state, addr, usize::from(width)).len().saturating_sub(room)
}

fn joined(shown: &[&(usize, String)], top: u16) -> Vec<Joined> {
    let mut out: Vec<Joined> = Vec::new();
    for (y, pair) in (top..).zip(shown.windows(2)) {
        if pair[0].0 != pair[1].0 {
            continue;
        }
        match out.last_mut() {
            Some(text) if *text.end() == y => *text = *text.start()..=y + 1,
            _ => out.push(y..=y + 1),
        }
    }
    out
}

/// Each row with the text that it is of.
fn rows(state: &State, addr: &StepAddr, width: usize) -> Vec<(usize, String)> {
    let texts = texts(state, addr);
    let texts = texts.iter().flat_map(|text| text.lines()).enumerate();
    texts.flat_map(|(n, text)| wrap(text, width).into_iter().map(move |row| (n, row))).collect()
}

fn texts(state: &State, addr: &StepAddr) -> Vec<String> {
    let proposal = state.steps.get(addr).and_then(|s| s.proposal.as_ref());
    let cautions = proposal.map(|(p, _)| p.cautions.as_slice()).unwrap_or_default();
    let mut texts: Vec<String> = cautions.iter().map(|c| format!("# {c}")).collect();
    let reviewed = state.steps.get(addr).is_some_and(|s| s.status == Status::Confirming);
    if reviewed && let Err(refusal) = state.showable(addr) {
        texts.push(format!("# not to be run now: {}", refusal.0));
    }
    let does = state.step(addr).map(|step| &step.does);
    if let Some(Does::Manual { instruction, .. }) = does {
        texts.push(format!("# by hand: {}", detail::filled(state, addr, instruction)));
    }
    let commands = detail::commands(state, addr);
    if commands.is_empty() {
        texts.push(match does {
            Some(Does::Action(_)) if reviewed => "# what would be done is being resolved".into(),
            Some(Does::Action(_)) => {
                "# nothing is resolved yet: open the review (Enter) first".into()
            }
            _ => "# this step has no command".into(),
        });
    }
    texts.extend(commands);
    texts
}
