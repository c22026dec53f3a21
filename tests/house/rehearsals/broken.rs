//! What one check of the shipped runbook is worth: a run in which something goes wrong does
//! not come to a step with it, and does with `true` in its stead.

use super::promises::untrue;
use super::{on_lab_time, operator, small, what};
use holdpoint::cli::lab::play::{Played, Playing, RUNBOOK, begin};
use holdpoint::event::{Actor, StepAddr};
use holdpoint::lab::World;
use holdpoint::lab::faults::fault;
use holdpoint::run::{Intent, Status, StepState};
use holdpoint::runbook::load;
use holdpoint::runbook::model::Does;
use holdpoint::session::{Answers, unattended};

/// A step has begun to act; what runs may be over before anybody sees it run.
pub const BEGINS: &[Status] = &[Status::Running, Status::Verifying, Status::Done];
/// A step is over.
pub const PASSES: &[Status] = &[Status::Done];

/// How a check is shown to matter.
pub struct Shown {
    /// `quiet`, `phase/step gate`, `guard id`, `phase/step verify`, `phase/step watch id`.
    pub check: &'static str,
    /// What goes wrong.
    pub faults: &'static [&'static str],
    /// What goes wrong when the effect of the step is over: nothing, if it is empty.
    pub strikes: &'static str,
    /// What this operator leaves out.
    pub skips: &'static [&'static str],
    /// The step, with its item, that must not come to one of those.
    pub spares: &'static str,
    pub to: &'static [Status],
    /// Checks that would say the same sooner: broken both times.
    pub beside: &'static [&'static str],
    /// Parameters of the run.
    pub params: &'static [&'static str],
    /// The world that it begins in.
    pub from: fn() -> World,
}

impl Shown {
    /// With nothing wrong yet.
    pub fn of(check: &'static str, spares: &'static str, to: &'static [Status]) -> Self {
        let none: &[&str] = &[];
        Self {
            check,
            faults: none,
            strikes: "",
            skips: none,
            spares,
            to,
            beside: none,
            params: none,
            from: small,
        }
    }
}

/// It is; and with what it is there for the rehearsal without it is then not done, or is done
/// and shows what that cost. So whoever breaks a check sees a rehearsal fail.
pub fn shown(what: &Shown) {
    let Shown { check, spares, to, .. } = what;
    let with = what.beside.iter().fold(RUNBOOK.to_owned(), |text, check| broken(&text, check));
    let without = broken(&with, check);
    assert!(!comes_to(what, &with), "{check}: {spares} came to {to:?}");
    let (came, played) = goes_on(what, &without);
    assert!(came, "{check}: without it {spares} did not come to {to:?} either");
    let well = played.well() && untrue(&played, &(what.from)()).is_none();
    let known = ENDS_WELL.iter().find(|(name, _)| name == check).map(|(_, why)| why);
    let told = played.report().join("\n");
    assert_eq!(well, known.is_some(), "{check}: without it this is how it ends: {told}");
}

/// It is spared by the check; what that is worth, no rehearsal from there shows.
pub fn spared(what: &Shown) {
    let Shown { check, spares, to, .. } = what;
    assert!(!comes_to(what, RUNBOOK), "{check}: {spares} came to {to:?}");
    let without = broken(RUNBOOK, check);
    assert!(comes_to(what, &without), "{check}: without it {spares} did not come to {to:?} either");
}

/// Checks whose loss costs nothing by itself, and why they are there all the same. That the step
/// is not spared without them is shown like that of the others.
const ENDS_WELL: &[(&str, &str)] = &[
    ("preflight/backup verify", "the backup is for the night on which every anchor is lost, too"),
    ("preflight/security-context verify", "the old manifest matters to the way back alone"),
    ("roll/pod verify", "what it would have seen, unstick and pod-again put right"),
    ("roll/pod-again claims-gone", "the pod that comes too early is deleted once more, or waits"),
    ("quiet", "a backup of the lab reads nothing, so nothing comes in its way"),
    ("final/peers verify", "the voter is well, and only its path is lost"),
];

/// The runbook with a check that always passes.
pub fn broken(text: &str, check: &str) -> String {
    let mut book: toml::Table = text.parse().unwrap();
    let words: Vec<&str> = check.split(' ').collect();
    if words == ["quiet"] {
        let none = toml::Value::String("cronjobs.filter(j, false)".into());
        book.insert("quiet".into(), none);
        return toml::to_string(&book).unwrap();
    }
    let entry = match words[..] {
        ["guard", id] => named(book.get_mut("guard"), id),
        [place, ref rest @ ..] => {
            let (phase, step) = place.split_once('/').unwrap();
            let phase = named(book.get_mut("phase"), phase);
            let step = named(phase.get_mut("step"), step);
            match rest {
                ["verify"] => step["verify"].as_table_mut().unwrap(),
                ["watch", id] => named(step["soak"].get_mut("watch"), id),
                [id] => named(step.get_mut("gate"), id),
                _ => panic!("{check}"),
            }
        }
        [] => panic!("no check"),
    };
    entry.insert("that".into(), toml::Value::String("true".into()));
    toml::to_string(&book).unwrap()
}

fn named<'a>(list: Option<&'a mut toml::Value>, id: &str) -> &'a mut toml::Table {
    let list = list.and_then(toml::Value::as_array_mut).unwrap();
    let mut tables = list.iter_mut().filter_map(toml::Value::as_table_mut);
    tables.find(|t| t["id"].as_str() == Some(id)).unwrap()
}

/// Whether the step that is to be spared comes to where it must not.
pub fn comes_to(shown: &Shown, text: &str) -> bool {
    on_lab_time(async {
        let (playing, answers, actor) = opened(shown, text).await;
        let step: StepAddr = shown.spares.parse().unwrap();
        let there = reached(&playing, &step, shown.to);
        tokio::select! {
            biased;
            () = there => true,
            () = struck(&playing, shown) => false,
            () = operate(&playing, &actor, &answers, shown.skips) => false,
        }
    })
}

/// Whether it comes there, and how it then ends.
fn goes_on(shown: &Shown, text: &str) -> (bool, Played) {
    on_lab_time(async {
        let (playing, answers, actor) = opened(shown, text).await;
        let step: StepAddr = shown.spares.parse().unwrap();
        let mut came = false;
        let watched = async {
            reached(&playing, &step, shown.to).await;
            came = true;
            std::future::pending().await
        };
        tokio::select! {
            biased;
            () = watched => {}
            () = struck(&playing, shown) => {}
            () = operate(&playing, &actor, &answers, shown.skips) => {}
        }
        let done = playing.handle.live.borrow().state.ended == Some(true);
        (came, playing.end(done).await.unwrap())
    })
}

async fn opened(shown: &Shown, text: &str) -> (Playing, Answers, Actor) {
    let answers = answers(text, shown.skips);
    let actor = Actor::File { path: "rehearsal".into() };
    let mut play = what(text, shown.faults, answers.clone(), (shown.from)());
    play.params.extend(shown.params.iter().map(|&p| p.to_owned()));
    (begin(play, actor.clone()).await.unwrap(), answers, actor)
}

/// What goes wrong as that step's effect is over; for ever.
async fn struck(playing: &Playing, shown: &Shown) {
    reached(playing, &shown.spares.parse().unwrap(), &[Status::Verifying]).await;
    if !shown.strikes.is_empty() {
        playing.lab.with(|world| fault(world, shown.strikes, true));
    }
    std::future::pending().await
}

async fn reached(playing: &Playing, step: &StepAddr, to: &[Status]) {
    let mut live = playing.handle.live.clone();
    let there = |s: &StepState| to.contains(&s.status);
    let come = live.wait_for(|l| l.state.steps.get(step).is_some_and(|s| there(s))).await;
    if come.is_err() {
        // The run is over.
        std::future::pending().await
    }
}

fn is_one_of(step: &StepAddr, places: &[&str]) -> bool {
    places.iter().any(|p| *p == step.place() || *p == step.to_string())
}

/// Releases what it can, leaves out what it is to leave out.
async fn operate(playing: &Playing, actor: &Actor, answers: &Answers, skips: &[&str]) {
    loop {
        unattended(&playing.handle, actor, answers, &mut |_| true).await;
        let state = playing.handle.live.borrow().state.clone();
        let Some(step) = state.current().filter(|s| is_one_of(s, skips)) else { return };
        if !matches!(state.steps[&step].status, Status::Ready | Status::Blocked | Status::Failed) {
            return;
        }
        let reason = "to see what becomes of it".into();
        playing.handle.ask(actor, Intent::Skip { step, reason }).await.unwrap();
    }
}

/// Releases of every step but those.
fn answers(text: &str, skips: &[&str]) -> Answers {
    if skips.is_empty() {
        return operator();
    }
    let book = load(text).unwrap().runbook;
    let mut answers = Answers::default();
    (answers.choose, answers.patience) = (operator().choose, operator().patience);
    for phase in &book.phases {
        let items: &[Option<&str>] = match phase.each {
            Some(_) => &[Some("vault-0"), Some("vault-1"), Some("vault-2")],
            None => &[None],
        };
        for (step, item) in phase.steps.iter().flat_map(|s| items.iter().map(move |i| (s, i))) {
            let addr = StepAddr {
                phase: phase.id.clone(),
                item: item.map(str::to_owned),
                step: step.id.clone(),
            };
            if matches!(step.does, Does::Action(_)) && !is_one_of(&addr, skips) {
                let typed = step.confirm.as_ref().map_or("", |_| item.unwrap_or("vault"));
                answers.release.insert(addr.to_string(), typed.to_owned());
            }
        }
    }
    answers
}
