//! Writes that are refused because the object is not what the writer thought.

use super::answer::{Done, so};
use super::run::cases;
use super::things::{OTHER_UID, config};
use super::world::World;
use serde_json::{Value, json};

cases![
    delete_with_another_uid,
    delete_with_an_old_version,
    put_with_an_old_version,
    put_with_another_uid,
    put_without_a_version,
    patch_with_an_old_version,
    patch_of_the_uid,
    what_exists_is_not_created,
    what_is_absent_is_not_found,
    dry_runs_leave_no_trace,
    an_answer_to_a_deletion,
    names_and_namespaces_of_path_and_body,
];

const CM: &str = "configmaps/c";
const MODIFIED: &str = "Operation cannot be fulfilled on configmaps \"c\": the object has been \
                        modified; please apply your changes to the latest version and try again";

async fn made(w: &World) -> Result<super::answer::Answer, super::answer::Wrong> {
    w.make("configmaps", &config("c", json!({"data": {"k": "1"}}))).await
}

async fn untouched(w: &World, version: &str) -> Done {
    w.kube.get(&w.core(CM)).await?.code(200)?.has(&json!({
        "metadata": {"resourceVersion": version, "deletionTimestamp": "$absent"},
        "data": {"k": "1"},
    }))?;
    Ok(())
}

async fn delete_with_another_uid(w: &World) -> Done {
    let it = made(w).await?;
    let options = json!({"preconditions": {"uid": OTHER_UID}});
    w.kube.delete_with(&w.core(CM), options).await?.refused(
        409,
        "Conflict",
        &format!(
            "Operation cannot be fulfilled on ConfigMap \"c\": the UID in the precondition \
             ({OTHER_UID}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            it.uid()
        ),
        &json!({"name": "c", "kind": "ConfigMap"}),
    )?;
    untouched(w, &it.version()).await
}

async fn delete_with_an_old_version(w: &World) -> Done {
    let it = made(w).await?;
    let options = json!({"preconditions": {"uid": it.uid(), "resourceVersion": "1"}});
    w.kube.delete_with(&w.core(CM), options).await?.refused(
        409,
        "Conflict",
        &format!(
            "Operation cannot be fulfilled on ConfigMap \"c\": the ResourceVersion in the \
             precondition (1) does not match the ResourceVersion in record ({}). The object \
             might have been modified",
            it.version()
        ),
        &json!({"name": "c", "kind": "ConfigMap"}),
    )?;
    untouched(w, &it.version()).await
}

async fn put_with_an_old_version(w: &World) -> Done {
    let it = made(w).await?;
    let body = config("c", json!({"metadata": {"resourceVersion": "1"}, "data": {"k": "2"}}));
    w.kube.put(&w.core(CM), &body).await?.refused(
        409,
        "Conflict",
        MODIFIED,
        &json!({"name": "c", "kind": "configmaps"}),
    )?;
    untouched(w, &it.version()).await
}

async fn put_with_another_uid(w: &World) -> Done {
    let it = made(w).await?;
    let body = config("c", json!({"metadata": {"uid": OTHER_UID}, "data": {"k": "2"}}));
    let seen = w.kube.put(&w.core(CM), &body).await?.code(409)?.has(&json!({
        "reason": "Conflict", "details": {"name": "c", "kind": "configmaps"},
    }))?;
    let ends = format!(
        "Precondition failed: UID in precondition: {OTHER_UID}, UID in object meta: {}",
        it.uid()
    );
    so(seen.word("/message").ends_with(&ends), &ends, seen.text())?;
    untouched(w, &it.version()).await
}

/// Without a version it is not asked what was there; with the right one it is a new version.
async fn put_without_a_version(w: &World) -> Done {
    let it = made(w).await?;
    let new = w.kube.put(&w.core(CM), &config("c", json!({"data": {"k": "2"}}))).await?;
    let new = new.code(200)?.has(&json!({"data": {"k": "2"}, "metadata": {"uid": it.uid()}}))?;
    so(new.version() != it.version(), "another version", new.text())?;
    let body = json!({"metadata": {"resourceVersion": new.version()}, "data": {"k": "3"}});
    w.kube.put(&w.core(CM), &config("c", body)).await?.code(200)?;
    Ok(())
}

async fn patch_with_an_old_version(w: &World) -> Done {
    let it = made(w).await?;
    let body = json!({"metadata": {"resourceVersion": "1"}, "data": {"k": "2"}});
    let details = json!({"name": "c", "kind": "configmaps"});
    w.kube.merge(&w.core(CM), &body).await?.refused(409, "Conflict", MODIFIED, &details)?;
    untouched(w, &it.version()).await
}

/// It is no precondition but a change of what cannot change.
async fn patch_of_the_uid(w: &World) -> Done {
    let it = made(w).await?;
    let body = json!({"metadata": {"uid": OTHER_UID}, "data": {"k": "2"}});
    w.kube.merge(&w.core(CM), &body).await?.code(422)?.has(&json!({
        "reason": "Invalid",
        "message": format!(
            "ConfigMap \"c\" is invalid: metadata.uid: Invalid value: \"{OTHER_UID}\": field is \
             immutable"
        ),
        "details": {"name": "c", "kind": "ConfigMap"},
    }))?;
    untouched(w, &it.version()).await
}

async fn what_exists_is_not_created(w: &World) -> Done {
    let it = made(w).await?;
    w.kube.post(&w.core("configmaps"), &config("c", json!({"data": {"k": "2"}}))).await?.refused(
        409,
        "AlreadyExists",
        "configmaps \"c\" already exists",
        &json!({"name": "c", "kind": "configmaps"}),
    )?;
    untouched(w, &it.version()).await
}

/// Whatever is asked of it; with the group of the resource where it has one.
async fn what_is_absent_is_not_found(w: &World) -> Done {
    let message = "configmaps \"c\" not found";
    let details = json!({"name": "c", "kind": "configmaps"});
    let path = w.core(CM);
    for seen in [
        w.kube.get(&path).await?,
        w.kube.delete(&path).await?,
        w.kube.merge(&path, &json!({"data": {"k": "1"}})).await?,
        w.kube.put(&path, &config("c", json!({}))).await?,
    ] {
        seen.refused(404, "NotFound", message, &details)?;
    }
    w.kube.get(&w.apps("statefulsets/none")).await?.refused(
        404,
        "NotFound",
        "statefulsets.apps \"none\" not found",
        &json!({"name": "none", "group": "apps", "kind": "statefulsets"}),
    )?;
    w.kube
        .post("/api/v1/namespaces/conf-none/configmaps", &config("c", json!({})))
        .await?
        .refused(
            404,
            "NotFound",
            "namespaces \"conf-none\" not found",
            &json!({"name": "conf-none", "kind": "namespaces"}),
        )?;
    w.kube.get(&w.core("nosuch")).await?.refused(
        404,
        "NotFound",
        "the server could not find the requested resource",
        &json!({}),
    )?;
    Ok(())
}

/// The answer is as if, and nothing is different afterwards.
async fn dry_runs_leave_no_trace(w: &World) -> Done {
    let it = made(w).await?;
    let all = |path: &str| format!("{}?dryRun=All", w.core(path));
    w.kube.post(&all("configmaps"), &config("d", json!({}))).await?.code(201)?.has(&json!({
        "metadata": {"name": "d", "uid": "$any", "resourceVersion": "$absent"},
    }))?;
    w.kube.get(&w.core("configmaps/d")).await?.code(404)?;
    let changed = json!({"data": {"k": "2"}});
    w.kube.merge(&all(CM), &changed).await?.code(200)?.has(&changed)?;
    w.kube.put(&all(CM), &config("c", changed.clone())).await?.code(200)?.has(&changed)?;
    let apply = format!("{}?dryRun=All&fieldManager=conf", w.core("configmaps/d"));
    w.kube.apply(&apply, &config("d", json!({}))).await?.code(201)?;
    w.kube.get(&w.core("configmaps/d")).await?.code(404)?;
    w.kube.delete(&all(CM)).await?.code(200)?.has(&json!({"status": "Success"}))?;
    w.kube.delete_with(&w.core(CM), json!({"dryRun": ["All"]})).await?.code(200)?;
    // What would be refused is refused.
    w.kube.post(&all("configmaps"), &config("c", json!({}))).await?.code(409)?;
    let wrong = json!({"preconditions": {"uid": OTHER_UID}});
    w.kube.delete_with(&all(CM), wrong).await?.code(409)?;
    let some = format!("{}?dryRun=Some", w.core("configmaps"));
    w.kube.post(&some, &config("d", json!({}))).await?.code(422)?;
    untouched(w, &it.version()).await
}

/// A Status where the object is gone at once.
async fn an_answer_to_a_deletion(w: &World) -> Done {
    let it = made(w).await?;
    let options = json!({"preconditions": {"uid": it.uid(), "resourceVersion": it.version()}});
    w.kube.delete_with(&w.core(CM), options).await?.code(200)?.is(&json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "c", "kind": "configmaps", "uid": it.uid()},
    }))?;
    w.kube.get(&w.core(CM)).await?.code(404)?;
    let again = made(w).await?;
    so(again.uid() != it.uid(), "another UID", again.uid())
}

async fn names_and_namespaces_of_path_and_body(w: &World) -> Done {
    made(w).await?;
    let bad = |seen: super::answer::Answer, message: &str| {
        seen.refused(400, "BadRequest", message, &Value::Null)
    };
    let elsewhere = config("d", json!({"metadata": {"namespace": "default"}}));
    bad(
        w.kube.post(&w.core("configmaps"), &elsewhere).await?,
        "the namespace of the provided object does not match the namespace sent on the request",
    )?;
    bad(
        w.kube.put(&w.core(CM), &config("d", json!({}))).await?,
        "the name of the object (d) does not match the name on the URL (c)",
    )?;
    let nameless = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}});
    w.kube.post(&w.core("configmaps"), &nameless).await?.refused(
        422,
        "Invalid",
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        &json!({"kind": "ConfigMap", "causes": [{
            "reason": "FieldValueRequired",
            "message": "Required value: name or generateName is required",
            "field": "metadata.name",
        }]}),
    )?;
    let generated = json!({"metadata": {"name": null, "generateName": "x-"}});
    let seen = w.kube.post(&w.core("configmaps"), &config("", generated)).await?.code(201)?;
    let name = seen.word("/metadata/name");
    so(name.len() == 7 && name.starts_with("x-"), "x- and five more", name)
}
