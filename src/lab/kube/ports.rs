//! Ports of pods: who listens on them.

use super::Key;
use crate::lab::{Lab, vault};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::io::{Error, ErrorKind};
use tokio::io::DuplexStream;

/// What a connection holds before its writer waits.
const PIPE: usize = 64 << 10;
/// Where voters listen.
const VAULT: u16 = 8200;

/// Connects to a port of a pod; the error is a kubelet's words. Whoever listens in a pod is
/// asked here and gets the other end.
pub fn dial(lab: &Lab, pod: &Key, port: u16) -> Result<DuplexStream, String> {
    let name = pod.name.as_str();
    let running = lab.with(|world| {
        let pod = world.store.get(pod)?;
        Some(pod["status"]["phase"].as_str() == Some("Running"))
    });
    match running {
        None => Err(format!("error forwarding port {port}: pod not found ({name})")),
        Some(false) => {
            Err(format!("error forwarding port {port} to pod {name}: the pod is not running"))
        }
        Some(true) if port == VAULT && listens(lab, name) => {
            let (near, far) = tokio::io::duplex(PIPE);
            tokio::spawn(voter(lab.clone(), name.to_owned(), far));
            Ok(near)
        }
        Some(true) => Err(format!(
            "error forwarding port {port} to pod {name}: dial tcp4 127.0.0.1:{port}: connect: connection refused"
        )),
    }
}

/// Whether a voter's process is there. A path that is lost outside of the pod is none of a
/// forward's, which connects inside.
fn listens(lab: &Lab, name: &str) -> bool {
    let met = lab.with(|world| vault::connect(world, name));
    met.is_ok() || met == Err(ErrorKind::TimedOut)
}

async fn voter(lab: Lab, name: String, stream: DuplexStream) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (lab, name) = (lab.clone(), name.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(Error::other)?.to_bytes();
            let reply = vault::answer(&lab, &name, Request::from_parts(parts, body)).await?;
            Ok::<Response<Full<Bytes>>, Error>(reply.map(Full::new))
        }
    });
    let serving = hyper::server::conn::http1::Builder::new();
    // A broken connection is the client's to notice.
    let _ = serving.serve_connection(TokioIo::new(stream), service).await;
}
