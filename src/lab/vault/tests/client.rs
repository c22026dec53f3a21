//! The client of the sites, on voters that listen on loopback: nothing in it knows the lab.

use super::*;
use crate::action::{Stop, Stops, execute, probe, resolve};
use crate::event::{EffectId, Outcome, Probed};
use crate::observe;
use crate::remote::{Remote, rig};
use crate::runbook::model::{Arg, Call};
use crate::world::{Raft as Seen, Reach, Reading, Source, Update, VoterVerdict as V};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// A lab whose time is set by hand, its voters served, and a site of them.
async fn site(seed: u64) -> (Lab, Arc<AtomicI64>, Arc<Remote>) {
    let start: Time = "2026-04-25T16:18:00Z".parse().unwrap();
    let mut world = World::new(seed, start);
    initialise(&mut world, &NAMES, &DISKS, 2);
    for disk in world.vault.disks.values_mut() {
        let tokens = &mut Arc::make_mut(&mut disk.data).tokens;
        let operator = tokens[OPERATOR_TOKEN].clone();
        tokens.insert("hvs.rig-token".into(), operator);
    }
    let now = Arc::new(AtomicI64::new(start.0));
    let clock = Arc::clone(&now);
    let lab = Lab::new(world, Arc::new(move || Time(clock.load(Ordering::Relaxed))));
    let mut how = Vec::new();
    for name in NAMES {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        how.push(format!("address = \"http://{}\"", listener.local_addr().unwrap()));
        tokio::spawn(serve(lab.clone(), name.to_owned(), listener));
    }
    let voters: Vec<_> = NAMES.into_iter().zip(how.iter().map(String::as_str)).collect();
    let remote = rig::remote(None, &voters, "").await;
    later(&lab, &now, 7);
    (lab, now, remote)
}

fn later(lab: &Lab, now: &AtomicI64, seconds: i64) {
    now.fetch_add(seconds * 1000, Ordering::Relaxed);
    lab.with(|_| ());
}

async fn seen(remote: &Arc<Remote>) -> Seen {
    let mut reading = Reading::default();
    reading.add(Source::Raft, Reach::default());
    let changes = observe::read(remote, &reading).await;
    let Update::Raft(raft) = changes[0].update.clone() else { panic!("{changes:?}") };
    (*raft).clone()
}

fn verdicts(raft: &Seen) -> Vec<V> {
    raft.voters.iter().map(|v| v.verdict).collect()
}

async fn done(remote: &Remote, verb: &str, args: &[(&str, &str)]) -> (Value, Probed) {
    let args = args.iter().map(|(n, v)| ((*n).to_owned(), Arg::Text((*v).to_owned())));
    let call = Call { verb: verb.into(), args: args.collect::<BTreeMap<_, _>>() };
    let pins = remote.identities().await;
    let proposal = resolve(remote, &pins, &call).await.unwrap();
    let say = |_, _| ();
    let (outcome, result) =
        execute(remote, "run/a/b", &proposal, &(Arc::new(say) as _), Stop::never()).await;
    assert_eq!(outcome, Outcome::Ok);
    (result, probe(remote, "run/a/b", &proposal).await.0)
}

#[tokio::test]
async fn the_client_sees_a_healthy_cluster_and_acts_on_it() {
    let (lab, now, remote) = site(50).await;
    let raft = seen(&remote).await;
    assert_eq!(verdicts(&raft), [V::Healthy; 3]);
    assert_eq!((raft.leader.as_str(), raft.leader_answers, raft.unsealed), ("vault-2", true, 3));
    assert!(raft.voters.iter().all(|v| v.caught_up && v.is_voter && v.heard), "{raft:?}");
    assert!(raft.autopilot_healthy && raft.audited_read && raft.active_error.is_empty());
    assert!(raft.token_ends.is_some());

    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let (a, b) = (a.display().to_string(), b.display().to_string());
    let args = [("dir", a.as_str()), ("copy_to", b.as_str()), ("temporary", "/nowhere")];
    let (result, probed) = done(&remote, "vault.snapshot_save", &args).await;
    assert_eq!(probed, Probed::Done);
    assert!(result["index"].as_i64() >= Some(raft.committed), "{result}");

    let (_, probed) = done(&remote, "vault.step_down", &[("node", "vault-2")]).await;
    assert_eq!(probed, Probed::Unknown, "nobody leads yet");
    later(&lab, &now, 3);
    let raft = seen(&remote).await;
    assert!(raft.leader_answers && raft.leader != "vault-2");
    assert!(raft.voters.iter().all(|v| v.caught_up), "{raft:?}");
    assert_eq!(raft.elections, 1);
}

#[tokio::test]
async fn the_client_tells_a_hung_leader() {
    let (lab, now, remote) = site(51).await;
    lab.with(|world| fault(world, LEADER_HUNG, true));
    later(&lab, &now, 30);
    let raft = seen(&remote).await;
    assert_eq!(verdicts(&raft), [V::Healthy, V::Healthy, V::Hung]);
    assert_eq!((raft.hung_leader.as_str(), raft.leader_answers), ("vault-2", false));
}

#[tokio::test]
async fn the_client_tells_a_stopped_leader() {
    let (lab, now, remote) = site(52).await;
    lab.with(|world| fault(world, LEADER_STOPPED, true));
    later(&lab, &now, 8);
    let raft = seen(&remote).await;
    assert_eq!(raft.voters[2].verdict, V::Stopped);
    assert!(raft.leader_answers && !raft.autopilot_healthy);
}

#[tokio::test]
async fn the_client_tells_a_stuck_audit_device() {
    let (lab, now, remote) = site(53).await;
    lab.with(|world| fault(world, AUDIT_HUNG, true));
    later(&lab, &now, 8);
    let raft = seen(&remote).await;
    assert_eq!(verdicts(&raft), [V::Healthy; 3]);
    assert!(!raft.audited_read);
}

#[tokio::test]
async fn the_client_tells_what_a_voter_goes_through_with_an_empty_disk() {
    let (lab, now, remote) = site(54).await;
    lab.with(|world| {
        fault(world, SIDECAR_STUCK, true);
        stopped(world, "vault-1");
    });
    assert_eq!(seen(&remote).await.voters[1].verdict, V::Down);
    lab.with(|world| started(world, "vault-1", "empty"));
    assert_eq!(seen(&remote).await.voters[1].verdict, V::Joining);
    later(&lab, &now, 8);
    assert_eq!(seen(&remote).await.voters[1].verdict, V::Sealed);
    lab.with(|world| fault(world, SIDECAR_STUCK, false));
    later(&lab, &now, 20);
    let back = seen(&remote).await.voters[1].clone();
    assert!(back.healthy && back.caught_up && back.is_voter, "{back:?}");
}

/// A snapshot into `a` there, its copy into `b`.
fn saved_to(dir: &std::path::Path) -> Call<String> {
    let place = |name: &str| Arg::Text(dir.join(name).display().to_string());
    let args =
        [("dir", place("a")), ("copy_to", place("b")), ("temporary", Arg::Text("/nowhere".into()))];
    Call {
        verb: "vault.snapshot_save".into(),
        args: args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// An entry is committed a moment before it is applied: a snapshot that lacks it is taken again, and
/// one that lacks it each time is none.
#[tokio::test]
async fn a_snapshot_that_ends_too_early_is_taken_again() {
    let (lab, _now, remote) = site(5).await;
    let dir = tempfile::tempdir().unwrap();
    let call = saved_to(dir.path());
    let pins = remote.identities().await;
    let moved = |by: i64| {
        lab.with(|world| {
            let led = world.vault.led.as_mut().unwrap();
            led.base = led.base.checked_add_signed(by).unwrap();
        });
    };
    for (heals, notes) in [(true, 1), (false, 2)] {
        let proposal = resolve(&remote, &pins, &call).await.unwrap();
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (lab, theirs) = (lab.clone(), Arc::clone(&told));
        let say = move |_, text: String| {
            let by = match text.as_str() {
                t if t.starts_with("commit index before") => -5,
                t if t.ends_with("it is taken again") && heals => 5,
                _ => 0,
            };
            lab.with(|world| {
                let led = world.vault.led.as_mut().unwrap();
                led.base = led.base.checked_add_signed(by).unwrap();
            });
            theirs.lock().unwrap().push(text);
        };
        let (outcome, result) =
            execute(&remote, "run/a/b", &proposal, &(Arc::new(say) as _), Stop::never()).await;
        let again = told.lock().unwrap().iter().filter(|t| t.ends_with("taken again")).count();
        assert_eq!(again, notes, "{told:?}");
        match heals {
            true => assert!(outcome == Outcome::Ok && result["checked"] == true, "{outcome:?}"),
            false => {
                let Outcome::Failed(why) = outcome else { panic!("{outcome:?}") };
                assert!(why.contains("before the commit index"), "{why}");
                moved(5);
            }
        }
    }
}

#[tokio::test]
async fn a_snapshot_that_is_stopped_leaves_nothing() {
    let (_lab, _now, remote) = site(6).await;
    let dir = tempfile::tempdir().unwrap();
    let pins = remote.identities().await;
    let proposal = resolve(&remote, &pins, &saved_to(dir.path())).await.unwrap();
    let path = std::path::PathBuf::from(proposal.request["path"].as_str().unwrap());
    let (stops, effect) = (Stops::default(), EffectId(7));
    let (asked, part) = (stops.clone(), path.with_extension("part"));
    let say = move |_, text: String| {
        if text.starts_with("commit index before") {
            // As much of it as has come.
            std::fs::create_dir_all(part.parent().unwrap()).unwrap();
            std::fs::write(&part, b"half").unwrap();
            asked.send_replace(Some((effect, "guard quorum breached".into())));
        }
    };
    let stop = Stop::new(effect, &stops);
    let (outcome, _) = execute(&remote, "run/a/b", &proposal, &(Arc::new(say) as _), stop).await;
    let why = "stopped, no snapshot was taken: guard quorum breached".to_owned();
    assert_eq!(outcome, Outcome::Failed(why));
    for kept in ["a", "b"] {
        let left = std::fs::read_dir(dir.path().join(kept)).unwrap().count();
        assert_eq!(left, 0, "in {kept}");
    }
    assert_eq!(probe(&remote, "run/a/b", &proposal).await.0, Probed::NotDone);
}
