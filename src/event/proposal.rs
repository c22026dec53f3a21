//! A resolved action: exactly what would be done, to which objects.

use crate::event::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// An object that a proposal touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `PersistentVolumeClaim`, `Pod`, `vault voter`, `file` …
    pub kind: String,
    /// Namespace, where the kind has one.
    pub namespace: Option<String>,
    /// Its name; what a person compares and types.
    pub name: String,
    /// Its identity, where the server gives one.
    pub uid: Option<String>,
    /// When it came to be, for its age.
    pub created: Option<Time>,
    /// What else matters to a person: `nfs-proxmox · volume kept: Retain`.
    pub note: String,
}

/// What a release is bound to. Two proposals with one digest do the same thing to the
/// same objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The action, `kube.delete_claims`.
    pub verb: String,
    /// One sentence: `delete 2 claims in namespace vault`.
    pub sentence: String,
    /// The objects, in the order in which they are touched.
    pub targets: Vec<Target>,
    /// Facts that would make it another act if they changed: UIDs, generation,
    /// deletionTimestamp, owners, claim to volume, reclaim policy. Each action
    /// family's file lists its own. Integers and strings only, no floats.
    pub material: BTreeMap<String, Value>,
    /// What is sent or started, complete, without secrets.
    pub request: Value,
    /// The equivalent, one shell command an element, to be run in this order.
    pub commands: Vec<String>,
    /// Where the commands are less safe than the native action, and how.
    pub cautions: Vec<String>,
    /// What the plan saw, for probes and verifies: `before` in expressions.
    pub before: Value,
}

impl Proposal {
    /// SHA-256 in lower-case hex over the canonical JSON (RFC 8785) of verb, targets,
    /// material facts and request.
    ///
    /// Targets count with kind, namespace, name and UID: age and note are for people.
    #[must_use]
    pub fn digest(&self) -> String {
        let targets: Vec<_> = self
            .targets
            .iter()
            .map(|t| serde_json::json!([t.kind, t.namespace, t.name, t.uid]))
            .collect();
        let digested = serde_json::json!({
            "verb": self.verb, "targets": targets, "material": self.material, "request": self.request,
        });
        // Serialising a `Value` fails only on map keys that are no strings; it has none.
        let bytes = serde_json_canonicalizer::to_vec(&digested).unwrap_or_default();
        hex(&Sha256::digest(bytes))
    }

    /// What differs materially from `self` to `now`, a line each, for the operator.
    #[must_use]
    pub fn diff(&self, now: &Proposal) -> Vec<String> {
        let mut lines = Vec::new();
        if self.verb != now.verb {
            lines.push(format!("action: {} → {}", self.verb, now.verb));
        }
        let key = |t: &Target| (t.kind.clone(), t.namespace.clone(), t.name.clone());
        for old in &self.targets {
            match now.targets.iter().find(|t| key(t) == key(old)) {
                None => lines.push(format!("{} {}: gone", old.kind, old.name)),
                Some(new) if new.uid != old.uid => lines.push(format!(
                    "{} {}: uid {} → {}",
                    old.kind,
                    old.name,
                    old.uid.as_deref().unwrap_or("none"),
                    new.uid.as_deref().unwrap_or("none")
                )),
                Some(_) => {}
            }
        }
        for new in &now.targets {
            if !self.targets.iter().any(|t| key(t) == key(new)) {
                lines.push(format!("{} {}: new", new.kind, new.name));
            }
        }
        let keys: std::collections::BTreeSet<_> =
            self.material.keys().chain(now.material.keys()).collect();
        for k in keys {
            let (old, new) = (self.material.get(k), now.material.get(k));
            if old != new {
                lines.push(format!("{k}: {} → {}", shown(old), shown(new)));
            }
        }
        if self.request != now.request {
            lines.push(format!("request: {} → {}", self.request, now.request));
        }
        lines
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(Value::String(s)) => s.clone(),
        Some(other) => other.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn proposal() -> Proposal {
        Proposal {
            verb: "kube.delete_claims".into(),
            sentence: "delete 1 claim".into(),
            targets: vec![Target {
                kind: "PersistentVolumeClaim".into(),
                namespace: Some("vault".into()),
                name: "data-vault-0".into(),
                uid: Some("u1".into()),
                created: Some(Time(0)),
                note: "nfs".into(),
            }],
            material: BTreeMap::from([("data-vault-0.volume".into(), json!("pv-1"))]),
            request: json!({"wait": false}),
            commands: vec!["kubectl".into()],
            cautions: Vec::new(),
            before: json!(null),
        }
    }

    /// Each edit of what counts changes the digest and shows in the diff; each edit of
    /// what is for people does neither.
    #[test]
    fn digest_covers_what_is_done_and_nothing_else() {
        type Edit = fn(&mut Proposal);
        let material: [Edit; 7] = [
            |p| p.verb.push('x'),
            |p| p.targets[0].kind.push('x'),
            |p| p.targets[0].namespace = None,
            |p| p.targets[0].name.push('x'),
            |p| p.targets[0].uid = Some("u2".into()),
            |p| drop(p.material.insert("data-vault-0.volume".into(), json!("pv-2"))),
            |p| p.request = json!({"wait": true}),
        ];
        let cosmetic: [Edit; 6] = [
            |p| p.sentence.push('x'),
            |p| p.targets[0].created = None,
            |p| p.targets[0].note.push('x'),
            |p| p.commands.clear(),
            |p| p.cautions.push("x".into()),
            |p| p.before = json!([1]),
        ];
        for (edits, same) in [(&material[..], false), (&cosmetic[..], true)] {
            for (i, edit) in edits.iter().enumerate() {
                let mut other = proposal();
                edit(&mut other);
                assert_eq!(proposal().digest() == other.digest(), same, "edit {i}");
                assert_eq!(proposal().diff(&other).is_empty(), same, "diff of edit {i}");
            }
        }
    }

    #[test]
    fn digest_is_fixed_for_ever() {
        // A journal's release names it: what is written today is compared tomorrow.
        assert_eq!(
            proposal().digest(),
            "324fbb1e1692d88deaa6363c3be46d755969d120da1af8cc7cee72460787a52b"
        );
    }

    #[test]
    fn a_diff_says_what_was_and_what_is() {
        let mut now = proposal();
        now.material.insert("data-vault-0.volume".into(), json!("pv-2"));
        now.material.insert("data-vault-0.owners".into(), json!([1]));
        assert_eq!(
            proposal().diff(&now),
            ["data-vault-0.owners: none → [1]", "data-vault-0.volume: pv-1 → pv-2"]
        );
        let mut now = proposal();
        now.targets[0].uid = Some("u2".into());
        now.targets[0].name.push('x');
        let diff = proposal().diff(&now);
        assert!(diff.iter().any(|l| l.contains("data-vault-0x") && l.contains("new")), "{diff:?}");
        assert!(diff.iter().any(|l| l.contains("data-vault-0:") && l.contains("gone")), "{diff:?}");
    }
}
