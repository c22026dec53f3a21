//! What opens on top: a typed line, a choice, text to read. The review and the commands have
//! rooms of their own.

use crate::event::{Actor, StepAddr, Time};
use crate::run::State;
use crate::runbook::model::Does;
use crate::ui::command::{self, Joined};
use crate::ui::detail;
use crate::ui::model::{Overlay, Reading, Writing};
use crate::ui::text::{cut, words, wrap};
use crate::ui::{back, review, theme};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

/// Which rows of the screen are one text, of what is to be selected whole.
pub(crate) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    overlay: &Overlay,
    now: Time,
) -> Vec<Joined> {
    match overlay {
        Overlay::None | Overlay::Filter => {}
        Overlay::Review(open) => review::draw(frame, area, state, open, now),
        Overlay::Command { step, scroll } => {
            return command::draw(frame, area, state, step, *scroll);
        }
        Overlay::Write { what, text } => write(frame, area, state, what, text),
        Overlay::Free { held } => free(frame, area, state, held),
        Overlay::Choose { step, at } => choose(frame, area, state, step, *at),
        Overlay::Back { at } => back::draw(frame, area, state, *at),
        Overlay::Text { text, typing } => reading(frame, area, text, *typing),
    }
    Vec::new()
}

/// A box in the middle, as high as its text.
pub(crate) fn boxed(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'static>>) {
    let width = area.width.saturating_sub(if area.width > 100 { 12 } else { 0 });
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let place = Rect { x, y, width, height };
    let title = cut(title, usize::from(width.saturating_sub(2)));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), place);
}

pub(crate) fn inner_width(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(if area.width > 100 { 14 } else { 2 }))
}

/// What is typed behind a colon.
pub(crate) const COMMANDS: &str = "take-lease [REASON] · journal move DIR";
/// Who holds the line and why, and what of it still stands.
fn free(frame: &mut Frame<'_>, area: Rect, state: &State, (reason, by): &(String, Actor)) {
    let width = inner_width(area);
    let mut text = vec![format!("{by} holds the line: {reason}")];
    text.extend(state.breached().map(|(id, g)| {
        format!("guard {id} is still breached ({}): it stays a gate of every step", g.judged.why)
    }));
    let mut lines: Vec<Line<'static>> = text
        .iter()
        .flat_map(|t| words(t, width))
        .map(|l| Line::styled(l, theme::caution()))
        .collect();
    lines.push(Line::raw("Enter lets it go: what waits then starts. Esc leaves it held."));
    boxed(frame, area, " Free the line ", lines);
}

/// What a gate says that is being overridden; of one that says something else by now, that.
fn overridden(state: &State, step: &StepAddr, gate: &str, seen: &str) -> (String, Style) {
    let s = state.steps.get(step);
    let found = s.and_then(|s| s.gates.iter().find(|g| g.gate == gate));
    let (Some(s), Some(g)) = (s, found) else { return (String::new(), theme::calm()) };
    let said = format!("{}: {} ({})", g.says, g.judged.verdict, g.judged.why);
    if s.mark(gate).as_deref() == Some(seen) {
        return (said, theme::calm());
    }
    (format!("It says something else now: {said}. Esc, and read it again."), theme::alarm())
}

fn write(frame: &mut Frame<'_>, area: Rect, state: &State, what: &Writing, text: &str) {
    let (title, ask) = match what {
        Writing::Skip(step) => (format!(" Skip {step} "), "Why is it left out?"),
        Writing::Override(_, gate, _) => {
            (format!(" Override {gate} "), "Why may it go on although this does not pass?")
        }
        Writing::Hold => (" Hold the line ".into(), "Why? Nothing new starts until it is let go."),
        Writing::Abort => (" Abort the run ".into(), "Why is it given up?"),
        Writing::Command => (" : ".into(), COMMANDS),
        Writing::EndSoak(step) => (format!(" End {step} early "), "Why is the soak ended early?"),
        Writing::GoBack(section) => (
            format!(" Go back: {section} "),
            "Why? Its steps come one by one; each waits for a release of its own.",
        ),
        Writing::LeaveBack => (
            " Forward again ".into(),
            "Why? Only a way back on which nothing was done yet can be left.",
        ),
        Writing::Poll(step) => {
            (format!(" Go or no-go: {step} "), "Who says what? NAME go, or NAME no-go REASON.")
        }
        Writing::WindowWhy(_) => {
            (" Another change window ".into(), "Why does it take the place of the one there is?")
        }
        Writing::Window => (
            " Change window ".into(),
            "START or START/END: now, +30m, 2026-04-25T22:00:00Z; END also as a length, 4h. Empty: now.",
        ),
    };
    let mut lines: Vec<Line<'static>> = Vec::new();
    if let Writing::WindowWhy(window) = what {
        lines.push(Line::raw(format!("From now on: {window}")));
    }
    if let Writing::Override(step, gate, seen) = what {
        let (said, style) = overridden(state, step, gate, seen);
        lines.extend(words(&said, inner_width(area)).into_iter().map(|l| Line::styled(l, style)));
    }
    lines.extend(words(ask, inner_width(area)).into_iter().map(Line::raw));
    if let (Writing::Window | Writing::WindowWhy(_), Some(window)) = (what, state.window) {
        lines.push(Line::styled(format!("Until now: {window}"), theme::dim()));
    }
    if let Writing::Poll(step) = what {
        let said = polled(state, step).join(" · ");
        lines.extend(
            words(&said, inner_width(area)).into_iter().map(|l| Line::styled(l, theme::dim())),
        );
    }
    let typed = wrap(&format!("{text}▏"), inner_width(area));
    lines.extend(typed.into_iter().map(|l| Line::styled(l, theme::bright())));
    boxed(frame, area, &title, lines);
}

/// What everybody who is asked said so far.
fn polled(state: &State, addr: &StepAddr) -> Vec<String> {
    let poll = state.step(addr).and_then(|step| step.poll.as_ref());
    let of = poll.map(|p| p.of.as_slice()).unwrap_or_default();
    let said = |who: &String| match state.steps.get(addr).and_then(|s| s.polled.get(who)) {
        Some(said) if said.go => format!("{who}: go"),
        Some(said) => format!("{who}: no-go, {}", said.reason),
        None => format!("{who}: nothing yet"),
    };
    of.iter().map(said).collect()
}

fn choose(frame: &mut Frame<'_>, area: Rect, state: &State, addr: &StepAddr, at: usize) {
    let Some(Does::Choose { question, branches }) = state.step(addr).map(|s| &s.does) else {
        return;
    };
    let width = inner_width(area);
    let question = detail::filled(state, addr, question);
    let mut lines: Vec<Line<'static>> =
        words(&question, width).into_iter().map(Line::raw).collect();
    for (i, (id, title)) in branches.iter().enumerate() {
        let (sign, style) = if i == at { ("▌", theme::bright()) } else { (" ", theme::calm()) };
        for (n, line) in
            words(&format!("{id}: {title}"), width.saturating_sub(4)).iter().enumerate()
        {
            let indent = if n == 0 { "" } else { "  " };
            lines.push(Line::styled(format!("{sign} {indent}{line}"), style));
        }
    }
    boxed(frame, area, &format!(" {addr} "), lines);
}

/// Long lines wrap; scrolling goes by lines as they came.
fn reading(frame: &mut Frame<'_>, area: Rect, text: &Reading, typing: bool) {
    let width = inner_width(area);
    let height = usize::from(area.height.saturating_sub(2));
    let find = text.find.to_lowercase();
    let mut shown: Vec<Line<'static>> = Vec::new();
    let mut last = text.scroll;
    for line in text.lines.iter().skip(text.scroll) {
        if shown.len() >= height {
            break;
        }
        let hit = !find.is_empty() && line.to_lowercase().contains(&find);
        let style = if hit { theme::bright() } else { theme::calm() };
        shown.extend(wrap(line, width).into_iter().map(|l| Line::styled(l, style)));
        last += 1;
    }
    // A line of which only the beginning fits says so.
    if shown.len() > height {
        shown.truncate(height.saturating_sub(1));
        shown.push(Line::styled("…", theme::dim()));
    }
    let mut title = text.title.clone();
    if text.scroll > 0 || last < text.lines.len() {
        title = format!("{title}{}–{last} of {} ", text.scroll + 1, text.lines.len());
    }
    if typing || !text.find.is_empty() {
        let cursor = if typing { "▏" } else { "" };
        let hits = text.lines.iter().filter(|l| l.to_lowercase().contains(&find)).count();
        title = format!("{title}/{}{cursor} {hits} found ", text.find);
    }
    // The box keeps its height while one scrolls, so that it does not jump.
    let all = text.lines.len().min(height);
    shown.extend(std::iter::repeat_n(Line::raw(""), all.saturating_sub(shown.len())));
    boxed(frame, area, &title, shown);
}

/// A line that is typed into, for the last line of the screen.
pub(crate) fn filter_line(filter: &str) -> Vec<Span<'static>> {
    vec![Span::styled(format!(" /{filter}▏ "), theme::bright())]
}
