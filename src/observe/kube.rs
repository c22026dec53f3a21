//! Kubernetes asked on demand: gates' quorum reads, describe, logs. Panes are fed by
//! watches, see `watch`.

use crate::observe::{change, join, pod, rows};
use crate::remote::{Remote, Trouble, trouble};
use crate::text::clean_line;
use crate::world::{Change, Keyed, Reach, Rows, Secret, Source, Status, Table, Update};
use k8s_openapi::api::core::v1::{
    Event, PersistentVolume, PersistentVolumeClaim, Pod, Secret as KubeSecret,
};
use kube::api::{ListParams, LogParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(8);
/// Longest wait for what a person asked for: a description, a log.
pub const ASKED_FOR: Duration = DEADLINE;

pub(crate) async fn read(remote: &Remote, source: Source, reach: &Reach) -> Change {
    let (client, site) = match (&remote.kube, &remote.site.kubernetes) {
        (_, None) => {
            return not_configured(source);
        }
        (Err(why), _) => {
            return change(source, remote.now(), Err(Trouble::Unreachable(why.clone())));
        }
        (Ok(client), Some(site)) => (client, site),
    };
    let scopes = site.scopes(reach);
    // Claims are there without the pods that use them; rows of nowhere are not none.
    if source.has_reach() && source != Source::Claims && scopes.is_empty() {
        return not_configured(source);
    }
    let at = remote.now();
    let answer = update(remote, client, source, &scopes).await;
    let mut covers = Reach::of(scopes.iter().flatten().cloned());
    covers.every = scopes.contains(&None);
    covers.shown = reach.shown && site.shows_any();
    Change { reach: source.has_reach().then_some(covers), ..change(source, at, answer) }
}

fn not_configured(source: Source) -> Change {
    let reach = source.has_reach().then(Reach::none);
    Change { source, status: Status::NotConfigured, as_of: None, reach, update: Update::Nothing }
}

async fn update(
    remote: &Remote,
    client: &Client,
    source: Source,
    scopes: &[Option<String>],
) -> Result<Update, Trouble> {
    let site = remote.site.kubernetes.as_ref();
    Ok(match source {
        Source::Claims => {
            let (claims, pods, sets) = tokio::try_join!(
                every(client, |c| rows::claim(&c)),
                of(client, scopes, |p: Pod| pod::row((&p).into())),
                of(client, scopes, rows::statefulset)
            )?;
            Update::Claims(join::claims(&claims, &pods, &sets).to_rows())
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
            Update::Pods(of(client, scopes, |p: Pod| pod::row((&p).into())).await?.to_rows())
        }
        Source::Statefulsets => {
            Update::Statefulsets(of(client, scopes, rows::statefulset).await?.to_rows())
        }
        Source::Cronjobs => Update::Cronjobs(of(client, scopes, rows::cronjob).await?.to_rows()),
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

/// Those of some namespaces.
async fn of<K, R: Keyed>(
    client: &Client,
    scopes: &[Option<String>],
    row: impl Fn(K) -> R,
) -> Result<Table<R>, Trouble>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let mut all = Vec::new();
    for scope in scopes {
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

/// What a person waits for has an end: all of its requests together.
async fn soon<T>(asked: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(ASKED_FOR, asked).await.unwrap_or_else(|_| {
        Err(Trouble::Unreachable(format!("no answer in {} s; ask again", ASKED_FOR.as_secs())))
    })
}

/// A pod, claim or volume in words, then its Events.
pub async fn describe(
    remote: &Remote,
    namespace: &str,
    kind: &str,
    name: &str,
) -> Result<Vec<String>, Trouble> {
    soon(described(remote, namespace, kind, name)).await
}

async fn described(
    remote: &Remote,
    namespace: &str,
    kind: &str,
    name: &str,
) -> Result<Vec<String>, Trouble> {
    let client = remote.kube.as_ref().map_err(|e| Trouble::Unreachable(e.clone()))?;
    let mut lines = match kind {
        "Pod" => {
            let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
            rows::describe_pod(&api.get(name).await.map_err(trouble)?)
        }
        "PersistentVolume" => {
            let api: Api<PersistentVolume> = Api::all(client.clone());
            rows::describe_volume(api.get(name).await.map_err(trouble)?)
        }
        _ => {
            let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
            rows::describe_claim(&api.get(name).await.map_err(trouble)?)
        }
    };
    lines.push("Events:".into());
    // Those of what is in no namespace are kept in this one.
    let namespace = if namespace.is_empty() { "default" } else { namespace };
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
    // Events and last states hold what programs said.
    let redactor = remote.redactor();
    Ok(lines.iter().map(|l| redactor.redact(l)).collect())
}

/// The last lines of a pod's first container, of this incarnation or the one before.
pub async fn logs(
    remote: &Remote,
    namespace: &str,
    pod: &str,
    previous: bool,
) -> Result<Vec<String>, Trouble> {
    soon(logged(remote, namespace, pod, previous)).await
}

async fn logged(
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
    let text = api.logs(pod, &params).await.map_err(trouble)?;
    let redactor = remote.redactor();
    Ok(text.lines().map(|l| redactor.line(l)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::json;

    fn of(names: &[&str]) -> Reach {
        Reach::of(names.iter().map(|&n| n.to_owned()))
    }

    /// The rig's site shows `vault`; of `forbidden` nothing may be listed.
    #[tokio::test]
    async fn a_gate_reads_the_namespaces_that_it_names_and_no_others() {
        let shown = Reach { shown: true, ..of(&["vault"]) };
        let both = Reach { shown: true, ..of(&["app", "vault"]) };
        for (source, asked, paths, covers) in [
            (Source::Pods, Reach::default(), vec!["vault/pods"], &shown),
            (Source::Pods, of(&["app"]), vec!["app/pods"], &of(&["app"])),
            (
                Source::Pods,
                Reach { shown: true, ..of(&["app", "vault"]) },
                vec!["vault/pods", "app/pods"],
                &both,
            ),
            (Source::Pods, Reach::every(), vec!["/v1/pods"], &Reach::every()),
            (Source::Cronjobs, of(&["app"]), vec!["app/cronjobs"], &of(&["app"])),
            // Without a word of their pods, pods are not asked for.
            (Source::Claims, Reach::none(), vec!["/v1/persistentvolumeclaims"], &Reach::none()),
        ] {
            let api = Responder::start(|_, _| {
                Reply::Json(200, json!({"metadata": {"resourceVersion": "1"}, "items": []}))
            })
            .await;
            let remote = rig::remote(Some(&api.url), &[], "").await;
            let change = read(&remote, source, &asked).await;
            assert_eq!(change.status, Status::Live, "{asked:?}");
            assert_eq!(change.reach.as_ref(), Some(covers), "{asked:?}");
            let seen = api.seen();
            assert_eq!(seen.len(), paths.len(), "{seen:?}");
            for path in paths {
                let there = |a: &String| a.split('?').next().is_some_and(|a| a.ends_with(path));
                assert!(seen.iter().any(there), "{path}: {seen:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_namespace_that_may_not_be_read_and_none_at_all_are_no_empty_table() {
        let api = Responder::start(|_, _| {
            Reply::Json(403, json!({"kind": "Status", "code": 403, "message": "no list in app"}))
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let change = read(&remote, Source::Pods, &of(&["app"])).await;
        assert_eq!(change.status, Status::Forbidden { right: "no list in app".into() });
        let change = read(&remote, Source::Pods, &Reach::none()).await;
        assert_eq!(change.status, Status::NotConfigured);
        assert_eq!(api.seen().len(), 1);
    }

    /// The first request is answered: the deadline is of all of them together.
    #[tokio::test]
    async fn what_a_person_asks_of_a_hung_server_ends_with_a_word() {
        let api = Responder::start(|asked, _| match asked {
            a if a.contains("/events") || a.contains("/log") => Reply::Hold,
            a if a.contains("persistentvolumes/") => {
                Reply::Json(200, json!({"metadata": {"name": "pvc-1"}}))
            }
            _ => Reply::Json(200, json!({"metadata": {"name": "vault-0", "namespace": "vault"}})),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        tokio::time::pause();
        let never = Duration::from_secs(3600);
        for (namespace, kind, name) in
            [("vault", "Pod", "vault-0"), ("", "PersistentVolume", "pvc-1")]
        {
            let asked = describe(&remote, namespace, kind, name);
            let asked = tokio::time::timeout(never, asked).await.expect("an end");
            let why = asked.unwrap_err().to_string();
            assert!(why.contains("no answer in 8 s; ask again"), "{why}");
        }
        let asked = tokio::time::timeout(never, logs(&remote, "vault", "vault-0", false)).await;
        assert!(asked.expect("an end").is_err());
    }

    /// What a program said, and an Event or a last state repeats, is text from outside.
    #[tokio::test]
    async fn what_is_described_holds_no_secret() {
        let api = Responder::start(|asked, _| match asked {
            a if a.contains("/events") => Reply::Json(
                200,
                json!({"metadata": {}, "items": [{"metadata": {}, "involvedObject": {},
                    "reason": "Unhealthy", "message": "probe sent hvs.rig-token"}]}),
            ),
            _ => Reply::Json(
                200,
                json!({"metadata": {"name": "vault-0", "namespace": "vault"}, "status": {
                    "containerStatuses": [{"name": "vault", "ready": false, "restartCount": 1,
                        "image": "", "imageID": "", "lastState": {"terminated": {
                            "exitCode": 1, "message": "login hvs.rig-token failed"}}}]}}),
            ),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let lines = describe(&remote, "vault", "Pod", "vault-0").await.unwrap().join("\n");
        assert!(lines.contains("probe sent [redacted]"), "{lines}");
        assert!(lines.contains("login [redacted] failed"), "{lines}");
    }

    #[tokio::test]
    async fn a_volume_is_described_with_what_becomes_of_its_data() {
        let api = Responder::start(|asked, _| match asked {
            "GET /api/v1/persistentvolumes/pvc-1" => Reply::Json(
                200,
                json!({"metadata": {"name": "pvc-1", "uid": "u1"}, "spec": {
                    "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "fast",
                    "capacity": {"storage": "10Gi"},
                    "claimRef": {"namespace": "vault", "name": "data-vault-0", "uid": "c1"}},
                    "status": {"phase": "Failed", "message": "no rights"}}),
            ),
            a if a.starts_with("GET /api/v1/namespaces/default/events?") => Reply::Json(
                200,
                json!({"metadata": {}, "items": [{"metadata": {}, "involvedObject": {},
                    "reason": "VolumeFailedDelete", "message": "no rights"}]}),
            ),
            _ => Reply::Json(404, json!({})),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let lines = describe(&remote, "", "PersistentVolume", "pvc-1").await.unwrap().join("\n");
        for wanted in [
            "PersistentVolume pvc-1  uid u1",
            "class fast  10Gi  Failed",
            "reclaim policy Delete: its data is deleted once its claim is gone",
            "claim vault/data-vault-0  uid c1",
            "message no rights",
            "VolumeFailedDelete no rights",
        ] {
            assert!(lines.contains(wanted), "{wanted}: {lines}");
        }
    }
}
