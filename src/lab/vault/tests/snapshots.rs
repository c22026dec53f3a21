use super::*;
use crate::action::check_snapshot;

async fn saved(lab: &Lab) -> Vec<u8> {
    let request = request("GET", "sys/storage/raft/snapshot", Some(ROOT_TOKEN), "");
    let reply = whole(lab, &leads(lab).unwrap(), request).await.unwrap().unwrap();
    assert_eq!(reply.status(), 200);
    reply.body().to_vec()
}

async fn restored(lab: &Lab, to: &str, snapshot: &[u8]) -> (u16, String) {
    let path = format!("/v1/sys/storage/raft/{to}");
    let request = Request::post(path).header("X-Vault-Token", ROOT_TOKEN);
    let request = request.body(Bytes::from(snapshot.to_vec())).unwrap();
    let reply = whole(lab, &leads(lab).unwrap(), request).await.unwrap().unwrap();
    (reply.status().as_u16(), String::from_utf8_lossy(reply.body()).into_owned())
}

async fn value(lab: &Lab) -> Value {
    get(lab, "vault-2", "kv/data/x").await.1["data"]["data"]["a"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_reads_back_with_its_sums_and_restores() {
    let lab = lab(40);
    send(&lab, "vault-2", "PUT", "kv/data/x", r#"{"data":{"a":"before"}}"#).await;
    let (_, led) = get(&lab, "vault-2", "sys/leader").await;
    let snapshot = saved(&lab).await;
    let path = std::path::Path::new("/anchors/x.snap");
    lab.with(|world| world.files.put(path, snapshot.clone(), world.now));
    let checked = check_snapshot(&lab, path).unwrap();
    assert_eq!(Some(checked.index), led["raft_committed_index"].as_i64());
    send(&lab, "vault-2", "PUT", "kv/data/x", r#"{"data":{"a":"after"}}"#).await;
    let whole = snapshot.len();
    for broken in [&snapshot[..0], &snapshot[..whole / 2], b"garbage"] {
        let (code, said) = restored(&lab, "snapshot", broken).await;
        assert_eq!(code, 500, "{said}");
    }
    assert_eq!(value(&lab).await, "after");
    assert_eq!(restored(&lab, "snapshot", &snapshot).await.0, 204);
    assert_eq!(silence(&lab, "vault-2", "kv/data/x").await, None, "it reads the state first");
    seconds(4).await;
    assert_eq!(value(&lab).await, "before");
    assert_eq!(leads(&lab).as_deref(), Some("vault-2"));
    lab.with(|world| fault(world, SNAPSHOT_EMPTY, true));
    let broken = saved(&lab).await;
    lab.with(|world| world.files.put(path, broken, world.now));
    assert!(check_snapshot(&lab, path).is_err());
}

#[tokio::test(start_paused = true)]
async fn another_clusters_snapshot_needs_force_and_its_own_key_afterwards() {
    let (lab, other) = (lab(41), super::lab(42));
    other.with(|world| {
        for disk in world.vault.disks.values_mut() {
            let data = Arc::make_mut(&mut disk.data);
            data.keyring.as_mut().unwrap().key =
                "b3RoZXIga2V5IG9mIHRoZSBvdGhlciBjbHVzdGVyIDE=".into();
        }
    });
    let theirs = saved(&other).await;
    let (code, said) = restored(&lab, "snapshot", &theirs).await;
    assert_eq!(code, 400);
    assert!(said.contains("snapshot-force"), "{said}");
    assert_eq!(restored(&lab, "snapshot-force", &theirs).await.0, 204);
    seconds(30).await;
    assert_eq!(leads(&lab), None);
    for name in NAMES {
        assert_eq!(code_of(&lab, name).await, 503, "the sidecar's key does not open it");
        let key = r#"{"key":"b3RoZXIga2V5IG9mIHRoZSBvdGhlciBjbHVzdGVyIDE="}"#;
        assert_eq!(send(&lab, name, "PUT", "sys/unseal", key).await.0, 200);
    }
    seconds(6).await;
    assert!(leads(&lab).is_some());
    let id =
        |lab: &Lab| lab.with(|w| w.vault.disks["disk-0"].data.keyring.clone().unwrap().cluster_id);
    assert_eq!(id(&lab), id(&other));
}

async fn code_of(lab: &Lab, voter: &str) -> u16 {
    code(lab, voter, "sys/health").await
}
