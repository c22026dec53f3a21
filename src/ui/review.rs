//! The review of a step: what would be done, to what, may it, and how it is released.

use crate::event::{StepAddr, Time};
use crate::run::{State, Status, StepState};
use crate::runbook::model::{Does, Hold, OnGuard, Step};
use crate::ui::detail::Page;
use crate::ui::model::Review;
use crate::ui::overlay::{boxed, inner_width};
use crate::ui::text::{cut, words, wrap};
use crate::ui::theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Lines that a page of it is read on by.
pub(crate) const SCROLLED: usize = 5;

pub(crate) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, open: &Review, now: Time) {
    let addr = &open.step;
    let (Some(step), Some(s)) = (state.step(addr), state.steps.get(addr)) else { return };
    if s.status != Status::Confirming {
        return between(frame, area, state, addr, s);
    }
    let width = inner_width(area);
    // How it is released stays in sight, whatever else is long.
    let tail = release(state, addr, &open.typed, width);
    let room = usize::from(area.height).saturating_sub(2 + tail.len());
    let body = |whole| {
        let mut body = plan(state, addr, step, s, width, now);
        body.extend(terms(step, s, width, now, whole));
        body.extend(commands(s, width));
        body
    };
    // Values of gates are cut before anything has to be scrolled; who scrolls reads all of them.
    let (whole, brief) = (body(true), body(false));
    let mut out = match whole.len() > room && brief.len() < room {
        true if open.scroll == 0 => cut_short(brief),
        true => window(whole, open.scroll.saturating_sub(SCROLLED), room),
        false => window(whole, open.scroll, room),
    };
    out.extend(tail);
    let digest = s
        .proposal
        .as_ref()
        .map(|(_, d)| format!(" proposal {} ", &d[..d.len().min(8)]))
        .unwrap_or_default();
    boxed(frame, area, &format!(" Release {addr} {digest}"), out);
}

fn styled(lines: Vec<String>, style: Style) -> impl Iterator<Item = Line<'static>> {
    lines.into_iter().map(move |l| Line::styled(l, style))
}

/// All of it, in lines that may end early.
fn cut_short(mut body: Vec<Line<'static>>) -> Vec<Line<'static>> {
    let says = "… what ends so goes on: PgDn has all of it";
    body.push(Line::styled(says, theme::caution()));
    body
}

/// A part of what is longer than the screen, with what there is above and below.
fn window(body: Vec<Line<'static>>, scroll: usize, room: usize) -> Vec<Line<'static>> {
    let total = body.len();
    if total <= room {
        return body;
    }
    let room = room.saturating_sub(1);
    let skip = scroll.min(total.saturating_sub(room));
    let mut out: Vec<Line<'static>> = body.into_iter().skip(skip).take(room).collect();
    let below = total.saturating_sub(skip + room);
    let says = match (skip, below) {
        (above, 0) => format!("… {above} lines above: PgUp"),
        (0, below) => format!("… {below} lines more: PgDn"),
        (above, below) => format!("… {above} lines above: PgUp, {below} more: PgDn"),
    };
    out.push(Line::styled(says, theme::caution()));
    out
}

/// What would be done, to which objects.
fn plan(
    state: &State,
    addr: &StepAddr,
    step: &Step,
    s: &StepState,
    width: usize,
    now: Time,
) -> Vec<Line<'static>> {
    let site = format!(", on site {}", state.header.site);
    let mut out = Vec::new();
    match (&s.proposal, &s.proposal_error) {
        (_, Some(why)) => out.extend(styled(words(why, width), theme::alarm())),
        (Some((p, _)), None) => {
            let sentence = format!("You are about to {}{site}", p.sentence);
            out.extend(styled(words(&sentence, width), theme::bright()));
            for t in &p.targets {
                let age = t.created.map(|c| now.since(c).brief()).unwrap_or_default();
                let uid = t.uid.clone().unwrap_or_default();
                // A name or UID that is compared is never shortened: it wraps.
                let text = format!("  {}  {uid}  {age}  {}", t.name, t.note);
                out.extend(styled(wrap(&text, width), theme::calm()));
            }
            for caution in &p.cautions {
                out.extend(styled(words(&format!("caution: {caution}"), width), theme::caution()));
            }
        }
        (None, None) if matches!(step.does, Does::Action(_)) => {
            out.push(Line::styled("resolving what would be done…", theme::dim()));
        }
        (None, None) => {
            let text = format!("{}{site}", state.title(addr));
            out.extend(styled(words(&text, width), theme::bright()));
        }
    }
    out
}

/// Gates, what changed since the last release, undo, second person, time.
fn terms(step: &Step, s: &StepState, width: usize, now: Time, whole: bool) -> Vec<Line<'static>> {
    let mut page = Page::new(width, whole);
    page.gates(s, now);
    for line in &s.changed {
        page.say("changed", line, theme::caution());
    }
    let undo = step.undo_words().unwrap_or_else(|| "nothing to undo".into());
    page.say("undo", &undo, theme::calm());
    let second = if step.hold == Hold::TwoPerson { "required" } else { "not required" };
    let estimate = step.estimate.map(|e| format!(" · takes about {e}")).unwrap_or_default();
    page.say("second", &format!("a second person is {second}{estimate}"), theme::calm());
    if step.on_breach == OnGuard::Stop {
        page.say("guard", "its breach ends what runs, before it is through", theme::calm());
    }
    page.lines
}

fn commands(s: &StepState, width: usize) -> Vec<Line<'static>> {
    let Some((p, _)) = &s.proposal else { return Vec::new() };
    let mut out = vec![Line::raw("")];
    for command in &p.commands {
        out.extend(styled(wrap(command, width), theme::dim()));
    }
    out
}

/// How it is released, or why it cannot be.
fn release(state: &State, addr: &StepAddr, typed: &str, width: usize) -> Vec<Line<'static>> {
    let mut out = vec![Line::raw("")];
    if let Some((asked, why, _)) = &state.refused {
        out.push(Line::styled(cut(&format!("refused: {asked}: {why}"), width), theme::alarm()));
    }
    if let Err(refusal) = state.releasable(addr) {
        let text = format!("Not to be released: {}", refusal.0);
        out.extend(styled(words(&text, width), theme::caution()));
        return out;
    }
    let wanted = state.confirm_text(addr);
    if wanted.is_empty() {
        out.push(Line::styled("Press Enter to release and run it", theme::bright()));
    } else {
        let text = format!("Type {wanted} and press Enter to release and run it:");
        out.extend(styled(words(&text, width), theme::calm()));
        out.push(Line::from(vec![
            Span::styled(format!("  {typed}"), theme::bright()),
            Span::raw("▏"),
        ]));
    }
    out
}

/// A review that is not open yet, that was released and is read once more, or that is void:
/// nothing here can be released, and no plan of before is shown.
fn between(frame: &mut Frame<'_>, area: Rect, state: &State, addr: &StepAddr, s: &StepState) {
    let width = inner_width(area);
    let mut out: Vec<Line<'static>> =
        styled(words(&state.title(addr), width), theme::bright()).collect();
    out.push(Line::raw(""));
    let title = if s.status == Status::Released {
        let text = "Gates and plan are read once more before anything is done…";
        out.extend(styled(words(text, width), theme::calm()));
        "Released"
    } else if s.changed.is_empty() {
        out.push(Line::styled("opening the review…", theme::dim()));
        "Review"
    } else {
        let text = "NOTHING WAS DONE. Between your release and the effect this changed:";
        out.extend(styled(words(text, width), theme::alarm()));
        for line in &s.changed {
            // Names and UIDs are compared: they wrap.
            out.extend(styled(wrap(&format!("  {line}"), width), theme::caution()));
        }
        out.push(Line::raw(""));
        let text = "That release is void. Press Enter to review the step as it is now.";
        out.extend(styled(words(text, width), theme::bright()));
        "Changed"
    };
    boxed(frame, area, &format!(" {title} {addr} "), out);
}
