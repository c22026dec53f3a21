//! Pods of the site's namespaces.

use super::{Content, has, mark, nothing, ours_first, standing, touched};
use crate::event::Time;
use crate::run::State;
use crate::ui::model::View;
use crate::ui::text::{cut, left, right};
use crate::ui::theme;
use crate::world::{Pod, Source};
use ratatui::style::Style;
use ratatui::text::Line;
use std::cmp::Reverse;

pub(super) fn rows<'a>(state: &'a State, view: &View) -> Vec<&'a Pod> {
    let has = |p: &&Pod| has(view, &[&p.name, &p.status, &p.node, &p.reason]);
    let mut rows: Vec<&Pod> = state.world.pods.iter().filter(has).collect();
    match view.order {
        0 => ours_first(state, &mut rows, |p| &p.namespace),
        // What is not ready first.
        1 => rows.sort_by(|a, b| {
            let ready = |p: &Pod| p.ready == p.containers;
            (ready(a), &a.status).cmp(&(ready(b), &b.status))
        }),
        2 => rows.sort_by_key(|p| Reverse(p.restarts)),
        3 => rows.sort_by_key(|p| Reverse(p.created)),
        4 => rows.sort_by(|a, b| a.node.cmp(&b.node)),
        _ => {}
    }
    rows
}

/// There may be 20,000 of them: a line is written when it is seen.
pub(crate) fn pods<'a>(state: &'a State, view: &View, width: usize, now: Time) -> Content<'a> {
    let rows = rows(state, view);
    if rows.is_empty() {
        return Content::of(vec![heading(width), nothing(state, Source::Pods, view, now, width)]);
    }
    let fresh = standing(state, Source::Pods, now).1;
    let names = touched(state);
    let touched = rows.iter().rposition(|p| !mark(&names, &p.name).is_empty());
    Content {
        total: rows.len() + 1,
        keep: touched.map_or(0, |row| row + 1),
        write: Box::new(move |lines| {
            let line = |n: usize| match n.checked_sub(1) {
                None => heading(width),
                Some(row) => one(rows[row], &names, fresh, width, now),
            };
            lines.map(line).collect()
        }),
    }
}

fn name_width(width: usize) -> usize {
    width.saturating_sub(50).clamp(8, 40)
}

fn heading(width: usize) -> Line<'static> {
    let (name, status) = (left("pod", name_width(width)), left("status", 16));
    let head = format!("{name} ready {status} restarts node        age");
    Line::styled(cut(&head, width), theme::dim())
}

fn one(p: &Pod, names: &[String], fresh: bool, width: usize, now: Time) -> Line<'static> {
    let age = p.created.map(|t| now.since(t).brief()).unwrap_or_default();
    let style: Style = match (fresh, p.ready == p.containers, p.status.as_str()) {
        (false, ..) => theme::dim(),
        (_, true, _) => theme::calm(),
        (_, _, "CrashLoopBackOff" | "Error" | "OOMKilled") => theme::alarm(),
        _ => theme::caution(),
    };
    let text = format!(
        "{} {} {} {} {} {}{} {}",
        left(&p.name, name_width(width)),
        right(&format!("{}/{}", p.ready, p.containers), 5),
        left(&p.status, 16),
        right(&p.restarts.to_string(), 8),
        left(&p.node, 8),
        right(&age, 6),
        mark(names, &p.name),
        p.reason
    );
    Line::styled(cut(text.trim_end(), width), style)
}
