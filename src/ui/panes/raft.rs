//! A row a voter, then the sum.

use super::{has, mark, nothing, standing, touched};
use crate::event::Time;
use crate::run::State;
use crate::ui::model::View;
use crate::ui::text::{cut, grouped, left, right};
use crate::ui::theme;
use crate::world::{Answer, Source, Voter, VoterVerdict};
use ratatui::text::Line;

pub(super) fn rows<'a>(state: &'a State, view: &View) -> Vec<&'a Voter> {
    let has = |v: &&Voter| has(view, &[&v.name, role(v), &v.verdict.to_string()]);
    state.world.raft.voters.iter().filter(has).collect()
}

fn role(v: &Voter) -> &'static str {
    match (v.is_self, v.is_voter, v.is_peer) {
        (true, ..) => "LEADER",
        (_, true, _) => "follower",
        (_, _, true) => "non-voter",
        _ => "-",
    }
}

/// What a voter's figures do not show: its error, or that the leader does not hear of it.
fn said(v: &Voter, heard: bool) -> String {
    match v.error.as_str() {
        "" if heard && v.healthy && !v.heard => "  unheard by the leader".into(),
        "" => String::new(),
        error => format!("  {error}"),
    }
}

pub(crate) fn raft(state: &State, view: &View, width: usize, now: Time) -> Vec<Line<'static>> {
    let fresh = standing(state, Source::Raft, now).1;
    let names = touched(state);
    let name_w = width.saturating_sub(55).clamp(10, 40);
    let head =
        format!("{} role      answers      sealed  applied     behind", left("voter", name_w));
    let mut out = vec![Line::styled(cut(&head, width), theme::dim())];
    let rows = rows(state, view);
    if rows.is_empty() {
        out.push(nothing(state, Source::Raft, view, now, width));
    }
    let led_by_one_who_hears = state.world.raft.voters.iter().any(|v| v.is_self && v.heard);
    for v in rows {
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
            "{} {} {} {} {} {}{}{}",
            left(&v.name, name_w),
            left(role(v), 9),
            left(&answers, 12),
            left(sealed, 6),
            right(&told(v.leader_answer == Answer::Answers, v.applied), 9),
            right(&told(state.world.raft.knows_index(v), v.behind), 8),
            said(v, led_by_one_who_hears),
            mark(&names, &v.name)
        );
        out.push(Line::styled(cut(&text, width), style));
    }
    out.push(sum(state, width, fresh));
    out
}

/// A figure, where somebody told it.
fn told(known: bool, figure: i64) -> String {
    if known { grouped(figure) } else { "–".into() }
}

/// What wants a person first, then figures; what could not be read is not called false.
fn sum(state: &State, width: usize, fresh: bool) -> Line<'static> {
    let raft = &state.world.raft;
    if raft.voters.is_empty() {
        // Not "no leader": nobody was heard yet.
        return Line::styled(cut("no voter has been heard yet", width), theme::dim());
    }
    let pilot = match (raft.active_error.is_empty(), raft.autopilot_healthy) {
        (_, true) => "autopilot healthy",
        (true, false) => "autopilot NOT healthy",
        (false, false) => "autopilot not read",
    };
    let figures = format!(
        "quorum {} of {} · can lose {} · {pilot} · index {} {}/s",
        raft.quorum,
        raft.configured,
        (raft.unsealed - raft.quorum).max(0),
        grouped(raft.committed),
        raft.rate
    );
    let (news, style) = if !raft.hung_leader.is_empty() {
        let hung = &raft.hung_leader;
        (format!("{hung} is HUNG: it claims to lead and does not answer · "), theme::alarm())
    } else if raft.leader.is_empty() {
        ("NO LEADER · ".into(), theme::alarm())
    } else if raft.unsealed < raft.quorum {
        (format!("NO QUORUM: {} unsealed · ", raft.unsealed), theme::alarm())
    } else if !raft.active_error.is_empty() {
        (format!("{} · ", raft.active_error), theme::caution())
    } else {
        (String::new(), theme::calm())
    };
    let style = if fresh { style } else { theme::dim() };
    Line::styled(cut(&format!("{news}{figures}"), width), style)
}
