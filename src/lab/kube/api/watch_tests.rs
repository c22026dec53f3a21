//! Watches, and the program's own readers over them.

use super::tests::{ask, ask_as, lab, with_namespace};
use crate::lab::Lab;
use crate::lab::kube::{Key, Rule, User, faults, kind, service};
use crate::observe;
use crate::remote::{Remote, rig};
use crate::world::{Source, Status, World};
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::api::{AttachParams, LogParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

const MAPS: &str = "/api/v1/namespaces/c1/configmaps";
const PODS: &str = "/api/v1/namespaces/vault/pods";

async fn open(client: &Client, path: &str, accept: &str) -> kube::client::Body {
    let request = Request::get(path).header("accept", accept);
    let request = request.body(kube::client::Body::empty()).unwrap();
    client.send(request).await.unwrap().into_body()
}

/// Everything that a watch tells until its time is over: type, name, version.
async fn told(client: &Client, query: &str) -> Vec<(String, String, String)> {
    let body = open(client, &format!("{MAPS}?watch=true&{query}"), "application/json").await;
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let events = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    events
        .map(|line| {
            let event: Value = serde_json::from_slice(line).unwrap();
            let meta = &event["object"]["metadata"];
            (text(&event["type"]), text(&meta["name"]), text(&meta["resourceVersion"]))
        })
        .collect()
}

fn names(events: &[(String, String, String)]) -> Vec<String> {
    events.iter().map(|(what, name, _)| format!("{what} {name}").trim().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn watches_tell_what_the_real_server_tells() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let before = lab.with(|w| w.store.version());
    for name in ["a", "b", "c"] {
        let map = json!({"metadata": {"name": name, "labels": {"x": name}}});
        ask(&client, Method::POST, MAPS, &map).await;
    }
    let merge = "application/merge-patch+json";
    let patch = json!({"metadata": {"labels": {"x": "z"}}});
    ask_as(&client, Method::PATCH, &format!("{MAPS}/b"), merge, &patch).await;
    ask(&client, Method::DELETE, &format!("{MAPS}/a"), &Value::Null).await;
    let from = format!("resourceVersion={before}&timeoutSeconds=1");
    let all = told(&client, &from).await;
    assert_eq!(names(&all), ["ADDED a", "ADDED b", "ADDED c", "MODIFIED b", "DELETED a"]);
    assert!(all.is_sorted_by(|x, y| x.2.parse::<u64>().unwrap() < y.2.parse().unwrap()));
    let b = told(&client, &format!("{from}&labelSelector=x%3Db")).await;
    assert_eq!(names(&b), ["ADDED b", "DELETED b"]);
    assert_eq!(b[1].2, all[3].2);
    let c = told(&client, &format!("{from}&fieldSelector=metadata.name%3Dc")).await;
    assert_eq!(names(&c), ["ADDED c"]);
    assert_eq!(names(&told(&client, "timeoutSeconds=1").await), ["ADDED b", "ADDED c"]);
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    assert_eq!(names(&told(&client, initial).await), ["ADDED b", "ADDED c"]);
    let marked = told(&client, &format!("{initial}&allowWatchBookmarks=true")).await;
    assert_eq!(names(&marked), ["ADDED b", "ADDED c", "BOOKMARK"]);
    assert_eq!(names(&told(&client, "resourceVersion=99999&timeoutSeconds=1").await), [""; 0]);
    lab.with(|w| w.store.compact());
    assert_eq!(names(&told(&client, &from).await), ["ERROR"]);
    // Elsewhere something happens, and a bookmark says how far it is.
    let quiet = format!("resourceVersion={}", lab.with(|w| w.store.version()));
    let watch = {
        let client = client.clone();
        let query = format!("{quiet}&allowWatchBookmarks=true&timeoutSeconds=130");
        tokio::spawn(async move { told(&client, &query).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask(&client, Method::POST, "/api/v1/namespaces", &json!({"metadata": {"name": "c2"}})).await;
    assert_eq!(names(&watch.await.unwrap()), ["BOOKMARK"]);
}

/// A watch is woken for its own kind alone. What happened elsewhere meanwhile, more than the history
/// holds, is none that it missed.
#[tokio::test(start_paused = true)]
async fn a_watch_of_a_quiet_kind_is_as_new_as_the_store() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let from = lab.with(|w| w.store.version());
    let theirs = client.clone();
    let watched = tokio::spawn(async move {
        let limits = "allowWatchBookmarks=true&timeoutSeconds=100";
        told(&theirs, &format!("resourceVersion={from}&{limits}")).await
    });
    let moments = || tokio::time::sleep(Duration::from_secs(1));
    moments().await;
    let namespace = Key::new(kind("namespaces").unwrap(), "", "c1");
    let touch = |n: usize| {
        let touched = |o: &mut Value| o["metadata"]["labels"]["n"] = json!(n.to_string());
        lab.with(|w| w.store.update(&namespace, touched).unwrap());
    };
    (0..5000).for_each(touch);
    // It looks when a bookmark is due, too.
    tokio::time::sleep(Duration::from_secs(70)).await;
    (0..5000).for_each(touch);
    let map = |name: &str| json!({"metadata": {"name": name}});
    ask(&client, Method::POST, MAPS, &map("a")).await;
    moments().await;
    (0..50).for_each(touch);
    lab.with(|w| w.store.compact());
    ask(&client, Method::POST, MAPS, &map("b")).await;
    moments().await;
    // Many that come, one by one, before anybody looks; and some while watches say nothing.
    let make = |name: &str| {
        let place = Key::new(kind("configmaps").unwrap(), "c1", name);
        lab.with(|w| w.store.create(&place, map(name), w.now, &mut w.chance).unwrap());
    };
    (0..5000).for_each(touch);
    let many: Vec<String> = (10..40).map(|n| format!("m{n}")).collect();
    many.iter().for_each(|name| make(name));
    moments().await;
    (0..5000).for_each(touch);
    let stale = |there: bool| {
        lab.with(|w| match there {
            true => w.faults.insert(faults::WATCH_STALE.to_owned()),
            false => w.faults.remove(faults::WATCH_STALE),
        });
    };
    stale(true);
    moments().await;
    ["x", "y"].into_iter().for_each(make);
    moments().await;
    stale(false);
    moments().await;
    let mut all = vec!["BOOKMARK".to_owned(), "ADDED a".into(), "ADDED b".into()];
    all.extend(many.iter().map(|name| format!("ADDED {name}")));
    all.extend(["ADDED x".to_owned(), "ADDED y".to_owned()]);
    assert_eq!(names(&watched.await.unwrap()), all);
}

#[tokio::test(start_paused = true)]
async fn faults_are_felt_by_open_watches() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let set = |fault: &'static str, on: bool| {
        lab.with(|w| if on { w.faults.insert(fault.into()) } else { w.faults.remove(fault) });
    };
    let path = format!("{MAPS}?watch=true");
    let mut body = open(&client, &path, "application/json").await;
    set(faults::WATCH_STALE, true);
    ask(&client, Method::POST, MAPS, &json!({"metadata": {"name": "a"}})).await;
    let silent = tokio::time::timeout(Duration::from_secs(1800), body.frame()).await;
    assert!(silent.is_err());
    set(faults::WATCH_STALE, false);
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(frame.starts_with(br#"{"type":"ADDED""#));
    let waiting = tokio::spawn(async move { body.frame().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    set(faults::API_OUTAGE, true);
    assert!(waiting.await.unwrap().unwrap().is_err());
    let request = Request::get(MAPS).body(kube::client::Body::empty()).unwrap();
    let error = client.send(request).await.unwrap_err();
    assert!(format!("{error:?}").contains("ConnectionRefused"), "{error:?}");
    set(faults::API_OUTAGE, false);
    set(faults::API_SLOW, true);
    let began = tokio::time::Instant::now();
    ask(&client, Method::GET, MAPS, &Value::Null).await;
    assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() <= Duration::from_secs(3));
    set(faults::API_SLOW, false);
    set(faults::FORBIDDEN, true);
    let pods = "/api/v1/namespaces/c1/pods/p";
    let (code, said) = ask(&client, Method::DELETE, pods, &Value::Null).await;
    assert_eq!(
        (code, said["message"].as_str().unwrap()),
        (
            403,
            "pods \"p\" is forbidden: User \"admin\" cannot delete resource \"pods\" in API group \"\" in the namespace \"c1\""
        )
    );
    let review = crate::remote::review_access(&client, "delete", "", "pods", Some("c1")).await;
    assert!(review.is_err());
    set(faults::FORBIDDEN, false);
    crate::remote::review_access(&client, "delete", "", "pods", Some("c1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_may_only_read_is_told_so() {
    let lab = lab();
    with_namespace(&lab).await;
    let mut user = User::anonymous();
    user.name = "limited".into();
    user.groups = vec!["system:authenticated".into()];
    user.rules = vec![Rule::new(&["get", "list", "watch"], &["*"], &["*"])];
    let client = service::client_as(&lab, user);
    assert_eq!(ask(&client, Method::GET, MAPS, &Value::Null).await.0, 200);
    let sets = "/apis/apps/v1/namespaces/c1/statefulsets";
    let (code, said) = ask(&client, Method::POST, sets, &json!({})).await;
    assert_eq!(
        (code, said["message"].as_str().unwrap()),
        (
            403,
            "statefulsets.apps is forbidden: User \"limited\" cannot create resource \"statefulsets\" in API group \"apps\" in the namespace \"c1\""
        )
    );
    assert_eq!(said["details"], json!({"group": "apps", "kind": "statefulsets"}));
    let (_, said) = ask(&client, Method::PATCH, "/api/v1/nodes/node-1", &json!({})).await;
    assert_eq!(
        said["message"],
        "nodes \"node-1\" is forbidden: User \"limited\" cannot patch resource \"nodes\" in API group \"\" at the cluster scope"
    );
    assert!(crate::remote::review_access(&client, "delete", "", "pods", None).await.is_err());
    crate::remote::review_access(&client, "get", "", "pods", None).await.unwrap();
}

/// A pod that runs, one that crashes, and what they stand on.
async fn furnish(lab: &Lab) -> Client {
    let client = service::client(lab);
    let post = |path: &'static str, object: Value| {
        let client = client.clone();
        async move {
            let (code, said) = ask(&client, Method::POST, path, &object).await;
            assert_eq!(code, 201, "{said}");
        }
    };
    post("/api/v1/namespaces", json!({"metadata": {"name": "vault"}})).await;
    post("/api/v1/nodes", json!({"metadata": {"name": "n1"}})).await;
    post("/apis/storage.k8s.io/v1/storageclasses", json!({"metadata": {"name": "fast",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"})).await;
    post(
        "/api/v1/namespaces/vault/persistentvolumeclaims",
        json!({"metadata": {"name": "data-vault-0"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
    )
    .await;
    for name in ["vault-0", "vault-1"] {
        post(PODS, json!({"metadata": {"name": name, "ownerReferences": []}, "spec": {
            "nodeName": "n1", "containers": [{"name": "vault", "image": "v:1"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-vault-0"}}]}})).await;
    }
    for (name, ready, state) in [
        ("vault-0", true, json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})),
        ("vault-1", false, json!({"waiting": {"reason": "CrashLoopBackOff"}})),
    ] {
        let status = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "vault",
            "image": "v:1", "imageID": "", "ready": ready, "restartCount": 3, "state": state,
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "denied"}}}]}});
        let path = format!("{PODS}/{name}/status");
        ask_as(&client, Method::PATCH, &path, "application/merge-patch+json", &status).await;
    }
    client
}

async fn remote(client: &Client) -> Arc<Remote> {
    let remote = rig::remote(Some("http://127.0.0.1:1"), &[], "").await;
    let mut remote = Arc::into_inner(remote).unwrap();
    remote.kube = Ok(client.clone());
    Arc::new(remote)
}

/// The program's own watches, protobuf among them, see what its own reads see.
#[tokio::test(start_paused = true)]
async fn the_panes_fill_and_follow() {
    let lab = lab();
    let client = furnish(&lab).await;
    let remote = remote(&client).await;
    let (out, mut changes) = tokio::sync::mpsc::channel(64);
    observe::spawn(&remote, &std::collections::BTreeSet::new(), &out);
    let mut seen = World::default();
    let kube = [
        Source::Claims,
        Source::Classes,
        Source::Pods,
        Source::Nodes,
        Source::Volumes,
        Source::Statefulsets,
        Source::Cronjobs,
    ];
    let live = |w: &World| kube.iter().all(|s| w.standing(*s).status == Status::Live);
    while !live(&seen) {
        seen.apply(&changes.recv().await.unwrap());
    }
    let mut read = World::default();
    for change in observe::read(&remote, &crate::world::Reading::everything()).await {
        read.apply(&change);
    }
    assert_eq!(seen.pods.iter().collect::<Vec<_>>(), read.pods.iter().collect::<Vec<_>>());
    assert_eq!(seen.claims.iter().collect::<Vec<_>>(), read.claims.iter().collect::<Vec<_>>());
    assert_eq!(seen.pods.len(), 2);
    let crashing = seen.pods.find("vault", "vault-1").unwrap();
    assert_eq!(
        (crashing.status.as_str(), crashing.reason.as_str()),
        ("CrashLoopBackOff", "Error: denied")
    );
    assert_eq!(seen.classes.len(), 1);
    let options = json!({"gracePeriodSeconds": 0});
    ask(&client, Method::DELETE, &format!("{PODS}/vault-1"), &options).await;
    while seen.pods.len() != 1 {
        seen.apply(&changes.recv().await.unwrap());
    }
    let lines = observe::describe(&remote, "vault", "Pod", "vault-0").await.unwrap();
    assert!(lines.iter().any(|l| l.contains("vault")), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn commands_logs_and_ports_go_through_the_real_client() {
    let lab = lab();
    let client = furnish(&lab).await;
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), "vault");
    let params = AttachParams::default();
    let mut ran = pods.exec("vault-0", ["sh", "-c", "echo 'hello there'"], &params).await.unwrap();
    let mut said = String::new();
    let mut stdout = ran.stdout().unwrap();
    let status = ran.take_status().unwrap();
    stdout.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "hello there\n");
    assert_eq!(status.await.unwrap().status.as_deref(), Some("Success"));
    let mut ran = pods.exec("vault-0", ["rm", "-rf", "/"], &params).await.unwrap();
    let status = ran.take_status().unwrap().await.unwrap();
    assert_eq!(status.details.unwrap().causes.unwrap()[0].message.as_deref(), Some("127"));
    let refused = pods.exec("vault-1", ["true"], &params).await;
    assert!(refused.is_err());
    let mut forward = pods.portforward("vault-0", &[8200]).await.unwrap();
    let error = forward.take_error(8200).unwrap().await.unwrap();
    assert!(error.contains("connection refused"), "{error}");
    // With a process of a voter in the pod, the forward ends there.
    lab.with(|w| crate::lab::vault::started(w, "vault-0", "disk"));
    let mut forward = pods.portforward("vault-0", &[8200]).await.unwrap();
    let mut stream = forward.take_stream(8200).unwrap();
    let request = b"GET /v1/sys/seal-status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\"initialized\":false"), "{answer}");

    let uid = pods.get("vault-0").await.unwrap().metadata.uid.unwrap();
    let say = |text: &str| lab.with(|w| w.console.say(w.now, &uid, "vault", text));
    say("one");
    say("two");
    let tail = LogParams { tail_lines: Some(1), ..LogParams::default() };
    assert_eq!(pods.logs("vault-0", &tail).await.unwrap(), "two\n");
    let previous = LogParams { previous: true, ..LogParams::default() };
    assert!(pods.logs("vault-0", &previous).await.is_err());
    let follow = LogParams { follow: true, ..LogParams::default() };
    let lines = pods.log_stream("vault-0", &follow).await.unwrap();
    let lines = tokio::spawn(async move {
        use futures::AsyncBufReadExt;
        let mut lines = futures::StreamExt::take(lines.lines(), 3);
        let mut all = Vec::new();
        while let Some(line) = futures::StreamExt::next(&mut lines).await {
            all.push(line.unwrap());
        }
        all
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    say("three");
    assert_eq!(lines.await.unwrap(), ["one", "two", "three"]);
    lab.with(|w| w.console.restarted(&uid, "vault"));
    assert_eq!(pods.logs("vault-0", &previous).await.unwrap(), "one\ntwo\nthree\n");
}
