//! The title bar: where are we, may anything be written, is the journal well.

use crate::event::{Mode, Span as Time2, Time};
use crate::journal::{Health, HealthState};
use crate::run::State;
use crate::ui::theme;
use ratatui::text::{Line, Span};

pub(crate) fn lines(
    state: &State,
    health: &Health,
    show_only: Option<&str>,
    now: Time,
    clock: &str,
    width: usize,
) -> Vec<Line<'static>> {
    let mode = match state.header.mode {
        Mode::Write => Span::styled(" WRITE ", theme::alarm()),
        Mode::ReadOnly => Span::styled(" READ-ONLY ", theme::good()),
    };
    let run = state.header.run.rsplit('-').next().unwrap_or("").to_owned();
    let head = if width < 100 { "" } else { "HOLDPOINT " };
    let first = Line::from(vec![
        Span::styled(format!(" {head}"), theme::bright()),
        mode,
        Span::raw(format!(" {clock}  site {} · run {run} · ", state.header.site)),
        Span::styled(state.runbook.title.clone(), theme::bright()),
    ]);
    let first = fitted(first, width);
    let mut second = vec![Span::raw(" ")];
    second.push(journal(health, show_only, now));
    if let Some((reason, by)) = &state.line_held {
        second.push(Span::styled(format!("  ⏸ LINE HELD by {by}: {reason}"), theme::alarm()));
    }
    for (id, _) in state.breached() {
        second.push(Span::styled(format!("  ✗ guard {id} BREACHED"), theme::alarm()));
    }
    vec![first, Line::from(second)]
}

/// The last span gives way, with `…`.
fn fitted(mut line: Line<'static>, width: usize) -> Line<'static> {
    let over = line.width().saturating_sub(width);
    if over > 0
        && let Some(last) = line.spans.last_mut()
    {
        let room = last.width().saturating_sub(over);
        last.content = crate::ui::text::cut(&last.content, room).into();
    }
    line
}

fn journal(health: &Health, show_only: Option<&str>, now: Time) -> Span<'static> {
    if let Some(why) = show_only {
        return Span::styled(format!("SHOW-ONLY: {why}; nothing is executed"), theme::alarm());
    }
    match &health.state {
        HealthState::Failed { why } => {
            Span::styled(format!("journal FAILED: {why}"), theme::alarm())
        }
        HealthState::Waiting { since } if now.since(*since) >= Time2::secs(2) => Span::styled(
            format!("journal not answering for {}", now.since(*since).brief()),
            theme::alarm(),
        ),
        _ => {
            let synced =
                health.synced_at.map(|t| now.since(t).brief()).unwrap_or_else(|| "never".into());
            Span::raw(format!("journal ok, {} entries, synced {synced} ago", health.entries))
        }
    }
}
