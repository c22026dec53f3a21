//! What kubectl and the cockpit print, and what they ask for before that.

use super::answer::{Answer, Done, Wrong, so};
use super::run::cases;
use super::things::{IMMEDIATE, config, pod, set};
use super::world::World;
use serde_json::{Value, json};

cases![
    pods_as_a_table,
    claims_and_volumes_as_tables,
    sets_as_a_table,
    nodes_and_classes_as_tables,
    a_table_has_what_was_asked_for,
    what_groups_there_are,
    what_resources_there_are,
    health_and_version,
];

/// Columns that are printed without being asked for; then the others.
fn columns(seen: &Answer) -> Result<(Vec<String>, Vec<String>), Wrong> {
    let all = seen.list("/columnDefinitions")?;
    let of = |wanted: bool| {
        let some = all.iter().filter(|c| (c["priority"] == 0) == wanted);
        some.map(|c| c["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    Ok((of(true), of(false)))
}

fn has_columns(seen: &Answer, first: &[&str], wide: &[&str]) -> Done {
    let (a, b) = columns(seen)?;
    so(a == first && b == wide, format!("{first:?} and {wide:?}"), format!("{a:?} and {b:?}"))?;
    so(
        seen.body["kind"] == "Table" && seen.body["apiVersion"] == "meta.k8s.io/v1",
        "a Table",
        seen.text(),
    )
}

/// The first row's cells, without the age.
fn cells(seen: &Answer, age: usize) -> Value {
    let mut cells = seen.body["rows"][0]["cells"].clone();
    if let Some(cells) = cells.as_array_mut()
        && age < cells.len()
    {
        cells.remove(age);
    }
    cells
}

fn row(seen: &Answer, age: usize, wanted: Value) -> Done {
    let cells = cells(seen, age);
    so(cells == wanted, wanted, cells)
}

async fn pods_as_a_table(w: &World) -> Done {
    let mut two = pod("p", None);
    two["spec"]["containers"] =
        json!([{"name": "a", "image": "none"}, {"name": "b", "image": "none"}]);
    two["metadata"]["finalizers"] = json!(["example.net/hold"]);
    w.make("pods", &two).await?;
    let node = w.placed("p").await?.word("/spec/nodeName");
    let list = w.core("pods?includeObject=None");
    let container = |name: &str, ready: bool| {
        json!({
            "name": name, "image": "none", "imageID": "", "ready": ready, "restartCount": 1,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        })
    };
    let status = json!({"status": {
        "phase": "Running", "podIP": "127.0.0.9", "podIPs": [{"ip": "127.0.0.9"}],
        "containerStatuses": [container("a", true), container("b", false)],
    }});
    w.kube.merge(&w.core("pods/p/status"), &status).await?.code(200)?;
    let seen = w.kube.table(&list).await?.code(200)?;
    has_columns(
        &seen,
        &["Name", "Ready", "Status", "Restarts", "Age"],
        &["IP", "Node", "Nominated Node", "Readiness Gates"],
    )?;
    row(&seen, 4, json!(["p", "1/2", "Running", "2", "127.0.0.9", node, "<none>", "<none>"]))?;
    let mut waiting = container("b", false);
    waiting["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let status = json!({"status": {"containerStatuses": [container("a", true), waiting]}});
    w.kube.merge(&w.core("pods/p/status"), &status).await?.code(200)?;
    let word = async |wanted: &str| {
        let seen = w.kube.table(&list).await?.code(200)?;
        so(seen.word("/rows/0/cells/2") == wanted, wanted, cells(&seen, 4))
    };
    word("CrashLoopBackOff").await?;
    w.kube.delete_with(&w.core("pods/p"), json!({"gracePeriodSeconds": 30})).await?.code(200)?;
    word("Terminating").await?;
    let free = json!({"metadata": {"finalizers": null}});
    w.kube.merge(&w.core("pods/p"), &free).await?.code(200)?;
    w.gone(&w.core("pods/p")).await?;
    let mut gated = pod("g", None);
    gated["spec"]["schedulingGates"] = json!([{"name": "example.net/wait"}]);
    w.make("pods", &gated).await?;
    let seen = w.kube.table(&list).await?.code(200)?;
    row(
        &seen,
        4,
        json!(["g", "0/1", "SchedulingGated", "0", "<none>", "<none>", "<none>", "<none>"]),
    )
}

async fn claims_and_volumes_as_tables(w: &World) -> Done {
    w.make_claim("c", super::things::WAITING).await?;
    let list = w.core("persistentvolumeclaims?includeObject=None");
    let seen = w.kube.table(&list).await?.code(200)?;
    has_columns(
        &seen,
        &[
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
        ],
        &["VolumeMode"],
    )?;
    row(&seen, 7, json!(["c", "Pending", "", "", "", "proxmox-lvm", "<unset>", "Filesystem"]))?;
    w.kube.delete(&w.core("persistentvolumeclaims/c")).await?.code(200)?;
    w.gone(&w.core("persistentvolumeclaims/c")).await?;
    w.make_claim("d", IMMEDIATE).await?;
    let name = w.bound("d").await?.word("/spec/volumeName");
    let seen = w.kube.table(&list).await?.code(200)?;
    row(
        &seen,
        7,
        json!(["d", "Bound", name, "1Gi", "RWO", "nfs-proxmox", "<unset>", "Filesystem"]),
    )?;
    let one = format!("/api/v1/persistentvolumes/{name}?includeObject=None");
    let seen = w.kube.table(&one).await?.code(200)?;
    has_columns(
        &seen,
        &[
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
        ],
        &["VolumeMode"],
    )?;
    let of = format!("{}/d", w.ns);
    row(
        &seen,
        9,
        json!([
            name,
            "1Gi",
            "RWO",
            "Retain",
            "Bound",
            of,
            "nfs-proxmox",
            "<unset>",
            "",
            "Filesystem",
        ]),
    )
}

async fn sets_as_a_table(w: &World) -> Done {
    w.make("statefulsets", &set(0, "w", IMMEDIATE)).await?;
    let seen = w.kube.table(&w.apps("statefulsets?includeObject=None")).await?.code(200)?;
    has_columns(&seen, &["Name", "Ready", "Age"], &["Containers", "Images"])?;
    row(&seen, 2, json!(["w", "0/0", "c", "none"]))
}

async fn nodes_and_classes_as_tables(w: &World) -> Done {
    let seen = w.kube.table("/api/v1/nodes?includeObject=None").await?.code(200)?;
    has_columns(
        &seen,
        &["Name", "Status", "Roles", "Age", "Version"],
        &["Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"],
    )?;
    let first = cells(&seen, 3);
    let wanted = json!(["node-1", "Ready", "<none>"]);
    so(first.as_array().map(|c| &c[..3]) == wanted.as_array().map(Vec::as_slice), wanted, &first)?;
    let path = "/apis/storage.k8s.io/v1/storageclasses/nfs-proxmox?includeObject=None";
    let seen = w.kube.table(path).await?.code(200)?;
    let names = [
        "Name",
        "Provisioner",
        "ReclaimPolicy",
        "VolumeBindingMode",
        "AllowVolumeExpansion",
        "Age",
    ];
    has_columns(&seen, &names, &[])?;
    row(&seen, 5, json!(["nfs-proxmox", "nfs.csi.k8s.io", "Retain", "Immediate", false]))
}

/// Metadata by default, nothing or everything if asked; pages and selectors as in any list.
async fn a_table_has_what_was_asked_for(w: &World) -> Done {
    for name in ["a", "b"] {
        let it =
            config(name, json!({"metadata": {"labels": {"conf": "mine"}}, "data": {"k": "v"}}));
        w.make("configmaps", &it).await?;
    }
    let list = |query: &str| w.core(&format!("configmaps?labelSelector=conf%3Dmine{query}"));
    let seen = w.kube.table(&list("")).await?.code(200)?;
    has_columns(&seen, &["Name", "Data", "Age"], &[])?;
    seen.clone().has(&json!({"rows": [
        {"object": {
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "a", "uid": "$any", "resourceVersion": "$any"},
            "data": "$absent",
        }},
        {"object": {"metadata": {"name": "b"}}},
    ]}))?;
    so(seen.body["rows"][0]["cells"][1] == 1, "one datum, as a number", seen.text())?;
    let seen = w.kube.table(&list("&includeObject=None&limit=1")).await?.code(200)?;
    let continues = json!({"rows": [{"object": null}], "metadata": {"continue": "$any"}});
    seen.has(&continues)?;
    w.kube.table(&list("&includeObject=Object&limit=1")).await?.code(200)?.has(&json!({
        "rows": [{"object": {"kind": "ConfigMap", "data": {"k": "v"}}}],
    }))?;
    let none = w.kube.table(&w.core("secrets?includeObject=None")).await?.code(200)?;
    none.has(&json!({"rows": []}))?;
    // What is refused is a plain Status.
    let message = "configmaps \"none\" not found";
    let details = json!({"name": "none", "kind": "configmaps"});
    let seen = w.kube.table(&w.core("configmaps/none")).await?;
    seen.refused(404, "NotFound", message, &details)?;
    Ok(())
}

async fn what_groups_there_are(w: &World) -> Done {
    w.kube.get("/api").await?.code(200)?.has(&json!({
        "kind": "APIVersions", "versions": ["v1"],
    }))?;
    let seen = w.kube.get("/apis").await?.code(200)?.has(&json!({
        "kind": "APIGroupList", "apiVersion": "v1",
    }))?;
    for (group, version) in [
        ("apps", "v1"),
        ("authentication.k8s.io", "v1"),
        ("authorization.k8s.io", "v1"),
        ("coordination.k8s.io", "v1"),
        ("storage.k8s.io", "v1"),
        ("batch", "v1"),
    ] {
        let at = json!({"groupVersion": format!("{group}/{version}"), "version": version});
        let wanted = json!({"name": group, "versions": [at], "preferredVersion": at});
        so(seen.list("/groups")?.contains(&wanted), wanted, "not there")?;
    }
    let seen = w.kube.get("/apis/none.example.net/v1").await?.code(404)?;
    so(seen.text() == "404 page not found", "404 page not found", seen.text())
}

async fn what_resources_there_are(w: &World) -> Done {
    let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let core = w.kube.get("/api/v1").await?.code(200)?.has(&json!({
        "kind": "APIResourceList", "groupVersion": "v1",
    }))?;
    let apps = w.kube.get("/apis/apps/v1").await?.code(200)?.has(&json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1",
    }))?;
    let storage = w.kube.get("/apis/storage.k8s.io/v1").await?.code(200)?;
    let expected = [
        (&core, "pods", "pod", "Pod", true, json!(["po"])),
        (
            &core,
            "persistentvolumeclaims",
            "persistentvolumeclaim",
            "PersistentVolumeClaim",
            true,
            json!(["pvc"]),
        ),
        (&core, "persistentvolumes", "persistentvolume", "PersistentVolume", false, json!(["pv"])),
        (&core, "nodes", "node", "Node", false, json!(["no"])),
        (&core, "configmaps", "configmap", "ConfigMap", true, json!(["cm"])),
        (&core, "events", "event", "Event", true, json!(["ev"])),
        (&apps, "statefulsets", "statefulset", "StatefulSet", true, json!(["sts"])),
        (&storage, "storageclasses", "storageclass", "StorageClass", false, json!(["sc"])),
    ];
    for (list, name, singular, kind, namespaced, short) in expected {
        let found = list.list("/resources")?.iter().find(|r| r["name"] == name);
        let wanted = json!({
            "name": name, "singularName": singular, "namespaced": namespaced, "kind": kind,
            "verbs": all, "shortNames": short,
        });
        if let Some(it) = super::answer::difference(&wanted, found, name) {
            return super::answer::wrong(it, "in the list");
        }
    }
    for (list, name, verbs) in [
        (&core, "pods/exec", json!(["create", "get"])),
        (&core, "pods/log", json!(["get"])),
        (&core, "pods/status", json!(["get", "patch", "update"])),
        (&core, "pods/eviction", json!(["create"])),
        (&apps, "statefulsets/scale", json!(["get", "patch", "update"])),
    ] {
        let found = list.list("/resources")?.iter().find(|r| r["name"] == name);
        so(
            found.is_some_and(|r| r["verbs"] == verbs),
            format!("{name} {verbs}"),
            format!("{found:?}"),
        )?;
    }
    Ok(())
}

async fn health_and_version(w: &World) -> Done {
    for path in ["/healthz", "/livez", "/readyz"] {
        let seen = w.kube.get(path).await?.code(200)?;
        so(seen.text() == "ok", "ok", seen.text())?;
    }
    w.kube.get("/version").await?.code(200)?.has(&json!({
        "major": "1", "minor": "$any", "gitVersion": "$any", "platform": "$any",
    }))?;
    Ok(())
}
