//! Who a StatefulSet's pods are, and which claims are theirs.

use super::super::events::normal;
use super::super::object::{CLAIMS, get, key, list, name, namespace, text, uid};
use super::super::{binder, owners, pods};
use crate::lab::World;
use serde_json::{Value, json};
use std::sync::Arc;

/// A pod to be made.
pub(super) struct Member<'a> {
    pub set: &'a Value,
    pub at: i64,
    pub revision: &'a Value,
}

impl Member<'_> {
    pub(super) fn pod(&self) -> Value {
        let mut pod = pods::of_template(&self.revision["data"]["spec"]["template"], self.set);
        let pod_name = pod_name(self.set, self.at);
        pod["metadata"]["generateName"] = json!(format!("{}-", name(self.set)));
        label(&mut pod, &pod_name, self.at);
        pod["metadata"]["labels"]["controller-revision-hash"] = json!(name(self.revision));
        pod["spec"]["hostname"] = json!(pod_name);
        let service = &self.set["spec"]["serviceName"];
        if !text(service).is_empty() {
            pod["spec"]["subdomain"] = service.clone();
        }
        let templates = list(&self.set["spec"]["volumeClaimTemplates"]);
        let mut volumes: Vec<Value> = templates
            .iter()
            .map(|t| {
                let claim = claim_name(self.set, t, self.at);
                json!({"name": name(t), "persistentVolumeClaim": {"claimName": claim}})
            })
            .collect();
        let others = list(&pod["spec"]["volumes"]).iter();
        volumes.extend(
            others
                .filter(|v| !templates.iter().any(|t| t["metadata"]["name"] == v["name"]))
                .cloned(),
        );
        if !volumes.is_empty() {
            pod["spec"]["volumes"] = json!(volumes);
        }
        pod
    }
}

/// The labels that say who it is.
pub(super) fn label(pod: &mut Value, name: &str, at: i64) {
    let labels = &mut pod["metadata"]["labels"];
    labels["statefulset.kubernetes.io/pod-name"] = json!(name);
    labels["apps.kubernetes.io/pod-index"] = json!(at.to_string());
}

/// It has them.
pub(super) fn is_labelled(pod: &Value, at: i64) -> bool {
    let labels = &pod["metadata"]["labels"];
    labels["statefulset.kubernetes.io/pod-name"] == pod["metadata"]["name"]
        && labels["apps.kubernetes.io/pod-index"].as_str() == Some(at.to_string().as_str())
}

/// The first ordinal.
pub(super) fn start(set: &Value) -> i64 {
    set["spec"]["ordinals"]["start"].as_i64().unwrap_or(0)
}

pub(super) fn pod_name(set: &Value, at: i64) -> String {
    format!("{}-{at}", name(set))
}

/// A pod's ordinal, if its name is one of the set's.
pub(super) fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    let (parent, number) = name(pod).rsplit_once('-')?;
    let number: u32 = number.parse().ok()?;
    (parent == name(set)).then(|| i64::from(number))
}

fn claim_name(set: &Value, template: &Value, at: i64) -> String {
    format!("{}-{}-{at}", name(template), name(set))
}

/// Makes the claims that a pod lacks. A claim that is being deleted is an error: a pod made
/// now would hold it.
pub(super) fn missing_claims(world: &mut World, set: &Value, at: i64) -> Result<(), String> {
    let mut errors = Vec::new();
    for template in list(&set["spec"]["volumeClaimTemplates"]) {
        let place = key(CLAIMS, namespace(set), &claim_name(set, template, at));
        match world.store.get(&place) {
            Some(claim) if super::marked(&claim) => {
                errors.push(format!("pvc {} is being deleted", place.name));
            }
            Some(_) => {}
            None => {
                let claim = claim(set, template);
                let made = world.store.create(&place, claim, world.now, &mut world.chance);
                if made.is_ok() {
                    let (pod, set_name) = (pod_name(set, at), name(set));
                    let said = format!(
                        "create Claim {} Pod {pod} in StatefulSet {set_name} success",
                        place.name
                    );
                    normal(world, set, super::SOURCE, "SuccessfulCreate", &said);
                }
            }
        }
    }
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        // As the real aggregate of errors writes it.
        many => Err(format!("[{}]", many.join(", "))),
    }
}

fn claim(set: &Value, template: &Value) -> Value {
    let mut labels = template["metadata"]["labels"].clone();
    for (name, value) in set["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten() {
        labels[name] = value.clone();
    }
    let mut claim = json!({"metadata": {}, "spec": template["spec"]});
    if !labels.is_null() {
        claim["metadata"]["labels"] = labels;
    }
    if !template["metadata"]["annotations"].is_null() {
        claim["metadata"]["annotations"] = template["metadata"]["annotations"].clone();
    }
    binder::fill(&mut claim);
    claim
}

/// Who owns the claims of a pod follows from the set's retention policy.
pub(super) fn keep_claims(world: &mut World, set: &Value, at: i64, pod: Option<&Arc<Value>>) {
    let policy = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
    let deletes = |when: &str| text(&policy[when]) == "Delete";
    let first = start(set);
    let scaled_away = !(first..first + super::replicas(set)).contains(&at);
    let owner = match pod {
        Some(pod) if deletes("whenScaled") && scaled_away => Some(&**pod),
        _ if deletes("whenDeleted") && !(deletes("whenScaled") && scaled_away) => Some(set),
        _ => None,
    };
    let wanted: Vec<Value> = owner.map(owners::reference).into_iter().collect();
    for template in list(&set["spec"]["volumeClaimTemplates"]) {
        let place = key(CLAIMS, namespace(set), &claim_name(set, template, at));
        let Some(claim) = get(world, CLAIMS, namespace(set), &place.name) else { continue };
        let ours = |r: &&Value| {
            let of = text(&r["uid"]);
            of == uid(set) || pod.is_some_and(|p| of == uid(p))
        };
        let has: Vec<&Value> =
            list(&claim["metadata"]["ownerReferences"]).iter().filter(ours).collect();
        let stranger = owners::controller(&claim).is_some_and(|r| !ours(&r));
        if stranger || has.len() == wanted.len() && has.iter().zip(&wanted).all(|(a, b)| *a == b) {
            continue;
        }
        let _gone = world.store.update(&place, |c| {
            owners::remove(c, uid(set));
            pod.iter().for_each(|p| owners::remove(c, uid(p)));
            wanted.iter().for_each(|r| owners::add(c, r.clone()));
        });
    }
}
