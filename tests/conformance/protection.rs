//! Finalizers, and what holds a claim.

use super::answer::{Done, so};
use super::run::cases;
use super::things::{IMMEDIATE, OTHER_UID, PROTECTION, config, pod};
use super::world::World;
use serde_json::json;

cases![
    a_claim_in_use_stays,
    an_unused_claim_goes,
    a_pod_without_a_node_holds_no_claim,
    a_pod_that_has_ended_holds_its_claim,
    protection_comes_back,
    a_wrong_uid_deletes_no_claim,
    what_has_finalizers_stays_until_the_last_one_goes,
    one_finalizer_by_json_patch,
];

/// Deleted while a pod uses it, a claim says so, stays, and goes with the pod.
async fn a_claim_in_use_stays(w: &World) -> Done {
    let claim = w.core("persistentvolumeclaims/c");
    w.make_claim("c", IMMEDIATE).await?;
    let uid = w.bound("c").await?.uid();
    let used = w.make_pod("p", Some("c")).await?.uid();
    let terminating = json!({
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "uid": uid, "deletionTimestamp": "$any", "deletionGracePeriodSeconds": 0,
            "finalizers": [PROTECTION],
        },
        "status": {"phase": "Bound"},
    });
    w.kube.delete(&claim).await?.code(200)?.has(&terminating)?;
    w.stays("the claim is there, terminating", async || {
        w.kube.get(&claim).await?.code(200)?.has(&terminating)?;
        Ok(())
    })
    .await?;
    let row = w.kube.table(&format!("{claim}?includeObject=None")).await?.code(200)?;
    so(row.word("/rows/0/cells/1") == "Terminating", "the status Terminating", row.text())?;
    let wrong_pod = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": used}});
    w.kube.delete_with(&w.core("pods/p"), wrong_pod).await?.code(200)?;
    w.gone(&claim).await
}

/// The answer is the claim, since its protection is taken off only then.
async fn an_unused_claim_goes(w: &World) -> Done {
    let claim = w.core("persistentvolumeclaims/c");
    w.make_claim("c", IMMEDIATE).await?;
    let uid = w.bound("c").await?.uid();
    w.kube.delete(&claim).await?.code(200)?.has(&json!({
        "kind": "PersistentVolumeClaim", "metadata": {"uid": uid, "deletionTimestamp": "$any"},
    }))?;
    w.gone(&claim).await
}

/// Only a pod that has a node can be running on the claim.
async fn a_pod_without_a_node_holds_no_claim(w: &World) -> Done {
    w.make_claim("c", IMMEDIATE).await?;
    w.bound("c").await?;
    let mut gated = pod("p", Some("c"));
    gated["spec"]["schedulingGates"] = json!([{"name": "example.net/wait"}]);
    w.make("pods", &gated).await?;
    w.kube.delete(&w.core("persistentvolumeclaims/c")).await?.code(200)?;
    w.gone(&w.core("persistentvolumeclaims/c")).await?;
    w.kube.get(&w.core("pods/p")).await?.code(200)?.has(&json!({
        "spec": {"nodeName": "$absent"}, "metadata": {"deletionTimestamp": "$absent"},
    }))?;
    Ok(())
}

/// As long as there is a pod, whatever its phase.
async fn a_pod_that_has_ended_holds_its_claim(w: &World) -> Done {
    let claim = w.core("persistentvolumeclaims/c");
    w.make_claim("c", IMMEDIATE).await?;
    w.bound("c").await?;
    w.make_pod("p", Some("c")).await?;
    let ended = json!({"status": {"phase": "Succeeded"}});
    w.kube.merge(&w.core("pods/p/status"), &ended).await?.code(200)?;
    w.kube.delete(&claim).await?.code(200)?;
    w.stays("held", async || {
        w.kube.get(&claim).await?.code(200)?;
        Ok(())
    })
    .await?;
    w.kube.delete(&w.core("pods/p")).await?.code(200)?;
    w.gone(&claim).await
}

/// Taken from a claim that nobody deletes, its protection is put back.
async fn protection_comes_back(w: &World) -> Done {
    let claim = w.core("persistentvolumeclaims/c");
    w.make_claim("c", IMMEDIATE).await?.has(&json!({"metadata": {"finalizers": [PROTECTION]}}))?;
    w.bound("c").await?;
    let none = json!({"metadata": {"finalizers": null}});
    w.kube.merge(&claim, &none).await?.code(200)?.has(&json!({
        "metadata": {"finalizers": "$absent"},
    }))?;
    w.becomes(&claim, json!({"metadata": {"finalizers": [PROTECTION]}})).await?;
    Ok(())
}

async fn a_wrong_uid_deletes_no_claim(w: &World) -> Done {
    let claim = w.core("persistentvolumeclaims/c");
    w.make_claim("c", IMMEDIATE).await?;
    let uid = w.bound("c").await?.uid();
    let options = json!({"preconditions": {"uid": OTHER_UID}});
    w.kube.delete_with(&claim, options).await?.refused(
        409,
        "Conflict",
        &format!(
            "Operation cannot be fulfilled on PersistentVolumeClaim \"c\": the UID in the \
             precondition ({OTHER_UID}) does not match the UID in record ({uid}). The object \
             might have been deleted and then recreated"
        ),
        &json!({"name": "c", "kind": "PersistentVolumeClaim"}),
    )?;
    w.kube.get(&claim).await?.code(200)?.has(&json!({
        "metadata": {"uid": uid, "deletionTimestamp": "$absent"},
    }))?;
    w.kube.delete_with(&claim, json!({"preconditions": {"uid": uid}})).await?.code(200)?;
    w.gone(&claim).await
}

/// The whole life of an object with finalizers, and the answers on the way.
async fn what_has_finalizers_stays_until_the_last_one_goes(w: &World) -> Done {
    let path = w.core("configmaps/c");
    let finalizers = json!({"metadata": {"finalizers": ["example.net/one"]}});
    let made = w.make("configmaps", &config("c", finalizers)).await?;
    let first = w.kube.delete(&path).await?.code(200)?.has(&json!({
        "kind": "ConfigMap",
        "metadata": {
            "uid": made.uid(), "deletionTimestamp": "$any", "deletionGracePeriodSeconds": 0,
            "finalizers": ["example.net/one"],
        },
    }))?;
    // Once more changes nothing.
    let again = w.kube.delete(&path).await?.code(200)?;
    so(first.version() == again.version(), first.version(), again.version())?;
    let more = json!({"metadata": {"finalizers": ["example.net/one", "example.net/two"]}});
    let why = "Forbidden: no new finalizers can be added if the object is being deleted, found \
               new finalizers []string{\"example.net/two\"}";
    w.kube.merge(&path, &more).await?.code(422)?.has(&json!({
        "reason": "Invalid",
        "message": format!("ConfigMap \"c\" is invalid: metadata.finalizers: {why}"),
        "details": {"name": "c", "kind": "ConfigMap"},
    }))?;
    // The last one: the answer has the object, without it and with the version before.
    let none = json!({"metadata": {"finalizers": null}});
    w.kube.merge(&path, &none).await?.code(200)?.has(&json!({
        "metadata": {
            "uid": made.uid(), "finalizers": "$absent", "resourceVersion": first.version(),
        },
    }))?;
    w.kube.get(&path).await?.code(404)?;
    Ok(())
}

/// Tests of UID and finalizer before the removal: a foreign one is never taken.
async fn one_finalizer_by_json_patch(w: &World) -> Done {
    let path = w.core("configmaps/c");
    let finalizers = json!({"metadata": {"finalizers": ["example.net/one", "example.net/two"]}});
    let uid = w.make("configmaps", &config("c", finalizers)).await?.uid();
    w.kube.delete(&path).await?.code(200)?;
    let removal = |uid: &str, name: &str| {
        json!([
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": "/metadata/finalizers/0", "value": name},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ])
    };
    let refused = "the server rejected our request due to an error in our request";
    for wrong in [removal(OTHER_UID, "example.net/one"), removal(&uid, "example.net/two")] {
        w.kube.json_patch(&path, &wrong).await?.refused(422, "Invalid", refused, &json!({}))?;
    }
    let both = json!({"metadata": {"finalizers": ["example.net/one", "example.net/two"]}});
    w.kube.get(&path).await?.code(200)?.has(&both)?;
    w.kube.json_patch(&path, &removal(&uid, "example.net/one")).await?.code(200)?.has(&json!({
        "metadata": {"finalizers": ["example.net/two"]},
    }))?;
    w.kube.json_patch(&path, &removal(&uid, "example.net/two")).await?.code(200)?;
    w.kube.get(&path).await?.code(404)?;
    Ok(())
}
