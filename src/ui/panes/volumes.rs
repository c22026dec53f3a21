//! Volumes: below the claims, in the same pane and under the same cursor. A volume outlives
//! its claim, so those that no claim has any more are shown wherever they come from.

use super::{has, mark, nothing, ours, standing, touched};
use crate::event::Time;
use crate::run::State;
use crate::ui::model::View;
use crate::ui::text::{cut, fit, left, right};
use crate::ui::theme;
use crate::world::{Source, Volume};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Those bound to a claim of the site's namespaces, and every one that is not bound.
pub(super) fn rows<'a>(state: &'a State, view: &View) -> Vec<&'a Volume> {
    let pods = &state.world.pods;
    let shown = |v: &&Volume| {
        let bound = phase(v).1 == BOUND;
        !bound || pods.is_empty() || pods.has_namespace(namespace(v))
    };
    let has = |v: &&Volume| has(view, &[&v.name, &v.claim, &v.class, &v.policy, phase(v).0]);
    let mut rows: Vec<&Volume> = state.world.volumes.iter().filter(shown).filter(has).collect();
    match view.order {
        // By claim: a volume that was left behind stands beside the one that took its place.
        0 => {
            let ours = ours(state);
            rows.sort_by_key(|v| (!ours.contains(&namespace(v)), v.claim.as_str()));
        }
        1 => rows.sort_by(|a, b| a.class.cmp(&b.class)),
        2 => rows.sort_by_key(|v| std::cmp::Reverse(v.created)),
        3 => rows.sort_by_key(|v| phase(v).1),
        _ => {}
    }
    rows
}

fn namespace(v: &Volume) -> &str {
    v.claim.split_once('/').map_or("", |(namespace, _)| namespace)
}

/// The place of what is as it should be.
const BOUND: u8 = 4;

/// A volume's state in a word, and its place among states: what wants a look first.
fn phase(v: &Volume) -> (&str, u8) {
    match (v.deleting, v.phase.as_str()) {
        (true, _) => ("DELETING", 0),
        (_, "Failed") => ("FAILED", 1),
        (_, "Released") => ("RELEASED", 2),
        (_, "Bound") => ("Bound", BOUND),
        (_, other) => (other, 3),
    }
}

/// Widths of the columns: name, claim, class. The claim widens first, then the name, to a
/// whole UID; the state gives way last.
fn widths(width: usize) -> (usize, usize, usize) {
    let rest = width.saturating_sub(66);
    let claim = rest.min(16);
    let name = (rest - claim).min(28);
    (8 + name, 13 + claim, 11 + (rest - claim - name).min(10))
}

/// Heading and rows.
pub(super) fn lines(state: &State, view: &View, width: usize, now: Time) -> Vec<Line<'static>> {
    let (words, fresh) = standing(state, Source::Volumes, now);
    let (name_w, claim_w, class_w) = widths(width);
    let head = format!(
        "{} {} {} {} {} {}  state",
        left("volume", name_w),
        left("claim", claim_w),
        left("class", class_w),
        right("size", 6),
        left("policy", 6),
        right("age", 6)
    );
    let mut out = vec![Line::styled(cut(&head, width), theme::dim())];
    let rows = rows(state, view);
    if rows.is_empty() {
        out.push(nothing(state, Source::Volumes, view, now, width));
    } else if !fresh {
        // The pane's title speaks of claims: rows that are older say so themselves.
        let head = format!("volumes {words}");
        out = vec![Line::styled(cut(&head, width), theme::caution())];
    }
    let (names, ours, pods) = (touched(state), ours(state), &state.world.pods);
    for v in rows {
        let claim = match v.claim.split_once('/') {
            // As the claims above, which stand there without it.
            Some((namespace, name))
                if ours.contains(&namespace) || pods.has_namespace(namespace) =>
            {
                name
            }
            _ => &v.claim,
        };
        let age = v.created.map(|t| now.since(t).brief()).unwrap_or_default();
        let before = format!(
            "{} {} {} {} ",
            left(v.name.strip_prefix("pvc-").unwrap_or(&v.name), name_w),
            left(claim, claim_w),
            left(&v.class, class_w),
            right(&v.size, 6),
        );
        let (word, place) = phase(v);
        let (policy, warned) = policy(v);
        let text = [
            (before, Style::default()),
            (left(policy, 6), warned),
            (format!(" {}  ", right(&age, 6)), Style::default()),
            (format!("{word}{}", mark(&names, &v.name)), told(place)),
        ];
        let calm = |style| if fresh { style } else { theme::dim() };
        let spans = text.map(|(text, style)| Span::styled(text, calm(style)));
        out.push(fit(Line::from(spans.to_vec()), width));
    }
    out
}

/// What becomes of the data when the claim goes: that it goes too is said aloud.
fn policy(v: &Volume) -> (&str, Style) {
    match v.policy.as_str() {
        "Delete" => ("DELETE", theme::caution()),
        other => (other, Style::default()),
    }
}

fn told(place: u8) -> Style {
    match place {
        1 => theme::alarm(),
        0 | 2 => theme::caution().add_modifier(Modifier::BOLD),
        _ => theme::calm(),
    }
}
