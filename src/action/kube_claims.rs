//! Which claims belong to a pod, there or gone.

use crate::action::kube::within;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::ListParams;
use kube::{Api, Client};

/// Names of the claims that a StatefulSet makes for a pod: `TEMPLATE-POD`. Of a pod that is
/// gone they are all that can be told; a claim whose name merely ends alike may be another's.
async fn templates_of(client: &Client, namespace: &str, pod: &str) -> Result<Vec<String>, String> {
    let set = pod.rsplit_once('-').filter(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
    let Some((set, _)) = set else { return Err("its name is not of a StatefulSet".into()) };
    let found = within(Api::<StatefulSet>::namespaced(client.clone(), namespace).get_opt(set))
        .await
        .map_err(|e| e.to_string())?;
    let Some(found) = found else {
        return Err(format!("there is no StatefulSet {set}"));
    };
    let templates = found.spec.and_then(|s| s.volume_claim_templates).unwrap_or_default();
    let names = templates.into_iter().filter_map(|t| t.metadata.name);
    Ok(names.map(|t| format!("{t}-{pod}")).collect())
}

fn mounts(pod: Pod) -> impl Iterator<Item = String> {
    let volumes = pod.spec.into_iter().flat_map(|s| s.volumes.unwrap_or_default());
    volumes.filter_map(|v| v.persistent_volume_claim).map(|c| c.claim_name)
}

/// The claims of a pod, if they are its alone and its StatefulSet makes them anew.
pub(crate) async fn claims_to_delete(
    client: &Client,
    namespace: &str,
    pod: &str,
) -> Result<Vec<PersistentVolumeClaim>, String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default();
    // All at once: the less time lies between a look and what follows from it, the better.
    let (claims, made, pods) = tokio::join!(
        claims_of(client, namespace, pod),
        templates_of(client, namespace, pod),
        within(api.list(&params))
    );
    let claims = claims?;
    let names: Vec<&str> = claims.iter().filter_map(|c| c.metadata.name.as_deref()).collect();
    let made = made.map_err(|why| {
        format!(
            "pod {namespace}/{pod}: {why}, so nothing makes {} anew; delete by hand what is to go",
            names.join(", ")
        )
    })?;
    let others: Vec<_> = names.iter().filter(|n| !made.iter().any(|m| m == *n)).copied().collect();
    if !others.is_empty() {
        return Err(format!(
            "not of the templates of the StatefulSet of {namespace}/{pod}: {}; nothing makes them \
             anew. Take them out of the pod, or delete by hand what is to go",
            others.join(", ")
        ));
    }
    let mut shared = Vec::new();
    for other in pods.map_err(|e| e.to_string())?.items {
        let name = other.metadata.name.clone().unwrap_or_default();
        let phase = other.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
        if name == pod || matches!(phase, "Succeeded" | "Failed") {
            continue;
        }
        let too = mounts(other).filter(|c| names.contains(&c.as_str()));
        shared.extend(too.map(|c| format!("{c} by {name}")));
    }
    if !shared.is_empty() {
        return Err(format!(
            "mounted by another pod of {namespace} too: {}; stop that pod first, or delete the \
             claims by hand",
            shared.join(", ")
        ));
    }
    Ok(claims)
}

/// The claims of a pod: those that it mounts; where the pod is gone, those that its StatefulSet
/// made for it.
pub(crate) async fn claims_of(
    client: &Client,
    namespace: &str,
    pod: &str,
) -> Result<Vec<PersistentVolumeClaim>, String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default();
    let (found, all) = tokio::join!(within(pods.get_opt(pod)), within(claims.list(&params)));
    let (found, all) = (found.map_err(|e| e.to_string())?, all.map_err(|e| e.to_string())?.items);
    let names: Vec<String> = match found {
        Some(p) => mounts(p).collect(),
        None => templates_of(client, namespace, pod).await.map_err(|why| {
            format!(
                "pod {namespace}/{pod} is gone, and {why}: which claims were its cannot be told; \
                 wait until the pod is back, or delete the claims by hand"
            )
        })?,
    };
    let its =
        |c: &PersistentVolumeClaim| c.metadata.name.as_ref().is_some_and(|n| names.contains(n));
    let claims: Vec<_> = all.into_iter().filter(its).collect();
    if claims.is_empty() {
        return Err(format!("pod {namespace}/{pod} has no claims; look at the storage pane"));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::kube::client;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::{Value, json};

    const OF_VAULT: &str = "/api/v1/namespaces/v/persistentvolumeclaims";

    /// What belongs to `vault-1`, which is there or gone.
    async fn claims(pod: Option<Value>, set: Option<Value>) -> Result<Vec<String>, String> {
        let of = |found: &Option<Value>| match found {
            Some(object) => Reply::Json(200, object.clone()),
            None => Reply::Json(
                404,
                json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "no", "code": 404}),
            ),
        };
        let names = ["data-vault-1", "audit-vault-1", "data-dev-vault-1", "data-vault-10", "other"];
        let items: Vec<_> = names.iter().map(|n| json!({"metadata": {"name": n}})).collect();
        let api = Responder::start(move |asked, _| match asked.strip_prefix("GET ") {
            Some("/api/v1/namespaces/v/pods/vault-1") => of(&pod),
            Some("/apis/apps/v1/namespaces/v/statefulsets/vault") => of(&set),
            Some(path) if path.starts_with(OF_VAULT) => {
                Reply::Json(200, json!({"metadata": {}, "items": items}))
            }
            _ => Reply::Json(500, json!({})),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let found = claims_of(client(&remote)?, "v", "vault-1").await?;
        Ok(found.into_iter().filter_map(|c| c.metadata.name).collect())
    }

    #[tokio::test]
    async fn claims_of_a_pod_are_those_that_it_mounts_or_its_set_made() {
        let mounts = json!({"spec": {"containers": [], "volumes": [
            {"name": "x", "persistentVolumeClaim": {"claimName": "other"}}]}});
        let set = json!({"spec": {"selector": {}, "template": {}, "volumeClaimTemplates": [
            {"metadata": {"name": "data"}}, {"metadata": {"name": "audit"}}]}});
        assert_eq!(claims(Some(mounts), None).await.unwrap(), ["other"]);
        let made = claims(None, Some(set)).await.unwrap();
        assert_eq!(made, ["data-vault-1", "audit-vault-1"]);
        let why = claims(None, None).await.unwrap_err();
        assert!(why.contains("no StatefulSet vault") && why.contains("by hand"), "{why}");
    }

    /// What may be deleted of `vault-1`, that mounts this, beside another pod that mounts that.
    async fn deletes(mounts: &[&str], others: &str, phase: &str) -> Result<usize, String> {
        let pod = |name: &str, claims: &[&str], phase: &str| {
            let volumes: Vec<_> = claims
                .iter()
                .map(|c| json!({"name": c, "persistentVolumeClaim": {"claimName": c}}))
                .collect();
            json!({"metadata": {"name": name}, "status": {"phase": phase},
                "spec": {"containers": [], "volumes": volumes}})
        };
        let (its, other) = (pod("vault-1", mounts, "Running"), pod("copier", &[others], phase));
        let set = json!({"spec": {"selector": {}, "template": {}, "volumeClaimTemplates": [
            {"metadata": {"name": "data"}}]}});
        let claims: Vec<_> =
            ["data-vault-1", "other"].map(|n| json!({"metadata": {"name": n}})).into();
        let api = Responder::start(move |asked, _| match asked.strip_prefix("GET ") {
            Some("/api/v1/namespaces/v/pods/vault-1") => Reply::Json(200, its.clone()),
            Some("/apis/apps/v1/namespaces/v/statefulsets/vault") => Reply::Json(200, set.clone()),
            Some(path) if path.starts_with(OF_VAULT) => {
                Reply::Json(200, json!({"metadata": {}, "items": claims}))
            }
            Some(path) if path.starts_with("/api/v1/namespaces/v/pods") => {
                Reply::Json(200, json!({"metadata": {}, "items": [its, other]}))
            }
            _ => Reply::Json(500, json!({})),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        Ok(claims_to_delete(client(&remote)?, "v", "vault-1").await?.len())
    }

    #[tokio::test]
    async fn a_claim_that_another_needs_or_nobody_makes_anew_is_not_deleted() {
        assert_eq!(deletes(&["data-vault-1"], "other", "Running").await, Ok(1));
        assert_eq!(deletes(&["data-vault-1"], "data-vault-1", "Succeeded").await, Ok(1));
        let why = deletes(&["data-vault-1"], "data-vault-1", "Running").await.unwrap_err();
        assert!(why.contains("data-vault-1 by copier") && why.contains("stop that pod"), "{why}");
        let why = deletes(&["data-vault-1", "other"], "x", "Running").await.unwrap_err();
        assert!(why.contains("templates") && why.contains(": other;"), "{why}");
    }
}
