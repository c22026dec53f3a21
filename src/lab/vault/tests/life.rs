use super::*;

async fn step_down(lab: &Lab, at: &str) -> u16 {
    ask(lab, at, "PUT", "sys/step-down").await.0
}

#[tokio::test(start_paused = true)]
async fn a_step_down_moves_leadership_through_whichever_voter_it_comes() {
    for at in ["vault-2", "vault-0"] {
        let lab = lab(6);
        let (_, before) = get(&lab, "vault-2", "sys/leader").await;
        assert_eq!(step_down(&lab, at).await, 204);
        let (code, body) = get(&lab, "vault-1", "sys/ha-status").await;
        assert_eq!(code, 500, "{body}");
        assert_eq!(leads(&lab), None);
        seconds(1).await;
        let new = leads(&lab).unwrap();
        assert_ne!(new, "vault-2");
        let (_, after) = get(&lab, &new, "sys/leader").await;
        assert_eq!(after["is_self"], true);
        assert_ne!(after["active_time"], before["active_time"]);
        assert!(after["raft_committed_index"].as_u64() > before["raft_committed_index"].as_u64());
        assert_eq!(code_of(&lab, "vault-2").await, 429);
        // Standbys have not said hello yet.
        let (_, state) = get(&lab, &new, "sys/storage/raft/autopilot/state").await;
        assert_eq!(state["data"]["healthy"], false);
        seconds(2).await;
        let (_, state) = get(&lab, &new, "sys/storage/raft/autopilot/state").await;
        assert_eq!(state["data"]["healthy"], true);
    }
}

async fn code_of(lab: &Lab, voter: &str) -> u16 {
    code(lab, voter, "sys/health").await
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_ends_is_followed_by_another_and_comes_back_sealed_then_unsealed() {
    let lab = lab(7);
    lab.with(|world| stopped(world, "vault-2"));
    assert_eq!(silence(&lab, "vault-2", "sys/health").await, Some(ErrorKind::ConnectionRefused));
    let (_, body) = get(&lab, "vault-0", "sys/leader").await;
    assert_eq!(body["leader_address"], "http://vault-2.vault-internal:8200", "not noticed yet");
    seconds(5).await;
    let new = leads(&lab).unwrap();
    assert_ne!(new, "vault-2");
    lab.with(|world| started(world, "vault-2", "disk-2"));
    assert_eq!(code_of(&lab, "vault-2").await, 503);
    seconds(13).await;
    assert_eq!(code_of(&lab, "vault-2").await, 429);
    let (_, body) = get(&lab, "vault-2", "sys/leader").await;
    let (_, led) = get(&lab, &new, "sys/leader").await;
    assert_eq!(body["raft_applied_index"], led["raft_committed_index"]);
    // A write after that reaches the one that came back.
    let data = r#"{"data":{"a":"1"}}"#;
    assert_eq!(send(&lab, "vault-2", "PUT", "kv/data/x", data).await.0, 200);
    let same =
        lab.with(|world| world.vault.disks["disk-2"].data == world.vault.disks["disk-0"].data);
    assert!(same);
}

#[tokio::test(start_paused = true)]
async fn an_empty_disk_is_joined_and_filled_while_the_configuration_looks_the_same() {
    let lab = lab(8);
    lab.with(|world| {
        stopped(world, "vault-0");
        started(world, "vault-0", "new-disk");
    });
    assert_eq!(code_of(&lab, "vault-0").await, 501);
    let (code, body) = get(&lab, "vault-0", "sys/seal-status").await;
    assert_eq!(
        (code, body["initialized"].as_bool(), body["t"].as_u64()),
        (200, Some(false), Some(0))
    );
    assert_eq!(
        send(&lab, "vault-0", "PUT", "sys/unseal", &format!(r#"{{"key":"{UNSEAL_KEY}"}}"#)).await.0,
        400
    );
    let mut codes = Vec::new();
    for _ in 0..60 {
        codes.push(code_of(&lab, "vault-0").await);
        let (_, body) = get(&lab, "vault-2", "sys/storage/raft/configuration").await;
        assert_eq!(body["data"]["config"]["servers"][0]["voter"], true);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    codes.dedup();
    assert_eq!(codes, [501, 503, 429]);
    let truth = lab.with(|world| voters(world));
    assert_eq!(truth[0].applied, truth[2].applied);
    assert_eq!(
        (truth[0].disk.as_str(), truth[0].unsealed, truth[0].votes),
        ("new-disk", true, true)
    );
    // The old disk still has what it had.
    assert!(lab.with(|world| world.vault.disks["disk-0"].data.keyring.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_removed_peer_joins_again_as_no_voter_until_autopilot_trusts_it() {
    let lab = lab(9);
    let removed = r#"{"server_id":"vault-1"}"#;
    assert_eq!(send(&lab, "vault-2", "POST", "sys/storage/raft/remove-peer", removed).await.0, 204);
    assert_eq!(send(&lab, "vault-2", "POST", "sys/storage/raft/remove-peer", "{}").await.0, 400);
    assert_eq!(code(&lab, "vault-1", "sys/ha-status").await, 500);
    lab.with(|world| {
        stopped(world, "vault-1");
        started(world, "vault-1", "fresh");
    });
    let votes = |lab: &Lab| lab.with(|world| voters(world)[1].clone());
    let mut joined = None;
    for second in 0..60 {
        let now = votes(&lab);
        if now.configured && joined.is_none() {
            assert!(!now.votes);
            joined = Some(second);
        }
        if now.votes {
            assert!(second - joined.unwrap() >= 9, "not before it was stable");
            return;
        }
        seconds(1).await;
    }
    panic!("it never voted");
}

#[tokio::test(start_paused = true)]
async fn an_uninitialised_cluster_is_made_and_grows() {
    let start = Time(0);
    let mut world = World::new(10, start);
    world.vault.sidecar_key = None;
    for (name, disk) in NAMES.iter().zip(DISKS) {
        started(&mut world, name, disk);
    }
    let began = tokio::time::Instant::now();
    let clock = move || start + crate::event::Span(began.elapsed().as_millis() as u64);
    let lab = Lab::new(world, Arc::new(clock));
    seconds(5).await;
    assert_eq!(lab.with(|world| world.next()), None, "without a leader nobody tries");
    assert_eq!(code_of(&lab, "vault-0").await, 501);
    let (code, body) = send(&lab, "vault-0", "PUT", "sys/init", "{}").await;
    assert_eq!((code, body["root_token"].as_str()), (200, Some(ROOT_TOKEN)));
    assert_eq!(send(&lab, "vault-0", "PUT", "sys/init", "{}").await.0, 400);
    let key = format!(r#"{{"key":"{UNSEAL_KEY}"}}"#);
    for name in NAMES {
        assert_eq!(send(&lab, name, "PUT", "sys/unseal", &key).await.0, 200, "{name}");
        seconds(8).await;
    }
    seconds(15).await;
    assert_eq!(leads(&lab).as_deref(), Some("vault-0"));
    assert!(lab.with(|world| voters(world).iter().all(|v| v.votes && v.unsealed)));
}

#[tokio::test(start_paused = true)]
async fn sealing_the_leader_moves_leadership_and_the_sidecar_opens_it() {
    let lab = lab(11);
    assert_eq!(ask(&lab, "vault-2", "PUT", "sys/seal").await.0, 204);
    assert_eq!(code_of(&lab, "vault-2").await, 503);
    seconds(1).await;
    assert_ne!(leads(&lab).unwrap(), "vault-2");
    seconds(13).await;
    assert_eq!(code_of(&lab, "vault-2").await, 429);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_comes_back_at_once_leads_no_more_whatever_its_disk() {
    for disk in ["disk-2", "new-disk"] {
        let lab = lab(12);
        lab.with(|world| {
            stopped(world, "vault-2");
            started(world, "vault-2", disk);
        });
        if disk == "disk-2" {
            let key = format!(r#"{{"key":"{UNSEAL_KEY}"}}"#);
            assert_eq!(send(&lab, "vault-2", "PUT", "sys/unseal", &key).await.0, 200);
            assert_eq!(code_of(&lab, "vault-2").await, 429);
            assert_eq!(code(&lab, "vault-2", "sys/ha-status").await, 500);
        }
        assert_eq!(code(&lab, "vault-0", "sys/ha-status").await, 500);
        seconds(40).await;
        let truth = lab.with(|world| voters(world));
        assert!(truth.iter().all(|v| v.unsealed && v.votes), "{truth:?}");
        assert!(truth.iter().all(|v| v.applied == truth[0].applied), "{truth:?}");
        assert_eq!(code(&lab, "vault-2", "kv/data/shop/mail").await, 200);
    }
}

/// What the Secret holds is what the sidecar tries: with another cluster's key it stays sealed, and
/// the sidecar's log says why.
#[test]
fn a_sidecar_with_a_wrong_key_opens_nothing() {
    use crate::lab::kube::{Key, control, kind};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let mut world = crate::lab::site::with_applications(1, Time(1_777_150_800_000), 0);
    let secret = Key::new(kind("secrets").unwrap(), "vault", "vault-unseal-key");
    let hold = |world: &mut World, key: &str| {
        let key = Value::from(STANDARD.encode(key));
        world.store.update(&secret, |o| o["data"]["unseal-key"] = key).unwrap();
    };
    let later = |world: &mut World| world.advance(world.now + crate::event::Span::secs(40));
    let said = |world: &World| control::logs(world, "vault", "vault-1", "auto-unseal", false);
    hold(&mut world, &STANDARD.encode("LAB-unseal-key-of-another-cluster"));
    super::super::seal::close(&mut world, "vault-1");
    later(&mut world);
    assert!(world.vault.voters["vault-1"].sealed);
    let log = said(&world).unwrap();
    assert!(log.contains("unseal: unable to") && log.contains("authentication failed"), "{log}");
    hold(&mut world, UNSEAL_KEY);
    later(&mut world);
    assert!(!world.vault.voters["vault-1"].sealed);
    assert_eq!(said(&world).unwrap(), log, "it has nothing more to say");
}
