//! The checklist: phases, items, steps.

use crate::event::{StepAddr, Time};
use crate::run::{PhaseState, PhaseStatus, State, Status};
use crate::runbook::model::Phase;
use crate::ui::text::{cut, left, right};
use crate::ui::theme;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Enough for whole titles, where only the text is wanted.
pub(crate) const WIDE: usize = 200;

/// All lines, the one of the step whose turn it is, and which steps stand where.
#[derive(Default)]
struct Page {
    lines: Vec<Line<'static>>,
    at: usize,
    steps: Vec<(usize, StepAddr)>,
}

/// All lines, and the one of the step whose turn it is.
pub(crate) fn lines(state: &State, width: usize, now: Time) -> (Vec<Line<'static>>, usize) {
    let page = page(state, width, now);
    (page.lines, page.at)
}

/// The step in a line, the last one for what lies below.
pub(crate) fn step_at(state: &State, line: usize) -> Option<StepAddr> {
    let page = page(state, WIDE, state.at);
    let line = line.min(page.lines.len().checked_sub(1)?);
    page.steps.into_iter().find(|(at, _)| *at == line).map(|(_, addr)| addr)
}

fn page(state: &State, width: usize, now: Time) -> Page {
    let mut out = Page::default();
    let current = state.current();
    let forward = state.runbook.phases.len();
    // Of what is over, the step that is run again, or is to be.
    let again = current.clone().filter(|c| state.again.as_ref() == Some(c));
    let again = again.or_else(|| state.wanted_again(now).cloned());
    let in_hand = state.phase().map(|(ps, _)| ps.id.as_str());
    for (n, ps) in state.phases.iter().enumerate() {
        let Some(phase) = state.runbook.section(&ps.id) else { continue };
        let name = if n < forward { (n + 1).to_string() } else { "BACK:".into() };
        if current.is_none() && in_hand == Some(ps.id.as_str()) {
            out.at = out.lines.len();
        }
        out.lines.push(head(&name, phase, ps, state, width, now));
        if let Some(why) = &ps.blocked {
            let why = cut(&format!("    ! {why}"), width);
            out.lines.push(Line::styled(why, theme::caution()));
        }
        let again = again.as_ref().filter(|a| a.phase == ps.id);
        if ps.status != PhaseStatus::Open {
            let again = again.map_or(&[][..], std::slice::from_ref);
            steps(&mut out, state, again, current.as_ref(), width, 2);
            continue;
        }
        if phase.each.is_none() {
            let addresses = State::addresses(phase, None);
            steps(&mut out, state, &addresses, current.as_ref(), width, 2);
            continue;
        }
        for item in &ps.items {
            let mine =
                |addr: &StepAddr| addr.phase == ps.id && addr.item.as_ref() == Some(&item.name);
            let (sign, style) = match (item.began, item.ended) {
                (Some(_), Some(_)) if skipped(state, mine) > 0 => theme::sign(Status::Skipped),
                (Some(_), Some(_)) => theme::sign(Status::Done),
                (Some(_), None) => ("▶", theme::bright()),
                _ => ("·", theme::dim()),
            };
            let leads = if state.world.raft.leader == item.name { "  (leader now)" } else { "" };
            out.lines.push(Line::from(vec![
                Span::styled(format!("  {sign} "), style),
                Span::styled(cut(&format!("{}{leads}", item.name), width.saturating_sub(4)), style),
            ]));
            if item.began.is_some() && item.ended.is_none() {
                let addresses = State::addresses(phase, Some(&item.name));
                steps(&mut out, state, &addresses, current.as_ref(), width, 4);
            } else if let Some(again) = again.filter(|a| a.item.as_ref() == Some(&item.name)) {
                steps(&mut out, state, std::slice::from_ref(again), current.as_ref(), width, 4);
            }
        }
    }
    out
}

/// How many of these steps were skipped: what they belong to is over, and not done.
fn skipped(state: &State, mine: impl Fn(&StepAddr) -> bool) -> usize {
    state.steps.iter().filter(|(addr, s)| s.status == Status::Skipped && mine(addr)).count()
}

fn head(
    n: &str,
    phase: &Phase,
    ps: &PhaseState,
    state: &State,
    width: usize,
    now: Time,
) -> Line<'static> {
    let skipped = skipped(state, |addr| addr.phase == ps.id);
    let (sign, style) = match ps.status {
        PhaseStatus::Done if skipped > 0 => theme::sign(Status::Skipped),
        PhaseStatus::Done => theme::sign(Status::Done),
        PhaseStatus::Open => ("▶", theme::bright()),
        PhaseStatus::Waiting => ("·", theme::dim()),
    };
    let known: Vec<_> = state.steps.iter().filter(|(a, _)| a.phase == ps.id).collect();
    let over = known.iter().filter(|(_, s)| s.status.is_over()).count();
    let mut tail = match ps.status {
        PhaseStatus::Waiting => String::new(),
        _ if ps.items.is_empty() => format!("{over}/{}", known.len()),
        _ => format!(
            "{} of {}",
            ps.items.iter().filter(|i| i.began.is_some()).count(),
            ps.items.len()
        ),
    };
    if skipped > 0 && ps.status == PhaseStatus::Done {
        tail = format!("{skipped} skipped · {tail}");
    }
    if let (Some(began), true) = (ps.began, ps.status == PhaseStatus::Done) {
        tail = format!("{tail} {}", right(&ps.ended.unwrap_or(now).since(began).brief(), 6));
    }
    let text = format!("{sign} {n} {}", phase.title);
    let room = width.saturating_sub(tail.chars().count() + 1);
    Line::styled(format!("{} {tail}", left(&text, room)), style)
}

fn steps(
    out: &mut Page,
    state: &State,
    addresses: &[StepAddr],
    current: Option<&StepAddr>,
    width: usize,
    indent: usize,
) {
    for addr in addresses {
        let Some(s) = state.steps.get(addr) else { continue };
        let here = Some(addr) == current;
        if here {
            out.at = out.lines.len();
        }
        out.steps.push((out.lines.len(), addr.clone()));
        // What an attempt may have done is not settled by its step's not being needed any more.
        let doubt = s.status == Status::NotNeeded && s.doubt.is_some();
        let (sign, style) = theme::sign(if doubt { Status::InDoubt } else { s.status });
        let mark = if here { "▌ " } else { "  " };
        let tail = match s.status {
            // Its evidence stands in the way of the step in hand.
            Status::Done if state.wanted_again(state.at) == Some(addr) => "TOO OLD".into(),
            Status::Pending | Status::Done => String::new(),
            other if doubt => format!("{} · IN DOUBT", other.to_string().to_uppercase()),
            other => other.to_string().to_uppercase(),
        };
        let room = width.saturating_sub(indent + 4 + tail.chars().count() + 1);
        let title: Style = if here { theme::bright() } else { style };
        out.lines.push(Line::from(vec![
            Span::styled(
                format!("{}{mark}", " ".repeat(indent.saturating_sub(2))),
                theme::bright(),
            ),
            Span::styled(format!("{sign} "), style),
            Span::styled(format!("{} ", left(&state.title(addr), room)), title),
            Span::styled(tail, style),
        ]));
    }
}
