//! What a person asks for of Kubernetes: a description with its Events, a log.

use crate::observe::kube::get;
use crate::observe::rows;
use crate::observe::slim::Object;
use crate::remote::{Remote, Trouble, trouble};
use crate::text::clean_line;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client};
use std::time::Duration;

/// Longest wait for what a person asked for: a description, a log.
pub const ASKED_FOR: Duration = Duration::from_secs(8);

/// What a person waits for has an end: all of its requests together.
async fn soon<T>(
    remote: &Remote,
    asked: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let answer = tokio::time::timeout(ASKED_FOR, asked).await.unwrap_or_else(|_| {
        Err(Trouble::Unreachable(format!("no answer in {} s; ask again", ASKED_FOR.as_secs())))
    });
    answer.map_err(|e| e.redacted(&remote.redactor()))
}

/// A pod, claim or volume in words, then its Events.
pub async fn describe(
    remote: &Remote,
    namespace: &str,
    kind: &str,
    name: &str,
) -> Result<Vec<String>, Trouble> {
    soon(remote, described(remote, namespace, kind, name)).await
}

/// One object, as far as its description needs it.
async fn one<K: Object>(
    client: &Client,
    namespace: Option<&str>,
    name: &str,
) -> Result<K, Trouble> {
    get(client, &format!("{}/{name}", K::KIND.path(namespace))).await
}

async fn described(
    remote: &Remote,
    namespace: &str,
    kind: &str,
    name: &str,
) -> Result<Vec<String>, Trouble> {
    let client = remote.kube.as_ref().map_err(|e| Trouble::Unreachable(e.clone()))?;
    let mut lines = match kind {
        "Pod" => rows::describe_pod(one(client, Some(namespace), name).await?),
        "PersistentVolume" => rows::describe_volume(one(client, None, name).await?),
        _ => rows::describe_claim(one(client, Some(namespace), name).await?),
    };
    lines.push("Events:".into());
    // Those of what is in no namespace are kept in this one.
    let namespace = if namespace.is_empty() { "default" } else { namespace };
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let mut events = api.list(&params).await.map_err(trouble)?.items;
    events.sort_by_key(last_seen);
    for e in events.iter().rev().take(20) {
        // Whole seconds, as the older API has them: columns stay in line.
        let at = last_seen(e).and_then(|t| Timestamp::from_second(t.as_second()).ok());
        let at = at.map(|t| t.to_string()).unwrap_or_default();
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

/// When an Event was seen last. Those written by the newer API have no `lastTimestamp`: a series
/// says when, and one that came once has only its own time.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|s| s.last_observed_time.as_ref()).map(|t| t.0);
    let last = event.last_timestamp.as_ref().map(|t| t.0);
    let own = event.event_time.as_ref().map(|t| t.0);
    let made = || event.metadata.creation_timestamp.as_ref().map(|t| t.0);
    [series, last, own].into_iter().flatten().max().or_else(made)
}

/// Lines of each container's log.
const LOG_LINES: i64 = 500;
/// Of a container that said nothing.
const NOTHING: &str = "(it logged nothing)";

/// The last lines of each of a pod's containers, of this incarnation or the one before.
pub async fn logs(
    remote: &Remote,
    namespace: &str,
    pod: &str,
    previous: bool,
) -> Result<Vec<String>, Trouble> {
    soon(remote, logged(remote, namespace, pod, previous)).await
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
    let first = spec.init_containers.into_iter().flatten();
    let names: Vec<String> = first.chain(spec.containers).map(|c| c.name).collect();
    let of = |container: Option<String>| {
        let tail_lines = Some(LOG_LINES);
        let params = LogParams { container, previous, tail_lines, ..LogParams::default() };
        let api = &api;
        async move { api.logs(pod, &params).await.map_err(trouble) }
    };
    let redactor = remote.redactor();
    let lines = |text: String| -> Vec<String> {
        match text.is_empty() {
            true => vec![NOTHING.to_owned()],
            false => text.lines().map(|l| redactor.line(l)).collect(),
        }
    };
    let [.., one] = names.as_slice() else { return of(None).await.map(lines) };
    if names.len() == 1 {
        return of(Some(one.clone())).await.map(lines);
    }
    // The one beside it may be the one that has a reason.
    let all = futures::future::join_all(names.iter().map(|name| of(Some(name.clone())))).await;
    let parts = names.iter().zip(all).map(|(name, text)| {
        let said = text.map_or_else(|e| vec![redactor.line(&e.to_string())], lines);
        [vec![format!("── container {name}")], said].concat()
    });
    Ok(parts.collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::{Value, json};

    /// The first request is answered: the deadline is of all of them together.
    #[tokio::test]
    async fn what_a_person_asks_of_a_hung_server_ends_with_a_word() {
        let api = Responder::start(|asked, _| match asked {
            a if ["/events", "/log", "/hangs"].iter().any(|h| a.contains(h)) => Reply::Hold,
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
            [("vault", "Pod", "vault-0"), ("", "PersistentVolume", "pvc-1"), ("v", "Pod", "hangs")]
        {
            let asked = describe(&remote, namespace, kind, name);
            let asked = tokio::time::timeout(never, asked).await.expect("an end");
            let why = asked.unwrap_err().to_string();
            assert!(why.contains("no answer in 8 s; ask again"), "{why}");
        }
        let asked = tokio::time::timeout(never, logs(&remote, "vault", "vault-0", false)).await;
        assert!(asked.expect("an end").is_err());
    }

    /// The sidecar may be the one that is stuck: each container's log stands under its name, and of one
    /// that gives none why.
    #[tokio::test]
    async fn the_log_of_every_container_is_shown() {
        let api = Responder::start(|asked, _| match asked {
            a if a.contains("container=vault") => Reply::Raw(200, "", "core: sealed\n".into()),
            a if a.contains("container=unseal") => Reply::Raw(200, "", String::new()),
            a if a.contains("/log") => Reply::Json(
                400,
                json!({"kind": "Status", "code": 400, "message": "container is waiting"}),
            ),
            _ => Reply::Json(
                200,
                json!({"metadata": {"name": "vault-0"}, "spec": {"containers": [
                    {"name": "vault"}, {"name": "unseal"}], "initContainers": [{"name": "owner"}]}}),
            ),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let lines = logs(&remote, "vault", "vault-0", false).await.unwrap();
        let said = lines.join("\n");
        let parts: Vec<&str> = said.split("── container ").skip(1).map(str::trim_end).collect();
        assert!(parts[0].starts_with("owner\n") && parts[0].contains("is waiting"), "{said}");
        assert_eq!(parts[1..], ["vault\ncore: sealed", "unseal\n(it logged nothing)"]);
    }

    /// What a program said, and an Event or a last state repeats, is text from outside.
    #[tokio::test]
    async fn what_is_described_holds_no_secret() {
        let api = Responder::start(|asked, _| match asked {
            a if a.contains("/events") => Reply::Json(
                200,
                json!({"metadata": {}, "items": [{"metadata": {}, "involvedObject": {},
                    "reason": "Unhealthy",
                    "message": "probe sent hvs.rig-token, kube-bearer-token"}]}),
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
        assert!(lines.contains("probe sent [redacted], [redacted]"), "{lines}");
        assert!(lines.contains("login [redacted] failed"), "{lines}");
        let api = Responder::start(|_, _| {
            Reply::Json(
                403,
                json!({"kind": "Status", "code": 403,
                "message": "kube-bearer-token may not get pods"}),
            )
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let wanted = Trouble::Forbidden("[redacted] may not get pods".into());
        assert_eq!(describe(&remote, "vault", "Pod", "vault-0").await, Err(wanted.clone()));
        assert_eq!(logs(&remote, "vault", "vault-0", false).await, Err(wanted));
    }

    /// Both APIs' Events of one pod, in the order in which they were seen.
    #[tokio::test]
    async fn events_of_the_newer_api_stand_where_their_time_puts_them() {
        let event = |reason: &str, times: Value| {
            let mut event = json!({"metadata": {}, "involvedObject": {}, "reason": reason});
            for (key, value) in times.as_object().unwrap() {
                event[key] = value.clone();
            }
            event
        };
        let api = Responder::start(move |asked, _| match asked {
            a if a.contains("/events") => Reply::Json(
                200,
                json!({"metadata": {}, "items": [
                    event("Once", json!({"eventTime": "2026-04-22T10:00:03.123456Z"})),
                    event("Older", json!({"lastTimestamp": "2026-04-22T10:00:01Z"})),
                    event("Series", json!({"eventTime": "2026-04-22T09:00:00.000000Z",
                        "series": {"count": 4, "lastObservedTime": "2026-04-22T10:00:04.000000Z"}})),
                    event("Classic", json!({"eventTime": null, "lastTimestamp": "2026-04-22T10:00:02Z"})),
                    event("Bare", json!({"metadata": {"creationTimestamp": "2026-04-22T10:00:05Z"}})),
                ]}),
            ),
            _ => Reply::Json(200, json!({"metadata": {"name": "vault-0", "namespace": "vault"}})),
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        let lines = describe(&remote, "vault", "Pod", "vault-0").await.unwrap();
        let at = lines.iter().position(|l| l == "Events:").unwrap();
        let shown: Vec<_> = lines[at + 1..].iter().map(|l| l.trim()).collect();
        assert_eq!(
            shown,
            [
                "2026-04-22T10:00:05Z Bare",
                "2026-04-22T10:00:04Z Series",
                "2026-04-22T10:00:03Z Once",
                "2026-04-22T10:00:02Z Classic",
                "2026-04-22T10:00:01Z Older",
            ]
        );
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
