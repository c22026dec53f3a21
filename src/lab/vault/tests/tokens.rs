use super::*;

async fn with(
    lab: &Lab,
    token: Option<&str>,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, Value) {
    let reply = whole(lab, "vault-1", request(method, path, token, body)).await.unwrap().unwrap();
    (reply.status().as_u16(), serde_json::from_slice(reply.body()).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn tokens_are_known_limited_and_end() {
    let lab = lab(30);
    let (code, body) = with(&lab, None, "GET", "sys/ha-status", "").await;
    assert_eq!((code, body["errors"][0].as_str()), (403, Some("permission denied")));
    let (code, body) = with(&lab, Some("hvs.other"), "GET", "sys/ha-status", "").await;
    assert_eq!(code, 403);
    assert!(body["errors"][0].as_str().unwrap().contains("invalid token"));
    let (code, body) = with(&lab, Some(ROOT_TOKEN), "GET", "auth/token/lookup-self", "").await;
    assert_eq!(
        (code, body["data"]["ttl"].as_u64(), &body["data"]["expire_time"]),
        (200, Some(0), &Value::Null)
    );
    let (_, body) = with(&lab, Some(OPERATOR_TOKEN), "GET", "auth/token/lookup-self", "").await;
    assert_eq!(body["data"]["ttl"], 32 * 86_400);
    for (path, wanted) in [("sys/audit", 403), ("sys/ha-status", 200), ("kv/data/shop/mail", 200)] {
        assert_eq!(with(&lab, Some(OPERATOR_TOKEN), "GET", path, "").await.0, wanted, "{path}");
    }
    let paths = r#"{"paths":["sys/step-down","sys/seal"]}"#;
    let (_, body) = with(&lab, Some(OPERATOR_TOKEN), "POST", "sys/capabilities-self", paths).await;
    assert_eq!(body["sys/step-down"], serde_json::json!(["sudo", "update"]));
    assert_eq!(body["data"]["sys/seal"], serde_json::json!(["deny"]));
    let wish = r#"{"ttl":"1m","policies":["operator"]}"#;
    let (_, body) = with(&lab, Some(ROOT_TOKEN), "POST", "auth/token/create", wish).await;
    let short = body["auth"]["client_token"].as_str().unwrap().to_owned();
    seconds(50).await;
    assert_eq!(with(&lab, Some(&short), "POST", "auth/token/renew-self", "").await.0, 200);
    seconds(50).await;
    assert_eq!(with(&lab, Some(&short), "GET", "auth/token/lookup-self", "").await.0, 200);
    seconds(20).await;
    assert_eq!(with(&lab, Some(&short), "GET", "auth/token/lookup-self", "").await.0, 403);
    assert_eq!(with(&lab, Some(ROOT_TOKEN), "POST", "auth/token/renew-self", "").await.0, 400);
    lab.with(|world| fault(world, TOKEN_EXPIRES, true));
    assert_eq!(with(&lab, Some(ROOT_TOKEN), "GET", "auth/token/lookup-self", "").await.0, 403);
}

#[tokio::test(start_paused = true)]
async fn secrets_have_versions_where_the_engine_has() {
    let lab = lab(31);
    let root = Some(ROOT_TOKEN);
    let one = r#"{"data":{"a":"1"}}"#;
    for (method, path, body, wanted) in [
        ("PUT", "kv/data/app/x", one, 200),
        ("PUT", "kv/data/app/x", r#"{"data":{"a":"2"},"options":{"cas":0}}"#, 400),
        ("PUT", "kv/data/app/x", r#"{"data":{"a":"2"},"options":{"cas":1}}"#, 200),
        ("PUT", "kv/data/app/x", "x", 400),
        ("GET", "kv/data/app/x?version=7", "", 404),
        ("GET", "kv/data/none", "", 404),
        ("LIST", "kv/metadata/app", "", 200),
        ("GET", "kv/metadata/app?list=true", "", 200),
        ("LIST", "kv/metadata/none", "", 404),
        ("GET", "kv/metadata/app/x", "", 200),
        ("GET", "kv/app/x", "", 404),
        ("PUT", "secret/a/b", r#"{"x":"y"}"#, 204),
        ("GET", "secret/a/b", "", 200),
        ("LIST", "secret/", "", 200),
        ("DELETE", "secret/a/b", "", 204),
        ("GET", "secret/a/b", "", 404),
        ("POST", "sys/mounts/more", r#"{"type":"kv-v2"}"#, 204),
        ("POST", "sys/mounts/more", r#"{"type":"kv"}"#, 400),
        ("GET", "sys/internal/ui/mounts/kv/app/x", "", 200),
        ("GET", "sys/internal/ui/mounts/nosuch/x", "", 403),
    ] {
        let (code, said) = with(&lab, root, method, path, body).await;
        assert_eq!(code, wanted, "{method} {path} {said}");
    }
    let (_, said) = with(&lab, root, "GET", "kv/data/app/x?version=1", "").await;
    assert_eq!(said["data"]["data"]["a"], "1");
    let (_, said) = with(&lab, root, "LIST", "secret", "").await;
    assert_eq!(said["data"]["keys"], serde_json::json!(["registry"]));
    assert_eq!(with(&lab, root, "DELETE", "kv/data/app/x", "").await.0, 204);
    let (code, said) = with(&lab, root, "GET", "kv/data/app/x", "").await;
    assert_eq!((code, &said["data"]["data"]), (404, &Value::Null));
    assert_ne!(said["data"]["metadata"]["deletion_time"], "");
    with(&lab, root, "POST", "kv/undelete/app/x", r#"{"versions":[2]}"#).await;
    let (code, said) = with(&lab, root, "GET", "kv/data/app/x", "").await;
    assert_eq!((code, said["data"]["data"]["a"].as_str()), (200, Some("2")));
}
