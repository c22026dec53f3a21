//! The review of a step in lines: all that the cockpit's says, in its order.

use crate::event::{GateJudged, Mode, StepAddr, Verdict};
use crate::run::{State, Status, StepState};
use crate::runbook::model::{Does, Hold, OnGuard, Step};
use crate::site::is_lab;
use crate::ui::{basis, filled, risk};

/// What stands before the gates: what would be done, to what, on which site, at which risk. Nothing
/// before the plan is there.
pub(super) fn plan(state: &State, addr: &StepAddr, s: &StepState) -> Option<Vec<String>> {
    let step = state.step(addr).filter(|_| s.status == Status::Confirming)?;
    let proposal = s.proposal.as_ref().map(|(proposal, _)| proposal);
    if proposal.is_none() && matches!(step.does, Does::Action(_)) {
        return None;
    }
    let lab = if is_lab(&state.header.pins) { " (LAB)" } else { "" };
    let site = format!("site {}{lab}", state.header.site);
    let mut out = vec![format!("  review of {addr} on {site}: {}", risk(step.risk))];
    if let Some(why) = &step.why {
        out.push(format!("    why: {}", filled(state, addr, why)));
    }
    let Some(p) = proposal else {
        out.extend(terms(step));
        return Some(out);
    };
    out.push(format!("  will {}", p.sentence));
    for t in &p.targets {
        let age = t.created.map(|at| format!("{} old", state.at.since(at).brief()));
        let parts =
            [Some(t.kind.clone()), Some(t.name.clone()), t.uid.clone(), age, Some(t.note.clone())];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|p| !p.is_empty()).collect();
        out.push(format!("    {}", parts.join(" ")));
    }
    out.extend(p.commands.iter().map(|c| format!("    $ {c}")));
    out.extend(p.cautions.iter().map(|c| format!("    caution: {c}")));
    out.extend(s.changed.iter().map(|c| format!("    changed: {c}")));
    out.extend(terms(step));
    Some(out)
}

/// What stands behind them: how the review in hand goes on, each time that it is another way.
#[derive(Default)]
pub(super) struct Ways {
    told: Option<(u64, String)>,
}

impl Ways {
    pub(super) fn news(&mut self, state: &State) -> Vec<String> {
        let Some(addr) = state.current() else { return Vec::new() };
        let Some(s) = state.steps.get(&addr) else { return Vec::new() };
        let Some(way) = way(state, &addr, s) else { return Vec::new() };
        let old = self.told.replace((s.ticket, way.clone()));
        if old.as_ref() == Some(&(s.ticket, way.clone())) {
            return Vec::new();
        }
        let digest = s.proposal.as_ref().map(|(_, digest)| &digest[..digest.len().min(12)]);
        let digest = digest.filter(|_| old.is_none_or(|(ticket, _)| ticket != s.ticket));
        digest.map(|digest| format!("    proposal {digest}")).into_iter().chain([way]).collect()
    }
}

/// Nothing before plan and gates are read; a plan that failed is told by itself.
fn way(state: &State, addr: &StepAddr, s: &StepState) -> Option<String> {
    let step = state.step(addr).filter(|_| s.status == Status::Confirming)?;
    let planned = s.proposal.is_some() || !matches!(step.does, Does::Action(_));
    if s.gates_at.is_none() || s.proposal_error.is_some() || !planned {
        return None;
    }
    let elsewhere = match &step.does {
        Does::Manual { .. } => Some("it is done by hand: show, do it yourself, then claim"),
        Does::Action(_) if state.header.mode == Mode::ReadOnly => Some(
            "this run is read-only: show gives the command, to be run elsewhere; then claim says \
             that it was done",
        ),
        _ => None,
    };
    let lacking: Vec<&str> =
        s.gates.iter().filter(|g| s.lacks(g)).map(|g| g.gate.as_str()).collect();
    // By name: what they say moves on, and is printed above.
    let not_yet = match (&state.line_held, lacking.as_slice()) {
        (Some((reason, by)), _) => Some(format!("{by} holds the line: {reason}; free it first")),
        (None, []) => None,
        (None, lacking) => Some(format!(
            "{} not pass; wait, or override GATE#MARK REASON",
            match lacking {
                [one] => format!("gate {one} does"),
                all => format!("gates {} do", all.join(", ")),
            }
        )),
    };
    let typed = state.confirm_text(addr);
    let typed = if typed.is_empty() { typed } else { format!(" {typed}") };
    Some(match (not_yet, elsewhere) {
        (None, None) => match state.releasable(addr) {
            Ok(()) => format!("  to release it: release{typed}"),
            Err(why) => format!("  cannot be released: {why}"),
        },
        (None, Some(how)) => format!("  {how}"),
        (Some(why), None) => format!("  cannot be released yet: {why}"),
        (Some(why), Some(how)) => format!("  not yet: {why}. Then: {how}"),
    })
}

/// Each gate's verdict with what it was judged on, and how old that is; `marks` name failures. Outside
/// of a review what passes needs no more words.
pub(super) fn gates(state: &State, s: &StepState, marks: &[String]) -> Vec<String> {
    let review = s.status == Status::Confirming;
    let line = |(g, mark): (&GateJudged, &String)| {
        let age = g.judged.oldest().map(|at| format!("{} ago", state.at.since(at).brief()));
        let on: Vec<String> = [basis(&g.judged)].into_iter().chain(age).collect();
        let on = on.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let brief = on.is_empty() || !review && g.judged.verdict == Verdict::Pass;
        let on = if brief { String::new() } else { format!(" ({on})") };
        let over = s.overridden(g).map(|reason| format!(" OVERRIDDEN: {reason}"));
        let over = over.unwrap_or_default();
        format!("  gate {}{mark} {}: {}{over}{on}", g.gate, g.judged.verdict, g.says)
    };
    s.gates.iter().zip(marks).map(line).collect()
}

/// How it is undone, who else is needed, how long it takes.
fn terms(step: &Step) -> Vec<String> {
    let undo = step.undo_words().unwrap_or_else(|| "nothing to undo".into());
    let second = (step.hold == Hold::TwoPerson).then(|| "a second person is required".to_owned());
    let takes = step.estimate.map(|e| format!("it takes about {e}"));
    let ends = (step.on_breach == OnGuard::Stop)
        .then(|| "a guard's breach ends what runs, before it is through".to_owned());
    let more = [second, takes, ends].into_iter().flatten().map(|line| format!("    {line}"));
    std::iter::once(format!("    undo: {undo}")).chain(more).collect()
}
