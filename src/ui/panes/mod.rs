//! Raft, storage and pods as tables. A source that is not live says so in its title and
//! dims its rows; it never empties. Rows can be narrowed and ordered; the cursor and what
//! it stands on follow from the same rows that are drawn.

mod pods;
mod raft;
mod storage;
mod volumes;

pub(crate) use pods::pods;
pub(crate) use raft::raft;
pub(crate) use storage::storage;

use crate::event::Time;
use crate::run::State;
use crate::ui::model::{Entry, Model, Pane, View};
use crate::ui::text::cut;
use crate::ui::{checklist, detail, theme};
use crate::world::Source;
use ratatui::text::{Line, Span};
use std::ops::Range;

/// Behind what the step in hand touches.
pub(crate) const TOUCHED: &str = " ◀";

/// A pane's lines: how many, which of them is kept in sight, and those that are seen.
pub(crate) struct Content<'a> {
    pub(crate) total: usize,
    pub(crate) keep: usize,
    pub(crate) write: Box<dyn FnOnce(Range<usize>) -> Vec<Line<'static>> + 'a>,
}

impl Content<'_> {
    /// Of lines that are written already. Of a table that nobody scrolls, what the step in
    /// hand touches is in sight.
    pub(crate) fn of(lines: Vec<Line<'static>>) -> Self {
        let touched = |l: &Line<'static>| l.spans.iter().any(|s| s.content.contains(TOUCHED));
        let keep = lines.iter().rposition(touched).unwrap_or(0);
        Self::keeping(lines, keep)
    }

    pub(crate) fn keeping(lines: Vec<Line<'static>>, keep: usize) -> Self {
        let total = lines.len();
        let write =
            move |seen: Range<usize>| lines.into_iter().skip(seen.start).take(seen.len()).collect();
        Self { total, keep, write: Box::new(write) }
    }
}

/// The title's tail: how the source is.
pub(crate) fn standing(state: &State, source: Source, now: Time) -> (String, bool) {
    let standing = state.world.standing(source);
    (standing.words(now), standing.fresh(now))
}

/// A pane's orders of rows, by the word that its title has for them.
pub(crate) fn orders(pane: Pane) -> &'static [&'static str] {
    match pane {
        Pane::Storage => &["name", "class", "age", "state"],
        Pane::Pods => &["name", "status", "restarts", "age", "node"],
        _ => &[],
    }
}

/// Names that the step in hand touches.
fn touched(state: &State) -> Vec<String> {
    let step = state.current();
    let mut names: Vec<String> = step.iter().filter_map(|a| a.item.clone()).collect();
    let proposal = step.and_then(|a| state.steps.get(&a)).and_then(|s| s.proposal.as_ref());
    names.extend(proposal.iter().flat_map(|(p, _)| p.targets.iter().map(|t| t.name.clone())));
    names
}

fn mark(names: &[String], name: &str) -> &'static str {
    if names.iter().any(|n| n == name) { TOUCHED } else { "" }
}

/// What stands in a table without rows: an empty table would say that there are none.
fn nothing(state: &State, source: Source, view: &View, now: Time, width: usize) -> Line<'static> {
    let (words, fresh) = standing(state, source, now);
    let text = match (fresh, view.filter.as_str()) {
        (false, _) => format!("nothing known: {words}"),
        (true, "") => "none".into(),
        (true, filter) => format!("none has {filter}; Esc shows all again"),
    };
    Line::styled(cut(&text, width), theme::dim())
}

/// Whether a row has the filter's text, in any of its columns and in any case.
fn has(view: &View, columns: &[&str]) -> bool {
    let wanted = view.filter.to_lowercase();
    wanted.is_empty() || columns.iter().any(|c| c.to_lowercase().contains(&wanted))
}

/// One line a pane, for small terminals.
pub(crate) fn brief(state: &State, now: Time, width: usize) -> Line<'static> {
    let ours = state.world.classes.iter().filter(|c| c.consumers.ours > 0);
    let moved: Vec<String> = ours.map(|c| format!("{} {}", c.name, c.consumers.ours)).collect();
    let ready = state.world.pods.iter().filter(|p| p.ready == p.containers).count();
    let (storage, storage_fresh) = standing(state, Source::Claims, now);
    let (words, fresh) = standing(state, Source::Pods, now);
    let pods = state.world.pods.len();
    let mut moved = moved.join(" · ");
    // What changes leave behind takes room, and is the way back.
    let released: i64 = state.world.classes.iter().map(|c| c.consumers.released).sum();
    if released > 0 {
        moved += &format!(" · {released} Released");
    }
    let figures = format!("2 storage {moved}   4 pods {ready}/{pods} ready");
    // What is wrong stands before figures that it makes doubtful: the end is what is cut.
    let doubt = match (storage_fresh, fresh) {
        (true, true) => return Line::raw(cut(&format!(" {figures}"), width)),
        (false, false) if storage == words => format!(" 2 storage, 4 pods {words}"),
        (false, false) => format!(" 2 storage {storage} · 4 pods {words}"),
        (false, true) => format!(" 2 storage {storage}"),
        (true, false) => format!(" 4 pods {words}"),
    };
    let doubt = cut(&doubt, width);
    let room = width.saturating_sub(doubt.chars().count());
    // Of what was never heard of there are no figures.
    let heard = pods > 0 || !state.world.classes.is_empty();
    let figures =
        if room > 8 && heard { cut(&format!(" · {figures}"), room) } else { String::new() };
    Line::from(vec![Span::styled(doubt, theme::caution()), Span::styled(figures, theme::dim())])
}

/// Rows that the cursor can stand on, or lines of a pane of text.
pub(crate) fn count(model: &Model, state: &State, now: Time) -> usize {
    let view = model.view(model.focus);
    match model.focus {
        Pane::Raft => raft::rows(state, view).len(),
        Pane::Storage => storage::rows(state, view).len() + volumes::rows(state, view).len(),
        Pane::Pods => pods::rows(state, view).len(),
        Pane::Checklist | Pane::Step => text(model, state, now).len(),
    }
}

/// Rows or lines that have the filter's text.
pub(crate) fn hits(model: &Model, state: &State, now: Time) -> Vec<usize> {
    if model.focus.is_table() {
        return (0..count(model, state, now)).collect();
    }
    let view = model.view(model.focus);
    let lines = text(model, state, now);
    (0..lines.len()).filter(|i| has(view, &[&lines[*i].to_string()])).collect()
}

fn text(model: &Model, state: &State, now: Time) -> Vec<Line<'static>> {
    match model.focus {
        Pane::Step => detail::lines(state, usize::from(model.size.0.saturating_sub(4)), now, true),
        _ => checklist::lines(state, checklist::WIDE, now).0,
    }
}

/// The row under the cursor, if it can be described.
pub(crate) fn selected(model: &Model, state: &State) -> Option<Entry> {
    let view = model.view(model.focus);
    let pod = |p: &crate::world::Pod| Entry {
        kind: "Pod",
        namespace: p.namespace.clone(),
        name: p.name.clone(),
    };
    match model.focus {
        Pane::Pods => Some(pod(under(&pods::rows(state, view), model.row)?)),
        Pane::Raft => {
            let v = under(&raft::rows(state, view), model.row)?;
            Some(pod(state.world.pods.iter().find(|p| p.name == v.name)?))
        }
        Pane::Storage => stored(state, view, model.row),
        Pane::Checklist | Pane::Step => None,
    }
}

/// The claim or volume of a row: the cursor goes through both.
fn stored(state: &State, view: &View, row: usize) -> Option<Entry> {
    let (claims, volumes) = (storage::rows(state, view), volumes::rows(state, view));
    if row >= claims.len()
        && let Some(v) = under(&volumes, row - claims.len())
    {
        let name = v.name.clone();
        return Some(Entry { kind: "PersistentVolume", namespace: String::new(), name });
    }
    let c = under(&claims, row)?;
    Some(Entry {
        kind: "PersistentVolumeClaim",
        namespace: c.namespace.clone(),
        name: c.name.clone(),
    })
}

/// The row of the first volume, and of the first claim for whoever stands on a volume.
pub(crate) fn other_table(model: &Model, state: &State) -> usize {
    let first = storage::rows(state, model.view(Pane::Storage)).len();
    if model.row < first { first } else { 0 }
}

/// The cursor stays on the last row when rows go.
fn under<'a, T>(rows: &[&'a T], row: usize) -> Option<&'a T> {
    rows.get(row.min(rows.len().checked_sub(1)?)).copied()
}

/// The line of a pane that the cursor stands on.
pub(crate) fn line_of(model: &Model, state: &State, now: Time) -> usize {
    let row = model.row.min(count(model, state, now).saturating_sub(1));
    match model.focus {
        Pane::Storage => storage::line_of(state, model.view(Pane::Storage), row),
        _ => row + 1,
    }
}

/// Namespaces that the run's parameters name: they are what it is about.
fn ours(state: &State) -> Vec<&str> {
    state.header.params.values().filter_map(|v| v.as_str()).collect()
}

/// Rows of such a namespace come first.
fn ours_first<'a, T>(state: &State, rows: &mut [&'a T], namespace: impl Fn(&'a T) -> &'a str) {
    let named = ours(state);
    rows.sort_by_key(|row| !named.contains(&namespace(row)));
}
