//! Requests that want the connection: exec and port-forward over websockets.

use super::super::api::{self, Body, Upgrade};
use super::sockets;
use crate::lab::Lab;
use crate::lab::kube::User;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

const EXEC: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

pub async fn answer(lab: &Lab, user: &User, request: Request<Incoming>) -> Response<Body> {
    let said = |name: header::HeaderName| {
        request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    };
    let offered: Vec<&str> =
        said(header::SEC_WEBSOCKET_PROTOCOL).split(',').map(str::trim).collect();
    let protocol = EXEC.into_iter().find(|p| offered.contains(p));
    let websocket = said(header::UPGRADE).eq_ignore_ascii_case("websocket");
    let (Some(protocol), true) = (protocol, websocket) else {
        // Old tools speak SPDY, which the lab does not; kubectl then says so.
        return api::no_protocol();
    };
    let wanted = match api::upgrade(lab, user, &request) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    let key = derive_accept_key(said(header::SEC_WEBSOCKET_KEY).as_bytes());
    let lab = lab.clone();
    let protocol_of = protocol;
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        match wanted {
            Upgrade::Exec(exec) => sockets::exec(&lab, socket, exec).await,
            Upgrade::Forward(forward) => sockets::forward(&lab, socket, forward).await,
        }
    });
    let mut response = Response::new(
        Empty::new().map_err(|never: std::convert::Infallible| match never {}).boxed_unsync(),
    );
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol_of));
    if let Ok(key) = HeaderValue::from_str(&key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    response
}
