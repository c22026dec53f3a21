//! A machine that was suspended: time has passed, and nobody saw anything meanwhile.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, Status};

const HOURS: i64 = 6 * 3_600_000;

/// What was reviewed before is not what is true now: a release is judged anew, and nothing runs.
#[test]
fn a_release_after_a_sleep_is_judged_by_what_is_so_now() {
    let window = "owner = \"tests\"\n[window]\nlength = \"4h\"\nbackout_reserve = \"45m\"\n";
    let text = RUNBOOK.replacen("owner = \"tests\"\n", window, 1);
    // Neither by what was read before the sleep, nor by what is read now: the window has closed.
    for old in [true, false] {
        let mut run = Run::new(&text, Mode::Write);
        let (step, digest) = run.reach_review();
        let read = well(run.now);
        run.pass(HOURS);
        let typed = "vault-0".to_owned();
        run.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
        let changes = if old { read } else { well(run.now) };
        run.prepared(changes, Ok(proposal("vault-0", "uid-vault-0")));
        assert!(run.state.running.is_none());
        let changed = &run.state.steps[&step].changed;
        assert!(changed.iter().any(|why| why.contains("it ended 2h")), "{changed:?}");
        let stale = changed.iter().any(|why| why.contains("every voter is healthy: inconclusive"));
        assert_eq!(stale, old, "{changed:?}");
    }
}

/// A soak counts what was watched: of the hours that the machine slept no more than one look is worth.
#[test]
fn a_soak_does_not_count_what_was_slept() {
    let text = "format = 1\nid = \"s\"\ntitle = \"S\"\nowner = \"o\"\n[[phase]]\nid = \"a\"\n\
        title = \"A\"\n[[phase.step]]\nid = \"soak\"\ntitle = \"Soak\"\nsoak.for = \"24h\"\n\
        [[phase.step.soak.watch]]\nid = \"w\"\nthat = 'raft.leader_answers'\nsays = \"it answers\"\n";
    let mut run = Run::new(text, Mode::Write);
    run.observe(well(run.now));
    for _ in 0..5 {
        run.look(well(run.now));
    }
    assert_eq!(run.status("a/soak"), Status::Running);
    let observed = |run: &Run| run.state.steps[&"a/soak".parse().unwrap()].soak.observed_ms;
    run.pass(5_000);
    run.look(well(run.now));
    let before = observed(&run);
    run.pass(HOURS);
    run.look(well(run.now));
    assert!(observed(&run) - before <= 15_000, "{} after {before}", observed(&run));
    // A clock that was set back gives nothing, and takes nothing.
    let before = observed(&run);
    run.pass(-HOURS);
    run.look(well(run.now));
    assert!(observed(&run) >= before && observed(&run) - before <= 15_000);
}
