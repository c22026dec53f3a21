//! Commands of Kubernetes actions as a shell takes them, and what servers say of requests.

use crate::action::args::Args;
use crate::action::kube::{PROTECTION, plan_protection, plan_wait};
use crate::action::{Stop, Stops, execute, kube_apply};
use crate::event::{EffectId, Outcome, Probed, Proposal, Target};
use crate::remote::responder::{Reply, Responder};
use crate::remote::rig;
use crate::runbook::model::{Arg, Call};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

fn call(verb: &str, args: &[(&str, &str)]) -> Call<String> {
    let of = |(name, text): &(&str, &str)| ((*name).to_owned(), Arg::Text((*text).to_owned()));
    Call { verb: verb.into(), args: args.iter().map(of).collect() }
}

/// Names come from runbooks and parameters: a shell must take each for one word.
#[tokio::test]
async fn names_are_one_word_each_in_a_command() {
    let claim = json!({"metadata": {"name": "data-0", "uid": "u",
        "deletionTimestamp": "2026-04-25T16:00:00Z", "finalizers": [PROTECTION]},
        "spec": {"volumeName": "pv"}});
    let api = Responder::start(move |asked, _| match asked {
        a if a.contains("selfsubjectaccessreviews") => {
            Reply::Json(201, json!({"spec": {}, "status": {"allowed": true}}))
        }
        a if a.contains("persistentvolumes/pv") => Reply::Json(
            200,
            json!({"metadata": {"name": "pv"}, "spec": {"persistentVolumeReclaimPolicy": "Retain"}}),
        ),
        a if a.contains("persistentvolumeclaims") => {
            Reply::Json(200, json!({"metadata": {}, "items": [claim]}))
        }
        _ => Reply::Json(
            200,
            json!({"metadata": {"name": "p"}, "spec": {"containers": [], "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}}]}}),
        ),
    })
    .await;
    let remote = rig::remote(Some(&api.url), &[], "").await;
    let odd = ("namespace", "a;b");
    let wait = [odd, ("pod", "p q"), ("until", "ready"), ("within", "30s")];
    let wait = call("kube.wait", &wait);
    let plan = plan_wait(&remote, &Args::new(&wait)).await.unwrap();
    let wanted = " -n 'a;b' wait 'pod/p q' --for=condition=Ready --timeout=30s";
    assert!(plan.commands[0].ends_with(wanted), "{:?}", plan.commands);
    let free = call("kube.remove_protection", &[odd, ("of_pod", "p")]);
    let plan = plan_protection(&remote, &Args::new(&free)).await.unwrap();
    let wanted = " -n 'a;b' patch persistentvolumeclaim data-0 --type=json";
    assert!(plan.commands[0].contains(wanted), "{:?}", plan.commands);
    // A parameter can give what the lint has not seen.
    let soon = [("pod", "p"), ("until", "ready"), ("within", "900ms")];
    let soon = call("kube.wait", &soon);
    let why = plan_wait(&remote, &Args::new(&soon)).await.unwrap_err();
    assert_eq!(why, "`within`: 900ms is not in whole seconds");
}

/// What a server says of a request that it refuses goes into the journal.
#[tokio::test]
async fn what_a_server_repeats_of_a_secret_is_not_kept() {
    let api = Responder::start(|_, _| {
        Reply::Json(403, json!({"kind": "Status", "code": 403, "message": "no: hvs.rig-token"}))
    })
    .await;
    let remote = rig::remote(Some(&api.url), &[], "").await;
    let options = json!({"preconditions": {"uid": "u"}});
    let object = json!({"resource": "pods", "name": "p", "options": options});
    let proposal = Proposal {
        verb: "kube.delete_pod".into(),
        sentence: String::new(),
        targets: vec![Target {
            kind: "Pod".into(),
            namespace: Some("vault".into()),
            name: "p".into(),
            uid: Some("u".into()),
            created: None,
            note: String::new(),
        }],
        material: BTreeMap::new(),
        commands: vec![],
        request: json!({"delete": [object]}),
        cautions: vec![],
        before: Value::Null,
    };
    let say: crate::action::Say = Arc::new(|_, _| {});
    let (outcome, _) = execute(&remote, "run/a/b", &proposal, &say, Stop::never()).await;
    let Outcome::Failed(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("[redacted]") && !why.contains("hvs.rig-token"), "{why}");
    let (_, why, _) = crate::action::probe(&remote, "run/a/b", &proposal).await;
    assert!(!why.contains("hvs.rig-token"), "{why}");
}

/// What is applied is meant for the object that was reviewed, and what is there is compared
/// with what was wanted, whoever put it there.
#[tokio::test]
async fn an_apply_is_bound_to_the_object_that_is_there() {
    let found = Arc::new(Mutex::new(None::<&str>));
    let now = Arc::clone(&found);
    let api = Responder::start(move |asked, _| match asked {
        "GET /api/v1" => Reply::Json(
            200,
            json!({"kind": "APIResourceList", "groupVersion": "v1",
            "resources": [{"name": "configmaps", "singularName": "", "namespaced": true,
                "kind": "ConfigMap", "verbs": ["get", "patch"]}]}),
        ),
        a if a.starts_with("POST /apis/authorization") => {
            Reply::Json(201, json!({"spec": {}, "status": {"allowed": true}}))
        }
        a if a.contains("/configmaps/c") => match *now.lock().unwrap() {
            Some(uid) => Reply::Json(
                200,
                json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "c", "namespace": "v", "uid": uid}, "data": {"k": "1"}}),
            ),
            None if a.starts_with("PATCH") => Reply::Json(201, json!({"metadata": {}})),
            None => Reply::Json(
                404,
                json!({"kind": "Status", "status": "Failure",
                "reason": "NotFound", "message": "no", "code": 404}),
            ),
        },
        _ => Reply::Json(500, json!({})),
    })
    .await;
    let remote = rig::remote(Some(&api.url), &[], "").await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    let text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: v}\ndata: {k: '1'}\n";
    std::fs::write(&path, text).unwrap();
    let call = call("kube.apply", &[("manifest", &path.display().to_string())]);
    let made = kube_apply::plan(&remote, &Args::new(&call)).await.unwrap();
    assert_eq!(made.request.pointer("/manifest/metadata/uid"), None);
    *found.lock().unwrap() = Some("u1");
    let bound = kube_apply::plan(&remote, &Args::new(&call)).await.unwrap();
    assert_eq!(bound.request["manifest"]["metadata"]["uid"], "u1");
    assert!(bound.commands[0].contains(r#""uid":"u1""#), "{:?}", bound.commands);
    *found.lock().unwrap() = Some("u2");
    assert_eq!(kube_apply::probe(&remote, &bound).await.0, Probed::Done);
}

/// A wait that is stopped ends before its time, and nothing was sent but questions.
#[tokio::test]
async fn a_wait_that_is_stopped_has_changed_nothing() {
    let (stops, effect) = (Stops::default(), EffectId(7));
    let asked = stops.clone();
    let api = Responder::start(move |_, _| {
        // Its first question is answered, and then it is to end.
        asked.send_replace(Some((effect, "guard quorum breached".into())));
        Reply::Json(
            404,
            json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "no",
                "code": 404}),
        )
    })
    .await;
    let remote = rig::remote(Some(&api.url), &[], "").await;
    let args = [("namespace", "v"), ("pod", "p"), ("until", "ready"), ("within", "10m")];
    let wait = call("kube.wait", &args);
    let proposal = plan_wait(&remote, &Args::new(&wait)).await.unwrap();
    let say: crate::action::Say = Arc::new(|_, _| {});
    let stop = Stop::new(effect, &stops);
    let (outcome, _) = execute(&remote, "run/a/b", &proposal, &say, stop).await;
    let why = "not waited for any longer: guard quorum breached".to_owned();
    assert_eq!(outcome, Outcome::Failed(why));
    assert_eq!(api.seen(), ["GET /api/v1/namespaces/v/pods/p"]);
}
