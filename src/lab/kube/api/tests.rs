//! The API through the real client.

use crate::event::Time;
use crate::lab::kube::service;
use crate::lab::{Lab, World};
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const START: i64 = 1_767_225_600_000;

/// A lab with a namespace, by a clock that follows tokio's.
pub(super) fn lab() -> Lab {
    let start = tokio::time::Instant::now();
    let clock = move || {
        let passed = start.elapsed().as_millis();
        Time(START + i64::try_from(passed).unwrap())
    };
    Lab::new(World::new(1, Time(START)), Arc::new(clock))
}

/// Asks as someone who may everything; the code and the body.
pub(super) async fn ask(
    client: &kube::Client,
    method: Method,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    ask_as(client, method, path, "application/json", body).await
}

pub(super) async fn ask_as(
    client: &kube::Client,
    method: Method,
    path: &str,
    content: &str,
    body: &Value,
) -> (u16, Value) {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content)
        .header("user-agent", "test/1")
        .body(kube::client::Body::from(bytes))
        .unwrap();
    let response = client.send(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes: Bytes = response.into_body().collect_bytes().await.unwrap();
    let body =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    (code, body)
}

pub(super) async fn with_namespace(lab: &Lab) -> kube::Client {
    let client = service::client(lab);
    let body = json!({"metadata": {"name": "c1"}});
    let (code, _) = ask(&client, Method::POST, "/api/v1/namespaces", &body).await;
    assert_eq!(code, 201);
    client
}

pub(super) const MAPS: &str = "/api/v1/namespaces/c1/configmaps";

pub(super) fn message(body: &Value) -> &str {
    body["message"].as_str().unwrap_or_default()
}

/// Recorded answers of the real server to the same requests.
#[tokio::test(start_paused = true)]
async fn refusals_are_the_real_servers() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let cm = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "1"}});
    assert_eq!(ask(&client, Method::POST, MAPS, &cm).await.0, 201);
    let named =
        |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let with = |name: &str, field: &str, value: Value| {
        let mut object = named(name);
        object["metadata"][field] = value;
        object
    };
    let uid = json!("00000000-0000-0000-0000-000000000000");
    for (method, path, body, code, reason, said) in [
        (
            Method::GET,
            "/api/v1/namespaces/c1/pods/none".to_owned(),
            Value::Null,
            404,
            "NotFound",
            "pods \"none\" not found",
        ),
        (
            Method::GET,
            "/apis/apps/v1/namespaces/c1/statefulsets/none".into(),
            Value::Null,
            404,
            "NotFound",
            "statefulsets.apps \"none\" not found",
        ),
        (
            Method::GET,
            "/api/v1/nosuch".into(),
            Value::Null,
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            Method::POST,
            MAPS.into(),
            cm.clone(),
            409,
            "AlreadyExists",
            "configmaps \"cm\" already exists",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/none/configmaps".into(),
            named("x"),
            404,
            "NotFound",
            "namespaces \"none\" not found",
        ),
        (
            Method::POST,
            MAPS.into(),
            with("x", "namespace", json!("other")),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            Method::POST,
            MAPS.into(),
            json!({"metadata": {}}),
            422,
            "Invalid",
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (
            Method::POST,
            MAPS.into(),
            with("x", "resourceVersion", json!("5")),
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ),
        (
            Method::POST,
            format!("{MAPS}?dryRun=Some"),
            named("x"),
            422,
            "Invalid",
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
        ),
        (
            Method::PUT,
            format!("{MAPS}/cm"),
            with("cm", "resourceVersion", json!("1")),
            409,
            "Conflict",
            "Operation cannot be fulfilled on configmaps \"cm\": the object has been modified; please apply your changes to the latest version and try again",
        ),
        (
            Method::PUT,
            format!("{MAPS}/cm"),
            named("other"),
            400,
            "BadRequest",
            "the name of the object (other) does not match the name on the URL (cm)",
        ),
        (
            Method::DELETE,
            format!("{MAPS}/cm"),
            json!({"preconditions": {"resourceVersion": "1"}}),
            409,
            "Conflict",
            "",
        ),
        (
            Method::DELETE,
            format!("{MAPS}/cm"),
            json!({"preconditions": {"uid": uid}}),
            409,
            "Conflict",
            "",
        ),
        (Method::GET, format!("{MAPS}?resourceVersion=99999999"), Value::Null, 504, "Timeout", ""),
        (
            Method::GET,
            format!("{MAPS}?resourceVersionMatch=Exact"),
            Value::Null,
            422,
            "Invalid",
            "",
        ),
        (Method::GET, format!("{MAPS}?limit=2&continue=abc"), Value::Null, 400, "BadRequest", ""),
        (
            Method::GET,
            format!("{MAPS}?watch=true&sendInitialEvents=true"),
            Value::Null,
            422,
            "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    ] {
        let (is, answer) = ask(&client, method.clone(), &path, &body).await;
        assert_eq!(is, code, "{method} {path} {answer}");
        assert_eq!(answer["reason"].as_str().unwrap_or(""), reason, "{method} {path}");
        assert_eq!(answer["code"], json!(code));
        if !said.is_empty() {
            assert_eq!(message(&answer), said);
        }
    }
    let (_, answer) = ask(&client, Method::DELETE, &format!("{MAPS}/cm"), &Value::Null).await;
    assert_eq!(answer["status"], "Success");
    assert_eq!(answer["details"]["kind"], "configmaps");
}

#[tokio::test(start_paused = true)]
async fn patches_do_what_the_real_server_did() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let object = json!({"metadata": {"name": "pm", "finalizers": ["example.net/one", "example.net/two"]}, "data": {"a": "1", "b": "2"}});
    ask(&client, Method::POST, MAPS, &object).await;
    let path = format!("{MAPS}/pm");
    let merge = "application/merge-patch+json";
    let patch = |content: &'static str, body: Value| {
        let (client, path) = (client.clone(), path.clone());
        async move { ask_as(&client, Method::PATCH, &path, content, &body).await }
    };
    let (code, first) = patch(merge, json!({"data": {"a": null, "c": "3"}})).await;
    assert_eq!((code, &first["data"]), (200, &json!({"b": "2", "c": "3"})));
    let (_, again) = patch(merge, json!({"data": {"c": "3"}})).await;
    assert_eq!(again["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let jsonp = "application/json-patch+json";
    let (code, said) = patch(jsonp, json!([{"op": "test", "path": "/data/b", "value": "x"}])).await;
    assert_eq!(
        (code, message(&said)),
        (422, "the server rejected our request due to an error in our request")
    );
    assert_eq!(patch(jsonp, json!({})).await.0, 400);
    assert_eq!(patch("application/json", json!({})).await.0, 415);
    let (code, said) = patch(merge, json!({"metadata": {"uid": "x"}})).await;
    assert_eq!(
        (code, message(&said)),
        (
            422,
            "ConfigMap \"pm\" is invalid: metadata.uid: Invalid value: \"x\": field is immutable"
        )
    );
    assert_eq!(said["details"]["causes"].as_array().unwrap().len(), 2);
    let (_, one) = patch(
        jsonp,
        json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": "example.net/one"},
        {"op": "remove", "path": "/metadata/finalizers/0"}]),
    )
    .await;
    assert_eq!(one["metadata"]["finalizers"], json!(["example.net/two"]));
    let (code, marked) = ask(&client, Method::DELETE, &path, &Value::Null).await;
    assert_eq!((code, marked["metadata"]["deletionGracePeriodSeconds"].as_i64()), (200, Some(0)));
    let (code, said) =
        patch(merge, json!({"metadata": {"finalizers": ["example.net/two", "example.net/three"]}}))
            .await;
    assert_eq!(
        (code, message(&said)),
        (
            422,
            "ConfigMap \"pm\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.net/three\"}"
        )
    );
    let (code, last) = patch(merge, json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(
        (code, &last["metadata"]["resourceVersion"]),
        (200, &marked["metadata"]["resourceVersion"])
    );
    assert_eq!(ask(&client, Method::GET, &path, &Value::Null).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn applies_know_whose_a_field_is() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let apply = |manager: &str, force: bool, data: Value| {
        let client = client.clone();
        let path =
            format!("{MAPS}/ap?fieldManager={manager}{}", if force { "&force=true" } else { "" });
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ap"}, "data": data});
        async move { ask_as(&client, Method::PATCH, &path, "application/apply-patch+yaml", &body).await }
    };
    let (code, created) = apply("one", false, json!({"a": "1"})).await;
    assert_eq!(code, 201);
    let fields = &created["metadata"]["managedFields"];
    assert_eq!(fields[0]["fieldsV1"], json!({"f:data": {"f:a": {}}}));
    let (code, same) = apply("one", false, json!({"a": "1"})).await;
    assert_eq!(
        (code, &same["metadata"]["resourceVersion"]),
        (200, &created["metadata"]["resourceVersion"])
    );
    let (code, conflict) = apply("two", false, json!({"a": "2"})).await;
    assert_eq!(
        (code, message(&conflict)),
        (409, "Apply failed with 1 conflict: conflict with \"one\": .data.a")
    );
    assert_eq!(conflict["details"]["causes"][0]["reason"], "FieldManagerConflict");
    let (code, forced) = apply("two", true, json!({"a": "2"})).await;
    assert_eq!((code, &forced["data"]), (200, &json!({"a": "2"})));
    assert_eq!(forced["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    let (_, both) = apply("one", false, json!({"b": "9"})).await;
    assert_eq!(both["data"], json!({"a": "2", "b": "9"}));
    let (_, less) = apply("one", false, json!({})).await;
    assert_eq!(less["data"], json!({"a": "2"}));
    let path = format!("{MAPS}/ap?fieldManager=hand");
    ask_as(
        &client,
        Method::PATCH,
        &path,
        "application/merge-patch+json",
        &json!({"data": {"a": "3"}}),
    )
    .await;
    let (code, conflict) = apply("two", false, json!({"a": "2"})).await;
    assert_eq!(
        (code, message(&conflict)),
        (409, "Apply failed with 1 conflict: conflict with \"hand\" using v1: .data.a")
    );
}

#[tokio::test(start_paused = true)]
async fn a_statefulset_keeps_its_claim_templates() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let set = json!({"metadata": {"name": "vault"}, "spec": {"serviceName": "v",
        "selector": {"matchLabels": {"app": "v"}},
        "template": {"metadata": {"labels": {"app": "v"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "2Gi"}}, "storageClassName": "a"}}]}});
    let all = "/apis/apps/v1/namespaces/c1/statefulsets";
    let (code, made) = ask(&client, Method::POST, all, &set).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
    let path = format!("{all}/vault");
    let patch = json!({"spec": {"volumeClaimTemplates": []}});
    let (code, said) =
        ask_as(&client, Method::PATCH, &path, "application/merge-patch+json", &patch).await;
    assert_eq!(
        (code, message(&said)),
        (
            422,
            "StatefulSet.apps \"vault\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
        )
    );
    let patch = json!({"spec": {"replicas": 2}});
    let scale = format!("{path}/scale");
    let (code, scaled) =
        ask_as(&client, Method::PATCH, &scale, "application/merge-patch+json", &patch).await;
    assert_eq!(
        (code, &scaled["kind"], &scaled["spec"]["replicas"]),
        (200, &json!("Scale"), &json!(2))
    );
    let status = json!({"status": {"readyReplicas": 1}, "spec": {"replicas": 9}});
    let merge = "application/merge-patch+json";
    let (_, main) =
        ask_as(&client, Method::PATCH, &path, merge, &json!({"status": {"readyReplicas": 1}}))
            .await;
    assert!(main["status"]["readyReplicas"].is_null());
    let (_, sub) = ask_as(&client, Method::PATCH, &format!("{path}/status"), merge, &status).await;
    assert_eq!((&sub["status"]["readyReplicas"], &sub["spec"]["replicas"]), (&json!(1), &json!(2)));
    assert_eq!(sub["metadata"]["generation"], 2);
}
