//! Kills at random moments, each run resumed until done. Whoever answers goes by what the journal
//! and the probes say; the world's own record of what was changed is looked at only afterwards,
//! and compared.

use holdpoint::event::*;
use holdpoint::journal::{FILE, Verdict, read};
use holdpoint::session::fold;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// What the world remembers that was changed: when, what, and the object that it was bound to.
pub type Deed = (Time, String, String);

/// Where runs are begun, killed and resumed.
pub trait Doomed {
    /// Another world, as it was at the beginning, and no runs yet; false where there is only one.
    fn renew(&mut self) -> bool {
        false
    }
    /// How the world ends: after a run that is done, whatever struck it.
    fn ends_well(&self) {}
    fn begin(&self) -> Child;
    fn resume(&self) -> Child;
    /// The directory of runs.
    fn runs(&self) -> PathBuf;
    /// What the last one printed.
    fn told(&self) -> String;
    fn deeds(&self) -> Vec<Deed>;
}

pub const ANSWERS: &str = "[release]\n'preflight/anchor' = ''\n'statefulset/orphan' = 'vault'\n'statefulset/apply' = ''\n'roll[*]/step-down' = ''\n'roll[*]/anchor' = ''\n'roll[*]/claims' = '{item}'\n'roll[*]/pod' = '{item}'\n[choose]\n'statefulset/how' = 'here'\n[in_doubt]\n'preflight/anchor' = 'by probe'\n'preflight/manifest' = 'by probe'\n'statefulset/orphan' = 'by probe'\n'statefulset/apply' = 'by probe'\n'roll[*]/step-down' = 'by probe'\n'roll[*]/anchor' = 'by probe'\n'roll[*]/claims' = 'by probe'\n'roll[*]/pod' = 'by probe'\n";

fn journal(site: &impl Doomed) -> Option<PathBuf> {
    let runs = std::fs::read_dir(site.runs()).ok()?;
    runs.filter_map(|r| Some(r.ok()?.path().join(FILE))).max()
}

/// What each run's first kills wait for: those steps' effects, and before them the first anchor's, which
/// may be over by then.
const AIMS: [&str; 4] = [
    "/anchor\",\"effect\":",
    "/orphan\",\"effect\":",
    "/claims\",\"effect\":",
    "/pod\",\"effect\":",
];

/// When the next kill comes: the first ones are aimed, the others come at random.
fn moment(chance: &mut fastrand::Rng, aimed: usize) -> (&'static str, Duration) {
    if let Some(began) = AIMS.get(aimed) {
        return (began, Duration::from_micros(chance.u64(..20_000)));
    }
    let (after, most) = [
        ("", 2500),
        ("\"type\":\"effect-started\"", 20),
        ("\"type\":\"effect-started\"", 3),
        ("\"type\":\"effect-started\"", 2),
        ("\"type\":\"effect-started\"", 1),
        ("\"type\":\"effect-ended\"", 400),
        ("\"type\":\"released\"", 6),
        ("\"type\":\"review-opened\"", 20),
        ("\"type\":\"soak-started\"", 1500),
        ("\"type\":\"resumed\"", 20),
        ("\"type\":\"probed\"", 5),
    ][chance.usize(..11)];
    (after, Duration::from_micros(chance.u64(..most * 1000)))
}

/// Lets it live until that moment; its exit code, if it came first.
fn live(
    site: &impl Doomed,
    child: &mut Child,
    (after, more): (&str, Duration),
    patience: Duration,
) -> Option<Option<i32>> {
    let mut from = journal(site).map_or(0, |p| std::fs::metadata(p).map_or(0, |m| m.len()));
    let end = Instant::now() + patience;
    let mut last = String::new();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code());
        }
        if let Some(mut file) = journal(site).and_then(|p| std::fs::File::open(p).ok()) {
            let mut new = Vec::new();
            file.seek(SeekFrom::Start(from)).unwrap();
            from += file.read_to_end(&mut new).unwrap() as u64;
            last += &String::from_utf8_lossy(&new);
        }
        if last.contains(after) || Instant::now() > end {
            std::thread::sleep(more);
            return None;
        }
        // What is looked for may be half read.
        last = last.split_off(last.rfind('\n').unwrap_or_default());
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Where the run stood when it was killed: the step, and its status.
fn stage(journal: &Path) -> Option<(String, String)> {
    let state = fold(&read(journal).ok()?.entries).ok()?;
    if state.ended.is_some() {
        return Some(("".into(), OVER.into()));
    }
    let Some(addr) = state.current() else { return Some(("".into(), "between steps".into())) };
    Some((addr.to_string(), state.steps.get(&addr)?.status.to_string()))
}

/// Where nothing is left to be resumed.
const OVER: &str = "over";

/// A verify begins anew with each process: killed every few seconds it never comes to its end,
/// and all kills strike it. After so many in one place the run goes on to its next step.
const IN_ONE_PLACE: u32 = 3;

/// Where kills struck, by status and by step, and what the world's record was compared with.
#[derive(Default)]
pub struct Struck {
    pub stages: BTreeMap<String, u32>,
    pub steps: BTreeMap<String, u32>,
    /// How many probes were asked, how many of them did not know, and how many effects there were.
    pub counts: (u32, u32, u32),
}

impl Struck {
    pub fn add(&mut self, other: Self) {
        let sum = |to: &mut BTreeMap<String, u32>, from: BTreeMap<String, u32>| {
            from.into_iter().for_each(|(name, n)| *to.entry(name).or_default() += n);
        };
        sum(&mut self.stages, other.stages);
        sum(&mut self.steps, other.steps);
        let ((a, u, e), (b, v, f)) = (self.counts, other.counts);
        self.counts = (a + b, u + v, e + f);
    }

    /// What a run that is over leaves is compared, as long as its world is there.
    fn compare(&mut self, site: &impl Doomed) {
        site.ends_well();
        let counts = compared(site);
        self.add(Self { counts, ..Self::default() });
    }
}

/// Kills so often, resumes each time, and then lets it come to its end, over as many runs as
/// that takes: each in a world of its own, where there are several.
pub fn killed(site: &mut impl Doomed, seed: u64, mut kills: u32) -> Struck {
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut told, mut directed) = (Struck::default(), 0);
    let hang = Instant::now() + Duration::from_secs(300 + 20 * u64::from(kills));
    let mut child = site.begin();
    let (mut place, mut times) = (String::new(), 0);
    loop {
        assert!(Instant::now() < hang, "{}", site.told());
        let further = times >= IN_ONE_PLACE;
        let aimed = directed < AIMS.len() && !further;
        let patience = if further || aimed { 60 } else { 5 };
        let mut when = moment(&mut chance, if further { AIMS.len() } else { directed });
        directed += usize::from(aimed);
        if further {
            (when.0, times) = ("\"type\":\"step-opened\"", 0);
        }
        let ended = match kills {
            0 => Some(child.wait().unwrap().code()),
            _ => live(&*site, &mut child, when, Duration::from_secs(patience)),
        };
        match ended {
            Some(code) => {
                let out = site.told();
                assert_eq!(code, Some(0), "{out}");
                if kills == 0 {
                    told.compare(&*site);
                    return told;
                }
                anew(site, &mut told);
                child = site.begin();
            }
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills -= 1;
                let journal = journal(&*site);
                match journal.as_deref().and_then(stage) {
                    Some((at, stage)) => {
                        times = if at == place { times + 1 } else { 1 };
                        let step = at.parse::<StepAddr>().map(|step| step.place());
                        *told.steps.entry(step.unwrap_or_default()).or_default() += 1;
                        place = at;
                        // Its last entry was written, and its process had not ended.
                        child = if stage == OVER {
                            anew(site, &mut told);
                            site.begin()
                        } else {
                            site.resume()
                        };
                        *told.stages.entry(stage).or_default() += 1;
                    }
                    // It was killed before it had begun: there is nothing to be resumed.
                    None => {
                        *told.stages.entry("before its journal".into()).or_default() += 1;
                        if let Some(dir) = journal.as_deref().and_then(Path::parent) {
                            std::fs::remove_dir_all(dir).unwrap();
                        }
                        child = site.begin();
                    }
                }
            }
        }
    }
}

/// Another run begins: in another world, where there is one, once this one was compared.
fn anew(site: &mut impl Doomed, told: &mut Struck) {
    let mut before = Struck::default();
    before.compare(&*site);
    // What stays is compared once more at the end.
    if site.renew() {
        told.add(before);
    }
}

/// An effect, and what the world's record should have of it if it was done.
struct Effected {
    step: StepAddr,
    at: Time,
    until: Time,
    verb: String,
    /// Parts of the record's line, and the object that it is bound to.
    wanted: Vec<(String, String)>,
    /// What it writes on this machine: the file and its second copy.
    files: Vec<PathBuf>,
    ended: Option<Outcome>,
    probed: Vec<(Time, Probed, String)>,
}

fn effects(entries: &[Entry]) -> Vec<Effected> {
    let mut plans: BTreeMap<StepAddr, Box<Proposal>> = BTreeMap::new();
    let mut found: Vec<Effected> = Vec::new();
    for e in entries {
        match &e.event {
            Event::Proposed { step, proposal, .. } => {
                plans.insert(step.clone(), proposal.clone());
            }
            Event::EffectStarted { step, .. } => {
                if let Some(last) = found.last_mut() {
                    last.until = e.at;
                }
                let plan = &plans[step];
                let wanted = plan.targets.iter().filter_map(|t| {
                    let uid = t.uid.clone().unwrap_or_default();
                    let name = &t.name;
                    Some(match plan.verb.as_str() {
                        "kube.delete_claims" => (
                            format!(
                                "DELETE /api/v1/namespaces/vault/persistentvolumeclaims/{name}"
                            ),
                            uid,
                        ),
                        "kube.delete_pod" => {
                            (format!("DELETE /api/v1/namespaces/vault/pods/{name}"), uid)
                        }
                        "kube.delete_statefulset" => (
                            format!("DELETE /apis/apps/v1/namespaces/vault/statefulsets/{name}"),
                            uid,
                        ),
                        "kube.apply" => (
                            format!("PATCH /apis/apps/v1/namespaces/vault/statefulsets/{name}"),
                            String::new(),
                        ),
                        "vault.step_down" => ("/v1/sys/step-down".into(), String::new()),
                        _ => return None,
                    })
                });
                found.push(Effected {
                    step: step.clone(),
                    at: e.at,
                    until: Time(i64::MAX),
                    verb: plan.verb.clone(),
                    wanted: wanted.collect(),
                    files: ["path", "copy"]
                        .iter()
                        .filter_map(|name| Some(plan.request.get(name)?.as_str()?.into()))
                        .collect(),
                    ended: None,
                    probed: Vec::new(),
                });
            }
            Event::EffectEnded { outcome, .. } => {
                found.last_mut().unwrap().ended = Some(outcome.clone());
            }
            Event::Probed { verdict, why, .. } => {
                found.last_mut().unwrap().probed.push((e.at, *verdict, why.clone()));
            }
            _ => {}
        }
    }
    found
}

/// What the record says of an effect, at a time.
fn truth(effect: &Effected, deeds: &[Deed], at: Time) -> Probed {
    let done = |(what, uid): &&(String, String)| {
        deeds.iter().any(|(when, did, of)| {
            // Both clocks are this machine's, and each cuts to a millisecond.
            // What an effect before it did to the very object is done, too.
            let since = *when >= effect.at || !uid.is_empty();
            since && *when <= at && did.ends_with(what.as_str()) && of == uid
        })
    };
    // A file keeps the time at which it was written, whatever name it had then; a copy is one when it is
    // the same.
    let first = effect.files.first().and_then(|file| std::fs::read(file).ok());
    let there = |file: &&PathBuf| {
        if std::fs::read(file).ok() != first {
            return false;
        }
        let written = std::fs::metadata(file).and_then(|meta| meta.modified());
        let since = written.ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        since.is_some_and(|t| i64::try_from(t.as_millis()).unwrap() <= at.0)
    };
    let all = effect.wanted.len() + effect.files.len();
    match effect.wanted.iter().filter(done).count() + effect.files.iter().filter(there).count() {
        0 => Probed::NotDone,
        n if n == all => Probed::Done,
        _ => Probed::Partly,
    }
}

/// No step of a run wrote its files once more after they were there.
fn saved_once(all: &[Effected]) {
    for (at, effect) in all.iter().enumerate().filter(|(_, e)| !e.files.is_empty()) {
        let again = all[at + 1..].iter().find(|later| later.step == effect.step);
        // What did not come so far may be tried again.
        let so = again.map(|again| truth(effect, &[], again.at));
        assert_ne!(so, Some(Probed::Done), "{} was saved twice", effect.step);
    }
}

/// What lies in the directories that files were written to is what some effect was to write.
fn nothing_else(named: &BTreeSet<PathBuf>) {
    let dirs: BTreeSet<&Path> = named.iter().filter_map(|f| f.parent()).collect();
    for file in dirs.into_iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten() {
        let file = file.unwrap().path();
        let half = file.extension().is_some_and(|e| e == "part");
        assert!(half || named.contains(&file), "{}: nobody was to write it", file.display());
    }
}

/// Compares what the probes said with the world's own record; how many were asked, and how many of
/// them did not know.
pub fn compared(site: &impl Doomed) -> (u32, u32, u32) {
    let deeds = site.deeds();
    let (mut asked, mut unknown, mut effected) = (0, 0, 0);
    let mut written: BTreeSet<PathBuf> = BTreeSet::new();
    for run in std::fs::read_dir(site.runs()).unwrap() {
        let read = read(&run.unwrap().path()).unwrap();
        assert_eq!(read.verdict, Verdict::Complete);
        let all = effects(&read.entries);
        saved_once(&all);
        written.extend(all.iter().flat_map(|e| e.files.clone()));
        for effect in &all {
            effected += 1;
            for (what, uid) in &effect.wanted {
                let times = deeds.iter().filter(|(when, did, of)| {
                    *when >= effect.at && *when < effect.until && did.ends_with(what) && of == uid
                });
                assert!(times.count() <= 1, "{} did {what} {uid} twice", effect.step);
            }
            for (at, said, why) in &effect.probed {
                asked += 1;
                if *said == Probed::Unknown {
                    unknown += 1;
                    println!("{} {}: unknown: {why}", effect.step, effect.verb);
                    continue;
                }
                let so = truth(effect, &deeds, *at);
                assert_eq!(*said, so, "{} {}: {why}; {deeds:#?}", effect.step, effect.verb);
            }
        }
    }
    nothing_else(&written);
    // What was bound to an object was done to it once, whoever asked and how often.
    let mut bound = BTreeMap::new();
    for (_, what, uid) in deeds.iter().filter(|(_, _, uid)| !uid.is_empty()) {
        *bound.entry((what, uid)).or_insert(0) += 1;
    }
    assert!(bound.values().all(|n| *n == 1), "{bound:#?}");
    (asked, unknown, effected)
}
