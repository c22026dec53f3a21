//! Each gate of the shipped runbook earns its place: with the gate there the step does not
//! begin, with `true` in its stead it does.

use super::broken::{BEGINS, Shown, broken, comes_to, shown};
use super::{on_lab_time, operator, small, what};
use holdpoint::cli::lab::play::{RUNBOOK, play};
use holdpoint::cli::lab::rehearse::everything;
use holdpoint::event::{Event, GateJudged, Span, Time, Verdict};
use holdpoint::run::SCHEDULED;
use holdpoint::runbook::load;

macro_rules! gates {
    ($($name:ident: $gate:literal by $faults:tt skipping $skips:tt spares $spares:literal
        $(beside $beside:literal)?;)*) => {
        const GATES: &[&str] = &[$($gate),*];
        $(#[test] fn $name() {
            shown(&Shown {
                faults: &$faults,
                skips: &$skips,
                beside: &[$($beside)?],
                ..Shown::of($gate, $spares, BEGINS)
            });
        })*
    };
}

gates! {
    quiet: "quiet" by ["backup-due"] skipping [] spares "roll[vault-0]/claims";
    quiet_at_first: "quiet" by ["backup-due@preflight/anchor"] skipping [] spares "preflight/anchor";
    the_guard: "guard quorum" by ["quorum-lost@statefulset/apply"] skipping [] spares "statefulset/apply";
    orphan_healthy: "statefulset/orphan healthy" by ["path-lost@statefulset/how"] skipping []
        spares "statefulset/orphan";
    orphan_anchor: "statefulset/orphan anchor" by [] skipping ["preflight/anchor"]
        spares "statefulset/orphan";
    orphan_manifest: "statefulset/orphan manifest" by ["second-copy-differs@preflight/manifest"]
        skipping ["preflight/manifest"] spares "statefulset/orphan";
    step_down_others: "roll/step-down others" by ["path-lost@roll/step-down"] skipping []
        spares "roll[vault-2]/step-down";
    claims_not_leader: "roll/claims not-leader" by ["leader-moves@roll/claims"] skipping []
        spares "roll[vault-0]/claims";
    claims_others: "roll/claims others" by ["path-lost@roll[vault-1]/claims"] skipping []
        spares "roll[vault-1]/claims";
    claims_anchor: "roll/claims anchor" by [] skipping ["roll/anchor"]
        spares "roll[vault-0]/claims";
    claims_kept: "roll/claims kept" by ["reclaim-delete@roll/claims"] skipping []
        spares "roll[vault-0]/claims" beside "roll/claims left";
    claims_left: "roll/claims left" by ["reclaim-delete@roll/soak"] skipping []
        spares "roll[vault-1]/claims" beside "roll/claims kept";
    claims_template: "roll/claims template" by [] skipping ["statefulset/orphan", "statefulset/apply"]
        spares "roll[vault-0]/claims";
    pod_claims_go: "roll/pod claims-go" by [] skipping ["roll/claims"]
        spares "roll[vault-0]/pod";
    pod_others: "roll/pod others" by ["path-lost@roll[vault-1]/pod"] skipping []
        spares "roll[vault-1]/pod";
    pod_not_leader: "roll/pod not-leader" by ["leader-moves@roll[vault-1]/pod"] skipping []
        spares "roll[vault-1]/pod";
    unstick_others: "roll/unstick others" by ["path-lost@roll[vault-1]/unstick"]
        skipping ["roll[vault-1]/pod"] spares "roll[vault-1]/unstick";
    again_claims_gone: "roll/pod-again claims-gone" by [] skipping ["roll/pod", "roll/unstick"]
        spares "roll[vault-0]/pod-again";
    again_not_leader: "roll/pod-again not-leader" by ["leader-moves@roll/pod-again"]
        skipping ["roll/pod"] spares "roll[vault-0]/pod-again";
    again_others: "roll/pod-again others" by ["path-lost@roll[vault-1]/pod-again"]
        skipping ["roll[vault-1]/pod"] spares "roll[vault-1]/pod-again";
}

/// Gates without which the step is spared all the same, and by what: they are there to say it
/// first, in words that an operator can do something with, and a rehearsal misses those words.
const SPARED: [(&str, &[&str], &str, &str); 2] = [
    (
        "preflight/anchor leader",
        &["hung-leader@preflight/anchor"],
        "preflight/anchor",
        "the plan of a snapshot asks the leader itself, with its token, and fails where it hangs",
    ),
    ("roll/anchor leader", &["hung-leader@roll/anchor"], "roll[vault-0]/anchor", "as above"),
];

/// The guard sees a leader that hangs, too: without it and without the gate it is the plan.
#[test]
fn what_spares_a_step_whose_gate_is_gone() {
    for (gate, faults, spares, why) in SPARED {
        let shown = Shown { faults, ..Shown::of(gate, spares, BEGINS) };
        let text = broken(&broken(RUNBOOK, "guard quorum"), gate);
        assert!(!comes_to(&shown, &text), "{gate}: {spares} began, although {why}");
        assert!(says(RUNBOOK, gate, faults), "{gate} says nothing of {faults:?}");
        assert!(!says(&broken(RUNBOOK, gate), gate, faults), "{gate} is broken, and speaks");
    }
}

/// Whether that gate of its step is seen not to pass.
fn says(text: &str, gate: &str, faults: &[&str]) -> bool {
    let played = on_lab_time(play(what(text, faults, operator(), small()), &mut |_| true)).unwrap();
    let (at, id) = gate.split_once(' ').unwrap();
    let speaks = |g: &GateJudged| g.gate == id && g.judged.verdict != Verdict::Pass;
    played.entries.iter().any(|e| match &e.event {
        Event::GatesJudged { step, gates } => step.place() == at && gates.iter().any(speaks),
        _ => false,
    })
}

#[test]
fn every_gate_is_shown_to_matter() {
    let book = load(RUNBOOK).unwrap().runbook;
    let guards = book.guards.iter().map(|g| format!("guard {}", g.id));
    let steps = book.phases.iter().flat_map(|p| p.steps.iter().map(move |s| (p, s)));
    let gates =
        steps.flat_map(|(p, s)| s.gates.iter().map(|g| format!("{}/{} {}", p.id, s.id, g.id)));
    let quiet = book.quiet.iter().map(|_| "quiet".to_owned());
    let mut all: Vec<String> = quiet.chain(guards).chain(gates).collect();
    let spared = SPARED.iter().map(|(gate, ..)| *gate);
    let mut here: Vec<String> = GATES.iter().copied().chain(spared).map(str::to_owned).collect();
    all.sort();
    here.sort();
    here.dedup();
    assert_eq!(all, here);
}

/// Which job, and when; and once it has run the change goes on.
#[test]
fn a_backup_that_comes_in_between_is_named_and_waited_for() {
    for start in ["", "@preflight/anchor", "@roll/step-down"] {
        let fault = format!("backup-due{start}");
        let patient = everything();
        let played = on_lab_time(play(what(RUNBOOK, &[&fault], patient, small()), &mut |_| true));
        let played = played.unwrap();
        assert!(played.done, "{}", played.report().join("\n"));
        let judged = played.entries.iter().flat_map(|e| match &e.event {
            Event::GatesJudged { gates, .. } => gates.as_slice(),
            _ => &[],
        });
        let mut failed = judged
            .filter(|g| g.gate == SCHEDULED && g.judged.verdict == Verdict::Fail)
            .map(|g| (g.judged.why.clone(), g.judged.at));
        let (why, at) = failed.next().unwrap_or_else(|| panic!("{fault}: no gate failed"));
        let due: Time = why
            .strip_prefix("CronJob vault/vault-raft-backup is due at ")
            .and_then(|rest| rest.split(',').next())
            .unwrap_or_else(|| panic!("{why}"))
            .parse()
            .unwrap();
        assert!(due > at && due.since(at) <= Span::secs(60), "{why}, said at {at}");
    }
}
