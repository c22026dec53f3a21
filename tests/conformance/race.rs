//! The race of a StatefulSet's pod and its claims.

use super::answer::{Done, so, wrong};
use super::run::cases;
use super::things::{PROTECTION, set};
use super::world::World;
use serde_json::json;

cases![
    claims_first_then_the_pod,
    the_pod_first_then_its_claims,
    the_remedy_for_a_stuck_claim,
    a_set_without_its_claim_gets_a_new_one,
    a_new_class_comes_with_the_new_claim,
];

const POD: &str = "pods/w-0";
const CLAIM: &str = "persistentvolumeclaims/data-w-0";

/// No pod is made while its claim is being deleted: the new pod has a new claim, always.
async fn claims_first_then_the_pod(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let (pod, claim) = (w.uid(&w.core(POD)).await?, w.uid(&w.core(CLAIM)).await?);
    w.kube.delete(&w.core(CLAIM)).await?.code(200)?;
    w.kube.delete(&w.core(POD)).await?.code(200)?;
    let look = async || {
        let now = w.kube.get(&w.core(POD)).await?.code(200)?;
        so(now.uid() != pod, "another pod", now.uid())?;
        // Read after the pod: a claim that is old now was old when the pod was made.
        w.kube.get(&w.core(CLAIM)).await?.code(200)
    };
    let at = w.eventually("another pod", look).await?;
    so(at.uid() != claim, "no pod on a claim that is being deleted", at.text())?;
    w.bound("data-w-0").await?;
    Ok(())
}

/// The new pod is on the old claim, which cannot go any more.
async fn the_pod_first_then_its_claims(w: &World) -> Done {
    stuck(w).await?;
    Ok(())
}

/// Makes a pod that came back before its claim was deleted; UIDs of both.
async fn stuck(w: &World) -> Result<(String, String), super::answer::Wrong> {
    w.make_set(1, "w").await?;
    let (pod, claim) = (w.uid(&w.core(POD)).await?, w.uid(&w.core(CLAIM)).await?);
    w.kube.delete(&w.core(POD)).await?.code(200)?;
    let new = w.replaced(&w.core(POD), &pod).await?.uid();
    w.placed("w-0").await?;
    w.kube.delete(&w.core(CLAIM)).await?.code(200)?;
    w.stays("the pod is on the old claim, which terminates", async || {
        w.kube.get(&w.core(CLAIM)).await?.code(200)?.has(&json!({
            "metadata": {"uid": claim, "deletionTimestamp": "$any", "finalizers": [PROTECTION]},
        }))?;
        w.kube.get(&w.core(POD)).await?.code(200)?.has(&json!({"metadata": {"uid": new}}))?;
        Ok(())
    })
    .await?;
    Ok((new, claim))
}

/// Its one finalizer removed, the claim goes at once; the next pod gets a new one.
async fn the_remedy_for_a_stuck_claim(w: &World) -> Done {
    let (pod, claim) = stuck(w).await?;
    let remedy = json!([
        {"op": "test", "path": "/metadata/uid", "value": claim},
        {"op": "test", "path": "/metadata/finalizers/0", "value": PROTECTION},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]);
    w.kube.json_patch(&w.core(CLAIM), &remedy).await?.code(200)?;
    // The controller may have made the new claim already, but never the old one again.
    let now = w.kube.get(&w.core(CLAIM)).await?;
    so(now.code == 404 || now.uid() != claim, "the claim is gone", now.text())?;
    w.kube.get(&w.core(POD)).await?.code(200)?.has(&json!({"metadata": {"uid": pod}}))?;
    w.kube.delete(&w.core(POD)).await?.code(200)?;
    w.replaced(&w.core(POD), &pod).await?;
    let new = w.replaced(&w.core(CLAIM), &claim).await?.uid();
    let bound = w.bound("data-w-0").await?;
    so(bound.word("/spec/volumeName").ends_with(&new), format!("a volume of {new}"), bound.text())
}

/// A claim that is gone while the set has no pod is made with the next pod.
async fn a_set_without_its_claim_gets_a_new_one(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let claim = w.uid(&w.core(CLAIM)).await?;
    w.kube
        .merge(&w.apps("statefulsets/w/scale"), &json!({"spec": {"replicas": 0}}))
        .await?
        .code(200)?;
    w.gone(&w.core(POD)).await?;
    w.stays("the claim outlives its pod", async || {
        w.kube.get(&w.core(CLAIM)).await?.code(200)?.has(&json!({
            "metadata": {"uid": claim, "deletionTimestamp": "$absent"},
        }))?;
        Ok(())
    })
    .await?;
    w.kube.delete(&w.core(CLAIM)).await?.code(200)?;
    w.gone(&w.core(CLAIM)).await?;
    w.kube
        .merge(&w.apps("statefulsets/w/scale"), &json!({"spec": {"replicas": 1}}))
        .await?
        .code(200)?;
    w.placed("w-0").await?;
    let new = w.bound("data-w-0").await?;
    if new.uid() == claim { wrong("another claim", claim) } else { Ok(()) }
}

/// The migration in small: the set orphaned and re-created with another class changes no claim;
/// claims first and then the pod brings the new class.
async fn a_new_class_comes_with_the_new_claim(w: &World) -> Done {
    w.make_set(1, "w").await?;
    let (pod, claim) = (w.uid(&w.core(POD)).await?, w.uid(&w.core(CLAIM)).await?);
    let orphan = json!({"propagationPolicy": "Orphan"});
    w.kube.delete_with(&w.apps("statefulsets/w"), orphan).await?.code(200)?;
    w.gone(&w.apps("statefulsets/w")).await?;
    w.make("statefulsets", &set(1, "w", super::things::WAITING)).await?;
    w.stays("pod and claim are the old ones", async || {
        w.kube.get(&w.core(POD)).await?.code(200)?.has(&json!({"metadata": {"uid": pod}}))?;
        w.kube.get(&w.core(CLAIM)).await?.code(200)?.has(&json!({
            "metadata": {"uid": claim}, "spec": {"storageClassName": super::things::IMMEDIATE},
        }))?;
        Ok(())
    })
    .await?;
    w.kube.delete(&w.core(CLAIM)).await?.code(200)?;
    w.kube.delete(&w.core(POD)).await?.code(200)?;
    w.replaced(&w.core(CLAIM), &claim).await?;
    w.bound("data-w-0").await?.has(&json!({
        "spec": {"storageClassName": super::things::WAITING},
    }))?;
    Ok(())
}
