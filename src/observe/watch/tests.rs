//! Watches against a server that follows a script.

use super::script::{IN_TIME, PACE, Rig, bookmark, event, gone, object};
use super::*;
use crate::observe::pod;
use crate::remote::responder::{Open, Reply, Responder};
use crate::remote::rig;
use crate::world::World;
use serde_json::json;

/// Two volumes, up to version 7.
fn two() -> Reply {
    let lines = vec![
        event("ADDED", "a", "Bound", "5"),
        event("ADDED", "b", "Bound", "6"),
        bookmark("7", true),
    ];
    Reply::Lines(lines, Open::Yes)
}

fn forbidden() -> Reply {
    let message = "persistentvolumes is forbidden: User \"x\" cannot watch it";
    Reply::Json(
        403,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": "Forbidden", "code": 403}),
    )
}

#[tokio::test]
async fn everything_is_told_once_and_then_what_changes() {
    let changes =
        vec![event("MODIFIED", "a", "Released", "8"), event("DELETED", "b", "Bound", "9")];
    let same = vec![event("MODIFIED", "a", "Released", "10"), bookmark("11", false)];
    let mut rig = Rig::start([(
        "persistentvolumes",
        vec![
            two(),
            Reply::Lines(vec![bookmark("7", false)], IN_TIME),
            Reply::Lines(changes, IN_TIME),
            Reply::Lines(same, IN_TIME),
        ],
    )])
    .await;
    rig.until_live(Source::Volumes).await;
    rig.until("the change", |w| w.volumes.len() == 1).await;
    assert_eq!(rig.volumes(), [("a", "Released")]);
    let told = rig.rows(Source::Volumes);
    let Update::Volumes(first) = &told[0] else { panic!("{told:?}") };
    assert!(first.whole && first.upsert.len() == 2);
    // Together or one by one, as they came: one row changed, one went, and nothing else.
    let (mut changed, mut went) = (Vec::new(), Vec::new());
    for update in &told[1..] {
        let Update::Volumes(rows) = update else { panic!("{told:?}") };
        assert!(!rows.whole, "{told:?}");
        changed.extend(rows.upsert.iter().map(|v| v.name.as_str()));
        went.extend(rows.remove.iter().map(String::as_str));
    }
    assert_eq!((changed, went), (vec!["a"], vec!["b"]));
    // Goes on from the last event, then from the bookmark behind an event that changed no row.
    for version in ["=7", "=9", "=11"] {
        let query = format!("resourceVersion{version}&");
        let hang = tokio::time::Instant::now() + Duration::from_secs(30);
        while !rig.asked("persistentvolumes").iter().any(|q| q.contains(&query)) {
            assert!(tokio::time::Instant::now() < hang, "{:?}", rig.asked("persistentvolumes"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    while let Ok(change) = rig.changes.try_recv() {
        assert!(change.source != Source::Volumes || change.update == Update::Nothing, "{change:?}");
    }
    assert!(rig.asked("persistentvolumes").iter().all(|q| q.contains("allowWatchBookmarks=true")));
}

/// 410 as an event in the middle, and as an answer.
#[tokio::test]
async fn what_is_gone_is_told_anew_and_rows_never_vanish() {
    let middle = vec![event("MODIFIED", "a", "Released", "8"), gone()];
    let expired = Reply::Json(410, json!({"kind": "Status", "code": 410, "message": "too old"}));
    let other = vec![
        event("ADDED", "a", "Released", "8"),
        event("ADDED", "c", "Bound", "20"),
        bookmark("21", true),
    ];
    let last = vec![event("ADDED", "c", "Bound", "20"), bookmark("30", true)];
    let mut rig = Rig::start([(
        "persistentvolumes",
        vec![
            two(),
            Reply::Lines(middle, Open::Yes),
            Reply::Lines(other, Open::Yes),
            Reply::Lines(vec![bookmark("22", false)], IN_TIME),
            expired,
            Reply::Lines(last, Open::Yes),
        ],
    )])
    .await;
    rig.until("b gone, c there", |w| w.volumes.iter().map(|v| &v.name).eq(["a", "c"])).await;
    rig.until("a gone", |w| w.volumes.iter().map(|v| &v.name).eq(["c"])).await;
    rig.until_live(Source::Volumes).await;
    let told = rig.rows(Source::Volumes);
    let wholes = told.iter().filter(|u| matches!(u, Update::Volumes(rows) if rows.whole)).count();
    assert_eq!(wholes, 1, "{told:?}");
    let asked = rig.asked("persistentvolumes");
    let all: Vec<_> = asked.iter().filter(|q| q.contains("sendInitialEvents=true")).collect();
    // From the cache once; after that only what is up to date.
    let cached: Vec<_> = all.iter().map(|q| q.contains("resourceVersion=0")).collect();
    assert_eq!(cached, [true, false, false]);
}

#[tokio::test]
async fn a_watch_that_is_open_and_dead_is_not_live() {
    let mut rig =
        Rig::start([("persistentvolumes", vec![two(), Reply::Lines(vec![], Open::Yes)])]).await;
    rig.until_live(Source::Volumes).await;
    let silent = |w: &World| {
        matches!(&w.standing(Source::Volumes).status,
        Status::Unreachable { why } if why.contains("silent") && why.contains("attempt 2 in"))
    };
    rig.until("found dead", silent).await;
    let standing = rig.world.standing(Source::Volumes);
    assert!(!standing.fresh(standing.as_of.unwrap()));
    assert_eq!(rig.volumes().len(), 2);
    rig.until_live(Source::Volumes).await;
    // It went on where it was.
    assert_eq!(
        rig.asked("persistentvolumes").iter().filter(|q| q.contains("sendInitial")).count(),
        1
    );
}

/// After a restore of etcd versions count from an older one on.
#[tokio::test]
async fn a_version_of_another_history_is_not_waited_for() {
    let last = vec![event("ADDED", "c", "Bound", "4"), bookmark("5", true)];
    let silent = || Reply::Lines(vec![], IN_TIME);
    let of = |version: &str| {
        Reply::Json(200, json!({"items": null, "metadata": {"resourceVersion": version}}))
    };
    let mut rig = Rig::start([
        ("persistentvolumes", vec![two(), silent(), silent(), Reply::Lines(last, Open::Yes)]),
        ("fieldSelector", vec![of("7"), of("5")]),
    ])
    .await;
    rig.until("what there is now", |w| w.volumes.iter().map(|v| &v.name).eq(["c"])).await;
    let asked = rig.asked("persistentvolumes");
    let whole = |q: &&String| q.contains("sendInitialEvents");
    assert_eq!(asked.iter().filter(whole).count(), 2, "{asked:?}");
    assert_eq!(asked.iter().filter(|q| q.contains("resourceVersion=7&")).count(), 2, "{asked:?}");
}

/// The version that the server has is that of the kind: where the watches of three namespaces end at
/// one time, one of them asks.
#[tokio::test]
async fn watches_of_a_kind_ask_for_its_history_together() {
    let told = || Reply::Lines(vec![bookmark("1", true)], Open::Yes);
    let silent = |open| Reply::Lines(vec![], open);
    let mut rig = Rig::beside(
        &["a", "b"],
        [(
            "cronjobs",
            [
                [told(), told(), told()],
                [(); 3].map(|()| silent(IN_TIME)),
                [(); 3].map(|()| silent(Open::Yes)),
            ]
            .into_iter()
            .flatten()
            .collect(),
        )],
    )
    .await;
    let followed = |rig: &Rig| {
        let asked = rig.asked("cronjobs");
        asked.iter().filter(|q| q.contains("resourceVersion=1&")).count()
    };
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while followed(&rig) < 6 {
        assert!(tokio::time::Instant::now() < end, "{:?}", rig.asked("cronjobs"));
        let _ = tokio::time::timeout(Duration::from_millis(20), rig.changes.recv()).await;
    }
    let asked = rig.asked("cronjobs");
    assert_eq!(asked.iter().filter(|q| q.contains("fieldSelector")).count(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_missing_right_is_named_and_touches_no_other_source() {
    let mut rig = Rig::start([("persistentvolumes", vec![forbidden(), forbidden(), two()])]).await;
    let named = |w: &World, source| {
        matches!(&w.standing(source).status,
        Status::Forbidden { right } if right.contains("cannot watch it"))
    };
    rig.until("forbidden", |w| named(w, Source::Volumes) && named(w, Source::Classes)).await;
    rig.until_live(Source::Claims).await;
    assert!(rig.world.volumes.is_empty());
    rig.until_live(Source::Volumes).await;
    assert_eq!(rig.volumes().len(), 2);
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_found_again() {
    let page = Reply::Raw(502, "content-type: text/html\r\n", "<html>bad gateway</html>".into());
    let mut rig = Rig::start([(
        "persistentvolumes",
        vec![
            Reply::Close,
            page,
            Reply::Lines(vec![event("ADDED", "a", "Bound", "1")], Open::No),
            two(),
            Reply::Lines(vec![bookmark("8", false)], IN_TIME),
            Reply::Close,
        ],
    )])
    .await;
    let unreachable =
        |w: &World| matches!(w.standing(Source::Volumes).status, Status::Unreachable { .. });
    rig.until("unreachable", unreachable).await;
    rig.until_live(Source::Volumes).await;
    rig.until("unreachable again", unreachable).await;
    assert_eq!(rig.volumes().len(), 2);
    rig.until_live(Source::Volumes).await;
    let whys: Vec<_> = rig.seen.iter().filter(|c| c.source == Source::Volumes).collect();
    let said = format!("{whys:?}");
    assert!(
        said.contains("bad gateway") && said.contains("before it had told everything"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_without_initial_events_gets_a_list_in_pages() {
    let refused = Reply::Json(
        422,
        json!({"kind": "Status", "code": 422,
        "message": "ListOptions is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"}),
    );
    let page = |more: &str, name: &str| {
        let mut item = object(name, "Bound", "3");
        // Items of a list have no kind of their own.
        item.as_object_mut().unwrap().retain(|k, _| k != "kind" && k != "apiVersion");
        Reply::Json(
            200,
            json!({"kind": "PersistentVolumeList", "apiVersion": "v1", "items": [item],
            "metadata": {"resourceVersion": "17", "continue": more}}),
        )
    };
    let replies = vec![refused, page("to/ken=", "a"), page("", "b")];
    let mut rig = Rig::start([("persistentvolumes", replies)]).await;
    rig.until_live(Source::Volumes).await;
    assert_eq!(rig.volumes(), [("a", "Bound"), ("b", "Bound")]);
    rig.until("a sign of life", |w| w.standing(Source::Volumes).as_of.is_some()).await;
    let asked = rig.asked("persistentvolumes");
    assert_eq!(asked[2], "limit=500&continue=to%2Fken%3D");
    assert!(asked.get(3).is_none_or(|q| q.contains("resourceVersion=17")), "{asked:?}");
}

fn message(name: &str, uid: &str, claims: &[&str]) -> pod::Pod {
    let claim = |name: &&str| pod::Volume {
        source: Some(pod::VolumeSource {
            claim: Some(pod::ClaimSource { claim_name: (*name).to_owned() }),
        }),
    };
    pod::Pod {
        meta: Some(pod::Meta {
            name: name.into(),
            namespace: "vault".into(),
            uid: uid.into(),
            resource_version: "4".into(),
            ..pod::Meta::default()
        }),
        spec: Some(pod::Spec {
            volumes: claims.iter().map(claim).collect(),
            ..pod::Spec::default()
        }),
        status: Some(pod::Status { phase: "Running".into(), ..pod::Status::default() }),
    }
}

fn table(names: &[&str]) -> Reply {
    let columns = ["Name", "Ready", "Status", "Restarts", "Node"].map(|n| json!({"name": n}));
    let rows: Vec<_> =
        names.iter().map(|n| json!({"cells": [n, "1/1", "Running", "0", "n1"]})).collect();
    Reply::Json(200, json!({"kind": "Table", "columnDefinitions": columns, "rows": rows}))
}

#[tokio::test]
async fn pods_are_seen_first_and_known_later() {
    let all = vec![
        wire::frame("ADDED", &message("vault-0", "u0", &["data-vault-0"])),
        wire::frame("ADDED", &message("vault-1", "u1", &[])),
        wire::bookmark("9", true),
    ];
    let change = vec![
        wire::frame("DELETED", &message("vault-1", "u1", &[])),
        wire::error(410, "too old resource version"),
    ];
    let again =
        vec![wire::frame("ADDED", &message("vault-0", "u9", &[])), wire::bookmark("20", true)];
    let claim = json!({"type": "ADDED", "object": {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-vault-0", "namespace": "vault", "resourceVersion": "2"}}});
    let mut rig = Rig::start([
        ("includeObject", vec![table(&["vault-0", "vault-1", "vault-9"])]),
        (
            "persistentvolumeclaims",
            vec![Reply::Lines(vec![claim.to_string(), bookmark("3", true)], Open::Yes)],
        ),
        (
            "pods",
            vec![
                // Long enough for the look to be told by itself.
                Reply::Pieces(vec![], IN_TIME),
                Reply::Pieces(all, Open::Yes),
                Reply::Pieces(vec![wire::bookmark("10", false)], IN_TIME),
                Reply::Pieces(change, IN_TIME),
                Reply::Pieces(again, Open::Yes),
            ],
        ),
    ])
    .await;
    // A look decides no gate: it has no identities.
    rig.until("a look", |w| w.pods.len() == 3).await;
    let standing = rig.world.standing(Source::Pods);
    assert!(matches!(standing.status, Status::Arriving { of: 3, .. }), "{standing:?}");
    assert!(!standing.fresh(crate::event::Time(0)));
    let known = |w: &World| w.pods.find("vault", "vault-0").is_some_and(|p| p.uid == "u0");
    rig.until("identities", known).await;
    rig.until("one that was gone before it was known", |w| {
        w.pods.find("vault", "vault-9").is_none()
    })
    .await;
    rig.until("the claim's pod", |w| w.claims.iter().any(|c| c.pods == ["vault-0"])).await;
    rig.until("told anew", |w| w.pods.len() == 1 && w.pods[0].uid == "u9").await;
    rig.until("no pod uses the claim", |w| w.claims.iter().all(|c| c.pods.is_empty())).await;
    rig.until_live(Source::Pods).await;
    let asked = rig.api.seen();
    assert!(
        asked.iter().all(|a| !a.contains("/pods") || a.contains("/namespaces/vault/pods")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn without_a_cluster_each_source_says_so() {
    let remote = rig::remote(None, &[], "").await;
    let (out, mut changes) = channel(16);
    spawn_at(&remote, &BTreeSet::new(), &out, PACE);
    drop(out);
    let mut sources = Vec::new();
    while let Some(change) = changes.recv().await {
        assert_eq!(change.status, Status::NotConfigured);
        sources.push(change.source);
    }
    assert_eq!(sources, SOURCES);
}

/// The runbook's namespaces are watched beside the site's, and what is covered is told.
#[tokio::test]
async fn namespaces_of_the_runbook_are_watched_as_well() {
    let api = Responder::start(|_, _| Reply::Hold).await;
    let remote = rig::remote(Some(&api.url), &[], "").await;
    let named = BTreeSet::from(["app".to_owned(), "vault".to_owned()]);
    let of = |kind: &str| -> Vec<_> {
        let wanted = rights(&remote, &named).into_iter();
        wanted.filter(|(_, plural, _)| *plural == kind).map(|(.., scope)| scope).collect()
    };
    assert_eq!(of("cronjobs"), [Some("vault".to_owned()), Some("app".to_owned())]);
    let (out, mut changes) = channel(16);
    spawn_at(&remote, &named, &out, PACE);
    let mut world = World::default();
    while !world.sources.contains_key(&Source::Pods) {
        world.apply(&changes.recv().await.unwrap());
    }
    let wanted = Reach { shown: true, ..Reach::of(named) };
    assert_eq!(world.standing(Source::Pods).reach, wanted);
}
