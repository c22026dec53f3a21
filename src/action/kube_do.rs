//! Kubernetes: doing what a proposal says, and looking whether it was done.

use crate::action::kube::{PROTECTION, client, within};
use crate::action::{Ended, Say, Seen, Stop, add_up, failed};
use crate::event::{Outcome, Probed, Proposal, Span, Stream, Target};
use crate::remote::{Remote, Trouble};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::time::Duration;

pub(crate) async fn delete(remote: &Remote, proposal: &Proposal, say: &Say) -> Ended {
    let Ok(client) = client(remote) else {
        return (Outcome::Failed("there is no connection to the API server".into()), Value::Null);
    };
    let list =
        proposal.request.get("delete").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut done = 0;
    for (object, target) in list.iter().zip(&proposal.targets) {
        if is_going(proposal, target) {
            done += 1;
            say(Stream::Note, format!("{} {} is being deleted already", target.kind, target.name));
            continue;
        }
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let answer = delete_one(client, object, namespace).await;
        match answer {
            Ok(()) => {
                done += 1;
                say(Stream::Note, format!("{} {} is being deleted", target.kind, target.name));
            }
            // Gone meanwhile: it is what was wanted, and the verify looks at the world.
            Err(Trouble::NotFound(_)) => {
                say(Stream::Note, format!("{} {} is gone already", target.kind, target.name))
            }
            Err(e) => {
                let outcome = match failed(&e) {
                    Outcome::Failed(why) => Outcome::Failed(format!(
                        "{done} of {} done, then {}: {why}",
                        list.len(),
                        target.name
                    )),
                    other => other,
                };
                return (outcome, json!({"count": done, "at": remote.now()}));
            }
        }
    }
    (Outcome::Ok, json!({"count": done, "at": remote.now()}))
}

/// A claim that was being deleted when it was looked at: asked once more, nothing would come of
/// it. Of a pod that is so, the grace may be another one.
fn is_going(proposal: &Proposal, target: &Target) -> bool {
    let since = proposal.material.get(&format!("{}.deletionTimestamp", target.name));
    target.kind == "PersistentVolumeClaim" && since.is_some_and(|t| !t.is_null())
}

async fn delete_one(client: &Client, object: &Value, namespace: &str) -> Result<(), Trouble> {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let options = object.get("options").cloned().unwrap_or_default();
    let uid = options.pointer("/preconditions/uid").and_then(text);
    let Some(uid) = uid else {
        return Err(Trouble::Other("a delete without a UID is not sent".into()));
    };
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid), resource_version: None }),
        propagation_policy: options.get("propagationPolicy").map(|_| PropagationPolicy::Orphan),
        grace_period_seconds: options
            .get("gracePeriodSeconds")
            .and_then(Value::as_u64)
            .and_then(|g| u32::try_from(g).ok()),
        ..DeleteParams::default()
    };
    let name = object.get("name").and_then(text).unwrap_or_default();
    match object.get("resource").and_then(Value::as_str) {
        Some("pods") => of::<Pod>(client, namespace, &name, &params).await,
        Some("statefulsets") => of::<StatefulSet>(client, namespace, &name, &params).await,
        Some("persistentvolumeclaims") => {
            of::<PersistentVolumeClaim>(client, namespace, &name, &params).await
        }
        other => Err(Trouble::Other(format!("{other:?} is not deleted here"))),
    }
}

async fn of<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    params: &DeleteParams,
) -> Result<(), Trouble>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    within(Api::<K>::namespaced(client.clone(), namespace).delete(name, params)).await.map(|_| ())
}

/// Metadata of a target as it is now; `None` when there is no object of that name.
async fn now(client: &Client, t: &Target) -> Result<Option<ObjectMeta>, Trouble> {
    let namespace = t.namespace.as_deref().unwrap_or_default();
    match t.kind.as_str() {
        "Pod" => within(Api::<Pod>::namespaced(client.clone(), namespace).get_opt(&t.name))
            .await
            .map(|o| o.map(|o| o.metadata)),
        "StatefulSet" => {
            within(Api::<StatefulSet>::namespaced(client.clone(), namespace).get_opt(&t.name))
                .await
                .map(|o| o.map(|o| o.metadata))
        }
        _ => within(
            Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace).get_opt(&t.name),
        )
        .await
        .map(|o| o.map(|o| o.metadata)),
    }
}

pub(crate) async fn probe_deleted(remote: &Remote, proposal: &Proposal) -> Seen {
    let mut seen = Vec::new();
    for t in &proposal.targets {
        let answer = match client(remote) {
            Ok(client) => now(client, t).await,
            Err(e) => Err(Trouble::Unreachable(e)),
        };
        seen.push(match answer {
            Ok(None) => (true, format!("{} is gone", t.name)),
            Ok(Some(meta)) if meta.uid != t.uid => (true, format!("{} is a new object", t.name)),
            // A claim in use stays until its pod goes; being deleted is all that was asked.
            Ok(Some(meta)) if meta.deletion_timestamp.is_some() => {
                (true, format!("{} is being deleted", t.name))
            }
            Ok(Some(_)) => (false, format!("{} is as it was", t.name)),
            Err(e) => return (Probed::Unknown, e.to_string(), Value::Null),
        });
    }
    let (verdict, why) = add_up(&seen);
    (verdict, why, json!({"count": seen.len(), "at": remote.now()}))
}

pub(crate) async fn unprotect(remote: &Remote, proposal: &Proposal, say: &Say) -> Ended {
    let Ok(client) = client(remote) else {
        return (Outcome::Failed("there is no connection to the API server".into()), Value::Null);
    };
    let list = proposal.request.get("patch").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut done = 0;
    for (object, t) in list.iter().zip(&proposal.targets) {
        let patch = object.get("patch").cloned().unwrap_or_default();
        let patch = match serde_json::from_value(patch) {
            Ok(patch) => Patch::Json::<()>(patch),
            Err(e) => return (Outcome::Failed(e.to_string()), Value::Null),
        };
        let api: Api<PersistentVolumeClaim> =
            Api::namespaced(client.clone(), t.namespace.as_deref().unwrap_or_default());
        match within(api.patch(&t.name, &PatchParams::default(), &patch)).await {
            Ok(_) | Err(Trouble::NotFound(_)) => {
                done += 1;
                say(Stream::Note, format!("{} is free to go", t.name));
            }
            Err(e) => return (failed(&e), json!({"count": done, "at": remote.now()})),
        }
    }
    (Outcome::Ok, json!({"count": done, "at": remote.now()}))
}

pub(crate) async fn probe_unprotected(remote: &Remote, proposal: &Proposal) -> Seen {
    let mut seen = Vec::new();
    for t in &proposal.targets {
        let answer = match client(remote) {
            Ok(client) => now(client, t).await,
            Err(e) => Err(Trouble::Unreachable(e)),
        };
        seen.push(match answer {
            Ok(None) => (true, format!("{} is gone", t.name)),
            Ok(Some(meta)) if meta.uid != t.uid => (true, format!("{} is a new object", t.name)),
            Ok(Some(meta)) => {
                let held = meta.finalizers.iter().flatten().any(|f| f == PROTECTION);
                (
                    !held,
                    format!(
                        "{} is {}",
                        t.name,
                        if held { "still protected" } else { "free to go" }
                    ),
                )
            }
            Err(e) => return (Probed::Unknown, e.to_string(), Value::Null),
        });
    }
    let (verdict, why) = add_up(&seen);
    (verdict, why, json!({"count": seen.len(), "at": remote.now()}))
}

async fn waited(remote: &Remote, proposal: &Proposal) -> Result<bool, Trouble> {
    let client = client(remote).map_err(Trouble::Unreachable)?;
    let Some(t) = proposal.targets.first() else { return Ok(false) };
    let api: Api<Pod> = Api::namespaced(client.clone(), t.namespace.as_deref().unwrap_or_default());
    let pod = within(api.get_opt(&t.name)).await?;
    let deleted = proposal.request.get("until").and_then(Value::as_str) == Some("deleted");
    Ok(match pod {
        None => deleted,
        Some(_) if deleted => false,
        Some(p) => {
            let conditions = p.status.and_then(|s| s.conditions).unwrap_or_default();
            conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
        }
    })
}

pub(crate) async fn wait(remote: &Remote, proposal: &Proposal, mut stop: Stop) -> Ended {
    tokio::select! {
        ended = comes(remote, proposal) => ended,
        why = stop.asked() => (Outcome::Failed(format!("not waited for any longer: {why}")), Value::Null),
    }
}

async fn comes(remote: &Remote, proposal: &Proposal) -> Ended {
    let within =
        proposal.request.get("within").and_then(Value::as_str).and_then(|s| s.parse::<Span>().ok());
    let end = tokio::time::Instant::now() + within.unwrap_or_default().duration();
    loop {
        match waited(remote, proposal).await {
            Ok(true) => return (Outcome::Ok, json!({"at": remote.now()})),
            Ok(false) | Err(Trouble::Unreachable(_)) if tokio::time::Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok(false) => return (Outcome::Failed("it did not come in time".into()), Value::Null),
            Err(e) => return (Outcome::Failed(e.to_string()), Value::Null),
        }
    }
}

pub(crate) async fn probe_wait(remote: &Remote, proposal: &Proposal) -> Seen {
    match waited(remote, proposal).await {
        Ok(true) => (Probed::Done, "it is so".into(), json!({"at": remote.now()})),
        Ok(false) => (Probed::NotDone, "it is not so yet".into(), Value::Null),
        Err(e) => (Probed::Unknown, e.to_string(), Value::Null),
    }
}
