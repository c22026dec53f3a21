//! A world made of a survey: what is settled stays, what was under way goes on, and a whole
//! change can be rehearsed there.

use super::served::served;
use holdpoint::cli::lab::play::{Play, Played, play};
use holdpoint::cli::lab::rehearse::everything;
use holdpoint::event::{Span, Time, Zone};
use holdpoint::lab::faults::Fault;
use holdpoint::lab::kube::{Deleting, Key, kind};
use holdpoint::lab::site::{MANIFEST, new_manifest, place};
use holdpoint::lab::{World, surveyed, vault};
use holdpoint::survey::{Survey, disguise, parse, render};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const ROLL: &str = include_str!("../../../runbooks/vault-raft-to-block.toml");

/// A survey of the lab's own site, and that site.
fn survey() -> (Survey, World) {
    let site = served("x", |_| {});
    let out = site.survey(&[]);
    assert_eq!(out.status.code(), Some(0), "{}", super::served::said(&out));
    let now = site.now;
    (parse(&site.text()).unwrap(), holdpoint::lab::site::world(1, now))
}

fn uids(world: &World, id: &str) -> BTreeMap<String, String> {
    let all = world.store.list(kind(id).unwrap(), None);
    all.map(|(k, o)| (format!("{}/{}", k.namespace, k.name), o["metadata"]["uid"].to_string()))
        .collect()
}

/// Pods but those of the backup: whether one is due while it is looked depends on the day.
fn serving(world: &World) -> BTreeMap<String, String> {
    uids(world, "pods").into_iter().filter(|(name, _)| !name.contains("backup")).collect()
}

#[test]
fn what_is_settled_stays_for_days() {
    let (survey, original) = survey();
    let (mut world, notes) = surveyed::world(&survey, 3).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(world.now, survey.taken_at);
    let lasting = [
        "persistentvolumeclaims",
        "persistentvolumes",
        "statefulsets.apps",
        "nodes",
        "volumeattachments.storage.k8s.io",
        "storageclasses.storage.k8s.io",
    ];
    for id in lasting {
        assert_eq!(uids(&world, id), uids(&original, id), "{id}");
    }
    let before = vault::applied(&original, "vault-1");
    world.advance(survey.taken_at + Span::secs(2 * 86_400));
    for id in lasting {
        assert_eq!(uids(&world, id), uids(&original, id), "{id}, two days later");
    }
    let voters = vault::voters(&world);
    assert!(voters.iter().all(|v| v.unsealed && v.votes && v.applied >= before), "{voters:?}");
    assert_eq!(vault::leader(&world).as_deref(), Some("vault-2"));
    // Pods that serve are those that were there; what backs up went on.
    assert_eq!(serving(&world), serving(&original));
    let ready = world.store.list(kind("pods").unwrap(), None).all(|(_, p)| {
        let told = p["status"]["containerStatuses"].as_array().unwrap();
        p["status"]["phase"] == "Succeeded" || told.iter().all(|c| c["ready"] == true)
    });
    assert!(ready);
    let told = world.store.list(kind("events").unwrap(), None).count();
    assert!(told < 20, "{told} Events in a cluster in which nothing happens");
}

/// What a cluster has besides StatefulSets that stand still: Deployments with a history, a set in
/// the middle of a roll, jobs, what some other controller runs, what is not well.
fn variety(world: &mut World) {
    let labels = json!({"app": "web"});
    let container = |n: usize| {
        json!([{"name": "main", "image": "registry.example.net/web:1",
            "env": [{"name": "N", "value": n.to_string()}]}])
    };
    place(
        world,
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "books", "labels": labels},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": container(0)}}}}),
    );
    let edit = |world: &mut World, id: &str, namespace: &str, name: &str, containers: Value| {
        let key = Key::new(kind(id).unwrap(), namespace, name);
        let change = |o: &mut Value| o["spec"]["template"]["spec"]["containers"] = containers;
        world.store.update(&key, change).unwrap();
        world.settle();
    };
    // Revisions that differ in nothing that a survey keeps.
    for n in 1..4 {
        world.advance(world.now + Span::secs(120));
        edit(world, "deployments.apps", "books", "web", container(n));
    }
    place(
        world,
        json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "done", "namespace": "books"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": container(9)}}}}),
    );
    for (name, kind) in [("agent-x", Some("DaemonSet")), ("alone", None)] {
        let owner = json!([{"apiVersion": "apps/v1", "kind": kind, "name": "agent",
            "uid": "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f1", "controller": true}]);
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "books", "labels": {"app": name}},
            "spec": {"containers": container(1)}});
        if kind.is_some() {
            pod["metadata"]["ownerReferences"] = owner;
        }
        place(world, pod);
    }
    place(
        world,
        json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "ill", "namespace": "books", "annotations": {"lab/exit-code": "1"}},
        "spec": {"containers": container(1)}}),
    );
    // Its pods are of its old template until somebody deletes them.
    edit(
        world,
        "statefulsets.apps",
        "vault",
        "vault",
        json!([
        {"name": "vault", "image": "registry.example.net/vault:1.18.4"},
        {"name": "auto-unseal", "image": "registry.example.net/unseal:1"}]),
    );
    world.advance(world.now + Span::secs(600));
}

#[test]
fn a_cluster_of_all_kinds_goes_on_without_a_stampede() {
    let site = served("x", variety);
    let out = site.survey(&[]);
    assert_eq!(out.status.code(), Some(0), "{}", super::served::said(&out));
    let survey = parse(&site.text()).unwrap();
    let (mut world, _) = surveyed::world(&survey, 5).unwrap();
    let pods = |world: &World| {
        let all = uids(world, "pods").into_iter();
        all.filter(|(name, _)| !name.contains("backup")).collect::<BTreeMap<_, _>>()
    };
    let before = pods(&world);
    assert!(before.keys().filter(|name| name.starts_with("books/web-")).count() == 3, "{before:?}");
    let ill = |world: &World| {
        let key = Key::new(kind("pods").unwrap(), "books", "ill");
        world.store.get(&key).unwrap()["status"]["containerStatuses"][0]["state"].clone()
    };
    assert!(ill(&world)["running"].is_null(), "{}", ill(&world));
    let was = ill(&world);
    let sets = uids(&world, "statefulsets.apps");
    world.advance(survey.taken_at + Span::secs(86_400));
    assert_eq!(pods(&world), before);
    assert_eq!(ill(&world), was, "what ails it is not known, so it stays");
    assert_eq!(uids(&world, "statefulsets.apps"), sets);
    // And it is alive: who deletes a pod gets another one, of the same kind.
    let name = before.keys().find(|name| name.starts_with("books/web-")).unwrap();
    let key = Key::new(kind("pods").unwrap(), "books", name.strip_prefix("books/").unwrap());
    let how = Deleting { grace: 5, ..Deleting::default() };
    world.store.delete(&key, &how, world.now).unwrap();
    world.advance(world.now + Span::secs(300));
    let after = pods(&world);
    assert!(!after.contains_key(name) && after.len() == before.len(), "{after:?}");
    let web = Key::new(kind("deployments.apps").unwrap(), "books", "web");
    let status = world.store.get(&web).unwrap()["status"].clone();
    assert_eq!((&status["readyReplicas"], &status["updatedReplicas"]), (&json!(3), &json!(3)));
}

fn rehearsal(survey: &Survey, faults: &[&str]) -> (bool, Vec<String>) {
    let (played, mut told) = rehearsed(survey, faults);
    let last = told.len().saturating_sub(if faults.is_empty() { 25 } else { 0 });
    assert!(played.lab.with(|world| world.store.list(kind("nodes").unwrap(), None).count() == 6));
    let moved = |world: &mut World| vault::voters(world).into_iter().map(|v| v.disk).collect();
    let mut lines: Vec<String> = played.lab.with(moved);
    lines.extend(played.report());
    lines.extend(told.drain(last..));
    (played.done, lines)
}

fn rehearsed(survey: &Survey, faults: &[&str]) -> (Played, Vec<String>) {
    let (mut world, _) = surveyed::world(survey, 1).unwrap();
    world.files.put(Path::new(MANIFEST), new_manifest().into_bytes(), world.now);
    let what = Play {
        text: ROLL.into(),
        path: "roll".into(),
        params: Vec::new(),
        site: surveyed::site(&survey.site).unwrap(),
        world,
        faults: faults.iter().map(|f| f.parse::<Fault>().unwrap()).collect(),
        answers: everything(),
        runs: None,
        nonce: "0000".into(),
    };
    let runtime = holdpoint::lab::pace::runtime().unwrap();
    let mut told = Vec::new();
    let mut out = |line| {
        told.push(line);
        true
    };
    let played = runtime.block_on(play(what, &mut out)).unwrap();
    (played, told)
}

/// When a job is due is the same in a rehearsal: by its line, in its zone, unless it is suspended.
#[test]
fn what_is_due_at_the_site_is_due_in_its_rehearsal() {
    let zone = "Asia/Kolkata";
    for suspended in [false, true] {
        let site = served("x", |world| {
            let next = Time(world.now.0 - world.now.0.rem_euclid(60_000) + 60_000);
            let line = zone.parse::<Zone>().unwrap().line(next).unwrap();
            let spec = json!({"schedule": line, "timeZone": zone, "suspend": suspended});
            let key = Key::new(kind("cronjobs.batch").unwrap(), "vault", "vault-raft-backup");
            let change = |job: &mut Value| {
                for (field, value) in spec.as_object().unwrap() {
                    job["spec"][field] = value.clone();
                }
            };
            world.store.update(&key, change).unwrap();
        });
        assert_eq!(site.survey(&[]).status.code(), Some(0));
        let mut survey = parse(&site.text()).unwrap();
        let (played, told) = rehearsed(&survey, &[]);
        let due = |l: &String| l.contains("CronJob vault/vault-raft-backup is due at");
        assert_eq!(told.iter().any(due), !suspended, "{told:#?}");
        // One that is suspended is no backup, and stops the run for that.
        assert_eq!(played.done, !suspended, "{}", played.report().join("\n"));
        // By other names too.
        disguise(&mut survey);
        let survey = parse(&render(&survey).unwrap()).unwrap();
        let job = &survey.objects("cronjobs.batch")[0]["spec"];
        assert_eq!((&job["timeZone"], &job["suspend"]), (&json!(zone), &json!(suspended)));
    }
}

#[test]
fn the_whole_roll_is_rehearsed_on_a_survey_and_a_fault_is_caught() {
    let (survey, original) = survey();
    let (done, said) = rehearsal(&survey, &[]);
    assert!(done, "{said:#?}");
    let old: Vec<String> = original.vault.voters.values().map(|v| v.disk.clone()).collect();
    assert!(old.iter().all(|disk| !said.contains(disk)), "a voter is on its old disk: {said:?}");
    let mut survey = survey;
    disguise(&mut survey);
    let (done, said) = rehearsal(&survey, &["attach-limit"]);
    assert!(!done && said.iter().any(|l| l.contains("preflight/nodes")), "{said:#?}");
}

/// The same site by other names: as calm, and nobody learns what else runs there.
#[test]
fn a_survey_by_other_names_is_the_same_site() {
    let (mut survey, original) = survey();
    let count =
        |s: &Survey| s.kubernetes.as_ref().unwrap().objects.values().map(Vec::len).sum::<usize>();
    let before = count(&survey);
    disguise(&mut survey);
    let text = render(&survey).unwrap();
    let mut survey = parse(&text).unwrap();
    assert_eq!(count(&survey), before);
    for id in ["namespaces", "nodes", "pods", "persistentvolumeclaims", "statefulsets.apps"] {
        for (key, object) in original.store.list(kind(id).unwrap(), None) {
            let uid = object["metadata"]["uid"].as_str().unwrap();
            assert!(!text.contains(uid), "{uid} of {key:?}");
            let own = key.namespace == "vault"
                || ["vault", "kube-system", "default"].contains(&key.name.as_str());
            let quoted = format!("\"{}\"", key.name);
            assert!(own || !text.contains(&quoted), "{quoted}");
        }
    }
    for word in ["authentication", "documents", "photos", "k8s-"] {
        assert!(!text.contains(word), "{word}");
    }
    let (mut world, notes) = surveyed::world(&survey, 3).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let pods = serving(&world);
    world.advance(survey.taken_at + Span::secs(6 * 3600));
    assert_eq!(serving(&world), pods);
    // Once more changes nothing that anybody goes by.
    disguise(&mut survey);
    assert_eq!(count(&survey), before);
}
