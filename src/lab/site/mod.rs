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
/// How long the site has been up when it is opened.
const AGE: Span = Span::secs(23 * 86_400);
/// The site file of the lab.
#[must_use]
pub fn site_file() -> String {
    let namespaces: Vec<String> =
        ["vault"].iter().chain(manifests::NAMESPACES).map(|n| format!("{n:?}")).collect();
    let mut text = format!(
        "format = 1\nname = \"lab\"\n[kubernetes]\ncontext = \"lab\"\nnamespaces = [{}]\n",
        namespaces.join(", ")
    );
    for voter in VOTERS {
        text += &format!(
            "[[vault.voter]]\nname = \"{voter}\"\naddress = \"http://{voter}.vault-internal.example.net:8200\"\n"
        );
    }
    text += "[[secret]]\nnamespace = \"vault\"\nname = \"vault-unseal-key\"\n\
             [[secret]]\nnamespace = \"kube-system\"\nname = \"proxmox-csi-encryption\"\n\
             [http.vault]\nurl = \"http://vault.example.net/v1/sys/health?standbyok=true\"\n\
             [write]\nallow = true\nunattended = true\n";
    text
}

/// The site as it is at `now`.
#[must_use]
pub fn world(seed: u64, now: Time) -> World {
    let mut world = World::new(seed, now - AGE);
    for object in manifests::cluster() {
        place(&mut world, object);
    }
    if let Some(namespaces) = kind("namespaces") {
        // The one identity that a cluster has; created just above.
        let _ = world.store.update(&Key::new(namespaces, "", "kube-system"), |o| {
            let uid = o["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            o["metadata"]["uid"] = marked(&uid);
        });
    }
    world.advance(now - AGE + Span::secs(600));
    for object in manifests::applications() {
        place(&mut world, object);
    }
    place(&mut world, manifests::vault(OLD_CLASS));
    let settled = now - AGE + Span::secs(3600);
    world.advance(settled);
    start_vault(&mut world);
    place(&mut world, manifests::backup());
    world.advance(now);
    let manifest = serde_yaml_ng::to_string(&manifests::vault(NEW_CLASS)).unwrap_or_default();
    world.files.put(Path::new(MANIFEST), manifest.into_bytes(), settled);
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

/// Puts the Secret with the unseal key back.
pub(super) fn unseal_key(world: &mut World) {
    manifests::cluster()
        .into_iter()
        .filter(|o| o["metadata"]["name"] == "vault-unseal-key")
        .for_each(|object| place(world, object));
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

/// Gives a lab's cluster its mark.
fn marked(uid: &str) -> Value {
    json!(format!("{LAB_MARK}{}", uid.get(9..).unwrap_or_default()))
}
