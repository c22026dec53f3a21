//! The ways back: what each is for, and whether it is the moment.

use crate::run::State;
use crate::runbook::Scope;
use crate::runbook::model::{Step, Then, UNDO};
use crate::ui::overlay::{boxed, inner_width};
use crate::ui::text::words;
use crate::ui::theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::Value;

pub(crate) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, at: usize) {
    let width = inner_width(area).saturating_sub(4);
    let (mut lines, mut from, mut to) = (Vec::new(), 0, 0);
    for (i, way) in state.runbook.ways_back().enumerate() {
        let (sign, style) = if i == at { ("▌", theme::bright()) } else { (" ", theme::calm()) };
        let begins = lines.len();
        let mut say = |text: &str, indent: &str, style| {
            for line in words(text, width.saturating_sub(indent.len())) {
                lines.push(Line::styled(format!("{sign} {indent}{line}"), style));
            }
        };
        say(&format!("{}: {}", way.id, way.title), "", style);
        if let Some(judged) = state.offers.get(&way.id) {
            let values = judged.values.iter().map(|v| format!("{} is {}", v.name, v.value));
            let why = match judged.why.as_str() {
                "" => values.collect::<Vec<_>>().join(", "),
                why => format!("the change window: {why}"),
            };
            say(&format!("OFFERED: {why}"), "  ", theme::caution());
        }
        if i == at {
            about(state, &way.id).iter().for_each(|text| say(text, "  ", theme::dim()));
            (from, to) = (begins, lines.len());
        }
    }
    let lines = in_sight(lines, (from, to), usize::from(area.height.saturating_sub(2)));
    boxed(frame, area, " Ways back ", lines);
}

/// The lines from `from` to `to`, and as many around them as there is room for; that the list goes on
/// is said where it does.
fn in_sight(
    mut lines: Vec<Line<'static>>,
    (from, to): (usize, usize),
    room: usize,
) -> Vec<Line<'static>> {
    if lines.len() <= room {
        return lines;
    }
    // A line above and one below say what is not shown.
    let above = match to < room {
        true => 0,
        false => (to + 2).saturating_sub(room).min(from),
    };
    let mut shown: Vec<Line<'static>> = Vec::new();
    let mut rest = lines.split_off(above);
    if above > 0 {
        shown.push(Line::styled(format!("… {above} lines above: k"), theme::dim()));
    }
    let fits = room.saturating_sub(shown.len());
    let below = rest.len().saturating_sub(fits);
    if below > 0 {
        rest.truncate(fits.saturating_sub(1));
        let more = format!("… {} lines more below: j", below + 1);
        rest.push(Line::styled(more, theme::caution()));
    }
    shown.extend(rest);
    shown
}

/// What a way back does, before it is begun.
fn about(state: &State, section: &str) -> Vec<String> {
    if section == UNDO {
        return undone(state);
    }
    let Some(way) = state.runbook.section(section) else { return Vec::new() };
    let scope = state.scope(None, &state.world, &[], state.at);
    let name = way.each.as_ref().map(|each| (each.var.as_str(), format!("<{}>", each.var)));
    let item = name.as_ref().map(|(var, name)| (*var, name.as_str(), state.at));
    let title = |step: &Step| {
        let title = step.title.render(&Scope { item, ..scope });
        format!("- {}", title.unwrap_or_else(|_| step.title.text.clone()))
    };
    let mut lines: Vec<_> = way.steps.iter().map(title).collect();
    if let Some(each) = &way.each {
        let of = match each.of.eval(&scope).ok().as_ref().and_then(Value::as_array) {
            Some(items) if !items.is_empty() => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
            }
            Some(_) => "nobody now".into(),
            None => "not known now".into(),
        };
        lines.insert(0, format!("For each {} ({of}):", each.var));
    }
    lines.push(match state.runbook.then(section) {
        Then::End => "Then the run ends.".to_owned(),
        Then::Return => "Then the run goes on where it stood.".to_owned(),
    });
    lines
}

fn undone(state: &State) -> Vec<String> {
    let mut lines = state.undone();
    lines.push(match state.undoable().is_empty() {
        true => "Nothing was done yet that says how it is undone.".into(),
        false => "Then the run ends.".into(),
    });
    lines
}
