//! Claims and volumes.

use super::answer::{Answer, Done, Wrong, so};
use super::run::cases;
use super::things::{IMMEDIATE, PROTECTION, WAITING, claim, pod};
use super::world::World;
use serde_json::{Value, json};

cases![
    an_immediate_claim_is_bound,
    a_waiting_claim_waits_for_a_pod,
    a_retained_volume_is_released,
    a_volume_to_delete_goes_with_its_claim,
    a_released_volume_is_not_bound_again,
    a_released_volume_made_available_is_bound_again,
    a_claim_may_name_its_volume,
    a_volume_may_name_its_claim,
    a_claim_waits_for_a_volume_that_is_taken,
    a_bound_volume_is_protected,
    what_of_a_claim_cannot_change,
];

const CLAIM: &str = "persistentvolumeclaims/c";

async fn volume(w: &World, of: &Answer) -> Result<Answer, Wrong> {
    let name = of.word("/spec/volumeName");
    w.kube.get(&format!("/api/v1/persistentvolumes/{name}")).await?.code(200)
}

/// A volume that nobody provisioned, named after the case.
async fn by_hand(w: &World, spec: Value) -> Result<String, Wrong> {
    let mut body = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": w.ns},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": WAITING,
            "csi": {"driver": "csi.proxmox.sinextra.dev", "volumeHandle": format!("pve/pve/local-lvm/{}", w.ns)},
        },
    });
    super::world::merge(&mut body["spec"], spec);
    w.kube.post("/api/v1/persistentvolumes", &body).await?.code(201)?;
    Ok(format!("/api/v1/persistentvolumes/{}", w.ns))
}

async fn an_immediate_claim_is_bound(w: &World) -> Done {
    w.make_claim("c", IMMEDIATE).await?.has(&json!({
        "metadata": {"finalizers": [PROTECTION]},
        "spec": {"volumeName": "$absent", "volumeMode": "Filesystem"},
        "status": {"phase": "Pending"},
    }))?;
    let bound = w.bound("c").await?.has(&json!({
        "metadata": {"annotations": {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
            "volume.kubernetes.io/storage-provisioner": "nfs.csi.k8s.io",
        }},
        "status": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}},
    }))?;
    let volume = volume(w, &bound).await?.has(&json!({
        "metadata": {
            "name": format!("pvc-{}", bound.uid()), "finalizers": ["kubernetes.io/pv-protection"],
            "annotations": {"pv.kubernetes.io/provisioned-by": "nfs.csi.k8s.io"},
        },
        "spec": {
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": w.ns,
                "name": "c", "uid": bound.uid(),
            },
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": IMMEDIATE,
            "csi": {"driver": "nfs.csi.k8s.io", "volumeHandle": "$any"},
        },
        "status": {"phase": "Bound", "lastPhaseTransitionTime": "$any"},
    }))?;
    so(volume.uid() != bound.uid(), "a UID of its own", volume.uid())
}

/// Only then it has a node, and that is where its volume is made.
async fn a_waiting_claim_waits_for_a_pod(w: &World) -> Done {
    own_class(w, "csi.proxmox.sinextra.dev", "WaitForFirstConsumer").await?;
    w.make_claim("c", &w.ns).await?;
    w.stays("it waits", async || {
        w.kube.get(&w.core(CLAIM)).await?.code(200)?.has(&json!({
            "spec": {"volumeName": "$absent"}, "status": {"phase": "Pending"},
            "metadata": {"annotations": "$absent"},
        }))?;
        Ok(())
    })
    .await?;
    let events = w.core("events?fieldSelector=involvedObject.name%3Dc");
    let look = async || {
        w.kube.get(&events).await?.code(200)?.has(&json!({"items": [{
            "reason": "WaitForFirstConsumer", "type": "Normal",
            "message": "waiting for first consumer to be created before binding",
        }]}))
    };
    w.eventually("its event", look).await?;
    let placed = w.make_pod("p", Some("c")).await?;
    w.bound("c").await?.has(&json!({"metadata": {"annotations": {
        // Not the provisioner's name: a quick provisioner is done before it is written.
        "volume.kubernetes.io/selected-node": placed.word("/spec/nodeName"),
    }}}))?;
    Ok(())
}

/// A class of the case's own: what is free in a class that others use is taken by their
/// claims and pods.
async fn own_class(w: &World, provisioner: &str, binding: &str) -> Result<(), Wrong> {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": w.ns},
        "provisioner": provisioner, "reclaimPolicy": "Retain", "volumeBindingMode": binding,
    });
    w.kube.post("/apis/storage.k8s.io/v1/storageclasses", &class).await?.code(201)?;
    Ok(())
}

/// Makes a claim, deletes it, and gives its UID and its volume's path, released.
async fn released(w: &World, class: &str) -> Result<(String, String), Wrong> {
    w.make_claim("c", class).await?;
    let bound = w.bound("c").await?;
    let path = format!("/api/v1/persistentvolumes/{}", bound.word("/spec/volumeName"));
    w.kube.delete(&w.core(CLAIM)).await?.code(200)?;
    w.gone(&w.core(CLAIM)).await?;
    w.becomes(&path, json!({"status": {"phase": "Released"}})).await?;
    Ok((bound.uid(), path))
}

/// It goes on to name the claim that is no more, by its UID.
async fn a_retained_volume_is_released(w: &World) -> Done {
    let (uid, path) = released(w, IMMEDIATE).await?;
    w.stays("released", async || {
        w.kube.get(&path).await?.code(200)?.has(&json!({
            "spec": {"claimRef": {"namespace": w.ns, "name": "c", "uid": uid}},
            "status": {"phase": "Released"},
            "metadata": {"deletionTimestamp": "$absent"},
        }))?;
        Ok(())
    })
    .await?;
    // With nothing bound to it, its deletion is a matter of moments.
    w.kube.delete(&path).await?.code(200)?.has(&json!({"kind": "PersistentVolume"}))?;
    w.gone(&path).await
}

async fn a_volume_to_delete_goes_with_its_claim(w: &World) -> Done {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": w.ns},
        "provisioner": "csi.proxmox.sinextra.dev",
    });
    let made = w.kube.post("/apis/storage.k8s.io/v1/storageclasses", &class).await?.code(201)?;
    // What a class does not say.
    made.has(&json!({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}))?;
    w.make("persistentvolumeclaims", &claim("c", &w.ns)).await?;
    let bound = w.bound("c").await?;
    let path = format!("/api/v1/persistentvolumes/{}", bound.word("/spec/volumeName"));
    w.kube.get(&path).await?.code(200)?.has(&json!({
        "spec": {"persistentVolumeReclaimPolicy": "Delete"},
    }))?;
    w.kube.delete(&w.core(CLAIM)).await?.code(200)?;
    w.gone(&w.core(CLAIM)).await?;
    w.gone(&path).await
}

/// A claim of the same name is another claim: it gets a volume of its own.
async fn a_released_volume_is_not_bound_again(w: &World) -> Done {
    let (uid, path) = released(w, IMMEDIATE).await?;
    w.make_claim("c", IMMEDIATE).await?;
    let new = w.bound("c").await?;
    so(new.uid() != uid && !path.ends_with(&new.word("/spec/volumeName")), "new", new.text())?;
    w.stays("the old volume is of the old claim", async || {
        w.kube.get(&path).await?.code(200)?.has(&json!({
            "spec": {"claimRef": {"uid": uid}}, "status": {"phase": "Released"},
        }))?;
        Ok(())
    })
    .await
}

/// Without the UID of the old claim it is that claim's for whoever has the name.
async fn a_released_volume_made_available_is_bound_again(w: &World) -> Done {
    own_class(w, "nfs.csi.k8s.io", "Immediate").await?;
    let (old, path) = released(w, &w.ns).await?;
    let free = json!({"spec": {"claimRef": null}});
    w.kube.merge(&path, &free).await?.code(200)?;
    w.becomes(&path, json!({"status": {"phase": "Available"}})).await?;
    let mut body = claim("c", &w.ns);
    body["spec"]["volumeName"] = json!(path.rsplit('/').next());
    let new = w.make("persistentvolumeclaims", &body).await?.uid();
    w.bound("c").await?;
    w.becomes(
        &path,
        json!({
            "spec": {"claimRef": {"uid": new}}, "status": {"phase": "Bound"},
        }),
    )
    .await?;
    so(new != old, "another claim", new)
}

/// Nobody has to wait for a pod then.
async fn a_claim_may_name_its_volume(w: &World) -> Done {
    // Of a mode that no other claim asks for: a volume that anybody may have is taken by the
    // pods of other cases.
    let mode = json!(["ReadOnlyMany"]);
    let path = by_hand(w, json!({"accessModes": mode})).await?;
    w.becomes(&path, json!({"status": {"phase": "Available"}})).await?;
    let mut body = claim("c", WAITING);
    body["spec"]["accessModes"] = mode;
    body["spec"]["volumeName"] = json!(w.ns);
    let uid = w.make("persistentvolumeclaims", &body).await?.uid();
    w.bound("c").await?.has(&json!({"spec": {"volumeName": w.ns}, "metadata": {"annotations": {
        "pv.kubernetes.io/bind-completed": "yes",
    }}}))?;
    w.becomes(&path, json!({"spec": {"claimRef": {"uid": uid}}, "status": {"phase": "Bound"}}))
        .await?;
    Ok(())
}

/// By name; the UID is filled in when that claim comes. Another one does not get it.
async fn a_volume_may_name_its_claim(w: &World) -> Done {
    let path = by_hand(w, json!({"claimRef": {"namespace": w.ns, "name": "c"}})).await?;
    w.becomes(&path, json!({"status": {"phase": "Available"}})).await?;
    w.make_claim("d", WAITING).await?;
    w.stays("another claim waits", async || {
        w.kube.get(&path).await?.code(200)?.has(&json!({
            "spec": {"claimRef": {"name": "c", "uid": "$absent"}},
        }))?;
        Ok(())
    })
    .await?;
    let uid = w.make_claim("c", WAITING).await?.uid();
    w.bound("c").await?.has(&json!({"spec": {"volumeName": w.ns}}))?;
    w.becomes(&path, json!({"spec": {"claimRef": {"name": "c", "uid": uid}}})).await?;
    Ok(())
}

async fn a_claim_waits_for_a_volume_that_is_taken(w: &World) -> Done {
    w.make_claim("c", IMMEDIATE).await?;
    let bound = w.bound("c").await?;
    let mut body = claim("d", IMMEDIATE);
    body["spec"]["volumeName"] = bound.body["spec"]["volumeName"].clone();
    w.make("persistentvolumeclaims", &body).await?;
    w.stays("it waits", async || {
        w.kube.get(&w.core("persistentvolumeclaims/d")).await?.code(200)?.has(&json!({
            "status": {"phase": "Pending"},
        }))?;
        Ok(())
    })
    .await?;
    volume(w, &bound).await?.has(&json!({"spec": {"claimRef": {"uid": bound.uid()}}}))?;
    Ok(())
}

/// Deleted while bound, it stays until its claim is gone.
async fn a_bound_volume_is_protected(w: &World) -> Done {
    w.make_claim("c", IMMEDIATE).await?;
    let bound = w.bound("c").await?;
    let path = format!("/api/v1/persistentvolumes/{}", bound.word("/spec/volumeName"));
    let waiting = json!({"metadata": {
        "deletionTimestamp": "$any", "finalizers": ["kubernetes.io/pv-protection"],
    }});
    w.kube.delete(&path).await?.code(200)?.has(&waiting)?;
    w.stays("the volume", async || {
        w.kube.get(&path).await?.code(200)?.has(&waiting)?;
        w.kube.get(&w.core(CLAIM)).await?.code(200)?.has(&json!({"status": {"phase": "Bound"}}))?;
        Ok(())
    })
    .await?;
    w.kube.delete(&w.core(CLAIM)).await?.code(200)?;
    w.gone(&w.core(CLAIM)).await?;
    w.gone(&path).await
}

async fn what_of_a_claim_cannot_change(w: &World) -> Done {
    w.make_claim("c", IMMEDIATE).await?;
    w.bound("c").await?;
    let class = json!({"spec": {"storageClassName": WAITING}});
    let seen = w.kube.merge(&w.core(CLAIM), &class).await?.code(422)?.has(&json!({
        "reason": "Invalid",
        "details": {"name": "c", "kind": "PersistentVolumeClaim"},
    }))?;
    let starts = "PersistentVolumeClaim \"c\" is invalid: spec: Forbidden: spec is immutable \
                  after creation except resources.requests and volumeAttributesClassName for \
                  bound claims";
    so(seen.word("/message").starts_with(starts), starts, seen.text())?;
    // A pod does not lose its claim either.
    w.make("pods", &pod("p", Some("c"))).await?;
    let other = json!([{"op": "replace", "value": "d",
        "path": "/spec/volumes/0/persistentVolumeClaim/claimName"}]);
    w.kube.json_patch(&w.core("pods/p"), &other).await?.code(422)?;
    Ok(())
}
