//! A crowd of pods that nobody looks after, for sizes.

use super::{Key, kind};
use crate::lab::World;
use serde_json::{Value, json};

/// Namespaces that the crowd lies in.
const NAMESPACES: usize = 40;
/// Pods of a node.
const OF_A_NODE: usize = 110;

impl World {
    /// Adds that many running pods, in namespaces `crowd-00` to `crowd-39`, with nodes for
    /// them. They are planted: no controller hears of them, and nothing keeps them busy.
    pub fn populate(&mut self, pods: usize) {
        let nodes = pods.div_ceil(OF_A_NODE);
        for n in 0..nodes {
            self.plant("nodes", "", &format!("crowd-{n:03}"), node(n));
        }
        for n in 0..NAMESPACES.min(pods) {
            let name = format!("crowd-{n:02}");
            let object = json!({
                "metadata": {"labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            });
            self.plant("namespaces", "", &name, object);
        }
        let started = super::store::stamp(self.now);
        for n in 0..pods {
            let namespace = format!("crowd-{:02}", n % NAMESPACES);
            let hash = self.chance.suffix(5);
            let name = format!("app-{:02}-{hash}", n / NAMESPACES / 20);
            let pod = pod(n, nodes, &started);
            self.plant("pods", &namespace, &format!("{name}-{n:05}"), pod);
        }
    }

    fn plant(&mut self, id: &str, namespace: &str, name: &str, object: Value) {
        if let Some(kind) = kind(id) {
            let key = Key::new(kind, namespace, name);
            self.store.plant(&key, object, self.now, &mut self.chance);
        }
    }
}

fn node(n: usize) -> Value {
    json!({
        "metadata": {"labels": {"kubernetes.io/hostname": format!("crowd-{n:03}")}},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": format!("10.0.{}.{}", n / 250, n % 250 + 1)}],
            "allocatable": {"cpu": "16", "memory": "64Gi", "pods": OF_A_NODE.to_string()},
            "capacity": {"cpu": "16", "memory": "64Gi", "pods": OF_A_NODE.to_string()},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": "v1.34.4"},
        },
    })
}

fn pod(n: usize, nodes: usize, started: &str) -> Value {
    // A few are not well, as in any crowd.
    let waits = n % 997 == 5;
    let state = if waits {
        json!({"waiting": {"reason": "CrashLoopBackOff"}})
    } else {
        json!({"running": {"startedAt": started}})
    };
    let app = format!("app-{:02}", n / NAMESPACES / 20);
    let address = format!("10.{}.{}.{}", 128 + n / 65_536, n / 256 % 256, n % 256);
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "containers": [{"name": "app", "image": "registry.example.net/app:1"}],
            "nodeName": format!("crowd-{:03}", n % nodes), "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
        },
        "status": {
            "phase": "Running", "podIP": address, "startTime": started, "qosClass": "BestEffort",
            "conditions": [{"type": "Ready", "status": if waits { "False" } else { "True" }}],
            "containerStatuses": [{
                "name": "app", "image": "registry.example.net/app:1", "imageID": "",
                "ready": !waits, "restartCount": if waits { 7 } else { 0 }, "state": state,
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Time;

    #[test]
    fn a_crowd_is_small_and_quiet() {
        let mut world = World::new(1, Time(1_767_225_600_000));
        world.populate(20_000);
        let pods = kind("pods").unwrap();
        assert_eq!(world.store.list(pods, Some("crowd-07")).count(), 500);
        assert!(world.store.take_touched().is_none() && world.next().is_none());
        let bytes: usize = world.store.texts(pods, None).map(|(_, t)| t.bare().len()).sum();
        assert!(bytes < 40 << 20, "{bytes}");
        let version = world.store.version();
        assert!(world.store.since(version).is_some());
        assert!(world.store.since(version - 1).is_none());
    }
}
