use super::*;

#[tokio::test(start_paused = true)]
async fn health_says_by_its_code_what_a_voter_is() {
    let lab = lab(1);
    for (path, active, standby) in [
        ("sys/health", 200, 429),
        ("sys/health?standbyok=true", 200, 200),
        ("sys/health?perfstandbyok=true", 200, 429),
        ("sys/health?standbycode=298&activecode=297", 297, 298),
        ("sys/health?standbycode=abc", 400, 400),
    ] {
        assert_eq!(code(&lab, "vault-2", path).await, active, "{path}");
        assert_eq!(code(&lab, "vault-0", path).await, standby, "{path}");
        let head = request("HEAD", path, None, "");
        let head = whole(&lab, "vault-0", head).await.unwrap().unwrap();
        assert_eq!((head.status().as_u16(), head.body().len()), (standby, 0));
    }
    let (_, body) = get(&lab, "vault-0", "sys/health").await;
    assert_eq!(body["standby"], true);
    assert_eq!(body["replication_dr_mode"], "disabled");
    assert_eq!(body["server_time_utc"], 1_777_133_880);
    let (_, seal) = get(&lab, "vault-0", "sys/seal-status").await;
    assert_eq!(body["cluster_id"], seal["cluster_id"]);
    assert_eq!((seal["t"].as_u64(), seal["sealed"].as_bool()), (Some(1), Some(false)));
}

#[tokio::test(start_paused = true)]
async fn a_sealed_voter_says_so_and_nothing_else() {
    let lab = lab(2);
    lab.with(|world| {
        fault(world, SIDECAR_STUCK, true);
        stopped(world, "vault-0");
        started(world, "vault-0", "disk-0");
    });
    for (path, wanted) in [
        ("sys/health", 503),
        ("sys/health?standbyok=true", 503),
        ("sys/health?sealedcode=299", 299),
        ("sys/leader", 503),
        ("sys/seal-status", 200),
        ("sys/init", 200),
        ("sys/ha-status", 503),
        ("kv/data/shop/mail", 503),
        ("nosuch", 503),
    ] {
        assert_eq!(code(&lab, "vault-0", path).await, wanted, "{path}");
    }
    let (_, body) = get(&lab, "vault-0", "sys/leader").await;
    assert_eq!(body, serde_json::json!({"errors": ["Vault is sealed"]}));
    let (_, body) = get(&lab, "vault-0", "sys/seal-status").await;
    assert_eq!((body["sealed"].as_bool(), body.get("cluster_id")), (Some(true), None));
    assert!(lab.with(|world| !ready(world, "vault-0") && ready(world, "vault-1")));
    for (key, wanted, says) in [
        ("{}", 400, "'key' must be specified"),
        (r#"{"key":"AAAA"}"#, 400, "shorter than minimum 16 bytes"),
        (r#"{"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#, 400, "message auth"),
        (r#"{"key":"no key"}"#, 400, "valid hex or base64"),
    ] {
        let (code, body) = send(&lab, "vault-0", "PUT", "sys/unseal", key).await;
        assert_eq!(code, wanted, "{key}");
        assert!(body["errors"][0].as_str().unwrap().contains(says), "{body}");
    }
    let key = format!(r#"{{"key":"{UNSEAL_KEY}"}}"#);
    let (code, body) = send(&lab, "vault-0", "PUT", "sys/unseal", &key).await;
    assert_eq!((code, body["sealed"].as_bool()), (200, Some(false)));
    let (_, body) = get(&lab, "vault-0", "sys/leader").await;
    assert_eq!(body["leader_address"], "", "right after it does not know who leads");
    let (_, body) = get(&lab, "vault-0", "sys/health").await;
    assert_eq!(body["replication_dr_mode"], "unknown");
    seconds(3).await;
    let (_, body) = get(&lab, "vault-0", "sys/leader").await;
    assert_eq!(body["leader_address"], "http://vault-2.vault-internal:8200");
}

#[tokio::test(start_paused = true)]
async fn the_leader_tells_what_standbys_forward_or_point_to() {
    let lab = lab(3);
    seconds(7).await;
    let (_, leader) = get(&lab, "vault-2", "sys/leader").await;
    let (_, standby) = get(&lab, "vault-1", "sys/leader").await;
    assert_eq!(
        (leader["is_self"].as_bool(), standby["is_self"].as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!(standby["active_time"], "0001-01-01T00:00:00Z");
    assert_eq!(leader["raft_committed_index"], standby["raft_applied_index"]);
    for voter in ["vault-2", "vault-1"] {
        let (code, body) = get(&lab, voter, "sys/storage/raft/configuration").await;
        let servers = body.pointer("/data/config/servers").unwrap().as_array().unwrap();
        assert_eq!((code, servers.len()), (200, 3));
        assert!(servers.iter().all(|s| s["voter"] == true));
        assert_eq!(servers[2]["leader"], true);
        let (_, ha) = get(&lab, voter, "sys/ha-status").await;
        assert_eq!(ha["nodes"].as_array().unwrap().len(), 3);
        assert_eq!(ha["nodes"], ha["data"]["nodes"]);
        let (_, state) = get(&lab, voter, "sys/storage/raft/autopilot/state").await;
        assert_eq!(
            (&state["data"]["healthy"], &state["data"]["failure_tolerance"]),
            (&true.into(), &1.into())
        );
        assert_eq!(state["data"]["voters"][0], "vault-2");
    }
    let mut stay = request("GET", "sys/ha-status?x=1", Some(ROOT_TOKEN), "");
    stay.headers_mut().insert("X-Vault-No-Request-Forwarding", "true".parse().unwrap());
    for request in [stay, request("GET", "sys/storage/raft/snapshot", Some(ROOT_TOKEN), "")] {
        let target = request.uri().to_string();
        let reply = whole(&lab, "vault-1", request).await.unwrap().unwrap();
        let to = format!("http://vault-2.vault-internal:8200{target}");
        assert_eq!(
            (reply.status().as_u16(), reply.headers()["location"].to_str().unwrap()),
            (307, to.as_str())
        );
    }
    for (method, path, wanted) in [
        ("GET", "nosuch/path", 404),
        ("GET", "sys/nosuch", 404),
        ("DELETE", "sys/health", 405),
        ("GET", "sys/step-down", 405),
        ("PUT", "sys/init", 400),
        ("GET", "sys/license/status", 404),
        ("POST", "sys/storage/raft/bootstrap", 500),
    ] {
        assert_eq!(ask(&lab, "vault-2", method, path).await.0, wanted, "{method} {path}");
    }
    assert_eq!(ask(&lab, "vault-1", "PUT", "sys/seal").await.0, 500);
}

#[tokio::test(start_paused = true)]
async fn an_idle_cluster_plans_nothing_and_yet_its_index_grows() {
    let lab = lab(4);
    seconds(20).await;
    let index = |lab: &Lab| lab.with(|world| applied(world, "vault-0"));
    let before = index(&lab);
    assert_eq!(lab.with(|world| world.next()), None);
    seconds(60).await;
    assert_eq!(index(&lab), before + 6);
    // Readers do not change what happens.
    let a = lab.with(|world| serde_json::to_value(&world.chance).unwrap());
    for path in ["sys/health", "sys/ha-status", "auth/token/lookup-self"] {
        get(&lab, "vault-1", path).await;
    }
    assert_eq!(a, lab.with(|world| serde_json::to_value(&world.chance).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_world_that_was_written_down_answers_as_before() {
    let lab = lab(5);
    lab.with(|world| stopped(world, "vault-2"));
    let text = lab.with(|world| serde_json::to_string(world).unwrap());
    let mut read: World = serde_json::from_str(&text).unwrap();
    let later = read.now + crate::event::Span::secs(9);
    read.advance(later);
    seconds(9).await;
    let lived = lab.with(|world| (leader(world), voters(world)));
    assert_eq!((leader(&read), voters(&read)), lived);
    assert!(lived.0.is_some());
}
