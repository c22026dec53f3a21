//! The whole screen.

use crate::event::Time;
use crate::journal::Health;
use crate::run::State;
use crate::ui::keymap::footer;
use crate::ui::look::Look;
use crate::ui::model::{Model, Pane};
use crate::ui::{checklist, detail, overlay, panes, theme, title};
use crate::world::Source;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// What is drawn.
pub struct Frame<'a> {
    /// The folded state.
    pub state: &'a State,
    /// The terminal's own.
    pub model: &'a Model,
    /// The journal's health.
    pub health: &'a Health,
    /// Why nothing is executed any more.
    pub show_only: Option<&'a str>,
    /// Now.
    pub now: Time,
    /// The wall clock with its zone, as it is shown.
    pub clock: &'a str,
    /// What the terminal can show.
    pub look: Look,
}

/// Draws everything.
pub fn draw(frame: &mut ratatui::Frame<'_>, f: &Frame<'_>) {
    let area = frame.area();
    let narrow = area.width < 100 || area.height < 30;
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(3), Constraint::Length(1)])
            .areas(area);
    frame.render_widget(
        Paragraph::new(title::lines(
            f.state,
            f.health,
            f.show_only,
            f.now,
            f.clock,
            usize::from(area.width),
        )),
        top,
    );
    if f.model.zoomed {
        pane(frame, body, f, f.model.focus);
    } else if narrow {
        small(frame, body, f);
    } else {
        large(frame, body, f);
    }
    overlay::draw(frame, body, f.state, &f.model.overlay, f.now);
    bottom_line(frame, bottom, f);
    f.look.apply(frame.buffer_mut());
}

fn large(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>) {
    let detail_height = (area.height * 2 / 5).clamp(10, 18);
    let [upper, lower] =
        Layout::vertical([Constraint::Min(8), Constraint::Length(detail_height)]).areas(area);
    let list = if area.width > 160 { 60 } else { 46 };
    let [left, right] =
        Layout::horizontal([Constraint::Length(list), Constraint::Min(20)]).areas(upper);
    pane(frame, left, f, Pane::Checklist);
    let voters = u16::try_from(f.state.world.raft.voters.len()).unwrap_or(3).max(3);
    let pods = u16::try_from(f.state.world.pods.len()).unwrap_or(3).clamp(3, 8);
    let [raft, storage, below] = Layout::vertical([
        Constraint::Length(voters + 4),
        Constraint::Min(5),
        Constraint::Length(pods + 3),
    ])
    .areas(right);
    pane(frame, raft, f, Pane::Raft);
    pane(frame, storage, f, Pane::Storage);
    pane(frame, below, f, Pane::Pods);
    step(frame, lower, f);
}

/// Checklist and step, and one pane at a time.
fn small(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>) {
    let [list, detail, one, brief] = Layout::vertical([
        Constraint::Min(5),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(1),
    ])
    .areas(area);
    pane(frame, list, f, Pane::Checklist);
    step(frame, detail, f);
    let shown = if f.model.focus == Pane::Checklist { Pane::Raft } else { f.model.focus };
    pane(frame, one, f, shown);
    frame.render_widget(Paragraph::new(panes::brief(f.state, f.now)), brief);
}

fn step(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>) {
    let (head, tail) = detail::heading(f.state);
    let block = Block::bordered()
        .title(Span::styled(format!(" {head} "), theme::title()))
        .title(Line::from(format!(" {tail} ")).right_aligned());
    let lines = detail::lines(f.state, usize::from(area.width.saturating_sub(4)), f.now);
    let cut = usize::from(area.height.saturating_sub(2));
    let shown: Vec<Line<'static>> = lines.into_iter().take(cut).map(pad).collect();
    frame.render_widget(Paragraph::new(shown).block(block), area);
}

fn pad(mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, Span::raw(" "));
    line
}

fn pane(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>, which: Pane) {
    let width = usize::from(area.width.saturating_sub(4));
    let (name, source) = match which {
        Pane::Checklist => ("Runbook", None),
        Pane::Raft => ("1 Raft", Some(Source::Raft)),
        Pane::Storage => ("2 Storage", Some(Source::Claims)),
        Pane::Pods => ("4 Pods", Some(Source::Pods)),
    };
    let (mut lines, at) = match which {
        Pane::Checklist => checklist::lines(f.state, width, f.now),
        Pane::Raft => (panes::raft(f.state, width, f.now), 0),
        Pane::Storage => (panes::storage(f.state, width, f.now), 0),
        Pane::Pods => (panes::pods(f.state, width, f.now), 0),
    };
    let height = usize::from(area.height.saturating_sub(2));
    let focused = f.model.focus == which;
    let mut keep = at;
    if focused && which != Pane::Checklist {
        let first = panes::first_row(which, f.state);
        let row = (first + f.model.row).min(lines.len().saturating_sub(1));
        if let Some(line) = lines.get_mut(row) {
            *line = line
                .clone()
                .patch_style(ratatui::style::Style::default().add_modifier(Modifier::REVERSED));
        }
        keep = row;
    } else if focused {
        keep = if f.model.row == 0 { at } else { f.model.row.min(lines.len().saturating_sub(1)) };
    }
    let skip = (keep + 2).saturating_sub(height).min(lines.len().saturating_sub(height));
    let total = lines.len();
    let shown: Vec<Line<'static>> = lines.into_iter().skip(skip).take(height).map(pad).collect();
    let more = if total > height {
        format!(" {}–{} of {total} ", skip + 1, (skip + height).min(total))
    } else {
        String::new()
    };
    let mut block = Block::bordered().title(Span::styled(
        format!(" {name} "),
        if focused { theme::title() } else { theme::calm() },
    ));
    if let Some(source) = source {
        let (words, fresh) = panes::standing(f.state, source, f.now);
        let style = if fresh { theme::dim() } else { theme::caution() };
        block = block.title(Line::styled(format!(" {words} "), style).right_aligned());
    } else {
        let (over, all) = f.state.progress();
        block = block
            .title(Line::styled(format!(" {over} of {all} known "), theme::dim()).right_aligned());
    }
    if !more.is_empty() {
        block = block.title_bottom(Line::styled(more, theme::dim()).right_aligned());
    }
    frame.render_widget(Paragraph::new(shown).block(block), area);
}

fn bottom_line(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>) {
    if let Some((text, at)) = &f.model.message
        && f.now.since(*at).0 < 8_000
    {
        let line = Line::styled(
            format!(" {}", crate::ui::text::cut(text, usize::from(area.width) - 1)),
            theme::caution(),
        );
        frame.render_widget(Paragraph::new(line), area);
        return;
    }
    let mut spans = Vec::new();
    for (key, does) in footer(f.model, f.state) {
        spans.push(Span::styled(format!(" {key}"), theme::bright()));
        spans.push(Span::raw(format!(" {does}  ")));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
