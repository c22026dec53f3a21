//! Server-side apply of one object.
//!
//! Material: the object's UID, generation and deletionTimestamp if it exists; the request
//! is the manifest itself, with that UID in it: the server refuses to apply it to another object
//! of that name, and to make a new one where the object is gone.

use crate::action::args::Args;
use crate::action::kube::{client, kubectl, within};
use crate::action::{Ended, Right, Seen, failed, quoted};
use crate::event::{Outcome, Probed, Proposal, Target, Time};
use crate::remote::{Machine, Remote, Trouble, apart_soon, review_access};
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Largest manifest; the API server takes little more.
const LARGEST: u64 = 3 << 20;

struct Manifest {
    object: Value,
    kind: GroupVersionKind,
    namespace: Option<String>,
    name: String,
}

/// The manifest; a file system that hangs holds up nobody but its reader.
async fn read(remote: &Remote, path: &str) -> Result<Manifest, String> {
    let (machine, path) = (Arc::clone(&remote.machine), path.to_owned());
    apart_soon(&remote.machine, move || read_now(machine.as_ref(), &path)).await?
}

/// What a manifest holds.
pub(crate) async fn object(remote: &Remote, path: &str) -> Result<Value, String> {
    Ok(read(remote, path).await?.object)
}

fn read_now(machine: &dyn Machine, path: &str) -> Result<Manifest, String> {
    let file =
        machine.open(Path::new(path)).map_err(|e| format!("{path}: {e}; check the parameter"))?;
    let mut text = String::new();
    let bytes = file.take(LARGEST + 1).read_to_string(&mut text);
    let bytes = bytes.map_err(|e| format!("{path}: {e}"))? as u64;
    if bytes > LARGEST {
        return Err(format!("{path} has more than {LARGEST} bytes; no manifest is that large"));
    }
    let mut documents = serde_yaml_ng::Deserializer::from_str(&text);
    let first = documents.next().ok_or_else(|| format!("{path} is empty; it holds one object"))?;
    // What is no YAML says where, before anything is said of how many objects there are.
    let object: Value = serde::Deserialize::deserialize(first)
        .map_err(|e| format!("{path}: {e}; mend it there"))?;
    if documents.next().is_some() {
        return Err(format!("{path} must hold exactly one object; give each a file of its own"));
    }
    parse(object).map_err(|e| format!("{path}: {e}"))
}

fn parse(object: Value) -> Result<Manifest, String> {
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let (Some(version), Some(kind)) = (text("/apiVersion"), text("/kind")) else {
        return Err("it has no apiVersion and kind; is it a manifest?".into());
    };
    if kind == "Secret" {
        // Its values would stand in the proposal, the journal and the printed command.
        return Err("it is a Secret, whose values would be journalled; apply it elsewhere".into());
    }
    let name = text("/metadata/name").ok_or("it has no metadata.name")?;
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let kind = GroupVersionKind::gvk(group, version, &kind);
    Ok(Manifest { kind, namespace: text("/metadata/namespace"), name, object })
}

async fn api(client: &Client, m: &Manifest) -> Result<(Api<DynamicObject>, String), Trouble> {
    let (resource, capabilities) = within(kube::discovery::pinned_kind(client, &m.kind)).await?;
    let plural = resource.plural.clone();
    let api = match (&m.namespace, capabilities.scope) {
        (Some(n), kube::discovery::Scope::Namespaced) => {
            Api::namespaced_with(client.clone(), n, &resource)
        }
        (None, kube::discovery::Scope::Namespaced) => {
            Api::default_namespaced_with(client.clone(), &resource)
        }
        (_, kube::discovery::Scope::Cluster) => Api::all_with(client.clone(), &resource),
    };
    Ok((api, plural))
}

/// Rights on what the manifest holds: a kind that is not there yet is created by the patch.
pub(crate) async fn rights(remote: &Remote, args: &Args<'_>) -> Result<Vec<Right>, String> {
    let client = client(remote)?;
    let m = read(remote, args.text("manifest")?).await?;
    let (resource, capabilities) =
        within(kube::discovery::pinned_kind(client, &m.kind)).await.map_err(|e| e.to_string())?;
    let namespaced = capabilities.scope == kube::discovery::Scope::Namespaced;
    let namespace = m.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let right = |verb| Right {
        verb,
        group: m.kind.group.clone(),
        resource: resource.plural.clone(),
        namespace: namespaced.then(|| namespace.clone()),
    };
    Ok(["get", "patch", "create"].map(right).into())
}

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let client = client(remote)?;
    let m = read(remote, args.text("manifest")?).await?;
    let (api, plural) = api(client, &m).await.map_err(|e| e.to_string())?;
    review_access(client, "patch", &m.kind.group, &plural, m.namespace.as_deref())
        .await
        .map_err(|e| e.to_string())?;
    let existing = within(api.get_opt(&m.name)).await.map_err(|e| e.to_string())?;
    let mut material = BTreeMap::new();
    if let Some(object) = &existing {
        material.insert("uid".into(), json!(object.metadata.uid));
        material.insert("generation".into(), json!(object.metadata.generation));
        material.insert(
            "deletionTimestamp".into(),
            json!(object.metadata.deletion_timestamp.as_ref().map(|t| t.0.to_string())),
        );
    }
    let manager = args.opt("field_manager").unwrap_or("holdpoint");
    let force = args.flag("force");
    // What the server would refuse is known before the release.
    let mut dry = PatchParams::apply(manager);
    (dry.force, dry.dry_run) = (force, true);
    within(api.patch(&m.name, &dry, &Patch::Apply(&m.object)))
        .await
        .map_err(|e| format!("the server would refuse it: {e}"))?;
    let mut bound = m.object.clone();
    if let Some(uid) = existing.as_ref().and_then(|o| o.metadata.uid.as_ref()) {
        bound["metadata"]["uid"] = json!(uid);
    }
    let does = if existing.is_some() { "change" } else { "create" };
    let place = m.namespace.as_deref().map(|n| format!("{n}/")).unwrap_or_default();
    Ok(Proposal {
        verb: "kube.apply".into(),
        sentence: format!(
            "{does} {} {place}{} by server-side apply as {manager}",
            m.kind.kind, m.name
        ),
        targets: vec![Target {
            kind: m.kind.kind.clone(),
            namespace: m.namespace.clone(),
            name: m.name.clone(),
            uid: existing.as_ref().and_then(|o| o.metadata.uid.clone()),
            created: existing
                .as_ref()
                .and_then(|o| o.metadata.creation_timestamp.as_ref())
                .map(|t| Time(t.0.as_millisecond())),
            note: format!("from {}", args.text("manifest")?),
        }],
        material,
        commands: vec![command(remote, &bound, manager, force)],
        request: json!({"manifest": bound, "manager": manager, "force": force}),
        cautions: Vec::new(),
        before: json!({"uid": existing.and_then(|o| o.metadata.uid)}),
    })
}

/// The command where there is nothing yet that it would change.
pub(crate) async fn creating(remote: &Remote, args: &Args<'_>) -> Result<String, String> {
    let m = read(remote, args.text("manifest")?).await?;
    let manager = args.opt("field_manager").unwrap_or("holdpoint");
    Ok(command(remote, &m.object, manager, args.flag("force")))
}

fn command(remote: &Remote, object: &Value, manager: &str, force: bool) -> String {
    format!(
        "printf '%s\\n' {} | {} apply --server-side --field-manager={}{} -f -",
        quoted(&object.to_string()),
        kubectl(remote),
        quoted(manager),
        if force { " --force-conflicts" } else { "" }
    )
}

pub(crate) async fn execute(remote: &Remote, proposal: &Proposal) -> Ended {
    match applied(remote, proposal).await {
        Ok(object) => (
            Outcome::Ok,
            json!({"uid": object.metadata.uid, "generation": object.metadata.generation, "at": remote.now()}),
        ),
        Err(e) => (failed(&e), Value::Null),
    }
}

async fn applied(remote: &Remote, proposal: &Proposal) -> Result<DynamicObject, Trouble> {
    let (client, m) = again(remote, proposal)?;
    let (api, _) = api(client, &m).await?;
    let manager = proposal.request.get("manager").and_then(Value::as_str).unwrap_or("holdpoint");
    let mut params = PatchParams::apply(manager);
    params.force = proposal.request.get("force").and_then(Value::as_bool).unwrap_or(false);
    within(api.patch(&m.name, &params, &Patch::Apply(&m.object))).await
}

fn again<'a>(remote: &'a Remote, proposal: &Proposal) -> Result<(&'a Client, Manifest), Trouble> {
    let client = client(remote).map_err(Trouble::Unreachable)?;
    let manifest = proposal.request.get("manifest").cloned().unwrap_or_default();
    Ok((client, parse(manifest).map_err(Trouble::Other)?))
}

pub(crate) async fn probe(remote: &Remote, proposal: &Proposal) -> Seen {
    let looked = async {
        let (client, mut m) = again(remote, proposal)?;
        // Whether it is as wanted is asked of whatever object is there by now.
        if let Some(meta) = m.object.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("uid");
        }
        let (api, _) = api(client, &m).await?;
        Ok::<_, Trouble>((within(api.get_opt(&m.name)).await?, m, api))
    };
    match looked.await {
        Err(e) => (Probed::Unknown, e.to_string(), Value::Null),
        Ok((None, m, _)) => (Probed::NotDone, format!("{} is not there", m.name), Value::Null),
        Ok((Some(object), m, api)) => {
            let live = serde_json::to_value(&object).unwrap_or_default();
            let result = json!({"uid": object.metadata.uid, "generation": object.metadata.generation, "at": remote.now()});
            match missing(&m.object, &live, "") {
                None => (Probed::Done, format!("{} is as the manifest says", m.name), result),
                Some(_) if changes_nothing(&api, &m, &live).await => (
                    Probed::Done,
                    format!("{} is what the server makes of the manifest", m.name),
                    result,
                ),
                Some(at) => (
                    Probed::NotDone,
                    format!("{} differs from the manifest at {at}", m.name),
                    result,
                ),
            }
        }
    }
}

/// Applied once more it would stay as it is: the server leaves out what is empty and false, and
/// writes quantities its own way, so that only it can tell. Nothing is kept of that.
async fn changes_nothing(api: &Api<DynamicObject>, m: &Manifest, live: &Value) -> bool {
    let mut dry = PatchParams::apply("holdpoint");
    // Whoever applied it elsewhere owns its fields under another name.
    (dry.force, dry.dry_run) = (true, true);
    let Ok(made) = within(api.patch(&m.name, &dry, &Patch::Apply(&m.object))).await else {
        return false;
    };
    let made = serde_json::to_value(&made).unwrap_or_default();
    counted(&made) == counted(live)
}

/// An object without what changes with whoever writes it.
fn counted(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(top) = object.as_object_mut() {
        top.remove("status");
    }
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion"] {
            meta.remove(field);
        }
    }
    object
}

/// Where a wanted value is not in the live one. Lists are compared place by place; what
/// the server adds is no difference.
fn missing(wanted: &Value, live: &Value, at: &str) -> Option<String> {
    match (wanted, live) {
        (Value::Object(w), Value::Object(l)) => w.iter().find_map(|(k, v)| {
            let here = format!("{at}.{k}");
            match l.get(k) {
                Some(l) => missing(v, l, &here),
                None if v.is_null() || *v == json!({}) => None,
                None => Some(here),
            }
        }),
        (Value::Array(w), Value::Array(l)) => w.iter().enumerate().find_map(|(i, v)| {
            let here = format!("{at}[{i}]");
            l.get(i).map_or(Some(here.clone()), |l| missing(v, l, &here))
        }),
        (w, l) if w == l => None,
        _ => Some(at.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_applied_and_its_value_not_repeated() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"key": "TOPSECRET"}});
        let why = parse(secret).err().unwrap();
        assert!(why.contains("Secret") && !why.contains("TOPSECRET"), "{why}");
    }

    #[test]
    fn a_manifest_is_found_in_what_the_server_made_of_it() {
        let wanted = json!({"a": {"b": [1, {"c": "x"}]}, "gone": null});
        assert_eq!(
            missing(&wanted, &json!({"a": {"b": [1, {"c": "x", "d": 2}, 3]}, "s": 1}), ""),
            None
        );
        for (live, at) in [
            (json!({"a": {"b": [1, {"c": "y"}]}}), ".a.b[1].c"),
            (json!({"a": {"b": [1]}}), ".a.b[1]"),
            (json!({"a": 1}), ".a"),
            (json!({}), ".a"),
        ] {
            assert_eq!(missing(&wanted, &live, "").as_deref(), Some(at));
        }
    }

    /// The server leaves out what is false: whether it is as the manifest says, it alone can tell.
    #[tokio::test]
    async fn what_the_server_makes_of_a_manifest_is_the_manifest() {
        use crate::remote::responder::{Reply, Responder};
        let live = |replicas: i64, manager: &str| {
            json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"replicas": replicas},
                "metadata": {"name": "vault", "namespace": "v", "uid": "u", "generation": 1,
                    "resourceVersion": manager, "managedFields": [{"manager": manager}]},
                "status": {"replicas": replicas},
            })
        };
        let manifest = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "vault", "namespace": "v"},
            "spec": {"replicas": 3, "template": {"spec": {"hostNetwork": false}}},
        });
        let kinds = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1",
            "resources": [{"name": "statefulsets", "singularName": "statefulset",
                "namespaced": true, "kind": "StatefulSet", "verbs": ["get", "patch"]}],
        });
        for (made, wanted) in [
            (Reply::Json(200, live(3, "holdpoint")), Probed::Done),
            (Reply::Json(200, live(4, "holdpoint")), Probed::NotDone),
            (Reply::Json(403, json!({})), Probed::NotDone),
        ] {
            let (kinds, now) = (kinds.clone(), live(3, "kubectl"));
            let api = Responder::start(move |asked, _| match asked {
                "GET /apis/apps/v1" => Reply::Json(200, kinds.clone()),
                a if a.starts_with("GET /apis/apps/v1/namespaces/v/statefulsets/vault") => {
                    Reply::Json(200, now.clone())
                }
                // Nothing is kept of it.
                a if a.starts_with("PATCH ") && a.contains("dryRun=All") => made.clone(),
                _ => Reply::Json(500, json!({})),
            })
            .await;
            let remote = crate::remote::rig::remote(Some(&api.url), &[], "").await;
            let proposal = Proposal {
                verb: "kube.apply".into(),
                sentence: String::new(),
                targets: Vec::new(),
                material: BTreeMap::new(),
                request: json!({"manifest": manifest, "manager": "holdpoint", "force": false}),
                commands: Vec::new(),
                cautions: Vec::new(),
                before: Value::Null,
            };
            let (verdict, why, _) = probe(&remote, &proposal).await;
            assert_eq!(verdict, wanted, "{why}");
            assert!(api.seen().iter().any(|a| a.contains("force=true")), "{:?}", api.seen());
        }
    }
}
