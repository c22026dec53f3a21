//! Nothing is scheduled within a step's estimate.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Intent, SCHEDULED, State, Status, wants};
use holdpoint::world::*;
use proptest::prelude::*;

/// Each voter takes twenty minutes; CronJobs of the namespace vault are not to come in between.
fn quiet() -> String {
    let top = "owner = \"tests\"\nquiet = 'cronjobs.filter(c, c.namespace == \"vault\")'\n";
    let small = RUNBOOK.replacen("owner = \"tests\"\n", top, 1);
    small.replacen("confirm = ", "estimate = \"20m\"\nconfirm = ", 1)
}

/// A run that began at another time.
fn begun_at(mut run: Run, at: Time) -> Run {
    (run.now, run.state.at, run.state.opened, run.entries[0].at) = (at, at, at, at);
    run
}

fn job(name: &str, schedule: &str, time_zone: &str) -> CronJob {
    CronJob {
        namespace: "vault".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        schedule: schedule.into(),
        time_zone: time_zone.into(),
        ..CronJob::default()
    }
}

/// All is well, and these are the CronJobs.
fn with(at: Time, jobs: &[CronJob]) -> Vec<Change> {
    let mut changes = well(at);
    let update = Update::Cronjobs(Rows::all(jobs.to_vec()));
    let reach = Some(Reach::of(["vault".to_owned()]));
    changes.push(Change { reach, ..live(Source::Cronjobs, at, update) });
    changes
}

fn judged(state: &State) -> Option<(Verdict, String)> {
    let s = &state.steps[&state.current()?];
    let gate = s.gates.iter().find(|g| g.gate == SCHEDULED)?;
    Some((gate.judged.verdict, gate.judged.why.clone()))
}

/// 2026-04-25 16:00 UTC, 18:00 in Berlin, 12:00 in New York.
#[test]
fn what_is_due_before_it_ends_holds_it() {
    let at: Time = "2026-04-25T16:00:00Z".parse().unwrap();
    let (pass, fail, unknown) = (Verdict::Pass, Verdict::Fail, Verdict::Inconclusive);
    let suspended = CronJob { suspended: true, ..job("a", "5 16 * * *", "") };
    let running = CronJob { active: 1, ..job("a", "0 3 * * *", "") };
    for (jobs, verdict, why) in [
        (vec![job("a", "0 3 * * *", "")], pass, ""),
        (
            vec![job("a", "20 16 * * *", "")],
            fail,
            "CronJob vault/a is due at 2026-04-25T16:20:00.000Z, in 20m00",
        ),
        (vec![job("a", "21 16 * * *", "")], pass, ""),
        // It was due this very minute, and its Job may not be there yet; or the minute before.
        (vec![job("a", "0 16 * * *", "")], fail, "is due at 2026-04-25T16:00:00.000Z, in 0s"),
        (vec![job("a", "59 15 * * *", "")], pass, ""),
        (vec![job("a", "20 16 * * *", "Europe/Berlin")], pass, ""),
        (vec![job("a", "10 18 * * *", "Europe/Berlin")], fail, "due at 2026-04-25T16:10:00.000Z"),
        (vec![job("a", "10 12 * * *", "America/New_York")], fail, "at 2026-04-25T16:10:00.000Z"),
        (vec![suspended], pass, ""),
        (vec![running], fail, "CronJob vault/a runs now; it takes 20m"),
        (vec![job("a", "@every 1h", "")], unknown, "`@every 1h` is no cron line"),
        (vec![job("a", "0 3 * * *", "Berlin")], unknown, "`Berlin` is no time zone"),
    ] {
        let mut run = begun_at(Run::new(&quiet(), Mode::Write), at);
        let step = run.reach_first_step();
        run.look(with(at, &jobs));
        let (is, said) = judged(&run.state).expect("the gate");
        assert_eq!(is, verdict, "{jobs:?}: {said}");
        assert!(said.contains(why), "{said}");
        let status = if verdict == pass { Status::Ready } else { Status::Blocked };
        assert_eq!(run.state.steps[&step].status, status);
    }
}

/// It is read with the step's other gates, and without it nothing is known.
#[test]
fn cronjobs_are_read_afresh_for_it() {
    let mut run = Run::new(&quiet(), Mode::Write);
    run.reach_first_step();
    let wanted = wants(&run.state).unwrap().reading;
    assert!(wanted.contains(&Source::Cronjobs));
    run.look(well(run.now));
    let (verdict, why) = judged(&run.state).unwrap();
    assert!(verdict == Verdict::Inconclusive && why.contains("cronjobs is"), "{why}");
    run.pass(2_000);
    run.look(with(run.now, &[job("a", "0 3 * * *", "")]));
    assert_eq!(judged(&run.state), Some((Verdict::Pass, String::new())));
    // Their namespace is one that the panes are to show.
    let none = Default::default();
    let named = holdpoint::runbook::namespaces(&run.state.runbook, &none, &none);
    assert!(named.contains("vault"), "{named:?}");
    // What says nothing of how long it takes has no such gate.
    let mut run = Run::new(&quiet().replacen("estimate = \"20m\"\n", "", 1), Mode::Write);
    run.reach_first_step();
    assert!(!wants(&run.state).unwrap().reading.contains(&Source::Cronjobs));
    run.look(well(run.now));
    assert_eq!(judged(&run.state), None);
}

/// Nor has a check, a way back, or a step of a runbook and a site that name nothing.
#[test]
fn what_only_looks_or_goes_back_is_not_held() {
    let none = |run: &Run| {
        let reading = wants(&run.state).unwrap().reading;
        assert!(!reading.contains(&Source::Cronjobs) && judged(&run.state).is_none());
    };
    let soon = [job("a", "5 16 * * *", "")];
    let check = "id = \"check\"\nhold = \"release\"\nestimate = \"20m\"\n";
    let back = "[[backout]]\nid = \"home\"\ntitle = \"Home\"\n[[backout.step]]\nid = \"hand\"\n\
                title = \"By hand\"\nestimate = \"20m\"\nmanual.instruction = \"Back.\"\n";
    let text = quiet().replacen("id = \"check\"\n", check, 1) + back;
    let at = "2026-04-25T16:00:00Z".parse().unwrap();
    let mut run = begun_at(Run::new(&text, Mode::Write), at);
    let step = run.reach_first_step();
    run.look(with(run.now, &soon));
    assert_eq!(judged(&run.state).map(|(verdict, _)| verdict), Some(Verdict::Fail));
    let mut going = run.fork();
    run.ask(&driver(), Intent::Skip { step, reason: "seen".into() }).unwrap();
    for _ in 0..3 {
        run.look(with(run.now, &soon));
    }
    let home = Intent::GoBack { section: "home".into(), reason: "late".into() };
    going.ask(&driver(), home).unwrap();
    for _ in 0..3 {
        going.look(with(going.now, &soon));
    }
    for (run, step) in [(&run, "one[vault-0]/check"), (&going, "home/hand")] {
        let current = run.state.current().unwrap();
        assert_eq!(current.to_string(), step);
        assert!(run.state.steps[&current].gates_at.is_some());
        none(run);
    }
    let plain = text.lines().filter(|line| !line.starts_with("quiet")).collect::<Vec<_>>();
    let mut run = Run::new(&plain.join("\n"), Mode::Write);
    run.reach_first_step();
    run.look(with(run.now, &soon));
    none(&run);
}

/// Of several, what comes first is told; of those that come together, the first of the list.
#[test]
fn what_comes_next_is_told() {
    let at: Time = "2026-04-25T16:00:00Z".parse().unwrap();
    let (early, late) = (job("a", "0 3 * * *", ""), job("b", "0 5 * * *", ""));
    let also = job("c", "0 3 * * *", "");
    for jobs in [[&early, &late, &also], [&late, &early, &also]] {
        let mut run = begun_at(Run::new(&quiet(), Mode::Write), at);
        let step = run.reach_first_step();
        run.look(with(at, &jobs.map(Clone::clone)));
        let gates = &run.state.steps[&step].gates;
        let gate = gates.iter().find(|g| g.gate == SCHEDULED).unwrap();
        let told: Vec<_> = gate.judged.values.iter().map(|v| v.value.as_str()).collect();
        assert_eq!(told, ["CronJob vault/a at 2026-04-26T03:00:00.000Z"]);
    }
}

/// The site's own list needs no runbook that asks for it.
#[test]
fn what_the_site_lists_holds_steps_of_any_runbook() {
    let at: Time = "2026-04-25T00:30:00Z".parse().unwrap();
    let text = RUNBOOK.replacen("confirm = ", "estimate = \"20m\"\nconfirm = ", 1);
    for (minutes, why) in [
        (0, ""),
        (10, "snapshots is due at 2026-04-25T01:00:00.000Z, in 20m00; it takes 20m"),
        (35, "snapshots began at 2026-04-25T01:00:00.000Z and takes 15m; it takes 20m"),
        (46, ""),
    ] {
        let mut run = Run::new(&text, Mode::Write);
        let mut header = (*run.state.header).clone();
        header.scheduled = vec![Scheduled {
            name: "snapshots".into(),
            schedule: "0 3 * * *".into(),
            zone: "Europe/Berlin".into(),
            takes: Span::secs(900),
        }];
        run.state.header = std::sync::Arc::new(header);
        run = begun_at(run, at + Span::secs(60 * minutes));
        run.reach_first_step();
        run.look(well(run.now));
        let verdict = if why.is_empty() { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(judged(&run.state), Some((verdict, why.to_owned())), "after {minutes} minutes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the minute and the line: it passes exactly if no minute of the estimate is one
    /// that the line names.
    #[test]
    fn it_passes_where_no_minute_is_due(start in 0_i64..1440, minute in 0_i64..60, every in 1_i64..30) {
        let day: Time = "2026-04-25T00:00:00Z".parse().unwrap();
        let at = day + Span(u64::try_from(start).unwrap() * 60_000 + 1);
        let mut run = begun_at(Run::new(&quiet(), Mode::Write), at);
        run.reach_first_step();
        run.look(with(at, &[job("a", &format!("{minute}/{every} * * * *"), "")]));
        let names = |m: i64| m % 60 >= minute && (m % 60 - minute) % every == 0;
        // One that was due this very minute may begin any moment.
        let due = (start..=start + 20).any(names);
        let verdict = if due { Verdict::Fail } else { Verdict::Pass };
        prop_assert_eq!(judged(&run.state).unwrap().0, verdict);
    }
}
