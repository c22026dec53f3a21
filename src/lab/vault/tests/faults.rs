use super::*;
use crate::lab::faults::entries;

#[tokio::test(start_paused = true)]
async fn a_hung_leader_still_says_that_it_leads_and_nobody_elects() {
    let lab = lab(20);
    lab.with(|world| fault(world, LEADER_HUNG, true));
    seconds(30).await;
    assert_eq!(silence(&lab, "vault-2", "sys/health").await, None);
    assert_eq!(silence(&lab, "vault-1", "sys/ha-status").await, None, "forwarded");
    let (code_, first) = get(&lab, "vault-2", "sys/leader").await;
    assert_eq!((code_, first["is_self"].as_bool()), (200, Some(true)));
    assert_eq!(silence(&lab, "vault-2", "sys/seal-status").await, None);
    assert_eq!(code(&lab, "vault-0", "sys/health").await, 429);
    seconds(30).await;
    let (_, second) = get(&lab, "vault-2", "sys/leader").await;
    assert_eq!(first, second, "the index stands");
    assert!(lab.with(|world| connect(world, "vault-2").is_ok() && !ready(world, "vault-2")));
    // Killing it heals; who waited for an answer is cut off.
    let waiting = tokio::spawn({
        let lab = lab.clone();
        async move { answer(&lab, "vault-2", request("GET", "sys/health", None, "")).await }
    });
    seconds(1).await;
    lab.with(|world| {
        stopped(world, "vault-2");
        started(world, "vault-2", "disk-2");
    });
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(lab.with(|world| world.faults.is_empty()));
    seconds(20).await;
    assert_ne!(leads(&lab).unwrap(), "vault-2");
    assert_eq!(code(&lab, "vault-2", "sys/health").await, 429);
}

#[tokio::test(start_paused = true)]
async fn a_thawed_leader_goes_on_and_answers_who_waited() {
    let lab = lab(21);
    lab.with(|world| fault(world, LEADER_HUNG, true));
    let waiting = tokio::spawn({
        let lab = lab.clone();
        async move { answer(&lab, "vault-2", request("GET", "sys/health", None, "")).await }
    });
    seconds(40).await;
    lab.with(|world| fault(world, LEADER_HUNG, false));
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    assert_eq!(leads(&lab).as_deref(), Some("vault-2"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_leader_is_silent_and_another_is_elected() {
    let lab = lab(22);
    lab.with(|world| fault(world, LEADER_STOPPED, true));
    assert_eq!(silence(&lab, "vault-2", "sys/leader").await, None);
    seconds(3).await;
    let new = leads(&lab).unwrap();
    assert_ne!(new, "vault-2");
    assert_eq!(code(&lab, &new, "sys/health").await, 200);
    assert_eq!(lab.with(|world| connect(world, "vault-2")), Ok(()));
    seconds(10).await;
    let (_, state) = get(&lab, &new, "sys/storage/raft/autopilot/state").await;
    assert_eq!(state["data"]["servers"]["vault-2"]["healthy"], false);
    let (_, ha) = get(&lab, &new, "sys/ha-status").await;
    assert_eq!(ha["nodes"].as_array().unwrap().len(), 2, "it is not heard of");
    lab.with(|world| fault(world, LEADER_STOPPED, false));
    seconds(1).await;
    let (_, body) = get(&lab, "vault-2", "sys/leader").await;
    assert_eq!(body["is_self"], false);
    assert_eq!(code(&lab, "vault-2", "sys/health").await, 429);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_audit_device_stops_requests_and_not_health() {
    let lab = lab(23);
    lab.with(|world| fault(world, AUDIT_HUNG, true));
    assert_eq!(code(&lab, "vault-2", "sys/health").await, 200);
    for path in ["auth/token/lookup-self", "kv/data/shop/mail", "sys/storage/raft/snapshot"] {
        assert_eq!(silence(&lab, "vault-2", path).await, None, "{path}");
    }
    lab.with(|world| fault(world, AUDIT_HUNG, false));
    assert_eq!(code(&lab, "vault-2", "auth/token/lookup-self").await, 200);
}

#[tokio::test(start_paused = true)]
async fn leadership_moves_and_the_fault_is_over() {
    let lab = lab(24);
    lab.with(|world| fault(world, LEADER_MOVES, true));
    seconds(1).await;
    assert_ne!(leads(&lab).unwrap(), "vault-2");
    assert!(lab.with(|world| world.faults.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn without_a_quorum_nobody_leads_and_nothing_is_written() {
    let lab = lab(25);
    let index = |lab: &Lab| lab.with(|world| voters(world).iter().map(|v| v.applied).max());
    lab.with(|world| {
        fault(world, QUORUM_LOST, true);
        // The kubelet tries again and again.
        stopped(world, "vault-2");
        started(world, "vault-2", "disk-2");
        assert!(!has_quorum(world));
    });
    let before = index(&lab);
    seconds(30).await;
    assert_eq!(leads(&lab), None);
    let left = lab.with(|world| voters(world).into_iter().find(|v| v.unsealed).unwrap().name);
    assert_eq!(code(&lab, &left, "sys/health").await, 429);
    let (_, body) = get(&lab, &left, "sys/leader").await;
    let last = lab.with(|world| world.vault.voters["vault-2"].api.clone());
    assert_eq!(body["leader_address"], last, "as its own store has it");
    let (code_, body) = get(&lab, &left, "kv/data/shop/mail").await;
    assert_eq!(code_, 500);
    assert_eq!(body["errors"][0], "local node not active but active cluster node not found");
    assert_eq!(silence(&lab, "vault-2", "sys/health").await, Some(ErrorKind::ConnectionRefused));
    assert_eq!(index(&lab), before);
    lab.with(|world| fault(world, QUORUM_LOST, false));
    seconds(30).await;
    assert!(lab.with(|world| has_quorum(world)));
    assert!(leads(&lab).is_some());
    assert!(index(&lab) > before);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_sidecar_leaves_it_sealed_and_a_slow_one_fills_in_minutes() {
    let lab = lab(26);
    lab.with(|world| {
        fault(world, SIDECAR_STUCK, true);
        fault(world, SLOW_REJOIN, true);
        stopped(world, "vault-1");
        started(world, "vault-1", "empty");
    });
    seconds(300).await;
    assert_eq!(code(&lab, "vault-1", "sys/health").await, 503);
    lab.with(|world| fault(world, SIDECAR_STUCK, false));
    seconds(40).await;
    assert_eq!(code(&lab, "vault-1", "sys/health").await, 429);
    let (behind, committed) =
        lab.with(|world| (applied(world, "vault-1"), applied(world, "vault-2")));
    assert!(0 < behind && behind < committed, "{behind} of {committed}");
    seconds(360).await;
    let (level, committed) =
        lab.with(|world| (applied(world, "vault-1"), applied(world, "vault-2")));
    assert_eq!(level, committed);
}

#[tokio::test(start_paused = true)]
async fn a_lost_path_is_no_news_of_the_voter() {
    let lab = lab(27);
    lab.with(|world| fault_at(world, PATH_LOST, "vault-2", true));
    assert_eq!(silence(&lab, "vault-2", "sys/health").await, Some(ErrorKind::TimedOut));
    assert_eq!(lab.with(|world| connect(world, "vault-2")), Err(ErrorKind::TimedOut));
    assert_eq!(code(&lab, "vault-0", "sys/ha-status").await, 200, "the voters reach each other");
    lab.with(|world| fault(world, PATH_LOST, false));
    assert_eq!(code(&lab, "vault-2", "sys/health").await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_leader_waits_for_one() {
    let lab = lab(28);
    assert_eq!(ask(&lab, "vault-2", "PUT", "sys/step-down").await.0, 204);
    lab.with(|world| fault(world, LEADER_HUNG, true));
    seconds(2).await;
    let new = leads(&lab).unwrap();
    assert_eq!(silence(&lab, &new, "sys/health").await, None);
}

/// Each of one kind has its own voter and its own end.
#[tokio::test(start_paused = true)]
async fn two_lost_paths_are_of_two_voters_and_come_back_one_by_one() {
    let lab = lab(30);
    let lost = || lab.with(|world| truth_of(world, |w, v| connect(w, v).is_err()));
    let two = entries([PATH_LOST, PATH_LOST]);
    lab.with(|world| two.iter().for_each(|entry| fault(world, entry, true)));
    let both = lost();
    assert_eq!(both.len(), 2);
    lab.with(|world| fault(world, &two[0], false));
    let left = lost();
    assert!(left.len() == 1 && both.contains(&left[0]), "{left:?} of {both:?}");
    lab.with(|world| fault(world, &two[1], false));
    assert_eq!(lost(), [""; 0]);
    assert!(lab.with(|world| world.faults.is_empty()));
}

/// The second hits whoever leads then; that the first goes on is nothing to it.
#[tokio::test(start_paused = true)]
async fn a_second_stopped_leader_stays_stopped_when_the_first_goes_on() {
    let lab = lab(31);
    let two = entries([LEADER_STOPPED, LEADER_STOPPED]);
    lab.with(|world| fault(world, &two[0], true));
    seconds(10).await;
    let next = leads(&lab).unwrap();
    assert_ne!(next, "vault-2");
    lab.with(|world| fault(world, &two[1], true));
    assert_eq!(silence(&lab, &next, "sys/leader").await, None);
    lab.with(|world| fault(world, &two[0], false));
    seconds(1).await;
    assert_eq!(silence(&lab, &next, "sys/leader").await, None, "it is still stopped");
    get(&lab, "vault-2", "sys/leader").await;
    lab.with(|world| fault(world, &two[1], false));
    seconds(1).await;
    get(&lab, &next, "sys/leader").await;
}

/// Both hit the one that leads: it hangs until neither does.
#[tokio::test(start_paused = true)]
async fn whom_two_of_a_kind_hit_suffers_until_both_are_over() {
    let lab = lab(32);
    let two = entries([LEADER_HUNG, LEADER_HUNG]);
    lab.with(|world| two.iter().for_each(|entry| fault(world, entry, true)));
    lab.with(|world| fault(world, &two[0], false));
    assert_eq!(silence(&lab, "vault-2", "sys/health").await, None);
    lab.with(|world| fault(world, &two[1], false));
    assert_eq!(code(&lab, "vault-2", "sys/health").await, 200);
}

/// So it is with what hits no voter: it is there from the first to the last of its kind.
#[tokio::test(start_paused = true)]
async fn what_hits_all_of_the_site_is_over_with_the_last_of_its_kind() {
    let lab = lab(33);
    let two = entries([TOKEN_EXPIRES, TOKEN_EXPIRES]);
    lab.with(|world| two.iter().for_each(|entry| fault(world, entry, true)));
    lab.with(|world| fault(world, &two[0], false));
    assert!(lab.with(|world| world.suffers(TOKEN_EXPIRES)));
    lab.with(|world| fault(world, &two[1], false));
    assert!(!lab.with(|world| world.suffers(TOKEN_EXPIRES)));
}

fn truth_of(world: &World, is: fn(&World, &str) -> bool) -> Vec<String> {
    world.vault.voters.keys().filter(|voter| is(world, voter)).cloned().collect()
}

/// The one in its turn is to be in its own way, whatever chance would have; where it leads already
/// another one does afterwards.
#[tokio::test(start_paused = true)]
async fn leadership_moves_to_the_voter_whose_turn_it_is() {
    for seed in 0..6 {
        for turn in ["vault-0", "vault-1"] {
            let lab = lab(seed);
            lab.with(|world| {
                world.stage.turn = Some(turn.to_owned());
                fault(world, LEADER_MOVES, true);
            });
            seconds(1).await;
            assert_eq!(leads(&lab).as_deref(), Some(turn), "seed {seed}");
            lab.with(|world| fault(world, LEADER_MOVES, true));
            seconds(1).await;
            assert_ne!(leads(&lab).as_deref(), Some(turn), "seed {seed}");
        }
    }
}
