//! Pods of the site's namespaces.

use super::{has, mark, nothing, standing, touched};
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

pub(crate) fn pods(state: &State, view: &View, width: usize, now: Time) -> Vec<Line<'static>> {
    let fresh = standing(state, Source::Pods, now).1;
    let names = touched(state);
    let name_w = width.saturating_sub(50).clamp(8, 40);
    let head =
        format!("{} ready {} restarts node        age", left("pod", name_w), left("status", 16));
    let mut out = vec![Line::styled(cut(&head, width), theme::dim())];
    let rows = rows(state, view);
    if rows.is_empty() {
        out.push(nothing(state, Source::Pods, view, now, width));
    }
    for p in rows {
        let age = p.created.map(|t| now.since(t).brief()).unwrap_or_default();
        let style: Style = match (fresh, p.ready == p.containers, p.status.as_str()) {
            (false, ..) => theme::dim(),
            (_, true, _) => theme::calm(),
            (_, _, "CrashLoopBackOff" | "Error" | "OOMKilled") => theme::alarm(),
            _ => theme::caution(),
        };
        let text = format!(
            "{} {} {} {} {} {}{} {}",
            left(&p.name, name_w),
            right(&format!("{}/{}", p.ready, p.containers), 5),
            left(&p.status, 16),
            right(&p.restarts.to_string(), 8),
            left(&p.node, 8),
            right(&age, 6),
            mark(&names, &p.name),
            p.reason
        );
        out.push(Line::styled(cut(text.trim_end(), width), style));
    }
    out
}
