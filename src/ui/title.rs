//! The title bar: where are we, may anything be written, how long still, is the journal
//! well.

use crate::event::{Lease, Mode, Slot, Span, Time};
use crate::journal::{Health, HealthState};
use crate::run::State;
use crate::ui::text::{cut, fit, grouped};
use crate::ui::theme;
use crate::world::Source;
use ratatui::text::{Line, Span as Text};

/// A token that ends this soon wants a person now, whatever the run still needs.
const SOON: Span = Span::secs(600);
/// Between names.
const SEPARATOR: &str = " · ";
/// Less of a title tells nobody anything.
const TOLD: usize = 6;

pub(crate) fn lines(
    state: &State,
    health: &Health,
    show_only: Option<&str>,
    now: Time,
    clock: &str,
    width: usize,
) -> Vec<Line<'static>> {
    let shows = show_only.is_some();
    vec![first(state, shows, now, clock, width), second(state, health, show_only, now, width)]
}

/// Mode, site, run and title to the left, clocks to the right; the title gives way.
fn first(state: &State, show_only: bool, now: Time, clock: &str, width: usize) -> Line<'static> {
    let mode = match state.header.mode {
        _ if show_only => Text::styled(" SHOW-ONLY ", theme::alarm()),
        Mode::Write => Text::styled(" WRITE ", theme::alarm()),
        Mode::ReadOnly => Text::styled(" READ-ONLY ", theme::good()),
    };
    // A lab is told by its identity, so that nobody mistakes the one for the other.
    let lab = crate::site::is_lab(&state.header.pins).then(|| Text::styled(" LAB ", theme::lab()));
    let run = state.header.run.rsplit('-').next().unwrap_or("").to_owned();
    let head = if width < 100 { "" } else { "HOLDPOINT " };
    let mut left = Line::from(Text::styled(format!(" {head}"), theme::bright()));
    left.spans.extend(lab);
    left.spans.push(mode);
    left.spans.push(Text::raw(format!(" site {} · run {run}", state.header.site)));
    let mut right: Vec<Text<'static>> = window(state, now, width).into_iter().collect();
    right.push(Text::raw(format!("  {clock} ")));
    let right = Line::from(right);
    let room = width.saturating_sub(left.width() + right.width() + SEPARATOR.chars().count() + 1);
    if room >= TOLD {
        left.spans.push(Text::raw(SEPARATOR));
        left.spans.push(Text::styled(cut(&state.runbook.title, room), theme::bright()));
    }
    // The clocks stay whole: names give way.
    let mut left = fit(left, width.saturating_sub(right.width() + 1));
    let pad = width.saturating_sub(left.width() + right.width());
    left.spans.push(Text::raw(" ".repeat(pad)));
    left.spans.extend(right.spans);
    fit(left, width)
}

/// How long the change window still is, when it ends, and how long until what is left of it is kept
/// for going back: all of it at every width, in as many words as there is room for.
fn window(state: &State, now: Time, width: usize) -> Option<Text<'static>> {
    let Slot { start, end } = state.window?;
    let (name, wide) = (if width < 100 { "" } else { "window " }, width >= 140);
    let (from, to) = (of_day(start), of_day(end));
    if now < start {
        let text = format!("WINDOW OPENS in {}, to {to}", start.since(now).brief());
        return Some(Text::styled(text, theme::caution()));
    }
    let left = end.since(now);
    if left == Span(0) {
        let text = format!("WINDOW OVER since {}, {to}", now.since(end).brief());
        return Some(Text::styled(text, theme::alarm()));
    }
    let reserve = state.runbook.window.map_or(Span(0), |w| w.backout_reserve);
    let (brief, forward) = (left.brief(), Span(left.0.saturating_sub(reserve.0)).brief());
    let late = left < reserve;
    let text = match (late, wide, reserve) {
        (true, ..) if width < 100 => format!("{brief} to {to}, TURN BACK"),
        (true, ..) => format!("{name}{brief} left to {to}: kept for going back"),
        (_, true, Span(0)) => format!("{name}{from} to {to}, {brief} left"),
        (_, true, reserve) => {
            format!("{name}{from} to {to}, {brief} left, turn back in {forward} ({reserve} kept)")
        }
        (_, _, Span(0)) => format!("{name}{brief} to {to}"),
        _ if width < 100 => format!("{brief} to {to}, back in {forward}"),
        _ => format!("{name}{brief} to {to}, turn back in {forward}"),
    };
    Some(if late { Text::styled(text, theme::caution()) } else { Text::raw(text) })
}

/// A time of day, in UTC, to the minute.
fn of_day(at: Time) -> String {
    at.to_string().get(11..16).map(|text| format!("{text}Z")).unwrap_or_default()
}

fn second(
    state: &State,
    health: &Health,
    show_only: Option<&str>,
    now: Time,
    width: usize,
) -> Line<'static> {
    let mut parts = vec![journal(health, show_only, now, width)];
    // What wants a person stands before figures: those are what may be cut.
    if let Some((reason, by)) = &state.line_held {
        parts.push(Text::styled(format!("⏸ LINE HELD by {by}: {reason}"), theme::alarm()));
    }
    if let Some(back) = state.back.last() {
        let text = format!("◄ GOING BACK by {}: {}", back.section, back.reason);
        parts.push(Text::styled(text, theme::alarm()));
    } else if let Some(section) = state.offers.keys().next() {
        parts.push(Text::styled(format!("◄ offered: {section} (B)"), theme::caution()));
    }
    for (id, _) in state.breached() {
        parts.push(Text::styled(format!("✗ guard {id} BREACHED"), theme::alarm()));
    }
    parts.extend(lease(state));
    parts.extend(token(state, now));
    let mut line = Line::raw(" ");
    for (i, part) in parts.into_iter().enumerate() {
        if i > 0 {
            line.spans.push(Text::raw(" · "));
        }
        line.spans.push(part);
    }
    fit(line, width)
}

/// That the cluster's lease is not ours: then nothing new is done there.
fn lease(state: &State) -> Option<Text<'static>> {
    let text = match state.lease.as_ref().filter(|_| state.ended.is_none())? {
        Lease::Taken { .. } | Lease::Renewed { .. } | Lease::Released => return None,
        Lease::Held { holder, expired: false, .. } => format!("✗ LEASE held by {holder}"),
        Lease::Held { holder, expired: true, .. } => {
            format!("✗ LEASE left by {holder}: take it over with :take-lease")
        }
        Lease::Lost { why, holder: None } => format!("✗ LEASE LOST: {why}"),
        Lease::Lost { holder: Some(holder), .. } => format!("✗ LEASE LOST to {holder}"),
        Lease::Unread { why } => format!("✗ LEASE not known: {why}"),
    };
    Some(Text::styled(text, theme::alarm()))
}

/// How long Vault's token lives, and whether that is enough for what the steps still need.
fn token(state: &State, now: Time) -> Option<Text<'static>> {
    let standing = state.world.standing(Source::Raft);
    if standing.status == crate::world::Status::NotConfigured {
        return None;
    }
    let raft = &state.world.raft;
    if !raft.audited_read {
        return Some(Text::styled("token: not read", theme::dim()));
    }
    let Some(ends) = raft.token_ends else { return Some(Text::raw("token does not end")) };
    let left = ends.since(now);
    let needed = state.remaining(now);
    Some(if left == Span(0) {
        Text::styled("TOKEN ENDED: renew it", theme::alarm())
    } else if left < needed {
        let text =
            format!("token {}, the steps need {} or more: renew it", left.brief(), needed.brief());
        Text::styled(text, if left < SOON { theme::alarm() } else { theme::caution() })
    } else if left < SOON {
        Text::styled(format!("token {}: renew it", left.brief()), theme::alarm())
    } else {
        Text::raw(format!("token {}", left.brief()))
    })
}

fn journal(health: &Health, show_only: Option<&str>, now: Time, width: usize) -> Text<'static> {
    if let Some(why) = show_only {
        return Text::styled(format!("nothing is executed: {why}"), theme::alarm());
    }
    match &health.state {
        HealthState::Opening => Text::styled("opening the journal…", theme::dim()),
        HealthState::Failed { why } => {
            Text::styled(format!("journal FAILED: {why}"), theme::alarm())
        }
        HealthState::Waiting { since } if now.since(*since) >= Span::secs(2) => Text::styled(
            format!("journal not answering for {}", now.since(*since).brief()),
            theme::alarm(),
        ),
        _ => {
            let entries = grouped(i64::try_from(health.entries).unwrap_or(i64::MAX));
            let synced = match health.synced_at {
                Some(t) if width >= 100 => format!(", synced {} ago", now.since(t).brief()),
                _ => String::new(),
            };
            Text::raw(format!("journal ok, {entries} entries{synced}"))
        }
    }
}
