//! How a step is undone: a step of its own, and the section in which such steps are walked.

use crate::runbook::after::{before_type, result_type};
use crate::runbook::lint::{Lint, Names};
use crate::runbook::model::{Does, Each, Hold, OnGuard, Phase, Risk, Step, UNDO, Undo};
use crate::runbook::raw::RawUndo;
use crate::runbook::steps::{call, gates, verify};
use crate::runbook::{Expr, Template};
use std::ops::Range;

/// The step that undoes another one: released by a person, whatever it does.
pub(super) fn undo(
    lint: &mut Lint,
    raw: &RawUndo,
    title: &Template,
    names: &Names,
    at: &Range<usize>,
) -> Option<Undo> {
    let mut spec = None;
    let (does, why, head, risk) = match (&raw.none, &raw.manual, &raw.does) {
        (Some(why), None, None) => {
            (Does::Check, Some(lint.template(why, names)?), "Cannot be undone", Risk::Reversible)
        }
        (None, Some(how), None) => {
            let instruction = lint.template(how, names)?;
            (Does::Manual { instruction, command: None }, None, "Undo", Risk::Reversible)
        }
        (None, None, Some(does)) => {
            let (call, verb) = call(lint, does, names, at)?;
            spec = Some(verb);
            (Does::Action(call), None, "Undo", Risk::Destructive)
        }
        _ => {
            lint.error(at.clone(), "`undo` says one of none, manual and do", "keep one of them");
            return None;
        }
    };
    let after = names.with("before", before_type(spec)).with("result", result_type(spec));
    let step = Step {
        title: title.headed(&format!("{head}: ")),
        why,
        risk,
        estimate: raw.estimate,
        gates: gates(lint, &raw.gate, names),
        verify: raw.verify.as_ref().and_then(|v| verify(lint, v, &after)),
        ..bare(does)
    };
    Some(Undo { none: raw.none.as_ref().map(|why| why.get_ref().clone()), step: Box::new(step) })
}

impl Step {
    /// What is said of a step that does something and has no word about undo.
    pub const NO_UNDO: &'static str = "its runbook says nothing of undoing it: what it does stays";

    /// It changes something, here or by hand.
    #[must_use]
    pub fn acts(&self) -> bool {
        matches!(self.does, Does::Action(_) | Does::Manual { .. })
    }

    /// How it is undone, in words, or that it is not; none for a step that changes nothing.
    #[must_use]
    pub fn undo_words(&self) -> Option<String> {
        let Some(undo) = &self.undo else { return self.acts().then(|| Self::NO_UNDO.into()) };
        Some(match (&undo.none, &undo.step.does) {
            (Some(why), _) => format!("none: {why}"),
            (None, Does::Manual { instruction, .. }) => format!("by hand: {}", instruction.text),
            (None, Does::Action(call)) => call.verb.clone(),
            (None, _) => undo.step.title.text.clone(),
        })
    }
}

/// A step of the section in which others are undone.
fn bare(does: Does) -> Step {
    Step {
        id: UNDO.to_owned(),
        title: Template::plain("Undo"),
        why: None,
        when: None,
        hold: Hold::Release,
        risk: Risk::Reversible,
        estimate: None,
        does,
        poll: None,
        gates: Vec::new(),
        verify: None,
        probe: None,
        confirm: None,
        undo: None,
        capture: Vec::new(),
        on_breach: OnGuard::Finish,
    }
}

/// The section in which steps are undone. Its items are their addresses, and what is done for
/// each stands with the step.
pub(super) fn undoing() -> Phase {
    let each = Expr::new("[]").ok().map(|of| Each { var: "step".into(), of, next: None });
    let title = "Undo what was done, the last step first".into();
    Phase { id: UNDO.into(), title, each, steps: vec![bare(Does::Check)] }
}
