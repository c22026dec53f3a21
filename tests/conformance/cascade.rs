//! What goes with its owner, and in which order.

use super::answer::Done;
use super::run::cases;
use super::things::{config, pod};
use super::world::World;
use serde_json::json;

cases![
    in_the_background_the_owner_goes_first,
    in_the_foreground_the_owner_goes_last,
    a_deletion_takes_what_an_absent_owner_owned,
    a_pod_goes_after_its_grace,
    a_pod_with_a_finalizer_waits_for_it,
    claims_stay_when_their_set_goes,
];

const SET: &str = "statefulsets/w";

/// The answer is a Status: the set is gone at once, its pods later.
async fn in_the_background_the_owner_goes_first(w: &World) -> Done {
    let uid = w.make_set(2, "w").await?.uid();
    w.kube.delete(&w.apps(SET)).await?.code(200)?.is(&json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "w", "group": "apps", "kind": "statefulsets", "uid": uid},
    }))?;
    w.kube.get(&w.apps(SET)).await?.code(404)?;
    w.gone(&w.core("pods/w-0")).await?;
    w.gone(&w.core("pods/w-1")).await
}

/// It stays, terminating, until the last pod is gone.
async fn in_the_foreground_the_owner_goes_last(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let held = json!({"metadata": {"finalizers": ["example.net/hold"]}});
    w.kube.merge(&w.core("pods/w-0"), &held).await?.code(200)?;
    let options = json!({"propagationPolicy": "Foreground"});
    let waiting = json!({"metadata": {
        "deletionTimestamp": "$any", "finalizers": ["foregroundDeletion"],
    }});
    w.kube.delete_with(&w.apps(SET), options).await?.code(200)?.has(&waiting)?;
    w.becomes(&w.core("pods/w-0"), json!({"metadata": {"deletionTimestamp": "$any"}})).await?;
    w.stays("the set waits for its pod", async || {
        w.kube.get(&w.apps(SET)).await?.code(200)?.has(&waiting)?;
        Ok(())
    })
    .await?;
    let free = json!({"metadata": {"finalizers": null}});
    w.kube.merge(&w.core("pods/w-0"), &free).await?.code(200)?;
    w.gone(&w.core("pods/w-0")).await?;
    w.gone(&w.apps(SET)).await
}

/// Who has an owner that does not exist is collected.
async fn a_deletion_takes_what_an_absent_owner_owned(w: &World) -> Done {
    let owner = w.make("configmaps", &config("owner", json!({}))).await?.uid();
    let owned = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner},
    ]}});
    w.make("configmaps", &config("owned", owned)).await?;
    let mut held = pod("held", None);
    held["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}]);
    w.make("pods", &held).await?;
    w.make("configmaps", &config("free", json!({}))).await?;
    w.kube.delete(&w.core("configmaps/owner")).await?.code(200)?;
    w.gone(&w.core("configmaps/owned")).await?;
    w.gone(&w.core("pods/held")).await?;
    w.kube.get(&w.core("configmaps/free")).await?.code(200)?;
    Ok(())
}

/// With a node, a pod is deleted with its grace period; with none left, it is gone at once.
async fn a_pod_goes_after_its_grace(w: &World) -> Done {
    let mut slow = pod("slow", None);
    slow["spec"]["terminationGracePeriodSeconds"] = json!(30);
    slow["metadata"]["finalizers"] = json!(["example.net/hold"]);
    w.make("pods", &slow).await?;
    let placed = w.placed("slow").await?;
    w.kube.delete(&w.core("pods/slow")).await?.code(200)?.has(&json!({
        "kind": "Pod",
        "metadata": {
            "uid": placed.uid(), "deletionTimestamp": "$any", "deletionGracePeriodSeconds": 30,
        },
    }))?;
    w.kube.merge(&w.core("pods/slow"), &json!({"metadata": {"finalizers": null}})).await?;
    w.gone(&w.core("pods/slow")).await?;
    w.make_pod("fast", None).await?;
    let now = json!({"gracePeriodSeconds": 0});
    w.kube.delete_with(&w.core("pods/fast"), now).await?.code(200)?.has(&json!({
        "kind": "Pod", "metadata": {"deletionGracePeriodSeconds": 0},
    }))?;
    w.kube.get(&w.core("pods/fast")).await?.code(404)?;
    // Without a node there is nobody to wait for.
    let mut gated = pod("gated", None);
    gated["spec"]["schedulingGates"] = json!([{"name": "example.net/wait"}]);
    gated["spec"]["terminationGracePeriodSeconds"] = json!(30);
    w.make("pods", &gated).await?;
    w.kube.delete(&w.core("pods/gated")).await?.code(200)?;
    w.kube.get(&w.core("pods/gated")).await?.code(404)?;
    Ok(())
}

/// Its name is taken until then: nobody makes the next one.
async fn a_pod_with_a_finalizer_waits_for_it(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let path = w.core("pods/w-0");
    let held = json!({"metadata": {"finalizers": ["example.net/hold"]}});
    let uid = w.kube.merge(&path, &held).await?.code(200)?.uid();
    w.kube.delete(&path).await?.code(200)?;
    w.stays("the old pod, terminating", async || {
        w.kube.get(&path).await?.code(200)?.has(&json!({
            "metadata": {"uid": uid, "deletionTimestamp": "$any"},
        }))?;
        Ok(())
    })
    .await?;
    let free = json!({"metadata": {"finalizers": null}});
    w.kube.merge(&path, &free).await?.code(200)?;
    w.replaced(&path, &uid).await?;
    Ok(())
}

async fn claims_stay_when_their_set_goes(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let claim = w.core("persistentvolumeclaims/data-w-0");
    let uid = w.uid(&claim).await?;
    w.kube.delete(&w.apps(SET)).await?.code(200)?;
    w.gone(&w.core("pods/w-0")).await?;
    w.stays("the claim", async || {
        w.kube.get(&claim).await?.code(200)?.has(&json!({
            "metadata": {"uid": uid, "ownerReferences": "$absent", "deletionTimestamp": "$absent"},
            "status": {"phase": "Bound"},
        }))?;
        Ok(())
    })
    .await
}
