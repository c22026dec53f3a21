//! A run taken up again: what its core makes of that, and what its journal's file does.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::journal::{FILE, JournalError, Verdict, ZERO_HASH, line, read_bytes};
use holdpoint::run::{Effect, Intent, Look, State, Status, apply, decide, wants};
use holdpoint::session::{Keep, OpenError, Reopened, reopen};
use holdpoint::world::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

fn again() -> Intent {
    Intent::Resume { recovered: None, lost: false, version: "0".into() }
}

#[test]
fn what_ran_is_in_doubt_and_its_probe_looks() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    run.effects.clear();
    run.ask(&driver(), again()).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::InDoubt);
    assert!(run.state.running.is_none());
    let [Effect::Probe { ticket, .. }] = run.effects.as_slice() else {
        panic!("{:?}", run.effects)
    };
    let ticket = *ticket;
    // Its own result, should it come from anywhere, is nobody's any more.
    let late = Intent::EffectEnded { effect, outcome: Outcome::Ok, result: serde_json::json!({}) };
    assert!(run.system(late).is_empty());
    let probed = |ticket, verdict| Intent::Probed {
        step: step.clone(),
        ticket,
        verdict,
        why: "seen".into(),
        result: serde_json::json!({}),
        changes: vec![],
    };
    run.system(probed(ticket, Probed::NotDone));
    assert!(run.ask(&driver(), Intent::Accept { step: step.clone() }).is_err());
    // Another process takes it up once more: what was seen before is no answer.
    run.effects.clear();
    run.ask(&driver(), again()).unwrap();
    assert!(run.state.steps[&step].probed.is_none());
    assert!(matches!(run.effects.as_slice(), [Effect::Probe { .. }]), "{:?}", run.effects);
    run.system(probed(run.state.steps[&step].ticket, Probed::Done));
    run.ask(&driver(), Intent::Accept { step: step.clone() }).unwrap();
    assert_eq!(run.state.steps[&step].status, Status::Verifying);
}

#[test]
fn what_was_reviewed_or_released_is_reviewed_anew() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    let mut released = run.fork();
    run.ask(&driver(), again()).unwrap();
    let s = &run.state.steps[&step];
    assert_eq!((s.status, s.gates_at), (Status::Ready, None));

    let typed = "vault-0".into();
    released.ask(&driver(), Intent::Release { step: step.clone(), digest, typed }).unwrap();
    // Another process, or this one with its journal elsewhere.
    for intent in [again(), Intent::GoOn] {
        let mut released = released.fork();
        released.effects.clear();
        released.ask(&driver(), intent).unwrap();
        let s = &released.state.steps[&step];
        assert_eq!((s.status, s.proposal.is_some()), (Status::Ready, false));
        assert!(s.changed[0].contains("nothing was sent"), "{:?}", s.changed);
        let acts = |e: &Effect| matches!(e, Effect::Execute { .. } | Effect::Prepare { .. });
        assert!(!released.effects.iter().any(acts), "{:?}", released.effects);
    }
}

#[test]
fn time_that_nobody_saw_counts_neither_for_nor_against_it() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    let ok = Outcome::Ok;
    run.system(Intent::EffectEnded { effect, outcome: ok, result: serde_json::json!({}) });
    let gone = |run: &Run| {
        vec![
            live(Source::Raft, run.now, Update::Raft(raft("vault-2").into())),
            live(Source::Claims, run.now, Update::Claims(Rows::all(vec![]))),
        ]
    };
    run.look(gone(&run));
    assert_eq!(run.state.steps[&step].settling.passes, 1);
    // Ten seconds are what the verify has; an hour goes by unseen.
    run.pass(3_600_000);
    run.ask(&driver(), again()).unwrap();
    assert_eq!(run.state.steps[&step].settling.passes, 0, "half a streak was kept");
    assert!(matches!(wants(&run.state).map(|w| w.look), Some(Look::Verify(_))));
    // Nor does the while until it is looked at.
    run.pass(11_000);
    run.look(well(run.now));
    assert_eq!(run.state.steps[&step].status, Status::Verifying, "the hour was held against it");
    let mut late = run.fork();
    late.pass(11_000);
    late.look(well(late.now));
    assert_eq!(late.state.steps[&step].status, Status::Failed, "it has its ten seconds from then");
    for _ in 0..3 {
        run.pass(1500);
        run.look(gone(&run));
    }
    assert_eq!(run.state.steps[&step].status, Status::Done);
    // Nor does a guard that failed just before count as failing ever since.
    let down = vec![live(
        Source::Raft,
        run.now,
        Update::Raft(Raft { leader_answers: false, ..raft("vault-2") }.into()),
    )];
    run.observe(down);
    run.system(Intent::Tick);
    run.pass(3_600_000);
    run.ask(&driver(), again()).unwrap();
    assert!(run.state.breached().next().is_none());
    run.system(Intent::Tick);
    assert!(run.state.breached().next().is_none(), "it was breached at once");
}

/// A process that was stopped and goes on is the same, and has seen as little meanwhile.
#[test]
fn after_a_stop_everything_is_looked_at_anew() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, digest) = run.reach_review();
    run.effects.clear();
    run.system(Intent::Continued);
    assert_eq!(run.state.lease, None);
    assert_eq!(run.effects, [Effect::AskLease]);
    let release = Intent::Release { step: step.clone(), digest, typed: "vault-0".into() };
    let refused = run.ask(&driver(), release.clone()).unwrap_err();
    assert!(refused.contains("the gates are still being read"), "{refused}");
    run.look(well(run.now));
    run.ask(&driver(), release).unwrap();
}

/// A journal's bytes, and where its lines end: the last one says that the effect begins.
fn journal() -> (Vec<u8>, Vec<usize>) {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_running();
    assert!(matches!(run.entries.last().unwrap().event, Event::EffectStarted { .. }));
    let (mut head, mut bytes, mut ends) = (ZERO_HASH.to_owned(), Vec::new(), Vec::new());
    for entry in &run.entries {
        let (text, hash) = line(entry, &head).unwrap();
        bytes.extend(text.into_bytes());
        ends.push(bytes.len());
        head = hash;
    }
    (bytes, ends)
}

fn put(dir: &Path, bytes: &[u8]) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(dir.join(FILE), bytes).unwrap();
    std::fs::set_permissions(dir.join(FILE), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn clock() -> Arc<dyn Fn() -> Time + Send + Sync> {
    Arc::new(|| Time(1_777_132_900_000))
}

/// Opens it. A program that another test starts holds whatever is open here, locks as well, for
/// the moment until it is that program.
fn opened(dir: &Path) -> Reopened {
    for _ in 0..500 {
        match reopen(dir) {
            Err(OpenError::Journal(JournalError::Locked(_))) => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays locked", dir.display())
}

/// Takes up what lies there, as a session does; what its first entries say.
fn taken_up(dir: &Path) -> Vec<Event> {
    let resumed = opened(dir).resume(driver(), clock(), &Keep::Durable).unwrap();
    let (actor, first) = resumed.first.unwrap();
    let events = decide(&resumed.state, &actor, &first, clock()()).unwrap();
    let entries: Vec<Entry> = (resumed.state.seq + 1..)
        .zip(events.clone())
        .map(|(seq, event)| Entry { seq, at: clock()(), actor: actor.clone(), event })
        .collect();
    let (done, wait) = std::sync::mpsc::channel();
    resumed.writer.append(entries, true, Box::new(move |r| done.send(r).unwrap()));
    wait.recv().unwrap().unwrap();
    resumed.writer.close();
    events
}

/// Wherever a crash cut it: all that was whole is there, what was not is set aside, and what
/// comes after fits.
#[test]
fn a_torn_tail_is_set_aside_and_the_journal_goes_on() {
    let (whole, ends) = journal();
    let dir = tempfile::tempdir().unwrap();
    let from = ends[ends.len() - 3];
    let cuts = (ends[0]..from).step_by(997).chain(from..whole.len());
    for cut in cuts {
        put(dir.path(), &whole[..cut]);
        let valid = *ends.iter().filter(|e| **e <= cut).max().unwrap();
        let events = taken_up(dir.path());
        let now = std::fs::read(dir.path().join(FILE)).unwrap();
        assert_eq!(now[..valid], whole[..valid], "cut at {cut}");
        let read = read_bytes(&now).unwrap();
        assert_eq!(read.verdict, Verdict::Open, "cut at {cut}");
        let added = read.entries.len() - ends.iter().filter(|e| **e <= cut).count();
        assert_eq!(added, events.len());
        match &events[0] {
            Event::Recovered { dropped_bytes, set_aside } => {
                assert_eq!(*dropped_bytes, (cut - valid) as u64);
                let aside = dir.path().join(set_aside);
                assert_eq!(std::fs::read(&aside).unwrap(), whole[valid..cut], "cut at {cut}");
                let mode = aside.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
                std::fs::remove_file(aside).unwrap();
            }
            other => assert!(cut == valid && matches!(other, Event::Resumed { .. }), "{other:?}"),
        }
    }
}

#[test]
fn damage_elsewhere_is_only_looked_at() {
    let (mut bytes, ends) = journal();
    bytes[ends[2] + 20] ^= 1;
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &bytes);
    let reopened = reopen(dir.path()).unwrap();
    assert!(matches!(reopened.verdict, Verdict::Tampered { seq: 3, .. }), "{}", reopened.verdict);
    let resumed = reopened.resume(driver(), clock(), &Keep::Durable).unwrap();
    let why = resumed.show_only.unwrap();
    assert!(why.contains("tampered: entry 3 at byte"), "{why}");
    assert!(resumed.first.is_none());
    // Should anything try to write all the same, it is refused.
    let (done, wait) = std::sync::mpsc::channel();
    resumed.writer.append(
        vec![Entry { seq: 3, at: clock()(), actor: driver(), event: Event::LineFreed }],
        true,
        Box::new(move |r| done.send(r).unwrap()),
    );
    assert!(wait.recv().unwrap().is_err());
    resumed.writer.close();
    assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), bytes);
}

/// Where the journal says that the effect began, and where its state is folded to after it was taken
/// up: the last entry of it, and what is said of the step.
fn stands(dir: &Path, bytes: &[u8]) -> (State, bool) {
    put(dir, bytes);
    let resumed = opened(dir).resume(driver(), clock(), &Keep::Durable).unwrap();
    let (mut state, show_only) = (resumed.state, resumed.show_only.is_some());
    if let Some((actor, first)) = resumed.first {
        for event in decide(&state, &actor, &first, clock()()).unwrap() {
            let (seq, actor) = (state.seq + 1, actor.clone());
            apply(&mut state, &Entry { seq, at: clock()(), actor, event }).unwrap();
        }
    }
    resumed.writer.close();
    (state, show_only)
}

/// Its beginning was durable, so it was sent: whichever bit of that entry is another one, nobody says
/// that it was not, and nothing is set aside.
#[test]
fn of_an_effect_whose_beginning_was_changed_nobody_says_that_it_was_not_sent() {
    let (whole, ends) = journal();
    let (last, step) = (ends[ends.len() - 2], "one[vault-0]/claims".parse::<StepAddr>().unwrap());
    let dir = tempfile::tempdir().unwrap();
    for (at, bit) in
        (last..whole.len()).step_by(61).zip((0..8).cycle()).chain([(whole.len() - 1, 7)])
    {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        let (state, show_only) = stands(dir.path(), &bytes);
        let s = &state.steps[&step];
        assert!(show_only && s.acted && s.changed.is_empty(), "bit {bit} at {at}: {:?}", s.changed);
        assert_eq!((s.status, s.probed.is_none()), (Status::InDoubt, true));
        let why = s.why.clone().unwrap();
        assert!(why.contains("the journal is damaged where it would say"), "{why}");
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), bytes, "it was written to");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A line that does not end was never durable, so nothing was sent. Where blocks are not there, a disk may
/// have lost what it said to be durable: then nobody knows, and its probe looks.
#[test]
fn of_a_torn_beginning_it_is_said_what_is_known() {
    let (whole, ends) = journal();
    let (last, step) = (ends[ends.len() - 2], "one[vault-0]/claims".parse::<StepAddr>().unwrap());
    let dir = tempfile::tempdir().unwrap();
    for cut in [last, last + 1, last + 100, whole.len() - 1] {
        let (state, show_only) = stands(dir.path(), &whole[..cut]);
        let s = &state.steps[&step];
        assert_eq!((s.status, show_only, s.acted), (Status::Ready, false, false), "cut at {cut}");
        assert!(s.changed[0].contains("nothing was sent"), "{:?}", s.changed);
    }
    let lost = [&whole[..last], &[0; 600]].concat();
    let (mut state, show_only) = stands(dir.path(), &lost);
    let s = &state.steps[&step];
    assert_eq!((s.status, show_only, s.acted), (Status::InDoubt, false, true));
    assert!(s.changed.is_empty() && s.proposal.is_some(), "its probe has nothing to go by");
    assert_eq!(
        state.next_effect, 2,
        "the number of the one that may have begun is not given twice"
    );
    let want = wants(&state).unwrap();
    assert_eq!(want.look, Look::Doubt(step.clone()));
    let probed = Event::Probed { step, verdict: Probed::NotDone, why: "there".into() };
    let entry = Entry { seq: state.seq + 1, at: clock()(), actor: Actor::System, event: probed };
    apply(&mut state, &entry).unwrap();
}

#[test]
fn a_journal_that_is_not_ours_alone_is_not_written_to() {
    let (bytes, _) = journal();
    let refused = |dir: &Path| match reopen(dir) {
        Err(OpenError::Journal(e)) => e.to_string(),
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("it was opened"),
    };
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("run");
    std::fs::create_dir(&dir).unwrap();
    put(&dir, &bytes);
    // Another process, or this one, has it open.
    let held = reopen(&dir).unwrap();
    assert!(refused(&dir).contains("another holdpoint has this run open"));
    drop(held);
    std::os::unix::fs::symlink(&dir, root.path().join("link")).unwrap();
    let link = refused(&root.path().join("link"));
    assert!(link.contains("is a symbolic link") && link.contains("resume the copy by its path"));
    let mode =
        |mode| std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o720, 0o702, 0o777] {
        mode(open);
        let why = refused(&dir);
        assert!(why.contains("/run: can be written by others; look who did that"), "{why}");
    }
    mode(0o700);
    // Only root can give a directory away.
    if rustix::process::geteuid().is_root() {
        for (path, owner) in [(dir.clone(), 65_534), (dir.join(FILE), 65_534)] {
            std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
            let why = refused(&dir);
            assert!(why.contains("belongs to somebody else"), "{why}");
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        }
    }
    std::fs::hard_link(dir.join(FILE), root.path().join("second")).unwrap();
    assert!(refused(&dir).contains("has a second name"));
    std::fs::remove_file(root.path().join("second")).unwrap();
    std::fs::set_permissions(dir.join(FILE), std::fs::Permissions::from_mode(0o622)).unwrap();
    assert!(refused(&dir).contains("can be written by others"));
    // A link to one that is as it should be.
    put(&dir, &bytes);
    std::fs::rename(dir.join(FILE), root.path().join("away")).unwrap();
    std::os::unix::fs::symlink(root.path().join("away"), dir.join(FILE)).unwrap();
    refused(&dir);
    std::fs::remove_file(dir.join(FILE)).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.join(FILE),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(refused(&dir).contains("is no file"));
}
