//! The whole screen.

use crate::event::Time;
use crate::journal::Health;
use crate::run::State;
use crate::ui::keymap::{Key, keys};
use crate::ui::look::Look;
use crate::ui::model::{Model, Overlay, Pane, SMALLEST};
use crate::ui::panes::Content;
use crate::ui::text::{cut, fit, words};
use crate::ui::{checklist, detail, overlay, panes, theme, title};
use crate::world::Source;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};
use std::ops::RangeInclusive;

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

/// Draws everything. Which rows of the screen are one text, of what is to be selected whole.
pub fn draw(frame: &mut ratatui::Frame<'_>, f: &Frame<'_>) -> Vec<RangeInclusive<u16>> {
    let area = frame.area();
    if !f.model.fits() {
        too_small(frame, f);
        f.look.apply(frame.buffer_mut());
        return Vec::new();
    }
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
    let joined = overlay::draw(frame, body, f.state, &f.model.overlay, f.now);
    bottom_line(frame, bottom, f);
    f.look.apply(frame.buffer_mut());
    joined
}

/// What goes on, and what size is wanted.
fn too_small(frame: &mut ratatui::Frame<'_>, f: &Frame<'_>) {
    let area = frame.area();
    let (w, h) = SMALLEST;
    let mut lines = vec![
        format!("{w}×{h} is wanted; here is {}×{}.", area.width, area.height),
        "The run goes on; q leaves.".to_owned(),
    ];
    if let Some(addr) = f.state.current()
        && let Some(s) = f.state.steps.get(&addr)
    {
        lines.push(format!("{addr}: {}", s.status.to_string().to_uppercase()));
    }
    lines.extend(f.show_only.map(|why| format!("SHOW-ONLY: {why}")));
    lines.extend(f.state.breached().map(|(id, _)| format!("✗ guard {id} BREACHED")));
    let shown: Vec<Line<'static>> =
        lines.iter().flat_map(|l| words(l, usize::from(area.width))).map(Line::raw).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

fn large(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>) {
    let detail_height = (area.height * 2 / 5).clamp(10, 18);
    let [upper, lower] =
        Layout::vertical([Constraint::Min(8), Constraint::Length(detail_height)]).areas(area);
    let list = if area.width > 160 { 64 } else { 50 };
    let [left, right] =
        Layout::horizontal([Constraint::Length(list), Constraint::Min(20)]).areas(upper);
    pane(frame, left, f, Pane::Checklist);
    let voters = u16::try_from(f.state.world.raft.voters.len()).unwrap_or(3).max(3);
    let pods = u16::try_from(f.state.world.pods.len()).unwrap_or(3).clamp(3, 8) + 3;
    // Claims, volumes and classes are more rows than the pods that use them.
    let pods = pods.min((right.height.saturating_sub(voters + 4) * 2 / 5).max(6));
    let [raft, storage, below] = Layout::vertical([
        Constraint::Length(voters + 4),
        Constraint::Min(5),
        Constraint::Length(pods),
    ])
    .areas(right);
    pane(frame, raft, f, Pane::Raft);
    pane(frame, storage, f, Pane::Storage);
    pane(frame, below, f, Pane::Pods);
    pane(frame, lower, f, Pane::Step);
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
    pane(frame, detail, f, Pane::Step);
    let shown = if f.model.focus.is_table() { f.model.focus } else { Pane::Raft };
    pane(frame, one, f, shown);
    frame.render_widget(
        Paragraph::new(panes::brief(f.state, f.now, usize::from(brief.width))),
        brief,
    );
}

fn content<'a>(f: &Frame<'a>, which: Pane, width: usize, height: usize) -> Content<'a> {
    let view = f.model.view(which);
    let focused = f.model.focus == which;
    match which {
        Pane::Checklist => {
            let (lines, at) = checklist::lines(f.state, width, f.now);
            let keep = if focused && !f.model.follows { f.model.row } else { at };
            Content::keeping(lines, keep)
        }
        // Nothing is cut where there is room; focused it is read, and scrolls.
        Pane::Step => {
            let whole = detail::lines(f.state, width, f.now, true);
            let fits = focused || whole.len() <= height;
            let lines = if fits { whole } else { detail::lines(f.state, width, f.now, false) };
            Content::keeping(lines, 0)
        }
        Pane::Raft => Content::of(panes::raft(f.state, view, width, f.now)),
        Pane::Storage => Content::of(panes::storage(f.state, view, width, f.now)),
        Pane::Pods => panes::pods(f.state, view, width, f.now),
    }
}

fn pane(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>, which: Pane) {
    let width = usize::from(area.width.saturating_sub(4));
    let height = usize::from(area.height.saturating_sub(2));
    let focused = f.model.focus == which;
    let Content { total, keep, write } = content(f, which, width, height);
    let last = total.saturating_sub(1);
    let cursor = match which {
        _ if !focused || total == 0 => None,
        Pane::Checklist => (!f.model.follows).then(|| keep.min(last)),
        Pane::Step => None,
        _ => Some(panes::line_of(f.model, f.state, f.now).min(last)),
    };
    let keep = cursor.unwrap_or(keep).min(last);
    let most = total.saturating_sub(height);
    let skip = match which {
        Pane::Step if focused => f.model.row.min(most),
        // The line below is in sight too: what comes next matters.
        _ => (keep + 2).saturating_sub(height).min(most),
    };
    let mut shown = write(skip..(skip + height).min(total));
    if let Some(line) = cursor.and_then(|c| shown.get_mut(c.checked_sub(skip)?)) {
        let turned = ratatui::style::Style::default().add_modifier(Modifier::REVERSED);
        *line = line.clone().patch_style(turned);
    }
    let shown: Vec<Line<'static>> = shown.into_iter().map(pad).collect();
    let mut block = Block::bordered();
    block = titled(block, f, which, usize::from(area.width.saturating_sub(2)));
    if total > height {
        let more = format!(" {}–{} of {total} ", skip + 1, (skip + height).min(total));
        block = block.title_bottom(Line::styled(more, theme::dim()).right_aligned());
    }
    frame.render_widget(Paragraph::new(shown).block(block), area);
}

fn pad(mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, Span::raw(" "));
    line
}

/// Name, filter and order to the left, how it is to the right; the latter gives way.
fn titled<'b>(block: Block<'b>, f: &Frame<'_>, which: Pane, width: usize) -> Block<'b> {
    let (name, (words, style)) = match which {
        Pane::Checklist => {
            let (over, all) = f.state.progress();
            ("0 Runbook".to_owned(), (format!("{over} of {all} known"), theme::dim()))
        }
        Pane::Raft => ("1 Raft".into(), standing(f, Source::Raft)),
        Pane::Storage => ("2 Storage".into(), standing(f, Source::Claims)),
        Pane::Pods => ("4 Pods".into(), standing(f, Source::Pods)),
        Pane::Step => {
            let (name, words) = detail::heading(f.state);
            (name, (words, theme::calm()))
        }
    };
    let view = f.model.view(which);
    let mut name = format!(" {name} ");
    if !view.filter.is_empty() {
        name = format!("{name}/{} ", view.filter);
    }
    if let Some(order) = panes::orders(which).get(view.order).filter(|_| view.order > 0) {
        name = format!("{name}by {order} ");
    }
    let focused = f.model.focus == which;
    let left = cut(&name, width);
    let room = width.saturating_sub(left.chars().count() + 1);
    let title = Span::styled(left, if focused { theme::title() } else { theme::calm() });
    let mut block = block.title(title);
    if room > 4 && !words.is_empty() {
        let words = format!(" {} ", cut(&words, room - 2));
        block = block.title(Line::styled(words, style).right_aligned());
    }
    if focused { block.border_style(theme::title()) } else { block }
}

fn standing(f: &Frame<'_>, source: Source) -> (String, ratatui::style::Style) {
    let (words, fresh) = panes::standing(f.state, source, f.now);
    (words, if fresh { theme::dim() } else { theme::caution() })
}

fn bottom_line(frame: &mut ratatui::Frame<'_>, area: Rect, f: &Frame<'_>) {
    let width = usize::from(area.width);
    let line = match &f.model.message {
        Some((text, at)) if f.now.since(*at).0 < 8_000 => {
            Line::styled(format!(" {text}"), theme::caution())
        }
        _ => {
            let mut spans = Vec::new();
            if f.model.overlay == Overlay::Filter {
                spans = overlay::filter_line(&f.model.view(f.model.focus).filter);
            }
            footer(spans, &keys(f.model, f.state), width)
        }
    };
    frame.render_widget(Paragraph::new(fit(line, width)), area);
}

/// As many keys as fit; the way to all of them always does.
fn footer(mut spans: Vec<Span<'static>>, keys: &[Key], width: usize) -> Line<'static> {
    let shown = |k: &Key| {
        let first = k.keys.split(' ').next().unwrap_or_default();
        [Span::styled(format!(" {first}"), theme::bright()), Span::raw(format!(" {}  ", k.short))]
    };
    let wide = |s: &[Span<'static>]| s.iter().map(Span::width).sum::<usize>();
    let help = keys.iter().find(|k| k.keys == "?").map(shown);
    let kept = help.as_ref().map_or(0, |h| wide(h) + 2);
    let mut left_out = false;
    let all = keys.iter().filter(|k| !k.short.is_empty()).map(shown);
    let total = wide(&spans) + all.clone().map(|s| wide(&s)).sum::<usize>();
    // The last key's space behind it may be missing.
    if total <= width + 2 {
        spans.extend(all.flatten());
        if let Some(last) = spans.last_mut() {
            last.content = last.content.trim_end().to_owned().into();
        }
        return Line::from(spans);
    }
    for key in all {
        if Some(&key) == help.as_ref() {
            continue;
        }
        if left_out || wide(&spans) + wide(&key) + kept > width {
            left_out = true;
        } else {
            spans.extend(key);
        }
    }
    spans.push(Span::raw(" …"));
    spans.extend(help.into_iter().flatten());
    Line::from(spans)
}
