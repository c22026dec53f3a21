//! A quorum that does not come back: what is seen on the real servers.

use super::*;

const PEERS: &str = "raft/peers.json";

/// Two of three voters have lost their disks; the one that is left, and the lost ones.
async fn lost(seed: u64) -> (Lab, String, Vec<String>) {
    let lab = lab(seed);
    lab.with(|world| fault(world, DISKS_LOST, true));
    seconds(30).await;
    assert_eq!(leads(&lab), None);
    let (left, lost): (Vec<_>, Vec<_>) =
        lab.with(|world| voters(world)).into_iter().partition(|v| v.unsealed);
    let names = lost.into_iter().map(|v| v.name).collect();
    (lab, left[0].name.clone(), names)
}

fn restart(lab: &Lab, name: &str, disk: &str) {
    lab.with(|world| {
        stopped(world, name);
        started(world, name, disk);
    });
}

#[tokio::test(start_paused = true)]
async fn one_good_disk_becomes_the_cluster_by_peers_json_and_the_others_join_it() {
    let (lab, left, lost) = lost(31).await;
    let disk = lab.with(|world| world.vault.voters[&left].disk.clone());
    let before = lab.with(|world| world.vault.disks[&disk].data.keyring.clone());
    // Without it a restart changes nothing.
    restart(&lab, &left, &disk);
    seconds(30).await;
    assert_eq!((leads(&lab), code(&lab, &left, "sys/health").await), (None, 429));
    // One that cannot be read leaves it sealed, and says so.
    lab.with(|world| assert!(write_file(world, &left, PEERS, "garbage\n")));
    restart(&lab, &left, &disk);
    seconds(30).await;
    assert_eq!(code(&lab, &left, "sys/health").await, 503);
    let key = format!(r#"{{"key":"{UNSEAL_KEY}"}}"#);
    let (code_, body) = send(&lab, &left, "PUT", "sys/unseal", &key).await;
    let said = body["errors"][0].as_str().unwrap();
    assert!(code_ == 500 && said.starts_with("raft recovery failed to parse peers.json"), "{said}");
    let listed = |lab: &Lab| lab.with(|world| files_in(world, &left, "raft").unwrap());
    assert_eq!(listed(&lab), ["peers.json", "raft.db", "snapshots"]);
    let text = format!(r#"[{{"id":"{left}","address":"a:8201","non_voter":false}}]"#);
    lab.with(|world| assert!(write_file(world, &left, PEERS, &text)));
    restart(&lab, &left, &disk);
    assert_eq!(leads(&lab), None, "it is read when it is unsealed");
    seconds(20).await;
    assert_eq!(leads(&lab).as_deref(), Some(left.as_str()));
    assert_eq!(listed(&lab), ["raft.db", "snapshots"]);
    let truth = lab.with(|world| voters(world));
    assert!(truth.iter().all(|v| v.configured == (v.name == left)), "{truth:?}");
    // On their old disks the others do not run; on empty ones they join.
    for name in &lost {
        let old = lab.with(|world| world.vault.voters[name].disk.clone());
        restart(&lab, name, &old);
        assert_eq!(silence(&lab, name, "sys/health").await, Some(ErrorKind::ConnectionRefused));
        restart(&lab, name, &format!("new-{name}"));
    }
    seconds(60).await;
    let truth = lab.with(|world| voters(world));
    assert!(truth.iter().all(|v| v.unsealed && v.votes), "{truth:?}");
    assert!(truth.iter().all(|v| v.applied == truth[0].applied), "{truth:?}");
    assert_eq!(code(&lab, &lost[0], "kv/data/shop/mail").await, 200);
    assert_eq!(lab.with(|world| world.vault.disks[&disk].data.keyring.clone()), before);
}
