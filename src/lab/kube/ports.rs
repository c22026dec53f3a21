//! Ports of pods: who listens on them.

use super::Key;
use crate::lab::Lab;
use tokio::io::DuplexStream;

/// Connects to a port of a pod; the error is a kubelet's words. Whoever listens in a pod is
/// asked here and gets the other end.
pub fn dial(lab: &Lab, pod: &Key, port: u16) -> Result<DuplexStream, String> {
    let running = lab.with(|world| {
        let pod = world.store.get(pod)?;
        Some(pod["status"]["phase"].as_str() == Some("Running"))
    });
    match running {
        None => Err(format!("error forwarding port {port}: pod not found ({})", pod.name)),
        Some(false) => {
            Err(format!("error forwarding port {port} to pod {}: the pod is not running", pod.name))
        }
        Some(true) => Err(format!(
            "error forwarding port {port} to pod {}: dial tcp4 127.0.0.1:{port}: connect: connection refused",
            pod.name
        )),
    }
}
