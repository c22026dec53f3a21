//! Each verify of the shipped runbook, and the watch of its soak, earn their place: with the
//! check there the run stops at its step, with `true` in its stead it goes on.

use super::broken::{PASSES, Shown, shown, spared};
use super::{small, world};
use holdpoint::cli::lab::play::RUNBOOK;
use holdpoint::lab::World;
use holdpoint::lab::kube::{Key, kind};
use holdpoint::runbook::load;
use holdpoint::runbook::model::Does;
use serde_json::{Value, json};

macro_rules! checks {
    ($($name:ident: $check:literal of $spares:literal $(, $field:ident: $value:expr)*;)*) => {
        const CHECKS: &[&str] = &[$($check),*];
        $(#[test] fn $name() {
            shown(&Shown { $($field: $value,)* ..Shown::of($check, $spares, PASSES) });
        })*
    };
}

checks! {
    voters: "preflight/voters verify" of "preflight/voters",
        faults: &["path-lost@preflight/voters"];
    class: "preflight/class verify" of "preflight/class", params: &["target_class=proxmox-lvm"];
    unseal_key: "preflight/unseal-key verify" of "preflight/unseal-key",
        faults: &["unseal-key-in-vault"];
    controller: "preflight/controller verify" of "preflight/controller", from: rolling;
    security_context: "preflight/security-context verify" of "preflight/security-context",
        from: without_a_group;
    old_volumes: "preflight/old-volumes verify" of "preflight/old-volumes",
        faults: &["reclaim-delete"], beside: &["roll/claims kept"];
    nodes: "preflight/nodes verify" of "preflight/nodes", faults: &["attach-limit"], from: world;
    backup: "preflight/backup verify" of "preflight/backup", faults: &["backup-stale"];
    orphan: "statefulset/orphan verify" of "statefulset/orphan",
        faults: &["path-lost@statefulset/orphan"], beside: &["statefulset/orphan healthy"];
    apply: "statefulset/apply verify" of "statefulset/apply", faults: &["wrong-class"];
    adopted: "statefulset/adopted verify" of "statefulset/adopted", faults: &["missing-fsgroup"];
    step_down: "roll/step-down verify" of "roll[vault-2]/step-down", strikes: "quorum-lost";
    claims: "roll/claims verify" of "roll[vault-0]/claims", strikes: "api-outage";
    pod: "roll/pod verify" of "roll[vault-0]/pod", faults: &["pvc-protection-race"];
    unstick: "roll/unstick verify" of "roll[vault-0]/unstick", strikes: "api-outage",
        skips: &["roll/pod"];
    pod_again: "roll/pod-again verify" of "roll[vault-0]/pod-again", strikes: "api-outage",
        skips: &["roll/pod"];
    moved: "roll/moved verify" of "roll[vault-0]/moved",
        skips: &["roll/claims", "roll/pod", "roll/pod-again"];
    back: "roll/back verify" of "roll[vault-0]/back", faults: &["unseal-sidecar-stuck"];
    soak: "roll/soak watch healthy" of "roll[vault-0]/soak", faults: &["path-lost@roll/soak"];
    classes: "final/classes verify" of "final/classes",
        skips: &["roll[vault-2]/claims", "roll[vault-2]/pod", "roll[vault-2]/pod-again",
            "roll[vault-2]/moved"], beside: &["final/together verify"];
    peers: "final/peers verify" of "final/peers", faults: &["path-lost@final/peers"],
        beside: &["final/together verify"];
    kept: "final/kept verify" of "final/kept", faults: &["reclaim-delete@final/classes"],
        beside: &["final/together verify"];
    http: "final/http verify" of "final/http", faults: &["quorum-lost@final/http"],
        beside: &["guard quorum", "final/together verify"];
    together: "final/together verify" of "final/together", faults: &["reclaim-delete@final/http"];
}

/// Checks whose loss no run of an unattended operator shows, and why.
const OTHERWISE: &[(&str, &str)] = &[(
    "statefulset/applied verify",
    "the same words as of statefulset/apply, where a person applies",
)];

#[test]
fn every_check_is_shown_to_matter() {
    let book = load(RUNBOOK).unwrap().runbook;
    let mut all = Vec::new();
    for (phase, step) in book.phases.iter().flat_map(|p| p.steps.iter().map(move |s| (p, s))) {
        let at = format!("{}/{}", phase.id, step.id);
        all.extend(step.verify.as_ref().map(|_| format!("{at} verify")));
        if let Does::Soak { watch, .. } = &step.does {
            all.extend(watch.iter().map(|w| format!("{at} watch {}", w.id)));
        }
    }
    let otherwise = OTHERWISE.iter().map(|(check, _)| *check);
    let mut here: Vec<&str> = CHECKS.iter().copied().chain(otherwise).collect();
    all.sort();
    here.sort();
    assert_eq!(all, here);
    let verify = |id: &str| {
        let step = book.phases.iter().flat_map(|p| &p.steps).find(|s| s.id == id);
        step.and_then(|s| s.verify.as_ref()).unwrap().that.text.clone()
    };
    assert_eq!(verify("apply"), verify("applied"));
}

/// Vault's StatefulSet is another.
fn set(edit: impl Fn(&mut Value)) -> World {
    let mut world = small();
    let key = Key::new(kind("statefulsets.apps").unwrap(), "vault", "vault");
    world.store.update(&key, |set| edit(&mut set["spec"])).unwrap();
    world
}

fn rolling() -> World {
    set(|spec| spec["updateStrategy"] = json!({"type": "RollingUpdate"}))
}

fn without_a_group() -> World {
    set(|spec| {
        let context = &mut spec["template"]["spec"]["securityContext"];
        context.as_object_mut().unwrap().remove("fsGroup");
    })
}

/// The class's driver states no limit: a node may be at it. (Of the driver that is being left
/// nobody here states one, and every other run passes.)
#[test]
fn a_limit_that_is_not_known_is_none_that_is_kept() {
    let nodes = Shown::of("preflight/nodes verify", "preflight/nodes", PASSES);
    spared(&Shown { from: unlimited, ..nodes });
}

fn unlimited() -> World {
    let mut world = small();
    let csi = kind("csinodes.storage.k8s.io").unwrap();
    let keys: Vec<Key> = world.store.list(csi, None).map(|(key, _)| key.clone()).collect();
    assert!(!keys.is_empty());
    for key in keys {
        let free = |node: &mut Value| {
            for driver in node["spec"]["drivers"].as_array_mut().unwrap() {
                driver.as_object_mut().unwrap().remove("allocatable");
            }
        };
        world.store.update(&key, free).unwrap();
    }
    world
}
