//! Classes with their consumers, then the claims of the site's namespaces, then volumes.

use super::{has, mark, nothing, ours, ours_first, standing, touched, volumes};
use crate::event::Time;
use crate::run::State;
use crate::ui::model::View;
use crate::ui::text::{cut, fit, left, right};
use crate::ui::theme;
use crate::world::{Claim, Class, Consumers, Source};
use ratatui::text::{Line, Span};

/// Classes that anything uses, and those that claims are moved to.
pub(super) fn used(state: &State) -> impl Iterator<Item = &Class> {
    let named = ours(state);
    let classes = state.world.classes.iter();
    classes.filter(move |c| c.consumers != Consumers::default() || named.contains(&c.name.as_str()))
}

/// The line of a row: below the classes and their heading claims, below these volumes.
pub(super) fn line_of(state: &State, view: &View, row: usize) -> usize {
    let (above, claims) = (used(state).count() + 2, rows(state, view).len());
    match row.checked_sub(claims) {
        // Without a claim there is a line that says so.
        Some(volume) if !volumes::rows(state, view).is_empty() => {
            above + claims.max(1) + 1 + volume
        }
        _ => above + row,
    }
}

pub(super) fn rows<'a>(state: &'a State, view: &View) -> Vec<&'a Claim> {
    let pods = &state.world.pods;
    let mut rows: Vec<&Claim> = state
        .world
        .claims
        .iter()
        .filter(|c| pods.is_empty() || pods.has_namespace(&c.namespace))
        .filter(|c| has(view, &[&c.name, &c.class, &c.volume, how(c).0]))
        .collect();
    match view.order {
        0 => ours_first(state, &mut rows, |c| &c.namespace),
        1 => rows.sort_by(|a, b| a.class.cmp(&b.class)),
        2 => rows.sort_by_key(|c| std::cmp::Reverse(c.created)),
        3 => rows.sort_by_key(|c| how(c).1),
        _ => {}
    }
    rows
}

/// A claim's state in a word, and its place among states: what is not as it should be first.
fn how(c: &Claim) -> (&str, u8) {
    match (c.deleting, c.phase.as_str()) {
        (true, _) => ("DELETING", 0),
        (false, "Bound") => ("Bound", 2),
        (false, other) => (other, 1),
    }
}

pub(crate) fn storage(state: &State, view: &View, width: usize, now: Time) -> Vec<Line<'static>> {
    let fresh = standing(state, Source::Claims, now).1 && standing(state, Source::Classes, now).1;
    let mut out = Vec::new();
    let row_style = if fresh { theme::calm() } else { theme::dim() };
    let head = format!("{}  bound  ours  released", left("class", 24));
    out.push(Line::styled(cut(&head, width), theme::dim()));
    for c in used(state) {
        let n = &c.consumers;
        let text = format!(
            "{} {} {} ",
            left(&c.name, 24),
            right(&n.bound.to_string(), 6),
            right(&n.ours.to_string(), 5),
        );
        let left_behind = if fresh && n.released > 0 { theme::caution() } else { row_style };
        let released = Span::styled(right(&n.released.to_string(), 9), left_behind);
        out.push(fit(Line::from(vec![Span::styled(text, row_style), released]), width));
    }
    claims(&mut out, state, view, width, now, fresh);
    out.extend(volumes::lines(state, view, width, now));
    out
}

/// The volume's column widens first, to a whole UID; the name gives way last.
fn claims(
    out: &mut Vec<Line<'static>>,
    state: &State,
    view: &View,
    width: usize,
    now: Time,
    fresh: bool,
) {
    let names = touched(state);
    let name_w = width.saturating_sub(47).clamp(14, 30);
    let volume_w = width.saturating_sub(name_w + 21 + 6 + 12 + 4).clamp(8, 36);
    let head = format!(
        "{} {} {} {}  state",
        left("claim", name_w),
        left("class", 21),
        left("volume", volume_w),
        right("age", 6)
    );
    out.push(Line::styled(cut(&head, width), theme::dim()));
    let rows = rows(state, view);
    if rows.is_empty() {
        out.push(nothing(state, Source::Claims, view, now, width));
    }
    for c in rows {
        let age = c.created.map(|t| now.since(t).brief()).unwrap_or_default();
        let volume = c.volume.strip_prefix("pvc-").unwrap_or(&c.volume);
        let (word, place) = how(c);
        let said = match place {
            0 => {
                let since = c.deleting_since.map(|t| now.since(t).brief()).unwrap_or_default();
                format!("{word} {since} held by {}", c.finalizers.join(","))
            }
            1 => word.to_uppercase(),
            _ => word.to_owned(),
        };
        // Before the plan is resolved a claim is known by the pod that it belongs to.
        let touched = std::iter::once(&c.name).chain(&c.pods).map(|n| mark(&names, n));
        let touched = touched.max_by_key(|m| m.len()).unwrap_or_default();
        let text = format!(
            "{} {} {} {}  {said}{touched}",
            left(&c.name, name_w),
            left(&c.class, 21),
            left(volume, volume_w),
            right(&age, 6),
        );
        let style = match (fresh, place) {
            (false, _) => theme::dim(),
            (true, 2) => theme::calm(),
            (true, _) => theme::caution(),
        };
        out.push(Line::styled(cut(&text, width), style));
    }
}
