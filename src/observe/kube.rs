//! Kubernetes asked on demand: gates' quorum reads. Panes are fed by watches, see `watch`;
//! what a person asks for stands in `asked`.

use crate::observe::slim::{self, Object};
use crate::observe::{change, join, pod, rows};
use crate::remote::{Remote, Trouble, trouble};
use crate::world::{Change, Keyed, Reach, Rows, Secret, Source, Status, Table, Update};
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::{Api, Client};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(8);

pub(crate) async fn read(remote: &Remote, source: Source, reach: &Reach) -> Change {
    let (client, site) = match (&remote.kube, &remote.site.kubernetes) {
        (_, None) => {
            return not_configured(source);
        }
        (Err(why), _) => {
            return change(remote, source, remote.now(), Err(Trouble::Unreachable(why.clone())));
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
    Change { reach: source.has_reach().then_some(covers), ..change(remote, source, at, answer) }
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
                every(client, rows::claim),
                of(client, scopes, |p: slim::Pod| pod::row((&p).into())),
                of(client, scopes, rows::statefulset)
            )?;
            Update::Claims(join::claims(&claims, &pods, &sets).to_rows())
        }
        Source::Volumes => Update::Volumes(every(client, rows::volume).await?.to_rows()),
        Source::Classes => {
            let (classes, claims, volumes) = tokio::try_join!(
                every(client, rows::class),
                every(client, rows::claim),
                every(client, rows::volume)
            )?;
            Update::Classes(join::classes(&classes, &claims, &volumes, site).to_rows())
        }
        Source::Pods => {
            Update::Pods(of(client, scopes, |p: slim::Pod| pod::row((&p).into())).await?.to_rows())
        }
        Source::Statefulsets => {
            Update::Statefulsets(of(client, scopes, rows::statefulset).await?.to_rows())
        }
        Source::Cronjobs => Update::Cronjobs(of(client, scopes, rows::cronjob).await?.to_rows()),
        Source::Nodes => {
            let (nodes, csi, attachments) = tokio::try_join!(
                every(client, rows::node),
                every(client, rows::csi),
                every(client, rows::attachment)
            )?;
            Update::Nodes(join::nodes(&nodes, &csi, &attachments).to_rows())
        }
        Source::Secrets => Update::Secrets(Rows::all(secrets(remote, client).await?)),
        Source::Raft | Source::Http => Update::Nothing,
    })
}

/// What a list answers. What has no items is none: that there is nothing must be said.
#[derive(Deserialize)]
#[serde(bound = "K: DeserializeOwned")]
struct List<K> {
    #[serde(deserialize_with = "slim::or_null")]
    items: Vec<K>,
}

/// A quorum read: no resourceVersion is named.
async fn list<K: Object>(client: &Client, namespace: Option<&str>) -> Result<Vec<K>, Trouble> {
    let path = K::KIND.path(namespace);
    match tokio::time::timeout(DEADLINE, get::<List<K>>(client, &path)).await {
        Ok(list) => Ok(list?.items),
        Err(_) => Err(Trouble::Unreachable(format!("no answer in {} s", DEADLINE.as_secs()))),
    }
}

/// What there is at a path of the API, however long it takes.
pub(super) async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, Trouble> {
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|e| Trouble::Other(e.to_string()))?;
    client.request(request).await.map_err(trouble)
}

/// All objects of a kind.
async fn every<K: Object, R: Keyed>(
    client: &Client,
    row: impl Fn(K) -> R,
) -> Result<Table<R>, Trouble> {
    Ok(list(client, None).await?.into_iter().map(row).collect())
}

/// Those of some namespaces.
async fn of<K: Object, R: Keyed>(
    client: &Client,
    scopes: &[Option<String>],
    row: impl Fn(K) -> R,
) -> Result<Table<R>, Trouble> {
    let mut all = Vec::new();
    for scope in scopes {
        all.extend(list(client, scope.as_deref()).await?.into_iter().map(&row));
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

    /// What stands between may answer anything; null is what Go writes for an empty list.
    #[tokio::test]
    async fn an_answer_without_items_is_no_empty_table() {
        let answers = [
            (json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}), false),
            (json!({"metadata": {}, "items": null}), true),
            (
                json!({"metadata": {}, "items": [{"metadata": {"name": "v"},
                "spec": {"capacity": {"storage": 1073741824}}}, {"spec": null}]}),
                true,
            ),
        ];
        for (answer, live) in answers {
            let said = answer.clone();
            let api = Responder::start(move |_, _| Reply::Json(200, said.clone())).await;
            let remote = rig::remote(Some(&api.url), &[], "").await;
            let change = read(&remote, Source::Volumes, &Reach::none()).await;
            assert_eq!(change.status == Status::Live, live, "{answer}: {change:?}");
        }
    }

    #[tokio::test]
    async fn a_namespace_that_may_not_be_read_and_none_at_all_are_no_empty_table() {
        let api = Responder::start(|_, _| {
            Reply::Json(
                403,
                json!({"kind": "Status", "code": 403, "message": "no list in kube-bearer-token"}),
            )
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let change = read(&remote, Source::Pods, &of(&["app"])).await;
        assert_eq!(change.status, Status::Forbidden { right: "no list in [redacted]".into() });
        let change = read(&remote, Source::Pods, &Reach::none()).await;
        assert_eq!(change.status, Status::NotConfigured);
        assert_eq!(api.seen().len(), 1);
    }
}
