//! How long a rehearsal takes, for a person to read: no test fails by it, since a machine that
//! is busy says nothing of the program.

use super::{RUNBOOK, on_lab_time, operator, play, rows, small, what, world};
use std::time::{Duration, Instant};

/// What this thread had of a processor until now: a rehearsal is on one thread.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(first.unwrap_or_default())
}

#[test]
#[ignore = "figures for a person: just figures"]
fn how_long_rehearsals_take() {
    let mut all = Vec::new();
    // The sites are made once for all of them.
    drop((small(), world()));
    let faults = rows().into_iter().map(|row| format!("{}{}", row.fault, row.start));
    for fault in [String::new()].into_iter().chain(faults) {
        let given: &[&str] = if fault.is_empty() { &[] } else { &[&fault] };
        let begun = if fault.starts_with("attach-limit") { world() } else { small() };
        let (began, before) = (Instant::now(), worked());
        let what = what(RUNBOOK, given, operator(), begun);
        let played = on_lab_time(play(what, &mut |_| true)).unwrap();
        assert!(!fault.is_empty() || played.done);
        let (first, last) = (played.entries[0].at, played.entries.last().unwrap().at);
        all.push((worked() - before, began.elapsed(), last.since(first), fault));
    }
    all.sort();
    for (work, wall, lived, fault) in &all {
        let work = format!("{work:.2?}");
        println!(
            "{work:>9} of a processor, {wall:>7.2?} by the wall, {} of the site's time  {fault}",
            lived.brief()
        );
    }
    let over = all.iter().filter(|(work, ..)| *work > Duration::from_secs(1)).count();
    let (median, longest) = (all[all.len() / 2].0, all[all.len() - 1].0);
    println!(
        "{} rehearsals: median {median:.2?}, longest {longest:.2?} of a processor; {over} longer than 1 s",
        all.len()
    );
}
