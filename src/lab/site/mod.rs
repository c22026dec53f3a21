//! The site that a demo opens: two dozen namespaces, about a hundred claims on block and as
//! many on NFS, and three Vault voters that still lie on NFS, the third of them leading.
//!
//! Everything is put there as an administrator would have, some weeks ago, and then lived
//! through: the controllers made the pods, claims and volumes.

mod manifests;

use crate::event::{Span, Time};
use crate::lab::kube::{Key, kind};
use crate::lab::{World, vault};
use crate::site::LAB_MARK;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The class that Vault's claims are of.
pub const OLD_CLASS: &str = "nfs-proxmox";
/// The class that they are to be of.
pub const NEW_CLASS: &str = "proxmox-lvm-encrypted";
/// Where the manifest with the new class lies on the lab's machine.
pub const MANIFEST: &str = "/srv/change/vault-statefulset.yaml";
/// Where anchors go.
pub const ANCHORS: &str = "/srv/anchors";
/// Where their second copies go.
pub const SECOND_COPY: &str = "/mnt/second/anchors";
/// Names of the voters.
pub const VOTERS: [&str; 3] = ["vault-0", "vault-1", "vault-2"];
/// Where people reach Vault: whoever leads answers.
const DOOR: &str = "vault.example.net";
/// How long the site has been up when it is opened.
const AGE: Span = Span::secs(23 * 86_400);
/// The site file of a lab in this process.
#[must_use]
pub fn site_file() -> String {
    let voters = VOTERS.map(|v| (v, format!("http://{v}.vault-internal.example.net:8200")));
    file("", "", &format!("http://{DOOR}"), &voters)
}

/// The site file of a lab that is served to other processes.
#[must_use]
pub fn served(kubeconfig: &Path, token: &Path, voters: &[(&str, String)]) -> String {
    let kubeconfig = format!("kubeconfig = {:?}\n", kubeconfig.display().to_string());
    let token = format!("token_file = {:?}\n", token.display().to_string());
    let first = voters.first().map(|(_, at)| at.clone()).unwrap_or_default();
    file(&kubeconfig, &token, &first, voters)
}

fn file(kubeconfig: &str, token: &str, http: &str, voters: &[(&str, String)]) -> String {
    let namespaces: Vec<String> =
        ["vault"].iter().chain(manifests::NAMESPACES).map(|n| format!("{n:?}")).collect();
    let mut text = format!(
        "format = 1\nname = \"lab\"\n[kubernetes]\n{kubeconfig}context = \"lab\"\nnamespaces = [{}]\n[vault]\n{token}",
        namespaces.join(", ")
    );
    for (name, address) in voters {
        text += &format!("[[vault.voter]]\nname = {name:?}\naddress = {address:?}\n");
    }
    text += "[[secret]]\nnamespace = \"vault\"\nname = \"vault-unseal-key\"\n\
             [[secret]]\nnamespace = \"kube-system\"\nname = \"proxmox-csi-encryption\"\n";
    text + &format!(
        "[http.vault]\nurl = \"{http}/v1/sys/health?standbyok=true\"\n[write]\nallow = true\nunattended = true\n"
    )
}

/// The manifest with the new class.
#[must_use]
pub fn new_manifest() -> String {
    serde_yaml_ng::to_string(&manifests::vault(NEW_CLASS)).unwrap_or_default()
}

/// The site as it is at `now`.
#[must_use]
pub fn world(seed: u64, now: Time) -> World {
    with_applications(seed, now, usize::MAX)
}

/// The same with no more applications than that beside Vault: what is lived through on it
/// costs less.
#[must_use]
pub fn with_applications(seed: u64, now: Time, most: usize) -> World {
    let mut world = World::new(seed, now - AGE);
    for object in manifests::cluster() {
        place(&mut world, object);
    }
    if let Some(namespaces) = kind("namespaces") {
        // The one identity that a cluster has; created just above.
        let _ = world.store.update(&Key::new(namespaces, "", "kube-system"), |o| {
            o["metadata"]["uid"] = json!(identity(seed, ""));
        });
    }
    world.advance(now - AGE + Span::secs(600));
    for object in manifests::applications().into_iter().take(most) {
        place(&mut world, object);
    }
    place(&mut world, manifests::vault(OLD_CLASS));
    let settled = now - AGE + Span::secs(3600);
    world.advance(settled);
    start_vault(&mut world);
    world.vault.key_in = Some((world.stage.namespace.clone(), world.stage.unseal_secret.clone()));
    place(&mut world, manifests::backup(now));
    world.advance(now);
    world.doors.insert(DOOR.to_owned());
    world.files.put(Path::new(MANIFEST), new_manifest().into_bytes(), settled);
    world
}

/// Creates an object the way the API server would.
pub fn place(world: &mut World, mut object: Value) {
    let of = |o: &Value, field: &str| o[field].as_str().unwrap_or_default().to_owned();
    let (version, name) = (of(&object, "apiVersion"), of(&object, "kind"));
    let Some(kind) =
        crate::lab::kube::KINDS.iter().find(|k| k.kind == name && k.api_version() == version)
    else {
        return;
    };
    let key =
        Key::new(kind, &of(&object["metadata"], "namespace"), &of(&object["metadata"], "name"));
    crate::lab::kube::admit(world, kind, &mut object);
    // An object that is there already stays as it is.
    let _ = world.store.create(&key, object, world.now, &mut world.chance);
    world.settle();
}

/// The voters' pods run on empty disks: makes a cluster of them that has been in use.
fn start_vault(world: &mut World) {
    let Some(claims) = kind("persistentvolumeclaims") else { return };
    let disks: Vec<String> = VOTERS
        .iter()
        .filter_map(|voter| {
            let claim = world.store.get(&Key::new(claims, "vault", &format!("data-{voter}")))?;
            claim["metadata"]["uid"].as_str().map(str::to_owned)
        })
        .collect();
    let disks: Vec<&str> = disks.iter().map(String::as_str).collect();
    vault::initialise(world, &VOTERS, &disks, 2);
    for voter in VOTERS {
        crate::lab::kube::control::readiness_changed(world, voter);
    }
}

/// The identity of the cluster of that seed, before there is one; `of`: of whose, where there may
/// be several at a time.
#[must_use]
pub fn identity(seed: u64, of: &str) -> String {
    mark(&uuid(seed, of))
}

/// A world that is offered to others has identities of its own.
pub fn rename(world: &mut World, seed: u64, of: &str) {
    if let Some(namespaces) = kind("namespaces") {
        // The cluster's one namespace of that name is there in every lab.
        let _ = world.store.update(&Key::new(namespaces, "", "kube-system"), |o| {
            o["metadata"]["uid"] = json!(identity(seed, of));
        });
    }
    vault::rename(world, &uuid(seed, of));
}

fn uuid(seed: u64, of: &str) -> String {
    let digest = Sha256::digest(format!("{seed} {of}"));
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}

/// What identifies a world's cluster.
#[must_use]
pub fn identified(world: &World) -> Option<String> {
    let found = world.store.get(&Key::new(kind("namespaces")?, "", "kube-system"))?;
    found["metadata"]["uid"].as_str().map(str::to_owned)
}

/// Gives a lab's cluster its mark.
pub(super) fn marked(uid: &str) -> Value {
    json!(mark(uid))
}

fn mark(uid: &str) -> String {
    format!("{LAB_MARK}{}", uid.get(9..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::kube::KINDS;

    #[test]
    fn everything_runs_and_the_third_voter_leads() {
        let world = world(1, Time(1_777_150_800_000));
        let of = |id: &str| {
            let kind = KINDS.iter().find(|k| k.id == id).unwrap();
            world.store.list(kind, None).map(|(k, v)| (k.name.clone(), v)).collect::<Vec<_>>()
        };
        let ready = |o: &Value| {
            let all = o["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
            !all.is_empty() && all.iter().all(|c| c["ready"] == true)
        };
        let waiting: Vec<_> = of("pods")
            .into_iter()
            .filter(|(_, p)| !ready(p) && p["status"]["phase"] != "Succeeded")
            .collect();
        let first = waiting.first().map(|(name, pod)| {
            let about: Vec<_> = of("events")
                .into_iter()
                .filter(|(_, e)| e["involvedObject"]["name"] == json!(name))
                .map(|(_, e)| e["message"].clone())
                .collect();
            format!("{name} {} {about:?}", pod["status"])
        });
        assert!(waiting.is_empty(), "{} wait: {first:?}", waiting.len());
        assert_eq!(vault::leader(&world).as_deref(), Some("vault-2"));
        let claims = of("persistentvolumeclaims");
        let block = claims
            .iter()
            .filter(|(_, c)| c["spec"]["storageClassName"].as_str().unwrap().starts_with("proxmox"))
            .count();
        assert_eq!((block, claims.len()), (95, 195));
        assert!(claims.iter().all(|(_, c)| c["status"]["phase"] == "Bound"));
        let jobs = of("cronjobs.batch");
        assert!(
            jobs.iter().all(|(_, j)| j["status"]["lastSuccessfulTime"].is_string()),
            "{jobs:?}"
        );
    }
}
