//! Who may do what, and how a refusal reads.

use super::User;
use super::answer::{Done, so};
use super::run::cases;
use super::things::{config, pod};
use super::world::World;
use serde_json::{Value, json};

cases![
    a_reader_may_not_delete,
    a_refusal_names_the_group,
    a_refusal_at_the_cluster_scope,
    a_subresource_has_rights_of_its_own,
    a_review_of_ones_own_access,
    a_user_of_one_namespace,
    a_token_that_nobody_knows,
    a_refusal_comes_before_what_is_there,
];

fn review(verb: &str, namespace: &str, resource: &str, subresource: &str) -> Value {
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "namespace": namespace, "verb": verb, "resource": resource,
            "subresource": subresource,
        }},
    })
}

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

async fn a_reader_may_not_delete(w: &World) -> Done {
    w.make("pods", &pod("p", None)).await?;
    let reader = w.user(User::Reader).await;
    let path = w.core("pods/p");
    let uid = reader.get(&path).await?.code(200)?.uid();
    let message = |verb: &str, name: &str| {
        format!(
            "pods{name} is forbidden: User \"limited\" cannot {verb} resource \"pods\" in API \
             group \"\" in the namespace \"{}\"",
            w.ns
        )
    };
    let named = json!({"name": "p", "kind": "pods"});
    let delete = message("delete", " \"p\"");
    reader.delete(&path).await?.refused(403, "Forbidden", &delete, &named)?;
    let patch = message("patch", " \"p\"");
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    reader.merge(&path, &label).await?.refused(403, "Forbidden", &patch, &named)?;
    let create = message("create", "");
    let kind = json!({"kind": "pods"});
    reader.post(&w.core("pods"), &pod("q", None)).await?.refused(
        403,
        "Forbidden",
        &create,
        &kind,
    )?;
    let all = message("deletecollection", "");
    reader.delete(&w.core("pods")).await?.refused(403, "Forbidden", &all, &kind)?;
    // A dry run has to be allowed as well.
    reader.delete(&format!("{path}?dryRun=All")).await?.refused(
        403,
        "Forbidden",
        &delete,
        &named,
    )?;
    w.kube.get(&path).await?.code(200)?.has(&json!({"metadata": {"uid": uid}}))?;
    Ok(())
}

async fn a_refusal_names_the_group(w: &World) -> Done {
    let reader = w.user(User::Reader).await;
    reader.delete(&w.apps("statefulsets/w")).await?.refused(
        403,
        "Forbidden",
        &format!(
            "statefulsets.apps \"w\" is forbidden: User \"limited\" cannot delete resource \
             \"statefulsets\" in API group \"apps\" in the namespace \"{}\"",
            w.ns
        ),
        &json!({"name": "w", "group": "apps", "kind": "statefulsets"}),
    )?;
    Ok(())
}

async fn a_refusal_at_the_cluster_scope(w: &World) -> Done {
    let reader = w.user(User::Reader).await;
    reader.get("/api/v1/nodes").await?.code(200)?.has(&json!({"kind": "NodeList"}))?;
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    reader.merge("/api/v1/nodes/node-1", &label).await?.refused(
        403,
        "Forbidden",
        "nodes \"node-1\" is forbidden: User \"limited\" cannot patch resource \"nodes\" in API \
         group \"\" at the cluster scope",
        &json!({"name": "node-1", "kind": "nodes"}),
    )?;
    Ok(())
}

/// Reading pods is not looking into them.
async fn a_subresource_has_rights_of_its_own(w: &World) -> Done {
    w.make("pods", &pod("p", None)).await?;
    let reader = w.user(User::Reader).await;
    let path = w.core("pods/p/exec?command=true&stdout=true");
    reader.post(&path, &json!({})).await?.refused(
        403,
        "Forbidden",
        &format!(
            "pods \"p\" is forbidden: User \"limited\" cannot create resource \"pods/exec\" in \
             API group \"\" in the namespace \"{}\"",
            w.ns
        ),
        &json!({"name": "p", "kind": "pods"}),
    )?;
    let status = json!({"status": {"message": "m"}});
    let seen = reader.merge(&w.core("pods/p/status"), &status).await?.code(403)?;
    let says = "cannot patch resource \"pods/status\"";
    so(seen.word("/message").contains(says), says, seen.text())
}

/// It is created, never stored, and says why where it is a rule that allows.
async fn a_review_of_ones_own_access(w: &World) -> Done {
    let reader = w.user(User::Reader).await;
    let ask = async |verb: &str, resource: &str, sub: &str| {
        reader.post(REVIEWS, &review(verb, &w.ns, resource, sub)).await?.code(201)
    };
    ask("delete", "pods", "").await?.has(&json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": {"namespace": w.ns, "verb": "delete", "resource": "pods"}},
        "status": {"allowed": false, "reason": "$absent"},
    }))?;
    ask("get", "pods", "").await?.has(&json!({"status": {
        "allowed": true,
        "reason": "RBAC: allowed by ClusterRoleBinding \"readers\" of ClusterRole \"readers\" to \
                   Group \"readers\"",
    }}))?;
    ask("create", "pods", "exec").await?.has(&json!({"status": {"allowed": false}}))?;
    let mine = w.kube.post(REVIEWS, &review("create", &w.ns, "pods", "exec")).await?.code(201)?;
    mine.has(&json!({"status": {"allowed": true}}))?;
    Ok(())
}

/// All of a namespace, and nothing outside: lists of all namespaces are refused.
async fn a_user_of_one_namespace(w: &World) -> Done {
    let only = w.user(User::Only(w.ns.clone())).await;
    let name = format!("only-{}", w.ns);
    // The rights have to arrive first.
    let look = async || only.get(&w.core("pods")).await?.code(200);
    w.eventually("a list of its own pods", look).await?.has(&json!({"kind": "PodList"}))?;
    only.post(&w.core("configmaps"), &config("c", json!({}))).await?.code(201)?;
    let kind = json!({"kind": "pods"});
    let everywhere = format!(
        "pods is forbidden: User \"{name}\" cannot list resource \"pods\" in API group \"\" at \
         the cluster scope"
    );
    only.get("/api/v1/pods").await?.refused(403, "Forbidden", &everywhere, &kind)?;
    let elsewhere = format!(
        "pods is forbidden: User \"{name}\" cannot list resource \"pods\" in API group \"\" in \
         the namespace \"vault\""
    );
    only.get("/api/v1/namespaces/vault/pods").await?.refused(
        403,
        "Forbidden",
        &elsewhere,
        &kind,
    )?;
    let watch = format!(
        "pods is forbidden: User \"{name}\" cannot watch resource \"pods\" in API group \"\" at \
         the cluster scope"
    );
    only.get("/api/v1/pods?watch=true").await?.refused(403, "Forbidden", &watch, &kind)?;
    for (namespace, allowed) in [(w.ns.as_str(), true), ("vault", false), ("", false)] {
        only.post(REVIEWS, &review("list", namespace, "pods", "")).await?.code(201)?.has(
            &json!({
                "status": {"allowed": allowed},
            }),
        )?;
    }
    Ok(())
}

async fn a_token_that_nobody_knows(w: &World) -> Done {
    let stranger = w.user(User::Stranger).await;
    for path in ["/api/v1/namespaces", "/version", "/nosuch"] {
        stranger.get(path).await?.refused(401, "Unauthorized", "Unauthorized", &Value::Null)?;
    }
    Ok(())
}

/// Who may not ask does not learn whether it is there.
async fn a_refusal_comes_before_what_is_there(w: &World) -> Done {
    let reader = w.user(User::Reader).await;
    reader.delete(&w.core("pods/none")).await?.code(403)?;
    let uid = json!({"preconditions": {"uid": super::things::OTHER_UID}});
    reader.delete_with(&w.core("pods/none"), uid).await?.code(403)?;
    reader.get(&w.core("pods/none")).await?.code(404)?;
    Ok(())
}
