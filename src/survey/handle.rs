//! What a driver calls a volume, without the server that some put into it.

use serde_json::Value;

/// What stands for a server's name.
const SERVER: &str = "server";
/// Drivers of file servers, by a part of their names: their handles begin with one.
const FILES: [&str; 3] = ["nfs", "smb", "cifs"];

/// The same of a volume whose driver says that it lies on a file server: `nas/share/pvc-1`.
pub(super) fn unserved(volume: &mut Value) {
    let csi = &mut volume["spec"]["csi"];
    let files = |driver: &str| FILES.iter().any(|word| driver.contains(word));
    if !csi["driver"].as_str().is_some_and(files) {
        return;
    }
    let Some(handle) = csi["volumeHandle"].as_str() else { return };
    if let Some(first) = handle.find(['/', '#', ':']) {
        csi["volumeHandle"] = format!("{SERVER}{}", &handle[first..]).into();
    }
}

/// A handle without the server that some drivers put into it.
pub(super) fn unaddressed(handle: &str) -> String {
    let first = handle.find(['/', '#', ':']).unwrap_or(handle.len());
    let mut rest = handle;
    let mut kept = String::new();
    // `nas#srv/nfs#pvc-1##`, `nas:/srv`: a server, also where its name has no dot.
    if handle[first..].starts_with('#') || handle[first..].starts_with(":/") {
        kept.push_str(SERVER);
        rest = &handle[first..];
    }
    while !rest.is_empty() {
        let end = rest.find(['/', '#', ':']).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        kept.push_str(if part.contains('.') { SERVER } else { part });
        let sign = behind.chars().next();
        kept.extend(sign);
        rest = &behind[sign.map_or(0, char::len_utf8)..];
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::fields::{KINDS, prune};
    use std::collections::BTreeSet;

    #[test]
    fn a_handle_keeps_no_server() {
        for (handle, kept) in [
            ("pve/pve-1/local-lvm/vm-9999-pvc-1", "pve/pve-1/local-lvm/vm-9999-pvc-1"),
            ("192.0.2.15#srv/nfs#pvc-1##", "server#srv/nfs#pvc-1##"),
            ("nfs.example.net:/srv#pvc-1", "server:/srv#pvc-1"),
            ("nas#srv/nfs#pvc-1##", "server#srv/nfs#pvc-1##"),
            ("nas:/srv#pvc-1", "server:/srv#pvc-1"),
        ] {
            assert_eq!(unaddressed(handle), kept);
            assert_eq!(unaddressed(kept), kept, "what is read back is masked again");
        }
        let volumes = KINDS.iter().find(|k| k.id == "persistentvolumes").unwrap();
        for (driver, handle, kept) in [
            ("nfs.csi.k8s.io", "nas/srv/nfs/pvc-1", "server/srv/nfs/pvc-1"),
            ("smb.csi.k8s.io", "nas/share#pvc-1#", "server/share#pvc-1#"),
            ("csi.proxmox.sinextra.dev", "pve/z1/data/vm-9999-pvc-1", "pve/z1/data/vm-9999-pvc-1"),
        ] {
            let volume = serde_json::json!({"metadata": {"name": "pvc-1"},
                "spec": {"csi": {"driver": driver, "volumeHandle": handle}}});
            let pruned = prune(volumes, &volume, &BTreeSet::new(), &mut 0).unwrap();
            assert_eq!(pruned["spec"]["csi"]["volumeHandle"], kept);
        }
    }
}
