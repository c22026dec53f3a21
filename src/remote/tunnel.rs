//! A port-forward as a local address, so that an ordinary HTTP client can use it.
//!
//! Each accepted connection gets a port-forward of its own. What goes wrong there is kept
//! as a [`Silence`], because the HTTP client sees nothing but a closed connection: a pod
//! that refuses is *down*, a forward that is lost is a lost path and says nothing about
//! the voter behind it.

use crate::remote::Silence;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Longest wait for the API server to open a forward.
const OPEN: Duration = Duration::from_secs(2);

/// A listener on loopback whose connections end at a pod's port.
pub(crate) struct Tunnel {
    pub(crate) base: String,
    to: Target,
    fault: Arc<Fault>,
    task: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // The task's set of connections goes with it.
        self.task.abort();
    }
}

/// A pod's port.
#[derive(Clone)]
struct Target {
    api: Api<Pod>,
    pod: String,
    port: u16,
}

/// What last went wrong, and when.
#[derive(Default)]
struct Fault(Mutex<Option<(Instant, Silence)>>);

impl Fault {
    fn note(&self, silence: Silence) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), silence));
    }
}

impl Tunnel {
    /// Opens it. The path is tried once: a pod that is not there is a lost path.
    pub(crate) async fn open(
        kube: &kube::Client,
        namespace: &str,
        pod: &str,
        port: u16,
        scheme: &str,
    ) -> Result<Self, Silence> {
        let lost = |e: std::io::Error| Silence::PathLost(e.to_string());
        let to =
            Target { api: Api::namespaced(kube.clone(), namespace), pod: pod.to_owned(), port };
        forward(&to).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(lost)?;
        let base = format!("{scheme}://{}", listener.local_addr().map_err(lost)?);
        let fault = Arc::new(Fault::default());
        let task = tokio::spawn(serve(listener, to.clone(), Arc::clone(&fault)));
        Ok(Self { base, to, fault, task })
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.task.is_finished()
    }

    /// What went wrong in the tunnel since then.
    pub(crate) fn fault_since(&self, then: Instant) -> Option<Silence> {
        let fault = self.fault.0.lock().unwrap_or_else(PoisonError::into_inner);
        fault.as_ref().filter(|(at, _)| *at >= then).map(|(_, silence)| silence.clone())
    }

    /// A check that the path still stands, for when there is silence behind it: an
    /// established forward through a dead API server looks like a silent voter.
    pub(crate) fn check(&self) -> impl Future<Output = Result<(), Silence>> + use<> {
        let to = self.to.clone();
        async move { forward(&to).await.map(drop) }
    }
}

async fn serve(listener: TcpListener, to: Target, fault: Arc<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(carry(socket, to.clone(), Arc::clone(&fault)));
                }
                Err(_) => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward(to: &Target) -> Result<kube::api::Portforwarder, Silence> {
    match tokio::time::timeout(OPEN, to.api.portforward(&to.pod, &[to.port])).await {
        Ok(Ok(forward)) => Ok(forward),
        Ok(Err(e)) => Err(Silence::PathLost(super::trouble(e).to_string())),
        Err(_) => Err(Silence::PathLost("the port-forward does not open".into())),
    }
}

async fn carry(mut socket: TcpStream, to: Target, fault: Arc<Fault>) {
    let mut forwarder = match forward(&to).await {
        Ok(forwarder) => forwarder,
        Err(silence) => return fault.note(silence),
    };
    let (Some(mut stream), Some(error)) =
        (forwarder.take_stream(to.port), forwarder.take_error(to.port))
    else {
        return fault.note(Silence::PathLost("the port-forward has no stream".into()));
    };
    let said = async {
        match error.await {
            Some(said) => said,
            // No error came: the copying decides when it is over.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // Either side closing ends it; there is nobody to tell.
        _ = copy_bidirectional(&mut socket, &mut stream) => {}
        // Noted before the socket closes, so that whoever sees the end finds the reason.
        said = said => fault.note(meaning(&said)),
    }
}

/// What a kubelet says when it cannot forward.
fn meaning(said: &str) -> Silence {
    if said.contains("refused") {
        Silence::Refused
    } else {
        Silence::PathLost(crate::text::clean_line(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_in_the_pod_is_told_from_a_lost_forward() {
        let refused =
            "error forwarding port 8200: dial tcp4 127.0.0.1:8200: connect: connection refused";
        assert_eq!(meaning(refused), Silence::Refused);
        for lost in ["pod not found", "network namespace for sandbox is closed", "no route to host"]
        {
            assert_eq!(meaning(lost), Silence::PathLost(lost.into()));
        }
    }
}
