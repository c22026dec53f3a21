//! Many lives with all that can happen: what must hold in each, and that each gets well.

use super::*;
use crate::event::Span;
use crate::lab::Chance;

/// Only what a careful operator does: a disk is given up while the other two are level.
fn level(world: &World, but: &str) -> bool {
    let all = voters(world);
    let most = all.iter().map(|v| v.applied).max();
    let others = all.iter().filter(|v| v.name != but);
    let level =
        others.into_iter().all(|v| v.unsealed && v.votes && v.applied + 2 > most.unwrap_or(0));
    level && leader(world).is_some() && world.faults.is_empty()
}

/// Faults after which all is as it was: what was lost for good does not get well by itself.
fn passing() -> Vec<&'static str> {
    FAULTS.into_iter().filter(|name| *name != EVERY_DISK_LOST).collect()
}

fn something(world: &mut World, chance: &mut Chance, disks: &mut u32) -> String {
    let pod = NAMES[chance.between(0, 2) as usize];
    let (disk, faults) = (world.vault.voters[pod].disk.clone(), passing());
    match chance.between(0, 9) {
        0 | 1 => {
            let name = faults[chance.between(0, faults.len() as u64 - 1) as usize];
            fault(world, name, true);
            format!("{name} on")
        }
        2..=4 => {
            let name = faults[chance.between(0, faults.len() as u64 - 1) as usize];
            fault(world, name, false);
            format!("{name} off")
        }
        5 if level(world, pod) => {
            stopped(world, pod);
            *disks += 1;
            started(world, pod, &format!("disk-{disks}-of-{pod}"));
            format!("{pod} with an empty disk")
        }
        6 => {
            stopped(world, pod);
            started(world, pod, &disk);
            format!("{pod} restarts")
        }
        7 => {
            stopped(world, pod);
            format!("{pod} stops")
        }
        8 => {
            started(world, pod, &disk);
            format!("{pod} starts")
        }
        _ => String::from("nothing"),
    }
}

/// Thousands were lived when this was written; these find what is broken later.
const LIVES: u64 = 100;

#[test]
fn every_life_keeps_what_was_written_and_gets_well() {
    for seed in 0..LIVES {
        let start: Time = "2026-04-25T16:18:00Z".parse().unwrap();
        let (mut world, mut chance) = (World::new(seed, start), Chance::new(seed + 1000));
        initialise(&mut world, &NAMES, &DISKS, (seed % 3) as usize);
        let (mut story, mut disks, mut index, mut written) = (Vec::new(), 10, 0, 0);
        let mut at = start;
        for _ in 0..40 {
            story.push(something(&mut world, &mut chance, &mut disks));
            at = at + Span(chance.between(50, 30_000));
            world.advance(at);
            if let Some(led) = &world.vault.led {
                let commit = led.commit(at);
                assert!(commit >= index, "seed {seed}: {index} then {commit}: {story:#?}");
                index = commit;
            }
            if raft::serves(&world) {
                raft::write(&mut world, |data| {
                    data.plain.insert(format!("secret/{written}"), Value::from(written));
                });
                written += 1;
            }
        }
        for name in passing() {
            fault(&mut world, name, false);
        }
        for pod in NAMES {
            let disk = world.vault.voters[pod].disk.clone();
            started(&mut world, pod, &disk);
        }
        world.advance(at + Span::secs(600));
        let truth = voters(&world);
        let well = truth.iter().all(|v| v.unsealed && v.votes && v.applied + 2 > index);
        assert!(
            well && leader(&world).is_some() && has_quorum(&world),
            "seed {seed}: {truth:#?} {story:#?}"
        );
        let same = |pod: &str| world.vault.disks[&world.vault.voters[pod].disk].data.clone();
        assert!(
            same("vault-0") == same("vault-1") && same("vault-1") == same("vault-2"),
            "seed {seed}"
        );
        let kept = |n: &u64| same("vault-0").plain.contains_key(&format!("secret/{n}"));
        assert!((0..written).all(|n| kept(&n)), "seed {seed}: a write is lost: {story:#?}");
        assert_eq!(world.next(), None, "seed {seed}: something goes on for ever");
    }
}
