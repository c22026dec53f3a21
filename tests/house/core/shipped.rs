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
