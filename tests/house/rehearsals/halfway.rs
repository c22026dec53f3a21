//! Holdpoint dies while a cluster is made anew: between the first key and the snapshot. What is left
//! is told as it is, and the way out that the page names leads to the old cluster.

use super::{on_lab_time, operator, small, what};
use crate::support::driver;
use holdpoint::action::resolve;
use holdpoint::cli::lab::play::{Playing, RUNBOOK, begin};
use holdpoint::cli::lab::rehearse::lab_site;
use holdpoint::cli::resume::same_site;
use holdpoint::event::{Event, Probed, Span, StepAddr};
use holdpoint::lab::{Lab, World, clock, open, vault};
use holdpoint::remote::Remote;
use holdpoint::run::{Intent, State, Status};
use holdpoint::runbook::model::{Arg, Call};
use holdpoint::session::{Engine, Handle, Keep, parse_answers, reopen, unattended};
use kube::api::{Api, DeleteParams, ListParams};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const WAY: &str = "every-disk-lost";

/// What was when its process ended.
struct Left {
    world: World,
    run: PathBuf,
    /// The voter that it was made of.
    voter: String,
    /// The cluster in between.
    between: String,
}

/// How far it came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// The new cluster is unsealed and leads, and nothing was restored.
    ToLead,
    /// The same, and then its voter began anew: it is sealed, and the old keys do not open it.
    ToBeSealed,
}

fn cluster(world: &World, voter: &str) -> Option<String> {
    let disk = &world.vault.voters.get(voter)?.disk;
    world.vault.disks.get(disk)?.data.keyring.as_ref().map(|k| k.cluster_id.clone())
}

/// As the voters' disks are lost, that way is walked; it dies when the new cluster leads.
fn killed(runs: &Path, before: &str) -> Left {
    // What lives in this runtime dies with it, as in a process that is killed.
    on_lab_time(async {
        let mut play = what(RUNBOOK, &[WAY], operator(), small());
        play.runs = Some(runs.to_owned());
        let playing = begin(play, driver()).await.unwrap();
        assert!(!unattended(&playing.handle, &driver(), &operator(), &mut |_| true).await);
        let mut live = playing.handle.live.clone();
        live.wait_for(|l| l.state.offers.contains_key(WAY)).await.map(drop).unwrap();
        let back = Intent::GoBack { section: WAY.into(), reason: "all disks".into() };
        playing.handle.ask(&driver(), back).await.unwrap();
        let (mut answers, mut out, actor) = (operator(), |_| true, driver());
        answers.patience = Some(Span::secs(900));
        let (voter, between) = tokio::select! {
            biased;
            led = new_leader(&playing, before) => led,
            _ = unattended(&playing.handle, &actor, &answers, &mut out) =>
                panic!("it came to its end"),
        };
        let world = playing.lab.with(|world| world.clone());
        let restored = world.deeds.iter().any(|d| d.what.contains("snapshot-force"));
        assert!(!restored, "it was restored already");
        let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
        Left { world, run, voter, between }
    })
}

async fn new_leader(playing: &Playing, before: &str) -> (String, String) {
    loop {
        let led = playing.lab.with(|world| {
            let node = world.vault.led.as_ref()?.node.clone();
            cluster(world, &node).filter(|id| id != before).map(|id| (node, id))
        });
        match led {
            Some(led) => return led,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn rebuild(left: &Left) -> StepAddr {
    format!("{WAY}[{}]/rebuild", left.voter).parse().unwrap()
}

/// The same world goes on, with another Holdpoint.
async fn taken_up(left: &Left) -> (Lab, Arc<Remote>, Handle, Option<String>) {
    let clock = clock(left.world.now);
    let lab = Lab::new(left.world.clone(), Arc::clone(&clock));
    let driven = lab.clone();
    tokio::spawn(async move { driven.drive().await });
    let remote = open(&lab, lab_site().unwrap(), Arc::clone(&clock));
    let reopened = reopen(&left.run).unwrap();
    let notice = same_site(&remote, &reopened.state, true, "lab").await.unwrap();
    let resumed = reopened.resume(driver(), clock, &Keep::Loosely).unwrap();
    let remote = Arc::new(remote);
    let (handle, _) = Engine::resume(resumed, Arc::clone(&remote));
    (lab, remote, handle, notice)
}

/// What the probe of that step says at last: of that verdict.
async fn probed(handle: &Handle, step: &StepAddr, wanted: Probed) -> String {
    let mut live = handle.live.clone();
    let said = |state: &State| {
        let s = state.steps.get(step).filter(|s| s.status == Status::InDoubt)?;
        s.probed.clone().filter(|(verdict, _)| *verdict == wanted).map(|(_, why)| why)
    };
    let seen = live.wait_for(|l| said(&l.state).is_some());
    match tokio::time::timeout(Duration::from_secs(120), seen).await {
        Ok(live) => said(&live.unwrap().state).unwrap(),
        Err(_) => {
            let now =
                handle.live.borrow().state.steps.get(step).map(|s| (s.status, s.probed.clone()));
            panic!("{step} is not seen {wanted:?}: {now:?}")
        }
    }
}

/// `kubectl delete pvc --wait=false`, then `kubectl delete pod`.
async fn begun_anew(remote: &Remote, voter: &str) {
    let client = remote.kube.as_ref().unwrap().clone();
    let claims: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::namespaced(client.clone(), "vault");
    for claim in claims.list(&ListParams::default()).await.unwrap() {
        let name = claim.metadata.name.unwrap();
        if name.ends_with(&format!("-{voter}")) {
            claims.delete(&name, &DeleteParams::default()).await.unwrap();
        }
    }
    delete_pod(remote, voter).await;
}

async fn delete_pod(remote: &Remote, voter: &str) {
    let client = remote.kube.as_ref().unwrap().clone();
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client, "vault");
    pods.delete(voter, &DeleteParams::default()).await.unwrap();
}

/// As the page says: the pods of voters that still wait for the cluster in between begin anew, too,
/// until every voter says that it is not initialised.
async fn all_empty(remote: &Remote, handle: &Handle) -> usize {
    let mut again = 0;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let raft = handle.live.borrow().state.world.raft.clone();
        let waiting: Vec<&str> =
            raft.voters.iter().filter(|v| v.code != 501).map(|v| v.name.as_str()).collect();
        if waiting.is_empty() {
            return again;
        }
        for voter in waiting {
            delete_pod(remote, voter).await;
            again += 1;
        }
    }
    panic!("the voters are not all empty: {:#?}", handle.live.borrow().state.world.raft);
}

fn walked(came: Came) {
    let runs = tempfile::tempdir().unwrap();
    let begun = small();
    let before = begun.vault.disks.values().next().unwrap().data.clone();
    let saved = before.keyring.as_ref().unwrap().cluster_id.clone();
    let left = killed(runs.path(), &saved);
    let step = rebuild(&left);
    on_lab_time(async {
        let (lab, remote, handle, notice) = taken_up(&left).await;
        // It is taken up, and says why this is another cluster and what to do.
        let notice = notice.expect("a word of the other cluster");
        for part in [&left.between, &saved, &step.to_string(), "delete the claims and the pod"] {
            assert!(notice.contains(part), "{notice}");
        }
        // A rebuild that somebody gave up explains no other cluster.
        let mut skipped = State::clone(&handle.live.borrow().state);
        let steps = Arc::make_mut(&mut skipped.steps);
        Arc::make_mut(steps.get_mut(&step).unwrap()).status = Status::Skipped;
        let why = same_site(&remote, &skipped, true, "lab").await.unwrap_err();
        assert!(why.contains(&saved) && why.contains(&left.between), "{why}");
        let why = probed(&handle, &step, Probed::Partly).await;
        for part in ["initialised and unsealed", &left.between, &saved, "delete its claims"] {
            assert!(why.contains(part), "{why}");
        }
        let arg = |name: &str, text: &str| (name.to_owned(), Arg::Text(text.to_owned()));
        let args = [arg("node", &left.voter), arg("path", "/anchors/any.snap")].into();
        let call = Call { verb: "vault.rebuild".into(), args };
        let pins = handle.live.borrow().state.header.pins.clone();
        let refused = resolve(&remote, &pins, &call).await.unwrap_err();
        assert!(
            refused.contains("this is another site") && refused.contains("its claims"),
            "{refused}"
        );
        if came == Came::ToBeSealed {
            delete_pod(&remote, &left.voter).await;
            let mut why = String::new();
            for _ in 0..300 {
                why = probed(&handle, &step, Probed::Unknown).await;
                if why.contains("sealed") {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert!(why.contains("initialised and sealed") && why.contains("old keys"), "{why}");
            assert!(why.contains("delete its claims and its pod"), "{why}");
        }
        begun_anew(&remote, &left.voter).await;
        let again = all_empty(&remote, &handle).await;
        assert!(again > 0, "no other voter waited for the cluster in between");
        let why = probed(&handle, &step, Probed::NotDone).await;
        assert!(why.ends_with("is not initialised"), "{why}");
        let mut said = String::new();
        let mut out = |line: String| {
            said += &format!("{line}\n");
            true
        };
        let mut answers = operator();
        answers.patience = Some(Span::secs(900));
        let doubts = format!("[in_doubt]\n'{WAY}[*]/rebuild' = 'by probe'\n");
        answers.in_doubt = parse_answers(&doubts).unwrap().in_doubt;
        unattended(&handle, &driver(), &answers, &mut out).await;
        let state = Arc::clone(&handle.live.borrow().state);
        assert_eq!(state.ended, Some(false), "{said}");
        assert_eq!(state.steps[&step].status, Status::Done, "{said}");
        assert_eq!(same_site(&remote, &state, true, "lab").await, Ok(None));
        whole(&lab, &state, &before, &saved);
        let entries = holdpoint::journal::read(&left.run).unwrap().entries;
        let begun = entries
            .iter()
            .filter(|e| matches!(&e.event, Event::EffectStarted { step: of, .. } if *of == step));
        assert_eq!(begun.count(), 2, "{said}");
    });
}

/// Three voters, of the old cluster, with what was written in it.
fn whole(lab: &Lab, state: &State, before: &vault::Data, saved: &str) {
    let raft = &state.world.raft;
    assert_eq!(raft.voters.len(), 3);
    assert!(raft.voters.iter().all(|v| v.healthy && v.is_voter && v.caught_up), "{raft:?}");
    let (id, held): (String, BTreeMap<_, _>) = lab.with(|world| {
        let led = world.vault.led.as_ref().expect("somebody leads");
        let data = &world.vault.disks[&led.disk].data;
        (data.keyring.as_ref().unwrap().cluster_id.clone(), data.versioned.clone())
    });
    assert_eq!(id, saved);
    assert!(!held.is_empty());
    assert_eq!(held, before.versioned);
}

#[test]
fn a_new_cluster_without_its_snapshot_is_told_and_the_way_out_leads_to_the_old_one() {
    walked(Came::ToLead);
}

#[test]
fn one_that_is_sealed_is_not_taken_for_the_old_one_nor_for_the_new() {
    walked(Came::ToBeSealed);
}

/// Another cluster is refused where this run made none.
#[test]
fn another_cluster_is_refused_where_the_run_made_none() {
    let runs = tempfile::tempdir().unwrap();
    on_lab_time(async {
        let mut play = what(RUNBOOK, &[], operator(), small());
        play.runs = Some(runs.path().to_owned());
        let playing = begin(play, driver()).await.unwrap();
        let site = lab_site().unwrap();
        let remote = open(&playing.lab, site, clock(playing.lab.with(|w| w.now)));
        let mut state = State::clone(&playing.handle.live.borrow().state);
        assert_eq!(same_site(&remote, &state, true, "lab").await, Ok(None));
        let mut header = (*state.header).clone();
        header.pins.insert("vault.cluster-id".into(), "another".into());
        state.header = Arc::new(header);
        let why = same_site(&remote, &state, true, "lab").await.unwrap_err();
        assert!(why.contains("pinned another, found"), "{why}");
        playing.end(false).await.unwrap();
    });
}
