//! Lists, types, and a world on paper.

use super::tests::{MAPS, START, ask, ask_as, lab, message, with_namespace};
use crate::event::Time;
use crate::lab::kube::service;
use crate::lab::{Lab, World};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn pages_belong_together() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    for name in ["a", "b", "c"] {
        ask(&client, Method::POST, MAPS, &json!({"metadata": {"name": name}})).await;
    }
    let (_, first) = ask(&client, Method::GET, &format!("{MAPS}?limit=2"), &Value::Null).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    ask(&client, Method::DELETE, &format!("{MAPS}/c"), &Value::Null).await;
    let more = first["metadata"]["continue"].as_str().unwrap();
    let path = format!("{MAPS}?limit=2&continue={more}");
    let (_, second) = ask(&client, Method::GET, &path, &Value::Null).await;
    assert_eq!(second["items"][0]["metadata"]["name"], "c");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    lab.with(|world| world.store.compact());
    let (code, gone) = ask(&client, Method::GET, &path, &Value::Null).await;
    assert_eq!((code, &gone["reason"]), (410, &json!("Expired")));
    let again = gone["metadata"]["continue"].as_str().unwrap();
    let (code, rest) =
        ask(&client, Method::GET, &format!("{MAPS}?continue={again}"), &Value::Null).await;
    assert_eq!((code, &rest["items"]), (200, &json!([])));
}

#[tokio::test(start_paused = true)]
async fn types_are_checked_and_unknown_fields_told() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    let sets = "/apis/apps/v1/namespaces/c1/statefulsets";
    let set = |replicas: Value, extra: Value| {
        json!({"metadata": {"name": "s"}, "spec": {"serviceName": "v", "replicas": replicas,
        "selector": {"matchLabels": {"app": "v"}}, "template": {"metadata": {"labels": {"app": "v"}},
        "spec": {"containers": [{"name": "c", "image": "i:1", "portz": extra}]}}}})
    };
    let (code, said) = ask(&client, Method::POST, sets, &set(json!("3"), Value::Null)).await;
    assert_eq!((code, &said["reason"]), (400, &json!("BadRequest")), "{said}");
    let strict = format!("{sets}?fieldValidation=Strict");
    let (code, said) = ask(&client, Method::POST, &strict, &set(json!(3), json!(1))).await;
    let words = "StatefulSet in version \"v1\" cannot be handled as a StatefulSet: strict decoding error: unknown field \"spec.template.spec.containers[0].portz\"";
    assert_eq!((code, message(&said)), (400, words));
    let (code, made) = ask(&client, Method::POST, sets, &set(json!(3), json!(1))).await;
    assert_eq!(code, 201);
    assert!(made["spec"]["template"]["spec"]["containers"][0]["portz"].is_null());
    ask(&client, Method::POST, MAPS, &json!({"metadata": {"name": "m"}})).await;
    let (merge, path) = ("application/merge-patch+json", format!("{MAPS}/m"));
    let (code, said) =
        ask_as(&client, Method::PATCH, &path, merge, &json!({"data": {"a": 1}})).await;
    assert_eq!(
        (code, message(&said).starts_with(" \"\" is invalid: patch: Invalid value: ")),
        (422, true)
    );
}

/// A world that is written down and read back answers the same.
#[tokio::test(start_paused = true)]
async fn a_world_can_be_written_down() {
    let lab = lab();
    let client = with_namespace(&lab).await;
    ask(&client, Method::POST, MAPS, &json!({"metadata": {"name": "m"}, "data": {"a": "1"}})).await;
    let text = lab.with(|world| serde_json::to_string(world).unwrap());
    let world: World = serde_json::from_str(&text).unwrap();
    let again = Lab::new(world, Arc::new(|| Time(START)));
    let client_again = service::client(&again);
    let (_, one) = ask(&client, Method::GET, MAPS, &Value::Null).await;
    let (_, two) = ask(&client_again, Method::GET, MAPS, &Value::Null).await;
    assert_eq!(one, two);
}
