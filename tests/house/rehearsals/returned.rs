//! Whoever goes back all the way is where the change began: claims, their modes, and the StatefulSet
//! that makes the next ones. What says that it is undone is so.

use super::back::{going, walked};
use super::{on_lab_time, operator, small, what};
use crate::support::driver;
use holdpoint::cli::lab::play::{Play, Played, RUNBOOK, begin, play};
use holdpoint::event::{StepAddr, Verdict};
use holdpoint::lab::World;
use holdpoint::lab::kube::kind;
use holdpoint::lab::site::NEW_CLASS;
use holdpoint::run::{Intent, Status, StepState};
use holdpoint::session::{parse_answers, unattended};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What Vault's StatefulSet says, but for what the server counts.
fn set(world: &World) -> Value {
    let sets = world.store.list(kind("statefulsets.apps").unwrap(), Some("vault"));
    let found = sets.map(|(_, set)| set).find(|set| set["metadata"]["name"] == "vault");
    let set = found.expect("a StatefulSet");
    let mut spec = set["spec"].clone();
    // The server writes a status into each template, whoever applied it.
    for template in spec["volumeClaimTemplates"].as_array_mut().unwrap() {
        template.as_object_mut().unwrap().remove("status");
    }
    json!({"spec": spec, "labels": set["metadata"]["labels"]})
}

/// Class and modes of each claim of Vault's voters.
fn claims(world: &World) -> BTreeMap<String, Value> {
    let all = world.store.list(kind("persistentvolumeclaims").unwrap(), Some("vault"));
    let of_vault = all.filter(|(key, _)| key.name.contains("-vault-"));
    let said = |claim: &Value| {
        let spec = &claim["spec"];
        let size = &spec["resources"]["requests"];
        json!([spec["storageClassName"], spec["accessModes"], size, claim["metadata"]["labels"]])
    };
    of_vault.map(|(key, claim)| (key.name.clone(), said(claim))).collect()
}

fn uids(world: &World, of: &str) -> Vec<String> {
    let all = world.store.list(kind(of).unwrap(), Some("vault"));
    let of_vault = all.filter(|(key, _)| key.name.contains("vault-"));
    of_vault.map(|(_, object)| object["metadata"]["uid"].to_string()).collect()
}

fn status(played: &Played, step: &str) -> Option<Status> {
    let step: StepAddr = step.parse().unwrap();
    played.state.steps.get(&step).map(|s| s.status)
}

/// One voter or all of them: what the next claim is made of is what it was.
#[test]
fn all_the_way_back_is_where_it_began() {
    for (at, moved) in [("roll[vault-0]/back", 1), ("final/peers", 3)] {
        let begun = small();
        let (played, said) = walked(at, "voters-back");
        assert_eq!(played.state.ended, Some(false), "{said}");
        played.lab.with(|world| {
            assert_eq!(set(world), set(&begun), "{at}: {said}");
            assert_eq!(claims(world), claims(&begun), "{at}: {said}");
        });
        assert!(played.state.world.raft.voters.iter().all(|v| v.healthy && v.caught_up), "{said}");
        let proven = played.state.steps.iter().filter(|(a, s)| {
            a.phase == "voters-back" && a.step == "template" && s.status == Status::Done
        });
        assert_eq!(proven.count(), moved, "{said}");
    }
}

/// The new StatefulSet goes, the old one is made: nothing moved, and nothing will.
#[test]
fn undo_brings_the_old_statefulset_back() {
    let begun = small();
    let (played, said) = walked("roll[*]/anchor", "undo");
    assert_eq!(played.state.ended, Some(false), "{said}");
    for step in ["statefulset/apply", "statefulset/orphan"] {
        assert_eq!(status(&played, step), Some(Status::Undone), "{step}: {said}");
    }
    played.lab.with(|world| {
        assert_eq!(set(world), set(&begun), "{said}");
        for of in ["persistentvolumeclaims", "pods"] {
            assert_eq!(uids(world, of), uids(&begun, of), "{said}");
        }
    });
    // What nothing undoes stands in the list as well, and said so before it was released.
    let says = "its runbook says nothing of undoing it: what it does stays";
    let told = said.split_once("preflight/anchor#1 confirming").unwrap().1;
    let review = told.split_once("to release it").unwrap().0;
    assert!(review.lines().any(|l| l == format!("    undo: {says}")), "{said}");
    let list = played.state.undone();
    assert!(list.contains(&format!("- preflight/anchor is not: {says}")), "{list:?}");
}

/// Who claims that it was undone, and did nothing, is not believed.
#[test]
fn what_was_not_undone_is_not_ticked() {
    on_lab_time(async {
        let answers = going("roll[*]/anchor", "undo");
        // A file that releases up to there, and nothing of the way back.
        let releases = "release = { 'preflight/anchor' = '', 'statefulset/orphan' = 'vault', \
            'statefulset/apply' = '' }\nchoose = { 'statefulset/how' = 'here' }\n";
        let mut file = parse_answers(releases).unwrap();
        (file.back, file.patience) = (answers.back, answers.patience);
        let playing = begin(what(RUNBOOK, &[], operator(), small()), driver()).await.unwrap();
        assert!(!unattended(&playing.handle, &driver(), &file, &mut |_| true).await);
        let step = playing.handle.live.borrow().state.current().unwrap();
        assert_eq!(step.to_string(), "undo[statefulset/apply]/undo");
        let ask = async |intent| playing.handle.ask(&driver(), intent).await;
        ask(Intent::Review { step: step.clone() }).await.unwrap();
        let mut live = playing.handle.live.clone();
        let shown = live.wait_for(|l| l.state.showable(&step).is_ok()).await.map(drop);
        shown.unwrap();
        ask(Intent::Show { step: step.clone() }).await.unwrap();
        ask(Intent::Claim { step: step.clone() }).await.unwrap();
        // Its probe looks first: nothing was done, so nothing is ticked.
        let looked = |s: &StepState| {
            !matches!(s.status, Status::Shown | Status::Claimed | Status::Verifying)
        };
        let after = live.wait_for(|l| looked(&l.state.steps[&step]));
        let after = tokio::time::timeout(Duration::from_secs(120), after).await.unwrap();
        let status = after.map(|l| l.state.steps[&step].status).unwrap();
        assert!(matches!(status, Status::Ready | Status::Blocked), "{status}");
        let of: StepAddr = "statefulset/apply".parse().unwrap();
        assert_eq!(playing.handle.live.borrow().state.steps[&of].status, Status::Done);
    });
}

/// A run that neither kept nor was given the manifest of before says so before the first claim goes.
/// Where a person goes on all the same, the end says that the new one stays.
#[test]
fn without_the_old_manifest_the_new_one_stays_and_the_end_says_so() {
    let unkept = RUNBOOK
        .replacen(
            "when = 'params.old_manifest == \"\" && statefulsets",
            "when = 'false && statefulsets",
            1,
        )
        .replacen("that = 'params.old_manifest != \"\" || (has", "that = 'true || (has", 1);
    let run = |text: &str| {
        let answers = going("roll[*]/back", "voters-back");
        let play_: Play = what(text, &[], answers, small());
        on_lab_time(play(play_, &mut |_| true)).unwrap()
    };
    let refused = run(&unkept);
    let step = refused.state.current().unwrap();
    assert_eq!(step.place(), "voters-back/claims");
    let gates = &refused.state.steps[&step].gates;
    let gate = gates.iter().find(|g| g.gate == "manifest").unwrap();
    assert_eq!(gate.judged.verdict, Verdict::Fail, "{gates:?}");
    let pressed = unkept.replacen(
        "that = 'params.old_manifest != \"\" || has(evidence.old_set)'",
        "that = 'true'",
        1,
    );
    let played = run(&pressed);
    let step = played.state.current().unwrap();
    assert_eq!(step.place(), "voters-back/new-template");
    let title = played.state.title(&step);
    assert!(title.ends_with(&format!("still makes new claims of {NEW_CLASS}")), "{title}");
}
