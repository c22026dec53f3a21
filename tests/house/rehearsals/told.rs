//! What a rehearsal says of faults that never came, came too late, changed nothing, or of what
//! the site refuses anyway.

use super::{RUNBOOK, on_lab_time, operator, play, small, what};
use holdpoint::cli::lab::rehearse::compared;
use holdpoint::lab::faults::fault;

/// A fault that could not come, or did not, is never taken for one that does no harm.
#[test]
fn a_fault_that_does_not_come_is_said() {
    let run = |fault: &str| {
        on_lab_time(play(what(RUNBOOK, &[fault], operator(), small()), &mut |_| true))
    };
    let Err(why) = run("hung-leader@roll/clams") else { panic!("it was taken") };
    assert!(why.contains("no step roll/clams") && why.contains("hung-leader@90s"), "{why}");
    let report = run("hung-leader@100h").unwrap().report().join("\n");
    assert!(report.contains("hung-leader@100h never began"), "{report}");
    for never in
        ["soak", "election", "roll/unstick", "roll[vault-0]/step-down", "done:final/together"]
    {
        let fault = format!("path-lost@{never}");
        // Nobody comes to the roll, so nothing of it happens.
        let what = what(RUNBOOK, &[&fault, "hung-audit"], operator(), small());
        let report = on_lab_time(compared(what, &mut |_| true)).unwrap().report().join("\n");
        assert!(report.contains(&format!("{fault} never began")), "{report}");
    }
}

/// What a rehearsal found out is not lost with the run that it is compared with.
#[test]
fn a_run_that_nothing_is_compared_with_is_told_all_the_same() {
    let what = what(RUNBOOK, &["hung-audit"], operator(), small());
    let mut played = on_lab_time(play(what, &mut |_| true)).unwrap();
    played.compare(Err("its journal cannot be read".into()));
    let told = played.report().join("\n");
    assert!(told.contains("fault hung-audit") && told.contains("preflight/voters"), "{told}");
    assert!(told.contains("not be compared") && told.contains("its journal cannot be"), "{told}");
    // With one catches are told apart, and nothing is said of it.
    let plain = super::what(RUNBOOK, &[], operator(), small());
    played.alone = None;
    played.compare(on_lab_time(play(plain, &mut |_| true)));
    let told = played.report().join("\n");
    assert!(played.without.is_some() && !told.contains("compared"), "{told}");
}

/// One that comes when nobody looks any more is not lived through, and is not said to be.
#[test]
fn a_fault_that_comes_too_late_is_said() {
    let report = |fault: &str| {
        let what = what(RUNBOOK, &[fault], operator(), small());
        on_lab_time(compared(what, &mut |_| true)).unwrap().report().join("\n")
    };
    for late in ["missing-fsgroup@roll/claims", "wrong-class@roll/claims"] {
        let told = report(late);
        assert!(
            told.contains("every step is done") && told.contains("it changed nothing that"),
            "{told}"
        );
    }
    let told = report("backup-stale@roll/moved");
    assert!(told.contains("what should catch it was over by then: preflight/backup"), "{told}");
    let told = report("api-slow");
    assert!(told.contains("every step is done") && !told.contains("changed nothing"), "{told}");
    let told = report("quorum-lost@done:final/together");
    assert!(told.contains("it began as the run ended: no step looked any more"), "{told}");
}

/// What the site says without it, too, is no catch of a fault.
#[test]
fn what_is_refused_anyway_is_not_its_catch() {
    let mut begun = small();
    fault(&mut begun, "backup-stale", true);
    let what = what(RUNBOOK, &["api-slow@1s"], operator(), begun);
    let report = on_lab_time(compared(what, &mut |_| true)).unwrap().report();
    let told = report.join("\n");
    let at = |line: &str| report.iter().position(|l| l.starts_with(line)).expect(&told);
    let anyway = at("without any fault, too:");
    assert!(at("fault api-slow@1s") < anyway, "{told}");
    assert!(at("  caught by the verify of preflight/backup") > anyway, "{told}");
}

/// A place that is not there is refused, and what is nearest is named.
#[test]
fn a_place_that_is_not_there_is_refused_with_what_is_nearest() {
    for (place, near) in [
        ("roll[vault-9]/claims", "did you mean `vault-0`?"),
        ("done:roll[x]/claims", "known are vault-0, vault-1, vault-2"),
        ("rol/claims", "did you mean `roll/claims`?"),
        ("roll[vault-0]/calims", "did you mean `roll/claims`?"),
        ("preflight[vault-0]/voters", "write preflight/voters"),
        ("roll[vault-0/claims", "no step roll[vault-0/claims"),
    ] {
        let fault = format!("path-lost@{place}");
        let what = what(RUNBOOK, &[&fault], operator(), small());
        let why = on_lab_time(play(what, &mut |_| true)).err().expect(place);
        assert!(why.contains(near) && why.contains("path-lost@90s"), "{place}: {why}");
    }
}
