//! Claims for a pod, made by name before its StatefulSet would make them: of another class than
//! its template says.
//!
//! Material: that there is no claim of that name yet, and the class with what it does to its
//! volumes. What is made is the template of the manifest, as the controller would, but for the
//! class: the controller takes a claim that is there by its name.

use crate::action::args::Args;
use crate::action::kube::{client, kubectl, namespace, within};
use crate::action::{Ended, Say, Seen, add_up, failed, kube_apply, quoted};
use crate::event::{Outcome, Probed, Proposal, Stream, Target};
use crate::remote::{Remote, Trouble, review_access};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who made them, for the server: the same, whether here or by the command.
const MANAGER: &str = "holdpoint";

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (client, namespace) = (client(remote)?, namespace(remote, args));
    let (pod, class) = (args.text("of_pod")?, args.text("class")?);
    let path = args.text("manifest")?;
    review_access(client, "create", "", "persistentvolumeclaims", Some(namespace))
        .await
        .map_err(|e| e.to_string())?;
    let found = within(Api::<StorageClass>::all(client.clone()).get_opt(class))
        .await
        .map_err(|e| e.to_string())?
        .ok_or_else(|| format!("there is no StorageClass {class}; look at the storage pane"))?;
    let set = kube_apply::object(remote, path).await?;
    let claims = made(&set, pod, namespace, class).map_err(|e| format!("{path}: {e}"))?;
    let mut material = BTreeMap::from([
        ("class.uid".to_owned(), json!(found.metadata.uid)),
        ("class.reclaimPolicy".to_owned(), json!(found.reclaim_policy)),
    ]);
    let mut targets = Vec::new();
    let mut missing = Vec::new();
    for claim in &claims {
        let name = claim["metadata"]["name"].as_str().unwrap_or_default();
        match there(client, namespace, name).await.map_err(|e| e.to_string())? {
            Some(c) if c.metadata.deletion_timestamp.is_some() => {
                return Err(format!("{name} is still being deleted; wait until it is gone"));
            }
            // Made by an attempt before this one, or by hand.
            Some(c) if of_class(&c) == class => {
                material.insert(format!("{name}.uid"), json!(c.metadata.uid));
                continue;
            }
            Some(c) => {
                let is = of_class(&c);
                return Err(format!("there is a claim {name} of class {is}; delete it first"));
            }
            None => drop(material.insert(format!("{name}.uid"), Value::Null)),
        }
        missing.push(claim.clone());
        targets.push(Target {
            kind: "PersistentVolumeClaim".into(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
            uid: None,
            created: None,
            note: format!("new, of class {class}"),
        });
    }
    let there = claims.len() - missing.len();
    let there = if there > 0 { format!("; {there} are there already") } else { String::new() };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": missing});
    let policy = found.reclaim_policy.as_deref().unwrap_or("Delete");
    Ok(Proposal {
        verb: "kube.create_claims".into(),
        sentence: format!(
            "CREATE {} claims for {namespace}/{pod} of class {class} (reclaim policy {policy}){there}",
            targets.len()
        ),
        targets,
        material,
        commands: (!missing.is_empty())
            .then(|| {
                let (list, kubectl) = (quoted(&list.to_string()), kubectl(remote));
                format!("printf '%s\\n' {list} | {kubectl} create --field-manager={MANAGER} -f -")
            })
            .into_iter()
            .collect(),
        before: targets_named(&claims),
        request: json!({"create": missing, "wanted": claims}),
        cautions: Vec::new(),
    })
}

fn of_class(claim: &PersistentVolumeClaim) -> String {
    claim.spec.as_ref().and_then(|s| s.storage_class_name.clone()).unwrap_or_default()
}

/// What a verify can ask about: names, since there is no UID yet.
fn targets_named(claims: &[Value]) -> Value {
    claims.iter().map(|c| json!({"name": c["metadata"]["name"]})).collect()
}

/// The claims that a StatefulSet's controller would make for a pod of it, but of that class.
fn made(set: &Value, pod: &str, namespace: &str, class: &str) -> Result<Vec<Value>, String> {
    let name = set.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let number = pod.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    let its = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if set["kind"] != "StatefulSet" || !its {
        return Err(format!("{pod} is no pod of the StatefulSet in it"));
    }
    if set.pointer("/metadata/namespace").is_some_and(|n| n != namespace) {
        return Err(format!("its namespace is not {namespace}"));
    }
    let templates = set.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    let of = |template: &Value| {
        let own = template.pointer("/metadata/name").and_then(Value::as_str)?;
        let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or(json!({}));
        let selected = set.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        for (key, value) in selected.into_iter().flatten() {
            labels[key] = value.clone();
        }
        let mut spec = template["spec"].clone();
        spec["storageClassName"] = json!(class);
        let mut meta = json!({
            "name": format!("{own}-{pod}"), "namespace": namespace, "labels": labels
        });
        if let Some(notes) = template.pointer("/metadata/annotations") {
            meta["annotations"] = notes.clone();
        }
        Some(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec
        }))
    };
    let claims: Vec<_> = templates.into_iter().flatten().filter_map(of).collect();
    if claims.is_empty() {
        return Err("it has no volumeClaimTemplates".into());
    }
    Ok(claims)
}

async fn there(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<PersistentVolumeClaim>, Trouble> {
    within(Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace).get_opt(name)).await
}

fn listed(proposal: &Proposal, what: &str) -> Vec<Value> {
    proposal.request.get(what).and_then(Value::as_array).cloned().unwrap_or_default()
}

pub(crate) async fn execute(remote: &Remote, proposal: &Proposal, say: &Say) -> Ended {
    let Ok(client) = client(remote) else {
        return (Outcome::Failed("there is no connection to the API server".into()), Value::Null);
    };
    let all = listed(proposal, "create");
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let mut done = 0;
    for claim in &all {
        let claim: PersistentVolumeClaim = match serde_json::from_value(claim.clone()) {
            Ok(claim) => claim,
            Err(e) => return (Outcome::Failed(e.to_string()), Value::Null),
        };
        let (meta, namespace) = (&claim.metadata, claim.metadata.namespace.as_deref());
        let name = meta.name.clone().unwrap_or_default();
        let api: Api<PersistentVolumeClaim> =
            Api::namespaced(client.clone(), namespace.unwrap_or_default());
        // A name that is taken is refused by the server: nothing is overwritten.
        match within(api.create(&params, &claim)).await {
            Ok(_) => {
                done += 1;
                say(Stream::Note, format!("claim {name} is created"));
            }
            Err(e) => {
                let outcome = match failed(&e) {
                    Outcome::Failed(why) => {
                        let all = all.len();
                        Outcome::Failed(format!("{done} of {all} done, then {name}: {why}"))
                    }
                    other => other,
                };
                return (outcome, json!({"count": done, "at": remote.now()}));
            }
        }
    }
    (Outcome::Ok, json!({"count": done, "at": remote.now()}))
}

pub(crate) async fn probe(remote: &Remote, proposal: &Proposal) -> Seen {
    let mut seen = Vec::new();
    for claim in listed(proposal, "wanted") {
        let text = |at: &str| claim.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let (name, class) = (text("/metadata/name"), text("/spec/storageClassName"));
        let found = match client(remote) {
            Ok(client) => there(client, text("/metadata/namespace"), name).await,
            Err(e) => Err(Trouble::Unreachable(e)),
        };
        seen.push(match found {
            Err(e) => return (Probed::Unknown, e.to_string(), Value::Null),
            Ok(None) => (false, format!("{name} is not there")),
            Ok(Some(c)) => {
                let is = of_class(&c);
                match (is == class, c.metadata.deletion_timestamp.is_some()) {
                    (_, true) => (false, format!("{name} is being deleted")),
                    (true, false) => (true, format!("{name} is there, of class {class}")),
                    (false, false) => (false, format!("{name} is there, of class {is}")),
                }
            }
        });
    }
    let (verdict, why) = add_up(&seen);
    (verdict, why, json!({"count": seen.len(), "at": remote.now()}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::kube_create;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use crate::runbook::model::{Arg, Call};
    use std::sync::{Arc, Mutex};

    fn set() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "vault", "namespace": "v"},
            "spec": {
                "selector": {"matchLabels": {"app": "vault"}},
                "volumeClaimTemplates": [
                    {"metadata": {"name": "data"}, "spec": {"storageClassName": "new",
                        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}},
                    {"metadata": {"name": "audit", "labels": {"part": "audit"}},
                        "spec": {"storageClassName": "new"}},
                ],
            },
        })
    }

    #[test]
    fn claims_are_what_the_controller_would_make_but_of_that_class() {
        let claims = made(&set(), "vault-1", "v", "old").unwrap();
        let names: Vec<_> = claims.iter().map(|c| c["metadata"]["name"].clone()).collect();
        assert_eq!(names, ["data-vault-1", "audit-vault-1"]);
        assert_eq!(claims[0]["spec"]["storageClassName"], "old");
        assert_eq!(claims[0]["spec"]["resources"]["requests"]["storage"], "2Gi");
        assert_eq!(claims[1]["metadata"]["labels"], json!({"app": "vault", "part": "audit"}));
        for (pod, namespace, why) in [
            ("vault-x", "v", "no pod of"),
            ("vaults-1", "v", "no pod of"),
            ("vault-", "v", "no pod of"),
            ("vault-1", "other", "namespace is not other"),
        ] {
            assert!(made(&set(), pod, namespace, "old").unwrap_err().contains(why), "{pod}");
        }
        let mut bare = set();
        bare["spec"]["volumeClaimTemplates"] = json!([]);
        assert!(
            made(&bare, "vault-1", "v", "old").unwrap_err().contains("no volumeClaimTemplates")
        );
    }

    /// A server with these claims.
    async fn server(claims: &Arc<Mutex<Vec<(String, Value)>>>) -> Responder {
        const CLAIMS: &str = "/api/v1/namespaces/v/persistentvolumeclaims";
        let claims = Arc::clone(claims);
        Responder::start(move |asked, body| {
            let mut claims = claims.lock().unwrap();
            if let Some(name) = asked.strip_prefix(&format!("GET {CLAIMS}/")) {
                let found = claims.iter().find(|(n, _)| n == name);
                return match found {
                    Some((_, claim)) => Reply::Json(200, claim.clone()),
                    None => Reply::Json(404, json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "no", "code": 404})),
                };
            }
            match asked {
                "GET /apis/storage.k8s.io/v1/storageclasses/old" => Reply::Json(200, json!({
                    "metadata": {"name": "old", "uid": "class"}, "provisioner": "p", "reclaimPolicy": "Retain"})),
                a if a.starts_with("POST /apis/authorization") => Reply::Json(201, json!({
                    "spec": {}, "status": {"allowed": true}})),
                a if a.starts_with(&format!("POST {CLAIMS}")) => {
                    let (_, body) = body.split_once('{').unwrap_or_default();
                    let claim: Value = serde_json::from_str(&format!("{{{body}")).unwrap_or_default();
                    let name = claim["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                    if name.starts_with("audit") && claims.len() == 1 && claims[0].1["full"] == true {
                        return Reply::Json(403, json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "exceeded quota", "code": 403}));
                    }
                    claims.push((name, claim.clone()));
                    Reply::Json(201, claim)
                }
                _ => Reply::Json(404, json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "no", "code": 404})),
            }
        })
        .await
    }

    #[tokio::test]
    async fn what_is_there_already_is_not_created_and_what_was_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("set.json");
        std::fs::write(&manifest, set().to_string()).unwrap();
        let arg = |text: &str| Arg::Text(text.to_owned());
        let call = Call {
            verb: "kube.create_claims".into(),
            args: [
                ("of_pod".to_owned(), arg("vault-1")),
                ("class".to_owned(), arg("old")),
                ("namespace".to_owned(), arg("v")),
                ("manifest".to_owned(), arg(&manifest.display().to_string())),
            ]
            .into(),
        };
        let claims = Arc::new(Mutex::new(Vec::new()));
        let api = server(&claims).await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let proposal = kube_create::plan(&remote, &Args::new(&call)).await.unwrap();
        assert_eq!(probe(&remote, &proposal).await.0, Probed::NotDone);
        let say: Say = Arc::new(|_, _| {});
        assert_eq!(execute(&remote, &proposal, &say).await.0, Outcome::Ok);
        assert_eq!(probe(&remote, &proposal).await.0, Probed::Done);
        // Once more, nothing is left to do; of what was done in part only the rest is.
        let again = kube_create::plan(&remote, &Args::new(&call)).await.unwrap();
        assert!(again.targets.is_empty() && again.commands.is_empty(), "{again:?}");
        assert!(again.sentence.contains("2 are there already"), "{}", again.sentence);
        let gone = claims.lock().unwrap().remove(0);
        let rest = kube_create::plan(&remote, &Args::new(&call)).await.unwrap();
        assert_eq!(
            rest.targets.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
            ["data-vault-1"]
        );
        assert_eq!(probe(&remote, &rest).await.0, Probed::Partly);
        claims.lock().unwrap().insert(0, gone);
        claims.lock().unwrap()[1].1["spec"]["storageClassName"] = json!("new");
        let (verdict, why, _) = probe(&remote, &proposal).await;
        assert_eq!(verdict, Probed::Partly);
        assert!(why.contains("audit-vault-1 is there, of class new"), "{why}");
        let why = kube_create::plan(&remote, &Args::new(&call)).await.unwrap_err();
        assert!(why.contains("audit-vault-1 of class new; delete it first"), "{why}");
        claims.lock().unwrap()[0].1["metadata"]["deletionTimestamp"] =
            json!("2026-04-25T16:18:00Z");
        let why = kube_create::plan(&remote, &Args::new(&call)).await.unwrap_err();
        assert!(why.contains("still being deleted"), "{why}");
        // What the server refuses in the middle is told with what was done.
        claims.lock().unwrap().clear();
        claims.lock().unwrap().push(("x".into(), json!({"full": true})));
        let mut rest = proposal.clone();
        rest.request["create"].as_array_mut().unwrap().remove(0);
        let (outcome, result) = execute(&remote, &rest, &say).await;
        assert!(
            matches!(&outcome, Outcome::Failed(w) if w.contains("0 of 1 done, then audit-vault-1")),
            "{outcome:?}"
        );
        assert_eq!(result["count"], 0);
    }
}
