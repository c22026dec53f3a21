//! The review of a step in lines: all that the cockpit's says, in its order.

use crate::event::{GateJudged, StepAddr, Verdict};
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

/// What stands behind them.
pub(super) fn release(state: &State, addr: &StepAddr, s: &StepState) -> Vec<String> {
    let typed = state.confirm_text(addr);
    let typed = if typed.is_empty() { String::new() } else { format!(" {typed}") };
    let digest = s.proposal.as_ref().map(|(_, digest)| &digest[..digest.len().min(12)]);
    let digest = digest.map(|digest| format!("    proposal {digest}"));
    digest.into_iter().chain([format!("  to release it: release{typed}")]).collect()
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
