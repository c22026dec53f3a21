//! Several faults in one rehearsal: whose a catch was, and that each has its own end.

use super::{Played, RUNBOOK, on_lab_time, operator, play, small, what};
use holdpoint::lab::vault;

fn played(faults: &[&str]) -> Played {
    on_lab_time(play(what(RUNBOOK, faults, operator(), small()), &mut |_| true)).unwrap()
}

/// The lines behind a fault's own.
fn of<'a>(report: &'a [String], fault: &str) -> Vec<&'a str> {
    let head = format!("fault {fault} at ");
    let rest = report.iter().skip_while(|line| !line.starts_with(&head)).skip(1);
    rest.take_while(|line| line.starts_with("  ")).map(String::as_str).collect()
}

#[test]
fn each_catch_is_of_the_fault_that_its_row_names() {
    // The first heals before a guard is breached, so that the second has its turn.
    let report = played(&["token-expires@preflight/voters,for=5s", "backup-stale"]).report();
    let told = report.join("\n");
    let token = of(&report, "token-expires@preflight/voters");
    assert!(
        !token.is_empty() && token.iter().all(|l| l.contains("of preflight/voters ")),
        "{told}"
    );
    let backup = of(&report, "backup-stale@preflight/voters");
    assert!(backup.len() == 1 && backup[0].contains("verify of preflight/backup "), "{told}");
    assert!(!told.contains("unless") && !told.contains("for certain"), "{told}");
}

#[test]
fn where_both_may_be_meant_both_are_said() {
    let report = played(&["hung-leader", "quorum-lost"]).report();
    let told = report.join("\n");
    for (one, other) in [("hung-leader", "quorum-lost"), ("quorum-lost", "hung-leader")] {
        let lines = of(&report, &format!("{one}@roll/claims"));
        let or = format!("unless that was {other}@roll/claims");
        assert!(!lines.is_empty() && lines.iter().all(|l| l.contains(&or)), "{told}");
    }
}

/// A fault that came elsewhere than the list has it may be caught anywhere.
#[test]
fn a_row_says_nothing_about_another_start() {
    let report = played(&["hung-leader@preflight/anchor", "second-copy-differs"]).report();
    let told = report.join("\n");
    let or = "unless that was hung-leader@preflight/anchor";
    let copy = of(&report, "second-copy-differs@preflight/anchor");
    assert!(!copy.is_empty() && copy.iter().all(|l| l.contains(or)), "{told}");
}

#[test]
fn one_that_heals_does_not_heal_another_of_its_kind() {
    let played = played(&["path-lost@1s,for=4s", "path-lost@2s", "path-lost@100h"]);
    let told = played.report().join("\n");
    let [first, second] = &played.struck[..] else { panic!("{told}") };
    assert!(first.over.is_some() && second.over.is_none(), "{told}");
    let unreachable = |world: &mut holdpoint::lab::World| {
        let names: Vec<String> = world.vault.voters.keys().cloned().collect();
        names.into_iter().filter(|voter| vault::connect(world, voter).is_err()).count()
    };
    assert_eq!(played.lab.with(unreachable), 1, "{told}");
    assert!(told.contains("path-lost@100h never began"), "{told}");
    assert!(!told.contains("path-lost@1s never") && !told.contains("path-lost@2s never"), "{told}");
}
