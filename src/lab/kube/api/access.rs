//! Rights: checked, and told to who asks.

use super::call::{self, Call};
use super::error::Refusal;
use super::remove;
use crate::lab::kube::{Act, User};
use crate::lab::{Lab, World};
use bytes::Bytes;
use http::{Request, header};
use serde_json::{Value, json};

/// Whether the call may be made.
pub fn check(world: &World, call: &Call) -> Result<(), Refusal> {
    let (kind, verb) = (call.place.kind, call.verb());
    let sub = call.place.sub.as_str();
    let resource =
        if sub.is_empty() { kind.plural.to_owned() } else { format!("{}/{sub}", kind.plural) };
    let hidden = |unseen: &crate::lab::Unseen| {
        matches!(verb, "get" | "list" | "watch")
            && unseen.hides(kind, &call.place.namespace, call.name())
    };
    if world.unseen.as_ref().is_some_and(hidden) {
        let why = "the survey that this lab was made of does not hold it, so nobody knows; \
                   name its namespace with --namespace, or the Secret in the site file, and take \
                   another";
        return Err(Refusal::forbidden(kind.group, kind.plural, call.name(), why));
    }
    // A namespace lies in itself.
    let namespace = if kind.id == "namespaces" { call.name() } else { &call.place.namespace };
    let act = Act { verb, group: kind.group, resource: &resource, namespace };
    if call.user.may(&act) && !remove::withheld(world, verb, &resource) {
        return Ok(());
    }
    let place = match namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let why = format!(
        "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {place}",
        call.user.name, kind.group
    );
    Err(Refusal::forbidden(kind.group, kind.plural, call.name(), &why))
}

/// Answers a review.
pub fn review(
    lab: &Lab,
    user: &User,
    plural: &str,
    request: &Request<Bytes>,
) -> Result<Value, Refusal> {
    if user.name == "system:anonymous" {
        let why = format!(
            "User \"system:anonymous\" cannot create resource \"{plural}\" in API group \"authorization.k8s.io\" at the cluster scope"
        );
        return Err(Refusal::forbidden("authorization.k8s.io", plural, "", &why));
    }
    let content = call::header(request.headers(), header::CONTENT_TYPE);
    let body = call::parse(content, request.body()).map_err(|e| Refusal::bad(&e))?;
    let (group, kind, spec) = match plural {
        "selfsubjectaccessreviews" => ("authorization.k8s.io/v1", "SelfSubjectAccessReview", true),
        "subjectaccessreviews" => ("authorization.k8s.io/v1", "SubjectAccessReview", true),
        "selfsubjectrulesreviews" => ("authorization.k8s.io/v1", "SelfSubjectRulesReview", false),
        _ => ("authentication.k8s.io/v1", "SelfSubjectReview", false),
    };
    let mut review = json!({"kind": kind, "apiVersion": group, "metadata": {}});
    if spec {
        review["spec"] = body["spec"].clone();
        review["status"] = lab.with(|world| allowed(world, user, &body["spec"]));
    } else if kind == "SelfSubjectRulesReview" {
        review["spec"] = json!({});
        review["status"] = rules(user, body["spec"]["namespace"].as_str().unwrap_or_default());
    } else {
        let at = lab.with(|world| crate::lab::kube::store::stamp(world.now));
        review["metadata"]["creationTimestamp"] = json!(at);
        review["status"] = json!({"userInfo": {
            "username": user.name, "uid": user.name, "groups": user.groups,
        }});
    }
    Ok(review)
}

fn allowed(world: &World, user: &User, spec: &Value) -> Value {
    let asked = &spec["resourceAttributes"];
    if asked.is_null() {
        // Paths that are no resources are open to everyone who is known.
        return json!({"allowed": true});
    }
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        sub => format!("{}/{sub}", text("resource")),
    };
    let act = Act {
        verb: text("verb"),
        group: text("group"),
        resource: &resource,
        namespace: text("namespace"),
    };
    let may = user.may(&act) && !remove::withheld(world, act.verb, act.resource);
    let mut status = json!({"allowed": may});
    if let Some(by) = user.grants(&act).and_then(|rule| rule.by.as_ref()).filter(|_| may) {
        status["reason"] = json!(format!("RBAC: allowed by {by}"));
    }
    status
}

fn rules(user: &User, namespace: &str) -> Value {
    let here = |list: &[String]| list.is_empty() || list.iter().any(|n| n == namespace || n == "*");
    let mut list: Vec<Value> = user
        .rules
        .iter()
        .filter(|rule| here(&rule.namespaces))
        .map(|r| json!({"verbs": r.verbs, "apiGroups": r.groups, "resources": r.resources}))
        .collect();
    list.push(json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}));
    list.push(json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"]}));
    let paths = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    json!({
        "resourceRules": list,
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": paths}],
        "incomplete": false,
    })
}
