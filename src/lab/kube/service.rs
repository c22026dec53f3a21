//! The API server as transports reach it: a client in this process, and a server on
//! loopback for tools outside.
//!
//! The client in this process is the real client over a service that answers by function
//! calls; only what wants the connection for itself (exec, port-forward) gets one, in
//! memory.

mod sockets;
mod upgrade;

use super::api::{self, Body};
use super::{User, faults};
use crate::lab::Lab;
use http::{Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// Largest body of a request; the real server takes 3 MiB.
const LARGEST: usize = 3 << 20;
/// What an in-memory connection holds before its writer waits.
const PIPE: usize = 64 << 10;

/// A client of the lab that may everything. It has to be made inside of a runtime.
#[must_use]
pub fn client(lab: &Lab) -> kube::Client {
    client_as(lab, User::admin())
}

/// A client of the lab for someone.
#[must_use]
pub fn client_as(lab: &Lab, user: User) -> kube::Client {
    let lab = lab.clone();
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (lab, user) = (lab.clone(), user.clone());
        async move { inside(&lab, &user, request).await }
    });
    kube::Client::new(service, "default")
}

async fn inside(
    lab: &Lab,
    user: &User,
    request: Request<kube::client::Body>,
) -> Result<Response<Body>, Error> {
    if lab.with(|world| world.suffers(faults::API_OUTAGE)) {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    if request.headers().contains_key(header::UPGRADE) {
        return connected(lab, user, request).await;
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(Error::other)?.to_bytes();
    Ok(api::answer(lab, user, Request::from_parts(parts, body)).await)
}

/// A request that wants the connection for itself gets one in memory.
async fn connected(
    lab: &Lab,
    user: &User,
    request: Request<kube::client::Body>,
) -> Result<Response<Body>, Error> {
    let (near, far) = tokio::io::duplex(PIPE);
    tokio::spawn(connection(lab.clone(), Some(user.clone()), far));
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(near));
    let (mut sender, connection) = handshake.await.map_err(Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await.map_err(Error::other)?;
    Ok(response.map(|body| body.map_err(Error::other).boxed_unsync()))
}

/// Serves tools outside, with plain HTTP and bearer tokens, until it is dropped.
pub async fn serve(lab: Lab, listener: TcpListener) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if lab.with(|world| world.suffers(faults::API_OUTAGE)) {
                    // As near to a refusal as an open port can come.
                    continue;
                }
                connections.spawn(connection(lab.clone(), None, stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection; without a user, each request says by its token whose it is.
async fn connection(
    lab: Lab,
    user: Option<User>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (lab, user) = (lab.clone(), user.clone());
        async move { Ok::<_, Infallible>(outside(&lab, user, request).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // How a connection ends is its client's matter.
    let _ = serving.await;
}

async fn outside(lab: &Lab, user: Option<User>, request: Request<Incoming>) -> Response<Body> {
    let token = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(user) = user.or_else(|| lab.with(|world| world.access.user(token))) else {
        return api::unauthorized();
    };
    if request.headers().contains_key(header::UPGRADE) {
        return upgrade::answer(lab, &user, request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST).collect().await {
        Ok(body) => body.to_bytes(),
        // What did not arrive whole is no request: its preconditions may be what is missing.
        Err(e) => return api::unread(e.is::<LengthLimitError>()),
    };
    api::answer(lab, &user, Request::from_parts(parts, body)).await
}

/// A kubeconfig for tools outside. Without a token one is whom the lab trusts.
#[must_use]
pub fn kubeconfig(url: &str, context: &str, token: Option<&str>) -> String {
    let user = token.map_or_else(|| "{}".to_owned(), |t| format!("{{token: {t}}}"));
    format!(
        "apiVersion: v1
kind: Config
current-context: {context}
clusters:
- name: {context}
  cluster:
    server: {url}
contexts:
- name: {context}
  context:
    cluster: {context}
    user: {context}
users:
- name: {context}
  user: {user}
"
    )
}
