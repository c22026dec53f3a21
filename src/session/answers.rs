//! An answers file: what a person would type, by step address.

use crate::event::{Span, StepAddr};
use crate::problem::Problem;
use crate::runbook::model::Runbook;
use crate::runbook::of_toml;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Answers by address; `phase[*]/step` stands for every item, `{item}` in a text for it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// What is typed to release a step; empty for one that is released without typing.
    #[serde(default)]
    pub release: BTreeMap<String, String>,
    /// Branches of questions.
    #[serde(default)]
    pub choose: BTreeMap<String, String>,
    /// By the step's address and by name, what those say who are asked before it.
    #[serde(default)]
    pub poll: BTreeMap<String, BTreeMap<String, Polled>>,
    /// What becomes of a step in doubt: `by probe` accepts it where its probe says that it is
    /// done, and tries it again where it is not, or not wholly. One that is not named stops.
    #[serde(default)]
    pub in_doubt: BTreeMap<String, ByProbe>,
    /// By the address of the step at whose turn it begins: the way back that is walked.
    #[serde(default)]
    pub back: BTreeMap<String, String>,
    /// What follows a change window that is over; without a word the run stops there.
    #[serde(default)]
    window: Option<NextWindow>,
    /// What becomes of the cluster's lease where somebody else left it.
    #[serde(default)]
    pub lease: Option<TakeLease>,
    /// Why what is another in the runbook's file is accepted when the run is taken up again; without
    /// it the run goes on with what it began with.
    #[serde(default)]
    pub accept_changes: Option<String>,
    /// Which parts of it, by name; all of them where none is named.
    #[serde(default)]
    pub accept: Vec<String>,
    /// Releases whatever can be released, as a lab's operator without care would. No file
    /// can say so.
    #[serde(skip)]
    everything: bool,
    /// Only watches the soak in hand: the line is held, so that nothing begins behind it, and
    /// with the soak all is done that was wanted.
    #[serde(skip)]
    pub(crate) soaks: bool,
    /// How long a step is waited for whose gates do not pass, five minutes if nothing is said,
    /// and a soak that gets nowhere, for ever if nothing is said.
    #[serde(skip)]
    pub patience: Option<Span>,
    /// Approvals: refused, since a file is no second person.
    #[serde(default)]
    approve: BTreeMap<String, String>,
}

/// What somebody who is asked says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Polled {
    /// It may begin.
    Go,
    /// It may not.
    NoGo,
}

/// The only answer there is to a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ByProbe {
    /// As the world shows it.
    #[serde(rename = "by probe")]
    ByProbe,
}

/// The only answer there is to a window that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum NextWindow {
    /// Another one of the runbook's length, at once.
    #[serde(rename = "next")]
    Next,
}

/// The only answer there is to a lease that somebody else holds: no file takes it from a run
/// that still renews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TakeLease {
    /// Once its holder has not renewed it for as long as it lasts.
    #[serde(rename = "take when expired")]
    WhenExpired,
}

impl Answers {
    /// Whether another change window is opened when one is over: on a lab always.
    pub(crate) fn opens_windows(&self) -> bool {
        self.everything || self.window == Some(NextWindow::Next)
    }

    /// Releases everything, with the text that a step wants typed; chooses as told. For a lab.
    #[must_use]
    pub fn everything(choose: BTreeMap<String, String>) -> Self {
        Self { choose, everything: true, ..Self::default() }
    }

    /// Answers nothing, and watches the soak in hand behind a held line.
    #[must_use]
    pub fn soaks() -> Self {
        Self { soaks: true, ..Self::default() }
    }

    /// Whether a line that a guard's breach held is freed when every guard holds again: on a
    /// lab, where somebody would have looked. No file frees a line.
    pub(crate) fn frees(&self) -> bool {
        self.everything
    }

    /// Who of those whose go is wanted says what: on a lab everybody says go.
    pub(crate) fn polled<'a>(
        &self,
        step: &StepAddr,
        mut wanted: impl Iterator<Item = &'a str>,
    ) -> Option<(&'a str, bool)> {
        let said = entry(&self.poll, step);
        wanted.find_map(|who| match said.and_then(|said| said.get(who)) {
            Some(said) => Some((who, *said == Polled::Go)),
            None => self.everything.then_some((who, true)),
        })
    }

    /// What is typed to release a step; `confirm` is what it wants typed.
    pub(crate) fn release(
        &self,
        step: &StepAddr,
        confirm: impl FnOnce() -> String,
    ) -> Option<String> {
        find(&self.release, step).or_else(|| self.everything.then(confirm))
    }
}

impl Answers {
    /// Addresses that no step of the runbook has: their answers would never be asked for, and the
    /// step that is meant would stop the run half way.
    #[must_use]
    pub fn lost(&self, runbook: &Runbook) -> Vec<String> {
        let known = |address: &str| -> Result<(), String> {
            let at: StepAddr = address.parse().map_err(|_| format!("{address:?} is no address"))?;
            let section = runbook.section(&at.phase);
            let Some(phase) = section.filter(|p| p.steps.iter().any(|s| s.id == at.step)) else {
                return Err(format!("there is no step {}", at.place()));
            };
            match (&phase.each, &at.item) {
                (Some(_), None) => Err(format!(
                    "{} is walked for each item: write {}[*]/{}",
                    at.place(),
                    at.phase,
                    at.step
                )),
                (None, Some(_)) => Err(format!("{} has no items", at.place())),
                _ => Ok(()),
            }
        };
        let all = self.release.keys().chain(self.choose.keys()).chain(self.poll.keys());
        let all = all.chain(self.in_doubt.keys()).chain(self.back.keys());
        let mut lost: Vec<String> = all.filter_map(|address| known(address).err()).collect();
        lost.sort();
        lost.dedup();
        lost
    }
}

/// Reads an answers file.
pub fn parse_answers(text: &str) -> Result<Answers, Vec<Problem>> {
    let answers: Answers = toml::from_str(text).map_err(|e| vec![of_toml(&e, 0..0)])?;
    if !answers.approve.is_empty() {
        return Err(vec![Problem::error(
            0..0,
            "a file cannot approve",
            "a second person approves from their own machine",
        )]);
    }
    Ok(answers)
}

/// The answer for a step.
pub(crate) fn find(table: &BTreeMap<String, String>, step: &StepAddr) -> Option<String> {
    let text = entry(table, step)?;
    Some(text.replace("{item}", step.item.as_deref().unwrap_or_default()))
}

/// What a table has for a step: by its address, else for every item.
pub(crate) fn entry<'a, T>(table: &'a BTreeMap<String, T>, step: &StepAddr) -> Option<&'a T> {
    let exact = table.get(&step.to_string());
    exact.or_else(|| {
        let all = StepAddr { item: step.item.as_ref().map(|_| "*".into()), ..step.clone() };
        table.get(&all.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that is misspelt is found before anything is begun.
    #[test]
    fn an_answer_that_no_step_asks_for_is_named() {
        let step = "[[phase.step]]\nid = \"s\"\ntitle = \"S\"\nmanual.instruction = \"Do it.\"\n";
        let phase =
            |id: &str, each: &str| format!("[[phase]]\nid = \"{id}\"\ntitle = \"P\"\n{each}{step}");
        let each = "each.x.of = '[\"a\"]'\n";
        let book = [
            "format = 1\nid = \"x\"\ntitle = \"X\"\nowner = \"o\"\n",
            &phase("a", ""),
            &phase("b", each),
        ]
        .concat();
        let book = crate::runbook::load(&book).unwrap_or_else(|p| panic!("{p:?}")).runbook;
        let lost = |text: &str| parse_answers(text).unwrap().lost(&book).join("; ");
        assert_eq!(lost("[release]\n'a/s' = ''\n'b[*]/s' = ''\n'b[q]/s' = ''\n"), "");
        assert_eq!(lost("[choose]\n'a/t' = 'x'\n[release]\n'a/t' = ''\n"), "there is no step a/t");
        let wanted = "b/s is walked for each item: write b[*]/s";
        assert_eq!(lost("[in_doubt]\n'b/s' = 'by probe'\n"), wanted);
        assert_eq!(lost("[back]\n'a[x]/s' = 'r'\n"), "a/s has no items");
        assert_eq!(lost("[poll.'c/s']\nx = 'go'\n"), "there is no step c/s");
    }

    #[test]
    fn an_address_wins_over_all_items_and_a_file_never_approves() {
        let answers =
            parse_answers("[release]\n'roll[*]/claims' = '{item}'\n'roll[b]/claims' = 'no'\n")
                .unwrap();
        let at = |item: &str| format!("roll[{item}]/claims").parse().unwrap();
        assert_eq!(find(&answers.release, &at("a")).as_deref(), Some("a"));
        assert_eq!(find(&answers.release, &at("b")).as_deref(), Some("no"));
        assert_eq!(find(&answers.release, &"roll[a]/pod".parse().unwrap()), None);
        assert!(parse_answers("[approve]\n'a/b' = 'x'\n").is_err());
        assert!(parse_answers("[relaese]\n").is_err());
        assert!(parse_answers("[in_doubt]\n'a/b' = 'done'\n").is_err());
        assert!(parse_answers("lease = 'take'\n").is_err());
        assert!(parse_answers("lease = 'take when expired'\n").unwrap().lease.is_some());
        let doubt = parse_answers("[in_doubt]\n'roll[*]/claims' = 'by probe'\n").unwrap();
        assert!(entry(&doubt.in_doubt, &at("a")).is_some());
    }
}
