//! What opens on top: review, commands, a typed line, a choice, text to read.

use crate::event::{StepAddr, Time};
use crate::run::{State, Status};
use crate::runbook::model::{Does, Hold, Undo};
use crate::ui::detail;
use crate::ui::model::{Overlay, Review, Writing};
use crate::ui::text::{cut, words, wrap};
use crate::ui::theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

pub(crate) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, overlay: &Overlay, now: Time) {
    match overlay {
        Overlay::None => {}
        Overlay::Review(Review { step, typed, .. }) => {
            match state.steps.get(step).map(|s| s.status) {
                Some(Status::Confirming) => review(frame, area, state, step, typed, now),
                _ => between(frame, area, state, step),
            }
        }
        Overlay::Command { step } => command(frame, area, state, step),
        Overlay::Write { what, text } => write(frame, area, what, text),
        Overlay::Choose { step, at } => choose(frame, area, state, step, *at),
        Overlay::Text { title, lines, scroll } => {
            let shown = lines.iter().skip(*scroll).map(|l| Line::raw(l.clone())).collect();
            boxed(frame, area, title.clone(), shown);
        }
    }
}

/// A box in the middle, as high as its text.
fn boxed(frame: &mut Frame<'_>, area: Rect, title: String, lines: Vec<Line<'static>>) {
    let width = area.width.saturating_sub(if area.width > 100 { 12 } else { 0 });
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let place = Rect { x, y, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), place);
}

fn inner_width(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(if area.width > 100 { 14 } else { 2 }))
}

/// A review that is not open yet, that was released and is read once more, or that is void:
/// nothing here can be released, and no plan of before is shown.
fn between(frame: &mut Frame<'_>, area: Rect, state: &State, addr: &StepAddr) {
    let Some(s) = state.steps.get(addr) else { return };
    let width = inner_width(area);
    let mut out =
        vec![Line::styled(cut(&state.title(addr), width), theme::bright()), Line::raw("")];
    let title = if s.status == Status::Released {
        out.push(Line::raw(cut(
            "Gates and plan are read once more before anything is done…",
            width,
        )));
        "Released"
    } else if s.changed.is_empty() {
        out.push(Line::styled("opening the review…", theme::dim()));
        "Review"
    } else {
        let text = "NOTHING WAS DONE. Between your release and the effect this changed:";
        out.extend(words(text, width).into_iter().map(|l| Line::styled(l, theme::alarm())));
        for line in &s.changed {
            // Names and UIDs are compared: they wrap.
            let lines = wrap(&format!("  {line}"), width);
            out.extend(lines.into_iter().map(|l| Line::styled(l, theme::caution())));
        }
        out.push(Line::raw(""));
        let text = "That release is void. Press Enter to review the step as it is now.";
        out.extend(words(text, width).into_iter().map(|l| Line::styled(l, theme::bright())));
        "Changed"
    };
    boxed(frame, area, format!(" {title} {addr} "), out);
}

fn review(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    addr: &StepAddr,
    typed: &str,
    now: Time,
) {
    let (Some(step), Some(s)) = (state.step(addr), state.steps.get(addr)) else { return };
    let width = inner_width(area);
    let mut out: Vec<Line<'static>> = Vec::new();
    let site = format!(" of site {}", state.header.site);
    match (&s.proposal, &s.proposal_error) {
        (Some((p, _)), _) => {
            let sentence = format!("You are about to {}{site}", p.sentence);
            out.extend(
                words(&sentence, width).into_iter().map(|l| Line::styled(l, theme::bright())),
            );
            for t in &p.targets {
                let age = t.created.map(|c| now.since(c).brief()).unwrap_or_default();
                let uid = t.uid.clone().unwrap_or_default();
                // A name or UID that is compared is never shortened: it wraps.
                for line in wrap(&format!("  {}  {uid}  {age}  {}", t.name, t.note), width) {
                    out.push(Line::raw(line));
                }
            }
        }
        (None, Some(why)) => {
            out.extend(words(why, width).into_iter().map(|l| Line::styled(l, theme::alarm())))
        }
        (None, None) if matches!(step.does, Does::Action(_)) => {
            out.push(Line::styled("resolving what would be done…", theme::dim()))
        }
        (None, None) => {
            out.push(Line::styled(format!("{}{site}", state.title(addr)), theme::bright()))
        }
    }
    let mut tail = Vec::new();
    tail.extend(detail::gates(s, width.saturating_sub(8), now));
    for line in &s.changed {
        tail.push(Line::styled(cut(&format!("changed: {line}"), width), theme::caution()));
    }
    let undo = match &step.undo {
        Some(Undo::None(why)) => format!("none: {why}"),
        Some(Undo::Manual(how)) => format!("by hand: {how}"),
        Some(Undo::Action(call)) => call.verb.clone(),
        None => "nothing to undo".into(),
    };
    let second = if step.hold == Hold::TwoPerson { "required" } else { "not required" };
    tail.push(Line::raw(cut(&format!("Undo   {undo}"), width)));
    let estimate = step.estimate.map(|e| format!(" · takes about {e}")).unwrap_or_default();
    tail.push(Line::raw(cut(&format!("Second person   {second}{estimate}"), width)));
    tail.extend(release_line(state, addr, typed, width));
    let room = usize::from(area.height).saturating_sub(2 + out.len() + tail.len());
    if let Some((p, _)) = &s.proposal {
        let first = p.commands.first().cloned().unwrap_or_default();
        let lines = wrap(&first, width);
        let more = lines.len() > room || p.commands.len() > 1;
        let keep = if more { room.saturating_sub(1) } else { room };
        out.extend(lines.into_iter().take(keep).map(|l| Line::styled(l, theme::dim())));
        if more && room > 0 {
            out.push(Line::styled(
                format!("… {} commands; F2 shows them all", p.commands.len()),
                theme::dim(),
            ));
        }
    }
    out.extend(tail);
    let digest = s
        .proposal
        .as_ref()
        .map(|(_, d)| format!(" proposal {} ", &d[..d.len().min(8)]))
        .unwrap_or_default();
    boxed(frame, area, format!(" Release {addr} {digest}"), out);
}

fn release_line(state: &State, addr: &StepAddr, typed: &str, width: usize) -> Vec<Line<'static>> {
    let wanted = state.confirm_text(addr);
    let mut out = vec![Line::raw("")];
    if let Some((asked, why, _)) = &state.refused {
        out.push(Line::styled(cut(&format!("refused: {asked}: {why}"), width), theme::alarm()));
    }
    if wanted.is_empty() {
        out.push(Line::styled("Press Enter to release and run it", theme::bright()));
    } else {
        for line in words(&format!("Type {wanted} and press Enter to release and run it:"), width) {
            out.push(Line::raw(line));
        }
        out.push(Line::from(vec![
            Span::styled(format!("  {typed}"), theme::bright()),
            Span::raw("▏"),
        ]));
    }
    out
}

/// The commands without borders and unwrapped, so that a terminal's own selection takes
/// them whole.
fn command(frame: &mut Frame<'_>, area: Rect, state: &State, addr: &StepAddr) {
    let mut text = String::new();
    match state.steps.get(addr).and_then(|s| s.proposal.as_ref()) {
        Some((p, _)) => {
            for c in &p.cautions {
                text.push_str(&format!("# {c}\n"));
            }
            text.push_str(&p.commands.join("\n"));
        }
        None => text.push_str("# nothing is resolved yet: open the review (Enter) first"),
    }
    frame.render_widget(Clear, area);
    let width = usize::from(area.width);
    let lines: Vec<Line<'static>> =
        text.lines().flat_map(|l| wrap(l, width)).map(Line::raw).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn write(frame: &mut Frame<'_>, area: Rect, what: &Writing, text: &str) {
    let (title, ask) = match what {
        Writing::Skip(step) => (format!(" Skip {step} "), "Why is it left out?"),
        Writing::Override(_, gate) => {
            (format!(" Override {gate} "), "Why may it go on although this does not pass?")
        }
        Writing::Hold => (" Hold the line ".into(), "Why? Nothing new starts until it is let go."),
        Writing::Abort => (" Abort the run ".into(), "Why is it given up?"),
        Writing::EndSoak(step) => (format!(" End {step} early "), "Why is the soak ended early?"),
    };
    let lines = vec![
        Line::raw(ask),
        Line::from(vec![Span::styled(text.to_owned(), theme::bright()), Span::raw("▏")]),
    ];
    boxed(frame, area, title, lines);
}

fn choose(frame: &mut Frame<'_>, area: Rect, state: &State, addr: &StepAddr, at: usize) {
    let Some(Does::Choose { question, branches }) = state.step(addr).map(|s| &s.does) else {
        return;
    };
    let scope = state.scope(Some(addr), &state.world, &[], state.at);
    let question = question.render(&scope).unwrap_or_else(|_| question.text.clone());
    let mut lines: Vec<Line<'static>> =
        words(&question, inner_width(area)).into_iter().map(Line::raw).collect();
    for (i, (id, title)) in branches.iter().enumerate() {
        let (sign, style) = if i == at { ("▌", theme::bright()) } else { (" ", theme::calm()) };
        lines.push(Line::styled(format!("{sign} {id}: {title}"), style));
    }
    boxed(frame, area, format!(" {addr} "), lines);
}
