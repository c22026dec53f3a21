//! Kubernetes asked on demand: gates' quorum reads, describe, logs. Panes are fed by
//! watches, see `watch`.

use crate::observe::{change, join, pod, rows};
use crate::remote::{Remote, Trouble, trouble};
use crate::site::Kubernetes;
use crate::text::clean_line;
use crate::world::{Change, Keyed, Rows, Secret, Source, Status, Table, Update};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, Secret as KubeSecret};
use kube::api::{ListParams, LogParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(8);

pub(crate) async fn read(remote: &Remote, source: Source) -> Change {
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
    let answer = update(remote, client, source).await;
    change(source, at, answer)
}

async fn update(remote: &Remote, client: &Client, source: Source) -> Result<Update, Trouble> {
    let site = remote.site.kubernetes.as_ref();
    Ok(match source {
        Source::Claims => {
            let (claims, pods) = tokio::try_join!(
                every(client, |c| rows::claim(&c)),
                shown(client, site, |p: Pod| pod::row((&p).into()))
            )?;
            Update::Claims(join::claims(&claims, &pods).to_rows())
        }
        Source::Volumes => Update::Volumes(every(client, rows::volume).await?.to_rows()),
        Source::Classes => {
            let (classes, claims, volumes) = tokio::try_join!(
                every(client, rows::class),
                every(client, |c| rows::claim(&c)),
                every(client, rows::volume)
            )?;
            Update::Classes(join::classes(&classes, &claims, &volumes, site).to_rows())
        }
        Source::Pods => {
            Update::Pods(shown(client, site, |p: Pod| pod::row((&p).into())).await?.to_rows())
        }
        Source::Statefulsets => {
            Update::Statefulsets(shown(client, site, rows::statefulset).await?.to_rows())
        }
        Source::Cronjobs => Update::Cronjobs(shown(client, site, rows::cronjob).await?.to_rows()),
        Source::Nodes => {
            let (nodes, csi, attachments) = tokio::try_join!(
                every(client, rows::node),
                every(client, |c| rows::csi(&c)),
                every(client, |a| rows::attachment(&a))
            )?;
            Update::Nodes(join::nodes(&nodes, &csi, &attachments).to_rows())
        }
        Source::Secrets => Update::Secrets(Rows::all(secrets(remote, client).await?)),
        Source::Raft | Source::Http => Update::Nothing,
    })
}

/// A quorum read: no resourceVersion is named.
async fn list<K>(api: Api<K>) -> Result<Vec<K>, Trouble>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    match tokio::time::timeout(DEADLINE, api.list(&ListParams::default())).await {
        Ok(Ok(list)) => Ok(list.items),
        Ok(Err(e)) => Err(trouble(e)),
        Err(_) => Err(Trouble::Unreachable(format!("no answer in {} s", DEADLINE.as_secs()))),
    }
}

/// All objects of a kind.
async fn every<K, R: Keyed>(client: &Client, row: impl Fn(K) -> R) -> Result<Table<R>, Trouble>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    Ok(list(Api::<K>::all(client.clone())).await?.into_iter().map(row).collect())
}

/// Those of the namespaces that the site shows.
async fn shown<K, R: Keyed>(
    client: &Client,
    site: Option<&Kubernetes>,
    row: impl Fn(K) -> R,
) -> Result<Table<R>, Trouble>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let mut all = Vec::new();
    for scope in site.iter().flat_map(|s| s.scopes()) {
        let api = match scope {
            Some(namespace) => Api::<K>::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        all.extend(list(api).await?.into_iter().map(&row));
    }
    Ok(all.into())
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
