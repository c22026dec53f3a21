//! What is no resource: versions, health, and which resources there are.

use super::reply::{self, JSON, TEXT};
use super::{Body, openapi};
use crate::lab::kube::{KINDS, Kind};
use http::{Request, Response, header};
use serde_json::{Value, json};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Subresources that the pods of the lab have besides those of the table.
const OF_PODS: [(&str, &str, &[&str]); 4] = [
    ("eviction", "Eviction", &["create"]),
    ("exec", "PodExecOptions", &["create", "get"]),
    ("log", "Pod", &["get"]),
    ("portforward", "PodPortForwardOptions", &["create", "get"]),
];

pub fn answer(request: &Request<impl Sized>) -> Response<Body> {
    let path = request.uri().path().trim_end_matches('/');
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let aggregated = accept.is_some_and(|a| a.contains("as=APIGroupDiscoveryList"));
    let (kind, body) = match path {
        "/healthz" | "/readyz" | "/livez" => (TEXT, "ok".to_owned()),
        "/version" => (JSON, format!("{:#}", version())),
        "/api" if aggregated => (AGGREGATED, groups_of(&[""]).to_string()),
        "/apis" if aggregated => (AGGREGATED, groups_of(&groups()).to_string()),
        "/api" => (
            JSON,
            json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": []})
            .to_string(),
        ),
        "/apis" => {
            let list: Vec<Value> = groups().iter().map(|g| group(g)).collect();
            (JSON, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list}).to_string())
        }
        path => match resources(path).or_else(|| openapi::document(path)) {
            Some(document) => (JSON, document.to_string()),
            None => return reply::bytes(404, TEXT, "404 page not found\n"),
        },
    };
    reply::bytes(200, kind, body)
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "emulationMajor": "1", "emulationMinor": "34",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "33", "gitVersion": crate::lab::kube::VERSION,
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.24", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// All groups but the core, in the order of the table.
pub fn groups() -> Vec<&'static str> {
    let mut all = vec!["authentication.k8s.io", "authorization.k8s.io"];
    for kind in KINDS.iter().filter(|k| !k.group.is_empty()) {
        if !all.contains(&kind.group) {
            all.push(kind.group);
        }
    }
    all
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

/// Things that can be asked and are not kept.
fn reviews(group: &str) -> Vec<(&'static str, &'static str)> {
    match group {
        "authentication.k8s.io" => vec![("selfsubjectreviews", "SelfSubjectReview")],
        "authorization.k8s.io" => vec![
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
        ],
        _ => Vec::new(),
    }
}

fn subresources(kind: &Kind) -> Vec<(&'static str, Value, Value)> {
    let verbs = json!(["get", "patch", "update"]);
    let mut all: Vec<_> = kind
        .sub
        .iter()
        .map(|&sub| {
            let what = match sub {
                "scale" => json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
                _ => json!({"group": "", "version": "", "kind": kind.kind}),
            };
            (sub, what, verbs.clone())
        })
        .collect();
    if kind.id == "pods" {
        all.extend(OF_PODS.iter().map(|(sub, what, verbs)| {
            (*sub, json!({"group": "", "version": "", "kind": what}), json!(verbs))
        }));
    }
    all
}

fn verbs(kind: &Kind) -> Vec<&'static str> {
    let whole = !matches!(kind.id, "namespaces" | "services");
    VERBS.into_iter().filter(|v| whole || *v != "deletecollection").collect()
}

/// `/api/v1` and `/apis/G/v1`.
fn resources(path: &str) -> Option<Value> {
    let version = path.strip_prefix("/apis/").or_else(|| path.strip_prefix("/api/"))?;
    let group = version.strip_suffix("v1")?.trim_end_matches('/');
    if group.is_empty() != path.starts_with("/api/") {
        return None;
    }
    let mut list: Vec<Value> = reviews(group)
        .iter()
        .map(|(name, kind)| {
            json!({"name": name, "singularName": kind.to_lowercase(),
            "namespaced": false, "kind": kind, "verbs": ["create"]})
        })
        .collect();
    for kind in KINDS.iter().filter(|k| k.group == group) {
        let mut one = json!({"name": kind.plural, "singularName": kind.singular,
            "namespaced": kind.namespaced, "kind": kind.kind, "verbs": verbs(kind)});
        if !kind.short.is_empty() {
            one["shortNames"] = json!(kind.short);
        }
        if in_all(kind) {
            one["categories"] = json!(["all"]);
        }
        list.push(one);
        for (sub, what, verbs) in subresources(kind) {
            let mut one = json!({"name": format!("{}/{sub}", kind.plural), "singularName": "",
                "namespaced": kind.namespaced, "kind": what["kind"], "verbs": verbs});
            if sub == "scale" {
                one["group"] = what["group"].clone();
                one["version"] = what["version"].clone();
            }
            list.push(one);
        }
    }
    if list.is_empty() {
        return None;
    }
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
        "resources": list}))
}

fn in_all(kind: &Kind) -> bool {
    matches!(kind.plural, "pods" | "services" | "statefulsets" | "deployments" | "replicasets")
        || matches!(kind.plural, "cronjobs" | "jobs")
}

/// Everything at once, as kubectl asks.
fn groups_of(names: &[&str]) -> Value {
    let item = |name: &&str| {
        let reviews = reviews(name).into_iter().map(|(plural, kind)| {
            json!({"resource": plural, "scope": "Cluster", "verbs": ["create"],
                "singularResource": kind.to_lowercase(),
                "responseKind": {"group": "", "version": "", "kind": kind}})
        });
        let kinds = KINDS.iter().filter(|k| k.group == *name).map(aggregated);
        let resources: Vec<Value> = reviews.chain(kinds).collect();
        let metadata = if name.is_empty() { json!({}) } else { json!({ "name": name }) };
        json!({"metadata": metadata, "versions": [
            {"version": "v1", "resources": resources, "freshness": "Current"}]})
    };
    let items: Vec<Value> = names.iter().map(item).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items})
}

fn aggregated(kind: &Kind) -> Value {
    let mut one = json!({
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular, "verbs": verbs(kind),
    });
    if !kind.short.is_empty() {
        one["shortNames"] = json!(kind.short);
    }
    if in_all(kind) {
        one["categories"] = json!(["all"]);
    }
    let subs: Vec<Value> = subresources(kind)
        .into_iter()
        .map(|(sub, what, verbs)| json!({"subresource": sub, "responseKind": what, "verbs": verbs}))
        .collect();
    if !subs.is_empty() {
        one["subresources"] = json!(subs);
    }
    one
}
