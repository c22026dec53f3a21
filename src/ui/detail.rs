//! The step in hand: why, what it would do, may it, and its output.

use crate::event::{StepAddr, Time};
use crate::run::{State, Status, StepState};
use crate::runbook::model::{Does, Risk, Undo};
use crate::ui::text::{cut, words};
use crate::ui::theme;
use ratatui::text::{Line, Span};

/// What the step's pane is called.
pub(crate) fn heading(state: &State) -> (String, String) {
    match state.current() {
        Some(addr) => {
            let risk = match state.step(&addr).map(|s| s.risk) {
                Some(Risk::Destructive) => "destructive",
                Some(Risk::PointOfNoReturn) => "point of no return",
                _ => "reversible",
            };
            let status = state.steps.get(&addr).map(|s| s.status.to_string()).unwrap_or_default();
            (format!("Step {addr}"), format!("{risk} · {status}"))
        }
        None if state.ended == Some(true) => ("Done".into(), String::new()),
        None => ("Between steps".into(), String::new()),
    }
}

fn labelled(label: &str, text: Vec<Span<'static>>) -> Line<'static> {
    let mut spans = vec![Span::styled(format!("{label:<7} "), theme::dim())];
    spans.extend(text);
    Line::from(spans)
}

/// The pane's lines.
pub(crate) fn lines(state: &State, width: usize, now: Time) -> Vec<Line<'static>> {
    let Some(addr) = state.current() else { return ending(state) };
    let (Some(step), Some(s)) = (state.step(&addr), state.steps.get(&addr)) else {
        return Vec::new();
    };
    let room = width.saturating_sub(8);
    let mut out = vec![Line::styled(cut(&state.title(&addr), width), theme::bright())];
    let scope = state.scope(Some(&addr), &state.world, &[], state.at);
    if let Some(why) = &step.why {
        let text = why.render(&scope).unwrap_or_else(|_| why.text.clone());
        out.push(labelled("why", vec![Span::raw(cut(&text, room))]));
    }
    what(&mut out, state, &addr, s, room);
    out.extend(gates(s, room, now));
    if let Some(v) = &s.verify {
        let (sign, style) = theme::verdict(v.verdict);
        let text = if v.why.is_empty() {
            format!("{} passes in a row", s.streak.0)
        } else {
            v.why.clone()
        };
        out.push(labelled(
            "verify",
            vec![
                Span::styled(format!("{sign} "), style),
                Span::raw(cut(&text, room.saturating_sub(2))),
            ],
        ));
    }
    for (id, g) in state.breached() {
        out.push(labelled(
            "guard",
            vec![Span::styled(cut(&format!("✗ {id}: {}", g.judged.why), room), theme::alarm())],
        ));
    }
    let undo = match &step.undo {
        Some(Undo::None(why)) => Some(format!("none: {why}")),
        Some(Undo::Manual(how)) => Some(format!("by hand: {how}")),
        Some(Undo::Action(call)) => Some(call.verb.clone()),
        None => None,
    };
    if let Some(undo) = undo {
        out.push(labelled("undo", vec![Span::raw(cut(&undo, room))]));
    }
    trouble(&mut out, s, room);
    // Only what this very step said.
    let since = s.began.unwrap_or(now);
    let said: Vec<_> = state.output.iter().filter(|l| l.at >= since).collect();
    for line in said.iter().skip(said.len().saturating_sub(6)) {
        out.push(Line::styled(
            cut(&format!("  | {}", crate::text::clean_line(&line.text)), width),
            theme::dim(),
        ));
    }
    out
}

fn ending(state: &State) -> Vec<Line<'static>> {
    let text = match (&state.aborted, state.ended) {
        (Some(reason), _) => format!("The run was aborted: {reason}"),
        (None, Some(true)) => {
            "Every step is done and verified. q leaves; the journal is closed.".into()
        }
        (None, Some(false)) => "The run ended before it was done.".into(),
        (None, None) => "Looking at what comes next…".into(),
    };
    vec![Line::styled(text, theme::bright())]
}

fn what(out: &mut Vec<Line<'static>>, state: &State, addr: &StepAddr, s: &StepState, room: usize) {
    let scope = state.scope(Some(addr), &state.world, &[], state.at);
    let fill = |t: &crate::runbook::Template| t.render(&scope).unwrap_or_else(|_| t.text.clone());
    let will = |text: String| labelled("will", vec![Span::raw(cut(&text, room))]);
    match state.step(addr).map(|d| &d.does) {
        Some(Does::Action(call)) => match &s.proposal {
            Some((p, _)) => {
                out.push(will(p.sentence.clone()));
                if let Some(first) = p.commands.first() {
                    let more = if p.commands.len() > 1 {
                        format!(" (1 of {}, c: all)", p.commands.len())
                    } else {
                        String::new()
                    };
                    out.push(labelled("do", vec![Span::raw(cut(&format!("{first}{more}"), room))]));
                }
            }
            None => out.push(will(format!("{}; Enter resolves it to the objects", call.verb))),
        },
        Some(Does::Choose { question, branches }) => {
            out.push(labelled("asks", vec![Span::raw(cut(&fill(question), room))]));
            for (id, title) in branches {
                out.push(labelled("", vec![Span::raw(cut(&format!("{id}: {title}"), room))]));
            }
        }
        Some(Does::Manual { instruction, command }) => {
            for line in words(&fill(instruction), room) {
                out.push(labelled("do", vec![Span::raw(line)]));
            }
            if let Some(command) = command {
                out.push(labelled("", vec![Span::raw(cut(&fill(command), room))]));
            }
        }
        Some(Does::Soak { length, .. }) => {
            let done = crate::event::Span(s.soak.observed_ms).brief();
            let text = format!("watched for {done} of {}", fill(length));
            out.push(labelled("soak", vec![Span::raw(cut(&text, room))]));
            if let Some(broken) = &s.soak.broken {
                out.push(labelled(
                    "broke",
                    vec![Span::styled(cut(broken, room), theme::caution())],
                ));
            }
        }
        _ => {}
    }
}

/// Gates with verdict, reason or values, and age.
pub(crate) fn gates(s: &StepState, room: usize, now: Time) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for (i, g) in s.gates.iter().enumerate() {
        let (sign, style) = theme::verdict(g.judged.verdict);
        let overridden =
            s.overrides.get(&g.gate).map(|r| format!("  OVERRIDDEN: {r}")).unwrap_or_default();
        let age = g
            .judged
            .oldest()
            .map(|t| format!("  {} ago", now.since(t).brief()))
            .unwrap_or_default();
        let values: Vec<_> = g
            .judged
            .values
            .iter()
            .filter(|v| !v.value.is_empty())
            .map(|v| format!("{} {}", v.name, v.value))
            .collect();
        let basis = if g.judged.why.is_empty() { values.join(", ") } else { g.judged.why.clone() };
        let text = format!("{}{overridden}: {basis}", g.says);
        let text = format!("{}{age}", cut(&text, room.saturating_sub(2 + age.chars().count())));
        let label = if i == 0 { "gates" } else { "" };
        out.push(labelled(label, vec![Span::styled(format!("{sign} "), style), Span::raw(text)]));
    }
    out
}

fn trouble(out: &mut Vec<Line<'static>>, s: &StepState, room: usize) {
    if let Some(why) = &s.why {
        let style = if matches!(s.status, Status::Failed | Status::InDoubt) {
            theme::alarm()
        } else {
            theme::caution()
        };
        out.push(labelled(&s.status.to_string(), vec![Span::styled(cut(why, room), style)]));
    }
    if let Some((verdict, why)) = &s.probed {
        out.push(labelled("probe", vec![Span::raw(cut(&format!("{verdict:?}: {why}"), room))]));
    }
    if let Some(why) = &s.proposal_error {
        out.push(labelled("cannot", vec![Span::styled(cut(why, room), theme::alarm())]));
    }
    for line in &s.changed {
        out.push(labelled("changed", vec![Span::styled(cut(line, room), theme::caution())]));
    }
}
