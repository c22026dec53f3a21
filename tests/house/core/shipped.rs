//! What the shipped runbook must have, whatever is changed in it.

use holdpoint::runbook::load;
use holdpoint::runbook::model::Does;

const ROLL: &str = include_str!("../../../runbooks/vault-raft-to-block.toml");

/// The leadership may move at any time: each step that takes a voter's claims or pod away looks
/// for itself, not only the first of them.
#[test]
fn no_step_takes_the_leaders_disk_or_pod_away() {
    let roll = load(ROLL).unwrap_or_else(|p| panic!("{p:?}")).runbook;
    let mut found = Vec::new();
    for step in roll.phases.iter().flat_map(|p| &p.steps) {
        let Does::Action(call) = &step.does else { continue };
        if ["kube.delete_claims", "kube.delete_pod"].contains(&call.verb.as_str()) {
            found.push(step.id.as_str());
            assert!(step.gates.iter().any(|g| g.id == "not-leader"), "{}", step.id);
        }
    }
    assert_eq!(found, ["claims", "pod", "pod-again"]);
}

/// What is deleted on the strength of an anchor is deleted on one of the last hours; a way back restores
/// the last one there is, however old.
#[test]
fn deletions_go_by_an_anchor_that_is_young_and_restores_by_the_last_one() {
    let roll = load(ROLL).unwrap_or_else(|p| panic!("{p:?}")).runbook;
    let steps: Vec<_> =
        roll.sections().flat_map(|p| p.steps.iter().map(move |s| (p.id.as_str(), s))).collect();
    for (section, step) in &steps {
        let lasts = |name: &str| step.capture.iter().find(|c| c.name == name).map(|c| c.lasts);
        assert_eq!(lasts("anchor").is_some(), lasts("last_anchor").is_some(), "{section}");
        assert_ne!(lasts("anchor"), Some(None), "{section}");
        assert!(lasts("last_anchor").is_none_or(|lasts| lasts.is_none()), "{section}");
    }
    let named: Vec<String> = steps
        .iter()
        .filter(|(_, s)| s.gates.iter().any(|g| g.that.text.contains("evidence.anchor.")))
        .map(|(section, s)| format!("{section}/{}", s.id))
        .collect();
    assert_eq!(named, ["statefulset/orphan", "roll/claims", "voters-back/claims"]);
}
