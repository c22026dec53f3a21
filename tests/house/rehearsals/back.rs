//! Ways back of the shipped runbook, walked on the lab from where somebody would go back.

use super::{on_lab_time, operator, small, what};
use base64::Engine;
use holdpoint::action::{Stop, execute, probe, resolve};
use holdpoint::cli::lab::play::{Play, Played, RUNBOOK, begin};
use holdpoint::cli::lab::rehearse::lab_site;
use holdpoint::event::{Actor, Event, Outcome, Pins, Probed, Proposal, Role, Span, StepAddr};
use holdpoint::lab::faults::fault;
use holdpoint::lab::{Lab, vault};
use holdpoint::remote::Remote;
use holdpoint::run::{Intent, Status, WINDOW};
use holdpoint::runbook::model::{Arg, Call};
use holdpoint::session::{Answers, parse_answers, unattended};
use std::collections::{BTreeMap, BTreeSet};

/// Goes that way when the turn of that step comes.
pub(super) fn going(at: &str, way: &str) -> Answers {
    let mut answers = operator();
    answers.back = BTreeMap::from([(at.to_owned(), way.to_owned())]);
    answers.patience = Some(Span::secs(400));
    answers
}

pub(super) fn walked(at: &str, way: &str) -> (Played, String) {
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

/// An anchor is restored, what was bad was saved before, and the run goes on where it stood. That the
/// values are those of the anchor is read on real servers.
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
        // The way back is offered, where it is seen: `undo` is not, since a claim does not come back.
        let offered: Vec<_> = state.offers.keys().map(String::as_str).collect();
        assert_eq!(offered, ["voters-back"]);
        let back = Intent::GoBack { section: "voters-back".into(), reason: "too slow".into() };
        playing.handle.ask(&actor, back).await.unwrap();
        let done = unattended(&playing.handle, &actor, &answers, &mut out).await;
        playing.end(done).await.unwrap()
    });
    assert_eq!(played.state.ended, Some(false), "{said}");
    assert!(said.contains("way back offered: back voters-back REASON"), "{said}");
    let window = played.state.window.unwrap();
    assert!(played.state.at < window.end, "{} {window}", played.state.at);
    assert!(claims(&played).values().all(|(class, _)| class == "nfs-proxmox"), "{said}");
}

/// What is broken stops the run; then whatever is offered is awaited, and that way is walked.
fn broken(faults: &[&str], way: &str) -> (Played, BTreeSet<String>, String) {
    let mut said = String::new();
    let played = on_lab_time(async {
        let actor = Actor::Person { name: "ana".into(), role: Role::Driver };
        let playing =
            begin(what(RUNBOOK, faults, operator(), small()), actor.clone()).await.unwrap();
        let mut out = |line: String| {
            said += &format!("{line}\n");
            true
        };
        assert!(!unattended(&playing.handle, &actor, &operator(), &mut out).await);
        let mut live = playing.handle.live.clone();
        let offered = async {
            // What is seen is let go at once: the state is not published while anybody looks.
            live.wait_for(|live| live.state.offers.contains_key(way)).await.map(drop)
        };
        let offered = tokio::time::timeout(std::time::Duration::from_secs(120), offered).await;
        assert!(offered.is_ok(), "{way} is not offered");
        let back = Intent::GoBack { section: way.into(), reason: faults[0].into() };
        playing.handle.ask(&actor, back).await.unwrap();
        let mut answers = operator();
        answers.patience = Some(Span::secs(900));
        let done = unattended(&playing.handle, &actor, &answers, &mut out).await;
        playing.end(done).await.unwrap()
    });
    // Once that way is walked, others may seem fit for a moment: while a voter restarts, say.
    let before = |e: &&holdpoint::event::Entry| !matches!(e.event, Event::BackBegan { .. });
    let offered = played.entries.iter().take_while(before).filter_map(|e| match &e.event {
        Event::Offered { section, .. } => Some(section.clone()),
        _ => None,
    });
    let offered = offered.collect();
    (played, offered, said)
}

/// The one good disk becomes the cluster, and it ends with three voters and all that was written.
#[test]
fn one_good_disk_becomes_the_cluster_and_the_others_join_it() {
    for start in ["@statefulset/orphan", ""] {
        let begun = small();
        let (played, offered, said) = broken(&[&format!("disks-lost{start}")], "one-good-disk");
        assert_eq!(offered, BTreeSet::from(["one-good-disk".to_owned()]), "{said}");
        assert_eq!(played.state.ended, Some(false), "{said}");
        let done = |step: &str| {
            let of = |a: &StepAddr| a.phase == "one-good-disk" && a.step == step;
            let steps = played.state.steps.iter().filter(|(a, _)| of(a));
            steps.filter(|(_, s)| s.status == Status::Done).count()
        };
        let counts = ["claims", "pod", "empty", "peers", "restart", "whole"].map(done);
        assert_eq!(counts, [2, 2, 2, 1, 1, 1], "{said}");
        let raft = &played.state.world.raft;
        assert!(raft.voters.iter().all(|v| v.healthy && v.is_voter && v.caught_up), "{said}");
        assert_eq!(raft.configured, 3, "{said}");
        let before = begun.vault.disks.values().next().unwrap().data.clone();
        let (cluster, held) = secrets(&played);
        assert_eq!(cluster, before.keyring.as_ref().unwrap().cluster_id);
        assert_eq!(held, before.versioned);
        // The good disk is the one that it was, the lost ones are not used any more.
        let lost = played.lab.with(|world| {
            let voters = world.vault.voters.values();
            voters.filter(|v| world.vault.disks[&v.disk].lost).count()
        });
        assert_eq!(lost, 0, "{said}");
    }
}

/// What Vault holds, as the leader has it.
fn secrets(played: &Played) -> (String, BTreeMap<String, holdpoint::lab::vault::Secret>) {
    played.lab.with(|world| {
        let led = world.vault.led.as_ref().expect("somebody leads");
        let data = &world.vault.disks[&led.disk].data;
        (data.keyring.as_ref().unwrap().cluster_id.clone(), data.versioned.clone())
    })
}

/// Nothing is left but the anchor: the cluster of it has the identity, the values and the key that
/// were saved, and no word of the keys in between is in the journal.
#[test]
fn without_any_disk_the_anchor_makes_the_cluster_again() {
    let begun = small();
    let (played, offered, said) = broken(&["every-disk-lost"], "every-disk-lost");
    assert_eq!(offered, BTreeSet::from(["every-disk-lost".to_owned()]), "{said}");
    assert_eq!(played.state.ended, Some(false), "{said}");
    let raft = &played.state.world.raft;
    assert!(raft.voters.iter().all(|v| v.healthy && v.is_voter && v.caught_up), "{said}");
    let before = begun.vault.disks.values().next().unwrap().data.clone();
    let (cluster, held) = secrets(&played);
    assert_eq!(cluster, before.keyring.as_ref().unwrap().cluster_id);
    assert_eq!(held, before.versioned);
    let asked =
        played.lab.with(|world| world.deeds.iter().map(|d| d.what.clone()).collect::<Vec<_>>());
    let inits = asked.iter().filter(|what| what.ends_with("/v1/sys/init")).count();
    assert_eq!(inits, 1, "{asked:?}");
    // Keys and tokens of a lab's cluster in between begin so.
    let journal = serde_json::to_string(&played.entries).unwrap();
    let lab = base64::engine::general_purpose::STANDARD.encode("LAB");
    for secret in ["hvs.LAB", lab.as_str()] {
        assert!(!journal.contains(secret) && !said.contains(secret), "{secret}");
    }
}

/// A site in a lab, without a run.
async fn on_lab<T>(work: impl AsyncFnOnce(&Lab, &Remote, &Pins) -> T) -> T {
    let world = small();
    let clock = holdpoint::lab::clock(world.now);
    let lab = Lab::new(world, std::sync::Arc::clone(&clock));
    let driven = lab.clone();
    let life = tokio::spawn(async move { driven.drive().await });
    let remote = holdpoint::lab::open(&lab, lab_site().unwrap(), clock);
    let pins = remote.identities().await;
    let done = work(&lab, &remote, &pins).await;
    life.abort();
    done
}

async fn asked(
    (remote, pins): (&Remote, &Pins),
    verb: &str,
    args: &[(&str, &str)],
) -> Result<Proposal, String> {
    let arg = |(name, text): &(&str, &str)| ((*name).to_owned(), Arg::Text((*text).to_owned()));
    resolve(remote, pins, &Call { verb: verb.into(), args: args.iter().map(arg).collect() }).await
}

async fn seconds(n: u64) {
    tokio::time::sleep(std::time::Duration::from_secs(n)).await;
}

/// Both actions would make a second cluster beside one that lives: that is refused before it is
/// released, and looked at once more before anything is written.
#[test]
fn no_second_cluster_is_made_beside_one_that_lives() {
    on_lab_time(on_lab(async |lab: &Lab, remote: &Remote, pins: &Pins| {
        let at = (remote, pins);
        let say: holdpoint::action::Say = std::sync::Arc::new(|_, _| {});
        let dirs = [("dir", "/srv/a"), ("copy_to", "/srv/b")];
        let saved = asked(at, "vault.snapshot_save", &dirs).await.unwrap();
        let (outcome, anchor) = execute(remote, "", &saved, &say, Stop::never()).await;
        assert_eq!(outcome, Outcome::Ok);
        let anchor = anchor["path"].as_str().unwrap().to_owned();
        let why =
            async |verb: &str, args: &[(&str, &str)]| asked(at, verb, args).await.unwrap_err();
        let peers = [("node", "vault-0"), ("anchor", anchor.as_str())];
        let rebuild = [("node", "vault-0"), ("path", anchor.as_str())];
        let said = why("vault.peers_file", &peers).await;
        assert!(said.contains("says that it leads"), "{said}");
        let said = why("vault.rebuild", &rebuild).await;
        assert!(said.contains("is initialised: it has data"), "{said}");
        lab.with(|world| fault(world, "disks-lost", true));
        seconds(30).await;
        let left = lab.with(|world| vault::voters(world).into_iter().find(|v| v.unsealed).unwrap());
        let peers = [("node", left.name.as_str()), ("anchor", anchor.as_str())];
        let said = why("vault.peers_file", &[peers[0], peers[1], ("data_dir", "/vault")]).await;
        assert!(said.contains("/vault/raft in") && said.contains("no raft.db"), "{said}");
        let said = why("vault.peers_file", &[("node", "vault-9"), peers[1]]).await;
        assert!(said.contains("no voter vault-9"), "{said}");
        let said = why("vault.rebuild", &rebuild).await;
        assert!(said.contains("is initialised: it has data") || said.contains("refused"), "{said}");
        let proposal = asked(at, "vault.peers_file", &peers).await.unwrap();
        assert!(proposal.request["text"].as_str().unwrap().contains(":8201"), "{proposal:?}");
        assert_eq!(probe(remote, "", &proposal).await.0, Probed::NotDone);
        // Two come back: the file is not written any more.
        lab.with(|world| fault(world, "disks-lost", false));
        seconds(60).await;
        let (outcome, _) = execute(remote, "", &proposal, &say, Stop::never()).await;
        let said = format!("{outcome:?}");
        assert!(
            said.contains("says that it leads") && said.contains("nothing was written"),
            "{said}"
        );
        lab.with(|world| fault(world, "disks-lost", true));
        seconds(30).await;
        let left = lab.with(|world| vault::voters(world).into_iter().find(|v| v.unsealed).unwrap());
        let peers = [("node", left.name.as_str()), ("anchor", anchor.as_str())];
        let proposal = asked(at, "vault.peers_file", &peers).await.unwrap();
        assert_eq!(execute(remote, "", &proposal, &say, Stop::never()).await.0, Outcome::Ok);
        assert_eq!(probe(remote, "", &proposal).await.0, Probed::Done);
        let again = asked(at, "vault.peers_file", &peers).await.unwrap();
        assert!(again.cautions.iter().any(|c| c.contains("is overwritten")), "{again:?}");
    }));
}
