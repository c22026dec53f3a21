//! A StatefulSet's manifest, kept as it is before anything changes: what it is made again from.
//!
//! Material: the set's UID and generation, and the text itself, since it is in the request. Only
//! what the server added by itself is left out; what is kept can be applied as it stands.

use crate::action::args::Args;
use crate::action::kube::{client, namespace, within};
use crate::action::places::Places;
use crate::action::snapshot_read::{hex, sha256};
use crate::action::{Ended, Say, Seen, quoted};
use crate::event::{Outcome, Probed, Proposal, Stream, Time};
use crate::remote::{Machine, Remote, apart, review_access};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// What the server says of an object, and nobody wrote.
const ADDED: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "finalizers",
];

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (client, namespace, name) = (client(remote)?, namespace(remote, args), args.text("name")?);
    review_access(client, "get", "apps", "statefulsets", Some(namespace))
        .await
        .map_err(|e| e.to_string())?;
    let resource = ApiResource::erase::<StatefulSet>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let set = within(api.get(name)).await.map_err(|e| e.to_string())?;
    if set.metadata.deletion_timestamp.is_some() {
        return Err(format!("{name} is being deleted; there is nothing left to keep"));
    }
    let object = serde_json::to_value(&set).map_err(|e| e.to_string())?;
    let text = serde_json::to_string_pretty(&manifest(object)).map_err(|e| e.to_string())?;
    let places = Places::of(remote, args, &format!("statefulset-{name}"), "json").await?;
    let (path, copy) = (&places.path, &places.copy);
    let p = places.words().0;
    Ok(Proposal {
        verb: "kube.keep_manifest".into(),
        sentence: format!(
            "write the manifest of StatefulSet {namespace}/{name} to {} and copy it to {}",
            path.display(),
            copy.display()
        ),
        targets: places.targets("the manifest"),
        material: BTreeMap::from([
            (format!("{name}.uid"), json!(set.metadata.uid)),
            (format!("{name}.generation"), json!(set.metadata.generation)),
        ]),
        commands: vec![format!(
            "(umask 077 && {} && printf '%s\\n' {} > {p}) && sync {p} && {}",
            places.made(),
            quoted(&text),
            places.copied()
        )],
        request: json!({"path": path, "copy": copy, "text": format!("{text}\n")}),
        cautions: Vec::new(),
        before: json!([{"name": name, "uid": set.metadata.uid}]),
    })
}

/// An object as somebody would have written it.
fn manifest(mut object: Value) -> Value {
    if let Some(top) = object.as_object_mut() {
        top.remove("status");
    }
    let meta = |of: Option<&mut Value>, names: &[&str]| {
        if let Some(meta) = of.and_then(Value::as_object_mut) {
            meta.retain(|name, _| !names.contains(&name.as_str()));
        }
    };
    meta(object.get_mut("metadata"), &ADDED);
    meta(object.pointer_mut("/spec/template/metadata"), &["creationTimestamp"]);
    let templates = object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
    for template in templates.into_iter().flatten() {
        if let Some(claim) = template.as_object_mut() {
            claim.remove("status");
        }
        meta(template.get_mut("metadata"), &["creationTimestamp"]);
    }
    object
}

fn text(proposal: &Proposal) -> String {
    let text = proposal.request.get("text").and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn sum(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn result(places: &Places, sha256: &str, at: Time) -> Value {
    json!({"path": places.path, "sha256": sha256, "copies": 2, "at": at})
}

pub(crate) async fn execute(remote: &Remote, proposal: &Proposal, say: &Say) -> Ended {
    let (machine, proposal, now) = (Arc::clone(&remote.machine), proposal.clone(), remote.now());
    let kept = apart(&remote.machine, move || {
        let places = Places::named(&proposal);
        let sum = kept(machine.as_ref(), &places, &text(&proposal))?;
        Ok::<_, String>(result(&places, &sum, now))
    });
    match kept.await.and_then(|kept| kept) {
        Ok(result) => {
            let sum = result["sha256"].as_str().unwrap_or_default();
            say(Stream::Note, format!("both copies are the same: sha256 {sum}"));
            (Outcome::Ok, result)
        }
        // Nothing on the site changed, whatever went wrong: trying again is safe.
        Err(why) => (Outcome::Failed(why), Value::Null),
    }
}

/// Durable in both places, under its name only when it is whole, and read back.
fn kept(machine: &dyn Machine, places: &Places, text: &str) -> Result<String, String> {
    let Places { path, copy } = places;
    let part = path.with_extension("part");
    for dir in [path, copy].iter().filter_map(|p| p.parent()) {
        machine.make_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    let written = machine.create(&part).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.finish()
    });
    written.map_err(|e| format!("{}: {e}", part.display()))?;
    machine.rename(&part, path).map_err(|e| format!("{}: {e}", path.display()))?;
    machine.copy(path, copy).map_err(|e| format!("{}: {e}", copy.display()))?;
    let wanted = sum(text);
    for place in [path, copy] {
        let found = sha256(machine, place)?;
        if found != wanted {
            return Err(format!("{} is not what was written: sha256 {found}", place.display()));
        }
    }
    Ok(wanted)
}

pub(crate) async fn probe(remote: &Remote, proposal: &Proposal) -> Seen {
    let (machine, proposal, now) = (Arc::clone(&remote.machine), proposal.clone(), remote.now());
    let seen = apart(&remote.machine, move || seen(machine.as_ref(), &proposal, now)).await;
    seen.unwrap_or_else(|why| (Probed::Unknown, why, Value::Null))
}

fn seen(machine: &dyn Machine, proposal: &Proposal, now: Time) -> Seen {
    let (places, wanted) = (Places::named(proposal), sum(&text(proposal)));
    let meta = match places.kept(machine) {
        Ok(meta) => meta,
        Err((verdict, why)) => return (verdict, why, Value::Null),
    };
    for place in [&places.path, &places.copy] {
        match sha256(machine, place) {
            Ok(found) if found == wanted => {}
            Ok(_) => {
                let why = format!("{} is not the manifest that was shown", place.display());
                return (Probed::Partly, why, Value::Null);
            }
            Err(why) => return (Probed::Partly, why, Value::Null),
        }
    }
    let result = result(&places, &wanted, meta.modified.unwrap_or(now));
    (Probed::Done, "both copies are there and the same".into(), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_kept_without_what_the_server_added() {
        let spec = json!({
            "replicas": 3,
            "template": {"metadata": {"labels": {"app": "vault"}}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteMany"]}}],
        });
        let written = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": spec,
            "metadata": {"name": "vault", "labels": {"a": "b"}, "annotations": {"c": "d"}}});
        let mut there = written.clone();
        there["status"] = json!({"replicas": 3});
        for name in ADDED {
            there["metadata"][name] = json!("1");
        }
        there["spec"]["template"]["metadata"]["creationTimestamp"] = Value::Null;
        let template = &mut there["spec"]["volumeClaimTemplates"][0];
        template["status"] = json!({"phase": "Pending"});
        template["metadata"]["creationTimestamp"] = Value::Null;
        assert_eq!(manifest(there), written);
    }
}
