//! Kubernetes: lists of rows, and what is asked on demand.

use crate::observe::{Freshness, change, rows};
use crate::remote::{Remote, Trouble, trouble};
use crate::text::clean_line;
use crate::world::{Change, Rows, Secret, Source, Status, Update};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{
    Event, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret as KubeSecret,
};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass, VolumeAttachment};
use kube::api::{ListParams, LogParams, VersionMatch};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(8);

pub(crate) async fn read(remote: &Remote, source: Source, how: Freshness) -> Change {
    let client = match (&remote.kube, &remote.site.kubernetes) {
        (_, None) => {
            return Change {
                source,
                status: Status::NotConfigured,
                as_of: None,
                update: Update::Nothing,
            };
        }
        (Err(why), _) => {
            return change(source, remote.now(), Err(Trouble::Unreachable(why.clone())));
        }
        (Ok(client), _) => client,
    };
    let at = remote.now();
    let answer = update(remote, client, source, how).await;
    change(source, at, answer)
}

async fn update(
    remote: &Remote,
    client: &Client,
    source: Source,
    how: Freshness,
) -> Result<Update, Trouble> {
    let namespaces =
        remote.site.kubernetes.as_ref().map(|k| k.namespaces.as_slice()).unwrap_or_default();
    Ok(match source {
        Source::Claims => {
            let (claims, pods) = tokio::try_join!(
                list::<PersistentVolumeClaim>(Api::all(client.clone()), how),
                of_namespaces::<Pod>(client, namespaces, how)
            )?;
            Update::Claims(Rows::all(rows::claims(claims, &pods)))
        }
        Source::Volumes => {
            let volumes = list::<PersistentVolume>(Api::all(client.clone()), how).await?;
            Update::Volumes(Rows::all(volumes.into_iter().map(rows::volume).collect()))
        }
        Source::Classes => {
            let (classes, claims, volumes) = tokio::try_join!(
                list::<StorageClass>(Api::all(client.clone()), how),
                list::<PersistentVolumeClaim>(Api::all(client.clone()), how),
                list::<PersistentVolume>(Api::all(client.clone()), how)
            )?;
            Update::Classes(Rows::all(rows::classes(classes, &claims, &volumes, namespaces)))
        }
        Source::Pods => {
            let pods = of_namespaces::<Pod>(client, namespaces, how).await?;
            Update::Pods(Rows::all(pods.into_iter().map(rows::pod).collect()))
        }
        Source::Statefulsets => {
            let sets = of_namespaces::<StatefulSet>(client, namespaces, how).await?;
            Update::Statefulsets(Rows::all(sets.into_iter().map(rows::statefulset).collect()))
        }
        Source::Cronjobs => {
            let jobs = of_namespaces::<CronJob>(client, namespaces, how).await?;
            Update::Cronjobs(Rows::all(jobs.into_iter().map(rows::cronjob).collect()))
        }
        Source::Nodes => {
            let (nodes, csi, attachments) = tokio::try_join!(
                list::<Node>(Api::all(client.clone()), how),
                list::<CSINode>(Api::all(client.clone()), how),
                list::<VolumeAttachment>(Api::all(client.clone()), how)
            )?;
            Update::Nodes(Rows::all(rows::nodes(nodes, &csi, &attachments)))
        }
        Source::Secrets => Update::Secrets(Rows::all(secrets(remote, client).await?)),
        Source::Raft | Source::Http => Update::Nothing,
    })
}

async fn list<K>(api: Api<K>, how: Freshness) -> Result<Vec<K>, Trouble>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let params = match how {
        Freshness::Cached => ListParams {
            resource_version: Some("0".into()),
            version_match: Some(VersionMatch::NotOlderThan),
            ..ListParams::default()
        },
        Freshness::Quorum => ListParams::default(),
    };
    match tokio::time::timeout(DEADLINE, api.list(&params)).await {
        Ok(Ok(list)) => Ok(list.items),
        Ok(Err(e)) => Err(trouble(e)),
        Err(_) => Err(Trouble::Unreachable(format!("no answer in {} s", DEADLINE.as_secs()))),
    }
}

async fn of_namespaces<K>(
    client: &Client,
    namespaces: &[String],
    how: Freshness,
) -> Result<Vec<K>, Trouble>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let mut all = Vec::new();
    for namespace in namespaces {
        all.extend(list(Api::namespaced(client.clone(), namespace), how).await?);
    }
    Ok(all)
}

/// Existence and names of keys; the values are dropped here, before anything else sees
/// the object.
async fn secrets(remote: &Remote, client: &Client) -> Result<Vec<Secret>, Trouble> {
    let mut found = Vec::new();
    for named in &remote.site.secret {
        let api: Api<KubeSecret> = Api::namespaced(client.clone(), &named.namespace);
        let secret = match tokio::time::timeout(DEADLINE, api.get_opt(&named.name)).await {
            Ok(answer) => answer.map_err(trouble)?,
            Err(_) => return Err(Trouble::Unreachable("no answer".into())),
        };
        let mut row = Secret {
            namespace: named.namespace.clone(),
            name: named.name.clone(),
            ..Secret::default()
        };
        if let Some(secret) = secret {
            row.exists = true;
            row.uid = secret.metadata.uid.unwrap_or_default();
            row.keys = secret.data.unwrap_or_default().into_keys().collect();
        }
        found.push(row);
    }
    Ok(found)
}

/// A pod in words: its containers with their last state, then its Events.
pub async fn describe(
    remote: &Remote,
    namespace: &str,
    kind: &str,
    name: &str,
) -> Result<Vec<String>, Trouble> {
    let client = remote.kube.as_ref().map_err(|e| Trouble::Unreachable(e.clone()))?;
    let mut lines = Vec::new();
    if kind == "Pod" {
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        lines.extend(rows::describe_pod(&api.get(name).await.map_err(trouble)?));
    } else {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
        lines.extend(rows::describe_claim(&api.get(name).await.map_err(trouble)?));
    }
    lines.push("Events:".into());
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let mut events = api.list(&params).await.map_err(trouble)?.items;
    events.sort_by_key(|e| e.last_timestamp.as_ref().map(|t| t.0));
    for e in events.iter().rev().take(20) {
        let at = e.last_timestamp.as_ref().map(|t| t.0.to_string()).unwrap_or_default();
        let (reason, message) =
            (e.reason.as_deref().unwrap_or(""), e.message.as_deref().unwrap_or(""));
        lines.push(format!("  {at} {} {}", clean_line(reason), clean_line(message)));
    }
    if events.is_empty() {
        lines.push("  none".into());
    }
    Ok(lines)
}

/// The last lines of a pod's first container, of this incarnation or the one before.
pub async fn logs(
    remote: &Remote,
    namespace: &str,
    pod: &str,
    previous: bool,
) -> Result<Vec<String>, Trouble> {
    let client = remote.kube.as_ref().map_err(|e| Trouble::Unreachable(e.clone()))?;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let spec = api.get(pod).await.map_err(trouble)?.spec.unwrap_or_default();
    let container = spec.containers.first().map(|c| c.name.clone());
    let params = LogParams { container, previous, tail_lines: Some(500), ..LogParams::default() };
    let text = match tokio::time::timeout(DEADLINE, api.logs(pod, &params)).await {
        Ok(text) => text.map_err(trouble)?,
        Err(_) => return Err(Trouble::Unreachable("no answer".into())),
    };
    let redactor = crate::text::Redactor::new(remote.secrets());
    Ok(text.lines().map(|l| redactor.line(l)).collect())
}
