//! The table of the cases, and how they are run.

use super::answer::Done;
use super::world::World;
use super::{
    Servers, adoption, binding, cascade, election, leases, patches, preconditions, protection,
    race, rejoin, rights, snapshot, status, tables, watch,
};
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// One case: requests, waits and expected states.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub run: for<'a> fn(&'a World) -> LocalBoxFuture<'a, Done>,
}

/// Makes a list of cases from functions.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub const CASES: &[$crate::conformance::run::Case] = &[$(
            $crate::conformance::run::Case { name: stringify!($name), run: |w| Box::pin($name(w)) }
        ),*];
    };
}
pub(super) use cases;

/// Cases about one thing.
pub struct Group {
    pub name: &'static str,
    /// It never has fewer than this.
    pub at_least: usize,
    /// They disturb each other, or others: one at a time.
    pub alone: bool,
    pub cases: &'static [&'static [Case]],
}

pub const GROUPS: &[Group] = &[
    group("finalizers and the race of pod and claims", 8, &[protection::CASES, race::CASES]),
    group("lists and watches", 8, &[watch::CASES]),
    group("preconditions", 6, &[preconditions::CASES]),
    group("adoption and cascades", 6, &[adoption::CASES, cascade::CASES]),
    group("binding", 6, &[binding::CASES]),
    group("rights", 5, &[rights::CASES]),
    group("patches", 6, &[patches::CASES]),
    group("leases", 5, &[leases::CASES]),
    group("tables and discovery", 5, &[tables::CASES]),
    alone("versions that are forgotten", 2, &[watch::FORGETFUL]),
    alone("vault: status codes", 7, &[status::CASES]),
    alone("vault: elections", 6, &[election::CASES]),
    alone("vault: snapshots", 4, &[snapshot::CASES]),
    alone("vault: an empty disk", 4, &[rejoin::CASES]),
];

const fn group(name: &'static str, at_least: usize, cases: &'static [&'static [Case]]) -> Group {
    Group { name, at_least, alone: false, cases }
}

const fn alone(name: &'static str, at_least: usize, cases: &'static [&'static [Case]]) -> Group {
    Group { name, at_least, alone: true, cases }
}

impl Group {
    fn all(&self) -> impl Iterator<Item = Case> + '_ {
        self.cases.iter().flat_map(|c| c.iter().copied())
    }
}

/// A case that takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// Runs every case whose name or group has the filter in it. Gives a table of what passed, and
/// what failed.
pub async fn all(servers: Rc<dyn Servers>, filter: &str) -> (String, Vec<String>) {
    let chosen = |g: &Group, c: &Case| g.name.contains(filter) || c.name.contains(filter);
    let mut outcomes: Vec<(&str, Result<Duration, String>)> = Vec::new();
    let together = GROUPS.iter().filter(|g| !g.alone).flat_map(|g| {
        let of = g.all().filter(|c| chosen(g, c));
        of.map(|c| (g.name, c)).collect::<Vec<_>>()
    });
    let running = together.map(|(group, case)| {
        let servers = servers.clone();
        async move { (group, one(servers, group, case).await) }
    });
    let running = futures::stream::iter(running).buffer_unordered(servers.at_once());
    outcomes.extend(running.collect::<Vec<_>>().await);
    for g in GROUPS.iter().filter(|g| g.alone) {
        for case in g.all().filter(|c| chosen(g, c)) {
            outcomes.push((g.name, one(servers.clone(), g.name, case).await));
            // Nothing of a case that failed in the middle reaches the next one.
            if outcomes.last().is_some_and(|(_, o)| o.is_err()) {
                World::new(servers.clone(), "mend").await.mend().await;
            }
        }
    }
    let mut table = String::new();
    for g in GROUPS {
        let of: Vec<_> = outcomes.iter().filter(|(name, _)| *name == g.name).collect();
        let passed = of.iter().filter(|(_, o)| o.is_ok()).count();
        let time: Duration = of.iter().filter_map(|(_, o)| o.as_ref().ok()).sum();
        let _ = writeln!(
            table,
            "{passed:>3} of {:<3} {:<44} {:>6.1} s",
            of.len(),
            g.name,
            time.as_secs_f32()
        );
    }
    let failed: Vec<String> = outcomes.into_iter().filter_map(|(_, o)| o.err()).collect();
    (table, failed)
}

async fn one(servers: Rc<dyn Servers>, group: &str, case: Case) -> Result<Duration, String> {
    let started = Instant::now();
    let world = World::new(servers, case.name).await;
    let work = async {
        world.make_namespace().await?;
        (case.run)(&world).await
    };
    let seen = tokio::time::timeout(LIMIT, AssertUnwindSafe(work).catch_unwind()).await;
    let why = match seen {
        Ok(Ok(Ok(()))) => {
            println!("ok     {group}: {} ({:.1} s)", case.name, started.elapsed().as_secs_f32());
            return Ok(started.elapsed());
        }
        Ok(Ok(Err(wrong))) => wrong.0,
        Ok(Err(_)) => "  it panicked".to_owned(),
        Err(_) => "  it hangs".to_owned(),
    };
    let log = world.log.borrow();
    let last = log[log.len().saturating_sub(6)..].join("\n    ");
    println!("FAILED {group}: {}\n{why}", case.name);
    Err(format!("{group}: {}\n{why}\n  before that\n    {last}\n", case.name))
}

#[test]
fn every_group_has_its_cases() {
    let mut names = std::collections::BTreeSet::new();
    let mut sum = 0;
    for g in GROUPS {
        let here = g.all().count();
        assert!(here >= g.at_least, "{}: {here} cases, {} at least", g.name, g.at_least);
        for case in g.all() {
            assert!(names.insert(case.name), "two cases are named {}", case.name);
            // Its namespace is named after it.
            assert!(case.name.len() < 58, "{} is too long", case.name);
        }
        sum += here;
    }
    assert!(sum >= 66, "{sum} cases");
}
