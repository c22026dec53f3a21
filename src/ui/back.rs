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
    let mut lines = Vec::new();
    for (i, way) in state.runbook.ways_back().enumerate() {
        let (sign, style) = if i == at { ("▌", theme::bright()) } else { (" ", theme::calm()) };
        let mut say = |text: &str, indent: &str, style| {
            for line in words(text, width.saturating_sub(indent.len())) {
                lines.push(Line::styled(format!("{sign} {indent}{line}"), style));
            }
        };
        say(&format!("{}: {}", way.id, way.title), "", style);
        if let Some(judged) = state.offers.get(&way.id) {
            let values: Vec<_> =
                judged.values.iter().map(|v| format!("{} is {}", v.name, v.value)).collect();
            say(&format!("OFFERED: {}", values.join(", ")), "  ", theme::caution());
        }
        if i == at {
            about(state, &way.id).iter().for_each(|text| say(text, "  ", theme::dim()));
        }
    }
    boxed(frame, area, " Ways back ", lines);
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
