//! Pods without an owner, and who takes them.

use super::answer::{Answer, Done, Wrong, so};
use super::run::cases;
use super::things::{IMMEDIATE, config, set};
use super::world::World;
use serde_json::json;

cases![
    orphaned_pods_stay_as_they_are,
    a_set_adopts_what_its_selector_matches,
    a_set_leaves_what_its_selector_does_not_match,
    a_pod_whose_label_goes_is_released,
    on_delete_keeps_old_pods,
    scaling_goes_from_the_end_and_keeps_claims,
    what_of_a_set_cannot_change,
    the_status_of_a_set_counts_its_pods,
];

const SET: &str = "statefulsets/w";

/// The UIDs of pods and claims, which are to be the same before and after.
async fn uids(w: &World, replicas: u32) -> Result<Vec<String>, Wrong> {
    let mut all = Vec::new();
    for n in 0..replicas {
        all.push(w.uid(&w.core(&format!("pods/w-{n}"))).await?);
        all.push(w.uid(&w.core(&format!("persistentvolumeclaims/data-w-{n}"))).await?);
    }
    Ok(all)
}

async fn orphan(w: &World) -> Done {
    let options = json!({"propagationPolicy": "Orphan"});
    w.kube.delete_with(&w.apps(SET), options).await?.code(200)?.has(&json!({
        "kind": "StatefulSet",
        "metadata": {"finalizers": ["orphan"], "deletionTimestamp": "$any"},
    }))?;
    w.gone(&w.apps(SET)).await
}

async fn pod(w: &World, n: u32) -> Result<Answer, Wrong> {
    w.kube.get(&w.core(&format!("pods/w-{n}"))).await?.code(200)
}

/// Once the set is gone, its pods have no owner, and nothing happens to them.
async fn orphaned_pods_stay_as_they_are(w: &World) -> Done {
    let owner = w.make_set(2, "w").await?.uid();
    let before = uids(w, 2).await?;
    for n in 0..2 {
        pod(w, n).await?.has(&json!({"metadata": {"ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "w", "uid": owner,
            "controller": true, "blockOwnerDeletion": true,
        }]}}))?;
    }
    orphan(w).await?;
    w.stays("orphans", async || {
        for n in 0..2 {
            pod(w, n).await?.has(&json!({"metadata": {
                "ownerReferences": "$absent", "deletionTimestamp": "$absent",
            }}))?;
        }
        let now = uids(w, 2).await?;
        so(now == before, format!("{before:?}"), format!("{now:?}"))
    })
    .await
}

/// The new set's UID becomes their owner; they are the same pods.
async fn a_set_adopts_what_its_selector_matches(w: &World) -> Done {
    w.make_set(2, "w").await?;
    let before = uids(w, 2).await?;
    orphan(w).await?;
    let owner = w.make("statefulsets", &set(2, "w", IMMEDIATE)).await?.uid();
    for n in 0..2 {
        let wanted = json!({"metadata": {"ownerReferences": [{"uid": owner, "controller": true}]}});
        w.becomes(&w.core(&format!("pods/w-{n}")), wanted).await?;
    }
    w.stays("the same pods and claims", async || {
        let now = uids(w, 2).await?;
        so(now == before, format!("{before:?}"), format!("{now:?}"))
    })
    .await
}

/// It wants a pod of that name and cannot have it.
async fn a_set_leaves_what_its_selector_does_not_match(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let before = uids(w, 1).await?;
    orphan(w).await?;
    w.make("statefulsets", &set(1, "other", IMMEDIATE)).await?;
    w.becomes(&w.apps(SET), json!({"status": {"observedGeneration": 1, "replicas": 0}})).await?;
    w.stays("nobody's pod", async || {
        pod(w, 0).await?.has(&json!({
            "metadata": {"ownerReferences": "$absent", "labels": {"app": "w"}},
        }))?;
        let now = uids(w, 1).await?;
        so(now == before, format!("{before:?}"), format!("{now:?}"))
    })
    .await
}

/// And taken again when the label is back.
async fn a_pod_whose_label_goes_is_released(w: &World) -> Done {
    let owner = w.make_set(1, "w").await?.uid();
    let before = uids(w, 1).await?;
    let path = w.core("pods/w-0");
    let label = |to: &str| json!({"metadata": {"labels": {"app": to}}});
    w.kube.merge(&path, &label("other")).await?.code(200)?;
    w.becomes(&path, json!({"metadata": {"ownerReferences": "$absent"}})).await?;
    w.kube.merge(&path, &label("w")).await?.code(200)?;
    w.becomes(&path, json!({"metadata": {"ownerReferences": [{"uid": owner}]}})).await?;
    let now = uids(w, 1).await?;
    so(now == before, format!("{before:?}"), format!("{now:?}"))
}

/// A new template is a new revision, which only a new pod has.
async fn on_delete_keeps_old_pods(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let settled = json!({"status": {"observedGeneration": 1, "currentRevision": "$any"}});
    let old = w.becomes(&w.apps(SET), settled).await?.word("/status/currentRevision");
    let before = pod(w, 0).await?;
    let hash = before.word("/metadata/labels/controller-revision-hash");
    so(hash == old, &old, hash)?;
    let image = json!({"spec": {"template": {"spec": {"containers":
        [{"name": "c", "image": "other"}]}}}});
    w.kube.strategic(&w.apps(SET), &image).await?.code(200)?.has(&json!({
        "metadata": {"generation": 2},
    }))?;
    let seen = json!({"status": {"observedGeneration": 2, "updateRevision": "$any"}});
    let seen = w.becomes(&w.apps(SET), seen).await?;
    let new = seen.word("/status/updateRevision");
    so(new != old, format!("another revision than {old}"), seen.text())?;
    seen.has(&json!({"status": {"currentRevision": old}}))?;
    w.stays("the old pod", async || {
        pod(w, 0).await?.has(&json!({"metadata": {"uid": before.uid()}}))?;
        Ok(())
    })
    .await?;
    w.kube.delete(&w.core("pods/w-0")).await?.code(200)?;
    let after = w.replaced(&w.core("pods/w-0"), &before.uid()).await?;
    after.has(&json!({
        "metadata": {"labels": {"controller-revision-hash": new}},
        "spec": {"containers": [{"image": "other"}]},
    }))?;
    Ok(())
}

/// Claims of pods that are no more stay, and serve the pod that comes again.
async fn scaling_goes_from_the_end_and_keeps_claims(w: &World) -> Done {
    w.make_set(2, "w").await?;
    let before = uids(w, 2).await?;
    let scale = w.apps("statefulsets/w/scale");
    w.kube.get(&scale).await?.code(200)?.has(&json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": 2},
        "status": {"selector": "app=w"},
    }))?;
    let to = |n: u32| json!({"spec": {"replicas": n}});
    w.kube.merge(&scale, &to(1)).await?.code(200)?.has(&to(1))?;
    w.gone(&w.core("pods/w-1")).await?;
    let claim = w.uid(&w.core("persistentvolumeclaims/data-w-1")).await?;
    so(claim == before[3], &before[3], &claim)?;
    w.kube.merge(&scale, &to(2)).await?.code(200)?;
    w.placed("w-1").await?;
    let now = uids(w, 2).await?;
    so(now[0] == before[0] && now[2] != before[2], "only the second pod is new", &now[2])?;
    so(now[3] == before[3], "the claim of before", &now[3])
}

/// So a set is deleted and re-created where its claims' templates have to change.
async fn what_of_a_set_cannot_change(w: &World) -> Done {
    w.make("statefulsets", &set(0, "w", IMMEDIATE)).await?;
    let why = "Forbidden: updates to statefulset spec for fields other than 'replicas', \
               'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
               'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    let other = set(0, "w", super::things::WAITING);
    let claims = json!({"spec": {"volumeClaimTemplates": other["spec"]["volumeClaimTemplates"]}});
    let selector = json!({"spec": {"serviceName": "other"}});
    for change in [claims, selector] {
        w.kube.merge(&w.apps(SET), &change).await?.refused(
            422,
            "Invalid",
            &format!("StatefulSet.apps \"w\" is invalid: spec: {why}"),
            &json!({
                "name": "w", "group": "apps", "kind": "StatefulSet",
                "causes": [{"reason": "FieldValueForbidden", "message": why, "field": "spec"}],
            }),
        )?;
    }
    let mut labels = set(0, "w", IMMEDIATE);
    labels["metadata"]["name"] = json!("x");
    labels["spec"]["selector"]["matchLabels"] = json!({"app": "other"});
    w.kube.post(&w.apps("statefulsets"), &labels).await?.code(422)?.has(&json!({
        "reason": "Invalid",
        "details": {"name": "x", "group": "apps", "kind": "StatefulSet"},
    }))?;
    Ok(())
}

/// Pods count when they are there, and as ready when they say so.
async fn the_status_of_a_set_counts_its_pods(w: &World) -> Done {
    // What is not a pod does not count.
    w.make("configmaps", &config("w-1", json!({"metadata": {"labels": {"app": "w"}}}))).await?;
    w.make_set(1, "w").await?;
    let ready = |is: &str| json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": is}]}});
    let status = w.core("pods/w-0/status");
    w.kube.strategic(&status, &ready("True")).await?.code(200)?;
    w.becomes(
        &w.apps(SET),
        json!({"status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}}),
    )
    .await?;
    w.kube.strategic(&status, &ready("False")).await?.code(200)?;
    w.becomes(&w.apps(SET), json!({"status": {"replicas": 1, "readyReplicas": "$absent"}})).await?;
    Ok(())
}
