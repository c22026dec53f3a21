//! Rows that say something of several kinds: claims with their pods, classes with their
//! consumers, nodes with their attachments. One join for watches and for gates' reads.

use crate::observe::rows::count;
use crate::site::Kubernetes;
use crate::world::{
    Claim, Class, Consumers, Keyed, Node, NodeDriver, Pod, StatefulSet, Table, Volume,
};
use std::collections::HashMap;

/// What a CSINode adds to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Csi {
    /// Of the node.
    pub(crate) name: String,
    /// Its drivers, with the number of volumes that each takes, where it states one.
    pub(crate) drivers: Vec<(String, Option<i64>)>,
}

/// What a VolumeAttachment adds to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its own.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) node: String,
    /// Whose volume.
    pub(crate) driver: String,
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

/// Claims with the pods that use them and the pod that each is for.
pub(crate) fn claims(
    claims: &Table<Claim>,
    pods: &Table<Pod>,
    sets: &Table<StatefulSet>,
) -> Table<Claim> {
    let mut users: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    for pod in pods {
        for claim in &pod.claims {
            users.entry((&pod.namespace, claim)).or_default().push(&pod.name);
        }
    }
    let mut templates: HashMap<(&str, String), Vec<&str>> = HashMap::new();
    for set in sets {
        for template in set.template_classes.keys() {
            let stem = (set.namespace.as_str(), format!("{template}-{}", set.name));
            templates.entry(stem).or_default().push(&set.name);
        }
    }
    let mut joined = claims.clone();
    for claim in claims {
        let key = (claim.namespace.as_str(), claim.name.as_str());
        let pods: Vec<_> = users.get(&key).into_iter().flatten().map(|&n| n.to_owned()).collect();
        let only = if let [one] = pods.as_slice() { one.clone() } else { String::new() };
        let of_pod = made(claim, &templates).unwrap_or(only);
        if !pods.is_empty() || !of_pod.is_empty() {
            joined.put(Claim { pods, of_pod, ..claim.clone() }.into());
        }
    }
    joined
}

/// The pod for which a StatefulSet made a claim: its name ends in set and ordinal behind the
/// template's. A name that two sets could have made tells nothing.
fn made(claim: &Claim, templates: &HashMap<(&str, String), Vec<&str>>) -> Option<String> {
    let (stem, ordinal) = claim.name.rsplit_once('-')?;
    let number = !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit());
    match templates.get(&(claim.namespace.as_str(), stem.to_owned()))?.as_slice() {
        [set] if number => Some(format!("{set}-{ordinal}")),
        _ => None,
    }
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
    let mut attached: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
    for attachment in attachments {
        let of_node = attached.entry(&attachment.node).or_default();
        *of_node.entry(&attachment.driver).or_default() += 1;
    }
    let none = HashMap::new();
    let row = |node: &Node| {
        let here = attached.get(node.name.as_str()).unwrap_or(&none);
        let registered = csi.find("", &node.name).map(|c| c.drivers.as_slice()).unwrap_or_default();
        let drivers: Vec<_> = registered
            .iter()
            .map(|(name, limit)| NodeDriver {
                attached: count(here.get(name.as_str()).copied().unwrap_or(0)),
                limit_known: limit.is_some(),
                limit: limit.unwrap_or(0),
                name: name.clone(),
            })
            .collect();
        let attached = count(here.values().sum());
        Node { attached, room: room(&drivers), drivers, ..node.clone() }
    };
    nodes.iter().map(row).collect()
}

fn room(drivers: &[NodeDriver]) -> String {
    let one = |d: &NodeDriver| match d.limit_known {
        true => format!("{}: {} of {} attached", d.name, d.attached, d.limit),
        false => format!("{}: {} attached, limit not known", d.name, d.attached),
    };
    drivers.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A limit that nobody stated is none at all, whatever another driver states; and each
    /// driver's volumes count by themselves.
    #[test]
    fn a_limit_is_a_drivers_own_or_not_known() {
        let node = |name: &str| Node { name: name.into(), ..Node::default() };
        let driver = |name: &str, limit| (name.to_owned(), limit);
        let csi = |name: &str, drivers: &[(String, Option<i64>)]| Csi {
            name: name.into(),
            drivers: drivers.to_vec(),
        };
        let attachment = |n: usize, node: &str, driver: &str| Attachment {
            name: n.to_string(),
            node: node.into(),
            driver: driver.into(),
        };
        let joined = nodes(
            &[node("a"), node("b")].into_iter().collect(),
            &[csi("a", &[driver("block", Some(28)), driver("nfs", None)])].into_iter().collect(),
            &[attachment(1, "a", "block"), attachment(2, "a", "nfs"), attachment(3, "a", "block")]
                .into_iter()
                .collect(),
        );
        let of = |name: &str| joined.find("", name).unwrap();
        let got: Vec<_> = of("a")
            .drivers
            .iter()
            .map(|d| (d.name.as_str(), d.attached, d.limit_known, d.limit))
            .collect();
        assert_eq!(got, [("block", 2, true, 28), ("nfs", 1, false, 0)]);
        assert_eq!(of("a").attached, 3);
        let room = "block: 2 of 28 attached, nfs: 1 attached, limit not known";
        assert_eq!((of("a").room.as_str(), of("b").room.as_str()), (room, ""));
        assert!(of("b").drivers.is_empty());
    }

    #[test]
    fn a_claim_is_for_the_pod_that_a_template_names() {
        let set = |name: &str, templates: &[&str]| StatefulSet {
            namespace: "v".into(),
            name: name.into(),
            template_classes: templates.iter().map(|&t| (t.to_owned(), String::new())).collect(),
            ..StatefulSet::default()
        };
        let claim =
            |name: &str| Claim { namespace: "v".into(), name: name.into(), ..Claim::default() };
        let pod = |name: &str, claims: &[&str]| Pod {
            namespace: "v".into(),
            name: name.into(),
            claims: claims.iter().map(|&c| c.to_owned()).collect(),
            ..Pod::default()
        };
        let names = [
            ("data-vault-1", "vault-1"),
            ("audit-vault-1", "vault-1"),
            ("data-vault-12", "vault-12"),
            // Of another set, whose pods' names end alike; of no template; of no pod.
            ("data-dev-vault-1", "dev-vault-1"),
            ("backup-vault-1", ""),
            ("data-vault-x", ""),
            ("data-vault", ""),
            // Two sets could have made it.
            ("a-b-c-0", ""),
            // Mounted by one, by two.
            ("by-hand", "web-5"),
            ("shared", ""),
        ];
        let sets = [
            set("vault", &["data", "audit"]),
            set("dev-vault", &["data"]),
            set("b-c", &["a"]),
            set("c", &["a-b"]),
        ];
        let pods = [pod("web-5", &["by-hand", "shared"]), pod("web-6", &["shared"])];
        let table: Table<Claim> = names.iter().map(|(n, _)| claim(n)).collect();
        let joined = claims(&table, &pods.into_iter().collect(), &sets.into_iter().collect());
        let got: BTreeMap<_, _> =
            joined.iter().map(|c| (c.name.as_str(), c.of_pod.as_str())).collect();
        assert_eq!(got, names.into());
        // Without the sets only what is mounted is known.
        let joined = claims(&table, &Table::default(), &Table::default());
        assert!(joined.iter().all(|c| c.of_pod.is_empty()));
    }
}
