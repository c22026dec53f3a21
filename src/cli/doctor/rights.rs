//! Rights of the runbook's actions: of each, at the objects and in the namespace that it
//! touches, and of the token at Vault.

use super::{Level, Report};
use crate::action::{kube_rights, lease_rights, vault_right, vault_rights};
use crate::remote::{Remote, review_access};
use crate::report::known;
use crate::runbook::model::{Does, Runbook, Step};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is read of Vault for the panes and most gates.
const READ: [(&str, &[&str]); 2] = [
    ("sys/storage/raft/configuration", &["read"]),
    ("sys/storage/raft/autopilot/state", &["read"]),
];

pub(super) async fn examine(
    remote: &Remote,
    runbook: &Runbook,
    params: &BTreeMap<String, Value>,
    report: &mut Report,
) {
    let (mut objects, mut paths) = (BTreeSet::new(), BTreeSet::new());
    let site = remote.site.json_values();
    // The ways back as well: when they are needed it is too late to ask for a right.
    let undone = |s| std::iter::once(s).chain(Step::undo_step(s));
    let steps = runbook.sections().flat_map(|p| p.steps.iter().map(move |s| (p, s)));
    for (phase, step) in steps.flat_map(|(p, s)| undone(s).map(move |s| (p, s))) {
        let Does::Action(call) = &step.does else { continue };
        let item = phase.each.as_ref().map(|e| (e.var.clone(), format!("<{}>", e.var)));
        let call = known(call, params, &site, (item.as_ref(), &BTreeMap::new()));
        paths.extend(vault_rights(&call));
        match kube_rights(remote, &call).await {
            Ok(rights) => objects.extend(rights),
            Err(why) => {
                let what = format!("rights of {}/{}", phase.id, step.id);
                let remedy = "what it touches cannot be told; give it with --param";
                report.say(Level::Warn, &what, &format!("{why}: {remedy}"));
            }
        }
    }
    if let Some(kubernetes) = &remote.site.kubernetes
        && runbook.needs.iter().any(|n| n == "kubernetes")
    {
        objects.extend(lease_rights(kubernetes.lease().0));
    }
    if let Ok(client) = &remote.kube {
        for right in objects {
            let place = right.namespace.as_ref().map(|n| format!(" in {n}")).unwrap_or_default();
            let what = format!("right to {} {}{place}", right.verb, right.resource);
            if let Some(open) = right.namespace.as_ref().filter(|n| n.contains(['<', '{'])) {
                let why = format!("the namespace {open} is not known here; give it with --param");
                report.say(Level::Warn, &what, &why);
                continue;
            }
            let namespace = right.namespace.as_deref();
            let (group, resource) = (&right.group, &right.resource);
            match review_access(client, right.verb, group, resource, namespace).await {
                Ok(()) => report.say(Level::Ok, &what, "yes"),
                Err(e) => report.say(Level::Bad, &what, &e.to_string()),
            }
        }
    }
    if remote.voters.is_empty() {
        return;
    }
    for (path, wanted) in READ.into_iter().chain(paths) {
        let what = format!("right to {} {path}", wanted.join("+"));
        match vault_right(remote, path, wanted).await {
            Ok(()) => report.say(Level::Ok, &what, "yes"),
            Err(why) => report.say(Level::Bad, &what, &why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use crate::runbook::load;
    use serde_json::json;

    const RUNBOOK: &str = r#"
format = 1
id = "x"
title = "t"
owner = "o"
needs = ["kubernetes"]
[params.where]
type = "string"
[params.manifest]
type = "string"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "anchor"
title = "T"
do.vault.snapshot_save = { dir = "/a", copy_to = "/b" }
[[phase.step]]
id = "onto-a-fresh-one"
title = "T"
risk = "destructive"
confirm = "it"
undo.none = "n"
do.vault.snapshot_restore = { path = "/a/x.snap", force = true }
[phase.step.verify]
that = 'raft.leader_answers'
[[phase.step.gate]]
that = 'raft.leader_answers'
says = "s"
[[phase.step]]
id = "down"
title = "T"
do.vault.step_down = { node = "a" }
[[phase.step]]
id = "apply"
title = "T"
do.kube.apply = { manifest = "{{ params.manifest }}" }
[[phase.step]]
id = "wait"
title = "T"
do.kube.wait = { pod = "p", namespace = "{{ params.where }}", until = "ready", within = "5s" }
"#;

    /// Whether something is bad, and what was asked: reviews of both servers.
    async fn asked(denied: &'static str) -> (bool, Vec<String>, Vec<String>) {
        let seen = std::sync::Arc::new(std::sync::Mutex::new((Vec::new(), Vec::new())));
        let log = std::sync::Arc::clone(&seen);
        let body = |rest: &str| -> Value {
            let at = rest.find("\n\n").or_else(|| rest.find('{')).unwrap_or(0);
            serde_json::from_str(rest[at..].trim()).unwrap_or_default()
        };
        let api = Responder::start(move |asked, rest| match asked {
            "GET /apis/batch/v1" => Reply::Json(
                200,
                json!({"kind": "APIResourceList", "groupVersion": "batch/v1", "resources": [
                    {"name": "cronjobs", "singularName": "", "namespaced": true,
                     "kind": "CronJob", "verbs": ["get"]}]}),
            ),
            a if a.contains("selfsubjectaccessreviews") => {
                let of = &body(rest)["spec"]["resourceAttributes"];
                let text = |key: &str| of[key].as_str().unwrap_or("-").to_owned();
                let line =
                    [text("verb"), text("group"), text("resource"), text("namespace")].join(" ");
                let allowed = line != denied;
                log.lock().unwrap().0.push(line);
                Reply::Json(201, json!({"spec": {}, "status": {"allowed": allowed}}))
            }
            _ => Reply::Json(404, json!({})),
        })
        .await;
        let log = std::sync::Arc::clone(&seen);
        let vault = Responder::start(move |asked, rest| match asked {
            "GET /v1/sys/leader" => Reply::Json(200, json!({"is_self": true})),
            "POST /v1/sys/capabilities-self" => {
                let path = body(rest)["paths"][0].as_str().unwrap_or_default().to_owned();
                let has = if path == denied {
                    json!(["update"])
                } else {
                    json!(["read", "update", "sudo"])
                };
                log.lock().unwrap().1.push(path.clone());
                Reply::Json(200, json!({ path: has }))
            }
            _ => Reply::Json(404, json!({})),
        })
        .await;
        let remote =
            rig::remote(Some(&api.url), &[("a", &format!("address = {:?}", vault.url))], "").await;
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("m.yaml");
        let text = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: j, namespace: jobs}\n";
        std::fs::write(&manifest, text).unwrap();
        let params = BTreeMap::from([
            ("where".to_owned(), json!("app")),
            ("manifest".to_owned(), json!(manifest)),
        ]);
        let runbook = load(RUNBOOK).unwrap_or_else(|p| panic!("{p:?}")).runbook;
        let mut report = Report::default();
        examine(&remote, &runbook, &params, &mut report).await;
        let (objects, paths) = seen.lock().unwrap().clone();
        (report.bad, objects, paths)
    }

    #[tokio::test]
    async fn rights_are_those_of_the_objects_that_are_touched_and_of_vaults_paths() {
        let (bad, objects, paths) = asked("").await;
        assert!(!bad);
        assert_eq!(
            objects,
            [
                "create batch cronjobs jobs",
                "create coordination.k8s.io leases kube-system",
                "get - pods app",
                "get batch cronjobs jobs",
                "get coordination.k8s.io leases kube-system",
                "patch batch cronjobs jobs",
                "update coordination.k8s.io leases kube-system"
            ]
            .map(|l| l.replace("get - pods", "get  pods"))
        );
        assert_eq!(
            paths,
            [
                "sys/storage/raft/configuration",
                "sys/storage/raft/autopilot/state",
                "sys/step-down",
                "sys/storage/raft/snapshot",
                "sys/storage/raft/snapshot-force"
            ]
        );
        let lease = "update coordination.k8s.io leases kube-system";
        for denied in
            [lease, "patch batch cronjobs jobs", "sys/step-down", "sys/storage/raft/snapshot"]
        {
            assert!(asked(denied).await.0, "{denied}");
        }
    }
}
