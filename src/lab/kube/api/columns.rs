//! The columns that the real server prints of a kind.

use crate::lab::kube::Kind;

/// Name, type, format, priority.
pub type Column = (&'static str, &'static str, &'static str, u8);

/// The columns of a kind. A plus is one that only wide output has.
pub fn of(kind: &Kind) -> Vec<Column> {
    let names = match kind.id {
        "pods" => "Name|Ready|Status|Restarts|Age|+IP|+Node|+Nominated Node|+Readiness Gates",
        "persistentvolumeclaims" => {
            "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|+VolumeMode"
        }
        "persistentvolumes" => {
            "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|+VolumeMode"
        }
        "statefulsets.apps" => "Name|Ready|Age|+Containers|+Images",
        "deployments.apps" => "Name|Ready|Up-to-date|Available|Age|+Containers|+Images|+Selector",
        "replicasets.apps" => "Name|Desired|Current|Ready|Age|+Containers|+Images|+Selector",
        "controllerrevisions.apps" => "Name|Controller|Revision|Age",
        "nodes" => {
            "Name|Status|Roles|Age|Version|+Internal-IP|+External-IP|+OS-Image|+Kernel-Version|+Container-Runtime"
        }
        "storageclasses.storage.k8s.io" => {
            "Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age"
        }
        "namespaces" => "Name|Status|Age",
        "events" => {
            "Last Seen|Type|Reason|Object|+Subobject|+Source|Message|+First Seen|+Count|+Name"
        }
        "secrets" => "Name|Type|Data|Age",
        "configmaps" => "Name|Data|Age",
        "serviceaccounts" => "Name|Secrets|Age",
        "services" => "Name|Type|Cluster-IP|External-IP|Port(s)|Age|+Selector",
        "volumeattachments.storage.k8s.io" => "Name|Attacher|PV|Node|Attached|Age",
        "csinodes.storage.k8s.io" => "Name|Drivers|Age",
        "cronjobs.batch" => {
            "Name|Schedule|Timezone|Suspend|Active|Last Schedule|Age|+Containers|+Images|+Selector"
        }
        "jobs.batch" => "Name|Status|Completions|Duration|Age|+Containers|+Images|+Selector",
        "leases.coordination.k8s.io" => "Name|Holder|Age",
        _ => "Name|Age",
    };
    names.split('|').map(column).collect()
}

fn column(text: &'static str) -> Column {
    let (name, priority) = text.strip_prefix('+').map_or((text, 0), |name| (name, 1));
    let what = match name {
        "Attached" | "Suspend" => "boolean",
        "Active" | "Drivers" => "integer",
        _ => "string",
    };
    let format = if matches!(name, "Name" | "Attacher") { "name" } else { "" };
    (name, what, format, priority)
}
