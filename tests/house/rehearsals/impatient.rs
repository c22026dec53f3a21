//! A person who presses keys at random, with faults at random, at the cockpit's own keymap:
//! whatever they do, what is promised is kept.

use super::{on_lab_time, operator, promises, small_of, what};
use fastrand::Rng;
use holdpoint::cli::lab::play::{Played, Playing, RUNBOOK, begin};
use holdpoint::event::{Actor, Entry, Event, Role};
use holdpoint::lab::faults::FAULTS;
use holdpoint::run::{State, Status};
use holdpoint::runbook::load;
use holdpoint::ui::{Asked, KeyCode, Model, Overlay, key};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Runs of the test, each of a seed from 0 on.
const RUNS: u64 = 100;
/// As many runs as this variable wants, or the one whose seed stands in that one.
const MORE: &str = "HOLDPOINT_RUNS";
const ONE: &str = "HOLDPOINT_SEED";
/// The longest run, in the site's time and in keys.
const LONGEST: Duration = Duration::from_secs(240);
const KEYS: usize = 900;
/// Where nothing moves for so long, nothing will.
const STUCK: Duration = Duration::from_secs(45);

/// What the runs came to, so that a harness that does nothing is seen.
#[derive(Default)]
struct Tally {
    effects: AtomicUsize,
    done: AtomicUsize,
    overridden: AtomicUsize,
    refused: AtomicUsize,
    moved: AtomicUsize,
    late: AtomicUsize,
}

fn wanted(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn whatever_is_pressed_what_is_promised_is_kept() {
    let tally = Tally::default();
    if let Some(seed) = wanted(ONE) {
        return one(seed, &tally);
    }
    let runs = wanted(MORE).unwrap_or(RUNS);
    let (next, began) = (AtomicU64::new(0), std::time::Instant::now());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= runs {
                return;
            }
            if seed % RUNS == 0 && seed > 0 {
                eprintln!("{seed} of {runs} runs begun after {:.0?}", began.elapsed());
            }
            one(seed, &tally);
        }
    };
    std::thread::scope(|s| (0..2).for_each(|_| drop(s.spawn(work))));
    let count = |n: &AtomicUsize| n.load(Ordering::Relaxed);
    eprintln!(
        "{runs} runs in {:.0?}: {} effects, {} voters moved, {} overrides, {} refusals, {} done, {} of them \
         struck after the last look",
        began.elapsed(),
        count(&tally.effects),
        count(&tally.moved),
        count(&tally.overridden),
        count(&tally.refused),
        count(&tally.done),
        count(&tally.late)
    );
    for (what, n) in [("effects", &tally.effects), ("moves", &tally.moved)] {
        assert!(count(n) as u64 * 2 > runs, "hardly any {what}: the keys do nothing");
    }
    assert!(count(&tally.overridden) > 0 && count(&tally.refused) > 0);
    assert!(count(&tally.late) as u64 * 50 < runs, "too many are excused");
}

/// One run; it fails with its seed and its faults.
fn one(seed: u64, tally: &Tally) {
    let mut rng = Rng::with_seed(seed);
    let faults: Vec<String> = (0..rng.usize(..3)).map(|_| fault(&mut rng)).collect();
    let given: Vec<&str> = faults.iter().map(String::as_str).collect();
    let begun = small_of(seed);
    let mut play = what(RUNBOOK, &given, operator(), begun.clone());
    play.params = vec!["soak=2s".into()];
    let played = on_lab_time(async {
        let actor = Actor::Person { name: "impatient".into(), role: Role::Driver };
        let playing = begin(play, actor.clone()).await.unwrap();
        press(&playing, &actor, &mut rng).await;
        let done = playing.handle.live.borrow().state.ended == Some(true);
        playing.end(done).await.unwrap()
    });
    let told = || format!("{ONE}={seed}, faults {faults:?}\n{}", played.report().join("\n"));
    if let Some(why) = promises::broken(&played, &begun) {
        panic!("{why}\n{}", told());
    }
    if late(&played) {
        tally.late.fetch_add(1, Ordering::Relaxed);
    } else if played.done
        && !helped(&played.entries)
        && let Some(why) = promises::untrue(&played, &begun)
    {
        panic!("done, and {why}\n{}", told());
    }
    count(&played.entries, tally);
}

/// Something went wrong after the last look: nobody could see it any more.
fn late(played: &Played) -> bool {
    let looks = |e: &&Entry| matches!(e.event, Event::VerifyJudged { .. });
    let last = played.entries.iter().rev().find(looks).map(|e| e.at);
    played.done && played.struck.iter().any(|s| last.is_some_and(|last| s.at >= last))
}

/// A person took it on themselves: what is done then is so by their word.
fn helped(entries: &[Entry]) -> bool {
    entries.iter().any(|e| {
        matches!(
            e.event,
            Event::Skipped { .. }
                | Event::Overridden { .. }
                | Event::SoakEnded { reason: Some(_), .. }
        )
    })
}

fn count(entries: &[Entry], tally: &Tally) {
    for entry in entries {
        let of = match &entry.event {
            Event::EffectStarted { .. } => &tally.effects,
            Event::Overridden { .. } => &tally.overridden,
            Event::Refused { .. } => &tally.refused,
            Event::Ended { done: true } => &tally.done,
            Event::Verified { step, .. } if step.step == "moved" => &tally.moved,
            _ => continue,
        };
        of.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every step, without items.
fn steps() -> &'static [String] {
    static STEPS: OnceLock<Vec<String>> = OnceLock::new();
    STEPS.get_or_init(|| {
        let book = load(RUNBOOK).unwrap().runbook;
        let steps = book.phases.iter().flat_map(|p| p.steps.iter().map(move |s| (p, s)));
        steps.map(|(p, s)| format!("{}/{}", p.id, s.id)).collect()
    })
}

/// Any fault, at any step or time; half of them heal.
fn fault(rng: &mut Rng) -> String {
    let kind = &FAULTS[rng.usize(..FAULTS.len())];
    let steps = steps();
    let start = match rng.u32(..3) {
        0 => kind.start.to_owned(),
        1 => steps[rng.usize(..steps.len())].clone(),
        _ => format!("{}s", rng.u32(1..120)),
    };
    let lasts = if rng.bool() { format!(",for={}s", rng.u32(3..90)) } else { String::new() };
    format!("{}@{start}{lasts}", kind.name)
}

/// Presses until the run is over, or for long enough.
async fn press(playing: &Playing, actor: &Actor, rng: &mut Rng) {
    let began = Instant::now();
    let mut model = Model { size: (100, 40), ..Model::default() };
    let mut moved = (began, None);
    for _ in 0..KEYS {
        let state = playing.handle.live.borrow().state.clone();
        let at = state.current().map(|s| (state.steps[&s].status, s));
        if at != moved.1 {
            moved = (Instant::now(), at);
        }
        if state.ended.is_some() || began.elapsed() > LONGEST || moved.0.elapsed() > STUCK {
            return;
        }
        let now = playing.handle.now();
        model.follow(&state, now);
        let code = next(&model, &state, rng);
        if let Asked::Intent(intent) = key(&mut model, &state, code, now) {
            // As the cockpit does it: nobody waits for the answer, at times.
            let asked = playing.handle.ask(actor, *intent);
            let wait = Duration::from_millis(rng.u64(1..400));
            let _refused = timeout(wait, asked).await;
        }
        // What goes wrong after its end is no business of the run.
        let pause = Duration::from_millis(pause(&state, rng));
        let _ended = timeout(pause, over(playing)).await;
    }
}

async fn over(playing: &Playing) {
    let mut live = playing.handle.live.clone();
    let _gone = live.wait_for(|live| live.state.ended.is_some()).await;
}

/// Letters are typed fast, and who waits for something looks again in a moment.
fn pause(state: &State, rng: &mut Rng) -> u64 {
    let step = state.current().and_then(|s| state.steps.get(&s));
    let waits = step.is_some_and(|s| {
        matches!(s.status, Status::Running | Status::Verifying | Status::Released | Status::Done)
    });
    if waits { rng.u64(100..1500) } else { rng.u64(20..250) }
}

/// Mostly what leads on, and then anything.
fn next(model: &Model, state: &State, rng: &mut Rng) -> KeyCode {
    const ANY: [KeyCode; 18] = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::F(2),
        KeyCode::Char('j'),
        KeyCode::Char('k'),
        KeyCode::Char('c'),
        KeyCode::Char('m'),
        KeyCode::Char('D'),
        KeyCode::Char('h'),
        KeyCode::Char('u'),
        KeyCode::Char('r'),
        KeyCode::Char('a'),
        KeyCode::Char('o'),
        KeyCode::Char('?'),
        KeyCode::Char('x'),
    ];
    match rng.u32(..200) {
        0 => KeyCode::Char('s'),
        1 if rng.u32(..20) == 0 => KeyCode::Char('A'),
        1..26 => ANY[rng.usize(..ANY.len())],
        _ => onward(model, state, rng),
    }
}

/// What somebody does who wants to get on with it.
fn onward(model: &Model, state: &State, rng: &mut Rng) -> KeyCode {
    match &model.overlay {
        Overlay::Review(review) => {
            let wanted = state.confirm_text(&review.step);
            let lacks = state.steps.get(&review.step).is_some_and(|s| !s.gates_pass());
            if lacks && rng.u32(..12) == 0 {
                return KeyCode::Tab;
            }
            match wanted.strip_prefix(&review.typed) {
                Some("") => KeyCode::Enter,
                Some(rest) => KeyCode::Char(rest.chars().next().unwrap_or('x')),
                None => KeyCode::Backspace,
            }
        }
        Overlay::Write { text, .. } if text.len() < 4 => KeyCode::Char('y'),
        // The second branch needs somebody who works elsewhere.
        Overlay::Choose { at: 1, .. } if rng.u32(..20) > 0 => KeyCode::Char('k'),
        Overlay::Choose { at: 0, .. } if rng.u32(..20) == 0 => KeyCode::Char('j'),
        Overlay::Write { .. } | Overlay::Choose { .. } | Overlay::Free { .. } => KeyCode::Enter,
        Overlay::Command { .. } | Overlay::Filter | Overlay::Text { .. } | Overlay::Back { .. } => {
            KeyCode::Esc
        }
        Overlay::None if state.line_held.is_some() => KeyCode::Char('h'),
        Overlay::None => {
            let step = state.current().and_then(|s| state.steps.get(&s));
            match step.map(|s| s.status) {
                Some(Status::Failed | Status::InDoubt) => KeyCode::Char('r'),
                Some(Status::Shown) if rng.bool() => KeyCode::Char('u'),
                _ => KeyCode::Enter,
            }
        }
    }
}
