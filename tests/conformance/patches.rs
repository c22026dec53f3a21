//! Ways to change an object.

use super::answer::{Done, so};
use super::run::cases;
use super::things::{config, pod};
use super::world::World;
use serde_json::{Value, json};

cases![
    a_merge_patch,
    a_strategic_patch_merges_lists_by_key,
    a_json_patch_is_all_or_nothing,
    what_is_no_patch,
    an_apply_creates_and_then_changes,
    an_apply_that_conflicts,
    an_apply_by_force,
    an_apply_takes_back_what_it_no_longer_says,
    an_apply_to_one_object_and_no_other,
    status_is_apart,
    a_patch_that_is_invalid,
];

const CM: &str = "configmaps/c";
const REFUSED: &str = "the server rejected our request due to an error in our request";

/// A null removes, the rest is added; what changes nothing makes no new version.
async fn a_merge_patch(w: &World) -> Done {
    let made = w.make("configmaps", &config("c", json!({"data": {"a": "1", "b": "2"}}))).await?;
    let patch = json!({"data": {"a": null, "c": "3"}});
    let first = w.kube.merge(&w.core(CM), &patch).await?.code(200)?;
    so(first.body["data"] == json!({"b": "2", "c": "3"}), "b and c", first.text())?;
    so(first.version() != made.version(), "another version", first.version())?;
    let same = w.kube.merge(&w.core(CM), &json!({"data": {"c": "3"}})).await?.code(200)?;
    so(same.version() == first.version(), first.version(), same.version())
}

async fn a_strategic_patch_merges_lists_by_key(w: &World) -> Done {
    let mut two = pod("p", None);
    two["spec"]["containers"] =
        json!([{"name": "a", "image": "one"}, {"name": "b", "image": "two"}]);
    w.make("pods", &two).await?;
    let patch = json!({"spec": {"containers": [{"name": "b", "image": "three"}]}});
    w.kube.strategic(&w.core("pods/p"), &patch).await?.code(200)?.has(&json!({
        "spec": {"containers": [
            {"name": "a", "image": "one"}, {"name": "b", "image": "three"},
        ]},
    }))?;
    // A merge patch takes the list for a whole, and a pod's containers are what they are.
    let why = "Forbidden: pod updates may not add or remove containers";
    w.kube.merge(&w.core("pods/p"), &patch).await?.refused(
        422,
        "Invalid",
        &format!("Pod \"p\" is invalid: spec.containers: {why}"),
        &json!({"name": "p", "kind": "Pod", "causes": [{
            "reason": "FieldValueForbidden", "message": why, "field": "spec.containers",
        }]}),
    )?;
    Ok(())
}

/// A failing test, or a removal of what is not there, and nothing is done.
async fn a_json_patch_is_all_or_nothing(w: &World) -> Done {
    let made = w.make("configmaps", &config("c", json!({"data": {"a": "1"}}))).await?;
    for wrong in [
        json!([
            {"op": "replace", "path": "/data/a", "value": "2"},
            {"op": "test", "path": "/data/a", "value": "1"},
        ]),
        json!([{"op": "test", "path": "/data/none", "value": "1"}]),
        json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "x"}]),
        json!([{"op": "remove", "path": "/data/none"}]),
        json!([{"op": "add", "path": "/none/none", "value": "1"}]),
    ] {
        w.kube.json_patch(&w.core(CM), &wrong).await?.refused(
            422,
            "Invalid",
            REFUSED,
            &json!({}),
        )?;
    }
    let now = w.kube.get(&w.core(CM)).await?.code(200)?;
    so(now.version() == made.version(), made.version(), now.text())?;
    let right = json!([
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "add", "path": "/data/b", "value": "2"},
        {"op": "remove", "path": "/data/a"},
    ]);
    let seen = w.kube.json_patch(&w.core(CM), &right).await?.code(200)?;
    so(seen.body["data"] == json!({"b": "2"}), "b", seen.text())?;
    // To replace what is not there is to add it.
    let absent = json!([{"op": "replace", "path": "/data/none", "value": "3"}]);
    let seen = w.kube.json_patch(&w.core(CM), &absent).await?.code(200)?;
    so(seen.body["data"] == json!({"b": "2", "none": "3"}), "b and none", seen.text())
}

async fn what_is_no_patch(w: &World) -> Done {
    w.make("configmaps", &config("c", json!({}))).await?;
    let body = json!({"data": {}});
    w.kube.patch("application/json", &w.core(CM), &body).await?.refused(
        415,
        "UnsupportedMediaType",
        "415: Unsupported Media Type",
        &json!({}),
    )?;
    let seen = w.kube.json_patch(&w.core(CM), &json!({"op": "test"})).await?.code(400)?;
    let starts = "error decoding patch: ";
    so(seen.word("/message").starts_with(starts), starts, seen.text())?;
    seen.has(&json!({"reason": "BadRequest"}))?;
    Ok(())
}

fn as_manager(w: &World, manager: &str) -> String {
    w.core(&format!("{CM}?fieldManager={manager}"))
}

fn data(k: &str) -> Value {
    config("c", json!({"data": {"k": k}}))
}

async fn an_apply_creates_and_then_changes(w: &World) -> Done {
    let made = w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(201)?.has(&json!({
        "data": {"k": "1"},
        "metadata": {"managedFields": [{
            "manager": "one", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "time": "$any", "fieldsV1": {"f:data": {"f:k": {}}},
        }]},
    }))?;
    let same = w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(200)?;
    so(same.version() == made.version(), made.version(), same.version())?;
    w.kube.apply(&as_manager(w, "one"), &data("2")).await?.code(200)?.has(&json!({
        "data": {"k": "2"}, "metadata": {"uid": made.uid()},
    }))?;
    let why = "Required value: is required for apply patch";
    w.kube.apply(&w.core(CM), &data("3")).await?.refused(
        422,
        "Invalid",
        &format!("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: {why}"),
        &json!({"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [{
            "reason": "FieldValueRequired", "message": why, "field": "fieldManager",
        }]}),
    )?;
    Ok(())
}

/// It names who has the field, and which.
async fn an_apply_that_conflicts(w: &World) -> Done {
    w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(201)?;
    let conflict = |with: &str| {
        (
            format!("Apply failed with 1 conflict: conflict with {with}: .data.k"),
            json!({"causes": [{
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {with}"),
                "field": ".data.k",
            }]}),
        )
    };
    let (message, details) = conflict("\"one\"");
    let seen = w.kube.apply(&as_manager(w, "two"), &data("2")).await?;
    seen.refused(409, "Conflict", &message, &details)?;
    w.kube.get(&w.core(CM)).await?.code(200)?.has(&json!({"data": {"k": "1"}}))?;
    // To say the same is to share it.
    w.kube.apply(&as_manager(w, "two"), &data("1")).await?.code(200)?;
    // Who wrote it by another way is named with that way's version.
    w.kube.delete(&w.core(CM)).await?.code(200)?;
    let path = w.core("configmaps?fieldManager=hand");
    w.kube.post(&path, &data("1")).await?.code(201)?;
    let (message, details) = conflict("\"hand\" using v1");
    let seen = w.kube.apply(&as_manager(w, "two"), &data("2")).await?;
    seen.refused(409, "Conflict", &message, &details)?;
    Ok(())
}

async fn an_apply_by_force(w: &World) -> Done {
    w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(201)?;
    let path = format!("{}&force=true", as_manager(w, "two"));
    w.kube.apply(&path, &data("2")).await?.code(200)?.has(&json!({
        "data": {"k": "2"},
        "metadata": {"managedFields": [{"manager": "two", "operation": "Apply"}]},
    }))?;
    let details = json!({"causes": "$any"});
    let back = w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(409)?;
    back.has(&json!({"reason": "Conflict", "details": details}))?;
    Ok(())
}

async fn an_apply_takes_back_what_it_no_longer_says(w: &World) -> Done {
    let both = config("c", json!({"data": {"k": "1", "l": "1"}}));
    w.kube.apply(&as_manager(w, "one"), &both).await?.code(201)?;
    let other = config("c", json!({"data": {"m": "1"}}));
    w.kube.apply(&as_manager(w, "two"), &other).await?.code(200)?;
    let seen = w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(200)?;
    so(seen.body["data"] == json!({"k": "1", "m": "1"}), "k and m", seen.text())
}

/// A UID in what is applied is that of the object which is meant.
async fn an_apply_to_one_object_and_no_other(w: &World) -> Done {
    let to = |uid: &str| {
        let mut bound = data("2");
        bound["metadata"]["uid"] = json!(uid);
        bound
    };
    let old = w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(201)?.uid();
    w.kube.apply(&as_manager(w, "one"), &to(&old)).await?.code(200)?.has(&json!({
        "metadata": {"uid": old, "managedFields": [{"fieldsV1": {"f:data": {"f:k": {}}}}]},
    }))?;
    w.kube.delete(&w.core(CM)).await?.code(200)?;
    let why = format!(
        "Operation cannot be fulfilled on configmaps \"c\": uid mismatch: the provided object \
         specified uid {old}, and no existing object was found"
    );
    let gone = json!({"name": "c", "kind": "configmaps"});
    let seen = w.kube.apply(&as_manager(w, "one"), &to(&old)).await?;
    seen.refused(409, "Conflict", &why, &gone)?;
    let new = w.kube.apply(&as_manager(w, "one"), &data("1")).await?.code(201)?;
    let seen = w.kube.apply(&as_manager(w, "one"), &to(&old)).await?.code(422)?;
    seen.has(&json!({
        "reason": "Invalid",
        "message": format!(
            "ConfigMap \"c\" is invalid: metadata.uid: Invalid value: \"{old}\": field is immutable"
        ),
    }))?;
    w.kube.get(&w.core(CM)).await?.code(200)?.has(&json!({
        "data": {"k": "1"}, "metadata": {"uid": new.uid()},
    }))?;
    Ok(())
}

/// Through its own door the status changes and nothing else; through the other, not the status.
async fn status_is_apart(w: &World) -> Done {
    w.make("pods", &pod("p", None)).await?;
    let both = json!({
        "metadata": {"labels": {"a": "b"}}, "status": {"message": "m"},
    });
    w.kube.merge(&w.core("pods/p"), &both).await?.code(200)?.has(&json!({
        "metadata": {"labels": {"a": "b"}}, "status": {"message": "$absent"},
    }))?;
    let both = json!({"spec": {"activeDeadlineSeconds": 5}, "status": {"message": "n"}});
    w.kube.merge(&w.core("pods/p/status"), &both).await?.code(200)?.has(&json!({
        "spec": {"activeDeadlineSeconds": "$absent"}, "status": {"message": "n"},
    }))?;
    Ok(())
}

/// The message has field and reason, the details every cause.
async fn a_patch_that_is_invalid(w: &World) -> Done {
    w.make("configmaps", &config("c", json!({}))).await?;
    let patch = json!({"metadata": {"labels": {"a": "not a label"}}});
    let seen = w.kube.merge(&w.core(CM), &patch).await?.code(422)?.has(&json!({
        "reason": "Invalid", "details": {"name": "c", "kind": "ConfigMap", "causes": "$any"},
    }))?;
    let starts = "ConfigMap \"c\" is invalid: metadata.labels: Invalid value: \"not a label\": ";
    so(seen.word("/message").starts_with(starts), starts, seen.text())?;
    let number = json!({"data": {"a": 1}});
    let seen = w.kube.merge(&w.core(CM), &number).await?.code(422)?.has(&json!({
        "reason": "Invalid",
        "details": {"causes": [{"reason": "FieldValueInvalid", "field": "patch"}]},
    }))?;
    let ends = "json: cannot unmarshal number into Go struct field ConfigMap.data of type string";
    so(seen.word("/message").ends_with(ends), ends, seen.text())
}
