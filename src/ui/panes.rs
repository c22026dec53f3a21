//! Raft, storage and pods as tables. A source that is not live says so in its title and
//! dims its rows; it never empties.

use crate::event::Time;
use crate::run::State;
use crate::ui::model::{Entry, Model, Pane};
use crate::ui::text::{cut, grouped, left, right};
use crate::ui::theme;
use crate::world::{Source, VoterVerdict};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The title's tail: how the source is.
pub(crate) fn standing(state: &State, source: Source, now: Time) -> (String, bool) {
    let standing = state.world.standing(source);
    (standing.words(now), standing.fresh(now))
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
    if names.iter().any(|n| n == name) { " ◀" } else { "" }
}

/// Raft: a row a voter, then the sum.
pub(crate) fn raft(state: &State, width: usize, now: Time) -> Vec<Line<'static>> {
    let raft = &state.world.raft;
    let fresh = standing(state, Source::Raft, now).1;
    let names = touched(state);
    let mut out = vec![Line::styled(
        cut("voter      role      answers      sealed  applied     behind", width),
        theme::dim(),
    )];
    for v in &raft.voters {
        let role = if v.is_self {
            "LEADER"
        } else if v.is_voter {
            "follower"
        } else if v.is_peer {
            "non-voter"
        } else {
            "-"
        };
        let answers = match v.verdict {
            VoterVerdict::Healthy => format!("yes {:>3} ms", v.latency_ms),
            other => other.to_string().to_uppercase(),
        };
        let sealed = if v.initialized { if v.sealed { "YES" } else { "no" } } else { "?" };
        let style = match v.verdict {
            _ if !fresh => theme::dim(),
            VoterVerdict::Healthy => theme::calm(),
            VoterVerdict::PathLost | VoterVerdict::Joining => theme::caution(),
            _ => theme::alarm(),
        };
        let text = format!(
            "{} {} {} {} {} {}{}",
            left(&v.name, 10),
            left(role, 9),
            left(&answers, 12),
            left(sealed, 6),
            right(&grouped(v.applied), 9),
            right(&grouped(v.behind), 8),
            mark(&names, &v.name)
        );
        out.push(Line::styled(cut(&text, width), style));
    }
    let lose = raft.unsealed - raft.quorum;
    let pilot = if raft.autopilot_healthy { "autopilot healthy" } else { "autopilot NOT healthy" };
    let mut sum = format!(
        "quorum {} of {} · can lose {} · {pilot} · index {}",
        raft.quorum,
        raft.configured,
        lose.max(0),
        grouped(raft.committed)
    );
    let mut style = theme::calm();
    if !raft.hung_leader.is_empty() {
        sum =
            format!("{} is HUNG: it claims to lead and does not answer · {sum}", raft.hung_leader);
        style = theme::alarm();
    } else if raft.leader.is_empty() {
        sum = format!("NO LEADER · {sum}");
        style = theme::alarm();
    } else if !raft.audited_read {
        sum = format!("the audited read did not come back · {sum}");
        style = theme::caution();
    }
    if !raft.active_error.is_empty() {
        sum = format!("{sum} · {}", raft.active_error);
    }
    if !fresh {
        style = theme::dim();
    }
    out.push(Line::styled(cut(&sum, width), style));
    out
}

/// Classes with their consumers, then the claims of the site's namespaces.
pub(crate) fn storage(state: &State, width: usize, now: Time) -> Vec<Line<'static>> {
    let fresh = standing(state, Source::Claims, now).1 && standing(state, Source::Classes, now).1;
    let row_style = if fresh { theme::calm() } else { theme::dim() };
    let names = touched(state);
    let name_w = width.saturating_sub(45).clamp(14, 30);
    let mut out = vec![Line::styled(
        cut(&format!("{}  bound  ours  released", left("class", 24)), width),
        theme::dim(),
    )];
    for c in used(state) {
        let n = &c.consumers;
        let text = format!(
            "{} {} {} {}",
            left(&c.name, 24),
            right(&n.bound.to_string(), 6),
            right(&n.ours.to_string(), 5),
            right(&n.released.to_string(), 9)
        );
        out.push(Line::styled(cut(&text, width), row_style));
    }
    out.push(Line::styled(
        cut(
            &format!(
                "{} {} {} {}  state",
                left("claim", name_w),
                left("class", 22),
                left("volume", 8),
                right("age", 5)
            ),
            width,
        ),
        theme::dim(),
    ));
    for c in claims(state) {
        let age = c.created.map(|t| now.since(t).brief()).unwrap_or_default();
        let volume = c.volume.strip_prefix("pvc-").unwrap_or(&c.volume);
        let (how, style) = match (c.deleting, c.phase.as_str()) {
            (true, _) => {
                let since = c.deleting_since.map(|t| now.since(t).brief()).unwrap_or_default();
                (format!("DELETING {since} held by {}", c.finalizers.join(",")), theme::caution())
            }
            (false, "Bound") => ("Bound".into(), row_style),
            (false, other) => (other.to_uppercase(), theme::caution()),
        };
        let text = format!(
            "{} {} {} {}  {how}{}",
            left(&c.name, name_w),
            left(&c.class, 22),
            left(volume, 8),
            right(&age, 5),
            mark(&names, &c.name)
        );
        out.push(Line::styled(cut(&text, width), if fresh { style } else { theme::dim() }));
    }
    out
}

/// Classes that anything uses, and those that claims are moved to.
fn used(state: &State) -> impl Iterator<Item = &crate::world::Class> {
    let named: Vec<&str> = state.header.params.values().filter_map(|v| v.as_str()).collect();
    state.world.classes.iter().filter(move |c| {
        c.consumers != crate::world::Consumers::default() || named.contains(&c.name.as_str())
    })
}

fn claims(state: &State) -> impl Iterator<Item = &crate::world::Claim> {
    let pods = &state.world.pods;
    let shown = move |c: &&crate::world::Claim| pods.is_empty() || pods.has_namespace(&c.namespace);
    state.world.claims.iter().filter(shown)
}

/// Lines of the pods' pane: the heading, then one a pod.
pub(crate) fn pod_lines(state: &State) -> usize {
    state.world.pods.len() + 1
}

/// Pods of the site's namespaces; of all lines only those that are shown.
pub(crate) fn pods(
    state: &State,
    width: usize,
    now: Time,
    shown: std::ops::Range<usize>,
) -> Vec<Line<'static>> {
    let fresh = standing(state, Source::Pods, now).1;
    let names = touched(state);
    let name_w = width.saturating_sub(50).clamp(8, 30);
    let heading =
        format!("{} ready {} restarts node     age", left("pod", name_w), left("status", 16));
    let mut out = Vec::new();
    if shown.start == 0 {
        out.push(Line::styled(cut(&heading, width), theme::dim()));
    }
    let rows = state.world.pods.iter().skip(shown.start.saturating_sub(1));
    for p in rows.take(shown.len().saturating_sub(out.len())) {
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
            right(&age, 5),
            mark(&names, &p.name),
            p.reason
        );
        out.push(Line::styled(cut(text.trim_end(), width), style));
    }
    out
}

/// One line a pane, for small terminals.
pub(crate) fn brief(state: &State, now: Time) -> Line<'static> {
    let moved: Vec<String> = state
        .world
        .classes
        .iter()
        .filter(|c| c.consumers.ours > 0)
        .map(|c| format!("{} {}", c.name, c.consumers.ours))
        .collect();
    let ready = state.world.pods.iter().filter(|p| p.ready == p.containers).count();
    let (words, fresh) = standing(state, Source::Pods, now);
    let text = format!(
        " 2 storage {}   4 pods {ready}/{} ready",
        moved.join(" · "),
        state.world.pods.len()
    );
    if fresh {
        Line::raw(text)
    } else {
        Line::from(vec![Span::raw(text), Span::styled(format!(" ({words})"), theme::caution())])
    }
}

/// The row under the cursor, if it can be described.
pub(crate) fn selected(model: &Model, state: &State) -> Option<Entry> {
    match model.focus {
        Pane::Pods => {
            let p = state.world.pods.get(model.row.min(state.world.pods.len().checked_sub(1)?))?;
            Some(Entry { kind: "Pod", namespace: p.namespace.clone(), name: p.name.clone() })
        }
        Pane::Raft => {
            let v = state
                .world
                .raft
                .voters
                .get(model.row.min(state.world.raft.voters.len().checked_sub(1)?))?;
            let p = state.world.pods.iter().find(|p| p.name == v.name)?;
            Some(Entry { kind: "Pod", namespace: p.namespace.clone(), name: p.name.clone() })
        }
        Pane::Storage => {
            let rows: Vec<_> = claims(state).collect();
            let c = rows.get(model.row.min(rows.len().checked_sub(1)?))?;
            Some(Entry {
                kind: "PersistentVolumeClaim",
                namespace: c.namespace.clone(),
                name: c.name.clone(),
            })
        }
        Pane::Checklist => None,
    }
}

/// First line of a pane that the cursor can stand on.
pub(crate) fn first_row(pane: Pane, state: &State) -> usize {
    match pane {
        Pane::Storage => used(state).count() + 2,
        _ => 1,
    }
}
