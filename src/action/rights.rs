//! What a call needs to be allowed, before anybody releases it: `doctor` asks for it.

use crate::action::args::Args;
use crate::action::{kube, kube_apply, snapshot, vault};
use crate::remote::Remote;
use crate::runbook::model::Call;
use crate::site::LeaseAt;

/// A right on a kind of object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `get`, `list`, `delete`, `patch`, `create`.
    pub verb: &'static str,
    /// API group; empty for the core.
    pub group: String,
    /// Its plural.
    pub resource: String,
    /// Where; `None`: in the whole cluster.
    pub namespace: Option<String>,
}

/// Rights at the API server. An argument that is not known yet is an error that says which.
pub async fn kube_rights(remote: &Remote, call: &Call<String>) -> Result<Vec<Right>, String> {
    const CLAIMS: (&str, &str) = ("", "persistentvolumeclaims");
    const SETS: (&str, &str) = ("apps", "statefulsets");
    const PODS: (&str, &str) = ("", "pods");
    let args = Args::new(call);
    // Whose claims they are, and what becomes of their volumes, is read as well.
    let of_pod = [("list", CLAIMS), ("get", PODS), ("get", SETS)];
    let wanted: Vec<(&'static str, (&str, &str))> = match call.verb.as_str() {
        "kube.delete_statefulset" => vec![("get", SETS), ("delete", SETS)],
        "kube.keep_manifest" => vec![("get", SETS)],
        "kube.delete_pod" => vec![("get", PODS), ("delete", PODS)],
        "kube.delete_claims" => {
            // Who else mounts them.
            [("delete", CLAIMS), ("list", PODS)].into_iter().chain(of_pod).collect()
        }
        "kube.remove_protection" => [("patch", CLAIMS)].into_iter().chain(of_pod).collect(),
        "kube.create_claims" => return Ok(claims_made(remote, &args)),
        "kube.wait" => vec![("get", PODS)],
        "vault.peers_file" => {
            vec![("get", PODS), ("get", ("", "pods/exec")), ("create", ("", "pods/exec"))]
        }
        "kube.apply" => return kube_apply::rights(remote, &args).await,
        _ => return Ok(Vec::new()),
    };
    let namespace = kube::namespace(remote, &args);
    let right = |verb, (group, resource): (&str, &str), namespace: Option<&str>| Right {
        verb,
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.map(str::to_owned),
    };
    let mut rights: Vec<_> =
        wanted.iter().map(|(verb, of)| right(verb, *of, Some(namespace))).collect();
    if wanted.contains(&("list", CLAIMS)) {
        rights.push(right("get", ("", "persistentvolumes"), None));
    }
    Ok(rights)
}

/// A claim is made where there is none, of a class that is looked at.
fn claims_made(remote: &Remote, args: &Args<'_>) -> Vec<Right> {
    let namespace = kube::namespace(remote, args).to_owned();
    let right = |verb, (group, resource): (&str, &str), namespace: Option<String>| Right {
        verb,
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace,
    };
    vec![
        right("create", ("", "persistentvolumeclaims"), Some(namespace.clone())),
        right("get", ("", "persistentvolumeclaims"), Some(namespace)),
        right("get", ("storage.k8s.io", "storageclasses"), None),
    ]
}

/// What a run needs that keeps the cluster's lease.
pub fn lease_rights(at: &LeaseAt) -> impl Iterator<Item = Right> {
    let right = |verb| Right {
        verb,
        group: "coordination.k8s.io".into(),
        resource: "leases".into(),
        namespace: Some(at.namespace.clone()),
    };
    ["get", "create", "update"].into_iter().map(right)
}

/// Paths of Vault that an action uses, with what its token must be able to do there.
#[must_use]
pub fn vault_rights(call: &Call<String>) -> &'static [(&'static str, &'static [&'static str])] {
    match call.verb.as_str() {
        "vault.snapshot_save" => &[("sys/storage/raft/snapshot", &["read"])],
        "vault.snapshot_restore" if Args::new(call).flag("force") => {
            &[("sys/storage/raft/snapshot-force", &["update"])]
        }
        "vault.snapshot_restore" => &[("sys/storage/raft/snapshot", &["update"])],
        "vault.step_down" => &[("sys/step-down", &["update", "sudo"])],
        _ => &[],
    }
}

/// Asks Vault whether the token may do that; at the node that leads, which decides.
pub async fn vault_right(remote: &Remote, path: &str, wanted: &[&str]) -> Result<(), String> {
    let (voter, _, base) = snapshot::leader(remote).await?;
    vault::capable(remote, voter, &base, path, wanted).await
}
