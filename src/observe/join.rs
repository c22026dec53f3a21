//! Rows that say something of several kinds: claims with their pods, classes with their
//! consumers, nodes with their attachments. One join for watches and for gates' reads.

use crate::observe::rows::count;
use crate::site::Kubernetes;
use crate::world::{Claim, Class, Consumers, Keyed, Node, Pod, Table, Volume};
use std::collections::HashMap;

/// What a CSINode adds to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Csi {
    /// Of the node.
    pub(crate) name: String,
    /// The lowest number of volumes that a driver of it takes.
    pub(crate) limit: Option<i64>,
}

/// What a VolumeAttachment adds to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its own.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) node: String,
}

impl Keyed for Csi {
    fn namespace(&self) -> &str {
        ""
    }
    fn name(&self) -> &str {
        &self.name
    }
}

impl Keyed for Attachment {
    fn namespace(&self) -> &str {
        ""
    }
    fn name(&self) -> &str {
        &self.name
    }
}

/// Claims with the pods that use them.
pub(crate) fn claims(claims: &Table<Claim>, pods: &Table<Pod>) -> Table<Claim> {
    let mut users: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    for pod in pods {
        for claim in &pod.claims {
            users.entry((&pod.namespace, claim)).or_default().push(&pod.name);
        }
    }
    let mut joined = claims.clone();
    for claim in claims {
        if let Some(names) = users.get(&(claim.namespace.as_str(), claim.name.as_str())) {
            let pods = names.iter().map(|&n| n.to_owned()).collect();
            joined.put(Claim { pods, ..claim.clone() }.into());
        }
    }
    joined
}

/// Classes with what uses them; `site` says which namespaces are ours.
pub(crate) fn classes(
    classes: &Table<Class>,
    claims: &Table<Claim>,
    volumes: &Table<Volume>,
    site: Option<&Kubernetes>,
) -> Table<Class> {
    let mut counted: HashMap<&str, Consumers> = HashMap::new();
    for claim in claims.iter().filter(|c| c.phase == "Bound") {
        let class = counted.entry(&claim.class).or_default();
        class.bound += 1;
        class.ours += i64::from(site.is_some_and(|s| s.shows(&claim.namespace)));
    }
    for volume in volumes.iter().filter(|v| v.phase == "Released") {
        counted.entry(&volume.class).or_default().released += 1;
    }
    let row = |class: &Class| {
        let consumers = counted.get(class.name.as_str()).cloned().unwrap_or_default();
        Class { consumers, ..class.clone() }
    };
    classes.iter().map(row).collect()
}

/// Nodes with what is attached to them.
pub(crate) fn nodes(
    nodes: &Table<Node>,
    csi: &Table<Csi>,
    attachments: &Table<Attachment>,
) -> Table<Node> {
    let mut attached: HashMap<&str, usize> = HashMap::new();
    for attachment in attachments {
        *attached.entry(&attachment.node).or_default() += 1;
    }
    let row = |node: &Node| Node {
        attached: count(attached.get(node.name.as_str()).copied().unwrap_or(0)),
        attach_limit: csi.find("", &node.name).and_then(|c| c.limit).unwrap_or(0),
        ..node.clone()
    };
    nodes.iter().map(row).collect()
}
