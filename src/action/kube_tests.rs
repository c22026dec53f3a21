//! Commands of Kubernetes actions as a shell takes them, and what servers say of requests.

use crate::action::args::Args;
use crate::action::execute;
use crate::action::kube::{PROTECTION, plan_protection, plan_wait};
use crate::event::{Outcome, Proposal, Target};
use crate::remote::responder::{Reply, Responder};
use crate::remote::rig;
use crate::runbook::model::{Arg, Call};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    let (outcome, _) = execute(&remote, "run/a/b", &proposal, &say).await;
    let Outcome::Failed(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("[redacted]") && !why.contains("hvs.rig-token"), "{why}");
    let (_, why, _) = crate::action::probe(&remote, "run/a/b", &proposal).await;
    assert!(!why.contains("hvs.rig-token"), "{why}");
}
