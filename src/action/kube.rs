//! Kubernetes: planning deletes by UID, the pvc-protection remedy, waiting.
//!
//! Material: UID, deletionTimestamp, owners; of claims also volume and reclaim policy; of
//! a StatefulSet its generation. Not: resourceVersion, status, labels.

use crate::action::args::Args;
use crate::action::kube_claims::{claims_of, claims_to_delete};
use crate::action::kube_successor;
use crate::action::quoted;
use crate::event::{Proposal, Target, Time};
use crate::remote::{Remote, Trouble, review_access, trouble};
use crate::runbook::verbs::seconds_of;
use crate::text::{clean_line, counted};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The finalizer that is removed, and only that.
pub(crate) const PROTECTION: &str = "kubernetes.io/pvc-protection";
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn client(remote: &Remote) -> Result<&Client, String> {
    remote.kube.as_ref().map_err(|e| format!("the API server cannot be asked: {e}"))
}

pub(crate) fn kubectl(remote: &Remote) -> String {
    let context = remote.site.kubernetes.as_ref().map(|k| k.context.as_str()).unwrap_or_default();
    kubectl_with(&remote.kubeconfig, context)
}

/// `--kubeconfig` takes one file; several are merged only from the environment.
fn kubectl_with(kubeconfig: &[PathBuf], context: &str) -> String {
    let paths: Vec<_> = kubeconfig.iter().map(|p| p.display().to_string()).collect();
    let (listed, context) = (quoted(&paths.join(":")), quoted(context));
    match paths.len() {
        // There is no file: of an in-process lab, and it must not be the user's own.
        0 => format!("kubectl --kubeconfig /dev/null --context {context}"),
        1 => format!("kubectl --kubeconfig {listed} --context {context}"),
        _ => format!("KUBECONFIG={listed} kubectl --context {context}"),
    }
}

pub(crate) fn namespace<'a>(remote: &'a Remote, args: &Args<'a>) -> &'a str {
    let of_vault = remote.site.vault.as_ref().map(|v| v.namespace.as_str());
    args.opt("namespace").or(of_vault).unwrap_or("default")
}

/// A request with a deadline; the client has none of its own.
pub(crate) async fn within<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(answer) => answer.map_err(trouble),
        Err(_) => Err(Trouble::Unreachable(format!("no answer in {} s", DEADLINE.as_secs()))),
    }
}

/// What is read, asked beside the right to act on it; a right that lacks is told first.
async fn beside<T, E: ToString>(
    allowed: impl Future<Output = Result<(), Trouble>>,
    read: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    let (allowed, read) = tokio::join!(allowed, read);
    allowed.map_err(|e| e.to_string())?;
    read.map_err(|e| e.to_string())
}

/// What is material of any object.
fn facts(material: &mut BTreeMap<String, Value>, name: &str, meta: &ObjectMeta) {
    let owners: Vec<_> =
        meta.owner_references.iter().flatten().map(|o| json!([o.kind, o.name, o.uid])).collect();
    material.insert(format!("{name}.uid"), json!(meta.uid));
    material.insert(
        format!("{name}.deletionTimestamp"),
        json!(meta.deletion_timestamp.as_ref().map(|t| t.0.to_string())),
    );
    material.insert(format!("{name}.owners"), json!(owners));
}

fn target(kind: &str, meta: &ObjectMeta, note: String) -> Target {
    Target {
        kind: kind.into(),
        namespace: meta.namespace.clone(),
        name: clean_line(meta.name.as_deref().unwrap_or_default()),
        uid: meta.uid.clone(),
        created: meta.creation_timestamp.as_ref().map(|t| Time(t.0.as_millisecond())),
        note,
    }
}

fn delete_options(uid: &str, extra: &[(&str, Value)]) -> Value {
    let mut options =
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
    for (key, value) in extra {
        options[*key] = value.clone();
    }
    options
}

/// A delete through a pipe: the only form in which kubectl sends a UID precondition.
fn delete_command(remote: &Remote, path: &str, options: &Value) -> String {
    format!(
        "printf '%s\\n' {} | {} delete --raw {} -f -",
        quoted(&options.to_string()),
        kubectl(remote),
        quoted(path)
    )
}

/// One object to delete: where, by which UID, with which options.
fn request(objects: &[(String, String, Value)]) -> Value {
    let list: Vec<_> =
        objects.iter().map(|(resource, name, options)| json!({"resource": resource, "name": name, "options": options})).collect();
    json!({ "delete": list })
}

pub(crate) async fn plan_statefulset(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (client, namespace, name) = (client(remote)?, namespace(remote, args), args.text("name")?);
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let allowed = review_access(client, "delete", "apps", "statefulsets", Some(namespace));
    let set = beside(allowed, within(api.get(name))).await?;
    if let Some(manifest) = args.opt("successor").filter(|m| !m.is_empty()) {
        kube_successor::check(remote, manifest, &set).await?;
    }
    let mut material = BTreeMap::new();
    facts(&mut material, name, &set.metadata);
    material.insert(format!("{name}.generation"), json!(set.metadata.generation));
    let uid = set.metadata.uid.clone().unwrap_or_default();
    let options = delete_options(&uid, &[("propagationPolicy", json!("Orphan"))]);
    let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}");
    let ready = set.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0);
    Ok(Proposal {
        verb: "kube.delete_statefulset".into(),
        sentence: format!(
            "DELETE StatefulSet {namespace}/{name} and leave its pods and claims alone (cascade orphan)"
        ),
        targets: vec![target(
            "StatefulSet",
            &set.metadata,
            format!("{ready} pods stay as they are"),
        )],
        material,
        commands: vec![delete_command(remote, &path, &options)],
        request: request(&[("statefulsets".into(), name.into(), options)]),
        cautions: Vec::new(),
        before: json!([{"name": name, "uid": uid}]),
    })
}

/// Claims as targets and material, with what happens to their volumes.
async fn claim_targets(
    client: &Client,
    claims: &[PersistentVolumeClaim],
) -> Result<(Vec<Target>, BTreeMap<String, Value>), String> {
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let policy = async |c: &PersistentVolumeClaim| {
        let volume = c.spec.as_ref().and_then(|s| s.volume_name.as_deref());
        let Some(volume) = volume.filter(|v| !v.is_empty()) else { return Ok(String::new()) };
        let volume = within(volumes.get_opt(volume)).await.map_err(|e| e.to_string())?;
        let policy = volume.and_then(|v| v.spec?.persistent_volume_reclaim_policy);
        Ok::<_, String>(policy.unwrap_or_default())
    };
    let policies = futures::future::join_all(claims.iter().map(policy)).await;
    let (mut targets, mut material) = (Vec::new(), BTreeMap::new());
    for (c, policy) in claims.iter().zip(policies) {
        let (name, policy) = (c.metadata.name.clone().unwrap_or_default(), policy?);
        let spec = c.spec.clone().unwrap_or_default();
        facts(&mut material, &name, &c.metadata);
        material.insert(format!("{name}.volume"), json!(spec.volume_name));
        material.insert(format!("{name}.policy"), json!(policy));
        let fate = match policy.as_str() {
            "Retain" => "volume kept: Retain".to_owned(),
            "" => "no volume".to_owned(),
            other => format!("VOLUME GOES TOO: {other}"),
        };
        let class = clean_line(spec.storage_class_name.as_deref().unwrap_or("no class"));
        targets.push(target("PersistentVolumeClaim", &c.metadata, format!("{class} · {fate}")));
    }
    Ok((targets, material))
}

fn names_and_uids(targets: &[Target]) -> Value {
    targets.iter().map(|t| json!({"name": t.name, "uid": t.uid})).collect()
}

pub(crate) async fn plan_claims(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (client, namespace, pod) = (client(remote)?, namespace(remote, args), args.text("of_pod")?);
    let allowed = review_access(client, "delete", "", "persistentvolumeclaims", Some(namespace));
    let claims = beside(allowed, claims_to_delete(client, namespace, pod)).await?;
    let (targets, material) = claim_targets(client, &claims).await?;
    let mut objects = Vec::new();
    let mut commands = Vec::new();
    for t in &targets {
        let options = delete_options(t.uid.as_deref().unwrap_or_default(), &[]);
        let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{}", t.name);
        commands.push(delete_command(remote, &path, &options));
        objects.push(("persistentvolumeclaims".to_owned(), t.name.clone(), options));
    }
    Ok(Proposal {
        verb: "kube.delete_claims".into(),
        sentence: format!(
            "DELETE {} in namespace {namespace}, without waiting for {} to go",
            counted(targets.len(), "claim"),
            if targets.len() == 1 { "it" } else { "them" }
        ),
        before: names_and_uids(&targets),
        request: request(&objects),
        targets,
        material,
        commands,
        cautions: Vec::new(),
    })
}

pub(crate) async fn plan_pod(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (client, namespace, name) = (client(remote)?, namespace(remote, args), args.text("name")?);
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let allowed = review_access(client, "delete", "", "pods", Some(namespace));
    let pod = beside(allowed, within(api.get(name))).await?;
    let mut material = BTreeMap::new();
    facts(&mut material, name, &pod.metadata);
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let grace = match args.opt("grace") {
        Some(text) => Some(seconds_of("kube.delete_pod", "grace", text)?.0 / 1000),
        None => None,
    };
    let extra: Vec<(&str, Value)> =
        grace.map(|g| ("gracePeriodSeconds", json!(g))).into_iter().collect();
    let options = delete_options(&uid, &extra);
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    let node = pod.spec.as_ref().and_then(|s| s.node_name.clone()).unwrap_or_default();
    Ok(Proposal {
        verb: "kube.delete_pod".into(),
        sentence: format!("DELETE pod {namespace}/{name}"),
        targets: vec![target("Pod", &pod.metadata, format!("on {}", clean_line(&node)))],
        material,
        commands: vec![delete_command(remote, &path, &options)],
        request: request(&[("pods".into(), name.into(), options)]),
        cautions: Vec::new(),
        before: json!([{"name": name, "uid": uid}]),
    })
}

pub(crate) async fn plan_protection(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (client, namespace, pod) = (client(remote)?, namespace(remote, args), args.text("of_pod")?);
    let allowed = review_access(client, "patch", "", "persistentvolumeclaims", Some(namespace));
    let mut claims = beside(allowed, claims_of(client, namespace, pod)).await?;
    claims.retain(|c| c.metadata.deletion_timestamp.is_some());
    if claims.is_empty() {
        return Err(format!(
            "no claim of {pod} is being deleted; a finalizer of a claim that stays comes back at once"
        ));
    }
    let (targets, mut material) = claim_targets(client, &claims).await?;
    let (mut patches, mut commands) = (Vec::new(), Vec::new());
    for (claim, t) in claims.iter().zip(&targets) {
        if material.get(&format!("{}.policy", t.name)) != Some(&json!("Retain")) {
            return Err(format!(
                "the volume of {} is not kept (Retain); freeing the claim could lose it",
                t.name
            ));
        }
        let finalizers = claim.metadata.finalizers.clone().unwrap_or_default();
        let Some(i) = finalizers.iter().position(|f| f == PROTECTION) else {
            return Err(format!(
                "{} is not held by {PROTECTION} but by {}",
                t.name,
                clean_line(&finalizers.join(", "))
            ));
        };
        material.insert(format!("{}.finalizers", t.name), json!(finalizers));
        let at = format!("/metadata/finalizers/{i}");
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": t.uid},
            {"op": "test", "path": at, "value": PROTECTION},
            {"op": "remove", "path": at},
        ]);
        commands.push(format!(
            "{} -n {} patch persistentvolumeclaim {} --type=json -p {}",
            kubectl(remote),
            quoted(namespace),
            quoted(&t.name),
            quoted(&patch.to_string())
        ));
        patches.push(json!({"name": t.name, "patch": patch}));
    }
    Ok(Proposal {
        verb: "kube.remove_protection".into(),
        sentence: format!(
            "REMOVE the finalizer {PROTECTION} from {} claims in namespace {namespace} that are being deleted",
            targets.len()
        ),
        before: names_and_uids(&targets),
        request: json!({ "patch": patches }),
        targets,
        material,
        commands,
        cautions: Vec::new(),
    })
}

pub(crate) async fn plan_wait(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (namespace, pod, until) = (namespace(remote, args), args.text("pod")?, args.text("until")?);
    let within = seconds_of("kube.wait", "within", args.text("within")?)?;
    let condition = match until {
        "ready" => "condition=Ready",
        "deleted" => "delete",
        other => {
            return Err(format!("a pod is waited for until `ready` or `deleted`, not `{other}`"));
        }
    };
    client(remote)?;
    Ok(Proposal {
        verb: "kube.wait".into(),
        sentence: format!("wait until pod {namespace}/{pod} is {until}, {within} at most"),
        targets: vec![Target {
            kind: "Pod".into(),
            namespace: Some(namespace.into()),
            name: pod.into(),
            uid: None,
            created: None,
            note: String::new(),
        }],
        material: BTreeMap::new(),
        request: json!({"until": until, "within": within}),
        commands: vec![format!(
            "{} -n {} wait {} --for={condition} --timeout={}s",
            kubectl(remote),
            quoted(namespace),
            quoted(&format!("pod/{pod}")),
            within.0 / 1000
        )],
        cautions: Vec::new(),
        before: Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_one_kubeconfig_or_the_list() {
        let of = |paths: &[&str]| {
            kubectl_with(&paths.iter().map(PathBuf::from).collect::<Vec<_>>(), "my ctx")
        };
        assert_eq!(of(&["/a"]), "kubectl --kubeconfig /a --context 'my ctx'");
        assert_eq!(of(&["/a", "/b c"]), "KUBECONFIG='/a:/b c' kubectl --context 'my ctx'");
    }
}
