//! Whole runs of the shipped runbook on the lab: every fault with its operator who releases
//! what can be released and overrides nothing.

mod back;
mod broken;
mod checks;
mod claimed;
mod figures;
mod files;
mod followed;
mod gates;
mod halfway;
mod impatient;
mod promises;
mod returned;
mod several;
mod told;

use holdpoint::cli::lab::play::{BEGINS, Play, Played, RUNBOOK, play};
use holdpoint::cli::lab::rehearse::{everything, lab_site};
use holdpoint::event::{Event, Span};
use holdpoint::lab::faults::{FAULTS, fault, find};
use holdpoint::lab::{Chance, World, pace, site, vault};
use holdpoint::report::{Catch, catches};
use holdpoint::run::Status;
use holdpoint::session::{Answers, parse_answers};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The site as it begins; made once, it takes longer than most runs.
pub fn world() -> World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| site::world(1, BEGINS)).clone()
}

/// The same with few applications: for what looks at Vault only.
pub fn small() -> World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| site::with_applications(1, BEGINS, 8)).clone()
}

/// Worlds that differ in whatever chance decides: how long things take, who is elected, and
/// who leads as the run begins.
pub fn small_of(seed: u64) -> World {
    const BASES: usize = 4;
    static WORLDS: [OnceLock<World>; BASES] = [const { OnceLock::new() }; BASES];
    let base = seed % BASES as u64;
    let made = || {
        let before = BEGINS - Span::secs(120);
        let mut world = site::with_applications(base + 1, before, 8);
        // As many elections as it takes to have another leader than the others have.
        for n in (0..base % 3).map(|n| n + 1) {
            fault(&mut world, "leader-moves", true);
            world.advance(before + Span::secs(40 * n));
        }
        world.advance(BEGINS);
        world
    };
    let mut world = WORLDS[base as usize].get_or_init(made).clone();
    world.chance = Chance::new(seed);
    world
}

/// On a lab's time.
pub fn on_lab_time<T>(work: impl Future<Output = T>) -> T {
    pace::runtime().unwrap().block_on(work)
}

/// An operator of little patience: it is only waited for what will not come.
pub fn operator() -> Answers {
    let mut answers = everything();
    answers.patience = Some(Span::secs(40));
    answers
}

/// A run with these faults in that world.
pub fn what(text: &str, faults: &[&str], answers: Answers, world: World) -> Play {
    Play {
        text: text.into(),
        path: "vault-raft-to-block.toml".into(),
        params: vec!["soak=6s".into()],
        site: lab_site().unwrap(),
        world,
        faults: faults.iter().map(|f| f.parse().unwrap()).collect(),
        answers,
        runs: None,
        nonce: "0000".into(),
    }
}

/// What happens to a run.
enum Ends {
    /// It is done, though it met the fault: why that is right.
    LivedThrough(&'static str),
    /// It stops there, in that status.
    Stops(&'static str, Status),
}
use Ends::{LivedThrough, Stops};

struct Row {
    fault: String,
    /// Behind the name; empty: when it begins by default.
    start: &'static str,
    /// What must stand in its way.
    caught: &'static [&'static str],
    ends: Ends,
}

macro_rules! rows {
    ($($name:ident $start:literal $caught:tt $ends:expr;)*) => {
        fn rows() -> Vec<Row> {
            vec![$(Row {
                fault: named(stringify!($name)), start: $start, caught: &$caught, ends: $ends,
            }),*]
        }
        $(#[test] fn $name() { rehearsed(stringify!($name), $start); })*
    };
}

/// `pvc_protection_race` and, with other starts, `path_lost_2` and `path_lost_3`.
fn named(name: &str) -> String {
    name.trim_end_matches(|c: char| c == '_' || c.is_ascii_digit()).replace('_', "-")
}

rows! {
    hung_leader "" ["roll/claims", "guard quorum"] Stops("roll/claims", Status::Confirming);
    hung_leader_2 "@preflight/anchor" ["preflight/anchor"] Stops("preflight/anchor", Status::Confirming);
    hung_leader_3 "@election" ["roll/step-down", "guard quorum"] Stops("roll/step-down", Status::Failed);
    hung_leader_4 "@soak" ["roll/soak", "guard quorum"] Stops("roll/soak", Status::Running);
    hung_leader_5 "@done:roll[vault-0]/claims" ["roll/pod"] Stops("roll/pod", Status::Confirming);
    hung_audit "" ["preflight/voters"] Stops("preflight/voters", Status::Blocked);
    stopped_leader "" ["roll/claims"] Stops("roll/claims", Status::Confirming);
    leader_moves "" ["roll/claims"] Stops("roll/claims", Status::Blocked);
    leader_moves_2 "@roll/soak" [] LivedThrough("between turns the order of the roll follows the leader");
    leader_moves_3 "@released:roll/claims" ["roll/claims"] Stops("roll/claims", Status::Blocked);
    quorum_lost "" ["roll/claims", "guard quorum"] Stops("roll/claims", Status::Blocked);
    disks_lost "" ["roll/claims", "guard quorum"] Stops("roll/claims", Status::Blocked);
    every_disk_lost "" ["roll/claims", "guard quorum"] Stops("roll/claims", Status::Blocked);
    unseal_sidecar_stuck "" ["roll/back"] Stops("roll/back", Status::Failed);
    slow_rejoin "" ["roll/back"] Stops("roll/back", Status::Failed);
    pvc_protection_race "" ["roll/pod"] Stops("roll/pod", Status::Failed);
    missing_fsgroup "" ["statefulset/adopted"] Stops("statefulset/adopted", Status::Failed);
    luks_oom "" ["roll/back"] Stops("roll/back", Status::Failed);
    attach_limit "" ["preflight/nodes"] Stops("preflight/nodes", Status::Failed);
    reclaim_delete "" ["preflight/old-volumes"] Stops("preflight/old-volumes", Status::Failed);
    reclaim_delete_2 "@roll/anchor" ["roll/claims"] Stops("roll/claims", Status::Blocked);
    reclaim_delete_3 "@roll/soak" ["roll/claims"] Stops("roll/claims", Status::Blocked);
    reclaim_delete_4 "@final/classes" ["final/kept"] Stops("final/kept", Status::Failed);
    wrong_class "" ["statefulset/apply"] Stops("statefulset/apply", Status::Failed);
    backup_stale "" ["preflight/backup"] Stops("preflight/backup", Status::Failed);
    backup_due "" ["roll/claims"] Stops("roll/claims", Status::Blocked);
    backup_due_2 "@preflight/anchor" ["preflight/anchor"] Stops("preflight/anchor", Status::Blocked);
    second_copy_differs "" ["preflight/anchor"] Stops("preflight/anchor", Status::Failed);
    second_copy_differs_2 "@roll/anchor" ["roll/anchor"] Stops("roll/anchor", Status::Failed);
    unseal_key_in_vault "" ["preflight/unseal-key"] Stops("preflight/unseal-key", Status::Failed);
    snapshot_empty "" ["preflight/anchor"] Stops("preflight/anchor", Status::Failed);
    api_outage "" ["roll/claims"] Stops("roll/claims", Status::Blocked);
    api_slow "" [] LivedThrough("what is stale soon is read last, so that slow answers only cost time");
    watch_stale "" [] LivedThrough("gates and verifies read afresh; only the panes are behind");
    path_lost "" ["roll/back"] Stops("roll/back", Status::Failed);
    path_lost_2 "@roll[vault-1]/claims" ["roll/claims"] Stops("roll/claims", Status::Confirming);
    path_lost_3 "@roll/soak" ["roll/soak"] Stops("roll/soak", Status::Running);
    lease_held "" ["statefulset/orphan"] Stops("statefulset/orphan", Status::Blocked);
    lease_held_2 "@roll/claims" ["roll/claims"] Stops("roll/claims", Status::Blocked);
    lease_held_3 ",for=30s" ["statefulset/orphan"] LivedThrough("let go, the lease is taken again by itself");
    forbidden "" ["roll/claims"] Stops("roll/claims", Status::Confirming);
    token_expires "" ["preflight/voters"] Stops("preflight/voters", Status::Blocked);
    sts_recreated_by_gitops "" ["statefulset/apply"] Stops("statefulset/apply", Status::Confirming);
}

#[test]
fn every_fault_has_a_row_that_begins_where_it_says() {
    for kind in FAULTS {
        let row = rows().into_iter().find(|r| r.fault == kind.name && r.start.is_empty());
        let Some(row) = row else { panic!("{} has no row", kind.name) };
        let lived = matches!(row.ends, LivedThrough(_));
        assert_eq!(lived, kind.caught_by.is_empty(), "{}", kind.name);
        for place in row.caught {
            assert!(kind.caught_by.contains(place), "{}: {place}", kind.name);
        }
        // And what the list says is seen in some run.
        let mut runs = rows();
        runs.retain(|r| r.fault == kind.name);
        for place in kind.caught_by {
            let seen = runs.iter().any(|r| r.caught.contains(place));
            assert!(seen, "no run shows {} caught by {place}", kind.name);
        }
    }
    assert!(rows().iter().all(|r| find(&r.fault).is_some()));
}

#[test]
fn the_page_has_the_same_table() {
    let page = include_str!("../../docs/lab.md");
    let found: Vec<&str> =
        page.lines().filter(|l| l.starts_with("| `") && l.matches('|').count() == 5).collect();
    let code = |place: &&str| format!("`{place}`");
    let rows = FAULTS.iter().map(|f| {
        let caught: Vec<String> = f.caught_by.iter().map(code).collect();
        let caught = if caught.is_empty() { "lived through".into() } else { caught.join(" or ") };
        format!("| `{}` | {} | `{}` | {caught} |", f.name, f.does, f.start)
    });
    assert_eq!(found, rows.collect::<Vec<_>>());
}

fn rehearsed(name: &str, start: &str) {
    let row = rows().into_iter().find(|r| r.fault == named(name) && r.start == start).unwrap();
    let given = format!("{}{start}", row.fault);
    // Only where many volumes are attached can nodes be full.
    let begun = if row.fault == "attach-limit" { world() } else { small() };
    let played =
        on_lab_time(play(what(RUNBOOK, &[&given], operator(), begun.clone()), &mut |_| true))
            .unwrap();
    let told = format!("{given}:\n{}", played.report().join("\n"));
    let struck = played.struck.first().unwrap_or_else(|| panic!("it never began: {told}"));
    let caught: Vec<Catch> = catches(&played.entries);
    let caught: Vec<&str> =
        caught.iter().filter(|c| c.at >= struck.at).map(|c| c.place.as_str()).collect();
    for place in row.caught {
        assert!(caught.contains(place), "{place} did not catch it. {told}");
    }
    match row.ends {
        LivedThrough(why) => assert!(played.done, "it should be lived through: {why}. {told}"),
        Stops(at, status) => {
            let step = played.state.current().unwrap_or_else(|| panic!("{told}"));
            let found = (step.place(), played.state.steps[&step].status);
            assert_eq!(found, (at.to_owned(), status), "{told}");
            // The first that said something is what the list of faults names.
            let kind = find(&row.fault).unwrap();
            assert!(
                !start.is_empty() || kind.caught_by.contains(&caught[0]),
                "{} caught it first. {told}",
                caught[0]
            );
        }
    }
    fair(&played, &begun, &told);
}

/// What holds however a run ends: nothing was overridden, and what is done is so.
fn fair(played: &Played, begun: &World, told: &str) {
    let overridden = |e: &&holdpoint::event::Entry| matches!(e.event, Event::Overridden { .. });
    assert_eq!(played.entries.iter().find(overridden), None, "{told}");
    if let Some(why) = promises::broken(played, begun) {
        panic!("{why}\n{told}");
    }
    if played.done
        && let Some(why) = promises::untrue(played, begun)
    {
        panic!("done, and {why}\n{told}");
    }
}

/// Where nothing goes wrong it is done, whatever chance decides and whoever leads.
#[test]
fn nothing_goes_wrong() {
    let mut leaders = BTreeSet::new();
    for seed in 0..4 {
        let begun = small_of(seed);
        leaders.insert(vault::leader(&begun));
        let began = std::time::Instant::now();
        let what = what(RUNBOOK, &[], operator(), begun.clone());
        let played = on_lab_time(play(what, &mut |_| true)).unwrap();
        eprintln!("seed {seed}: a rehearsal took {:.2?}", began.elapsed());
        let told = played.report().join("\n");
        assert!(played.done, "seed {seed}: {told}");
        assert_eq!(catches(&played.entries), [], "seed {seed}");
        fair(&played, &begun, &told);
    }
    assert!(leaders.len() > 1, "always the same leads: {leaders:?}");
}

/// A leader that moves is one that matters, whatever chance decides.
#[test]
fn leadership_that_moves_gets_in_the_way_whoever_led() {
    for seed in 0..4 {
        let what = what(RUNBOOK, &["leader-moves"], operator(), small_of(seed));
        let played = on_lab_time(play(what, &mut |_| true)).unwrap();
        let told = played.report().join("\n");
        let caught = catches(&played.entries);
        assert!(caught.iter().any(|c| c.place == "roll/claims"), "seed {seed}: {told}");
        assert!(!played.done, "seed {seed}: {told}");
    }
}

/// A breach that heals: the lab's operator frees the line when every guard holds again. No
/// answers file does: the run waits for what is under way and stops.
#[test]
fn a_breach_that_heals_goes_on_only_by_somebody() {
    let file = "[choose]\n'statefulset/how' = 'here'\n[release]\n'preflight/anchor' = ''\n\
        'statefulset/orphan' = 'vault'\n'statefulset/apply' = ''\n'roll[*]/step-down' = ''\n\
        'roll[*]/anchor' = ''\n'roll[*]/claims' = '{item}'\n'roll[*]/pod' = '{item}'\n";
    let mut by_file = parse_answers(file).unwrap();
    by_file.patience = Some(Span::secs(40));
    for (answers, fault, done) in [
        (by_file.clone(), vec![], true),
        (by_file, vec!["quorum-lost@roll/soak,for=20s"], false),
        (operator(), vec!["quorum-lost@roll/soak,for=20s"], true),
    ] {
        let mut lines = Vec::new();
        let what = what(RUNBOOK, &fault, answers, small());
        let mut out = |line| {
            lines.push(line);
            true
        };
        let played = on_lab_time(play(what, &mut out)).unwrap();
        let told = lines.join("\n");
        assert_eq!(played.done, done, "{fault:?}: {told}");
        let actors = |wanted: fn(&Event) -> bool| -> Vec<String> {
            let of = played.entries.iter().filter(|e| wanted(&e.event));
            of.map(|e| e.actor.to_string()).collect()
        };
        let held = actors(|e| matches!(e, Event::LineHeld { .. }));
        let freed = actors(|e| matches!(e, Event::LineFreed));
        match (fault.is_empty(), done) {
            (true, _) => assert_eq!((held.len(), freed.len()), (0, 0)),
            (false, false) => {
                assert_eq!((held, freed), (vec!["holdpoint".to_owned()], vec![]), "{told}");
                let last = lines.last().unwrap();
                assert!(last.contains("STOPPED") && last.contains("holds the line"), "{told}");
                assert!(told.contains("LINE HELD by holdpoint: guard quorum breached"), "{told}");
            }
            (false, true) => {
                assert_eq!((held, freed.len()), (vec!["holdpoint".to_owned()], 1), "{told}");
                assert!(told.contains("the line is free"), "{told}");
            }
        }
    }
}

/// The same seed, the same run, to the byte.
#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let what = what(RUNBOOK, &["hung-leader@roll/soak,for=30s"], operator(), world());
        on_lab_time(play(what, &mut |_| true)).unwrap().entries
    };
    let (one, two) = (run(), run());
    assert!(one.len() > 100);
    let other = one.iter().zip(&two).find(|(a, b)| a != b);
    assert!(other.is_none() && one.len() == two.len(), "{other:#?}");
}
