//! A voter on a port of this machine, for tools from outside.

use super::{answer, fault};
use crate::lab::Lab;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::io::{Error, ErrorKind};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Answers as that voter on that listener until it fails or this is dropped. The voter says
/// from then on that its API is there.
///
/// # Errors
/// The listener's.
pub async fn serve(lab: Lab, voter: String, listener: TcpListener) -> Result<(), Error> {
    let at = listener.local_addr()?;
    lab.with(|world| {
        if let Some(voter) = world.vault.voters.get_mut(&voter) {
            voter.api = format!("http://{at}");
        }
    });
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        open.spawn(connection(lab.clone(), voter.clone(), stream));
        while open.try_join_next().is_some() {}
    }
}

async fn connection(lab: Lab, voter: String, stream: TcpStream) {
    match lab.with(|world| fault::connect(world, &voter)) {
        // The port is ours, so it cannot refuse: it closes at once.
        Err(ErrorKind::ConnectionRefused) => return,
        Err(_) => std::future::pending().await,
        Ok(()) => {}
    }
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let (lab, voter) = (lab.clone(), voter.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(Error::other)?.to_bytes();
            let reply = answer(&lab, &voter, Request::from_parts(parts, body)).await?;
            Ok::<Response<Full<Bytes>>, Error>(reply.map(Full::new))
        }
    });
    // A broken connection is the client's to notice.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
