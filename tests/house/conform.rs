//! The conformance cases on the lab, in this process and in a time of its own.

use crate::conformance::{Act, Servers, User, run};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use holdpoint::event::Time;
use holdpoint::lab::kube::{Rule, api, service};
use holdpoint::lab::{Lab, World, clock, kube, site, vault};
use std::rc::Rc;
use std::time::Duration;

/// Cases that the lab fails on purpose, and why. `docs/lab.md` lists the same.
const DIFFERENCES: [(&str, &str); 1] = [(
    "a_patch_that_is_invalid",
    "what is wrong with a value of a wrong type is said in the words of another decoder",
)];

struct Simulated(Lab);

fn name(n: usize) -> String {
    format!("vault-{n}")
}

fn user(user: &User) -> Option<kube::User> {
    let all = |verbs: &[&str], namespace: Option<&String>| {
        let mut rule = Rule::new(verbs, &["*"], &["*"]);
        rule.namespaces.extend(namespace.cloned());
        vec![rule]
    };
    let somebody = |name: &str, group: &str, rules| kube::User {
        name: name.to_owned(),
        groups: vec![group.to_owned(), "system:authenticated".to_owned()],
        rules,
    };
    match user {
        User::Admin => Some(kube::User::admin()),
        User::Reader => {
            let mut rules = all(&["get", "list", "watch"], None);
            let by =
                "ClusterRoleBinding \"readers\" of ClusterRole \"readers\" to Group \"readers\"";
            rules[0].by = Some(by.into());
            Some(somebody("limited", "readers", rules))
        }
        User::Only(namespace) => {
            let rules = all(&["*"], Some(namespace));
            Some(somebody(&format!("only-{namespace}"), "system:authenticated", rules))
        }
        User::Stranger => None,
    }
}

impl Servers for Simulated {
    fn kube<'a>(&'a self, who: &'a User) -> LocalBoxFuture<'a, ::kube::Client> {
        let client = match user(who) {
            Some(user) => service::client_as(&self.0, user),
            None => {
                let answer = async |_| Ok::<_, std::convert::Infallible>(api::unauthorized());
                let nobody = tower::service_fn(move |request| answer(request).boxed());
                ::kube::Client::new(nobody, "default")
            }
        };
        std::future::ready(client).boxed_local()
    }

    fn voter(&self, n: usize) -> String {
        self.0.with(|world| world.vault.voters[&name(n)].api.clone())
    }

    fn send(
        &self,
        n: usize,
        request: http::Request<Vec<u8>>,
    ) -> LocalBoxFuture<'_, Result<http::Response<Vec<u8>>, String>> {
        async move {
            let (mut head, body) = request.into_parts();
            // A server sees a path, not the whole address.
            head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
            let request = http::Request::from_parts(head, body.into());
            let answer = vault::answer(&self.0, &name(n), request).await;
            answer.map(|a| a.map(|body| body.to_vec())).map_err(|e| e.to_string())
        }
        .boxed_local()
    }

    fn root_token(&self) -> String {
        vault::ROOT_TOKEN.to_owned()
    }

    fn at_once(&self) -> usize {
        // Waiting costs nothing here, and so the same happens every time.
        1
    }

    fn wait(&self, how_long: Duration) -> LocalBoxFuture<'_, ()> {
        tokio::time::sleep(how_long).boxed_local()
    }

    fn act(&self, act: Act) -> LocalBoxFuture<'_, ()> {
        self.0.with(|world| match act {
            Act::Stop(n) => vault::fault_at(world, vault::LEADER_STOPPED, &name(n), true),
            Act::Continue(n) => vault::fault_at(world, vault::LEADER_STOPPED, &name(n), false),
            Act::Hang(n) => vault::fault_at(world, vault::LEADER_HUNG, &name(n), true),
            Act::Heal(n) => vault::fault_at(world, vault::LEADER_HUNG, &name(n), false),
            Act::Unsealer(on) => vault::fault(world, vault::SIDECAR_STUCK, !on),
            Act::Forget => world.store.compact(),
        });
        std::future::ready(()).boxed_local()
    }
}

/// The lab's own site, with its nodes named as in the cases. Pods of cases get a node and are
/// ended, and nobody but the case reports how they are.
fn lab() -> Lab {
    let start = Time(1_777_150_800_000);
    let text = serde_json::to_string(&site::world(1, start)).unwrap();
    let mut world: World = serde_json::from_str(&text.replace("k8s-", "node-")).unwrap();
    world.control.runs_only = Some("vault".into());
    let lab = Lab::new(world, clock(start));
    let driven = lab.clone();
    tokio::spawn(async move { driven.drive().await });
    lab
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn the_lab_passes_the_conformance_cases() {
    let filter = std::env::var("HOLDPOINT_CASES").unwrap_or_default();
    let (table, failed) = run::all(Rc::new(Simulated(lab())), &filter).await;
    println!("{table}");
    let is = |why: &str, case: &str| {
        why.lines().next().is_some_and(|title| title.ends_with(&format!(": {case}")))
    };
    let listed = |why: &str| DIFFERENCES.iter().any(|(case, _)| is(why, case));
    let unlisted: Vec<_> = failed.iter().filter(|why| !listed(why)).cloned().collect();
    assert!(unlisted.is_empty(), "{} failed\n\n{}", unlisted.len(), unlisted.join("\n"));
    for (case, _) in DIFFERENCES.iter().filter(|_| filter.is_empty()) {
        assert!(failed.iter().any(|why| is(why, case)), "{case} differs no more: take it off");
    }
}

#[test]
fn every_difference_is_in_the_documentation() {
    let page = include_str!("../../docs/lab.md");
    assert!(DIFFERENCES.len() <= 5);
    for (case, why) in DIFFERENCES {
        assert!(page.contains(case) && page.contains(why), "docs/lab.md lacks {case}: {why}");
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_lab_tells_its_clock_and_what_goes_wrong() {
    let lab = lab();
    lab.with(|world| vault::fault(world, vault::LEADER_HUNG, true));
    tokio::time::sleep(Duration::from_secs(90)).await;
    let request = http::Request::get("/lab").body(Vec::new()).unwrap();
    let told = kube::client(&lab).request::<serde_json::Value>(request).await.unwrap();
    let now = lab.with(|world| world.now.to_string());
    let wanted =
        serde_json::json!({"lab": true, "now": now, "faults": ["hung-leader"], "deeds": []});
    assert_eq!(told, wanted);
    // A request that changed something is remembered; one that only might have is not.
    let namespace = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}"#;
    for path in ["/api/v1/namespaces?dryRun=All", "/api/v1/namespaces"] {
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(namespace.as_bytes().to_vec())
            .unwrap();
        kube::client(&lab).request::<serde_json::Value>(request).await.unwrap();
    }
    let request = http::Request::get("/lab").body(Vec::new()).unwrap();
    let told = kube::client(&lab).request::<serde_json::Value>(request).await.unwrap();
    assert_eq!(told["deeds"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["deeds"][0]["what"], "POST /api/v1/namespaces");
}
