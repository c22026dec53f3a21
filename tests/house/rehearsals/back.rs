//! Ways back of the shipped runbook, walked on the lab from where somebody would go back.

use super::{on_lab_time, operator, small, what};
use holdpoint::cli::lab::play::{Play, Played, RUNBOOK, begin};
use holdpoint::event::{Actor, Role, Span};
use holdpoint::run::{Intent, Status, WINDOW};
use holdpoint::session::{Answers, parse_answers, unattended};
use std::collections::{BTreeMap, BTreeSet};

/// Goes that way when the turn of that step comes.
fn going(at: &str, way: &str) -> Answers {
    let mut answers = operator();
    answers.back = BTreeMap::from([(at.to_owned(), way.to_owned())]);
    answers.patience = Some(Span::secs(400));
    answers
}

fn walked(at: &str, way: &str) -> (Played, String) {
    let mut said = String::new();
    let play: Play = what(RUNBOOK, &[], going(at, way), small());
    let played = on_lab_time(async {
        let mut out = |line: String| {
            said += &format!("{line}\n");
            true
        };
        super::play(play, &mut out).await.unwrap()
    });
    (played, said)
}

/// Class of each claim of Vault's voters, and its UID.
fn claims(played: &Played) -> BTreeMap<String, (String, String)> {
    let claims = &played.state.world.claims;
    let of_vault = claims.iter().filter(|c| c.namespace == "vault" && c.name.contains("-vault-"));
    of_vault.map(|c| (c.name.clone(), (c.class.clone(), c.uid.clone()))).collect()
}

/// Two voters have moved; both go back, on claims of the old class that are new, with all their
/// data; the run ends, not done.
#[test]
fn voters_that_moved_go_back_to_the_old_class() {
    let (before, said) = walked("statefulset/orphan", "none-such");
    assert!(said.contains("there is no way back none-such"), "{said}");
    let before = claims(&before);
    let (played, said) = walked("roll[vault-2]/step-down", "voters-back");
    assert!(!played.done && played.state.ended == Some(false), "{said}");
    let moved = played
        .state
        .steps
        .iter()
        .filter(|(a, s)| a.phase == "roll" && a.step == "moved" && s.status == Status::Done);
    assert_eq!(moved.count(), 2, "{said}");
    let after = claims(&played);
    assert_eq!(after.len(), 6, "{after:?}");
    assert!(after.values().all(|(class, _)| class == "nfs-proxmox"), "{after:?}");
    let changed: BTreeSet<_> =
        after.iter().filter(|(name, (_, uid))| before[*name].1 != *uid).map(|(n, _)| n).collect();
    assert_eq!(changed.len(), 4, "the voter that had not moved stays as it was: {changed:?}");
    let raft = &played.state.world.raft;
    assert!(raft.voters.len() == 3 && raft.voters.iter().all(|v| v.healthy && v.caught_up));
    assert!(played.state.aborted.as_deref().is_some_and(|why| why.contains("the answers say so")));
}

/// What was written since the anchor is gone, what was written before it is there, and the run goes
/// on where it stood; what was bad was saved, too.
#[test]
fn bad_data_is_replaced_by_the_anchors_and_the_run_goes_on() {
    let (played, said) = walked("statefulset/how", "restore");
    let is = |step: &str| {
        let step = step.parse::<holdpoint::event::StepAddr>().unwrap();
        played.state.steps.get(&step).map(|s| s.status)
    };
    assert_eq!(is("restore/restore"), Some(Status::Done), "{said}");
    assert!(said.contains("STOPPED: restore/read-back is done by hand"), "{said}");
    let evidence = &played.state.evidence;
    assert_ne!(evidence["anchor"]["path"], evidence["as_it_is"]["path"]);
}

/// A run that is too slow for its window stops before the next voter, with what is left kept for
/// going back; and that is enough: it is over before the window is.
#[test]
fn a_run_that_is_too_slow_goes_back_within_its_window() {
    let text = RUNBOOK
        .replace("length = \"4h\"", "length = \"10m\"")
        .replace("backout_reserve = \"45m\"", "backout_reserve = \"6m\"");
    let releases = "release = { 'preflight/anchor' = '', 'statefulset/orphan' = 'vault', \
        'statefulset/apply' = '', 'roll[*]/step-down' = '', 'roll[*]/anchor' = '', \
        'roll[*]/claims' = '{item}', 'roll[*]/pod' = '{item}', 'voters-back[*]/step-down' = '', \
        'voters-back[*]/anchor' = '', 'voters-back[*]/claims' = '{item}', \
        'voters-back[*]/orphan' = 'vault', 'voters-back[*]/pod' = '{item}', \
        'voters-back[*]/create' = '', 'voters-back[*]/apply' = '' }\n\
        choose = { 'statefulset/how' = 'here' }\n";
    let mut answers = parse_answers(releases).unwrap();
    answers.patience = Some(Span::secs(30));
    let mut said = String::new();
    let played = on_lab_time(async {
        let actor = Actor::Person { name: "ana".into(), role: Role::Driver };
        let play = Play { params: vec!["soak=3m".into()], ..what(&text, &[], operator(), small()) };
        let playing = begin(play, actor.clone()).await.unwrap();
        let mut out = |line: String| {
            said += &format!("{line}\n");
            true
        };
        assert!(!unattended(&playing.handle, &actor, &answers, &mut out).await);
        let state = playing.handle.live.borrow().state.clone();
        let step = state.current().unwrap();
        let gates = &state.steps[&step].gates;
        let window =
            gates.iter().find(|g| g.gate == WINDOW).unwrap_or_else(|| panic!("{step}: {gates:?}"));
        assert_eq!((step.phase.as_str(), state.steps[&step].status), ("roll", Status::Blocked));
        assert!(window.judged.why.contains("left, "), "{:?}", window.judged);
        let back = Intent::GoBack { section: "voters-back".into(), reason: "too slow".into() };
        playing.handle.ask(&actor, back).await.unwrap();
        let done = unattended(&playing.handle, &actor, &answers, &mut out).await;
        playing.end(done).await.unwrap()
    });
    assert_eq!(played.state.ended, Some(false), "{said}");
    let window = played.state.window.unwrap();
    assert!(played.state.at < window.end, "{} {window}", played.state.at);
    assert!(claims(&played).values().all(|(class, _)| class == "nfs-proxmox"), "{said}");
}
