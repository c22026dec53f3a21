//! The columns that the real server prints of a kind. Name, type, format, priority.

use crate::lab::kube::Kind;

pub type Column = (&'static str, &'static str, &'static str, u8);

const NAME: Column = ("Name", "string", "name", 0);

const fn text(name: &'static str) -> Column {
    (name, "string", "", 0)
}

const fn wide(name: &'static str) -> Column {
    (name, "string", "", 1)
}

/// The columns of a kind.
pub fn of(kind: &Kind) -> Vec<Column> {
    match kind.id {
        "pods" => vec![
            NAME,
            text("Ready"),
            text("Status"),
            text("Restarts"),
            text("Age"),
            wide("IP"),
            wide("Node"),
            wide("Nominated Node"),
            wide("Readiness Gates"),
        ],
        "persistentvolumeclaims" => vec![
            NAME,
            text("Status"),
            text("Volume"),
            text("Capacity"),
            text("Access Modes"),
            text("StorageClass"),
            text("VolumeAttributesClass"),
            text("Age"),
            wide("VolumeMode"),
        ],
        "persistentvolumes" => vec![
            NAME,
            text("Capacity"),
            text("Access Modes"),
            text("Reclaim Policy"),
            text("Status"),
            text("Claim"),
            text("StorageClass"),
            text("VolumeAttributesClass"),
            text("Reason"),
            text("Age"),
            wide("VolumeMode"),
        ],
        "statefulsets.apps" => {
            vec![NAME, text("Ready"), text("Age"), wide("Containers"), wide("Images")]
        }
        "deployments.apps" => vec![
            NAME,
            text("Ready"),
            text("Up-to-date"),
            text("Available"),
            text("Age"),
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        "replicasets.apps" => vec![
            NAME,
            text("Desired"),
            text("Current"),
            text("Ready"),
            text("Age"),
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        "controllerrevisions.apps" => vec![NAME, text("Controller"), text("Revision"), text("Age")],
        "nodes" => vec![
            NAME,
            text("Status"),
            text("Roles"),
            text("Age"),
            text("Version"),
            wide("Internal-IP"),
            wide("External-IP"),
            wide("OS-Image"),
            wide("Kernel-Version"),
            wide("Container-Runtime"),
        ],
        "storageclasses.storage.k8s.io" => vec![
            NAME,
            text("Provisioner"),
            text("ReclaimPolicy"),
            text("VolumeBindingMode"),
            text("AllowVolumeExpansion"),
            text("Age"),
        ],
        "namespaces" => vec![NAME, text("Status"), text("Age")],
        "events" => vec![
            text("Last Seen"),
            text("Type"),
            text("Reason"),
            text("Object"),
            wide("Subobject"),
            wide("Source"),
            text("Message"),
            wide("First Seen"),
            wide("Count"),
            ("Name", "string", "name", 1),
        ],
        "secrets" => vec![NAME, text("Type"), text("Data"), text("Age")],
        "configmaps" => vec![NAME, text("Data"), text("Age")],
        "serviceaccounts" => vec![NAME, text("Secrets"), text("Age")],
        "services" => vec![
            NAME,
            text("Type"),
            text("Cluster-IP"),
            text("External-IP"),
            text("Port(s)"),
            text("Age"),
            wide("Selector"),
        ],
        "volumeattachments.storage.k8s.io" => vec![
            NAME,
            ("Attacher", "string", "name", 0),
            text("PV"),
            text("Node"),
            ("Attached", "boolean", "", 0),
            text("Age"),
        ],
        "csinodes.storage.k8s.io" => vec![NAME, ("Drivers", "integer", "", 0), text("Age")],
        "cronjobs.batch" => vec![
            NAME,
            text("Schedule"),
            text("Timezone"),
            ("Suspend", "boolean", "", 0),
            ("Active", "integer", "", 0),
            text("Last Schedule"),
            text("Age"),
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        "jobs.batch" => vec![
            NAME,
            text("Status"),
            text("Completions"),
            text("Duration"),
            text("Age"),
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        "leases.coordination.k8s.io" => vec![NAME, text("Holder"), text("Age")],
        _ => vec![NAME, ("Age", "string", "", 0)],
    }
}
